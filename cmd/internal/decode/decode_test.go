package decode_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
	"datablock/cmd/internal/decode"
	"datablock/schema"
)

func decoder(t testing.TB, text string) *decode.Decoder {
	t.Helper()
	s, err := datablock.ParseSchema(text)
	require.NoError(t, err)
	return decode.New(s)
}

func jsonText(t testing.TB, v decode.Value) string {
	t.Helper()
	text, err := v.MarshalJSON()
	require.NoError(t, err)
	require.True(t, json.Valid(text), "%s", text)
	return string(text)
}

// message puts parts after each other in the byte order of the machine.
func message(t testing.TB, parts ...any) (all []byte) {
	t.Helper()
	for _, part := range parts {
		var err error
		all, err = binary.Append(all, binary.NativeEndian, part)
		require.NoError(t, err)
	}
	return all
}

func TestEveryScalar(t *testing.T) {
	for _, c := range []struct {
		typ  string
		raw  any
		want any
		json string
	}{
		{"i8", int8(-128), int64(-128), "-128"},
		{"i16", int16(-2), int64(-2), "-2"},
		{"i32", int32(math.MinInt32), int64(math.MinInt32), "-2147483648"},
		{"i64", int64(math.MinInt64), int64(math.MinInt64), "-9223372036854775808"},
		{"u8", uint8(255), uint64(255), "255"},
		{"u16", uint16(65535), uint64(65535), "65535"},
		{"u32", uint32(math.MaxUint32), uint64(math.MaxUint32), "4294967295"},
		{"u64", uint64(math.MaxUint64), uint64(math.MaxUint64), "18446744073709551615"},
		{"f32", float32(0.1), float32(0.1), "0.1"},
		{"f32", float32(math.MaxFloat32), float32(math.MaxFloat32), "3.4028235e+38"},
		{"f64", 0.1, 0.1, "0.1"},
		{"f64", 1e-300, 1e-300, "1e-300"},
		{"f64", math.Copysign(0, -1), math.Copysign(0, -1), "-0"},
		{"f64", math.Inf(1), math.Inf(1), `"Infinity"`},
		{"f64", math.Inf(-1), math.Inf(-1), `"-Infinity"`},
		{"f32", float32(math.Inf(-1)), float32(math.Inf(-1)), `"-Infinity"`},
		{"bool", uint8(0), false, "false"},
		{"bool", uint8(1), true, "true"},
		{"bool", uint8(7), uint64(7), "7"},
		{"char", uint8('x'), "x", `"x"`},
		{"char", uint8(0), "", `""`},
		{"char[4]", []byte("ab\x00c"), "ab", `"ab"`},
		{"char[4]", []byte("abcd"), "abcd", `"abcd"`},
		{"char[4]", []byte("é\xffa"), "é\xffa", `"é\\xffa"`},
		{"char[4]", []byte("\x1b[m\""), "\x1b[m\"", `"\u001b[m\""`},
		{"char[3]", []byte("\xed\xa0\x80"), "\xed\xa0\x80", `"\\xed\\xa0\\x80"`},
		{"char[4]", []byte("\U000e0001"), "\U000e0001", `"\udb40\udc01"`},
	} {
		v := decoder(t, "schema S { a: "+c.typ+"; }").Decode(message(t, c.raw))
		a, err := v.Lookup("a")
		require.NoError(t, err)
		assert.Equal(t, c.want, a.Any(), c.typ)
		assert.Equal(t, `{"a":`+c.json+`}`, jsonText(t, v), c.typ)
	}
	v := decoder(t, "schema S { a: f32; b: f64; }").Decode(message(t, float32(math.NaN()), uint32(0), math.NaN()))
	assert.Equal(t, `{"a":"NaN","b":"NaN"}`, jsonText(t, v))
}

const everything = `struct Point { x: f32; y: f32; }
schema Everything 1.0.0 {
    time: u64;
    points: Point[2];
    matrix: i16[2][3];
    inner: { a: u8; b: packed { c: u8; d: u16; }; };
    names: char[2][4];
    ok: bool @ 100;
}`

func everythingMessage(t testing.TB) []byte {
	m := message(t, uint64(7), []float32{1, 2, 3, 4.5}, []int16{1, 2, 3, -4, -5, -6}, uint8(8), uint8(9), uint16(515),
		[]byte("ab\x00\x00wxyz"))
	return append(append(m, make([]byte, 100-len(m))...), 1, 0, 0, 0)
}

const everythingJSON = `{"time":7,"points":[{"x":1,"y":2},{"x":3,"y":4.5}],"matrix":[[1,2,3],[-4,-5,-6]],` +
	`"inner":{"a":8,"b":{"c":9,"d":515}},"names":["ab","wxyz"],"ok":true}`

