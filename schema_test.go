package datablock_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

type Reading struct {
	Time  uint64
	Value [3]float64
	Name  [16]byte `datablock:"name,char"`
}

type FloatReading struct {
	Time  uint64
	Value [3]float32
}

func TestTypedParticipants(t *testing.T) {
	b := newBench(t)
	config := b.config()
	config.SlotSize = 0
	v := datablock.Version{Major: 1, Minor: 2}
	p, err := datablock.OpenTypedProducer[Reading]("typed", v, config)
	require.NoError(t, err)
	defer p.Close()
	c, err := datablock.OpenTypedConsumer[Reading]("typed", v,
		datablock.ConsumerOptions{Directory: b.dir, Delivery: datablock.Lossless})
	require.NoError(t, err)
	defer c.Close()

	id, err := p.Send(&Reading{Time: 7, Value: [3]float64{1, 2, 3}}, 0)
	require.NoError(t, err)
	assert.Zero(t, id)
	refused := errors.New("refused")
	_, err = p.Write(0, func(*Reading) error { return refused })
	assert.ErrorIs(t, err, refused)
	id, err = p.Write(0, func(r *Reading) error { *r = Reading{Time: 8}; return nil })
	require.NoError(t, err)
	assert.EqualValues(t, 1, id, "nothing was published before it")

	value, slot, err := c.Next(0)
	require.NoError(t, err)
	assert.Equal(t, Reading{Time: 7, Value: [3]float64{1, 2, 3}}, *value)
	require.NoError(t, c.Release(slot))
	require.NoError(t, p.Close())
	var times []uint64
	for value, err := range c.Values(datablock.Forever) {
		require.NoError(t, err)
		times = append(times, value.Time)
	}
	assert.Equal(t, []uint64{8}, times)

	s, err := c.Schema()
	require.NoError(t, err)
	assert.Equal(t, "Reading{time:u64@0,value:f64[3]@8,name:char[16]@32}48/8", s.Canonical())
	s, err = datablock.BlockSchema("typed", b.dir)
	require.NoError(t, err)
	assert.Equal(t, v, s.Version)
}

func TestSchemaIsCheckedAtAttach(t *testing.T) {
	b := newBench(t)
	own, err := datablock.ParseSchema("schema Reading 1.0.0 { time: u64; value: f64[3]; }")
	require.NoError(t, err)
	config := b.config()
	config.Schema = own
	p, err := datablock.OpenProducer("checked", config)
	require.NoError(t, err)
	defer p.Close()
	other, err := datablock.ParseSchema("schema Reading 1.0.0 { time: u64; value: f32[3]; }")
	require.NoError(t, err)
	_, err = datablock.OpenConsumer("checked", datablock.ConsumerOptions{Directory: b.dir, Schema: other})
	assert.ErrorIs(t, err, datablock.ErrSchema)
	assert.ErrorContains(t, err, `field "value" retyped: producer f64[3]@8, consumer f32[3]@8`)
	assert.ErrorIs(t, datablock.CheckSchema(own, other, datablock.SchemaCompatible), datablock.ErrSchema)
	assert.NoError(t, datablock.CheckSchema(own, own, datablock.SchemaExact))
	_, err = datablock.OpenTypedConsumer[FloatReading]("checked", datablock.Version{Major: 1},
		datablock.ConsumerOptions{Directory: b.dir})
	assert.ErrorContains(t, err, "name: producer Reading, consumer FloatReading")
	_, err = datablock.SchemaOf[struct{ Name string }](datablock.Version{})
	assert.ErrorIs(t, err, datablock.ErrInvalid)
	registry := t.TempDir()
	require.NoError(t, datablock.RegisterSchema(own, registry))
	assert.ErrorIs(t, datablock.RegisterSchema(other, registry), datablock.ErrSchema)
	found, err := datablock.LookupSchema("Reading@1", registry)
	require.NoError(t, err)
	assert.Equal(t, own, found)
	_, err = datablock.LookupSchema("Reading@2", registry)
	assert.ErrorIs(t, err, datablock.ErrNotFound)
	_, err = datablock.ParseSchema("schema")
	assert.ErrorIs(t, err, datablock.ErrInvalid)
}

func TestARegisteredSchemaAtOpen(t *testing.T) {
	b := newBench(t)
	registry := t.TempDir()
	own, err := datablock.SchemaOf[Reading](datablock.Version{Major: 1, Minor: 4})
	require.NoError(t, err)
	require.NoError(t, datablock.RegisterSchema(own, registry))
	config := b.config()
	config.SlotSize, config.Registered, config.Registry = 0, "Reading@1", registry
	p, err := datablock.OpenProducer("registered", config)
	require.NoError(t, err)
	defer p.Close()
	options := datablock.ConsumerOptions{Directory: b.dir, Registered: "Reading@1.4", Registry: registry,
		SchemaMode: datablock.SchemaExact}
	c, err := datablock.OpenConsumer("registered", options)
	require.NoError(t, err)
	defer c.Close()
	s, err := c.Schema()
	require.NoError(t, err)
	assert.Equal(t, own, s)

	typed, err := datablock.OpenTypedConsumer[Reading]("registered", datablock.Version{Major: 1}, options)
	require.NoError(t, err, "its own is the registered one")
	defer typed.Close()
	_, err = datablock.OpenTypedConsumer[Reading]("registered", datablock.Version{Major: 2}, options)
	assert.ErrorIs(t, err, datablock.ErrSchema)
	assert.ErrorContains(t, err, "what is registered as Reading@1.4 is not the schema that was given")
	_, err = datablock.OpenTypedProducer[FloatReading]("other", datablock.Version{Major: 1}, config)
	assert.ErrorIs(t, err, datablock.ErrSchema)
	options.Registered = "Reading@2"
	_, err = datablock.OpenConsumer("registered", options)
	assert.ErrorIs(t, err, datablock.ErrNotFound)
}

