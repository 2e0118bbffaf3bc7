package datablock_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

// TestADirectoryOfAnyLetters: by the configuration, by the variable, and as a part of the name.
func TestADirectoryOfAnyLetters(t *testing.T) {
	b := &bench{T: t, dir: filepath.Join(directory(t), "über 日本")}
	require.NoError(t, os.Mkdir(b.dir, 0o700))
	b.p = b.producer("x")
	b.c = b.consumer(datablock.ConsumerOptions{})
	assert.Equal(t, b.write(), b.read())
	blocks, err := datablock.List(b.dir)
	require.NoError(t, err)
	require.Len(t, blocks, 1)
	require.NoError(t, b.c.Close())
	require.NoError(t, b.p.Close())

	t.Setenv("DATABLOCK_DIR", b.dir)
	c, err := datablock.OpenConsumer("x", datablock.ConsumerOptions{})
	require.NoError(t, err)
	require.NoError(t, c.Close())
	_, err = datablock.OpenConsumer(filepath.Join(b.dir, "absent"), datablock.ConsumerOptions{})
	assert.ErrorContains(t, err, "über 日本")
	require.NoError(t, datablock.Unlink(filepath.Join(b.dir, "x"), "", 0))
}
