package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named is a test in a table of tests/README.md: its file and its name.
var named = regexp.MustCompile("`([\\w./-]+\\.\\w+): ([\\w-]+)`")

// TestEveryTestOfTheTableExists reads "Which test shows what" in tests/README.md: every file is
// there and has the test, and every status of datablock.h has a line.
func TestEveryTestOfTheTableExists(t *testing.T) {
	_, table, found := strings.Cut(read(t, "tests/README.md"), "\n## Which test shows what\n")
	if !found {
		t.Fatal("tests/README.md has no title \"Which test shows what\"")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	tests := named.FindAllStringSubmatch(table, -1)
	if len(tests) < 50 {
		t.Errorf("only %d tests were found: are they still written as this test looks for them?", len(tests))
	}
	for _, test := range tests {
		file, name := test[1], test[2]
		text, err := os.ReadFile(filepath.Join(root(t), file))
		if err != nil || !hasTest(string(text), name) {
			t.Errorf("tests/README.md names `%s: %s`, which is not there%s", file, name, elsewhere(t, name))
		}
	}
	statuses := regexp.MustCompile(`X\((DATABLOCK_E_\w+),`).FindAllStringSubmatch(read(t, "include/datablock.h"), -1)
	if len(statuses) == 0 {
		t.Error("no status was found in include/datablock.h")
	}
	for _, status := range statuses {
		if !strings.Contains(table, "| `"+status[1]+"` |") {
			t.Errorf("tests/README.md has no test for %s", status[1])
		}
	}
}

// hasTest reports whether a text has a test with this name: a function, a case of tests/c/errors.c,
// or a scenario of a program in quotation marks.
func hasTest(text, name string) bool {
	name = regexp.QuoteMeta(name)
	return regexp.MustCompile(`(?m)^(func|def) ` + name + `\(|\bX\(` + name + `\)|"` + name + `"`).MatchString(text)
}

// elsewhere says which file has a Go test that was moved.
func elsewhere(t *testing.T, name string) (hint string) {
	t.Helper()
	err := filepath.WalkDir(root(t), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), "\nfunc "+name+"(") {
			hint += ": it is in " + strings.TrimPrefix(path, root(t)+"/")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return hint
}