func TestNestedArraysAndPackedStructs(t *testing.T) {
	d := decoder(t, everything)
	v := d.Decode(everythingMessage(t))
	assert.Equal(t, everythingJSON, jsonText(t, v))
	assert.Zero(t, v.Short)
	assert.Empty(t, v.Rest)
	for path, want := range map[string]any{"time": uint64(7), "points[1].y": float32(4.5), "matrix[1][2]": int64(-6),
		"inner.b.d": uint64(515), "names[1]": "wxyz", "ok": true} {
		at, err := v.Lookup(path)
		require.NoError(t, err)
		assert.Equal(t, want, at.Any(), path)
	}
	row, err := v.Lookup("matrix[1]")
	require.NoError(t, err)
	assert.Equal(t, "[-4,-5,-6]", jsonText(t, row))
	last, err := row.Lookup("[2]")
	require.NoError(t, err)
	assert.Equal(t, int64(-6), last.Any())
	assert.Equal(t, []string{"time: 7", "points[0]:", "  x: 1", "  y: 2", "points[1]:", "  x: 3", "  y: 4.5",
		"matrix: [[1, 2, 3], [-4, -5, -6]]", "inner:", "  a: 8", "  b:", "    c: 9", "    d: 515",
		`names: ["ab", "wxyz"]`, "ok: true"}, v.Lines("  "))
	for path, want := range map[string]float64{"time": 7, "points[1].y": 4.5, "matrix[1][0]": -4, "ok": 1} {
		at, err := v.Lookup(path)
		require.NoError(t, err)
		n, ok := at.Number()
		assert.True(t, ok && n == want, path)
	}
	for _, path := range []string{"", "points", "names[0]", "inner"} {
		at, err := v.Lookup(path)
		require.NoError(t, err)
		_, ok := at.Number()
		assert.False(t, ok, path)
	}
}

func TestADecodedMessageIsACopy(t *testing.T) {
	m := everythingMessage(t)
	v := decoder(t, everything).Decode(m)
	clear(m)
	assert.Equal(t, everythingJSON, jsonText(t, v))
}

func TestAWrongPathNamesThePart(t *testing.T) {
	d := decoder(t, everything)
	for path, want := range map[string]string{
		"z":                            `the message has no field "z"; it has time, points, matrix, inner, names, ok`,
		"inner.z":                      `"inner" has no field "z"; it has a, b`,
		"points.x":                     `"points" is an array of 2 structs, and has no field "x"; write points[0].x`,
		"points[2].x":                  `"points" has no item [2]; it has 2, from 0`,
		"points[-1]":                   `"points" is followed by "[-1]": write [NUMBER], from 0`,
		"points[01]":                   `"points" is followed by "[01]": write [NUMBER], from 0`,
		"points[0":                     `"points" is followed by "[0": write [NUMBER], from 0`,
		"points[0]x":                   `"points[0]" is followed by "x": write .NAME or [NUMBER]`,
		"matrix[0][1][2]":              `"matrix[0][1]" is a number (i16), and has no item [2]`,
		"matrix[0].x":                  `"matrix[0]" is an array (i16[3]), and has no field "x"`,
		"names[0][1]":                  `"names[0]" is a text (char[4]), and has no item [1]`,
		"time.x":                       `"time" is a number (u64), and has no field "x"`,
		"inner.":                       `"inner" has no field ""; it has a, b`,
		".time":                        `the message has no field ""; it has time, points, matrix, inner, names, ok`,
		"[0]":                          `the message is a struct, and has no item [0]`,
		"inner..a":                     `"inner" has no field ""; it has a, b`,
		"points[99999999999999999999]": `"points" is followed by "[99999999999999999999]": write [NUMBER], from 0`,
	} {
		_, err := d.Field(path)
		assert.EqualError(t, err, want, path)
	}
	_, err := d.Field("\x1b[31m" + strings.Repeat("x", 200))
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "\x1b")
	assert.Less(t, len(err.Error()), 300)
	_, err = decode.New(nil).Field("a")
	assert.EqualError(t, err, `"a": the block has no schema, and its messages are bytes without fields`)
}

