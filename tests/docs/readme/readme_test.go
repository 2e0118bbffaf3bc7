// Package readme_test runs the commands and programs of README.md.
package readme_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func build(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("DATABLOCK_BUILD")
	if dir == "" {
		dir = filepath.Join(root(t), "build")
	}
	if _, err := os.Stat(filepath.Join(dir, "libdatablock.so")); err != nil {
		t.Fatalf("%v: build the library first (make all), or say with DATABLOCK_BUILD where it is", err)
	}
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block returns the README's only code block in this language.
func block(t *testing.T, language string) string {
	t.Helper()
	blocks := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(blocks) != 1 {
		t.Fatalf("README.md has %d code blocks in %s, expected 1", len(blocks), language)
	}
	return blocks[0][1]
}

func run(t *testing.T, directory string, environment []string, name string, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Dir = directory
	c.Env = append(os.Environ(), environment...)
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestReadmeShowsTheExamples(t *testing.T) {
	const most = 20 // lines that are not empty
	for language, path := range map[string]string{"c": "examples/c/hello.c", "go": "examples/go/hello/main.go"} {
		if block(t, language) != read(t, path) {
			t.Errorf("the %s example in README.md is not %s", language, path)
		}
		if lines := len(regexp.MustCompile(`(?m)^.+$`).FindAllString(block(t, language), -1)); lines > most {
			t.Errorf("the %s example in README.md has %d lines, at most %d are to be read", language, lines, most)
		}
	}
}

func TestReadmeExamplesTalkToEachOther(t *testing.T) {
	lib, work, blocks := build(t), t.TempDir(), t.TempDir()
	environment := []string{"DATABLOCK_DIR=" + blocks}

	source := filepath.Join(work, "hello.c")
	if err := os.WriteFile(source, []byte(block(t, "c")), 0o600); err != nil {
		t.Fatal(err)
	}
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	run(t, work, nil, cc, "-Wall", "-Wextra", "-Werror", "-I", filepath.Join(root(t), "include"), "-o", "write", source,
		"-L", lib, "-ldatablock", "-Wl,-rpath,"+lib)
	run(t, work, environment, "./write")

	run(t, root(t), nil, "go", "build", "-buildvcs=false", "-o", filepath.Join(work, "read"), "./examples/go/hello")
	got := run(t, work, environment, "./read")
	want := "message 0: greeting 0 from C\nmessage 1: greeting 1 from C\nmessage 2: greeting 2 from C\n" +
		"message 3: greeting 3 from C\nmessage 4: greeting 4 from C\n"
	if got != want {
		t.Errorf("the Go example printed\n%sexpected\n%s", got, want)
	}
	run(t, work, environment, filepath.Join(lib, "datablock-admin"), "unlink", "--shm-name", "hello")
	left, err := os.ReadDir(blocks)
	if err != nil || len(left) != 0 {
		t.Errorf("the examples leave %v in the block directory (%v)", left, err)
	}
}

func TestReadmeGoExampleInAModuleOfItsOwn(t *testing.T) {
	work := t.TempDir()
	if err := os.WriteFile(filepath.Join(work, "main.go"), []byte(block(t, "go")), 0o600); err != nil {
		t.Fatal(err)
	}
	// The dependencies of this module are downloaded already.
	offline := []string{"GOPROXY=off", "GOSUMDB=off", "GOFLAGS=", "CGO_ENABLED=0"}
	edit := regexp.MustCompile(
		"`(go mod edit -require=.*)/path/to/these/sources`, then `(go mod tidy)`").FindStringSubmatch(
		read(t, "README.md"))
	if edit == nil {
		t.Fatal("README.md does not say how a module of one's own finds the package")
	}
	for _, command := range []string{"go mod init example", edit[1] + root(t), edit[2], "go build"} {
		words := strings.Fields(command)
		run(t, work, offline, words[0], words[1:]...)
	}
}
