package tidy

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// languages maps the end of a file's name to its language. Other files are not read.
var languages = map[string]string{
	".go": "go", ".s": "asm", ".c": "c", ".h": "c", ".hpp": "c++", ".cpp": "c++", ".rs": "rust", ".java": "java",
	".js": "js", ".mjs": "js",
	".py": "python", ".pyi": "python", ".sh": "shell", ".cmake": "cmake", "CMakeLists.txt": "cmake", "Makefile": "make",
	".md": "markdown", ".pml": "promela",
}

// notOurs lists folders that the build makes, and folders with other programs. The source archive
// has vendor.
var notOurs = []string{".git", ".venv", ".tools", "build", "node_modules", "target", "__pycache__", "testdata",
	"vendor"}

// tree reads every text file of the repository, in the order of its paths.
func tree(t *testing.T) []*text {
	t.Helper()
	root := filepath.Join("..", "..")
	var files []*text
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains(notOurs, entry.Name()) {
			return fs.SkipDir
		}
		language := languageOf(entry.Name())
		if !entry.Type().IsRegular() || language == "" {
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		files = append(files, newText(filepath.ToSlash(name), language, string(content)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("only %d files were found: is this the root of the repository?", len(files))
	}
	return files
}

func languageOf(name string) string {
	if language := languages[name]; language != "" {
		return language
	}
	return languages[strings.ToLower(filepath.Ext(name))]
}
