// Package layout_test compares the definitions in Go with their copies: the C headers and the
// document.
package layout_test

import (
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// definition has every constant of internal/layout, by name.
type definition struct {
	values  map[string]uint64
	offsets map[string]bool // the constants that are offsets of words
}

// regionDocs has the beginnings of the comments above the groups of constants that are offsets of
// words.
var regionDocs = []string{"Data file, page 0", "Data file, page 1", "Control file, page 0", "One participant row",
	"Slot header", "The recovery log"}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	ok(t, err)
	return dir
}

func readDefinition(t *testing.T) definition {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, filepath.Join(root(t), "internal/layout/layout.go"), nil, parser.ParseComments)
	ok(t, err)
	checked, err := new(types.Config).Check("layout", files, []*ast.File{file}, nil)
	ok(t, err)

	d := definition{values: map[string]uint64{}, offsets: map[string]bool{}}
	for _, name := range checked.Scope().Names() {
		if c, is := checked.Scope().Lookup(name).(*types.Const); is {
			value, exact := constant.Uint64Val(c.Val())
			if !exact {
				t.Fatalf("constant %s = %v is no unsigned number", name, c.Val())
			}
			d.values[name] = value
		}
	}
	found := 0
	for _, decl := range file.Decls {
		group, is := decl.(*ast.GenDecl)
		if !is || group.Tok != token.CONST || !isRegion(group.Doc.Text()) {
			continue
		}
		found++
		for _, spec := range group.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				d.offsets[name.Name] = true
			}
		}
	}
	if found != len(regionDocs) {
		t.Fatalf("layout.go has %d groups of offsets, expected one for each of %q", found, regionDocs)
	}
	return d
}

func isRegion(doc string) bool {
	for _, beginning := range regionDocs {
		if strings.HasPrefix(doc, beginning) {
			return true
		}
	}
	return false
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), path))
	ok(t, err)
	return string(text)
}
