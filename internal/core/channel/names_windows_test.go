package channel

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"
	"datablock/internal/platform"
)

// TestNamesThatDifferInCaseAreOneBlock: the error does not advise to remove the block as a copy.
func TestNamesThatDifferInCaseAreOneBlock(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	_, err := OpenConsumer("X", segment.ConsumerOptions{Directory: b.dir})
	assert.ErrorIs(t, err, status.Invalid)
	assert.ErrorContains(t, err, `holds the block "x", and this system takes the two names for one`)
	require.NoError(t, p.Close())
	_, err = OpenProducer("X", b.config(segment.Ring, 4))
	assert.ErrorIs(t, err, status.Invalid)
	assert.FileExists(t, filepath.Join(b.dir, "x"))
}

func TestReservedNamesAreRefusedBeforeAnythingIsMade(t *testing.T) {
	b := newFixture(t)
	for _, name := range []string{"nul", "COM1", "con.x", "x."} {
		_, err := OpenProducer(name, b.config(segment.Ring, 4))
		assert.ErrorIs(t, err, status.Invalid, name)
		_, err = OpenProducer(filepath.Join(b.dir, name), segment.Config{SlotSize: 8})
		assert.ErrorIs(t, err, status.Invalid, name)
	}
	files, err := platform.ReadDirectory(b.dir)
	require.NoError(t, err)
	assert.Empty(t, files)
}

func TestABlockIsFoundByItsPath(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	write(t, p, 1)
	for _, path := range []string{filepath.Join(b.dir, "x"), filepath.ToSlash(filepath.Join(b.dir, "x"))} {
		c, err := OpenConsumer(path, segment.ConsumerOptions{Start: segment.StartOldest})
		require.NoError(t, err, path)
		assert.EqualValues(t, 0, read(t, c).ID())
		require.NoError(t, c.Close())
	}
	_, err := OpenConsumer("x", segment.ConsumerOptions{Directory: "relative"})
	assert.ErrorContains(t, err, "give one that begins with a drive")
	_, err = OpenConsumer(`\\x`, segment.ConsumerOptions{})
	assert.ErrorIs(t, err, status.Invalid)
}
