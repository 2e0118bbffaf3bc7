package schema

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func parse(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Parse(text)
	require.NoError(t, err, text)
	return s
}

const reading = `
// What a sensor says.
struct Point { x: f32; y: f32; }
schema SensorReading 2.1.0 {
    time: u64;
    value: f64[3];
    at: Point[2];
    inner: { a: u8; b: u16; };
    matrix: i16[2][3];
    name: char[16];
    ok: bool @ 100;
}
`

func TestCanonical(t *testing.T) {
	s := parse(t, reading)
	assert.Equal(t, "SensorReading{time:u64@0,value:f64[3]@8,at:{x:f32@0,y:f32@4}8/4[2]@32,"+
		"inner:{a:u8@0,b:u16@2}4/2@48,matrix:i16[2][3]@52,name:char[16]@64,ok:bool@100}104/8", s.Canonical())
	assert.Equal(t, Version{2, 1, 0}, s.Version)
	again, err := ParseCanonical(s.Canonical(), s.Version)
	require.NoError(t, err)
	assert.Equal(t, s, again)
	assert.Equal(t, s, parse(t, s.Text()), s.Text())
}

func TestLayoutRules(t *testing.T) {
	for text, canonical := range map[string]string{
		"schema A { a: u8; b: u32; c: u8; }":                 "A{a:u8@0,b:u32@4,c:u8@8}12/4",
		"packed schema A { a: u8; b: u32; c: u8; }":          "A{a:u8@0,b:u32@1,c:u8@5}6/1",
		"schema A { a: packed { x: u8; y: u64; }; b: u16; }": "A{a:{x:u8@0,y:u64@1}9/1@0,b:u16@10}12/2",
		"schema A { a: u8; b: u32 @ 7; } size 16 align 16":   "A{a:u8@0,b:u32@7}16/16",
		"schema A { a: u8; } size 8":                         "A{a:u8@0}8/1",
		"schema A { a: u8; } align 64":                       "A{a:u8@0}64/64",
		"schema A 3 { a: char; };":                           "A{a:char@0}1/1",
	} {
		s := parse(t, text)
		assert.Equal(t, canonical, s.Canonical(), text)
		assert.Equal(t, s, parse(t, s.Text()), s.Text())
	}
}

// The text leaves out what the rules give.
func TestText(t *testing.T) {
	for _, text := range []string{
		"schema A 1.0.0 {\n    a: u8;\n    b: u32;\n}\n",
		"schema A 1.0.0 {\n    a: u8;\n}\n",
		"packed schema A 1.0.0 {\n    a: u8;\n    b: u32;\n}\n",
		"schema A 1.0.0 {\n    a: u8;\n    b: u32 @ 8;\n} size 32 align 16\n",
		"schema A 1.0.0 {\n    a: u8[2][3];\n    b: packed {\n        x: u8;\n        y: u16;\n    }[4];\n    c: " +
			"{\n        x: u8;\n    } size 2;\n}\n",
		"schema A 1.0.0 {\n    a: u8;\n} align 4\n",
	} {
		assert.Equal(t, text, parse(t, text).Text())
	}
}

