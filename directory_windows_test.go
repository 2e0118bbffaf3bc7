package datablock_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

// TestADirectoryThatIsNotUTF8IsRefused: each wrong byte would be the character U+FFFD. There is a
// folder with this name.
func TestADirectoryThatIsNotUTF8IsRefused(t *testing.T) {
	above := directory(t)
	require.NoError(t, os.Mkdir(filepath.Join(above, "\ufffd"), 0o700))
	for _, name := range []string{"\xff", "\xc3", "\xed\xa0\x80"} {
		b := &bench{T: t, dir: filepath.Join(above, name)}
		_, err := datablock.OpenProducer("x", b.config())
		assert.ErrorIs(t, err, datablock.ErrInvalid)
		assert.ErrorContains(t, err, "is not UTF-8")
		_, err = datablock.OpenConsumer(filepath.Join(b.dir, "x"), datablock.ConsumerOptions{})
		assert.ErrorIs(t, err, datablock.ErrInvalid)
		_, err = datablock.List(b.dir)
		assert.ErrorIs(t, err, datablock.ErrInvalid)
		config := b.config()
		config.Directory, config.Registered, config.Registry = above, "Sample@1", b.dir
		_, err = datablock.OpenProducer("x", config)
		assert.ErrorIs(t, err, datablock.ErrInvalid)
		assert.ErrorContains(t, err, "is not UTF-8")
	}
}
