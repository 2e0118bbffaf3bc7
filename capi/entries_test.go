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
	bracket := regexp.MustCompile(`DBSHIM_GO\(\s*(?:thread|dbshim_self\(\)|begin_slowly\(\)),\s*$`)
	bracketed := map[string]bool{"dbgo_bind(": true, "dbgo_crash_point(": true}
	files, err := filepath.Glob("*.c")
	require.NoError(t, err)
	entries := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, at := range entry.FindAllIndex(text, -1) {
			entries++
			call := string(text[at[0]:at[1]])
			line := 1 + strings.Count(string(text[:at[0]]), "\n")
			require.True(t, bracket.Match(text[:at[0]]) || bracketed[call], "%s:%d: %s", file, line, call)
		}
	}
	require.Greater(t, entries, 30)
}
