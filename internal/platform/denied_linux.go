package platform

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// The cause of a refusal, as far as owner and modes explain it. The system does not report the
// cause: the library searches for it after the refusal.
const (
	byFilter = "owner and modes allow it: a filter of system calls (seccomp), a security module or an attribute of " +
		"the file refuses it"
	sticky = unix.S_ISVTX
)

// denied adds to a refusal of open which user was refused, and by what. Other errors stay as they
// are.
func denied(path string, flags int, err error) error {
	if !isRefusal(err) {
		return err
	}
	d := &Denied{Err: err, Why: byFilter}
	directory := filepath.Dir(path)
	wanted := uint32(unix.R_OK)
	if flags&unix.O_RDWR != 0 {
		wanted |= unix.W_OK
	}
	var st unix.Stat_t
	switch {
	case !mayAccess(directory, unix.X_OK):
		d.Why = mayNot("look for files in", "directory", directory)
	case flags&unix.O_CREAT != 0 && !mayAccess(directory, unix.W_OK|unix.X_OK):
		d.Why = mayNot("make files in", "directory", directory)
	case flags&unix.O_CREAT != 0 || unix.Lstat(path, &st) != nil || mayAccess(path, wanted):
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		d.Why = mayNot("list", "directory", path)
	default:
		verb := "read"
		if wanted&unix.W_OK != 0 {
			verb = "read and write"
		}
		d.Why, d.ByMode = mayNot(verb, "file", path), true
	}
	return d
}

// deniedName is denied for a call that adds or removes a name, which only the directory decides.
// file is the file that loses its name, "" if there is none.
func deniedName(file, path string, err error) error {
	if !isRefusal(err) {
		return err
	}
	d := &Denied{Err: err, Why: byFilter}
	directory := filepath.Dir(path)
	var in, st unix.Stat_t
	switch {
	case !mayAccess(directory, unix.W_OK|unix.X_OK):
		d.Why = mayNot("change names in", "directory", directory)
	case file == "" || unix.Stat(directory, &in) != nil || in.Mode&sticky == 0 || unix.Lstat(file, &st) != nil:
	case st.Uid != EffectiveUID() && in.Uid != EffectiveUID():
		d.Why = fmt.Sprintf("%s is a sticky directory, and %s belongs to uid %d: only that user, uid %d, who has the "+
			"directory, and root may remove or replace it, whatever its mode; this program runs as uid %d",
			directory, file, st.Uid, in.Uid, EffectiveUID())
	}
	return d
}

func isRefusal(err error) bool { return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) }

func mayAccess(path string, mode uint32) bool {
	return unix.Faccessat(unix.AT_FDCWD, path, mode, unix.AT_EACCESS) == nil
}

// mayNot says which user may not do what with a file, and the owner and the mode of the file.
func mayNot(verb, kind, path string) string {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return fmt.Sprintf("uid %d may not %s the %s %s", EffectiveUID(), verb, kind, path)
	}
	return fmt.Sprintf("uid %d may not %s the %s %s, which belongs to uid %d and gid %d and has mode 0%o",
		EffectiveUID(), verb, kind, path, st.Uid, st.Gid, st.Mode&0o7777)
}
