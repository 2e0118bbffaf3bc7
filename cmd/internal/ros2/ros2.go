// Package ros2 shows the messages of a block as ROS 2 messages: a definition in the language of
// ROS 2 (ros2msg), and the bytes in its encoding (CDR).
//
// The bytes of a naturally aligned struct are CDR already, if the definition declares the padding
// as fields. Such a message is copied behind a header of four bytes. Every other struct is
// converted field by field: packed structs, and those whose fields are not aligned.
//
// ROS 2 has no arrays of arrays and no text of a fixed size. An array of arrays becomes one array
// with all items, and text becomes uint8[N]. Names get the form that ROS 2 requires.
//
// A [Message] never changes after it was made, and may be used by any goroutine. Nothing here
// waits.
package ros2

import (
	"encoding/binary"
	"fmt"
	"strings"

	"datablock/schema"
)

const (
	// Encoding is the name of the encoding of messages, in MCAP and in the Foxglove protocol.
	Encoding = "cdr"
	// SchemaEncoding is the name of the language of Text.
	SchemaEncoding = "ros2msg"

	folder = "datablock" // where the definitions seem to come from
)

// header says CDR in the byte order of the machine.
var header = func() []byte {
	order := binary.NativeEndian.AppendUint16(nil, 1)
	return []byte{0, order[0], 0, 0}
}()

// Message is the ROS 2 form of a schema.
type Message struct {
	schema *schema.Schema // nil: bytes
	types  []definition   // the first one is the message
	copies bool
	rest   string // the name of the field with the bytes after the struct, "" for none
}

// definition is one message type.
type definition struct {
	name   string // without the folder
	fields []field
}

type field struct {
	typ     string // with the dimension
	name    string
	comment string
	source  int // the index of the schema's field, -1: padding
}

// New returns the ROS 2 form of a schema. nil: the messages are bytes.
func New(s *schema.Schema) *Message { return newMessage(s, false) }

// NewWithRest is New for messages that may be longer than their struct. A last field, uint8[], has
// the bytes after the struct.
func NewWithRest(s *schema.Schema) *Message { return newMessage(s, true) }

func newMessage(s *schema.Schema, rest bool) *Message {
	if s == nil {
		return &Message{types: []definition{{"Bytes", []field{{"uint8[]", "data", "", 0}}}}}
	}
	m := &Message{schema: s, copies: natural(&s.Layout)}
	m.define(camel(s.Name), &s.Layout, names{})
	if top := &m.types[0]; rest {
		used := names{}
		for _, f := range top.fields {
			used[f.name] = true
		}
		m.rest = used.free("rest", "_")
		top.fields = append(top.fields, field{"uint8[]", m.rest, "after the struct", -1})
	}
	return m
}

// Name is the full name of the message type, for example datablock/msg/SensorReading.
func (m *Message) Name() string { return folder + "/msg/" + m.types[0].name }

// Copies reports whether a message is CDR as it is, behind the header.
func (m *Message) Copies() bool { return m.copies }

// Text returns the definition with those of the structs in it, as MCAP and Foxglove take it.
func (m *Message) Text() string {
	var b strings.Builder
	if m.schema != nil {
		fmt.Fprintf(&b, "# DataBlock schema %s %s, BLAKE2b-256 %x\n", m.schema.Name, m.schema.Version, m.schema.Hash())
	}
	for i, t := range m.types {
		if i > 0 {
			fmt.Fprintf(&b, "%s\nMSG: %s/%s\n", strings.Repeat("=", 80), folder, t.name)
		}
		for _, f := range t.fields {
			fmt.Fprintf(&b, "%s %s", f.typ, f.name)
			if f.comment != "" {
				b.WriteString("  # " + f.comment)
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

var scalars = map[schema.Kind]string{
	schema.I8: "int8", schema.I16: "int16", schema.I32: "int32", schema.I64: "int64", schema.U8: "uint8",
	schema.U16: "uint16", schema.U32: "uint32", schema.U64: "uint64", schema.F32: "float32", schema.F64: "float64",
	schema.Bool: "bool", schema.Char: "uint8",
}

// define adds the definition of a struct, and then those of the structs in it.
func (m *Message) define(name string, l *schema.Layout, types names) string {
	name = types.free(name, "")
	at := len(m.types)
	m.types = append(m.types, definition{name: name})
	used := names{}
	fields := make([]field, len(l.Fields))
	for i, f := range l.Fields {
		fields[i] = field{name: used.free(snake(f.Name), "_"), source: i}
		to := &fields[i]
		if f.Type.Kind == schema.Struct {
			to.typ = folder + "/" + m.define(name+camel(f.Name), f.Type.Nested, types)
		} else {
			to.typ = scalars[f.Type.Kind]
		}
		if len(f.Type.Dims) > 0 {
			to.typ += fmt.Sprintf("[%d]", f.Type.Count())
		}
		if f.Type.Kind == schema.Char || len(f.Type.Dims) > 1 {
			t := f.Type
			if t.Nested != nil { // the dimensions say enough
				t.Kind, t.Nested = schema.U8, nil
				to.comment = strings.TrimPrefix(t.String(), "u8")
			} else {
				to.comment = t.String()
			}
		}
	}
	if m.copies {
		fields = padded(fields, l, used)
	}
	m.types[at].fields = fields
	return name
}

// padded adds the bytes between the fields, and after the last one, as fields.
func padded(fields []field, l *schema.Layout, used names) (all []field) {
	end := uint64(0)
	gap := func(to uint64) {
		if to > end {
			name := used.free("padding", "_")
			all = append(all, field{fmt.Sprintf("uint8[%d]", to-end), name, "padding", -1})
		}
	}
	for i, f := range l.Fields {
		gap(f.Offset)
		all = append(all, fields[i])
		end = f.Offset + f.Type.Size()
	}
	gap(l.Size)
	return all
}

// natural reports whether every number of the struct is aligned to its size, so that CDR needs no
// padding beside the declared one.
func natural(l *schema.Layout) bool {
	for _, f := range l.Fields {
		size := largest(f.Type)
		if f.Offset%size != 0 || f.Type.Kind == schema.Struct &&
			(!natural(f.Type.Nested) || f.Type.Count() > 1 && f.Type.Nested.Size%size != 0) {
			return false
		}
	}
	return true
}

// largest is the size of the largest number in a type: the alignment that it needs.
func largest(t schema.Type) uint64 {
	if t.Kind != schema.Struct {
		return t.ItemSize()
	}
	most := uint64(1)
	for _, f := range t.Nested.Fields {
		most = max(most, largest(f.Type))
	}
	return most
}
