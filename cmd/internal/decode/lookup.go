package decode

import (
	"fmt"
	"strconv"
	"strings"

	"datablock/schema"
)

// Field is a part of every message of a schema: what a path leads to.
type Field struct {
	Path   string
	Type   schema.Type
	Offset uint64 // in the message
}

// Field resolves a path, such as "pose.x", "points[3].y" or "matrix[1][2]". The empty path is the
// whole message. The error names the part of the path that is wrong, and what is there instead.
func (d *Decoder) Field(path string) (Field, error) {
	return resolve(d.root, path)
}

// In returns the field of a message of the same schema. The error says what the message lacks.
func (f Field) In(v Value) (Value, error) {
	if f.Path == "" {
		return v, nil
	}
	part, ok := v.part(f.Offset, f.Type)
	if !ok {
		return Value{}, fmt.Errorf("%q is at bytes %d to %d, and the message ends at byte %d", f.Path, f.Offset,
			f.Offset+f.Type.Size(), len(v.data))
	}
	return part, nil
}

// Scalars returns the scalars and texts that the field consists of, in order: itself, or those of
// its items and fields. If there are more than limit, Scalars returns the first ones and false.
func (f Field) Scalars(limit int) (all []Field, complete bool) {
	return f.scalars(nil, limit)
}

func (f Field) scalars(to []Field, limit int) ([]Field, bool) {
	complete := true
	switch kindOf(f.Type) {
	case Array:
		item := itemType(f.Type)
		for i := uint64(0); complete && i < f.Type.Dims[0]; i++ {
			path := f.Path + "[" + strconv.FormatUint(i, 10) + "]"
			to, complete = Field{path, item, f.Offset + i*item.Size()}.scalars(to, limit)
		}
		return to, complete
	case Struct:
		for i := 0; complete && i < len(f.Type.Nested.Fields); i++ {
			part := &f.Type.Nested.Fields[i]
			to, complete = Field{joined(f.Path, part.Name), part.Type, f.Offset + part.Offset}.scalars(to, limit)
		}
		return to, complete
	}
	if len(to) >= limit {
		return to, false
	}
	return append(to, f), true
}

// Lookup returns the part of the value that a path leads to, as [Decoder.Field] does. The error
// names the part of the path that is wrong and what is there, or what the message lacks.
func (v Value) Lookup(path string) (Value, error) {
	f, err := resolve(v.typ, path)
	if err != nil {
		return Value{}, err
	}
	return f.In(v)
}

// resolve walks along the path. What it has walked so far is path[:at].
func resolve(t schema.Type, path string) (Field, error) {
	offset, at := uint64(0), 0
	for at < len(path) {
		var err error
		switch {
		case kindOf(t) == Bytes:
			return Field{}, fmt.Errorf("%s: the block has no schema, and its messages are bytes without fields",
				quote(path))
		case path[at] == '[':
			t, offset, at, err = index(t, offset, path, at)
		case path[at] == '.' && at > 0:
			t, offset, at, err = member(t, offset, path, at, at+1)
		case at == 0:
			t, offset, at, err = member(t, offset, path, 0, 0)
		default:
			err = fmt.Errorf("%s is followed by %s: write .NAME or [NUMBER]", whole(path[:at]), quote(path[at:]))
		}
		if err != nil {
			return Field{}, err
		}
	}
	return Field{path, t, offset}, nil
}

// member steps from a struct, path[:at], to the field whose name begins at path[from].
func member(t schema.Type, offset uint64, path string, at, from int) (schema.Type, uint64, int, error) {
	end := from
	for end < len(path) && path[end] != '.' && path[end] != '[' {
		end++
	}
	name := path[from:end]
	if kindOf(t) != Struct {
		hint := ""
		if len(t.Dims) > 0 && t.Kind == schema.Struct {
			hint = fmt.Sprintf("; write %s[0].%s", path[:at], short(name))
		}
		return t, 0, 0, fmt.Errorf("%s is %s, and has no field %s%s", whole(path[:at]), describe(t), quote(name), hint)
	}
	for _, f := range t.Nested.Fields {
		if f.Name == name {
			return f.Type, offset + f.Offset, end, nil
		}
	}
	return t, 0, 0, fmt.Errorf("%s has no field %s; it has %s", whole(path[:at]), quote(name), names(t.Nested))
}

// index steps from an array, path[:at], to the item whose number follows the bracket at path[at].
func index(t schema.Type, offset uint64, path string, at int) (schema.Type, uint64, int, error) {
	text, _, closed := strings.Cut(path[at+1:], "]")
	n, err := strconv.ParseUint(text, 10, 64)
	switch {
	case !closed || err != nil || text != strconv.FormatUint(n, 10):
		return t, 0, 0, fmt.Errorf("%s is followed by %s: write [NUMBER], from 0", whole(path[:at]), quote(path[at:]))
	case kindOf(t) != Array:
		return t, 0, 0, fmt.Errorf("%s is %s, and has no item [%d]", whole(path[:at]), describe(t), n)
	case n >= t.Dims[0]:
		return t, 0, 0, fmt.Errorf("%s has no item [%d]; it has %d, from 0", whole(path[:at]), n, t.Dims[0])
	}
	t = itemType(t)
	return t, offset + n*t.Size(), at + 1 + len(text) + 1, nil
}

func whole(path string) string {
	if path == "" {
		return "the message"
	}
	return quote(path)
}

// quote shows a part of a path, which a user or a remote client typed.
func quote(text string) string { return strconv.Quote(short(text)) }

func short(text string) string {
	const limit = 100
	if len(text) > limit {
		return strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

func describe(t schema.Type) string {
	switch kindOf(t) {
	case Struct:
		return "a struct"
	case Text:
		return fmt.Sprintf("a text (%s)", t)
	case Array:
		t.Dims = t.Dims[:len(t.Dims):len(t.Dims)]
		if t.Kind == schema.Struct {
			return fmt.Sprintf("an array of %d structs", t.Count())
		}
		return "an array (" + t.String() + ")"
	}
	return "a number (" + t.String() + ")"
}

// names lists the fields of a struct, for an error.
func names(l *schema.Layout) string {
	const limit = 20
	var all []string
	for i, f := range l.Fields {
		if i == limit {
			all = append(all, fmt.Sprintf("… (%d in all)", len(l.Fields)))
			break
		}
		all = append(all, f.Name)
	}
	return strings.Join(all, ", ")
}
