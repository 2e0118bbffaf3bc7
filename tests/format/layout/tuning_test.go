package layout_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const tuningPrefix = "DATABLOCK_TUNING_"

// tuningInGo returns the constants of tuning.go, by their C name.
func tuningInGo(t *testing.T) map[string]uint64 {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, filepath.Join(root(t), "internal/layout/tuning.go"), nil, 0)
	ok(t, err)
	checked, err := new(types.Config).Check("layout", files, []*ast.File{file}, nil)
	ok(t, err)
	values := map[string]uint64{}
	for _, name := range checked.Scope().Names() {
		value, exact := constant.Uint64Val(checked.Scope().Lookup(name).(*types.Const).Val())
		if !exact {
			t.Fatalf("%s is no unsigned number", name)
		}
		values[tuningPrefix+strings.TrimPrefix(cName(name), prefix)] = value
	}
	return values
}

// tuningInC returns the macros of datablock_tuning.h, with their values from the compiler.
func tuningInC(t *testing.T) map[string]uint64 {
	t.Helper()
	out, err := exec.Command(compiler(), "-std=c11", "-E", "-dM",
		filepath.Join(root(t), "include/datablock_tuning.h")).Output()
	ok(t, err)
	var body strings.Builder
	define := regexp.MustCompile(`(?m)^#define (` + tuningPrefix + `\w+) .+$`)
	for _, m := range define.FindAllStringSubmatch(string(out), -1) {
		fmt.Fprintf(&body, "printf(\"%s %%\" PRIu64 \"\\n\", (uint64_t)(%s));\n", m[1], m[1])
	}
	values := map[string]uint64{}
	for _, line := range runProgram(t, "#include <datablock_tuning.h>\n", body.String()) {
		var name string
		var value uint64
		_, err := fmt.Sscan(line, &name, &value)
		ok(t, err)
		values[name] = value
	}
	return values
}

func TestTuningIsTheSameInGoAndC(t *testing.T) {
	inGo, inC := tuningInGo(t), tuningInC(t)
	if len(inGo) < 10 {
		t.Fatalf("only %d constants were found in tuning.go", len(inGo))
	}
	for name, want := range inGo {
		if got, defined := inC[name]; !defined || got != want {
			t.Errorf("%s is %d in tuning.go, and %d (defined: %v) in datablock_tuning.h", name, want, got, defined)
		}
		delete(inC, name)
	}
	for name := range inC {
		t.Errorf("datablock_tuning.h defines %s, tuning.go does not", name)
	}
}
