package ros2

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/cmd/internal/decode"
	"datablock/schema"
)

func parsed(t testing.TB, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse(text)
	require.NoError(t, err)
	return s
}

func TestANaturallyAlignedStructIsCDRAsItIs(t *testing.T) {
	s := parsed(t, `struct Point { x: f32; y: f64; }
schema sensor_reading 2.1.0 { time: u64; at: Point[2][3]; ok: bool; name: char[16]; matrix: i16[2][3]; a: u8; }`)
	m := New(s)
	assert.True(t, m.Copies())
	assert.Equal(t, "datablock/msg/SensorReading", m.Name())
	assert.Equal(t, fmt.Sprintf(`# DataBlock schema sensor_reading 2.1.0, BLAKE2b-256 %x
uint64 time
datablock/SensorReadingAt[6] at  # [2][3]
bool ok
uint8[16] name  # char[16]
uint8[1] padding  # padding
int16[6] matrix  # i16[2][3]
uint8 a
uint8[1] padding_2  # padding
%s
MSG: datablock/SensorReadingAt
float32 x
uint8[4] padding  # padding
float64 y
`, s.Hash(), strings.Repeat("=", 80)), m.Text())
	message := make([]byte, s.Size+7)
	for i := range message {
		message[i] = byte(i)
	}
	cdr, err := m.Append([]byte("before"), message)
	require.NoError(t, err)
	assert.Equal(t, append([]byte("before\x00\x01\x00\x00"), message[:s.Size]...), cdr)
	back, err := m.Message(cdr[6:])
	require.NoError(t, err)
	assert.Equal(t, message[:s.Size], back)
	_, err = m.Append(nil, message[:s.Size-1])
	assert.EqualError(t, err, fmt.Sprintf("a message of %d bytes, and its schema has %d", s.Size-1, s.Size))
}

func TestAPackedStructIsConverted(t *testing.T) {
	m := New(parsed(t, "packed schema P { a: u8; b: u32; c: packed { d: u16; e: u8; }[2]; f: f64; }"))
	assert.False(t, m.Copies())
	assert.NotContains(t, m.Text(), "padding")
	cdr, err := m.Append(nil, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19})
	require.NoError(t, err)
	assert.Equal(t, []byte{0, 1, 0, 0, 1, 0, 0, 0, 2, 3, 4, 5, 6, 7, 8, 0, 9, 10, 11, 0,
		12, 13, 14, 15, 16, 17, 18, 19}, cdr)
	back, err := m.Message(cdr)
	require.NoError(t, err)
	assert.Equal(t, []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, back)
}

func TestABlockWithoutASchemaIsBytes(t *testing.T) {
	m := New(nil)
	assert.Equal(t, "datablock/msg/Bytes", m.Name())
	assert.Equal(t, "uint8[] data\n", m.Text())
	cdr, err := m.Append(nil, []byte("abc"))
	require.NoError(t, err)
	assert.Equal(t, []byte("\x00\x01\x00\x00\x03\x00\x00\x00abc"), cdr)
	back, err := m.Message(cdr)
	require.NoError(t, err)
	assert.Equal(t, "abc", string(back))
}

func TestWhatAlignsAndWhatDoesNot(t *testing.T) {
	for text, want := range map[string]bool{
		"packed schema S { a: u32; b: u8; }":                             true,
		"packed schema S { a: u8; b: u32; }":                             false,
		"schema S { a: packed { b: u32; c: u8; }; d: u8; }":              true,
		"schema S { a: packed { b: u32; c: u8; }[2]; d: u8; }":           false,
		"schema S { a: u8; b: packed { c: u64; }; }":                     false,
		"schema S { a: u8; b: packed { c: u64; } @ 8; }":                 true,
		"schema S { a: u32 @ 6; }":                                       false,
		"schema S { a: u8; b: { c: u8; d: u8; }[3]; e: u16[2][2] @ 8; }": true,
	} {
		assert.Equal(t, want, New(parsed(t, text)).Copies(), text)
	}
}

