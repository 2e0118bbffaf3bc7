package layout_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"
)

// codeNames returns the constants of type Code in internal/core/status, in their order.
func codeNames(t *testing.T) []string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root(t), "internal/core/status/errors.go"), nil, 0)
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
		t.Fatalf("internal/core/status has %d codes, datablock.h %d statuses", len(names), len(lines))
	}
	for value, name := range names {
		c := strings.Replace(cName(name), prefix, "DATABLOCK_E_", 1)
		if name == "OK" {
			c = "DATABLOCK_OK"
		}
		if want := fmt.Sprintf("%s %d %s", c, value, status.Code(value)); lines[value] != want {
			t.Errorf("datablock.h has %q where internal/core/status has %q", lines[value], want)
		}
	}
}

func TestChoicesAreTheSameInGoAndC(t *testing.T) {
	choices := map[string]uint64{
		"DATABLOCK_SINGLE": uint64(segment.Single), "DATABLOCK_DOUBLE_BUFFER": uint64(segment.DoubleBuffer),
		"DATABLOCK_RING":             uint64(segment.Ring),
		"DATABLOCK_DELIVERY_DEFAULT": uint64(segment.DeliveryDefault), "DATABLOCK_LOSSLESS": uint64(segment.Lossless),
		"DATABLOCK_ORDERED": uint64(segment.Ordered), "DATABLOCK_LATEST": uint64(segment.Latest),
		"DATABLOCK_START_LATEST": uint64(segment.StartLatest), "DATABLOCK_START_OLDEST": uint64(segment.StartOldest),
		"DATABLOCK_FLAG_ALLOW_LOSSLESS":  segment.AllowLossless,
		"DATABLOCK_FLAG_FORBID_LOSSLESS": segment.ForbidLossless, "DATABLOCK_FLAG_REPLACE": segment.Replace,
		"DATABLOCK_FLAG_FORCE":           segment.Force,
		"DATABLOCK_FLAG_RECLAIM":         segment.Reclaim,
		"DATABLOCK_FLAG_UNLINK_ON_CLOSE": segment.UnlinkOnClose, "DATABLOCK_FLAG_TIMESTAMP": segment.Timestamp,
	}
	var body strings.Builder
	for name := range choices {
		fmt.Fprintf(&body, "printf(\"%s %%d\\n\", (int)%s);\n", name, name)
	}
	for _, line := range runC(t, body.String()) {
		name, value, _ := strings.Cut(line, " ")
		if want := fmt.Sprint(choices[name]); value != want {
			t.Errorf("%s is %s in datablock.h and %s in internal/core/segment", name, value, want)
		}
	}
}
