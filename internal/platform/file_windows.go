package platform

import (
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// File is an open file of a block.
type File struct {
	*descriptor
	path string
}

const readWrite = windows.GENERIC_READ | windows.GENERIC_WRITE

// OpenFile opens an existing file. It refuses a path whose last element is a symbolic link. While
// another process exchanges the name, OpenFile waits.
func OpenFile(path string, write bool) (*File, error) {
	access, verb := uint32(windows.GENERIC_READ), "read"
	if write {
		access, verb = readWrite, "read and write"
	}
	return openExisting(path, access, linkItself, verb)
}

func openExisting(path string, access, flags uint32, verb string) (*File, error) {
	return throughExchange(path, func() (*File, error) {
		f, err := openFile(path, access, windows.OPEN_EXISTING, flags, nil)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: denied(path, verb, err)}
		}
		return f, nil
	})
}

// CreateFile makes a new file, which must not exist. Its access control list expresses the mode.
func CreateFile(path string, mode uint32) (*File, error) {
	f, err := createFile(path, mode, windows.FILE_ATTRIBUTE_TEMPORARY)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: deniedName(path, "make", err)}
	}
	return f, nil
}

func createFile(path string, mode, flags uint32) (*File, error) {
	if err := fit(path); err != nil {
		return nil, err
	}
	own, err := account()
	if err != nil {
		return nil, err
	}
	security, err := fileSecurity(own, mode)
	if err != nil {
		return nil, err
	}
	return openFile(path, readWrite, windows.CREATE_NEW, flags|linkItself, security)
}

func openFile(path string, access, disposition, flags uint32, security *windows.SecurityAttributes) (*File, error) {
	d, info, err := openDescriptor(path, access, disposition, flags, security)
	switch {
	case errors.Is(err, windows.ERROR_ACCESS_DENIED) && isDirectory(path):
		return nil, ErrNotRegular
	case err != nil:
		return nil, explain("CreateFile", err)
	case info.FileAttributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0:
		d.close()
		return nil, ErrSymlink
	case info.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0:
		d.close()
		return nil, ErrNotRegular
	}
	return &File{descriptor: d, path: path}, nil
}

func isDirectory(path string) bool {
	name, err := systemPath(path)
	if err != nil {
		return false
	}
	attributes, err := windows.GetFileAttributes(name)
	return err == nil && attributes&windows.FILE_ATTRIBUTE_DIRECTORY != 0
}

func (f *File) refused(op, call string, err error) error {
	return &fs.PathError{Op: op, Path: f.path, Err: refused(call, err)}
}

// Close closes the handle; mappings stay.
func (f *File) Close() { f.close() }

// Stat describes the open file.
func (f *File) Stat() (FileInfo, error) {
	info, err := infoOf(f.handle)
	if err != nil {
		return FileInfo{}, f.refused("stat", "GetFileInformationByHandle", err)
	}
	return info, nil
}

func infoOf(h windows.Handle) (FileInfo, error) {
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return FileInfo{}, err
	}
	const special = windows.FILE_ATTRIBUTE_DIRECTORY | windows.FILE_ATTRIBUTE_REPARSE_POINT |
		windows.FILE_ATTRIBUTE_DEVICE
	kind, _ := windows.GetFileType(h)
	i := FileInfo{
		Size:    int64(info.FileSizeHigh)<<32 | int64(info.FileSizeLow),
		Regular: kind == windows.FILE_TYPE_DISK && info.FileAttributes&special == 0,
	}
	i.Device, i.Inode = identityOf(&info)
	of, mode := accessOf(h)
	i.UID, i.Mode = numberOf(of.user), mode
	return i, nil
}

// statPath describes the file or the directory at a path. It does not follow a symbolic link,
// unless follow says so. A file whose access control list cannot be read has neither owner nor
// mode.
func statPath(path string, follow ...bool) (FileInfo, error) {
	flags := uint32(windows.FILE_FLAG_BACKUP_SEMANTICS | windows.FILE_FLAG_OPEN_REPARSE_POINT)
	if len(follow) > 0 && follow[0] {
		flags = windows.FILE_FLAG_BACKUP_SEMANTICS
	}
	name, err := systemPath(path)
	if err != nil {
		return FileInfo{}, err
	}
	access := uint32(windows.FILE_READ_ATTRIBUTES | windows.READ_CONTROL)
	h, err := windows.CreateFile(name, access, shareAll, nil, windows.OPEN_EXISTING, flags, 0)
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		access = windows.FILE_READ_ATTRIBUTES
		h, err = windows.CreateFile(name, access, shareAll, nil, windows.OPEN_EXISTING, flags, 0)
	}
	if err != nil {
		return FileInfo{}, err
	}
	defer func() { _ = windows.CloseHandle(h) }()
	return infoOf(h)
}

