package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every entry into Go goes through DBSHIM_GO, which blocks the signals of the thread. In two
// functions the bracket is written out.
func TestEveryEntryIntoGoBlocksSignals(t *testing.T) {
	entry := regexp.MustCompile(`\bdbgo_\w+\(`)
	bracketed := map[string]bool{"dbgo_bind(": true, "dbgo_crash_point(": true}
	files, err := filepath.Glob("*.c")
	require.NoError(t, err)
	entries := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for i, line := range strings.Split(string(text), "\n") {
			for _, call := range entry.FindAllString(line, -1) {
				entries++
				require.True(t, strings.Contains(line, "DBSHIM_GO(") || bracketed[call], "%s:%d: %s", file, i+1, line)
			}
		}
	}
	require.Greater(t, entries, 30)
}