func TestAShortMessageHasTheFieldsThatFit(t *testing.T) {
	d := decoder(t, "schema S { a: u32; p: { x: u16; y: u16; }[2]; t: char[4]; n: u16[4]; e: u64; }")
	m := message(t, uint32(1), []uint16{2, 3, 4, 5}, []byte("abcd"), []uint16{6, 7, 8, 9}, uint64(10))
	require.EqualValues(t, d.Schema().Size, len(m))
	for length, want := range map[int]string{
		0: `{}`, 3: `{}`, 4: `{"a":1}`, 5: `{"a":1}`, 6: `{"a":1}`, 8: `{"a":1,"p":[{"x":2,"y":3}]}`,
		13: `{"a":1,"p":[{"x":2,"y":3},{"x":4,"y":5}],"t":"a"}`,
		21: `{"a":1,"p":[{"x":2,"y":3},{"x":4,"y":5}],"t":"abcd","n":[6,7]}`,
		31: `{"a":1,"p":[{"x":2,"y":3},{"x":4,"y":5}],"t":"abcd","n":[6,7,8,9]}`,
		32: `{"a":1,"p":[{"x":2,"y":3},{"x":4,"y":5}],"t":"abcd","n":[6,7,8,9],"e":10}`,
	} {
		v := d.Decode(m[:length])
		assert.Equal(t, want, jsonText(t, v), length)
		assert.EqualValues(t, len(m)-length, v.Short)
	}
	v := d.Decode(m[:20])
	_, err := v.Lookup("n[3]")
	assert.EqualError(t, err, `"n[3]" is at bytes 22 to 24, and the message ends at byte 20`)
	lines := v.Lines(" ")
	assert.Equal(t, "… the message is 12 bytes too short for its schema", lines[len(lines)-1])
	longer := d.Decode(append(m, 0xab, 0xcd))
	assert.Equal(t, []byte{0xab, 0xcd}, longer.Rest)
	lines = longer.Lines(" ")
	assert.Equal(t, "… 2 bytes after the struct: ab cd", lines[len(lines)-1])
}

func TestAMessageWithoutASchemaIsBytes(t *testing.T) {
	v := decode.New(nil).Decode([]byte("DataBlock \x1b[0m\xff\n"))
	assert.Equal(t, decode.Bytes, v.Kind())
	assert.Equal(t, `"RGF0YUJsb2NrIBtbMG3/Cg=="`, jsonText(t, v))
	assert.Equal(t, []string{"000000  44 61 74 61 42 6c 6f 63 6b 20 1b 5b 30 6d ff 0a  DataBlock .[0m.."}, v.Lines(""))
	assert.Equal(t, []string{"(empty)"}, decode.New(nil).Decode(nil).Lines(""))
	lines := decode.New(nil).Decode(make([]byte, 1000)).Lines("")
	assert.Len(t, lines, 17)
	assert.Equal(t, "… 744 more bytes (1000 in all)", lines[16])
	assert.Empty(t, decode.New(nil).Paths())
}

func TestLargeArraysAreElidedInLinesOnly(t *testing.T) {
	d := decoder(t, "schema S { a: u8[1000]; p: { x: u8; }[100]; n: char[300]; deep: u8[16][16][16]; }")
	m := make([]byte, d.Schema().Size)
	copy(m[1100:], strings.Repeat("é", 150))
	v := d.Decode(m)
	text := strings.Join(v.Lines(" "), "\n")
	assert.Contains(t, text, "a: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, … 984 more (1000 in all)]")
	assert.Contains(t, text, "p: … 92 more (100 in all)")
	assert.Contains(t, text, `n: "`+strings.Repeat("é", 99))
	assert.Contains(t, text, "… (300 bytes in all)")
	assert.Less(t, len(text), 2000)
	var all struct {
		A, Deep []any
		P       []any
	}
	require.NoError(t, json.Unmarshal([]byte(jsonText(t, v)), &all))
	assert.Equal(t, []int{1000, 100, 16}, []int{len(all.A), len(all.P), len(all.Deep)})

	nested := "u8"
	for range 7 {
		nested = "{ a: " + nested + "[8]; }"
	}
	lines := decoder(t, "schema S "+nested).
		Decode(make([]byte, 1<<21)).Lines(" ")
	assert.LessOrEqual(t, len(lines), 1002)
	assert.Equal(t, "… (more is not shown)", lines[len(lines)-1])
}

func TestATerminalSeesNoControlCharacters(t *testing.T) {
	hostile := "\x1b]0;x\a\xc2\x9b31m\u202e\xff" + strings.Repeat("\x00", 40)
	v := decoder(t, "schema S { a: char[40]; }").Decode([]byte(hostile))
	for _, text := range append(v.Lines(""), jsonText(t, v), v.String()) {
		for _, r := range text {
			assert.True(t, unicode.IsPrint(r), "%q", text)
		}
	}
	assert.Equal(t, `a: "\x1b]0;x\a\u009b31m\u202e\xff"`, v.Lines("")[0])
	odd := decoder(t, "schema S { a: bool; }").Decode([]byte{2})
	assert.Equal(t, []string{"a: 2 (a bool is 0 or 1)"}, odd.Lines(""))
}

