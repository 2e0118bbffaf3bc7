// Package process_test shows that processes which share a block survive the deaths of each other.
// The tests kill and stop real programs, in pairs and threes of languages, at exact places.
// tests/README.md describes the programs (workers) and how a test controls them.
//
// DATABLOCK_SOAK=1 runs every pair of languages and repeats the kills 200 times.
// DATABLOCK_PAIRS=all only runs every pair. DATABLOCK_TURN=N repeats the choice of pairs of another
// run.
package process_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// program has the command line and environment of a worker.
type program struct {
	argv []string
	env  []string
}

// workers has the programs by language. missing has the reason for each missing one.
var (
	workers = map[string]program{}
	missing = map[string]string{}
)

// library is the C library with crash points.
var library string

var soak = os.Getenv("DATABLOCK_SOAK") != ""

func TestMain(m *testing.M) {
	flag.Parse()
	// Parallel tests wait most of the time.
	if given := flag.Lookup("test.parallel"); given.Value.String() == given.DefValue {
		_ = given.Value.Set(strconv.Itoa(3 * runtime.GOMAXPROCS(0)))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "datablock-workers-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = buildWorkers(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for language, why := range missing {
		fmt.Fprintf(os.Stderr, "NOT SHOWN: nothing with %s: %s\n", language, why)
	}
	return m.Run()
}

// buildWorkers takes library and workers from the build that DATABLOCK_BUILD names. It compiles
// missing ones, so that plain `go test` works in a fresh clone.
func buildWorkers(dir string) error {
	if folder := os.Getenv("DATABLOCK_WORKERS"); folder != "" {
		return takeWorkers(folder)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // a test runs a worker as another user
		return err
	}
	root, err := filepath.Abs("../../..")
	if err != nil {
		return err
	}
	file := os.Getenv("DATABLOCK_GO_WORKER") // ctest has just built it
	if file == "" {
		file = filepath.Join(dir, "worker-go")
		err = command(root, "go", "build", "-buildvcs=false", "-tags=crashpoints", "-o", file, "./tests/go/worker")
		if err != nil {
			return err
		}
	}
	workers["go"] = program{argv: []string{file}}
	library = built("test", "libdatablock.so")
	if library == "" {
		library = filepath.Join(dir, "libdatablock.so")
		overlay, err := overlayOf(root, dir)
		if err != nil {
			return err
		}
		if err := command(root, "go", "build", "-buildvcs=false", "-tags=crashpoints", "-overlay="+overlay,
			"-buildmode=c-shared", "-o", library, "./capi"); err != nil {
			return err
		}
	}
	for _, c := range []struct{ language, compiler, otherwise, standard, source string }{
		{"c", "CC", "cc", "gnu11", "tests/c/worker.c"}, {"cpp", "CXX", "c++", "gnu++17", "tests/cpp/worker.cpp"},
	} {
		file := built("tests", c.language, "worker")
		if file == "" {
			compiler := os.Getenv(c.compiler)
			if compiler == "" {
				compiler = c.otherwise
			}
			file = filepath.Join(dir, "worker-"+c.language)
			if err := command(root, compiler, "-std="+c.standard, "-O2", "-g", "-Wall", "-Wextra", "-Wpedantic",
				"-Iinclude", "-o", file, c.source,
				"-L"+filepath.Dir(library), "-ldatablock", "-Wl,-rpath,"+filepath.Dir(library)); err != nil {
				return err
			}
		}
		workers[c.language] = program{argv: []string{file}}
	}
	findPython(root)
	return findRust(root)
}

// takeWorkers takes all workers from a folder. On Windows there is nothing that could compile them:
// tests/portability/windows/run.py does it.
func takeWorkers(folder string) error {
	for _, language := range languages {
		file := filepath.Join(folder, "worker-"+language+".exe")
		if _, err := os.Stat(file); err != nil {
			return err
		}
		workers[language] = program{argv: []string{file}}
	}
	return nil
}

// overlayOf writes the overlay of cmake/Library.cmake: the differences between a library and a Go
// program.
func overlayOf(root, dir string) (file string, err error) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	replaced := map[string]string{}
	for of, own := range map[string]string{"runtime/datablock.go": "runtime.go",
		"internal/poll/datablock.go": "poll.go", "syscall/rlimit.go": "rlimit.go"} {
		replaced[filepath.Join(strings.TrimSpace(string(goroot)), "src", of)] = filepath.Join(root, "capi", "_go", own)
	}
	content, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, content, 0o600)
}

// built returns the path of a product of the build that DATABLOCK_BUILD names, or "".
func built(path ...string) string {
	build := os.Getenv("DATABLOCK_BUILD")
	if build == "" {
		return ""
	}
	file := filepath.Join(append([]string{build}, path...)...)
	if _, err := os.Stat(file); err != nil {
		return ""
	}
	return file
}

// findPython selects the interpreter of `make setup`, or the system's. The package uses the library
// with crash points.
func findPython(root string) {
	interpreter := filepath.Join(root, ".venv", "bin", "python")
	if _, err := os.Stat(interpreter); err != nil {
		interpreter = "python3"
	}
	if out, err := exec.Command(interpreter, "-c", "import numpy").CombinedOutput(); err != nil {
		leaveOut("python", fmt.Sprintf("%s cannot import NumPy: %v %s", interpreter, err, out))
		return
	}
	workers["python"] = program{
		argv: []string{interpreter, filepath.Join(root, "tests", "python", "worker.py")},
		env:  []string{"PYTHONPATH=" + filepath.Join(root, "python"), "DATABLOCK_LIBRARY=" + library},
	}
}

// findRust takes the worker of the build, or compiles it if there is a toolchain.
func findRust(root string) error {
	if file := built("tests", "rust", "worker"); file != "" {
		workers["rust"] = program{argv: []string{file}}
		return nil
	}
	if _, err := exec.LookPath("cargo"); err != nil || os.Getenv("DATABLOCK_BUILD") != "" {
		leaveOut("rust", "there is no cargo, or it is too old for bindings/rust/Cargo.toml")
		return nil
	}
	target := filepath.Join(filepath.Dir(library), "rust")
	c := exec.Command("cargo", "build", "--quiet", "--release", "--offline", "--locked", "--package=datablock-worker")
	c.Dir = filepath.Join(root, "bindings", "rust")
	c.Env = append(os.Environ(), "DATABLOCK_LIB_DIR="+filepath.Dir(library), "CARGO_TARGET_DIR="+target)
	if out, err := c.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "requires rustc") {
			leaveOut("rust", string(out))
			return nil
		}
		return fmt.Errorf("%v: %w\n%s", c.Args, err, out)
	}
	workers["rust"] = program{argv: []string{filepath.Join(target, "release", "worker")}}
	return nil
}

// leaveOut takes a language out of all scenarios, with the reason.
func leaveOut(language, why string) {
	missing[language] = why
	languages = slices.DeleteFunc(slices.Clone(languages), func(l string) bool { return l == language })
}

func command(dir, name string, args ...string) error {
	c := exec.Command(name, args...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%v: %w\n%s", c.Args, err, out)
	}
	return nil
}
