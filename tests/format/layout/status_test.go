package layout_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"datablock/internal/core"
)

// codeNames returns the constants of type Code in internal/core, in their order.
func codeNames(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), "internal/core/errors.go"), nil, 0)
	ok(t, err)
	var names []string
	for _, decl := range file.Decls {
		group, is := decl.(*ast.GenDecl)
		if !is || group.Tok != token.CONST {
			continue
		}
		if kind, is := group.Specs[0].(*ast.ValueSpec).Type.(*ast.Ident); !is || kind.Name != "Code" {
			continue
		}
		for _, spec := range group.Specs {
			names = append(names, spec.(*ast.ValueSpec).Names[0].Name)
		}
	}
	return names
}

func TestStatusesAreTheSameInGoAndC(t *testing.T) {
	lines := runC(t,
		"#define SHOW(name, value, text) printf(\"%s %d %s\\n\", #name, value, text);\nDATABLOCK_STATUS_LIST(SHOW)\n")
	names := codeNames(t)
	if len(names) != len(lines) {
		t.Fatalf("internal/core has %d codes, datablock.h %d statuses", len(names), len(lines))
	}
	for value, name := range names {
		c := strings.Replace(cName(name), prefix, "DATABLOCK_E_", 1)
		if name == "OK" {
			c = "DATABLOCK_OK"
		}
		if want := fmt.Sprintf("%s %d %s", c, value, core.Code(value)); lines[value] != want {
			t.Errorf("datablock.h has %q where internal/core has %q", lines[value], want)
		}
	}
}

func TestChoicesAreTheSameInGoAndC(t *testing.T) {
	choices := map[string]uint64{
		"DATABLOCK_SINGLE": uint64(core.Single), "DATABLOCK_DOUBLE_BUFFER": uint64(core.DoubleBuffer),
		"DATABLOCK_RING":             uint64(core.Ring),
		"DATABLOCK_DELIVERY_DEFAULT": uint64(core.DeliveryDefault), "DATABLOCK_LOSSLESS": uint64(core.Lossless),
		"DATABLOCK_ORDERED": uint64(core.Ordered), "DATABLOCK_LATEST": uint64(core.Latest),
		"DATABLOCK_START_LATEST": uint64(core.StartLatest), "DATABLOCK_START_OLDEST": uint64(core.StartOldest),
		"DATABLOCK_FLAG_ALLOW_LOSSLESS":  core.AllowLossless,
		"DATABLOCK_FLAG_FORBID_LOSSLESS": core.ForbidLossless, "DATABLOCK_FLAG_REPLACE": core.Replace,
		"DATABLOCK_FLAG_FORCE":           core.Force,
		"DATABLOCK_FLAG_UNLINK_ON_CLOSE": core.UnlinkOnClose, "DATABLOCK_FLAG_TIMESTAMP": core.Timestamp,
	}
	var body strings.Builder
	for name := range choices {
		fmt.Fprintf(&body, "printf(\"%s %%d\\n\", (int)%s);\n", name, name)
	}
	for _, line := range runC(t, body.String()) {
		name, value, _ := strings.Cut(line, " ")
		if want := fmt.Sprint(choices[name]); value != want {
			t.Errorf("%s is %s in datablock.h and %s in internal/core", name, value, want)
		}
	}
}
