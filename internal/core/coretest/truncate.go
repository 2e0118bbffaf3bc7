//go:build !windows

package coretest

import "os"

// Truncate changes the size of a file, and reports whether it has. This system always does.
func Truncate(path string, size int64) (done bool, err error) {
	err = os.Truncate(path, size)
	return err == nil, err
}
