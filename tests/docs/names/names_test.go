// Package names_test checks that every function exists that the protocol's document and its model
// name.
package names_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	comment = regexp.MustCompile(`(?s)/\*.*?\*/`)
	code    = regexp.MustCompile("`[^`]+`")
	// A method has its type before its name. A function is recognised by its inner capital.
	method = regexp.MustCompile(
		`\b(?:Producer|Consumer|Segment|Attachment|recoverySession|inspection|view)\.[a-zA-Z]\w*`)
	function = regexp.MustCompile(`\b(?:[a-z]+[A-Z]\w*|[A-Z][a-z]+[A-Z]\w*)`)
)

func TestTheFunctionsTheProtocolNamesExist(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	methods, names := functions(t, filepath.Join(root, "internal/core/*"), filepath.Join(root, "internal/platform"),
		filepath.Join(root, "internal/layout"))
	models, err := filepath.Glob(filepath.Join(root, "tests/proof/model/*.pml"))
	if err != nil || len(models) == 0 {
		t.Fatalf("no model: %v", err)
	}
	found := 0
	for file, part := range sources(root, models) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		said := strings.Join(part.FindAllString(string(text), -1), "\n")
		for _, name := range method.FindAllString(said, -1) {
			found++
			if !methods[name] {
				t.Errorf("%s names %s, which is no method of internal/core", file, name)
			}
		}
		for _, name := range function.FindAllString(said, -1) {
			found++
			if !names[name] {
				t.Errorf("%s names %s, which is nothing in internal/core, internal/platform or internal/layout",
					file, name)
			}
		}
	}
	if found < 50 {
		t.Errorf("only %d names were found: are they still written as this test looks for them?", found)
	}
}

// sources returns the files, and the patterns of their parts that name functions.
func sources(root string, models []string) map[string]*regexp.Regexp {
	of := map[string]*regexp.Regexp{filepath.Join(root, "docs/protocol.md"): code,
		filepath.Join(root, "tests/proof/model/README.md"): code}
	for _, model := range models {
		of[model] = comment
	}
	return of
}

// functions returns the functions that the folders declare: methods with their type, and all
// functions by their own name.
func functions(t *testing.T, folders ...string) (methods, names map[string]bool) {
	methods, names = map[string]bool{}, map[string]bool{}
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range parsed.Decls {
				f, ok := d.(*ast.FuncDecl)
				if !ok {
					declared(d.(*ast.GenDecl), names)
					continue
				}
				names[f.Name.Name] = true
				if f.Recv != nil {
					methods[strings.Trim(typeName(f.Recv.List[0].Type), "*")+"."+f.Name.Name] = true
				}
			}
		}
	}
	return methods, names
}

// declared adds the names of types, their fields and constants, which the document writes as it
// writes functions.
func declared(d *ast.GenDecl, names map[string]bool) {
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			names[spec.Name.Name] = true
			if of, ok := spec.Type.(*ast.StructType); ok {
				for _, field := range of.Fields.List {
					for _, id := range field.Names {
						names[id.Name] = true
					}
				}
			}
		case *ast.ValueSpec:
			for _, id := range spec.Names {
				names[id.Name] = true
			}
		}
	}
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.IndexExpr:
		return typeName(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}