// StatPath describes the file at a path. It does not follow a symbolic link. While another process
// exchanges the name, StatPath waits.
func StatPath(path string) (FileInfo, error) {
	return throughExchange(path, func() (FileInfo, error) {
		info, err := statPath(path)
		if err != nil {
			return FileInfo{}, &fs.PathError{Op: "stat", Path: path, Err: err}
		}
		return info, nil
	})
}

// StatDirectory describes the directory that the path leads to, also through a symbolic link.
func StatDirectory(path string) (FileInfo, error) {
	info, err := statPath(path, true)
	if err != nil {
		return FileInfo{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	return info, nil
}

// ReadStart reads the first bytes of a file, fewer if the file is shorter. The byte locks lie far
// behind them.
func (f *File) ReadStart(limit int) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	start := make([]byte, limit)
	have := 0
	for have < limit {
		n, err := f.readAt(start[have:], int64(have))
		if err != nil {
			return nil, f.refused("read", "ReadFile", err)
		}
		if n == 0 {
			break
		}
		have += n
	}
	return start[:have], nil
}

// readAt reads at an offset. It returns 0 at the end of the file.
func (f *File) readAt(b []byte, offset int64) (int, error) {
	var n uint32
	at := overlappedAt(offset)
	err := windows.ReadFile(f.handle, b[:min(len(b), 1<<20)], &n, at)
	if errors.Is(err, windows.ERROR_HANDLE_EOF) {
		return 0, nil
	}
	return int(n), err
}

func overlappedAt(offset int64) *windows.Overlapped {
	return &windows.Overlapped{Offset: uint32(offset), OffsetHigh: uint32(offset >> 32)}
}

// Cut makes the open file shorter. The system refuses it while a process has the file mapped.
func (f *File) Cut(size int64) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := setSize(f.handle, size); err != nil {
		return f.refused("truncate", "SetFileInformationByHandle", err)
	}
	return nil
}

// Reserve makes the file size bytes long and reserves the space. A full volume gives ErrNoSpace
// now. A file of NTFS that is not sparse has all its space from here on.
func (f *File) Reserve(size int64) error {
	if err := f.check(); err != nil {
		return err
	}
	if free, err := freeSpace(filepath.Dir(f.path)); err == nil && uint64(size) > free {
		return f.refused("reserve", "SetFileInformationByHandle", windows.ERROR_DISK_FULL)
	}
	// Not every file system can allocate before it makes the file longer. Then the size decides.
	if err := setAllocation(f.handle, size); errors.Is(err, windows.ERROR_DISK_FULL) {
		return f.refused("reserve", "SetFileInformationByHandle", err)
	}
	if err := setSize(f.handle, size); err != nil {
		return f.refused("reserve", "SetFileInformationByHandle", err)
	}
	return nil
}

func freeSpace(directory string) (free uint64, err error) {
	name, err := systemPath(directory)
	if err != nil {
		return 0, err
	}
	err = windows.GetDiskFreeSpaceEx(name, &free, nil, nil)
	return free, err
}

// Map maps the whole file shared. No child inherits a mapping on this system. The mapping keeps the
// file open after Close.
func (f *File) Map(size int64, write, _ bool) ([]byte, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size < size || int64(int(size)) != size {
		return nil, f.refused("map", "MapViewOfFile", windows.ERROR_NOT_ENOUGH_MEMORY)
	}
	protection, access := uint32(windows.PAGE_READONLY), uint32(windows.FILE_MAP_READ)
	if write {
		protection, access = windows.PAGE_READWRITE, windows.FILE_MAP_READ|windows.FILE_MAP_WRITE
	}
	section, err := windows.CreateFileMapping(f.handle, nil, protection, uint32(size>>32), uint32(size), nil)
	if err != nil {
		return nil, f.refused("map", "CreateFileMapping", err)
	}
	defer func() { _ = windows.CloseHandle(section) }()
	m, err := viewOf(section, access, int(size))
	if err != nil {
		return nil, f.refused("map", "MapViewOfFile", err)
	}
	of, _ := accessOf(f.handle)
	enterMapping(m, info, of, filepath.Dir(f.path))
	return m, nil
}

// Populate does nothing: the system maps each page at its first access.
func Populate([]byte, bool) {}

// Unmap ends a mapping made by Map. If the file was removed meanwhile, its last mapping has kept
// it: see Remove.
func Unmap(m []byte) {
	if m == nil {
		return
	}
	directory := leaveMapping(m)
	endView(m)
	emptyTrash(directory)
}