func TestPaths(t *testing.T) {
	d := decoder(t, everything)
	assert.Equal(t, []decode.Path{
		{"time", schema.U64, nil, 0, 8},
		{"points[].x", schema.F32, []uint64{2}, 8, 4},
		{"points[].y", schema.F32, []uint64{2}, 12, 4},
		{"matrix", schema.I16, []uint64{2, 3}, 24, 2},
		{"inner.a", schema.U8, nil, 36, 1},
		{"inner.b.c", schema.U8, nil, 37, 1},
		{"inner.b.d", schema.U16, nil, 38, 2},
		{"names", schema.Char, []uint64{2}, 40, 4},
		{"ok", schema.Bool, nil, 100, 1},
	}, normal(d.Paths()))
	columns, all := d.Columns(100)
	assert.True(t, all)
	assert.Equal(t, []string{"time", "points[0].x", "points[0].y", "points[1].x", "points[1].y", "matrix[0][0]",
		"matrix[0][1]", "matrix[0][2]", "matrix[1][0]", "matrix[1][1]", "matrix[1][2]", "inner.a", "inner.b.c",
		"inner.b.d", "names[0]", "names[1]", "ok"}, columns)
	for _, c := range columns {
		_, err := d.Field(c)
		assert.NoError(t, err)
	}
	huge := decoder(t, "schema S { a: { b: u8[1000000]; }[1000000]; }")
	columns, all = huge.Columns(3)
	assert.False(t, all)
	assert.Equal(t, []string{"a[0].b[0]", "a[0].b[1]", "a[0].b[2]"}, columns)
}

// normal makes no difference between no dimensions and none at all.
func normal(paths []decode.Path) []decode.Path {
	for i := range paths {
		if len(paths[i].Dims) == 0 {
			paths[i].Dims = nil
		}
	}
	return paths
}

// FuzzDecode: any bytes under any schema decode, and what is shown agrees with the message.
func FuzzDecode(f *testing.F) {
	f.Add(everything, everythingMessage(f), "points[1].x")
	f.Add("schema S { a: f64; b: char[3]; c: bool[2]; }",
		[]byte("\xff\xff\xff\xff\xff\xff\xff\x7f\xc3\x28\x00\x02\x01"), "c[1]")
	f.Add("packed schema S { a: u8; b: { c: i64; d: packed { e: f32; }[2][2]; }[3]; }", []byte("0123456789"),
		"b[2].d[1][0].e")
	f.Add("", []byte("no schema"), "")
	f.Fuzz(func(t *testing.T, text string, m []byte, path string) {
		var s *datablock.Schema
		if text != "" {
			var err error
			if s, err = datablock.ParseSchema(text); err != nil {
				t.Skip()
			}
		}
		d := decode.New(s)
		v := d.Decode(m)
		require.True(t, s == nil || uint64(len(m))+v.Short == s.Size+uint64(len(v.Rest)))
		jsonText(t, v)
		for _, line := range v.Lines("  ") {
			require.NotContains(t, line, "\x1b")
			require.NotContains(t, line, "\n")
		}
		field, err := d.Field(path)
		part, lookupErr := v.Lookup(path)
		if err != nil {
			require.EqualError(t, lookupErr, err.Error())
		} else if lookupErr == nil {
			jsonText(t, part)
			require.True(t, s == nil || uint64(len(part.Raw())) <= field.Type.Size())
		}
		columns, _ := d.Columns(100)
		for _, c := range columns {
			_, err := d.Field(c)
			require.NoError(t, err)
		}
		require.LessOrEqual(t, len(d.Paths()), schema.MaxFields)
	})
}

func TestCells(t *testing.T) {
	m := message(t, math.NaN(), float32(math.Inf(-1)), []byte("a\"\\\n\xffé\x00"), uint8(1), []int8{-1, 2}, uint8(3))
	v := decoder(t, "schema S { a: f64; b: f32; c: char[8]; d: bool; e: i8[2]; f: { g: u8; }; }").Decode(m)
	for path, want := range map[string]string{"a": "NaN", "b": "-Infinity", "c": `a"\\n\xffé`, "d": "true",
		"e": "[-1,2]", "e[0]": "-1", "f": `{"g":3}`} {
		at, err := v.Lookup(path)
		require.NoError(t, err)
		assert.Equal(t, want, at.Cell(), path)
	}
	assert.Equal(t, "00ff", decode.New(nil).Decode([]byte{0, 0xff}).Cell())
}
