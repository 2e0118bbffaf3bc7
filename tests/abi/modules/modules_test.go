// Package modules tests what each of the two Go modules depends on.
package modules

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../../.."

// The library is loaded into other programs. Each dependency becomes a part of them.
var (
	linked = []string{"datablock", "golang.org/x/crypto", "golang.org/x/sys"}
	tested = []string{"github.com/stretchr/testify", "go.yaml.in/yaml/v3"}
)

// run prints what a command prints. Each module is alone, as in the build.
func run(t *testing.T, folder string, words ...string) []byte {
	t.Helper()
	command := exec.Command(words[0], words[1:]...)
	command.Dir = filepath.Join(root, folder)
	command.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=")
	out, err := command.Output()
	if failed, ok := err.(*exec.ExitError); ok {
		t.Fatalf("%v in %s: %v\n%s", words, folder, err, failed.Stderr)
	} else if err != nil {
		t.Fatalf("%v: %v", words, err)
	}
	return out
}

func TestTheLibraryLinksOnlyTheseModules(t *testing.T) {
	for _, package_ := range []string{".", "./capi"} {
		out := run(t, ".", "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", package_)
		modules := slices.Compact(slices.Sorted(slices.Values(strings.Fields(string(out)))))
		if !slices.Equal(modules, linked) {
			t.Errorf("%s links the modules %v, and may link %v", package_, modules, linked)
		}
	}
}

// module is the part of `go mod edit -json` that is compared.
type module struct {
	Module  struct{ Path string }
	Go      string
	Require []struct {
		Path     string
		Indirect bool
	}
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
}

func readModule(t *testing.T, folder string) (m module) {
	t.Helper()
	if err := json.Unmarshal(run(t, folder, "go", "mod", "edit", "-json"), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestTheLibraryRequiresOnlyTheseModules(t *testing.T) {
	library := readModule(t, ".")
	var required []string
	for _, one := range library.Require {
		required = append(required, one.Path)
	}
	slices.Sort(required)
	wanted := slices.Sorted(slices.Values(slices.Concat(linked[1:], tested)))
	if !slices.Equal(required, wanted) || len(library.Replace) != 0 {
		t.Errorf("go.mod requires %v, and may require %v; it replaces %v, and may replace nothing", required, wanted,
			library.Replace)
	}
}

func TestTheProgramsAreAModuleOfTheSameTree(t *testing.T) {
	library, programs := readModule(t, "."), readModule(t, "cmd")
	if programs.Module.Path != "datablock/cmd" || programs.Go != library.Go {
		t.Errorf("cmd/go.mod: module %s, go %s; expected datablock/cmd, go %s", programs.Module.Path, programs.Go,
			library.Go)
	}
	if len(programs.Replace) != 1 || programs.Replace[0].Old.Path != "datablock" ||
		filepath.Clean(programs.Replace[0].New.Path) != ".." {
		t.Errorf("cmd/go.mod replaces %v: expected only datablock => ../", programs.Replace)
	}
	var work struct {
		Go  string
		Use []struct{ DiskPath string }
	}
	if err := json.Unmarshal(run(t, ".", "go", "work", "edit", "-json", "go.work"), &work); err != nil {
		t.Fatal(err)
	}
	if work.Go != library.Go || len(work.Use) != 2 || work.Use[0].DiskPath != "." || work.Use[1].DiskPath != "./cmd" {
		t.Errorf("go.work: go %s, use %v; expected go %s, use . and ./cmd", work.Go, work.Use, library.Go)
	}
}