func TestNamesAreThoseOfROS(t *testing.T) {
	for name, want := range map[string]string{"bidPrice": "bid_price", "HTTPPort": "http_port", "x": "x", "_": "f",
		"_a_": "a", "a__b": "a_b", "_1": "f1", "ID": "id", "A_B": "a_b", "x2": "x2"} {
		assert.Equal(t, want, snake(name), name)
	}
	for name, want := range map[string]string{"trade": "Trade", "sensor_reading": "SensorReading", "_": "M",
		"_1a": "M1a", "X": "X"} {
		assert.Equal(t, want, camel(name), name)
	}
	text := New(parsed(t, `schema S { A: u8; a: u8; padding: u8; b: u32; x_y: { z: u8; }; x: { y_z: { a: u8; }; };
x_y_z: { b: u8; }; }`)).Text()
	for _, line := range []string{"uint8 a\n", "uint8 a_2\n", "uint8 padding\n", "uint8[1] padding_2  #",
		"datablock/SXY x_y\n", "datablock/SX x\n", "datablock/SXYZ y_z\n", "datablock/SXYZ2 x_y_z\n"} {
		assert.Contains(t, text, line)
	}
}

func TestTheBytesAfterTheStructAreAField(t *testing.T) {
	for _, text := range []string{"schema S { a: u16; rest: u8; }", "packed schema S { a: u8; rest: u16; }"} {
		m := NewWithRest(parsed(t, text))
		assert.Contains(t, m.Text(), "uint8[] rest_2  # after the struct\n")
		message := []byte{1, 2, 3, 4, 5, 6}[:m.schema.Size+2]
		cdr, err := m.Append(nil, message)
		require.NoError(t, err)
		back, err := m.Message(cdr)
		require.NoError(t, err)
		assert.Equal(t, message, back)
	}
}

func TestDamagedCDRIsAnError(t *testing.T) {
	for _, m := range []*Message{New(nil), New(parsed(t, "schema S { a: u64; }")),
		New(parsed(t, "packed schema S { a: u8; b: u64; c: { d: u16; }[1000]; }")),
		NewWithRest(parsed(t, "schema S { a: u8; }"))} {
		cdr, err := m.Append(nil, make([]byte, 4000))
		require.NoError(t, err)
		for length := range cdr {
			_, err = m.Message(cdr[:length])
			assert.Error(t, err)
		}
		_, err = m.Message(append([]byte{0, 0, 0, 0}, cdr[4:]...))
		assert.ErrorContains(t, err, "byte order")
	}
	_, err := New(parsed(t, "schema S { a: u8; b: u32 @ 1099511627770; }")).Message(make([]byte, 100))
	assert.Error(t, err)
	_, err = New(parsed(t, "schema S { a: u8; b: u32 @ 1099511627770; }")).Message([]byte{0, 1, 0, 0, 1, 2, 3})
	assert.ErrorContains(t, err, "the limit is")
}

// value is what a decoder of ROS 2 has to return for a value: names of ROS 2, flat arrays, text as
// bytes.
func (m *Message) value(v decode.Value, at int) any {
	switch v.Kind() {
	case decode.Struct:
		all := map[string]any{}
		parts := map[int]decode.Value{}
		for _, part := range v.Fields() {
			parts[len(parts)] = part
		}
		for _, f := range m.types[at].fields {
			if f.source >= 0 {
				all[f.name] = m.value(parts[f.source], m.typeOf(f))
			}
		}
		return all
	case decode.Array:
		flat := []any{}
		for _, item := range v.Items() {
			if inner := m.value(item, at); item.Kind() == decode.Array || item.Kind() == decode.Text {
				flat = append(flat, inner.([]any)...)
			} else {
				flat = append(flat, inner)
			}
		}
		return flat
	case decode.Text:
		flat := []any{}
		for _, b := range v.Raw() {
			flat = append(flat, b)
		}
		if len(v.Type().Dims) == 0 {
			return flat[0]
		}
		return flat
	case decode.Bool:
		return v.Raw()[0] != 0
	}
	return v
}

// typeOf finds the definition of the struct in a field.
func (m *Message) typeOf(f field) int {
	name, _, _ := strings.Cut(strings.TrimPrefix(f.typ, folder+"/"), "[")
	for i, t := range m.types {
		if t.name == name {
			return i
		}
	}
	return 0
}

type testCase struct {
	Name     string        `json:"name"`
	Text     string        `json:"text"`
	Messages []testMessage `json:"messages"`
}

