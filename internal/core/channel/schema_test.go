package channel

import (
	"os"
	"strings"
	"testing"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
	"datablock/schema"
)

func schemaOf(t testing.TB, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse(text)
	require.NoError(t, err)
	return s
}

func (b fixture) withSchema(text string) segment.Config {
	c := b.config(segment.Ring, 4)
	c.Schema = schemaOf(b.t, text)
	return c
}

const sampleText = "schema Sample 1.2.0 { time: u64; value: f64; }"

func mismatches(t *testing.T, b fixture) uint64 {
	m, _, err := recovery.ReadMetrics("x", b.dir)
	require.NoError(t, err)
	return m.SchemaMismatches
}

func TestSchemaIsInTheBlock(t *testing.T) {
	b := newFixture(t)
	c := b.withSchema(sampleText)
	c.SlotSize = 0
	p := b.producer(c)
	assert.EqualValues(t, 16, p.SlotBytes, "that of the schema")
	s, err := segment.BlockSchema("x", b.dir)
	require.NoError(t, err)
	assert.Equal(t, c.Schema, s)
	s, err = b.consumer(segment.ConsumerOptions{}).Schema()
	require.NoError(t, err)
	assert.Equal(t, c.Schema, s)
	i, err := recovery.ValidateIntegrity("x", b.dir)
	require.NoError(t, err)
	assert.True(t, i.Healthy(), i.Message())

	none := newFixture(t)
	none.producer(none.config(segment.Ring, 4))
	s, err = segment.BlockSchema("x", none.dir)
	require.NoError(t, err)
	assert.Nil(t, s)
}

func TestSchemaIsCheckedAtAttach(t *testing.T) {
	for _, c := range []struct {
		what, wanted string
		compatible   bool
		exact        bool
		says         string
	}{
		{"match", sampleText, true, true, ""},
		{"other minor version", "schema Sample 1.9.1 { time: u64; value: f64; }", true, true, ""},
		{"fields added at the end", "schema Sample 1.0.0 { time: u64; }", true, false,
			"the consumer asks for exactly its own"},
		{"float against double", "schema Sample 1.2.0 { time: u64; value: f32; }", false, false,
			`field "value" retyped: producer f64@8, consumer f32@8`},
		{"moved", "schema Sample 1.2.0 { time: u64; value: f64 @ 16; }", false, false,
			`field "value" moved: producer f64@8, consumer f64@16`},
		{"renamed", "schema Sample 1.2.0 { time: u64; volts: f64; }", false, false,
			`field "volts" renamed: producer value f64@8, consumer f64@8`},
		{"reordered", "schema Sample 1.2.0 { value: f64; time: u64; }", false, false,
			`field "value" reordered: producer f64@8, consumer f64@0`},
		{"resized", "schema Sample 1.2.0 { time: u64; value: f64[2]; }", false, false,
			`field "value" resized: producer f64@8, consumer f64[2]@8`},
		{"added in the middle", "schema Sample 1.2.0 { time: u64; kind: u8; value: f64; }", false, false,
			`field "kind" missing: producer has none, consumer u8@8`},
		{"other major version", "schema Sample 2.0.0 { time: u64; value: f64; }", false, false,
			"another major version"},
		{"other name", "schema Simple 1.2.0 { time: u64; value: f64; }", false, false,
			"name: producer Sample, consumer Simple"},
	} {
		t.Run(c.what, func(t *testing.T) {
			b := newFixture(t)
			config := b.withSchema(sampleText)
			b.producer(config)
			refused := uint64(0)
			for mode, fits := range map[schema.Mode]bool{schema.Compatible: c.compatible, schema.Exact: c.exact} {
				consumer, err := b.openConsumer(segment.ConsumerOptions{Schema: schemaOf(t, c.wanted),
					SchemaMode: mode})
				if fits {
					require.NoError(t, err)
					require.NoError(t, consumer.Close())
					continue
				}
				refused++
				require.ErrorIs(t, err, status.Schema)
				if mode == schema.Compatible || c.compatible {
					assert.Contains(t, err.Error(), `block "x": schema differs: producer Sample 1.2.0, consumer`)
					assert.Contains(t, err.Error(), c.says)
				}
			}
			assert.Equal(t, refused, mismatches(t, b))
			_ = b.consumer(segment.ConsumerOptions{}) // a consumer that expects nothing
		})
	}
}

func TestNoSchemaOnEitherSide(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	_, err := b.openConsumer(segment.ConsumerOptions{Schema: schemaOf(t, sampleText)})
	assert.ErrorIs(t, err, status.Schema)
	assert.ErrorContains(t, err, `block "x" has no schema, and this consumer expects Sample 1.2.0`)
	assert.EqualValues(t, 1, mismatches(t, b))
	require.NoError(t, p.Close())
	_, err = OpenProducer("x", b.withSchema(sampleText))
	assert.ErrorContains(t, err, "was made without a schema")
	assert.EqualValues(t, 2, mismatches(t, b))
}

