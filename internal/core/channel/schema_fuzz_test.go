package channel

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/blake2b"

	"datablock/internal/core/coretest"
	"datablock/internal/layout"
	"datablock/schema"
)

// blockFiles are the bytes of a closed block, as a template for others.
type blockFiles struct {
	header        segment.Header
	data, control []byte
}

func newBlockFiles(t testing.TB, dir string) blockFiles {
	b := fixture{t, dir}
	p, err := OpenProducer("x", b.withSchema(sampleText))
	require.NoError(t, err)
	write(t, p, 3)
	require.NoError(t, p.Close())
	data, err := os.ReadFile(p.Location.DataPath())
	require.NoError(t, err)
	control, err := os.ReadFile(p.ControlPath(p.ID))
	require.NoError(t, err)
	require.NoError(t, recovery.Unlink("x", dir, 0))
	return blockFiles{*p.Header, data, control}
}

// fuzzDirectory returns a directory that the process which began the fuzzing removes. That process
// kills the others at any moment.
func fuzzDirectory(f *testing.F) string {
	const variable = "DATABLOCK_FUZZ_DIRECTORY"
	if dir := os.Getenv(variable); dir != "" {
		own, err := os.MkdirTemp(dir, "")
		require.NoError(f, err)
		return own
	}
	dir := coretest.Directory(f)
	f.Setenv(variable, dir)
	return dir
}

// put writes both files, with another text in the place of a schema and other words about it. The
// hash is right again, as any attacker can compute it. If the length is a possible one, everything
// behind the text has moved.
func (f blockFiles) put(t testing.TB, dir string, which *whichSchema, bytes []byte, text segment.SchemaText) {
	h := f.header
	*which.of(&h) = text
	if text.Length <= schema.MaxText {
		h.Derive()
	}
	data := make([]byte, h.DataSize)
	copy(data, h.Encode())
	copy(data[layout.Page:], f.data[layout.Page:2*layout.Page])
	if which.zone {
		copy(data[h.MessageSchemaText.Offset:], f.data[layout.SchemaRegion:][:h.MessageSchemaText.Length])
	}
	copy(data[min(which.of(&h).Offset, h.RingOffset):h.RingOffset], bytes)
	copy(data[h.RingOffset:], f.data[f.header.RingOffset:])
	l, err := segment.Locate("x", dir)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(l.DataPath(), data, 0o600))
	require.NoError(t, os.WriteFile(l.ControlPath(h.ID), f.control, 0o600))
}

// whichSchema is the schema of the messages, or of the flexible zone.
type whichSchema struct{ zone bool }

func (w *whichSchema) of(h *segment.Header) *segment.SchemaText {
	if w.zone {
		return &h.ZoneSchemaText
	}
	return &h.MessageSchemaText
}

func (w *whichSchema) ofBlock(dir string) (*schema.Schema, error) {
	if w.zone {
		return segment.BlockZoneSchema("x", dir)
	}
	return segment.BlockSchema("x", dir)
}

func (w *whichSchema) ofConsumer(c *Consumer) (*schema.Schema, error) {
	if w.zone {
		return c.ZoneSchema()
	}
	return c.Schema()
}

func (w *whichSchema) expecting(dir string, s *schema.Schema, mode schema.Mode) segment.ConsumerOptions {
	if w.zone {
		return segment.ConsumerOptions{Directory: dir, ZoneSchema: s, SchemaMode: mode}
	}
	return segment.ConsumerOptions{Directory: dir, Schema: s, SchemaMode: mode}
}

const (
	rightHash = iota // that of the text
	noHash
	otherHash // any other value: of something else

	ofTheZone = 128 // from here on the same of the zone's schema
)