type testMessage struct {
	CDR   string `json:"cdr"`
	Value any    `json:"value"`
}

func caseOf(t *testing.T, random *rand.Rand, s *schema.Schema, rest bool) testCase {
	m := New(s)
	if rest {
		m = NewWithRest(s)
	}
	c := testCase{Name: m.Name(), Text: m.Text()}
	for range 3 {
		size := random.IntN(20)
		if s != nil {
			size = int(s.Size)
		}
		extra := 0
		if rest {
			extra = random.IntN(9)
		}
		message := make([]byte, size+extra)
		for i := range message {
			message[i] = byte(random.Uint32())
		}
		cdr, err := m.Append(nil, message)
		require.NoError(t, err)
		back, err := m.Message(cdr)
		require.NoError(t, err)
		again, err := m.Append(nil, back)
		require.NoError(t, err)
		require.Equal(t, cdr, again)
		want := map[string]any{"data": numbers(message)}
		if s != nil {
			want = m.value(decode.New(s).Decode(message), 0).(map[string]any)
		}
		if rest && s != nil {
			want[m.rest] = numbers(message[size:])
		}
		c.Messages = append(c.Messages, testMessage{fmt.Sprintf("%x", cdr), want})
	}
	return c
}

func numbers(data []byte) []int {
	all := make([]int, len(data))
	for i, b := range data {
		all[i] = int(b)
	}
	return all
}

// randomFields makes the fields of a struct: every type, arrays of arrays, nested and packed.
func randomFields(random *rand.Rand, depth int) string {
	kinds := strings.Fields("i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 bool char")
	var b strings.Builder
	for i := range 1 + random.IntN(5) {
		name := []string{"a", "bidPrice", "C", "from", "string", "uint8", "x_", "__init__"}[random.IntN(8)]
		fmt.Fprintf(&b, "%s%d: ", name, i)
		if depth < 4 && random.IntN(4) == 0 {
			b.WriteString([]string{"", "packed "}[random.IntN(2)] + "{ " + randomFields(random, depth+1) + "}")
		} else {
			b.WriteString(kinds[random.IntN(len(kinds))])
		}
		for range []int{0, 0, 0, 1, 1, 2}[random.IntN(6)] {
			fmt.Fprintf(&b, "[%d]", 1+random.IntN(4))
		}
		b.WriteString("; ")
	}
	return b.String()
}

// TestPublicDecodersReadEveryField decodes the golden schemas and random ones with the Python
// packages mcap-ros2-support and rosbags, and compares with decode.
func TestPublicDecodersReadEveryField(t *testing.T) {
	python, err := filepath.Abs("../../../.venv/bin/python")
	require.NoError(t, err)
	if out, err := exec.Command(python, "-c", "import mcap_ros2, rosbags").CombinedOutput(); err != nil {
		t.Skipf("NOT SHOWN: that public decoders read the messages: %v: %s", err, out)
	}
	golden, err := os.ReadFile("../../../tests/format/vectors/schemas.json")
	require.NoError(t, err)
	var all []struct{ Text string }
	require.NoError(t, json.Unmarshal(golden, &all))
	random := rand.New(rand.NewPCG(1, 2))
	cases := []testCase{caseOf(t, random, nil, false)}
	for _, g := range all {
		if s := parsed(t, g.Text); s.Size < 1<<16 {
			cases = append(cases, caseOf(t, random, s, false))
		}
	}
	copies := 0
	for i := range 150 {
		kind := []string{"", "packed "}[random.IntN(2)]
		s := parsed(t, kind+"schema random_schema 1.0.0 { "+randomFields(random, 1)+"}")
		if New(s).Copies() {
			copies++
		}
		cases = append(cases, caseOf(t, random, s, i%3 == 0))
	}
	require.True(t, copies > 20 && copies < 130, "both kinds: %d are copied", copies)
	var input bytes.Buffer
	for _, c := range cases {
		require.NoError(t, json.NewEncoder(&input).Encode(c))
	}
	run := exec.Command(python, "testdata/decode.py")
	run.Stdin = &input
	out, err := run.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Equal(t, fmt.Sprintf("%d decoded\n", len(cases)), string(out))
}
