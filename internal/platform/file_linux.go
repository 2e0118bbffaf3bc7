package platform

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// DefaultDirectory is where blocks live when nobody says otherwise.
const DefaultDirectory = "/dev/shm"

// reserveStep bounds one fallocate: a signal makes tmpfs undo and restart the whole call, so that a process that is signalled
// often would never reserve a large file in one.
const reserveStep = 64 << 20

// File is an open file of a block.
type File struct {
	fd   int
	path string
}

// OpenFile opens an existing file, never through a symbolic link at the last step.
func OpenFile(path string, write bool) (*File, error) {
	flags := unix.O_RDONLY
	if write {
		flags = unix.O_RDWR
	}
	return open(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}

// CreateFile makes a new file; it must not exist. The mode is exact, whatever the umask.
func CreateFile(path string, mode uint32) (*File, error) {
	f, err := open(path, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Fchmod(f.fd, mode); err != nil {
		f.Close()
		_ = os.Remove(path)
		return nil, f.wrap("chmod", err)
	}
	return f, nil
}

func open(path string, flags int, mode uint32) (*File, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, mode)
		switch {
		case err == nil:
			return &File{fd: fd, path: path}, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ELOOP):
			return nil, &fs.PathError{Op: "open", Path: path, Err: ErrSymlink}
		case errors.Is(err, unix.EISDIR), errors.Is(err, unix.ENXIO):
			return nil, &fs.PathError{Op: "open", Path: path, Err: ErrNotRegular}
		case errors.Is(err, unix.ENOSPC):
			return nil, &fs.PathError{Op: "open", Path: path, Err: ErrNoSpace}
		default:
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
	}
}

func (f *File) wrap(op string, err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EFBIG) {
		err = ErrNoSpace
	}
	return &fs.PathError{Op: op, Path: f.path, Err: err}
}

// Close closes the descriptor; mappings stay.
func (f *File) Close() {
	if f.fd >= 0 {
		_ = unix.Close(f.fd)
		f.fd = -1
	}
}

// Stat describes the open file.
func (f *File) Stat() (FileInfo, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return FileInfo{}, f.wrap("stat", err)
	}
	return infoOf(&st), nil
}

// StatPath describes what the name leads to, itself if it is a symbolic link.
func StatPath(path string) (FileInfo, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return FileInfo{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return infoOf(&st), nil
}

func infoOf(st *unix.Stat_t) FileInfo {
	return FileInfo{
		Device: st.Dev, Inode: st.Ino, UID: st.Uid, Mode: st.Mode & 0o7777, Size: st.Size,
		Regular: st.Mode&unix.S_IFMT == unix.S_IFREG,
	}
}

// Reserve makes the file size bytes long and its space certain: a full directory is ErrNoSpace now, not SIGBUS later.
func (f *File) Reserve(size int64) error {
	var fs unix.Statfs_t
	if unix.Fstatfs(f.fd, &fs) == nil && fs.Blocks > 0 && size/int64(fs.Bsize) > int64(fs.Bavail) {
		return f.wrap("reserve", unix.ENOSPC) // before memory is filled with what cannot fit
	}
	for at := int64(0); at < size; {
		step := min(reserveStep, size-at)
		switch err := unix.Fallocate(f.fd, 0, at, step); {
		case err == nil:
			at += step
		case errors.Is(err, unix.EINTR):
		default:
			return f.wrap("reserve", err)
		}
	}
	return nil
}

// Map maps the whole file shared. A writable mapping can be kept from forked children, so that no two processes ever write through one claim.
func (f *File) Map(size int64, write, keepFromChildren bool) ([]byte, error) {
	if int64(int(size)) != size {
		return nil, f.wrap("map", unix.EFBIG)
	}
	prot := unix.PROT_READ
	if write {
		prot |= unix.PROT_WRITE
	}
	m, err := mapFile(f.fd, int(size), prot)
	if err != nil {
		return nil, f.wrap("map", err)
	}
	if keepFromChildren {
		if err := unix.Madvise(m, unix.MADV_DONTFORK); err != nil {
			unmapFile(m)
			return nil, f.wrap("madvise", err)
		}
	}
	return m, nil
}

// Unmap ends a mapping made by Map.
func Unmap(m []byte) {
	if m != nil {
		unmapFile(m)
	}
}

// Publish gives the file at temporary its final name in one atomic step, unless that name exists (fs.ErrExist).
func Publish(temporary, path string) error {
	err := unix.Renameat2(unix.AT_FDCWD, temporary, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // not every file system knows the flag
		if err = unix.Link(temporary, path); err == nil {
			_ = unix.Unlink(temporary) // published all the same; a second name is garbage that is collected
		}
	}
	if err != nil {
		return fmt.Errorf("rename %s to %s: %w", temporary, path, err)
	}
	return nil
}

// Exchange swaps two names in one atomic step; both must exist.
func Exchange(a, b string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		return fmt.Errorf("exchange %s and %s: %w", a, b, err)
	}
	return nil
}

// Remove unlinks a file.
func Remove(path string) error {
	if err := unix.Unlink(path); err != nil {
		return &fs.PathError{Op: "unlink", Path: path, Err: err}
	}
	return nil
}
