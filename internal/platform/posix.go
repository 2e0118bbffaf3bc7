//go:build !windows

package platform

import (
	"os"
	"path/filepath"
	"time"
)

var (
	clockStart = time.Now()
	clockBase  = monotonicNow()
)

// Monotonic is CLOCK_MONOTONIC in nanoseconds. Processes of one machine can compare their values if
// they share a time namespace, and others by ClockAhead.
func Monotonic() uint64 { return clockBase + uint64(time.Since(clockStart)) }

// EffectiveUID is the uid that owns the files which this program makes.
func EffectiveUID() uint32 { return uint32(os.Geteuid()) }

// DataDirectory is where DataBlock keeps files of this user that outlast a restart: datablock in
// $XDG_DATA_HOME, else in ~/.local/share.
func DataDirectory() (string, error) {
	data := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(data) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		data = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(data, "datablock"), nil
}

// AbsoluteForm says how an absolute path begins, for errors.
const AbsoluteForm = "with '/'"

// FileNameRefused says why the system cannot handle a file of this name, which has no '/' in it.
// This system can.
func FileNameRefused(string) string { return "" }

// PathRefused says why the system cannot handle a path. This system can.
func PathRefused(string) string { return "" }

// SameFileName reports whether two names in one directory lead to the same file.
func SameFileName(a, b string) bool { return a == b }

// PrepareDirectory makes the default directory where no system has made it.
func PrepareDirectory(string) {}
