package decode

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// What Lines shows of a large message. JSON has all of it.
const (
	shownItems   = 16   // of an array of scalars
	shownRow     = 128  // values in one line
	shownStructs = 8    // of an array of structs
	shownText    = 200  // bytes of a text
	shownBytes   = 256  // of a message without a schema
	shownLines   = 1000 // in all
)

// Lines returns the value as a tree for a terminal: one field a line, where each level of structs
// adds indent. It shows the beginning of large arrays and their number of items, and at most 1000
// lines and one that says so. Characters that are not printable are escaped.
func (v Value) Lines(indent string) []string {
	t := tree{indent: indent}
	switch v.Kind() {
	case Struct:
		t.fields(v, "")
	case Bytes:
		t.lines = Dump(v.data, shownBytes)
	case Array:
		t.add("", "", v)
	default:
		t.line(v.String())
	}
	if t.cut {
		t.lines = append(t.lines, "… (more is not shown)")
	}
	if v.Short > 0 {
		t.lines = append(t.lines, fmt.Sprintf("… the message is %d bytes too short for its schema", v.Short))
	}
	if n := len(v.Rest); n > 0 {
		t.lines = append(t.lines, fmt.Sprintf("… %d bytes after the struct: %s", n, someHex(v.Rest)))
	}
	return t.lines
}

// String returns a scalar, a text or an array of them as in Lines, in one line. A struct is {…}.
func (v Value) String() string {
	r := row{left: shownRow}
	r.write(v)
	return r.String()
}

type tree struct {
	indent string
	lines  []string
	cut    bool
}

func (t *tree) line(text string) {
	if t.cut = t.cut || len(t.lines) >= shownLines; !t.cut {
		t.lines = append(t.lines, text)
	}
}

func (t *tree) fields(v Value, at string) {
	for name, part := range v.Fields() {
		if t.cut {
			return
		}
		t.add(at, name, part)
	}
}

// add adds a named value at a level.
func (t *tree) add(at, name string, v Value) {
	switch {
	case v.typ.Nested == nil:
		t.line(at + name + ": " + v.String())
	case v.Kind() == Struct:
		t.line(at + name + ":")
		t.fields(v, at+t.indent)
	default:
		n := v.items()
		for i := range min(n, shownStructs) {
			if t.cut {
				return
			}
			t.add(at, fmt.Sprintf("%s[%d]", name, i), v.item(i))
		}
		if n > shownStructs {
			t.line(fmt.Sprintf("%s%s: … %d more (%d in all)", at, name, n-shownStructs, n))
		}
	}
}

// Dump returns bytes as lines of 16: their offset, the bytes in hexadecimal, and the characters
// that they are in ASCII. It shows at most limit bytes, and says how many there are.
func Dump(data []byte, limit int) (lines []string) {
	const width = 16
	shown := data[:min(len(data), limit)]
	for i := 0; i < len(shown); i += width {
		row := shown[i:min(i+width, len(shown))]
		chars := make([]byte, len(row))
		for j, c := range row {
			if chars[j] = '.'; c >= ' ' && c < 0x7f {
				chars[j] = c
			}
		}
		lines = append(lines, fmt.Sprintf("%06x  %-*s  %s", i, 3*width-1, fmt.Sprintf("% x", row), chars))
	}
	switch n := len(data); {
	case n == 0:
		lines = append(lines, "(empty)")
	case n > len(shown):
		lines = append(lines, fmt.Sprintf("… %d more bytes (%d in all)", n-len(shown), n))
	}
	return lines
}

func someHex(data []byte) string {
	const limit = 16
	if len(data) <= limit {
		return fmt.Sprintf("% x", data)
	}
	return fmt.Sprintf("% x …", data[:limit])
}

// row is a value in one line.
type row struct {
	strings.Builder
	left int // scalars that may still be shown
}

func (r *row) write(v Value) {
	switch r.left--; v.Kind() {
	case Struct:
		r.WriteString("{…}")
	case Bytes:
		r.WriteString(someHex(v.data))
	case Text:
		r.WriteString(visible(v.text()))
	case Array:
		r.array(v)
	case Float:
		if f, ok := v.Number(); ok {
			r.Write(appendPlain(nil, f, 8*len(v.data)))
		}
	default:
		fmt.Fprint(r, v.Any())
		if _, odd := v.Any().(uint64); odd && v.Kind() == Bool {
			r.WriteString(" (a bool is 0 or 1)")
		}
	}
}

func (r *row) array(v Value) {
	r.WriteByte('[')
	n, i := v.items(), 0
	for ; i < min(n, shownItems) && r.left > 0; i++ {
		if i > 0 {
			r.WriteString(", ")
		}
		r.write(v.item(i))
	}
	if i < n {
		fmt.Fprintf(r, ", … %d more (%d in all)", n-i, n)
	}
	r.WriteByte(']')
}

// appendPlain is appendDecimal, with NaN and the infinities as words.
func appendPlain(to []byte, f float64, bits int) []byte {
	text := appendFloat(nil, f, bits)
	return append(to, strings.Trim(string(text), `"`)...)
}

// visible quotes a text for a terminal. Bytes that are not UTF-8 and characters that are not
// printable are escaped as in Go.
func visible(text string) string {
	total := len(text)
	if total > shownText {
		text = text[:shownText]
		for i := 1; i < utf8.UTFMax && !utf8.RuneStart(text[len(text)-1]); i++ {
			text = text[:len(text)-1]
		}
		if r, size := utf8.DecodeLastRuneInString(text); r == utf8.RuneError && size == 1 {
			text = text[:len(text)-1]
		}
	}
	quoted := strconv.Quote(text)
	if len(text) < total {
		return fmt.Sprintf("%s… (%d bytes in all)", quoted, total)
	}
	return quoted
}
