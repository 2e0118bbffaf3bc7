package schema

import (
	"fmt"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nested returns structs inside each other, `depth` of them.
func nested(depth int) string {
	return "schema A " + strings.Repeat("{ a: ", depth) + "u8" + strings.Repeat("; }", depth)
}

func nestedLine(depth int) string {
	return "A" + strings.Repeat("{a:", depth) + "u8@0}1/1" + strings.Repeat("@0}1/1", depth-1)
}

func manyFields(n int, separator, each string) string {
	fields := make([]string, n)
	for i := range fields {
		fields[i] = strings.ReplaceAll(each, "#", strconv.Itoa(i))
	}
	return strings.Join(fields, separator)
}

// canonicalLine returns a canonical line of exactly `length` bytes. The names make up the length:
// 1000 fields of 63 bytes, and fields for the rest.
func canonicalLine(length int) string {
	var b strings.Builder
	b.WriteString("A{")
	for i := 0; b.Len() < length-300; i++ {
		fmt.Fprintf(&b, "f%062d:u8@%d,", i, i)
	}
	at := strings.Count(b.String(), ",")
	for {
		tail := fmt.Sprintf(":u8@%d}%d/1", at, at+1)
		rest := length - b.Len() - len(tail)
		if rest <= MaxName {
			return b.String() + strings.Repeat("g", rest) + tail
		}
		fmt.Fprintf(&b, "h%0*d:u8@%d,", min(40, rest/3), at, at)
		at++
	}
}

// At each limit a text is read. One beyond the limit it is refused.
func TestLimits(t *testing.T) {
	name := strings.Repeat("n", MaxName)
	dims := func(n int) string { return strings.Repeat("[1]", n) }
	for _, c := range []struct{ what, fits, beyond, says string }{
		{"depth", nested(MaxDepth), nested(MaxDepth + 1), "nested more than 8 deep"},
		{"depth of named structs",
			"struct S { a: { a: { a: { a: { a: { a: u8; }; }; }; }; }; } schema A { a: { a: S; }; }",
			"struct S { a: { a: { a: { a: { a: { a: u8; }; }; }; }; }; } schema A { a: { a: { a: S; }; }; }",
			"line 1, column 85: structs are nested more than 8 deep"},
		{"depth of one struct, not of another", "struct D { a: { a: { a: { a: { a: { a: { a: u8; }; }; }; }; }; }; " +
			"} struct S { a: u8; } schema A { a: { a: { a: { a: { a: { a: { a: S; }; }; }; }; }; }; }",
			"struct D { a: { a: { a: { a: { a: { a: { a: { a: u8; }; }; }; }; }; }; }; } schema A { a: u8; }",
			"line 1, column 45: structs are nested more than 8 deep"},
		{"fields of one struct, not of another", "struct S {" + manyFields(600, "", "f#:u8;") + "} struct T {" +
			manyFields(600, "", "f#:u8;") + "} schema A { s: S; }",
			"struct S {" + manyFields(600, "", "f#:u8;") + "} schema A {\n s: S;\n t: S; }",
			"line 3, column 5: more than 1024 fields"},
		{"fields", "schema A {" + manyFields(MaxFields, "", "f#:u8;") + "}",
			"schema A {" + manyFields(MaxFields+1, "", "f#:u8;") + "}", "more than 1024 fields"},
		{"fields inside", "struct S {" + manyFields(1023, "", "f#:u8;") + "} schema A { s: S; }",
			"struct S {" + manyFields(1023, "", "f#:u8;") + "} schema A { s: S; t: u8; }", "more than 1024 fields"},
		{"dimensions", "schema A { a: u8" + dims(MaxDims) + "; }", "schema A { a: u8" + dims(MaxDims+1) + "; }",
			"has 9 dimensions, the limit is 8"},
		{"name", "schema " + name + " { " + name + ": u8; }", "schema A { n" + name + ": u8; }",
			"has 64 bytes, the limit is 63"},
		{"name of a schema", "schema " + name + " { a: u8; }", "schema n" + name + " { a: u8; }",
			"has 64 bytes, the limit is 63"},
		{"alignment", "schema A { a: u8; } align 4096", "schema A { a: u8; } align 8192",
			"use a power of two up to 4096"},
		{"array", "schema A { a: u64[137438953472]; }", "schema A { a: u64[137438953473]; }",
			"larger than 1099511627776 bytes"},
		{"array of arrays", "schema A { a: u8[1048576][1048576]; }", "schema A { a: u8[1048577][1048576]; }",
			"larger than 1099511627776 bytes"},
		{"array whose size is 2^64", "schema A { a: u8[1048576][1048576]; }",
			"schema A { a: u8[65536][65536][65536][65536]; }", "larger than 1099511627776 bytes"},
		{"size", "schema A { a: u8; } size 1099511627776", "schema A { a: u8; } size 1099511627777",
			"use a number up to 1099511627776"},
		{"end of the last field", "schema A { a: u8 @ 1099511627775; }", "schema A { a: u8 @ 1099511627776; }",
			"larger than 1099511627776 bytes"},
		{"version", "schema A 4294967295.4294967295.4294967295 { a: u8; }", "schema A 4294967296 { a: u8; }",
			"numbers up to 4294967295"},
		{"text", "schema A { a: u8; }" + strings.Repeat(" ", MaxText-19),
			"schema A { a: u8; }" + strings.Repeat(" ", MaxText-18), "a schema of 65537 bytes, the limit is 65536"},
	} {
		s := parse(t, c.fits)
		again, err := ParseCanonical(s.Canonical(), s.Version)
		require.NoError(t, err, c.what)
		assert.Equal(t, s, again, c.what)
		_, err = Parse(c.beyond)
		assert.ErrorContains(t, err, c.says, c.what)
	}
}

// At each limit a canonical line is read. One beyond the limit it is refused.
func TestLimitsOfCanonicalLines(t *testing.T) {
	name := strings.Repeat("n", MaxName)
	dims := func(n int) string { return strings.Repeat("[1]", n) }
	for _, c := range []struct{ what, fits, beyond, says string }{
		{"depth", nestedLine(MaxDepth), nestedLine(MaxDepth + 1), "nested more than 8 deep"},
		{"fields", "A{" + manyFields(MaxFields, ",", "f#:u8@#") + "}1024/1",
			"A{" + manyFields(MaxFields+1, ",", "f#:u8@#") + "}1025/1", "more than 1024 fields"},
		{"dimensions", "A{a:u8" + dims(MaxDims) + "@0}1/1", "A{a:u8" + dims(MaxDims+1) + "@0}1/1",
			"more than 8 dimensions"},
		{"name", name + "{" + name + ":u8@0}1/1", "A{n" + name + ":u8@0}1/1", "has 64 bytes, the limit is 63"},
		{"alignment", "A{a:u8@0}4096/4096", "A{a:u8@0}8192/8192", "use a power of two up to 4096"},
		{"size", "A{a:u8@0}1099511627776/1", "A{a:u8@0}1099511627777/1",
			"the struct is larger than 1099511627776 bytes"},
		{"offset", "A{a:u8@1099511627775}1099511627776/1", "A{a:u8@18446744073709551615}1/1",
			"larger than 1099511627776 bytes"},
		{"text", canonicalLine(MaxText), canonicalLine(MaxText + 1),
			"a canonical text of 65537 bytes, the limit is 65536"},
	} {
		s, err := ParseCanonical(c.fits, Version{})
		require.NoError(t, err, c.what)
		assert.Equal(t, c.fits, s.Canonical(), c.what)
		_, err = ParseCanonical(c.beyond, Version{})
		assert.ErrorContains(t, err, c.says, c.what)
	}
	// A text that fits may have a canonical line that does not: every offset is written out.
	_, err := Parse("schema A { a: u8 @ 1000000000000; " + manyFields(1000, "", strings.Repeat("n", 48)+"#:u8;") + "}")
	assert.ErrorContains(t, err, "its canonical text has")
}

// The limits also apply to layouts that programs make.
func TestLimitsOfLayouts(t *testing.T) {
	deep := func(depth int) Layout {
		l := Layout{Fields: []Field{{"a", Type{Kind: U8}, 0}}, Size: 1, Align: 1}
		for range depth - 1 {
			inner := l
			l = Layout{Fields: []Field{{"a", Type{Nested: &inner}, 0}}, Size: 1, Align: 1}
		}
		return l
	}
	wide := func(fields int) (l Layout) {
		for i := range fields {
			l.Fields = append(l.Fields, Field{"f" + strconv.Itoa(i), Type{Kind: U8}, uint64(i)})
		}
		l.Size, l.Align = uint64(fields), 1
		return l
	}
	inside := func(fields int) Layout {
		inner := wide(fields - 1)
		return Layout{Fields: []Field{{"a", Type{Nested: &inner}, 0}}, Size: inner.Size, Align: 1}
	}
	for what, layouts := range map[string]func(int) Layout{"deep": deep, "wide": wide, "inside": inside} {
		limit := map[string]int{"deep": MaxDepth, "wide": MaxFields, "inside": MaxFields}[what]
		_, err := New("A", Version{}, layouts(limit))
		assert.NoError(t, err, what)
		_, err = New("A", Version{}, layouts(limit+1))
		assert.ErrorContains(t, err, "more than "+strconv.Itoa(limit), what)
	}
	for what, bad := range map[string]Type{"has no type": {}, "is larger": {Kind: U8, Dims: []uint64{MaxSize, 2}},
		"an array of no items": {Kind: U8, Dims: []uint64{0}}} {
		_, err := New("A", Version{}, Layout{Fields: []Field{{"a", bad, 0}}, Size: 1, Align: 1})
		assert.ErrorContains(t, err, what)
	}
	_, err := New("A", Version{}, Layout{Fields: []Field{{"a", Type{Kind: Char + 1}, 0}}, Size: 1, Align: 1})
	assert.ErrorContains(t, err, "has no type")
}

func TestLimitsOfGoTypes(t *testing.T) {
	deep := func(depth int) reflect.Type {
		of := reflect.TypeFor[uint8]()
		for range depth {
			of = reflect.StructOf([]reflect.StructField{{Name: "A", Type: of}})
		}
		return of
	}
	_, err := FromType(deep(MaxDepth), "A", Version{})
	require.NoError(t, err)
	_, err = FromType(deep(MaxDepth+1), "A", Version{})
	assert.ErrorContains(t, err, "nested more than 8 deep")
	of := reflect.TypeFor[uint8]()
	for range MaxDims {
		of = reflect.ArrayOf(1, of)
	}
	_, err = FromType(reflect.StructOf([]reflect.StructField{{Name: "A", Type: of}}), "A", Version{})
	require.NoError(t, err)
	_, err = FromType(reflect.StructOf([]reflect.StructField{{Name: "A", Type: reflect.ArrayOf(1, of)}}), "A",
		Version{})
	assert.ErrorContains(t, err, "has 9 dimensions")
}

// Reading stops at the limit. The rest of the text is not read and costs nothing.
func TestReadingStopsAtTheLimit(t *testing.T) {
	_, err := Parse("schema A " + strings.Repeat("{a:", MaxText/4))
	assert.ErrorContains(t, err, fmt.Sprintf("line 1, column %d: structs are nested more than 8 deep",
		len("schema A ")+8*len("{a:")+1))
	prefix := "schema A {\n" + manyFields(MaxFields, "", "f#:u8;") + "\n"
	_, err = Parse(prefix + "last: ?")
	assert.ErrorContains(t, err, "line 3, column 5: more than 1024 fields")
	for _, line := range []string{"A" + strings.Repeat("{a:", MaxText/4), nestedLine(MaxDepth + 1)} {
		_, err = ParseCanonical(line, Version{})
		assert.EqualError(t, err, "structs are nested more than 8 deep")
	}
	_, err = ParseCanonical("A{"+manyFields(MaxFields+1, ",", "f#:u8@#")+"?", Version{})
	assert.EqualError(t, err, "more than 1024 fields in all")
	_, err = ParseCanonical("A{a:u8"+strings.Repeat("[1]", MaxDims+1)+"?", Version{})
	assert.EqualError(t, err, "more than 8 dimensions")
}

// The most expensive texts of the allowed length. The length bounds the cost of reading a text, and
// the length is limited.
func TestWhatReadingCosts(t *testing.T) {
	struct1000 := "struct S {" + manyFields(1000, "", "f#:u8;") + "} "
	for what, read := range map[string]func() error{
		"fields": func() error {
			_, err := Parse("schema A {" + manyFields(MaxText/8, "", "f#:u8;") +
				"}")
			return err
		},
		"a struct, often": func() error {
			_, err := Parse(struct1000 + "schema A {" + manyFields(MaxFields, "", "g#:S;") + "}")
			return err
		},
		"structs, often": func() error {
			_,
				err := Parse(struct1000 + strings.Repeat("struct T { s: S; } ", 2000))
			return err
		},
		"depth": func() error { _, err := Parse("schema A " + strings.Repeat("{a:", MaxText/4)); return err },
		"dimensions": func() error {
			_,
				err := Parse("schema A { a: u8" + strings.Repeat("[1]", MaxText/4))
			return err
		},
		"canonical fields": func() error {
			_, err := ParseCanonical("A{"+manyFields(5000, ",", "f#:u8@#")+"}", Version{})
			return err
		},
		"canonical depth": func() error {
			_, err := ParseCanonical("A"+strings.Repeat("{a:", MaxText/4),
				Version{})
			return err
		},
		"canonical numbers": func() error {
			_, err := ParseCanonical("A{a:u8@"+strings.Repeat("9", MaxText-8), Version{})
			return err
		},
		"canonical arrays": func() error {
			_, err := ParseCanonical("A{a:u8"+strings.Repeat("[1]", MaxText/4), Version{})
			return err
		},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := read()
		runtime.ReadMemStats(&after)
		assert.Error(t, err, what)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(4<<20), what)
	}
}
