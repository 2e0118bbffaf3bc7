// Package schema describes a struct so exactly that two programs, in any languages, can decide
// whether they mean the same bytes: names, types, counts, offsets, size and alignment.
//
// Every schema has one canonical text, whatever its source is (text, a C struct, a Go type, a NumPy
// dtype). The BLAKE2b-256 hash of the text is the identity of the schema. docs/schema.md has the
// grammar and the rules.
//
// Nothing here waits; a [Directory] reads and writes files. Every other function may be called from
// any goroutine: a [Schema] never changes after it was made. The caller owns what a function
// returns, and a function keeps nothing of what it is given. Sizes, offsets and alignments are
// bytes.
package schema

import "fmt"

// The limits of a schema. Texts come from shared memory and from untrusted users. Each limit bounds
// the memory and the time that a text can use.
const (
	MaxText   = 64 << 10 // bytes of a text, canonical or not
	MaxName   = 63       // bytes of a name
	MaxDepth  = 8        // structs in structs
	MaxFields = 1024     // in total
	MaxDims   = 8
	MaxAlign  = 4096
	MaxSize   = 1 << 40 // bytes
)

// Kind is the type of a field's items.
type Kind uint8

// The kinds. Their names are those of the text form.
const (
	Struct Kind = iota
	I8
	I16
	I32
	I64
	U8
	U16
	U32
	U64
	F32
	F64
	Bool
	Char
)

var scalars = [...]struct {
	name string
	size uint64 // and alignment
}{
	Struct: {"", 0}, I8: {"i8", 1}, I16: {"i16", 2}, I32: {"i32", 4}, I64: {"i64", 8}, U8: {"u8", 1}, U16: {"u16", 2},
	U32: {"u32", 4}, U64: {"u64", 8},
	F32: {"f32", 4}, F64: {"f64", 8}, Bool: {"bool", 1}, Char: {"char", 1},
}

func (k Kind) String() string {
	if k == Struct {
		return "struct"
	}
	return scalars[k].name
}

// kindOf finds a scalar by its name.
func kindOf(name string) (Kind, bool) {
	for k := I8; k <= Char; k++ {
		if scalars[k].name == name {
			return k, true
		}
	}
	return 0, false
}

// Schema is a struct with a name and a version. The schemas that this package returns satisfy all
// rules. Programs must not change them.
type Schema struct {
	Name    string
	Version Version
	Layout
}

// Layout is the inside of a struct.
type Layout struct {
	Fields []Field // in the order of their offsets, without overlap
	Size   uint64
	Align  uint64 // 1: packed
}

// Field is one name of a struct.
type Field struct {
	Name   string
	Type   Type
	Offset uint64 // from the beginning of its own struct
}

// Type is a scalar or a struct, once or in an array.
type Type struct {
	Kind   Kind
	Dims   []uint64 // of the array, outermost first; none: one item
	Nested *Layout  // of a Struct
}

// Count returns the number of items.
func (t Type) Count() uint64 {
	n := uint64(1)
	for _, d := range t.Dims {
		n *= d
	}
	return n
}

// ItemSize returns the size of one item in bytes.
func (t Type) ItemSize() uint64 {
	if t.Kind == Struct {
		return t.Nested.Size
	}
	return scalars[t.Kind].size
}

// Size returns the size of all items in bytes.
func (t Type) Size() uint64 { return t.Count() * t.ItemSize() }

// Align returns the alignment of the type where nothing is packed.
func (t Type) Align() uint64 {
	if t.Kind == Struct {
		return t.Nested.Align
	}
	return scalars[t.Kind].size
}

func (f Field) end() uint64 { return f.Offset + f.Type.Size() }

// New makes a schema of a name, a version and a layout, and checks the layout.
// The error names the field and the rule that it breaks.
func New(name string, version Version, layout Layout) (*Schema, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	fields := 0
	if err := layout.check(1, &fields, true); err != nil {
		return nil, fmt.Errorf("schema %s: %w", name, err)
	}
	s := &Schema{name, version, layout}
	if n := len(s.Canonical()); n > MaxText {
		return nil, fmt.Errorf("schema %s: its canonical text has %d bytes, the limit is %d", name, n, MaxText)
	}
	return s, nil
}