func TestErrorsSayWhere(t *testing.T) {
	deep := strings.Repeat("{ a: ", 9)
	for text, says := range map[string]string{
		"": `line 1, column 1: ` +
			`the end, where "schema", "struct" or "packed" is expected`,
		"schema {": `line 1, column 8: ` +
			`"{", where the name of the schema is expected`,
		"schema A { a: u8 }":         `line 1, column 18: "}", where ";" is expected`,
		"schema A {\n  a: f65;\n}":   `line 2, column 6: "f65" is no type: use i8`,
		"schema A { a: u8; a: u8; }": `line 1, column 26: two fields are called "a"`,
		"schema A { a.b: u8; }":      `line 1, column 13: ".", where ":" is expected`,
		"schema A { a: u8[0]; }":     "an array of no items",
		"schema A { }":               "a struct has no fields",
		"schema A { a: u64; b: u8 @ 4; }": `line 1, column 29: ` +
			`field "b" is at 4, and what is before it ends at 8`,
		"schema A { a: u64; } size 4":                         "a size of 4 bytes, and its last field ends at 8",
		"schema A { a: u64; } size 12":                        "no multiple of its alignment, 8",
		"schema A { a: u8; } align 3":                         "an alignment of 3: use a power of two up to 4096",
		"schema A { a: u8; } size 0":                          "size 0: leave it out",
		"schema A { a: u8[99999999999999999]; }":              "use a number up to 1099511627776",
		"schema A { a: u64[1099511627776]; }":                 "larger than 1099511627776 bytes",
		"schema A { a: u8[1099511627776]; b: u8; }":           "larger than",
		"schema A 1.2.3.4 { a: u8; }":                         `the version "1.2.3.4": use major.minor.patch`,
		"schema A { é: u8; }":                                 `"é", where the name of a field is expected`,
		"schema A { a: u8; } schema B { }":                    `"schema", where the end: the schema comes last`,
		"struct u8 { a: u8; } schema A { a: u8; }":            `"u8" is a type already`,
		"schema A { a: packed u8; }":                          `"u8", where "{" is expected`,
		"schema " + strings.Repeat("a", 64) + " { a: u8; }":   "has 64 bytes, the limit is 63",
		"schema A " + deep:                                    "nested more than 8 deep",
		"schema A { a: u8" + strings.Repeat("[1]", 9) + "; }": "has 9 dimensions",
		strings.Repeat(" ", MaxText+1):                        "a schema of 65537 bytes",
	} {
		_, err := Parse(text)
		assert.ErrorContains(t, err, says, "%.80s", text)
	}
	many := "schema A {"
	for i := range MaxFields + 1 {
		many += fmt.Sprintf("f%d:u8;", i)
	}
	_, err := Parse(many + "}")
	assert.ErrorContains(t, err, "more than 1024 fields")
	// Few bytes that name many: each use of a struct counts its fields.
	twice := "struct S0 { a: u8; }"
	for i := range 6 {
		twice += fmt.Sprintf("struct S%d { ", i+1)
		for k := range 8 {
			twice += fmt.Sprintf("f%d: S%d; ", k, i)
		}
		twice += "}"
	}
	_, err = Parse(twice + "schema A { a: S6; }")
	assert.ErrorContains(t, err, "more than 1024 fields")
}

func TestOnlyCanonicalLinesAreRead(t *testing.T) {
	const line = "A{a:{x:f32@0}4/4[2]@0,b:u8@8}12/4"
	_, err := ParseCanonical(line, Version{})
	require.NoError(t, err)
	for i := range line {
		for _, c := range []byte(" 0[]{}@/x\x00\xff") {
			bad := line[:i] + string(rune(c)) + line[i+1:]
			if s, err := ParseCanonical(bad, Version{}); err == nil {
				assert.Equal(t, bad, s.Canonical())
			}
		}
		_, err := ParseCanonical(line[:i], Version{})
		assert.Error(t, err, line[:i])
	}
	for _, bad := range []string{"A{a:u8@0}01/1", "A{a:u8@00}1/1", "A{a:u8@0}1/1 ", "A{a:u8@0,}1/1", "A{a:u8[01]@0}1/1",
		"A{a:u8@0}1/3", "A{a:u8@18446744073709551616}1/1", strings.Repeat("A{a:", 9)} {
		_, err := ParseCanonical(bad, Version{})
		assert.Error(t, err, bad)
	}
	for bad, says := range map[string]string{
		"A{a:u8@0}1/1 ":  `' ' at byte 12, where the end is expected`,
		"A{1:u8@0}1/1":   `'1' at byte 2, where a name is expected`,
		"A{a:u8@0":       `the end at byte 8, where '}' is expected`,
		"A{a:u9@0}1/1":   `'u' at byte 4, where a type is expected`,
		"A{a:u8@0}01/1":  `is not canonical: numbers have no leading zeros`,
		"A{a:u8@}1/1":    `'}' at byte 7, where a number is expected`,
		"A{a:u8[2@0}1/1": `'@' at byte 8, where ']' is expected`,
	} {
		_, err := ParseCanonical(bad, Version{})
		assert.ErrorContains(t, err, says, bad)
	}
}

