package schema

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
)

func differences(t *testing.T, producer, consumer string) (all []string) {
	t.Helper()
	for _, d := range Diff(parse(t, producer), parse(t, consumer)) {
		all = append(all, d.String())
	}
	return all
}

// A field is renamed where the same type is at the same place under a name that the other side does
// not have. Otherwise one field is missing and another is added.
func TestDiffOfRenames(t *testing.T) {
	const base = "schema A { a: u32; x: u32; y: u32; }"
	for _, c := range []struct {
		what, producer, consumer string
		want                     []string
	}{
		{"two candidates of one type, the first", base, "schema A { a: u32; z: u32; y: u32; }",
			[]string{`field "z" renamed: producer x u32@4, consumer u32@4`}},
		{"two candidates of one type, the second", base, "schema A { a: u32; x: u32; z: u32; }",
			[]string{`field "z" renamed: producer y u32@8, consumer u32@8`}},
		{"both", base, "schema A { a: u32; p: u32; q: u32; }",
			[]string{`field "p" renamed: producer x u32@4, consumer u32@4`,
				`field "q" renamed: producer y u32@8, consumer u32@8`}},
		{"exchanged are moved", base, "schema A { a: u32; y: u32; x: u32; }",
			[]string{`field "y" reordered: producer u32@8, consumer u32@4`,
				`field "x" reordered: producer u32@4, consumer u32@8`}},
		{"the same type elsewhere", base, "schema A { a: u32; x: u32; y: u32; z: u32; }",
			[]string{`field "z" missing: producer has none, consumer u32@12`, `size: producer 12, consumer 16`}},
		{"the same type at another offset", "schema A { a: u32; x: u32; }", "schema A { a: u32; z: u32 @ 8; }",
			[]string{`field "z" missing: producer has none, consumer u32@8`,
				`field "x" added: producer u32@4, consumer has none`, `size: producer 8, consumer 12`}},
		{"the same place of another type", "schema A { a: u32; x: u32; }", "schema A { a: u32; z: i32; }",
			[]string{`field "z" missing: producer has none, consumer i32@4`,
				`field "x" added: producer u32@4, consumer has none`}},
		{"the same place with another count", "schema A { a: u32; x: u32; }", "schema A { a: u32; z: u32[1]; }",
			[]string{`field "z" missing: producer has none, consumer u32[1]@4`,
				`field "x" added: producer u32@4, consumer has none`}},
		{"where the other one has what both have", "schema A { a: u32; b: u32; }", "schema A { b: u32; z: u32; }",
			[]string{`field "b" moved: producer u32@4, consumer u32@0`,
				`field "z" missing: producer has none, consumer u32@4`,
				`field "a" added: producer u32@0, consumer has none`}},
		{"a struct", "schema A { p: { x: f32; }; }", "schema A { q: { x: f32; }; }",
			[]string{`field "q" renamed: producer p struct@0, consumer struct@0`}},
		{"another struct", "schema A { p: { x: f32; }; }", "schema A { q: { y: f32; }; }",
			[]string{`field "q" missing: producer has none, consumer struct@0`,
				`field "p" added: producer struct@0, consumer has none`}},
		{"inside", "schema A { p: { x: f32; y: f32; }; }", "schema A { p: { x: f32; z: f32; }; }",
			[]string{`field "p.z" renamed: producer y f32@4, consumer f32@4`}},
	} {
		assert.Equal(t, c.want, differences(t, c.producer, c.consumer), c.what)
	}
}

