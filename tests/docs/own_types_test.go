package docs_test

import (
	"go/types"
	"strings"
	"testing"
)

// TestGoDocShowsThePublicTypes: go doc shows no field of a type of an internal package, and a user
// cannot import the package.
func TestGoDocShowsThePublicTypes(t *testing.T) {
	pkg := goPackage(t)
	checked := 0
	for _, name := range pkg.Scope().Names() {
		object := pkg.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		checked++
		for _, of := range append([]types.Type{object.Type()}, members(object)...) {
			mentions(of, func(other *types.TypeName) {
				full := other.Pkg().Path() + "." + other.Name()
				if strings.Contains(full, "/internal/") {
					t.Errorf("%s shows %s, which is internal", name, full)
				}
			})
		}
	}
	if checked < 50 {
		t.Errorf("only %d names were found", checked)
	}
}

// members returns the types of the exported fields and methods of a type.
func members(object types.Object) (all []types.Type) {
	declared, isType := object.(*types.TypeName)
	if !isType {
		return nil
	}
	methods := types.NewMethodSet(types.NewPointer(declared.Type()))
	for i := range methods.Len() {
		if method := methods.At(i).Obj(); method.Exported() {
			all = append(all, method.Type())
		}
	}
	if fields, isStruct := declared.Type().Underlying().(*types.Struct); isStruct {
		for i := range fields.NumFields() {
			if fields.Field(i).Exported() {
				all = append(all, fields.Field(i).Type())
			}
		}
	}
	return all
}

// mentions calls found for each named type of a package that a type is made of.
func mentions(of types.Type, found func(*types.TypeName)) {
	switch of := types.Unalias(of).(type) {
	case *types.Named:
		if of.Obj().Pkg() != nil {
			found(of.Obj())
		}
		for i := range of.TypeArgs().Len() {
			mentions(of.TypeArgs().At(i), found)
		}
	case interface{ Elem() types.Type }: // a pointer, slice, array or channel
		mentions(of.Elem(), found)
	case *types.Signature:
		mentions(of.Params(), found)
		mentions(of.Results(), found)
	case *types.Tuple:
		for i := range of.Len() {
			mentions(of.At(i).Type(), found)
		}
	}
}
