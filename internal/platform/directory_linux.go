package platform

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Package os opens files and directories for the poller of the Go runtime. The poller has
// descriptors of its own, and ends the process when the host closes them. The functions of this
// file use system calls alone, and leave no descriptor open when they return.

// Entry is a name in a directory.
type Entry struct {
	Name    string
	Regular bool
}

// The fields of the kernel's struct linux_dirent64.
const (
	direntLength = 16
	direntType   = 18
	direntName   = 19
)

// ReadDirectory lists a directory, sorted by name, without "." and "..".
func ReadDirectory(path string) ([]Entry, error) {
	f, err := open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Entry
	buffer := make([]byte, 64<<10)
	for {
		n, err := unix.Getdents(f.fd, buffer)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, f.refused("read", "getdents64", err)
		}
		if n <= 0 {
			break
		}
		for rest := buffer[:n]; len(rest) > direntName; {
			length := binary.NativeEndian.Uint16(rest[direntLength:])
			if length <= direntName || int(length) > len(rest) {
				break
			}
			name, _, _ := bytes.Cut(rest[direntName:length], []byte{0})
			all = append(all, entryOf(path, string(name), rest[direntType])...)
			rest = rest[length:]
		}
	}
	slices.SortFunc(all, func(a, b Entry) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

func entryOf(directory, name string, kind byte) []Entry {
	if name == "." || name == ".." || name == "" {
		return nil
	}
	if kind == unix.DT_UNKNOWN { // not every file system reports the type
		info, err := StatPath(filepath.Join(directory, name))
		// A name that could not be examined may be a block's.
		return []Entry{{name, info.Regular || err != nil && !errors.Is(err, fs.ErrNotExist)}}
	}
	return []Entry{{name, kind == unix.DT_REG}}
}

// ReadFile reads at most limit bytes of a file.
func ReadFile(path string, limit int) ([]byte, error) {
	f, err := open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []byte
	buffer := make([]byte, min(limit, 16<<10))
	for len(all) < limit {
		n, err := unix.Read(f.fd, buffer[:min(len(buffer), limit-len(all))])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n <= 0 {
			break
		}
		all = append(all, buffer[:n]...)
	}
	return all, nil
}

// WriteNew writes a file that must not exist (fs.ErrExist). The file is complete or absent, and on
// the disk when WriteNew returns. Until the file is complete, its name begins with a dot.
func WriteNew(path string, contents []byte, mode uint32) error {
	if err := fitsFileLimit(int64(len(contents))); err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	temporary := filepath.Join(filepath.Dir(path), ".writing-"+strconv.FormatUint(rand.Uint64(), 36))
	f, err := CreateFile(temporary, mode)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Unlink(temporary) }()
	err = f.write(contents)
	if err == nil {
		err = unix.Fsync(f.fd)
	}
	f.Close()
	if err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: refused("write", err)}
	}
	if err := unix.Link(temporary, path); err != nil {
		return &fs.PathError{Op: "link", Path: path, Err: deniedName("", path, explain("link", err))}
	}
	return nil
}

func (f *File) write(contents []byte) error {
	for len(contents) > 0 {
		n, err := unix.Write(f.fd, contents)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		if n <= 0 {
			return io.ErrShortWrite
		}
		contents = contents[n:]
	}
	return nil
}

// Random fills b. Package crypto/rand would end the process if a seccomp filter refuses getrandom.
func Random(b []byte) error {
	for filled := 0; filled < len(b); {
		n, err := unix.Getrandom(b[filled:], 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case err == nil:
			filled += n
		default:
			read, readErr := ReadFile("/dev/urandom", len(b))
			if readErr != nil {
				return refused("getrandom", err)
			}
			copy(b, read)
			return nil
		}
	}
	return nil
}
