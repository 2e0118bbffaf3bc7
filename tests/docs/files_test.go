package docs_test

import (
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	sourceFile = regexp.MustCompile(`^[\w./-]+\.(go|c)$`)
	oldPackage = regexp.MustCompile(`\bcore\.[A-Z]\w*`)
)

// otherNames are a file that a page lets its reader write, and a test of ctest.
var otherNames = []string{"docs/getting-started.md: thermometer.c", "tests/README.md: c.capi.go"}

// notOurs lists folders that the build makes, and folders with other programs.
var notOurs = []string{".git", ".venv", ".tools", "build", "node_modules", "target", "__pycache__"}

// files returns the files of the tree that have one of these endings.
func files(t *testing.T, endings ...string) (found []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root(t)), ".", func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains(notOurs, entry.Name()):
			return fs.SkipDir
		case slices.Contains(endings, path.Ext(file)) && entry.Type().IsRegular():
			found = append(found, file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestTheSourceFilesThatPagesNameExist: a page names a file by its path from the root, by its path
// from the page, or by the end of a path.
func TestTheSourceFilesThatPagesNameExist(t *testing.T) {
	there := map[string]bool{}
	for _, file := range files(t, ".go", ".c") {
		for end := file; ; {
			there[end] = true
			_, shorter, more := strings.Cut(end, "/")
			if !more {
				break
			}
			end = shorter
		}
	}
	found := 0
	for _, page := range files(t, ".md") {
		if page == "CHANGELOG.md" { // names what earlier versions had
			continue
		}
		for _, span := range codeSpan.FindAllStringSubmatch(fence.ReplaceAllString(read(t, page), ""), -1) {
			file, _, _ := strings.Cut(span[1], ": ") // "file: test", as in tests/README.md
			if !sourceFile.MatchString(file) || slices.Contains(otherNames, page+": "+file) {
				continue
			}
			found++
			if !there[file] && !there[path.Join(path.Dir(page), file)] {
				t.Errorf("%s names %s, which is not there", page, file)
			}
		}
	}
	if found < 100 {
		t.Errorf("only %d files were found: are they still written as this test looks for them?", found)
	}
}

// TestNoPageNamesAPackageCore: internal/core is a folder of four packages, so that "core.Name" is
// no name.
func TestNoPageNamesAPackageCore(t *testing.T) {
	for _, page := range files(t, ".md") {
		if page == "CHANGELOG.md" {
			continue
		}
		for _, name := range oldPackage.FindAllString(read(t, page), -1) {
			t.Errorf("%s names %s, and no package is called core", page, name)
		}
	}
}
