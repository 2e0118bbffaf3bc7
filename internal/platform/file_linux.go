package platform

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"
)

// DefaultDirectory is where blocks are stored when the program names no directory.
const DefaultDirectory = "/dev/shm"

// reserveStep bounds one fallocate. A signal makes tmpfs undo and restart the whole call, so that a
// process that gets many signals would never reserve a large file in one call.
const reserveStep = 64 << 20

// File is an open file of a block.
type File struct {
	*descriptor
	path string
}

// OpenFile opens an existing file. It refuses a path whose last element is a symbolic link.
func OpenFile(path string, write bool) (*File, error) {
	flags := unix.O_RDONLY
	if write {
		flags = unix.O_RDWR
	}
	return open(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// CreateFile makes a new file, which must not exist. The file gets exactly this mode: the umask
// does not count.
func CreateFile(path string, mode uint32) (*File, error) {
	f, err := open(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Fchmod(f.fd, mode); err != nil {
		f.Close()
		_ = unix.Unlink(path)
		return nil, f.refused("chmod", "fchmod", err)
	}
	return f, nil
}

func open(path string, flags int, mode uint32) (*File, error) {
	d, err := openDescriptor(path, flags, mode)
	switch {
	case err == nil:
		return &File{descriptor: d, path: path}, nil
	case errors.Is(err, unix.ELOOP):
		err = ErrSymlink
	case errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENXIO):
		err = ErrNotRegular
	default:
		err = denied(path, flags, explain("open", err))
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: err}
}

func (f *File) refused(op, call string, err error) error {
	return &fs.PathError{Op: op, Path: f.path, Err: refused(call, err)}
}

// Close closes the descriptor; mappings stay.
func (f *File) Close() { f.close() }

// Stat describes the open file.
func (f *File) Stat() (FileInfo, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return FileInfo{}, f.refused("stat", "fstat", err)
	}
	return infoOf(&st), nil
}

// StatPath describes the file at a path. It does not follow a symbolic link.
func StatPath(path string) (FileInfo, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return FileInfo{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return infoOf(&st), nil
}

// StatDirectory describes the directory that the path leads to, also through a symbolic link.
func StatDirectory(path string) (FileInfo, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return FileInfo{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return infoOf(&st), nil
}

// ReadStart reads the first bytes of a file, fewer if the file is shorter. Unlike a read of a
// mapping, ReadStart survives a file that is truncated meanwhile.
func (f *File) ReadStart(limit int) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	start := make([]byte, limit)
	have := 0
	for have < limit {
		n, err := unix.Pread(f.fd, start[have:], int64(have))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, f.refused("read", "pread", err)
		}
		if n <= 0 {
			break
		}
		have += n
	}
	return start[:have], nil
}

// Cut makes the open file shorter: this file, whatever its name leads to by now.
func (f *File) Cut(size int64) error {
	if err := f.check(); err != nil {
		return err
	}
	for {
		err := unix.Ftruncate(f.fd, size)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return f.refused("truncate", "ftruncate", err)
		}
		return nil
	}
}

func infoOf(st *unix.Stat_t) FileInfo {
	return FileInfo{
		Device: st.Dev, Inode: st.Ino, UID: st.Uid, Mode: st.Mode & 0o7777, Size: st.Size,
		Regular: st.Mode&unix.S_IFMT == unix.S_IFREG,
	}
}

// Reserve makes the file size bytes long and reserves the space. A full directory gives ErrNoSpace
// now instead of SIGBUS later.
func (f *File) Reserve(size int64) error {
	if err := fitsFileLimit(size); err != nil {
		return &fs.PathError{Op: "reserve", Path: f.path, Err: err}
	}
	var space unix.Statfs_t
	if unix.Fstatfs(f.fd, &space) == nil && space.Blocks > 0 && size/int64(space.Bsize) > int64(space.Bavail) {
		return f.refused("reserve", "fallocate", unix.ENOSPC) // before memory is filled with what cannot fit
	}
	for at := int64(0); at < size; {
		step := min(reserveStep, size-at)
		switch err := unix.Fallocate(f.fd, 0, at, step); {
		case err == nil:
			at += step
		case errors.Is(err, unix.EINTR):
		default:
			return f.refused("reserve", "fallocate", err)
		}
	}
	return nil
}