func TestDiffOfPlaces(t *testing.T) {
	for _, c := range []struct {
		what, producer, consumer string
		want                     []string
	}{
		{"added in the middle", "schema A { a: u32; m: u64; b: u32; }", "schema A { a: u32; b: u32; }",
			[]string{`field "b" moved: producer u32@16, consumer u32@4`,
				`field "m" added: producer u64@8, consumer has none`, `size: producer 24, consumer 8`,
				`alignment: producer 8, consumer 4`}},
		{"removed in the middle", "schema A { a: u32; b: u32; }", "schema A { a: u32; m: u32; b: u32; }",
			[]string{`field "m" missing: producer has none, consumer u32@4`,
				`field "b" moved: producer u32@4, consumer u32@8`, `size: producer 8, consumer 12`}},
		{"added in the middle and reordered", "schema A { b: u32; m: u32; a: u32; }", "schema A { a: u32; b: u32; }",
			[]string{`field "a" reordered: producer u32@8, consumer u32@0`,
				`field "b" reordered: producer u32@0, consumer u32@4`,
				`field "m" added: producer u32@4, consumer has none`, `size: producer 12, consumer 8`}},
		{"rotated", "schema A { a: u32; b: u32; c: u32; }", "schema A { c: u32; a: u32; b: u32; }",
			[]string{`field "c" reordered: producer u32@8, consumer u32@0`,
				`field "a" reordered: producer u32@0, consumer u32@4`,
				`field "b" reordered: producer u32@4, consumer u32@8`}},
		{"reordered inside", "schema A { p: { x: u32; y: u32; }; q: u32; }",
			"schema A { p: { y: u32; x: u32; }; q: u32; }",
			[]string{`field "p.y" reordered: producer u32@4, consumer u32@0`,
				`field "p.x" reordered: producer u32@0, consumer u32@4`}},
		{"reordered, and moved inside", "schema A { p: { x: u8; y: u8; } size 4; q: u32; }",
			"schema A { q: u32; p: { x: u8; y: u8 @ 2; } size 4; }",
			[]string{`field "q" reordered: producer u32@4, consumer u32@0`,
				`field "p" reordered: producer struct@0, consumer struct@4`,
				`field "p.y" moved: producer u8@1, consumer u8@2`}},
		{"a larger array", "schema A { a: u32; v: u16[4]; b: u32; }", "schema A { a: u32; v: u16[2]; b: u32; }",
			[]string{`field "v" resized: producer u16[4]@4, consumer u16[2]@4`,
				`field "b" moved: producer u32@12, consumer u32@8`, `size: producer 16, consumer 12`}},
		{"an array in other dimensions", "schema A { v: u16[2][3]; }", "schema A { v: u16[3][2]; }",
			[]string{`field "v" resized: producer u16[2][3]@0, consumer u16[3][2]@0`}},
		{"an array of arrays made flat", "schema A { v: u16[2][3]; }", "schema A { v: u16[6]; }",
			[]string{`field "v" resized: producer u16[2][3]@0, consumer u16[6]@0`}},
		{"one and an array of one", "schema A { v: u16; }", "schema A { v: u16[1]; }",
			[]string{`field "v" resized: producer u16@0, consumer u16[1]@0`}},
		{"a resized array of structs, and what is in them", "schema A { v: { x: u8; y: u8; }[2]; }",
			"schema A { v: { x: u8; y: i8; }[3]; }",
			[]string{`field "v" resized: producer struct[2]@0, consumer struct[3]@0`,
				`field "v.y" retyped: producer u8@1, consumer i8@1`, `size: producer 4, consumer 6`}},
		{"a struct for a number", "schema A { v: u32; }", "schema A { v: { x: u32; }; }",
			[]string{`field "v" retyped: producer u32@0, consumer struct@0`}},
		{"type, count and place at once: the type is named", "schema A { a: u8; v: u32; }",
			"schema A { v: f32[2]; a: u8; }",
			[]string{`field "v" retyped: producer u32@4, consumer f32[2]@0`,
				`field "a" reordered: producer u8@0, consumer u8@8`, `size: producer 8, consumer 12`}},
		{"size and alignment inside", "schema A { v: { x: u8; } size 8 align 4; }",
			"schema A { v: { x: u8; } size 8 align 8; }",
			[]string{`field "v" alignment: producer 4, consumer 8`, `alignment: producer 4, consumer 8`}},
		{"size inside", "schema A { v: { x: u8; } size 4; w: u8 @ 8; }", "schema A { v: { x: u8; } size 8; w: u8; }",
			[]string{`field "v" size: producer 4, consumer 8`}},
	} {
		assert.Equal(t, c.want, differences(t, c.producer, c.consumer), c.what)
	}
}

// A consumer may ignore additions at the top level, and nothing else.
func TestWhatBreaks(t *testing.T) {
	for _, c := range []struct {
		what, producer, consumer string
		fits                     bool
	}{
		{"larger by a digit", "schema A { a: u8; } size 10", "schema A { a: u8; } size 9", true},
		{"smaller by a digit", "schema A { a: u8; } size 9", "schema A { a: u8; } size 10", false},
		{"larger", "schema A { a: u8; } size 20", "schema A { a: u8; } size 19", true},
		{"smaller", "schema A { a: u8; } size 19", "schema A { a: u8; } size 20", false},
		{"aligned otherwise", "schema A { a: u8; } size 8 align 8", "schema A { a: u8; } size 8 align 4", true},
		{"an aligned struct inside", "schema A { a: { x: u8; } size 8 align 8; } size 8 align 8",
			"schema A { a: { x: u8; } size 8 align 4; } size 8 align 8", false},
		{"a larger struct inside", "schema A { a: { x: u8; } size 8; } size 8",
			"schema A { a: { x: u8; } size 4; } size 8", false},
		{"added inside", "schema A { a: { x: u8; y: u8; } size 8; } size 8",
			"schema A { a: { x: u8; } size 8; } size 8", false},
		{"added", "schema A { a: { x: u8; } size 8; b: u8; }", "schema A { a: { x: u8; } size 8; }", true},
		{"added before", "schema A { b: u8; a: u32; }", "schema A { a: u32 @ 4; }", true},
	} {
		assert.Equal(t, c.fits, Check(parse(t, c.producer), parse(t, c.consumer), Compatible) == nil, c.what)
	}
}

