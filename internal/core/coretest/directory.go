// Package coretest has what the tests of several packages of the core need.
package coretest

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// Directory makes a block directory for one test, in memory if there is such a file system, and
// removes it at the end.
func Directory(t testing.TB) string {
	base := "/dev/shm"
	if _, err := os.Stat(base); err != nil {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "datablock-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
