// Package coretest has what the tests of several packages of the core need.
package coretest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Directory makes a block directory for one test, in memory if there is such a file system, and
// removes it at the end.
func Directory(t testing.TB) string {
	dir, err := MakeDirectory()
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// MakeDirectory makes a block directory that the caller has to remove.
func MakeDirectory() (string, error) {
	base := "/dev/shm"
	if _, err := os.Stat(base); err != nil || !filepath.IsAbs(base) { // on Windows the path is not absolute
		base = ""
	}
	return os.MkdirTemp(base, "datablock-test-")
}