// Every change of one thing changes the hash. The version does not.
func TestHashCovers(t *testing.T) {
	base := parse(t, reading)
	seen := map[[HashLen]byte]string{base.Hash(): "base"}
	for what, change := range map[string][2]string{
		"name": {"SensorReading", "SensorReadings"}, "field name": {"time:", "when:"}, "type": {"u64", "i64"},
		"nested type": {"y: f32", "y: u32"}, "count": {"f64[3]", "f64[2]"},
		"dimensions": {"i16[2][3]", "i16[3][2]"}, "flat": {"i16[2][3]", "i16[6]"},
		"order": {"a: u8; b: u16;", "b: u16; a: u8;"}, "offset": {"@ 100", "@ 101"},
		"packing":        {"schema", "packed schema"},
		"nested packing": {"inner: {", "inner: packed {"}, "size": {"100;\n}", "100;\n} size 112"},
		"alignment": {"100;\n}", "100;\n} align 16"}, "char": {"char[16]", "u8[16]"},
		"added": {"@ 100;", "@ 100; more: u8;"},
	} {
		text := strings.Replace(reading, change[0], change[1], 1)
		require.NotEqual(t, reading, text, what)
		hash := parse(t, text).Hash()
		assert.NotContains(t, seen, hash, "%s and %s have one hash", what, seen[hash])
		seen[hash] = what
	}
	assert.Equal(t, base.Hash(), parse(t, strings.Replace(reading, "2.1.0", "3.0.7", 1)).Hash())
}

func TestDiffNamesEveryField(t *testing.T) {
	p := parse(t, "schema A 1.0.0 { a: u32; b: f64; c: u8[4]; d: { x: f32; y: f32; }; e: u16; g: i64; }")
	c := parse(t, "schema A 1.0.0 { a: u32; b: f32; c: u8[3]; d: { x: f32; y: i32; }; e: u16; h: u8; }")
	var said []string
	for _, d := range Diff(p, c) {
		said = append(said, d.String())
	}
	assert.Equal(t, []string{
		`field "b" retyped: producer f64@8, consumer f32@4`,
		`field "c" resized: producer u8[4]@16, consumer u8[3]@8`,
		`field "d" moved: producer struct@20, consumer struct@12`,
		`field "d.y" retyped: producer f32@4, consumer i32@4`,
		`field "e" moved: producer u16@28, consumer u16@20`,
		`field "h" missing: producer has none, consumer u8@22`,
		`field "g" added: producer i64@32, consumer has none`,
		`size: producer 40, consumer 24`,
		`alignment: producer 8, consumer 4`,
	}, said)
	d, err := json.Marshal(Diff(p, c)[0])
	require.NoError(t, err)
	assert.JSONEq(t, `{"field":"b","change":"retyped","producer":"f64@8","consumer":"f32@4"}`, string(d))
	assert.Empty(t, Diff(p, p))
}

func TestDiffKnowsRenamesAndOrder(t *testing.T) {
	p := parse(t, "schema A { a: u32; b: u32; }")
	assert.Equal(t, []Difference{{"c", Renamed, "b u32@4", "u32@4"}}, Diff(p, parse(t, "schema A { a: u32; c: u32; }")))
	assert.Equal(t, []Difference{{"b", Reordered, "u32@4", "u32@0"}, {"a", Reordered, "u32@0", "u32@4"}},
		Diff(p, parse(t, "schema A { b: u32; a: u32; }")))
	assert.Equal(t, []Difference{{"", OtherName, "A", "B"}}, Diff(p, parse(t, "schema B { a: u32; b: u32; }")))
}

