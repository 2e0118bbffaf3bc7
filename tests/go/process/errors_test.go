//go:build !windows

package process_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// errorRow is a row of docs/errors.md: the status and the message of a failing call.
type errorRow struct {
	name, status, message string
}

// errorTables reads the tables of docs/errors.md: the guide's line of every status, and the rows of
// all cases.
func errorTables(t *testing.T) (guide map[string]string, rows []errorRow) {
	t.Helper()
	text, err := os.ReadFile("../../../docs/errors.md")
	require.NoError(t, err)
	guide = map[string]string{}
	table := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.Trim(strings.TrimSpace(cells[i]), "`")
		}
		switch {
		case !strings.HasPrefix(line, "|"):
			table = ""
		case table == "":
			table = strings.Join(cells, " ")
		case strings.HasPrefix(line, "|---"):
		case table == "status meaning what to do":
			require.NotContains(t, guide, cells[0])
			guide[cells[0]] = line
		case table == "case status message":
			require.Len(t, cells, 3, line)
			rows = append(rows, errorRow{cells[0], cells[1], cells[2]})
		}
	}
	return guide, rows
}

// errorProgram returns the program tests/c/errors.c from the build that DATABLOCK_BUILD names, or
// compiles it here. inline: with the inline functions.
func errorProgram(t *testing.T, inline bool) string {
	t.Helper()
	name, define := "errors", "-DTEST_EXPORTED"
	if inline {
		name, define = "errors.inline", "-DTEST_INLINE"
	}
	if program := built("tests", "c", name); program != "" {
		return program
	}
	root, err := filepath.Abs("../../..")
	require.NoError(t, err)
	// The Go tool repeats a cached test when a file changes that the test has opened. It does not
	// know the files that the compilers read, so the test opens them here.
	sources, err := filepath.Glob(filepath.Join(root, "capi", "*"))
	require.NoError(t, err)
	for _, source := range append(sources, filepath.Join(root, "tests", "c", "errors.c"),
		filepath.Join(root, "tests", "c", "check.h")) {
		_, err := os.Stat(source)
		require.NoError(t, err)
	}
	program := filepath.Join(t.TempDir(), name)
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	require.NoError(t, command(root, cc, "-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
		"-pthread", define, "-Iinclude", "-o", program, "tests/c/errors.c",
		"-L"+filepath.Dir(library), "-ldatablock", "-Wl,-rpath,"+filepath.Dir(library)))
	return program
}

// bringAbout provokes one error in an empty directory, and returns its status and message.
func bringAbout(t *testing.T, program, name string, env []string) (status, message string) {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "datablock-test-")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o755)) // some cases continue as another user
	c := exec.Command(program, name, dir)
	c.Env = append(append(os.Environ(), "DATABLOCK_DIR="), env...)
	out, err := c.Output()
	status, message, tab := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\t")
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		t.Errorf("%s: %v: %s%s", name, err, failed.Stderr, out)
	} else {
		require.NoError(t, err)
	}
	require.Truef(t, tab, "%s printed %q", name, out)
	return status, message
}

// matches compares a message with its pattern, in which … stands for any text.
func matches(pattern, message string) bool {
	parts := strings.Split(pattern, "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile("(?s)^" + strings.Join(parts, ".+") + "$").MatchString(message)
}

func TestErrorsAreAsDocumented(t *testing.T) {
	_, rows := errorTables(t)
	out, err := exec.Command(errorProgram(t, false)).Output()
	require.NoError(t, err)
	var documented []string
	for _, row := range rows {
		documented = append(documented, row.name)
	}
	// This also finds a duplicate name.
	require.ElementsMatch(t, strings.Fields(string(out)), documented,
		"the cases of tests/c/errors.c and those of docs/errors.md")

	for _, way := range []struct {
		name   string
		inline bool
		env    []string
	}{{"exported", false, nil}, {"inline", true, nil}, {"through_go", false, []string{"DATABLOCK_TEST_GO=1"}}} {
		t.Run(way.name, func(t *testing.T) {
			program := errorProgram(t, way.inline)
			for _, row := range rows {
				t.Run(row.name, func(t *testing.T) {
					t.Parallel()
					row.holds(t, program, way.env)
				})
			}
		})
	}
}

// holds provokes the error and compares the result with the row.
func (row errorRow) holds(t *testing.T, program string, env []string) {
	t.Helper()
	require.Greater(t, len(strings.ReplaceAll(row.message, "…", "")), 10, "a pattern that fits everything")
	status, message := bringAbout(t, program, row.name, env)
	if status == "SKIP" {
		t.Logf("NOT TESTED: %s: %s", row.name, message)
		t.Skip(message)
	}
	if status != row.status || !matches(row.message, message) {
		t.Errorf("docs/errors.md has\n| `%s` | `%s` | `%s` |\nand the library\n| `%s` | `%s` | `%s` |", row.name,
			row.status, row.message, row.name, status, message)
	}
}

func TestErrorsCoverEveryStatus(t *testing.T) {
	guide, rows := errorTables(t)
	header, err := os.ReadFile("../../../include/datablock.h")
	require.NoError(t, err)
	statuses := regexp.MustCompile(`X\((DATABLOCK_\w+), \d+, "`).FindAllStringSubmatch(string(header), -1)
	require.NotEmpty(t, statuses)
	occurs := map[string]bool{"DATABLOCK_OK": true}
	for _, row := range rows {
		occurs[row.status] = true
	}
	for _, status := range statuses {
		line, ok := guide[status[1]]
		switch {
		case !ok:
			t.Errorf("docs/errors.md does not say what %s means", status[1])
		case occurs[status[1]] == strings.Contains(line, "cannot occur yet"):
			t.Errorf(
				"docs/errors.md: %s needs a case that brings it about, or else a line saying that it cannot "+
					"occur yet, and has: %s", status[1], line)
		}
		delete(guide, status[1])
	}
	assert.Empty(t, guide, "docs/errors.md explains statuses that include/datablock.h does not have")
}
