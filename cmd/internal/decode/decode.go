// Package decode turns the bytes of a message into values, as the schema of its block describes
// them.
//
// A [Decoder] and a [Value] may be used by any goroutine: neither changes after it was made.
// Nothing here waits. Sizes, offsets and lengths are bytes. Numbers are in the byte order of the
// machine.
package decode

import (
	"bytes"
	"iter"
	"slices"

	"datablock/schema"
)

// Kind is what a [Value] is.
type Kind uint8

// The kinds. The comment says what [Value.Any] returns.
const (
	Bytes  Kind = iota // []byte: the message of a block without a schema
	Struct             // nil
	Array              // nil
	Int                // int64: i8 to i64
	Uint               // uint64: u8 to u64
	Float              // float32 or float64
	Bool               // bool, or uint64 when the byte is neither 0 nor 1
	Text               // string: a char, or the innermost dimension of an array of char
)

var kindNames = [...]string{Bytes: "bytes", Struct: "struct", Array: "array", Int: "int", Uint: "uint", Float: "float",
	Bool: "bool", Text: "text"}

func (k Kind) String() string { return kindNames[k] }

// Decoder decodes the messages of one schema.
type Decoder struct {
	schema *schema.Schema
	root   schema.Type
}

// New returns the decoder of a schema. nil: the block has none, and every message is bytes.
func New(s *schema.Schema) *Decoder {
	d := &Decoder{schema: s}
	if s != nil {
		d.root.Nested = &s.Layout
	}
	return d
}

// Schema returns the schema, or nil.
func (d *Decoder) Schema() *schema.Schema { return d.schema }

// Value is a part of a message: a struct, an array, a scalar, or bytes. The zero Value is an empty
// message without a schema.
type Value struct {
	// Short is how many bytes the message lacks of its struct. The value then has the fields, and
	// the items of arrays, that are wholly there. Only the value of a whole message has Short and
	// Rest.
	Short uint64
	Rest  []byte // what the message has after its struct; more structs in a row, perhaps

	typ  schema.Type // Nested is nil for bytes
	data []byte      // of typ, less when the message is too short
}

// Decode decodes a copy of the message. It accepts a message of any length.
func (d *Decoder) Decode(message []byte) Value {
	data := bytes.Clone(message)
	if d.schema == nil {
		return Value{data: data}
	}
	size, length := d.schema.Size, uint64(len(data))
	if length < size {
		return Value{typ: d.root, data: data, Short: size - length}
	}
	return Value{typ: d.root, data: data[:size:size], Rest: data[size:]}
}

// Kind returns what the value is.
func (v Value) Kind() Kind { return kindOf(v.typ) }

func kindOf(t schema.Type) Kind {
	switch {
	case t.Kind == schema.Char && len(t.Dims) <= 1:
		return Text
	case len(t.Dims) > 0:
		return Array
	case t.Kind == schema.Struct && t.Nested == nil:
		return Bytes
	}
	switch t.Kind {
	case schema.Struct:
		return Struct
	case schema.F32, schema.F64:
		return Float
	case schema.Bool:
		return Bool
	case schema.U8, schema.U16, schema.U32, schema.U64:
		return Uint
	}
	return Int
}

// Type returns the type that the schema declares. A value without a schema has the zero Type.
func (v Value) Type() schema.Type { return v.typ }

// Raw returns the bytes of the value. The caller must not change them.
func (v Value) Raw() []byte { return v.data }

// Len returns the number of fields of a struct or of items of an array, as far as the message has
// them, and the number of bytes of Bytes. Otherwise it returns 0.
func (v Value) Len() int {
	switch v.Kind() {
	case Bytes:
		return len(v.data)
	case Array:
		return int(uint64(len(v.data)) / itemType(v.typ).Size())
	case Struct:
		n := 0
		for range v.Fields() {
			n++
		}
		return n
	}
	return 0
}

// Fields iterates over the fields of a struct in order, as far as the message has them.
func (v Value) Fields() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.Kind() != Struct {
			return
		}
		for i := range v.typ.Nested.Fields {
			f := &v.typ.Nested.Fields[i]
			if part, ok := v.part(f.Offset, f.Type); ok && !yield(f.Name, part) {
				return
			}
		}
	}
}

// Items iterates over the items of an array in order, as far as the message has them.
func (v Value) Items() iter.Seq2[int, Value] {
	return func(yield func(int, Value) bool) {
		for i := range v.items() {
			if !yield(i, v.item(i)) {
				return
			}
		}
	}
}

func (v Value) items() int {
	if v.Kind() != Array {
		return 0
	}
	return v.Len()
}

// item is an item that the message has.
func (v Value) item(i int) Value {
	t := itemType(v.typ)
	size := int(t.Size())
	return Value{typ: t, data: v.data[i*size : (i+1)*size : (i+1)*size]}
}

// itemType returns the type of an item of the array.
func itemType(t schema.Type) schema.Type {
	t.Dims = t.Dims[1:]
	return t
}

// part is the part of the value at an offset. It reports false if the message has nothing of it
// that can be shown.
func (v Value) part(offset uint64, t schema.Type) (Value, bool) {
	there := uint64(len(v.data))
	if offset >= there {
		return Value{}, false
	}
	end := min(there, offset+t.Size())
	part := Value{typ: t, data: v.data[offset:end:end]}
	return part, part.complete() || part.begun()
}

func (v Value) complete() bool { return uint64(len(v.data)) == v.typ.Size() }

// begun reports whether the beginning of a value that is cut off has a meaning.
func (v Value) begun() bool {
	switch v.Kind() {
	case Struct:
		for range v.Fields() {
			return true
		}
	case Array:
		return v.Len() > 0
	case Text:
		return true
	}
	return false
}

// Path is a leaf of a schema.
type Path struct {
	// Path leads to the leaf. An array of structs on the way is [], for example "points[].x".
	Path   string
	Kind   schema.Kind // of an item, never Struct
	Dims   []uint64    // of all arrays on the way, outermost first; for char without that of the text
	Offset uint64      // of the first item in the message
	Size   uint64      // of one item, or of one text
}

// Paths returns every leaf of the schema in order. Without a schema there is none.
func (d *Decoder) Paths() []Path {
	if d.schema == nil {
		return nil
	}
	return leaves(nil, Path{}, d.root)
}

func leaves(to []Path, at Path, t schema.Type) []Path {
	at.Dims = append(slices.Clip(at.Dims), t.Dims...)
	if t.Kind == schema.Struct {
		for range t.Dims {
			at.Path += "[]"
		}
		for _, f := range t.Nested.Fields {
			next := at
			next.Path = joined(at.Path, f.Name)
			next.Offset += f.Offset
			to = leaves(to, next, f.Type)
		}
		return to
	}
	at.Kind, at.Size = t.Kind, t.ItemSize()
	if n := len(t.Dims); t.Kind == schema.Char && n > 0 {
		at.Size = t.Dims[n-1]
		at.Dims = at.Dims[:len(at.Dims)-1]
	}
	return append(to, at)
}

// Columns returns the path of every scalar and text of a message, in order: arrays are expanded, as
// in "points[0].x". There may be more than memory has room for. If there are more than limit,
// Columns returns the first ones and false.
func (d *Decoder) Columns(limit int) (columns []string, all bool) {
	if d.schema == nil {
		return nil, true
	}
	fields, all := Field{Type: d.root}.Scalars(limit)
	for _, f := range fields {
		columns = append(columns, f.Path)
	}
	return columns, all
}

func joined(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
