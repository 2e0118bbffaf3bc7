package channel

import (
	"encoding/binary"
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

const settingsText = "schema Settings 1.1.0 { gain: f64; rate: u32; }"

func (b fixture) withZoneSchema(text, zone string) segment.Config {
	c := b.config(segment.Ring, 4)
	if text != "" {
		c.Schema = schemaOf(b.t, text)
	}
	c.ZoneSchema = schemaOf(b.t, zone)
	return c
}

func TestZoneSchemaIsInTheBlock(t *testing.T) {
	for _, messages := range []string{"", sampleText} {
		b := newFixture(t)
		c := b.withZoneSchema(messages, settingsText)
		p := b.producer(c)
		assert.EqualValues(t, segment.DefaultZoneSize, p.ZoneSize())
		reader := b.consumer(segment.ConsumerOptions{ZoneSchema: c.ZoneSchema, SchemaMode: schema.Exact})
		for what, ask := range map[string]func() (*schema.Schema, error){
			"looked at": func() (*schema.Schema, error) { return segment.BlockZoneSchema("x", b.dir) },
			"attached":  reader.ZoneSchema,
		} {
			s, err := ask()
			require.NoError(t, err, what)
			assert.Equal(t, c.ZoneSchema, s, what)
		}
		s, err := segment.BlockSchema("x", b.dir)
		require.NoError(t, err)
		assert.Equal(t, c.Schema, s, "the other one is as if there were none for the zone")
		i, err := recovery.ValidateIntegrity("x", b.dir)
		require.NoError(t, err)
		assert.True(t, i.Healthy(), i.Message())
		write(t, p, 4)
		zone, err := p.EnterZone(false, 0)
		require.NoError(t, err)
		zone.Data[0] = 7
		require.NoError(t, p.LeaveZone(false))
		require.NoError(t, p.Close())
		assert.EqualValues(t, 4, b.producer(c).next, "goes on with the block")
	}
	none := newFixture(t)
	none.producer(none.withSchema(sampleText))
	s, err := segment.BlockZoneSchema("x", none.dir)
	require.NoError(t, err)
	assert.Nil(t, s)
	_, err = none.openConsumer(segment.ConsumerOptions{ZoneSchema: schemaOf(t, settingsText)})
	assert.ErrorIs(t, err, status.Schema)
	assert.ErrorContains(t, err,
		`the flexible zone of block "x" has no schema, and this consumer expects Settings 1.1.0`)
}

// The places of the words in the format.
func TestWordsOfBothSchemas(t *testing.T) {
	b := newFixture(t)
	c := b.withZoneSchema("schema A 1.2.3 { a: u8; }", "schema Settings 4.5.6 { gain: f64; }")
	p := b.producer(c)
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(p.Data[at:]) }
	for _, w := range []struct {
		length, major, minor, patch, hash, offset int
		s                                         *schema.Schema
	}{
		{layout.HdrSchemaLength, layout.HdrSchemaMajor, layout.HdrSchemaMinor, layout.HdrSchemaPatch,
			layout.HdrSchemaHash, layout.SchemaRegion, c.Schema},
		{layout.HdrZoneSchemaLength, layout.HdrZoneSchemaMajor, layout.HdrZoneSchemaMinor, layout.HdrZoneSchemaPatch,
			layout.HdrZoneSchemaHash, layout.SchemaRegion + layout.CacheLine, c.ZoneSchema},
	} {
		line, hash := w.s.Canonical(), w.s.Hash()
		assert.EqualValues(t, len(line), word(w.length))
		assert.Equal(t, w.s.Version, schema.Version{Major: word(w.major), Minor: word(w.minor), Patch: word(w.patch)})
		assert.Equal(t, hash[:], []byte(p.Data[w.hash:][:layout.HashLen]))
		assert.Equal(t, line, string(p.Data[w.offset:][:len(line)]))
	}
}

