package coretest

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Files returns what the files of a directory contain, by path.
func Files(t testing.TB, dir string) map[string][]byte {
	all := map[string][]byte{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		all[path], err = os.ReadFile(path)
		require.NoError(t, err)
	}
	return all
}

// Restore makes new files with what Files returned, and removes every other file of the directory.
func Restore(t testing.TB, dir string, files map[string][]byte) {
	for path := range Files(t, dir) {
		require.NoError(t, os.Remove(path))
	}
	for path, content := range files {
		require.NoError(t, os.WriteFile(path, content, 0o600))
	}
}
