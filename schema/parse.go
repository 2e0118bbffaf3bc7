package schema

import (
	"fmt"
	"strconv"
	"strings"
)

// Parse reads the text form, which docs/schema.md describes. Errors name the line and the column,
// the text found there, and what is expected.
func Parse(text string) (*Schema, error) {
	if len(text) > MaxText {
		return nil, fmt.Errorf("a schema of %d bytes, the limit is %d", len(text), MaxText)
	}
	p := &parser{text: text, line: 1, structs: map[string]*definition{}}
	p.advance()
	s, err := p.file()
	if err != nil {
		return nil, fmt.Errorf("line %d, column %d: %w", p.token.line, p.token.column, err)
	}
	return s, nil
}

// token is a word, a number (also 2.1.0), one of the marks, or the end (empty).
type token struct {
	text         string
	line, column int
}

func (t token) String() string {
	if t.text == "" {
		return "the end"
	}
	return strconv.Quote(t.text)
}

func (t token) isWord() bool   { return t.text != "" && isLetter(t.text[0]) }
func (t token) isNumber() bool { return t.text != "" && isDigit(t.text[0]) }

type parser struct {
	text       string
	at         int
	line, from int // the line, and where it begins
	token      token
	structs    map[string]*definition
	fields     int // of the struct or schema that is being read, with those of the structs in it
	deepest    int
}

// definition is a struct that has a name in the text.
type definition struct {
	layout        *Layout
	fields, depth int // in all
}

func (p *parser) advance() {
	p.skip()
	p.token = token{line: p.line, column: p.at - p.from + 1}
	if p.at == len(p.text) {
		return
	}
	end := p.at + 1
	if c := p.text[p.at]; isLetter(c) || isDigit(c) {
		for end < len(p.text) && (isLetter(p.text[end]) || isDigit(p.text[end]) || isDigit(c) && p.text[end] == '.') {
			end++
		}
	} else {
		for end < len(p.text) && p.text[end]&0xC0 == 0x80 { // the rest of a character
			end++
		}
	}
	p.token.text = p.text[p.at:end]
	p.at = end
}

// skip skips space and comments.
func (p *parser) skip() {
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '\n':
			p.at++
			p.line, p.from = p.line+1, p.at
		case c == ' ' || c == '\t' || c == '\r':
			p.at++
		case strings.HasPrefix(p.text[p.at:], "//"):
			if n := strings.IndexByte(p.text[p.at:], '\n'); n >= 0 {
				p.at += n
			} else {
				p.at = len(p.text)
			}
		default:
			return
		}
	}
}

func (p *parser) expected(what string) error {
	return fmt.Errorf("%v, where %s is expected", p.token, what)
}

