package schema

import (
	"fmt"
	"strconv"

	"golang.org/x/crypto/blake2b"
)

// HashLen is the length of a schema's hash.
const HashLen = 32

// Canonical returns the schema in one line: every offset, size and alignment is written out, the
// version is left out. Two schemas are the same if and only if their lines are equal.
//
//	SensorReading{time:u64@0,value:f64[3]@8,at:{x:f32@0,y:f32@4}8/4[2]@32}48/8
func (s *Schema) Canonical() string {
	return string(s.appendBody(append(make([]byte, 0, 256), s.Name...)))
}

// Hash is BLAKE2b-256 of the canonical line: the schema's identity.
func (s *Schema) Hash() [HashLen]byte { return blake2b.Sum256([]byte(s.Canonical())) }

func (l *Layout) appendBody(to []byte) []byte {
	to = append(to, '{')
	for i, f := range l.Fields {
		if i > 0 {
			to = append(to, ',')
		}
		to = append(append(to, f.Name...), ':')
		to = append(f.Type.append(to), '@')
		to = strconv.AppendUint(to, f.Offset, 10)
	}
	to = strconv.AppendUint(append(to, '}'), l.Size, 10)
	return strconv.AppendUint(append(to, '/'), l.Align, 10)
}

func (t Type) append(to []byte) []byte {
	if t.Kind == Struct {
		to = t.Nested.appendBody(to)
	} else {
		to = append(to, scalars[t.Kind].name...)
	}
	for _, d := range t.Dims {
		to = append(strconv.AppendUint(append(to, '['), d, 10), ']')
	}
	return to
}

// String is the type as the canonical line has it.
func (t Type) String() string { return string(t.append(nil)) }

// ParseCanonical reads a canonical line. It accepts only what Canonical writes. The line does not
// contain the version. An error says what is wrong with the text.
func ParseCanonical(line string, version Version) (*Schema, error) {
	if len(line) > MaxText {
		return nil, fmt.Errorf("a canonical text of %d bytes, the limit is %d", len(line), MaxText)
	}
	c := &cursor{text: line}
	name := c.name()
	layout := c.body(1)
	switch {
	case c.err != nil:
		return nil, c.err
	case c.at != len(line):
		return nil, c.unexpected("the end")
	}
	s, err := New(name, version, layout)
	if err != nil {
		return nil, err
	}
	if s.Canonical() != line {
		return nil, fmt.Errorf("the text %.60q is not canonical: numbers have no leading zeros", line)
	}
	return s, nil
}

// cursor reads a canonical line. After an error it does not move, and everything it reads is empty.
type cursor struct {
	text   string
	at     int
	fields int
	err    error
}

func (c *cursor) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *cursor) unexpected(wanted string) error {
	found := "the end"
	if c.at < len(c.text) {
		found = strconv.QuoteRune(rune(c.text[c.at]))
	}
	return fmt.Errorf("canonical text: %s at byte %d, where %s is expected", found, c.at, wanted)
}

func (c *cursor) next() byte {
	if c.err != nil || c.at >= len(c.text) {
		return 0
	}
	return c.text[c.at]
}

func (c *cursor) expect(b byte) {
	if c.next() != b {
		c.fail(c.unexpected(strconv.QuoteRune(rune(b))))
		return
	}
	c.at++
}

func (c *cursor) name() string {
	from := c.at
	for isLetter(c.next()) || c.at > from && isDigit(c.next()) {
		c.at++
	}
	if c.at == from {
		c.fail(c.unexpected("a name"))
	}
	return c.text[from:c.at]
}

func (c *cursor) number() uint64 {
	from := c.at
	for isDigit(c.next()) {
		c.at++
	}
	n, err := strconv.ParseUint(c.text[from:c.at], 10, 64)
	if err != nil {
		c.fail(c.unexpected("a number"))
	}
	return n
}

func (c *cursor) body(depth int) (l Layout) {
	if depth > MaxDepth {
		c.fail(fmt.Errorf("structs are nested more than %d deep", MaxDepth))
		return l
	}
	c.expect('{')
	for c.err == nil {
		if c.fields++; c.fields > MaxFields {
			c.fail(fmt.Errorf("more than %d fields in all", MaxFields))
			break
		}
		f := Field{Name: c.name()}
		c.expect(':')
		f.Type = c.typ(depth)
		c.expect('@')
		f.Offset = c.number()
		l.Fields = append(l.Fields, f)
		if c.next() != ',' {
			break
		}
		c.at++
	}
	c.expect('}')
	l.Size = c.number()
	c.expect('/')
	l.Align = c.number()
	return l
}

func (c *cursor) typ(depth int) (t Type) {
	if c.next() == '{' {
		nested := c.body(depth + 1)
		t.Nested = &nested
	} else {
		from := c.at
		kind, ok := kindOf(c.name())
		if !ok && c.err == nil {
			c.at = from
			c.fail(c.unexpected("a type"))
		}
		t.Kind = kind
	}
	for c.next() == '[' {
		c.at++
		t.Dims = append(t.Dims, c.number())
		c.expect(']')
		if len(t.Dims) > MaxDims {
			c.fail(fmt.Errorf("more than %d dimensions", MaxDims))
		}
	}
	return t
}
