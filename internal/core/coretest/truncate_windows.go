package coretest

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// Truncate changes the size of a file, and reports whether it has. Windows does not do it while a
// process has the file mapped.
func Truncate(path string, size int64) (done bool, err error) {
	err = os.Truncate(path, size)
	if errors.Is(err, windows.ERROR_USER_MAPPED_FILE) {
		return false, nil
	}
	return err == nil, err
}