func TestZoneSchemaIsCheckedAtAttach(t *testing.T) {
	for _, c := range []struct {
		what, wanted      string
		compatible, exact bool
		says              string
	}{
		{"match", settingsText, true, true, ""},
		{"fields added at the end", "schema Settings 1.0.0 { gain: f64; }", true, false, "exactly its own"},
		{"retyped", "schema Settings 1.1.0 { gain: f32; rate: u32; }", false, false,
			`field "gain" retyped: producer f64@0, consumer f32@0`},
		{"other major version", "schema Settings 2.0.0 { gain: f64; rate: u32; }", false, false,
			"another major version"},
		{"that of the messages", sampleText, false, false, "name: producer Settings, consumer Sample"},
	} {
		b := newFixture(t)
		config := b.withZoneSchema(sampleText, settingsText)
		b.producer(config)
		refused := uint64(0)
		for mode, fits := range map[schema.Mode]bool{schema.Compatible: c.compatible, schema.Exact: c.exact} {
			consumer, err := b.openConsumer(segment.ConsumerOptions{Schema: config.Schema, ZoneSchema: schemaOf(t,
				c.wanted),
				SchemaMode: mode})
			if fits {
				require.NoError(t, err, c.what)
				require.NoError(t, consumer.Close())
				continue
			}
			refused++
			require.ErrorIs(t, err, status.Schema, c.what)
			assert.Contains(t, err.Error(), `the flexible zone of block "x": schema differs: producer Settings 1.1.0`,
				c.what)
			if mode == schema.Compatible || c.compatible {
				assert.Contains(t, err.Error(), c.says, c.what)
			}
		}
		assert.Equal(t, refused, mismatches(t, b))
	}
}

func TestZoneSchemaIsCheckedAtAdoption(t *testing.T) {
	for what, c := range map[string]struct{ zone, says string }{
		"match":         {settingsText, ""},
		"another minor": {strings.Replace(settingsText, "1.1.0", "1.2.0", 1), ""},
		"retyped": {"schema Settings 1.1.0 { gain: f32; rate: u32; }",
			`the flexible zone of block "x" was made with another schema`},
		"without schema": {"",
			`the flexible zone of block "x" was made with schema Settings 1.1.0, and this producer has none`},
	} {
		b := newFixture(t)
		p := b.producer(b.withZoneSchema(sampleText, settingsText))
		require.NoError(t, p.Close())
		config := b.withSchema(sampleText)
		if c.zone != "" {
			config = b.withZoneSchema(sampleText, c.zone)
		}
		again, err := OpenProducer("x", config)
		if c.says == "" {
			require.NoError(t, err, what)
			require.NoError(t, again.Close())
			continue
		}
		require.ErrorIs(t, err, status.Schema, what)
		assert.ErrorContains(t, err, c.says, what)
		assert.EqualValues(t, 1, mismatches(t, b), what)
		config.Flags |= segment.Replace
		again, err = OpenProducer("x", config)
		require.NoError(t, err, what)
		require.NoError(t, again.Close())
	}
	b := newFixture(t)
	require.NoError(t, b.producer(b.withSchema(sampleText)).Close())
	_, err := OpenProducer("x", b.withZoneSchema(sampleText, settingsText))
	assert.ErrorContains(t, err,
		`the flexible zone of block "x" was made without a schema, and this producer has Settings 1.1.0`)
}

func TestZoneHasRoomForItsSchema(t *testing.T) {
	b := newFixture(t)
	large := b.withZoneSchema("", "schema Table 1.0.0 { cells: f64[1000]; }")
	assert.EqualValues(t, 8000, b.producer(large).ZoneSize())
	small := b.withZoneSchema("", settingsText)
	small.ZoneSize = 15
	_, err := OpenProducer("y", small)
	assert.ErrorIs(t, err, status.Invalid)
	assert.ErrorContains(t, err, "zone_size 15: a flexible zone of schema Settings has 16 bytes")
	_, err = OpenProducer("y", b.withZoneSchema("", "schema Settings { gain: f64; } align 128"))
	assert.ErrorIs(t, err, status.Invalid)
	assert.ErrorContains(t, err, "has an alignment of 128, and the zone has 64")
	aligned := b.withZoneSchema("", "schema Settings { gain: f64; } align 64")
	p, err := OpenProducer("y", aligned)
	require.NoError(t, err)
	assert.Zero(t, (p.FlexOffset+layout.FlexHeader)%64)
	require.NoError(t, p.Close())
}

