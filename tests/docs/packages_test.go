package docs_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"strings"
	"testing"
)

// exported returns the Go package's names: its declarations, and the members of its types as
// "Producer.Claim". `members` has the fields of structs, and the names that are only reachable
// ofTheLanguage are the methods of fmt.Stringer and of errors. The reference need not name them.
var ofTheLanguage = map[string]bool{"String": true, "Error": true, "Is": true, "Unwrap": true}

// goPackage reads the Go package of the root folder.
func goPackage(t *testing.T) *types.Package {
	t.Helper()
	set := token.NewFileSet()
	sources, err := filepath.Glob(filepath.Join(root(t), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, path := range sources {
		if !strings.HasSuffix(path, "_test.go") {
			file, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
	}
	checker := types.Config{Importer: importer.ForCompiler(set, "source", nil)}
	pkg, err := checker.Check("datablock", set, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

// through a type of an internal package.
func exported(t *testing.T) (names, members map[string]bool) {
	t.Helper()
	pkg := goPackage(t)
	names, members = map[string]bool{}, map[string]bool{}
	for _, name := range pkg.Scope().Names() {
		object := pkg.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		names[name] = true
		declared, isType := object.(*types.TypeName)
		if !isType {
			continue
		}
		methods := types.NewMethodSet(types.NewPointer(declared.Type()))
		for i := range methods.Len() {
			switch method := methods.At(i).Obj(); {
			case !method.Exported():
			case ofTheLanguage[method.Name()]:
				members[name+"."+method.Name()] = true
			case method.Pkg() == pkg && len(methods.At(i).Index()) == 1 && !declared.IsAlias():
				names[name+"."+method.Name()] = true
			default:
				members[name+"."+method.Name()] = true
			}
		}
		if fields, isStruct := declared.Type().Underlying().(*types.Struct); isStruct {
			for i := range fields.NumFields() {
				if fields.Field(i).Exported() {
					members[name+"."+fields.Field(i).Name()] = true
				}
			}
		}
	}
	return names, members
}