func TestSchemaIsCheckedAtAdoption(t *testing.T) {
	for what, c := range map[string]struct{ text, says string }{
		"match":         {sampleText, ""},
		"another minor": {"schema Sample 1.3.0 { time: u64; value: f64; }", ""},
		"added": {"schema Sample 1.3.0 { time: u64; value: f64; more: u8; }",
			`field "more" added: producer u8@16, consumer has none`},
		"retyped": {"schema Sample 1.3.0 { time: u64; value: f32; }",
			`field "value" retyped: producer f32@8, consumer f64@8`},
		"another major":  {"schema Sample 2.0.0 { time: u64; value: f64; }", "made with another schema"},
		"without schema": {"", "was made with schema Sample 1.2.0, and this producer has none"},
	} {
		t.Run(what, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.withSchema(sampleText))
			reader := b.consumer(segment.ConsumerOptions{})
			write(t, p, 2)
			require.NoError(t, p.Close())
			config := b.config(segment.Ring, 4)
			if c.text != "" {
				config = b.withSchema(c.text)
			}
			again, err := OpenProducer("x", config)
			if c.says == "" {
				require.NoError(t, err)
				assert.EqualValues(t, 2, again.next)
				require.NoError(t, again.Close())
				s, err := segment.BlockSchema("x", b.dir)
				require.NoError(t, err)
				assert.Equal(t, schema.Version{Major: 1, Minor: 2}, s.Version, "as it was made")
				return
			}
			require.ErrorIs(t, err, status.Schema)
			assert.ErrorContains(t, err, c.says)
			assert.EqualValues(t, 0, read(t, reader).ID(), "nothing has changed for the readers")

			config.Flags |= segment.Replace
			again, err = OpenProducer("x", config)
			require.NoError(t, err)
			assert.Zero(t, again.next, "a new block")
			require.NoError(t, again.Close())
		})
	}
}

func TestSlotsHaveRoomForTheSchema(t *testing.T) {
	b := newFixture(t)
	c := b.withSchema("schema Sample { time: u64; value: f64; } align 256")
	c.SlotSize = 255
	_, err := OpenProducer("x", c)
	assert.ErrorIs(t, err, status.Invalid)
	assert.ErrorContains(t, err, "a message of schema Sample has 256 bytes")
	c.SlotSize = 256
	p := b.producer(c)
	assert.EqualValues(t, 256, p.Alignment)
	_, err = b.openConsumer(segment.ConsumerOptions{SchemaMode: 2})
	assert.ErrorIs(t, err, status.Invalid)
}

// A long text moves ring and payloads.
func TestSchemaOfManyPages(t *testing.T) {
	b := newFixture(t)
	var text strings.Builder
	for i := range 1000 {
		text.WriteString(strings.Repeat("f", 50) + string(rune('a'+i%26)) + strings.Repeat("x", i/26%10) +
			string(rune('a'+i/260)) + ": u8; ")
	}
	c := b.withSchema("schema Long 1.0.0 { " + text.String() + "}")
	require.Greater(t, len(c.Schema.Canonical()), 3*layout.Page)
	c.SlotSize = 0
	p := b.producer(c)
	reader := b.consumer(segment.ConsumerOptions{Schema: c.Schema, Delivery: segment.Lossless})
	write(t, p, 4)
	assert.Equal(t, []uint64{0, 1, 2, 3}, idsOf(t, reader, 4))
	require.NoError(t, p.Close())
	assert.EqualValues(t, 4, b.producer(c).next)
}

// Whatever is in the place of the schema: an error, and never more than an error.
func TestADamagedSchema(t *testing.T) {
	b := newFixture(t)
	config := b.withSchema(sampleText)
	p := b.producer(config)
	good, err := os.ReadFile(p.Location.DataPath())
	require.NoError(t, err)
	for at := range uint64(len(config.Schema.Canonical())) {
		for _, value := range []byte{0, '{', '9', ',', 0xff} {
			if good[p.MessageSchemaText.Offset+at] == value {
				continue
			}
			p.Data[p.MessageSchemaText.Offset+at] = value
			_, err := segment.BlockSchema("x", b.dir)
			require.ErrorIs(t, err, status.Corrupt)
			_, err = b.openConsumer(segment.ConsumerOptions{Schema: schemaOf(t, "schema Other { a: u8; }")})
			require.ErrorIs(t, err, status.Corrupt)
			i, err := recovery.ValidateIntegrity("x", b.dir)
			require.NoError(t, err)
			require.False(t, i.Healthy())
			p.Data[p.MessageSchemaText.Offset+at] = good[p.MessageSchemaText.Offset+at]
		}
	}
	c := b.consumer(segment.ConsumerOptions{Schema: schemaOf(t, sampleText)}) // by its hash alone
	require.NoError(t, c.Close())
}

// Attach with an equal schema compares the hash only.
func BenchmarkAttachWithSchema(b *testing.B) {
	n := newFixture(b)
	config := n.withSchema(sampleText)
	p, err := OpenProducer("x", config)
	require.NoError(b, err)
	defer p.Close()
	for what, s := range map[string]*schema.Schema{"without": nil, "equal": config.Schema,
		"compatible": schemaOf(b, "schema Sample 1.0.0 { time: u64; }")} {
		b.Run(what, func(b *testing.B) {
			for b.Loop() {
				c, err := OpenConsumer("x", segment.ConsumerOptions{Directory: n.dir, Schema: s})
				if err != nil {
					b.Fatal(err)
				}
				_ = c.Close()
			}
		})
	}
}