// Both texts, each of many pages, and neither overlaps the other.
func TestTwoLongSchemas(t *testing.T) {
	b := newFixture(t)
	field := func(i int) string {
		return strings.Repeat("f", 40) + string(rune('a'+i%26)) + strings.Repeat("x", i/26%10) +
			string(rune('a'+i/260)) + ": u8; "
	}
	var text strings.Builder
	for i := range 900 {
		text.WriteString(field(i))
	}
	config := b.withZoneSchema("schema Long 1.0.0 { "+text.String()+"}", "schema LongZone 2.0.0 { "+text.String()+"}")
	config.SlotSize = 0
	p := b.producer(config)
	require.Greater(t, p.RingOffset, uint64(layout.SchemaRegion+10*layout.Page))
	reader := b.consumer(segment.ConsumerOptions{Schema: config.Schema, ZoneSchema: config.ZoneSchema,
		Delivery: segment.Lossless})
	write(t, p, 4)
	assert.Equal(t, []uint64{0, 1, 2, 3}, idsOf(t, reader, 4))
	s, err := reader.Schema()
	require.NoError(t, err)
	assert.Equal(t, config.Schema, s)
	s, err = reader.ZoneSchema()
	require.NoError(t, err)
	assert.Equal(t, config.ZoneSchema, s)
}

func TestADamagedZoneSchema(t *testing.T) {
	b := newFixture(t)
	config := b.withZoneSchema(sampleText, settingsText)
	p := b.producer(config)
	good, err := os.ReadFile(p.Location.DataPath())
	require.NoError(t, err)
	for at := range uint64(len(config.ZoneSchema.Canonical())) {
		at += p.ZoneSchemaText.Offset
		p.Data[at] ^= 0x20
		_, err := segment.BlockZoneSchema("x", b.dir)
		require.ErrorIs(t, err, status.Corrupt)
		_, err = b.openConsumer(segment.ConsumerOptions{ZoneSchema: schemaOf(t, "schema Other { a: u8; }")})
		require.ErrorIs(t, err, status.Corrupt)
		_, err = segment.BlockSchema("x", b.dir)
		require.NoError(t, err)
		i, err := recovery.ValidateIntegrity("x", b.dir)
		require.NoError(t, err)
		require.Contains(t, i.Message(), "the schema of its flexible zone do not match their hash")
		p.Data[at] = good[at]
	}
}