func TestCompatibility(t *testing.T) {
	const base = "schema A 1.2.0 { a: u32; b: f64; }"
	for _, c := range []struct {
		what, producer    string
		compatible, exact bool
	}{
		{"the same", base, true, true},
		{"another minor version", "schema A 1.7.3 { a: u32; b: f64; }", true, true},
		{"added at the end", "schema A 1.3.0 { a: u32; b: f64; c: u8; }", true, false},
		{"added where nothing was", "schema A 1.3.0 { a: u32; c: u8; b: f64; }", true, false},
		{"added in the middle", "schema A 1.3.0 { a: u32; c: u64; b: f64; }", false, false},
		{"another major version", "schema A 2.0.0 { a: u32; b: f64; }", false, false},
		{"another name", "schema B 1.2.0 { a: u32; b: f64; }", false, false},
		{"a field less", "schema A 1.2.0 { a: u32; }", false, false},
		{"retyped", "schema A 1.2.0 { a: u32; b: i64; }", false, false},
		{"resized", "schema A 1.2.0 { a: u32[1]; b: f64; }", false, false},
		{"reordered", "schema A 1.2.0 { b: f64; a: u32; }", false, false},
		{"renamed", "schema A 1.2.0 { a: u32; d: f64; }", false, false},
		{"packed", "packed schema A 1.2.0 { a: u32; b: f64; }", false, false},
		{"the same places, and shorter", "schema A 1.2.0 { a: u32; b: f64 @ 8; } size 16 align 4", true, false},
	} {
		p, consumer := parse(t, c.producer), parse(t, base)
		for mode, fits := range map[Mode]bool{Compatible: c.compatible, Exact: c.exact} {
			err := Check(p, consumer, mode)
			assert.Equal(t, fits, err == nil, "%s, mode %d: %v", c.what, mode, err)
			if err != nil {
				assert.IsType(t, &Mismatch{}, err)
				assert.Contains(t, err.Error(), "schema differs: producer "+p.Name+" "+p.Version.String())
			}
		}
	}
	err := Check(parse(t, "schema A { a: i32; }"),
		parse(t, "schema A { a: u32; "+strings.Repeat("b",
			3)+": u8; c0:u8;c1:u8;c2:u8;c3:u8;c4:u8;c5:u8;c6:u8;c7:u8;}"), Compatible)
	assert.ErrorContains(t, err, "and 3 more")
	for n, more := range map[int]string{8: `"f7" missing: producer has none, consumer u8@1`,
		9:  `"f7" missing: producer has none, consumer u8@8; and 1 more`,
		10: `"f7" missing: producer has none, consumer u8@8; and 2 more`} {
		err := Check(parse(t, "schema A { a: u8; } size 100"),
			parse(t, "schema A { a: u8; "+manyFields(n, "", "f#: u8; ")+"}"), Compatible)
		assert.Truef(t, strings.HasSuffix(err.Error(), more) || n == 8 && !strings.Contains(err.Error(), "more") &&
			strings.Count(err.Error(), "missing") == 8, "%d: %v", n, err)
	}
}

func TestASchemaWithoutVersionSaysSo(t *testing.T) {
	with, without := parse(t, "schema T 1.0.0 { a: f64; }"), parse(t, "schema T { a: f64; }")
	assert.ErrorContains(t, Check(with, without, Compatible),
		"the consumer's schema has no version (0.0.0): give it one, such as 1.0.0")
	assert.ErrorContains(t, Check(without, with, Compatible),
		"the producer's schema has no version (0.0.0): give it one, such as 1.0.0")
	assert.ErrorContains(t, Check(parse(t, "schema T 2.0.0 { a: f64; }"), with, Compatible),
		"another major version is another struct")
	assert.NoError(t, Check(without, without, Exact))
	assert.ErrorContains(t, OtherSchema(with, without), "the consumer's schema has no version")
}

