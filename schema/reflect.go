package schema

import (
	"fmt"
	"math/bits"
	"reflect"
	"strings"
	"unicode"
)

// FromType returns the schema of a Go struct, as the compiler lays it out.
//
// The name of a field is its tag, `datablock:"name"`, else its Go name in snake_case.
// `datablock:"name,char"` makes an array of bytes an array of char. Fields named _ are padding.
//
// A field must mean the same to another process of this machine: integers, floats, bool, arrays and
// structs of these. int, uint and uintptr have the size of this machine, like C's long.
//
// Without a name the schema has the name of the type: the result of its method DatablockSchemaName,
// else the type's own name.
//
// Errors: a type that is no struct; a field that means nothing to another process; as New.
func FromType(t reflect.Type, name string, version Version) (*Schema, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%v is no struct: a schema describes one", t)
	}
	layout, err := layoutOf(t)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", t, err)
	}
	if name == "" {
		name = nameOf(t)
	}
	if name == "" {
		return nil, fmt.Errorf("%v has no name: give the schema one", t)
	}
	return New(name, version, *layout)
}

// Named is a type that returns the name of its schema.
type Named interface{ DatablockSchemaName() string }

func nameOf(t reflect.Type) string {
	if !reflect.PointerTo(t).Implements(reflect.TypeFor[Named]()) {
		return t.Name() // without making one, which may be larger than the memory
	}
	return reflect.New(t).Interface().(Named).DatablockSchemaName()
}

func layoutOf(t reflect.Type) (*Layout, error) {
	if t.PkgPath() == "sync/atomic" {
		return nil, fmt.Errorf("%v is not to be copied, and a message is a copy: use the number", t)
	}
	l := &Layout{Size: uint64(t.Size()), Align: uint64(t.Align())}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Name == "_" {
			continue
		}
		name, option, _ := strings.Cut(f.Tag.Get("datablock"), ",")
		if name == "" {
			name = snakeCase(f.Name)
		}
		typ, err := typeOf(f.Type, option == "char")
		if err == nil && option != "" && option != "char" {
			err = fmt.Errorf("the tag's option %q is unknown: there is only char", option)
		}
		if err != nil {
			return nil, fmt.Errorf("field %s: %w", f.Name, err)
		}
		l.Fields = append(l.Fields, Field{Name: name, Type: typ, Offset: uint64(f.Offset)})
	}
	return l, nil
}

var ofGo = map[reflect.Kind]Kind{
	reflect.Int8: I8, reflect.Int16: I16, reflect.Int32: I32, reflect.Int64: I64, reflect.Uint8: U8,
	reflect.Uint16: U16, reflect.Uint32: U32, reflect.Uint64: U64,
	reflect.Float32: F32, reflect.Float64: F64, reflect.Bool: Bool,
	reflect.Int: ofSize(I32, I64), reflect.Uint: ofSize(U32, U64), reflect.Uintptr: ofSize(U32, U64),
}

// ofSize returns the one of the two kinds that has the machine's size.
func ofSize(four, eight Kind) Kind {
	if bits.UintSize == 32 {
		return four
	}
	return eight
}

func typeOf(t reflect.Type, char bool) (out Type, err error) {
	for t.Kind() == reflect.Array {
		out.Dims = append(out.Dims, uint64(t.Len()))
		t = t.Elem()
	}
	kind, scalar := ofGo[t.Kind()]
	switch {
	case t.Kind() == reflect.Struct:
		out.Nested, err = layoutOf(t)
	case t.Kind() == reflect.Complex64 || t.Kind() == reflect.Complex128:
		err = fmt.Errorf("%v has no counterpart in a schema: use an array of two floats", t)
	case !scalar:
		err = fmt.Errorf("%v is or has an address, which means nothing to another process: use integers, floats, "+
			"bool, arrays and structs of these", t)
	case char && kind != U8 && kind != I8:
		err = fmt.Errorf("char is for bytes, not for %v", t)
	case char:
		out.Kind = Char
	default:
		out.Kind = kind
	}
	return out, err
}

// snakeCase turns TimestampNs into timestamp_ns, HTTPPort into http_port, and URLs into urls. A
// capital begins a word behind a small letter; behind another capital or a digit it does where two
// small letters follow it. So the characters after the letters of an abbreviation stay with them:
// IPv4 is ipv4, ID3D is id3d, X2Y is x2y.
func snakeCase(name string) string {
	var b strings.Builder
	runes := []rune(name)
	small := func(i int) bool { return i >= 0 && i < len(runes) && unicode.IsLower(runes[i]) }
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && runes[i-1] != '_' && (small(i-1) || small(i+1) && small(i+2)) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
