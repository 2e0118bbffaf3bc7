package schema

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// FromType is the schema of a Go struct, as its compiler lays it out.
//
// A field's name is that of its tag, `datablock:"name"`, else its Go name in snake_case. `datablock:"name,char"` makes an array of bytes an array of char. Fields called _ are padding.
// Only what has a size of its own means the same to another process: integers of a given size, floats, bool, arrays and structs of these.
func FromType(t reflect.Type, name string, version Version) (*Schema, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%v is no struct: a schema describes one", t)
	}
	layout, err := layoutOf(t)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", t, err)
	}
	return New(name, version, *layout)
}

func layoutOf(t reflect.Type) (*Layout, error) {
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
	reflect.Int8: I8, reflect.Int16: I16, reflect.Int32: I32, reflect.Int64: I64, reflect.Uint8: U8, reflect.Uint16: U16, reflect.Uint32: U32, reflect.Uint64: U64,
	reflect.Float32: F32, reflect.Float64: F64, reflect.Bool: Bool,
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
	case t.Kind() == reflect.Int || t.Kind() == reflect.Uint || t.Kind() == reflect.Uintptr:
		err = fmt.Errorf("%v has another size on another machine: use one of a given size, such as int64", t)
	case !scalar:
		err = fmt.Errorf("%v is or has an address, which means nothing to another process: use integers, floats, bool, arrays and structs of these", t)
	case char && kind != U8 && kind != I8:
		err = fmt.Errorf("char is for bytes, not for %v", t)
	case char:
		out.Kind = Char
	default:
		out.Kind = kind
	}
	return out, err
}

// snakeCase turns TimestampNs into timestamp_ns, and HTTPPort into http_port.
func snakeCase(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (!unicode.IsUpper(runes[i-1]) && runes[i-1] != '_' || i+1 < len(runes) && unicode.IsLower(runes[i+1]) && unicode.IsUpper(runes[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