func TestVersionRules(t *testing.T) {
	for _, c := range []struct{ next, says string }{
		{"schema A 1.2.0 { a: u32; }", ""},
		{"schema A 1.2.1 { a: u32; }", ""},
		{"schema A 2.0.0 { a: u32; }", ""},
		{"schema A 1.1.9 { a: u32; }", "versions only rise"},
		{"schema A 1.3.0 { a: u32; b: u32; }", ""},
		{"schema A 2.2.0 { a: u32; b: u32; }", ""},
		{"schema A 1.2.1 { a: u32; b: u32; }", "it needs version 1.3.0"},
		{"schema A 1.2.0 { a: u32; b: u32; }", "it needs version 1.3.0"},
		{"schema A 1.3.0 { a: i32; }", `it needs version 2.0.0; field "a" retyped`},
		{"schema A 2.0.0 { a: i32; }", ""},
		{"schema B 1.2.0 { a: u32; }", "the names differ"},
	} {
		err := CheckSuccessor(parse(t, "schema A 1.2.0 { a: u32; }"), parse(t, c.next))
		if c.says == "" {
			assert.NoError(t, err, c.next)
		} else {
			assert.ErrorContains(t, err, c.says, c.next)
		}
	}
}

type point struct{ X, Y float32 }

type sensorReading struct {
	Time  uint64
	Value [3]float64
	At    [2]point
	Inner struct {
		A uint8
		B uint16
	}
	Matrix [2][3]int16
	Name   [16]byte `datablock:"name,char"`
	_      [20]byte
	OK     bool `datablock:"ok"`
}

func TestFromGo(t *testing.T) {
	s, err := FromType(reflect.TypeFor[sensorReading](), "SensorReading", Version{2, 1, 0})
	require.NoError(t, err)
	assert.Equal(t, parse(t, reading).Canonical(), s.Canonical())
	for _, bad := range []struct {
		value any
		says  string
	}{
		{struct{ A complex64 }{}, "use an array of two floats"},
		{struct{ A atomic.Int32 }{}, "field A: atomic.Int32 is not to be copied"},
		{struct{ A int32 }{}, "has no name: give the schema one"},
		{struct{ A *int32 }{}, "means nothing to another process"},
		{struct{ A string }{}, "means nothing to another process"},
		{struct{ A []byte }{}, "means nothing to another process"},
		{struct{ A struct{ B map[int]int } }{}, "field A: field B"},
		{struct{}{}, "a struct has no fields"},
		{struct {
			A int32 `datablock:"a,char"`
		}{}, "char is for bytes"},
		{struct {
			A int32 `datablock:"a,chars"`
		}{}, "option \"chars\" is unknown"},
		{7, "is no struct"},
	} {
		name := "A"
		if strings.Contains(bad.says, "has no name") {
			name = ""
		}
		_, err := FromType(reflect.TypeOf(bad.value), name, Version{})
		assert.ErrorContains(t, err, bad.says)
	}
	type numbers struct {
		A int
		B uint
		C uintptr
	}
	s, err = FromType(reflect.TypeFor[numbers](), "", Version{})
	require.NoError(t, err)
	assert.Equal(t, "numbers{a:i64@0,b:u64@8,c:u64@16}24/8", s.Canonical(), "as long, unsigned long and uintptr_t in C")
}

// The names that other languages use. One word more or less in a name changes the hash.
func TestGoNamesInSnakeCase(t *testing.T) {
	for name, want := range map[string]string{
		"TimestampNs": "timestamp_ns", "HTTPPort": "http_port", "X": "x", "ID": "id", "aB": "a_b", "A1B2": "a1b2",
		"BidPrice": "bid_price",
		"URLs":     "urls", "URLsFound": "urls_found", "ID3D": "id3d", "IPv4": "ipv4", "IPv4Address": "ipv4_address",
		"X2Y": "x2y", "Vec3D": "vec3d",
		"Value2Max": "value2_max", "UserIDs": "user_ids", "A_B": "a_b", "IsOK": "is_ok", "ATime": "a_time", "OK": "ok",
		"Ü": "ü",
	} {
		assert.Equal(t, want, snakeCase(name), name)
	}
}

type tradeV2 struct{ Price float64 }

