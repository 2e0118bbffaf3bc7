package platform

import (
	"errors"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

// firstDescriptor is the least number that a descriptor may have. Numbers 0 to 2 belong to the host
// program, even after the program has closed them: output of the program must not end up in a
// block.
const firstDescriptor = 3

// A descriptor is an open file that remembers device and inode of the file. The process belongs to
// the host program, which may close every descriptor and may open files that get the same numbers.
// Therefore each use and each close of a descriptor first compares the file with the remembered
// one.
type descriptor struct {
	fd            int // -1: the library has closed it
	device, inode uint64
}

// descriptors has the descriptors of this process, by number. A descriptor that is opened under the
// number of an earlier one proves that the host has closed the earlier one. Device and inode cannot
// prove this, because both may be of one file. The lock makes opening and closing one step each.
var descriptors = struct {
	sync.Mutex
	open map[int]*descriptor
}{open: map[int]*descriptor{}}

// openDescriptor opens a file, close-on-exec.
func openDescriptor(path string, flags int, mode uint32) (*descriptor, error) {
	descriptors.Lock()
	defer descriptors.Unlock()
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, mode)
	for errors.Is(err, unix.EINTR) {
		fd, err = unix.Open(path, flags|unix.O_CLOEXEC, mode)
	}
	if err == nil && fd < firstDescriptor {
		fd, err = raise(fd)
	}
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	d := &descriptor{fd: fd, device: st.Dev, inode: st.Ino}
	descriptors.open[fd] = d
	return d, nil
}

// raise duplicates a descriptor to a number of at least firstDescriptor, and closes the old number.
func raise(fd int) (int, error) {
	higher, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, firstDescriptor)
	_ = unix.Close(fd)
	return higher, err
}

// check returns DescriptorLost if the number no longer leads to the file.
func (d *descriptor) check() error {
	descriptors.Lock()
	defer descriptors.Unlock()
	return d.checkLocked()
}

func (d *descriptor) checkLocked() error {
	if d.fd < 0 {
		return fs.ErrClosed
	}
	var st unix.Stat_t
	if descriptors.open[d.fd] != d || unix.Fstat(d.fd, &st) != nil || st.Dev != d.device || st.Ino != d.inode {
		return &DescriptorLost{d.fd}
	}
	return nil
}

// close closes the descriptor if the number still leads to the file. A second call does nothing.
func (d *descriptor) close() {
	descriptors.Lock()
	defer descriptors.Unlock()
	if d.checkLocked() == nil {
		_ = unix.Close(d.fd)
	}
	if descriptors.open[d.fd] == d {
		delete(descriptors.open, d.fd)
	}
	d.fd = -1
}