// A reference to the registry instead of a schema, and with one.
func TestRegisteredSchemaAtOpen(t *testing.T) {
	registry := t.TempDir()
	for _, text := range []string{"schema Sample 1.1.0 { time: u64; }", sampleText,
		"schema Sample 2.0.0 { time: u64; value: f32; }"} {
		require.NoError(t, segment.RegisterSchema(schemaOf(t, text), registry))
	}
	t.Setenv("DATABLOCK_SCHEMAS", registry)
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Registered, config.SlotSize = "Sample@1", 0
	p := b.producer(config)
	assert.EqualValues(t, 16, p.SlotBytes)
	s, err := segment.BlockSchema("x", b.dir)
	require.NoError(t, err)
	assert.Equal(t, schemaOf(t, sampleText), s, "the newest that the reference means, with its version")

	own, other := schemaOf(t, strings.Replace(sampleText, "1.2.0", "1.0.0", 1)),
		schemaOf(t, "schema Sample 1.2.0 { time: u64; value: f32; }")
	for _, c := range []struct {
		what       string
		options    segment.ConsumerOptions
		code       status.Code
		says       string
		ofProducer bool
	}{
		{"by reference", segment.ConsumerOptions{Registered: "Sample@1.2.0", SchemaMode: schema.Exact}, 0, "", true},
		{"an older one", segment.ConsumerOptions{Registered: "Sample@1.1"}, 0, "", false},
		{"another one", segment.ConsumerOptions{Registered: "Sample@2"}, status.Schema, "another major version", false},
		{"which is not there", segment.ConsumerOptions{Registered: "Sample@3"}, status.NotFound,
			"which has versions 1.1.0, 1.2.0, 2.0.0", true},
		{"which is none", segment.ConsumerOptions{Registered: "Sample 1"}, status.Invalid, "write Name, Name@2", true},
		{"in another registry", segment.ConsumerOptions{Registered: "Sample@1", Registry: t.TempDir()}, status.NotFound,
			"no such schema is registered", true},
		{"that of the program is registered", segment.ConsumerOptions{Schema: own, Registered: "Sample@1"}, 0, "",
			true},
		{"that of the program is not", segment.ConsumerOptions{Schema: other, Registered: "Sample@1"}, status.Schema,
			`what is registered as Sample@1 is not the schema that was given: ` +
				`schema differs: producer Sample 1.2.0, consumer Sample 1.2.0; field "value" retyped`, true},
		{"that of the program is another version",
			segment.ConsumerOptions{Schema: schemaOf(t, "schema Sample 2.0.0 { time: u64; value: f64; }"),
				Registered: "Sample@1"}, status.Schema, "is not the schema that was given", true},
	} {
		consumer, err := b.openConsumer(c.options)
		if c.says == "" {
			require.NoError(t, err, c.what)
			require.NoError(t, consumer.Close())
		} else {
			require.Equal(t, c.code, status.CodeOf(err), "%s: %v", c.what, err)
			assert.ErrorContains(t, err, c.says, c.what)
		}
		if c.ofProducer {
			config := b.config(segment.Ring, 4)
			config.Schema, config.Registered, config.Registry, config.SlotSize = c.options.Schema, c.options.Registered,
				c.options.Registry, 0
			again, err := OpenProducer("y", config)
			if c.says == "" {
				require.NoError(t, err, c.what)
				require.NoError(t, again.Close())
				s, err := segment.BlockSchema("y", b.dir)
				require.NoError(t, err)
				assert.Equal(t, schema.Version{Major: 1, Minor: 2}, s.Version, "%s: that of the registry", c.what)
			} else {
				require.Equal(t, c.code, status.CodeOf(err), "%s: %v", c.what, err)
				assert.ErrorContains(t, err, c.says, c.what)
			}
		}
	}
	assert.EqualValues(t, 1, mismatches(t, b), "only what the block itself refused")
}

// What is derived for a damaged header does not go beyond its own words.
func TestRepairOfAHeaderWithSchemas(t *testing.T) {
	b := newFixture(t)
	config := b.withZoneSchema(sampleText, settingsText)
	p := b.producer(config)
	require.NoError(t, p.Close())
	good, err := os.ReadFile(p.Location.DataPath())
	require.NoError(t, err)
	for what, damage := range map[string]func([]byte){
		"the name":              func(d []byte) { copy(d[layout.HdrName:], strings.Repeat("?", 50)) },
		"a bit of a hash":       func(d []byte) { d[layout.HdrZoneSchemaHash] ^= 4 },
		"a bit of a length":     func(d []byte) { d[layout.HdrZoneSchemaLength] ^= 1 },
		"a reserved byte":       func(d []byte) { d[layout.HdrReserved+15] = 1 },
		"a bit behind the hash": func(d []byte) { d[layout.ImmutableLen] ^= 1 },
	} {
		bad := append([]byte(nil), good...)
		damage(bad)
		require.NoError(t, os.WriteFile(p.Location.DataPath(), bad, 0o600))
		i, err := recovery.ValidateIntegrity("x", b.dir)
		require.NoError(t, err, what)
		require.False(t, i.Healthy(), what)
		result, left, err := recovery.Repair("x", b.dir, false)
		require.NoError(t, err, what)
		assert.Equal(t, recovery.RecoverySuccess, result, what)
		assert.True(t, left.Healthy(), "%s: %s", what, left.Message())
		s, err := segment.BlockZoneSchema("x", b.dir)
		require.NoError(t, err, what)
		assert.Equal(t, config.ZoneSchema, s, what)
	}
}