func TestTheZoneHasASchema(t *testing.T) {
	b := newBench(t)
	own, err := datablock.SchemaOf[FloatReading](datablock.Version{Major: 1})
	require.NoError(t, err)
	config := b.config()
	config.ZoneSchema = own
	p, err := datablock.OpenProducer("zoned", config)
	require.NoError(t, err)
	defer p.Close()
	c, err := datablock.OpenConsumer("zoned", datablock.ConsumerOptions{Directory: b.dir, ZoneSchema: own})
	require.NoError(t, err)
	defer c.Close()
	s, err := c.ZoneSchema()
	require.NoError(t, err)
	assert.Equal(t, own, s)
	s, err = datablock.BlockZoneSchema("zoned", b.dir)
	require.NoError(t, err)
	assert.Equal(t, own, s)
	s, err = c.Schema()
	require.NoError(t, err)
	assert.Nil(t, s)
	other, err := datablock.ParseSchema("schema FloatReading 1.0.0 { time: i64; }")
	require.NoError(t, err)
	_, err = datablock.OpenConsumer("zoned", datablock.ConsumerOptions{Directory: b.dir, ZoneSchema: other})
	assert.ErrorIs(t, err, datablock.ErrSchema)
}

// ReadingV2 is a later minor version of Reading, under its name.
type ReadingV2 struct {
	Reading
	More uint64
}

func (ReadingV2) DatablockSchemaName() string { return "Reading" }

type flatReading struct {
	Time  uint64
	Value [3]float64
	Name  [16]byte `datablock:"name,char"`
	More  uint64
}

func (flatReading) DatablockSchemaName() string { return "Reading" }

// A reader of an older version reads its own fields of each message, one by one and in a batch.
func TestAnOlderReaderTakesItsFields(t *testing.T) {
	b := newBench(t)
	config := b.config()
	config.SlotSize = 0
	p, err := datablock.OpenTypedProducer[flatReading]("longer", datablock.Version{Major: 1, Minor: 1}, config)
	require.NoError(t, err)
	defer p.Close()
	c, err := datablock.OpenTypedConsumer[Reading]("longer", datablock.Version{Major: 1},
		datablock.ConsumerOptions{Directory: b.dir, Delivery: datablock.Lossless})
	require.NoError(t, err)
	defer c.Close()
	for i := range uint64(3) {
		_, err := p.Send(&flatReading{Time: i, Value: [3]float64{float64(i)}, More: 77}, 0)
		require.NoError(t, err)
	}
	value, slot, err := c.Next(0)
	require.NoError(t, err)
	assert.Equal(t, Reading{}, *value)
	require.NoError(t, c.Release(slot))
	batch := make([]datablock.ReadSlot, 4)
	n, err := c.NextBatch(0, batch)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	for i, slot := range batch[:n] {
		value, err := datablock.As[Reading](slot.Data())
		require.NoError(t, err)
		assert.Equal(t, Reading{Time: uint64(i + 1), Value: [3]float64{float64(i + 1)}}, *value)
	}
	require.NoError(t, c.ReleaseBatch(batch[:n]))

	s, err := datablock.SchemaOf[ReadingV2](datablock.Version{Major: 1, Minor: 1})
	require.NoError(t, err)
	assert.Equal(t, "Reading", s.Name)
	assert.Contains(t, s.Canonical(), "Reading{reading:{time:u64@0,", "an embedded struct is a field")
}

// What is shorter than the struct of the block's schema is refused before it is published.
func TestAWriterIsHeldToItsSchema(t *testing.T) {
	b := newBench(t)
	config := b.config()
	p, err := datablock.OpenTypedProducer[Reading]("held", datablock.Version{Major: 1}, config)
	require.NoError(t, err)
	defer p.Close()
	_, err = p.Producer.Write([]byte("abc"), 0)
	assert.ErrorIs(t, err, datablock.ErrInvalid)
	assert.ErrorContains(t, err, "a message of 3 bytes is shorter than its schema's struct, which has 48")
	_, err = p.WriteBatch([][]byte{make([]byte, 48), []byte("abc")}, 0)
	assert.ErrorContains(t, err, "message 1 of the batch has 3 bytes, and its schema's struct 48")
	slot, err := p.Claim(0)
	require.NoError(t, err)
	assert.ErrorContains(t, p.Commit(slot, 47),
		"a length of 47 is less than the 48 bytes of its schema's struct; the claim stays open")
	assert.ErrorIs(t, p.Commit(slot, -1), datablock.ErrInvalid)
	require.NoError(t, p.Commit(slot, 48))
	assert.Zero(t, slot.ID(), "nothing was published before")
	_, err = datablock.WithWriteTransaction(p.Producer, 0, func(slot *writeSlot) (int, error) {
		assert.ErrorContains(t, slot.Commit(3),
			"a length of 3 is less than the 48 bytes of its schema's struct: nothing is published")
		return 0, slot.Commit(slotSize) // what is behind the struct is the program's
	})
	require.NoError(t, err)
	_, err = datablock.WithWriteTransaction(p.Producer, 0, func(slot *writeSlot) (int, error) {
		_ = slot.Commit(3)
		return 0, nil
	})
	assert.ErrorIs(t, err, datablock.ErrInvalid)
	id, err := p.Send(&Reading{}, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 2, id)
}