// accept consumes the token if it equals text.
func (p *parser) accept(text string) bool {
	if p.token.text != text {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(text string) error {
	if !p.accept(text) {
		return p.expected(strconv.Quote(text))
	}
	return nil
}

func (p *parser) name(of string) (string, error) {
	if !p.token.isWord() {
		return "", p.expected("the name of " + of)
	}
	name := p.token.text
	if err := checkName(name); err != nil {
		return "", err
	}
	p.advance()
	return name, nil
}

func (p *parser) number(of string) (uint64, error) {
	if !p.token.isNumber() {
		return 0, p.expected("a number, " + of + ",")
	}
	n, err := strconv.ParseUint(p.token.text, 10, 64)
	if err != nil || n > MaxSize {
		return 0, fmt.Errorf("%v as %s: use a number up to %d", p.token, of, uint64(MaxSize))
	}
	p.advance()
	return n, nil
}

// file = { ["packed"] "struct" name body [";"] } ["packed"] "schema" name [version] body [";"]
func (p *parser) file() (*Schema, error) {
	for {
		packed := p.accept("packed")
		switch {
		case p.accept("struct"):
			if err := p.named(packed); err != nil {
				return nil, err
			}
		case p.accept("schema"):
			return p.schema(packed)
		default:
			return nil, p.expected(`"schema", "struct" or "packed"`)
		}
	}
}

func (p *parser) named(packed bool) error {
	name, err := p.name("a struct")
	if err != nil {
		return err
	}
	if _, scalar := kindOf(name); scalar || p.structs[name] != nil {
		return fmt.Errorf("%q is a type already", name)
	}
	p.fields, p.deepest = 0, 0
	layout, err := p.body(packed, 2)
	if err != nil {
		return err
	}
	p.accept(";")
	p.structs[name] = &definition{layout, p.fields, p.deepest - 1}
	return nil
}

func (p *parser) schema(packed bool) (*Schema, error) {
	name, err := p.name("the schema")
	if err != nil {
		return nil, err
	}
	var version Version
	if p.token.isNumber() {
		if version, err = ParseVersion(p.token.text); err != nil {
			return nil, err
		}
		p.advance()
	}
	p.fields = 0
	layout, err := p.body(packed, 1)
	if err != nil {
		return nil, err
	}
	p.accept(";")
	if p.token.text != "" {
		return nil, p.expected("the end: the schema comes last, and there is one in a text")
	}
	return New(name, version, *layout)
}

// body = "{" { field } "}" ["size" number] ["align" number]
func (p *parser) body(packed bool, depth int) (*Layout, error) {
	if err := p.count(0, depth); err != nil {
		return nil, err
	}
	if err := p.expect("{"); err != nil {
		return nil, err
	}
	l, names := &Layout{}, map[string]bool{}
	for p.token.text != "}" {
		f, err := p.field(l, packed, depth)
		if err != nil {
			return nil, err
		}
		if names[f.Name] {
			return nil, fmt.Errorf("two fields are called %q", f.Name)
		}
		names[f.Name] = true
		l.Fields = append(l.Fields, f)
	}
	p.advance()
	for _, given := range []struct {
		word string
		to   *uint64
	}{{"size", &l.Size}, {"align", &l.Align}} {
		if p.accept(given.word) {
			n, err := p.number("the " + given.word)
			if err != nil {
				return nil, err
			}
			if *given.to = n; n == 0 {
				return nil, fmt.Errorf("%s 0: leave it out to have it derived", given.word)
			}
		}
	}
	l.close(packed)
	fields := 0
	return l, l.check(depth, &fields, false)
}

// count adds fields, and records how deep they are.
func (p *parser) count(fields, depth int) error {
	if depth > MaxDepth {
		return fmt.Errorf("structs are nested more than %d deep", MaxDepth)
	}
	if p.fields += fields; p.fields > MaxFields {
		return fmt.Errorf("more than %d fields in all", MaxFields)
	}
	p.deepest = max(p.deepest, depth)
	return nil
}

// field = name ":" type { "[" number "]" } [ "@" number ] ";"
func (p *parser) field(l *Layout, packed bool, depth int) (f Field, err error) {
	if f.Name, err = p.name("a field"); err != nil {
		return f, err
	}
	if err = p.count(1, depth); err != nil {
		return f, err
	}
	if err = p.expect(":"); err != nil {
		return f, err
	}
	if f.Type, err = p.typ(depth); err != nil {
		return f, err
	}
	end := uint64(0)
	if n := len(l.Fields); n > 0 {
		end = l.Fields[n-1].end()
	}
	f.Offset = place(end, f.Type, packed)
	if p.accept("@") {
		if f.Offset, err = p.number("an offset"); err != nil {
			return f, err
		}
		if f.Offset < end {
			return f, fmt.Errorf("field %q is at %d, and what is before it ends at %d", f.Name, f.Offset, end)
		}
	}
	if f.Offset > MaxSize {
		return f, tooLarge(fmt.Sprintf("what is before field %q", f.Name))
	}
	return f, p.expect(";")
}

// type = scalar | name of a struct | ["packed"] body
func (p *parser) typ(depth int) (t Type, err error) {
	packed := p.accept("packed")
	switch kind, scalar := kindOf(p.token.text); {
	case p.token.text == "{":
		t.Nested, err = p.body(packed, depth+1)
	case packed:
		err = p.expected(`"{"`)
	case scalar:
		t.Kind = kind
		p.advance()
	case p.structs[p.token.text] != nil:
		s := p.structs[p.token.text]
		if t.Nested, err = s.layout, p.count(s.fields, depth+s.depth); err == nil {
			p.advance()
		}
	case p.token.isWord():
		err = fmt.Errorf("%v is no type: use i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bool char, or a struct that is "+
			"defined before", p.token)
	default:
		err = p.expected("a type")
	}
	for err == nil && p.accept("[") {
		var n uint64
		if n, err = p.number("a count"); err == nil {
			t.Dims = append(t.Dims, n)
			err = p.expect("]")
		}
	}
	if err == nil {
		fields := 0
		err = t.check(depth, &fields, false)
	}
	return t, err
}