// check checks all rules of the layout. With inside it also checks the inner structs. Without
// inside they have been checked already, because a struct that is named once may be used a thousand
// times.
func (l *Layout) check(depth int, fields *int, inside bool) error {
	switch {
	case depth > MaxDepth:
		return fmt.Errorf("structs are nested more than %d deep", MaxDepth)
	case len(l.Fields) == 0:
		return fmt.Errorf("a struct has no fields: give it at least one")
	case l.Align == 0 || l.Align&(l.Align-1) != 0 || l.Align > MaxAlign:
		return fmt.Errorf("an alignment of %d: use a power of two up to %d", l.Align, MaxAlign)
	}
	if *fields += len(l.Fields); *fields > MaxFields {
		return fmt.Errorf("more than %d fields in all", MaxFields)
	}
	names, end := map[string]bool{}, uint64(0)
	for i := range l.Fields {
		f := &l.Fields[i]
		if err := checkName(f.Name); err != nil {
			return err
		}
		if names[f.Name] {
			return fmt.Errorf("two fields are called %q", f.Name)
		}
		names[f.Name] = true
		if err := f.Type.check(depth, fields, inside); err != nil {
			return fmt.Errorf("field %q: %w", f.Name, err)
		}
		if f.Offset < end {
			return fmt.Errorf("field %q is at %d, and what is before it ends at %d: fields stand in the order of "+
				"their offsets, without overlap", f.Name, f.Offset, end)
		}
		if f.Offset > MaxSize {
			return tooLarge(fmt.Sprintf("field %q", f.Name))
		}
		end = f.end()
	}
	switch {
	case l.Size > MaxSize:
		return tooLarge("the struct")
	case l.Size < end:
		return fmt.Errorf("a size of %d bytes, and its last field ends at %d", l.Size, end)
	case l.Size%l.Align != 0:
		return fmt.Errorf("a size of %d bytes is no multiple of its alignment, %d", l.Size, l.Align)
	}
	return nil
}

func (t Type) check(depth int, fields *int, inside bool) error {
	if t.Kind > Char || (t.Kind == Struct) != (t.Nested != nil) {
		return fmt.Errorf("has no type")
	}
	if t.Kind == Struct && inside {
		if err := t.Nested.check(depth+1, fields, true); err != nil {
			return err
		}
	}
	if len(t.Dims) > MaxDims {
		return fmt.Errorf("has %d dimensions, the limit is %d", len(t.Dims), MaxDims)
	}
	size := t.ItemSize()
	for _, d := range t.Dims {
		if d == 0 {
			return fmt.Errorf("an array of no items: its dimensions are 1 or more")
		}
		if d > MaxSize/size {
			return tooLarge("the array")
		}
		size *= d
	}
	return nil
}

func tooLarge(what string) error {
	return fmt.Errorf("%s is larger than %d bytes", what, uint64(MaxSize))
}

// checkName reports why a name is invalid. Names become fields in C, C++, Go and Python.
func checkName(name string) error {
	if name == "" {
		return fmt.Errorf("an empty name")
	}
	if len(name) > MaxName {
		return fmt.Errorf("the name %.20q… has %d bytes, the limit is %d", name, len(name), MaxName)
	}
	for i, c := range []byte(name) {
		if !isLetter(c) && (i == 0 || !isDigit(c)) {
			return fmt.Errorf("the name %q: use letters, digits and _, beginning with no digit", name)
		}
	}
	return nil
}

func isLetter(c byte) bool { return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// place returns the next offset after `end` that the type of a field allows.
func place(end uint64, t Type, packed bool) uint64 {
	if packed {
		return end
	}
	return roundUp(end, t.Align())
}

func roundUp(n, to uint64) uint64 {
	return (n + to - 1) / to * to
}

// close derives size and alignment where they are 0, which means not given.
func (l *Layout) close(packed bool) {
	if l.Align == 0 {
		l.Align = 1
		for _, f := range l.Fields {
			if !packed {
				l.Align = max(l.Align, f.Type.Align())
			}
		}
	}
	if l.Size == 0 && len(l.Fields) > 0 {
		l.Size = roundUp(l.Fields[len(l.Fields)-1].end(), l.Align)
	}
}
