package platform

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/windows"
)

// AbsoluteForm says how an absolute path begins, for errors.
const AbsoluteForm = `with a drive, as C:\blocks does, or with \\`

// systemPath is a path for the system. The prefix \\?\ allows long paths, and keeps the system from
// giving names such as NUL a meaning of their own.
func systemPath(path string) (*uint16, error) {
	const literally, network = `\\?\`, `\\`
	path = filepath.Clean(path)
	switch {
	case strings.HasPrefix(path, literally), !filepath.IsAbs(path):
	case strings.HasPrefix(path, network):
		path = literally + `UNC\` + path[len(network):]
	default:
		path = literally + path
	}
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, fmt.Errorf("a path has a NUL character: %w", err)
	}
	return name, nil
}

// devices are the names that mean devices in every directory, whatever follows a dot.
var devices = []string{"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}

// FileNameRefused says why the system, or programs that list and remove files, cannot handle a file
// of this name. It returns "" if they can.
func FileNameRefused(name string) string {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	stem = strings.TrimRight(stem, " ")
	numbered := len(stem) == 4 && (stem[:3] == "COM" || stem[:3] == "LPT") && stem[3] >= '0' && stem[3] <= '9'
	for _, device := range devices {
		numbered = numbered || stem == device
	}
	switch {
	case numbered:
		return fmt.Sprintf("is the name of a device in Windows (%s): choose another", stem)
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, " "):
		return "ends in a dot or a space, which Windows removes from names: choose another"
	case strings.ContainsAny(name, `<>:"/\|?*`) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
		return `has a character that Windows does not allow in names (one of <>:"/\|?*, or a control character)`
	}
	return ""
}

// PathRefused says why the system cannot handle a path. Windows has UTF-16: each byte that is not
// UTF-8 would become the same character, and different paths would lead to one directory.
func PathRefused(path string) string {
	if !utf8.ValidString(path) {
		return "is not UTF-8, which paths on Windows have to be: convert it from its own encoding"
	}
	return ""
}

// SameFileName reports whether two names in one directory lead to the same file: on this system
// also if they differ in upper and lower case alone.
func SameFileName(a, b string) bool { return strings.EqualFold(a, b) }

// fit fails for a path whose last element cannot be the name of a file.
func fit(path string) error {
	if why := FileNameRefused(filepath.Base(path)); why != "" {
		return fmt.Errorf("the name %q %s: %w", filepath.Base(path), why, windows.ERROR_INVALID_NAME)
	}
	return nil
}

const (
	patience     = 200 * time.Millisecond
	patiencePoll = 2 * time.Millisecond
)

// patiently calls f again while another program has the file open without sharing it. Programs that
// search files for viruses or for an index do this for moments.
func patiently(f func() error) error {
	for left := patience; ; left -= patiencePoll {
		err := f()
		if !errors.Is(err, windows.ERROR_SHARING_VIOLATION) || left <= 0 {
			return err
		}
		Sleep(patiencePoll)
	}
}