// Random pairs against the rules of docs/schema.md, which this test states a second time.
func TestDiffOfRandomPairs(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	equal, fitting, pairs := 0, 0, 5000
	for range pairs {
		p := randomSchema(random)
		c := p
		for range random.IntN(3) {
			c = changed(random, c)
		}
		assert.Equal(t, p.Canonical() == c.Canonical(), len(Diff(p, c)) == 0, "%s\n%s", p.Canonical(), c.Canonical())
		assert.Equal(t, fits(p, c), Check(p, c, Compatible) == nil, "%s\n%s", p.Canonical(), c.Canonical())
		if fits(p, c) {
			fitting++
		}
		if same := p.Hash() == c.Hash(); same {
			equal++
		}
		assert.Equal(t, p.Hash() == c.Hash() && p.Version.Major == c.Version.Major, Check(p, c, Exact) == nil, "%s\n%s",
			p.Canonical(), c.Canonical())
	}
	assert.Greater(t, equal, pairs/10)
	assert.Greater(t, fitting-equal, pairs/50)
	assert.Less(t, fitting, pairs*9/10)
}

// fits is the rule: one name and major version, every field of the consumer present with the same
// type, count and offset, and at least as many bytes.
func fits(p, c *Schema) bool {
	if p.Name != c.Name || p.Version.Major != c.Version.Major || p.Size < c.Size {
		return false
	}
	for _, wanted := range c.Fields {
		if !slices.ContainsFunc(p.Fields, func(f Field) bool {
			return f.Name == wanted.Name && f.Offset == wanted.Offset && f.Type.String() == wanted.Type.String()
		}) {
			return false
		}
	}
	return true
}

func randomSchema(random *rand.Rand) *Schema {
	for {
		if s, err := New("A", Version{1, 0, 0}, randomLayout(random, 1)); err == nil {
			return s
		}
	}
}

func randomLayout(random *rand.Rand, depth int) (l Layout) {
	packed, end := random.IntN(4) == 0, uint64(0)
	for i := range 1 + random.IntN(4) {
		typ := randomType(random, depth)
		at := place(end, typ, packed) + uint64(random.IntN(8)/6*8)
		l.Fields = append(l.Fields, Field{"f" + strconv.Itoa(i), typ, at})
		end = at + typ.Size()
	}
	l.close(packed)
	return l
}

func randomType(random *rand.Rand, depth int) (t Type) {
	if depth < 3 && random.IntN(5) == 0 {
		nested := randomLayout(random, depth+1)
		t.Nested = &nested
	} else {
		t.Kind = Kind(1 + random.IntN(int(Char)))
	}
	for range random.IntN(5) / 2 {
		t.Dims = append(t.Dims, uint64(1+random.IntN(3)))
	}
	return t
}

// changed returns a schema in which one thing is different, or nothing.
func changed(random *rand.Rand, s *Schema) *Schema {
	for {
		c := parseAgain(s)
		l := &c.Layout
		f := &l.Fields[random.IntN(len(l.Fields))]
		if f.Type.Kind == Struct && random.IntN(2) == 0 {
			l = f.Type.Nested
			f = &l.Fields[random.IntN(len(l.Fields))]
		}
		switch random.IntN(9) {
		case 0:
			f.Name += "x"
		case 1:
			f.Type = randomType(random, 2)
		case 2:
			f.Offset += uint64(random.IntN(3)) * 4
		case 3:
			l.Fields = l.Fields[:len(l.Fields)-1]
		case 4:
			l.Size = roundUp(l.Size+8, l.Align)
		case 5:
			l.Align *= 2
			l.Size = roundUp(l.Size, l.Align)
		case 6:
			l.Fields = append(l.Fields, Field{"more", Type{Kind: U8}, l.Size})
			l.Size = roundUp(l.Size+1, l.Align)
		case 7:
			if other := &l.Fields[random.IntN(len(l.Fields))]; other.Type.Size() == f.Type.Size() {
				f.Name, other.Name, f.Type, other.Type = other.Name, f.Name, other.Type, f.Type
			}
		case 8:
			c.Version.Major += uint32(random.IntN(4) / 3)
		}
		if again, err := New(c.Name, c.Version, c.Layout); err == nil {
			return again
		}
	}
}

func parseAgain(s *Schema) *Schema {
	again, err := ParseCanonical(s.Canonical(), s.Version)
	if err != nil {
		panic(err)
	}
	return again
}
