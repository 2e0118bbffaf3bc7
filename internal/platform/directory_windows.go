package platform

import (
	"cmp"
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/windows"
)

// DefaultDirectory is where blocks are stored when the program names no directory: a folder of this
// user that has the number of the system's start in its name. Files of an earlier start are left
// behind there, as files in memory would be.
var DefaultDirectory = defaultDirectory()

func defaultDirectory() string {
	data, err := DataDirectory()
	if err != nil {
		return ""
	}
	return filepath.Join(data, bootName())
}

// DataDirectory is where DataBlock keeps files of this user: DataBlock in %LOCALAPPDATA%, else in
// %USERPROFILE%\AppData\Local.
func DataDirectory() (string, error) {
	local := environment("LOCALAPPDATA")
	if !filepath.IsAbs(local) {
		profile := environment("USERPROFILE")
		if profile == "" {
			return "", errors.New("neither %LOCALAPPDATA% nor %USERPROFILE% is set")
		}
		local = filepath.Join(profile, "AppData", "Local")
	}
	return filepath.Join(local, "DataBlock"), nil
}

func environment(variable string) string {
	name, err := windows.UTF16PtrFromString(variable)
	if err != nil {
		return ""
	}
	for size := uint32(256); ; {
		value := make([]uint16, size)
		n, err := windows.GetEnvironmentVariable(name, &value[0], size)
		if err != nil || n == 0 {
			return ""
		}
		if n < size {
			return windows.UTF16ToString(value[:n])
		}
		size = n
	}
}

var prepare sync.Once

// PrepareDirectory makes the default directory when it is used for the first time, and removes the
// blocks of earlier starts of the system. If it cannot be made, the next call that uses it says
// why.
func PrepareDirectory(directory string) {
	if directory != DefaultDirectory || directory == "" {
		return
	}
	prepare.Do(func() {
		for _, each := range []string{filepath.Dir(directory), directory} {
			if name, err := systemPath(each); err == nil {
				_ = windows.CreateDirectory(name, nil) // its access control list is that of the user's folder
			}
		}
		removeEarlier(directory)
	})
}

// removeEarlier removes the folders of earlier starts of the system, which lie beside this one. It
// leaves a folder that a process uses: a participant has its control file open. It also leaves the
// folders of the other prefix, one of which may be that of this start in another process.
func removeEarlier(directory string) {
	prefix := bootPrefix
	if strings.HasPrefix(filepath.Base(directory), startPrefix) {
		prefix = startPrefix
	}
	_ = eachName(filepath.Join(filepath.Dir(directory), "*"), func(found *windows.Win32finddata) {
		name := windows.UTF16ToString(found.FileName[:])
		if !strings.HasPrefix(name, prefix) || SameFileName(name, filepath.Base(directory)) {
			return
		}
		folder := filepath.Join(filepath.Dir(directory), name)
		var files []string
		used := eachName(filepath.Join(folder, "*"), func(found *windows.Win32finddata) {
			if found.FileAttributes&windows.FILE_ATTRIBUTE_DIRECTORY == 0 {
				files = append(files, filepath.Join(folder, windows.UTF16ToString(found.FileName[:])))
			}
		}) != nil
		for _, file := range files {
			used = used || isOpen(file)
		}
		if used {
			return
		}
		for _, file := range files {
			remove(file)
		}
		if path, err := systemPath(folder); err == nil {
			_ = windows.RemoveDirectory(path)
		}
	})
}

// isOpen reports whether any process has the file open, or the system does not say it.
func isOpen(path string) bool {
	name, err := systemPath(path)
	if err != nil {
		return true
	}
	const alone = 0 // shared with no other handle
	h, err := windows.CreateFile(name, windows.GENERIC_READ, alone, nil, windows.OPEN_EXISTING, linkItself, 0)
	if err != nil {
		return true
	}
	_ = windows.CloseHandle(h)
	return false
}

// Entry is a name in a directory.
type Entry struct {
	Name    string
	Regular bool
}

// ReadDirectory lists a directory, sorted by name, without "." and "..", and without the names that
// this package gives to files for moments. It removes what dead processes have left under such
// names.
func ReadDirectory(path string) ([]Entry, error) {
	const looks = 3 // an exchange may begin while the directory is listed
	var all []Entry
	for range looks {
		hidden, found, err := list(path)
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: denied(path, "list", err)}
		}
		all = found
		if !settle(path, hidden, found) {
			break
		}
	}
	emptyTrash(path)
	return all, nil
}

