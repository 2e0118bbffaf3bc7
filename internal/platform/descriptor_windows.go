package platform

import (
	"io/fs"
	"sync"

	"golang.org/x/sys/windows"
)

// A descriptor is an open handle that remembers the index of its file. The process belongs to the
// host program, which may close every handle and may open files that get the same values. Therefore
// each use and each close first compares the file with the remembered one. The volume is not
// compared: the query for it takes two calls, and under Wine a millisecond.
type descriptor struct {
	handle windows.Handle // InvalidHandle: the library has closed it
	inode  uint64
}

// descriptors has the handles of this process, by value. A handle that is opened under the value of
// an earlier one proves that the host has closed the earlier one. The index cannot prove this,
// because both may be of one file. The lock makes opening and closing one step each.
var descriptors = struct {
	sync.Mutex
	open map[windows.Handle]*descriptor
}{open: map[windows.Handle]*descriptor{}}

// openHandle opens a file, shared with every other opener, and not inherited by children. With
// linkItself among the flags it does not follow a symbolic link.
func openHandle(path string, access, disposition, flags uint32, security *windows.SecurityAttributes,
) (windows.Handle, error) {
	name, err := systemPath(path)
	if err != nil {
		return windows.InvalidHandle, err
	}
	var h windows.Handle
	err = patiently(func() error {
		h, err = windows.CreateFile(name, access, shareAll, security, disposition, flags, 0)
		return err
	})
	return h, err
}

const (
	shareAll   = windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE
	linkItself = windows.FILE_FLAG_OPEN_REPARSE_POINT
)

// openDescriptor opens a file, as openHandle does, and enters its handle into the list.
func openDescriptor(path string, access, disposition, flags uint32, security *windows.SecurityAttributes,
) (d *descriptor, info windows.ByHandleFileInformation, err error) {
	name, err := systemPath(path)
	if err != nil {
		return nil, info, err
	}
	err = patiently(func() error { // other threads open and close files while this one waits
		descriptors.Lock()
		defer descriptors.Unlock()
		h, err := windows.CreateFile(name, access, shareAll, security, disposition, flags, 0)
		if err != nil {
			return err
		}
		if err := windows.GetFileInformationByHandle(h, &info); err != nil {
			_ = windows.CloseHandle(h)
			return err
		}
		d = &descriptor{handle: h}
		_, d.inode = identityOf(&info)
		descriptors.open[h] = d
		return nil
	})
	return d, info, err
}

// identityOf is what identifies a file on this machine: the serial number of its volume, and its
// index there.
func identityOf(info *windows.ByHandleFileInformation) (device, inode uint64) {
	return uint64(info.VolumeSerialNumber), uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow)
}

// check returns DescriptorLost if the handle no longer leads to the file.
func (d *descriptor) check() error {
	descriptors.Lock()
	defer descriptors.Unlock()
	return d.checkLocked()
}

func (d *descriptor) checkLocked() error {
	if d.handle == windows.InvalidHandle {
		return fs.ErrClosed
	}
	if descriptors.open[d.handle] == d {
		if inode, ok := indexOf(d.handle); ok && inode == d.inode {
			return nil
		}
	}
	return &DescriptorLost{int(d.handle)}
}

// close closes the handle if it still leads to the file. A second call does nothing.
func (d *descriptor) close() {
	descriptors.Lock()
	defer descriptors.Unlock()
	if d.checkLocked() == nil {
		_ = windows.CloseHandle(d.handle)
	}
	if descriptors.open[d.handle] == d {
		delete(descriptors.open, d.handle)
	}
	d.handle = windows.InvalidHandle
}
