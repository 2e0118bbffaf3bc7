package platform

import (
	"errors"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

// firstDescriptor is the least number that a descriptor may have: 0 to 2 are the host's, also where it has closed them, and what it prints must not end up in a block.
const firstDescriptor = 3

// A descriptor is an open file that remembers which file that was. The process is the host's, which may close every descriptor that it finds, and open files of its own
// that get the numbers. So a descriptor is compared with what it was before it is relied on, and before it is closed.
type descriptor struct {
	fd            int // -1: the library has closed it
	device, inode uint64
}

// descriptors are those of this process, by number. What is opened under the number of an earlier descriptor proves that the host has closed that one: the two may be of one file, which device and inode
// would not tell. The lock makes opening and closing one step each.
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

// raise gives a descriptor a number that may be kept.
func raise(fd int) (int, error) {
	higher, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, firstDescriptor)
	_ = unix.Close(fd)
	return higher, err
}

// check reports DescriptorLost if the number does not lead to the file any more.
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

// close closes the descriptor if it is still what it was. It may be called again.
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