func (tradeV2) DatablockSchemaName() string { return "trade" }

type byPointer struct{ Price float64 }

func (*byPointer) DatablockSchemaName() string { return "price" }

func TestAGoTypeNamesItsSchema(t *testing.T) {
	type huge struct{ Bytes [1 << 40]byte }
	s, err := FromType(reflect.TypeFor[huge](), "", Version{1, 0, 0})
	require.NoError(t, err, "no such struct is made to look at its type")
	assert.Equal(t, "huge", s.Name)
	for want, of := range map[string]reflect.Type{"trade": reflect.TypeFor[tradeV2](),
		"price": reflect.TypeFor[byPointer](), "point": reflect.TypeFor[point]()} {
		s, err := FromType(of, "", Version{1, 0, 0})
		require.NoError(t, err)
		assert.Equal(t, want, s.Name)
	}
}

// ---- Golden schemas -----------------------------------------------------------------------------

type golden struct {
	Name      string `json:"name"`
	Text      string `json:"text"`
	Canonical string `json:"canonical"`
	Hash      string `json:"hash"`
}

func goldens(t testing.TB) (all []golden) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "tests", "format", "vectors", "schemas.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &all))
	return all
}

var update = flag.Bool("update", false, "write canonical text and hash of each golden schema anew, from its text")

func TestGoldenSchemas(t *testing.T) {
	all := goldens(t)
	if *update {
		for i := range all {
			s := parse(t, all[i].Text)
			all[i].Canonical, all[i].Hash = s.Canonical(), fmt.Sprintf("%x", s.Hash())
		}
		data, err := json.MarshalIndent(all, "", " ")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join("..", "tests", "format", "vectors", "schemas.json"),
			append(data, '\n'), 0o644))
	}
	assert.GreaterOrEqual(t, len(all), 60)
	for _, g := range all {
		s, err := Parse(g.Text)
		require.NoError(t, err, g.Name)
		assert.Equal(t, g.Canonical, s.Canonical(), g.Name)
		assert.Equal(t, g.Hash, fmt.Sprintf("%x", s.Hash()), g.Name)
		again, err := ParseCanonical(g.Canonical, s.Version)
		require.NoError(t, err, g.Name)
		assert.Equal(t, s, again, g.Name)
		assert.Equal(t, s, parse(t, s.Text()), g.Name)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(reading)
	for _, g := range goldens(f) {
		f.Add(g.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(s.Text())
		require.NoError(t, err, s.Text())
		require.Equal(t, s, again)
		line, err := ParseCanonical(s.Canonical(), s.Version)
		require.NoError(t, err)
		require.Equal(t, s, line)
	})
}

func FuzzParseCanonical(f *testing.F) {
	for _, g := range goldens(f) {
		f.Add(g.Canonical)
	}
	f.Fuzz(func(t *testing.T, line string) {
		s, err := ParseCanonical(line, Version{1, 2, 3})
		if err != nil {
			return
		}
		require.Equal(t, line, s.Canonical())
		require.Equal(t, s, parse(t, s.Text()))
	})
}

// The worked example of docs/schema.md, from its text.
func TestTheDocumentsExample(t *testing.T) {
	document, err := os.ReadFile(filepath.Join("..", "docs", "schema.md"))
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)For `(schema [^`]*)` the line is\n\n    (\\S+)\n\nand the hash is (\\w+):\n\n  " +
		"  printf %s '(\\S+)' \\| b2sum -l 256\n").FindStringSubmatch(string(document))
	require.NotNil(t, found, "the example is not where it was")
	s := parse(t, found[1])
	assert.Equal(t, s.Canonical(), found[2])
	assert.Equal(t, fmt.Sprintf("%x", s.Hash()), found[3])
	assert.Equal(t, found[2], found[4])
	form := regexp.MustCompile("(?s)## The text form\n\n(.*?)\n\n")
	for _, text := range form.FindStringSubmatch(string(document))[1:] {
		assert.Equal(t, parse(t, reading).Hash(), parse(t, text).Hash())
	}
}