// list returns the names in a directory, and the names that exchanges have hidden.
func list(path string) (hidden []string, all []Entry, err error) {
	if !isDirectory(path) {
		if !exists(path) {
			return nil, nil, windows.ERROR_PATH_NOT_FOUND
		}
		return nil, nil, windows.ERROR_DIRECTORY
	}
	err = eachName(filepath.Join(path, "*"), func(found *windows.Win32finddata) {
		const special = windows.FILE_ATTRIBUTE_DIRECTORY | windows.FILE_ATTRIBUTE_REPARSE_POINT |
			windows.FILE_ATTRIBUTE_DEVICE
		name := windows.UTF16ToString(found.FileName[:])
		switch {
		case name == "." || name == ".." || name == "" || strings.HasPrefix(name, trashPrefix):
		case strings.HasPrefix(name, exchangePrefix):
			hidden = append(hidden, name)
		default:
			all = append(all, Entry{name, found.FileAttributes&special == 0})
		}
	})
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	return hidden, all, err
}

// settle ends exchanges that were under way when the directory was listed. It reports whether the
// directory has to be listed again, because a name was missing.
func settle(directory string, hidden []string, all []Entry) (again bool) {
	for _, each := range hidden {
		name := strings.TrimPrefix(each, exchangePrefix)
		if slices.ContainsFunc(all, func(e Entry) bool { return SameFileName(e.Name, name) }) {
			path := filepath.Join(directory, each)
			_ = ifUnlocked(path, func() error { // the exchanging process has died behind the second step
				if exists(filepath.Join(directory, name)) {
					return discard(path)
				}
				return nil
			})
			continue
		}
		// StatPath waits for the exchange, or undoes it, or says that it cannot.
		_, err := StatPath(filepath.Join(directory, name))
		again = again || err == nil || errors.Is(err, fs.ErrNotExist)
	}
	return again
}

// eachName calls f for each file that matches a pattern.
func eachName(pattern string, f func(*windows.Win32finddata)) error {
	name, err := systemPath(pattern)
	if err != nil {
		return err
	}
	var found windows.Win32finddata
	search, err := windows.FindFirstFile(name, &found)
	for err == nil {
		f(&found)
		err = windows.FindNextFile(search, &found)
	}
	if search != windows.InvalidHandle && search != 0 {
		_ = windows.FindClose(search)
	}
	if errors.Is(err, windows.ERROR_NO_MORE_FILES) || errors.Is(err, windows.ERROR_FILE_NOT_FOUND) {
		return nil
	}
	return err
}

// ReadFile reads at most limit bytes of a file. It follows a symbolic link.
func ReadFile(path string, limit int) ([]byte, error) {
	f, err := openExisting(path, windows.GENERIC_READ, 0, "read")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []byte
	buffer := make([]byte, min(limit, 16<<10))
	for len(all) < limit {
		n, err := f.readAt(buffer[:min(len(buffer), limit-len(all))], int64(len(all)))
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			break
		}
		all = append(all, buffer[:n]...)
	}
	return all, nil
}

// WriteNew writes a file that must not exist (fs.ErrExist). The file is complete or absent, and on
// the disk when WriteNew returns. Until the file is complete, its name begins with a dot.
func WriteNew(path string, contents []byte, mode uint32) error {
	if err := fit(path); err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	temporary := filepath.Join(filepath.Dir(path), ".writing-"+strconv.FormatUint(rand.Uint64(), 36))
	f, err := createFile(temporary, mode, windows.FILE_ATTRIBUTE_NORMAL)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: deniedName(path, "make", err)}
	}
	err = f.write(contents)
	if err == nil {
		err = windows.FlushFileBuffers(f.handle)
	}
	f.Close()
	if err != nil {
		remove(temporary)
		return &fs.PathError{Op: "write", Path: path, Err: refused("WriteFile", err)}
	}
	if err := rename(temporary, path); err != nil {
		remove(temporary)
		return &fs.PathError{Op: "link", Path: path, Err: deniedName(path, "make", explain("MoveFileEx", err))}
	}
	return nil
}

func (f *File) write(contents []byte) error {
	for offset := int64(0); len(contents) > 0; {
		var n uint32
		part := contents[:min(len(contents), 1<<20)]
		if err := windows.WriteFile(f.handle, part, &n, overlappedAt(offset)); err != nil {
			return err
		}
		if n == 0 {
			return windows.ERROR_WRITE_FAULT
		}
		contents, offset = contents[n:], offset+int64(n)
	}
	return nil
}