// Map maps the whole file shared. keepFromChildren keeps a writable mapping from forked children,
// so that no two processes ever write through one claim.
func (f *File) Map(size int64, write, keepFromChildren bool) ([]byte, error) {
	if int64(int(size)) != size {
		return nil, f.refused("map", "mmap", unix.ENOMEM)
	}
	prot := unix.PROT_READ
	if write {
		prot |= unix.PROT_WRITE
	}
	m, err := mapFile(f.fd, int(size), prot)
	if err != nil {
		return nil, f.refused("map", "mmap", err)
	}
	if keepFromChildren {
		// If the system refuses the call, a forked child has the mapping. The library still refuses
		// every call there: only a pointer that the parent got before the fork reaches the slot.
		_ = unix.Madvise(m, unix.MADV_DONTFORK)
	}
	return m, nil
}

// Unmap ends a mapping made by Map.
func Unmap(m []byte) {
	if m != nil {
		unmapFile(m)
	}
}

// Publish gives the file at temporary its final name in one atomic step, unless that name exists
// (fs.ErrExist).
func Publish(temporary, path string) error {
	err := unix.Renameat2(unix.AT_FDCWD, temporary, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	// Not every file system knows the flag, and a seccomp filter may refuse the call.
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		if err = unix.Link(temporary, path); err == nil {
			_ = unix.Unlink(temporary) // if this fails, the file is published and the second name is garbage
		}
	}
	if err != nil {
		return fmt.Errorf("rename %s to %s: %w", temporary, path, deniedName("", path, explain("renameat2", err)))
	}
	return nil
}

// Exchange swaps two names in one atomic step; both must exist.
func Exchange(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		err = refused("renameat2 with RENAME_EXCHANGE", unix.ENOSYS) // nothing else exchanges in one step
	}
	if err != nil {
		return fmt.Errorf("exchange %s and %s: %w", a, b, deniedName(b, b, err))
	}
	return nil
}

// MayRemove asks whether this program may remove a file, or give its name to another, and changes
// nothing. It calls rmdir for a file that is no directory. The system answers ENOTDIR only after it
// has checked the permissions of the directory, the sticky bit, the owners of both and this
// program's capabilities. A mount point gets ENOTDIR, too, and refuses the removal: MayRemove looks
// for one first. What remains: an empty directory that takes the name between the two calls is
// removed. A file that becomes a mount point after the look is not noticed.
func MayRemove(path string) error {
	if err := plainFile(path); err != nil {
		return &fs.PathError{Op: "unlink", Path: path, Err: err}
	}
	if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOTDIR) {
		return &fs.PathError{Op: "unlink", Path: path, Err: deniedName(path, path, err)}
	}
	return nil
}

// plainFile fails unless a path leads to a regular file that is not a mount point. Where the system
// does not know statx, or a filter refuses the call, plainFile does not find a mount point.
func plainFile(path string) error {
	var x unix.Statx_t
	if unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, 0, &x) == nil &&
		x.Attributes&x.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return fmt.Errorf("%w: the file is a mount point, which can be neither removed nor replaced: unmount it "+
			"(umount %s)", unix.EBUSY, path)
	}
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return ErrNotRegular
	}
	return nil
}

// CanExchange asks whether the system knows Exchange and lets this program call it. An exchange of
// a name with itself changes nothing.
func CanExchange(path string) error { return Exchange(path, path) }

// Remove unlinks a file.
func Remove(path string) error {
	if err := unix.Unlink(path); err != nil {
		return &fs.PathError{Op: "unlink", Path: path, Err: deniedName(path, path, err)}
	}
	return nil
}