// FuzzSchemaZone: a block may have any bytes in the place of its schema, and in the words about its
// length and version. Every reader gets an error or the right result, soon, and for little memory.
func FuzzSchemaZone(f *testing.F) {
	directory := fuzzDirectory(f)
	files := newBlockFiles(f, directory)
	sample := schemaOf(f, sampleText)
	line := sample.Canonical()
	deep := "A{a:{a:{a:{a:{a:{a:{a:{a:u8@0}1/1@0}1/1@0}1/1@0}1/1@0}1/1@0}1/1@0}1/1@0}1/1"
	for _, zone := range []string{line, line + line, "", "{", line[:len(line)-1], "Sample{time:u64@0}8/8",
		"Sample{time:u64@0,value:f32@8}16/8", "Sample{time:u64@0,value:f64@8,more:u8[2][3]@16}24/8", deep,
		"A{a:u8[1099511627776]@0}1099511627776/1", "A{a:u8@18446744073709551615}1/1",
		"Sample{time:u64@00,value:f64@8}16/8"} {
		for hash := byte(rightHash); hash <= otherHash; hash++ {
			f.Add([]byte(zone), uint64(len(zone)), uint32(1), uint32(2), uint32(0), hash)
			f.Add([]byte(zone), uint64(len(zone)), uint32(1), uint32(2), uint32(0), ofTheZone+hash)
		}
	}
	for _, length := range []uint64{0, 1, uint64(len(line)) - 1, 4096, 4097, 65535, 65536, 65537, 1 << 32, 1<<63 - 1,
		1<<64 - 1} {
		for _, of := range []byte{0, ofTheZone} {
			f.Add([]byte(line), length, uint32(1), uint32(2), uint32(0), of+rightHash)
			f.Add([]byte(line), length, uint32(9), uint32(0), uint32(0), of+noHash)
		}
	}
	f.Fuzz(func(t *testing.T, bytes []byte, length uint64, major, minor, patch uint32, how byte) {
		watch := time.AfterFunc(20*time.Second, func() { panic("a look at a schema takes more than 20 s") })
		defer watch.Stop()
		bytes = bytes[:min(len(bytes), schema.MaxText)]
		which := &whichSchema{zone: how >= ofTheZone}
		text := make([]byte, min(length, schema.MaxText))
		copy(text, bytes)
		hash, version := blake2b.Sum256(text), schema.Version{Major: major, Minor: minor, Patch: patch}
		switch how % ofTheZone {
		case rightHash:
		case noHash:
			hash = [layout.HashLen]byte{}
		default:
			binary.LittleEndian.PutUint64(hash[8:], uint64(how))
		}
		if length == 0 && how%ofTheZone == rightHash {
			hash = [layout.HashLen]byte{}
		}
		dir, err := os.MkdirTemp(directory, "")
		require.NoError(t, err)
		defer os.RemoveAll(dir)
		files.put(t, dir, which, bytes, segment.SchemaText{Length: length, Version: version, Hash: hash})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		lookAtSchema(t, dir, which, text, hash, version, length)
		runtime.ReadMemStats(&after)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(16<<20), "bytes allocated")
	})
}

func lookAtSchema(t *testing.T, dir string, which *whichSchema, text []byte, hash [layout.HashLen]byte,
	version schema.Version, length uint64) {
	// Otherwise the header is refused as a whole.
	possible := length <= schema.MaxText && (length == 0) == (hash == [layout.HashLen]byte{})
	said, notCanonical := schema.ParseCanonical(string(text), version)
	sound := possible && length > 0 && notCanonical == nil && said.Hash() == hash

	s, err := which.ofBlock(dir)
	switch {
	case sound:
		require.NoError(t, err)
		require.Equal(t, said, s)
		again, err := schema.Parse(s.Text())
		require.NoError(t, err)
		require.Equal(t, s, again)
	case possible && length == 0:
		require.NoError(t, err)
		require.Nil(t, s)
	default:
		require.ErrorIs(t, err, status.Corrupt)
	}

	healthy, err := recovery.ValidateIntegrity("x", dir)
	if err == nil && healthy.Healthy() {
		require.True(t, possible)
		require.True(t, length == 0 || blake2b.Sum256(text) == hash)
	} else {
		require.False(t, sound, "%v %v", err, healthy)
	}
	_, err = recovery.Diagnose("x", dir)
	require.True(t, err == nil || errors.As(err, new(*status.Error)))

	wanted := schemaOf(t, sampleText)
	for _, mode := range []schema.Mode{schema.Compatible, schema.Exact} {
		c, err := OpenConsumer("x", which.expecting(dir, wanted, mode))
		byHash := possible && hash == wanted.Hash() && version.Major == 1 && length > 0
		require.Equal(t, byHash || sound && schema.Check(said, wanted, mode) == nil, err == nil, "%v", err)
		if err == nil {
			_, err = which.ofConsumer(c)
			require.Equal(t, sound, err == nil)
			require.NoError(t, c.Close())
		}
	}
	o := segment.ConsumerOptions{Directory: dir, Start: segment.StartOldest, Delivery: segment.Ordered}
	c, err := OpenConsumer("x", o)
	require.Equal(t, possible, err == nil, "who expects nothing may attach: %v", err)
	if err == nil {
		for range 3 {
			m, err := c.Next(0)
			require.NoError(t, err)
			require.NoError(t, c.Release(m))
		}
		require.NoError(t, c.Close())
	}
	config := segment.DefaultConfig(segment.Ring)
	config.SlotCount, config.SlotSize, config.Directory, config.Schema = 4, 64, dir, wanted
	if which.zone {
		config.ZoneSchema = wanted
	}
	if p, err := OpenProducer("x", config); err == nil {
		require.True(t, possible && hash == wanted.Hash())
		require.Equal(t, wanted.Version.Major, version.Major)
		require.NoError(t, p.Close())
	}
	if _, _, err := recovery.Repair("x", dir, false); err == nil && length > 0 {
		s, err := which.ofBlock(dir)
		require.True(t, err == nil && sound && s.Hash() == said.Hash() || errors.Is(err, status.Corrupt),
			"a repair has made a schema out of nothing")
	}
}
