package datablock_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

func TestObserverSeesTheNewest(t *testing.T) {
	b := newBench(t)
	o, err := datablock.OpenObserver("x", datablock.ObserverOptions{Directory: b.dir})
	require.NoError(t, err)
	into := make([]byte, slotSize)
	oldest, next, err := o.Present()
	require.NoError(t, err)
	assert.Equal(t, [2]uint64{0, 0}, [2]uint64{oldest, next})
	_, err = o.ReadNewest(into)
	assert.ErrorIs(t, err, datablock.ErrNotFound)
	for _, text := range []string{"one", "number two"} {
		s, err := b.p.Claim(0)
		require.NoError(t, err)
		require.NoError(t, b.p.Commit(s, copy(s.Data(), text)))
	}
	seen, err := o.ReadNewest(into)
	require.NoError(t, err)
	assert.Equal(t, "number two", string(into[:seen.Length]))
	seen, err = o.ReadAt(0, into)
	require.NoError(t, err)
	assert.Equal(t, "one", string(into[:seen.Length]))
	assert.EqualValues(t, 2, seen.NextID)
	assert.Equal(t, "x", o.Name())
	s, err := o.Schema()
	require.NoError(t, err)
	assert.Nil(t, s)
	oldest, next, err = o.Present()
	require.NoError(t, err)
	assert.Equal(t, [2]uint64{0, 2}, [2]uint64{oldest, next})
	require.NoError(t, o.Close())
	_, _, err = o.Present()
	assert.ErrorIs(t, err, datablock.ErrClosed)
	assert.ErrorIs(t, o.Close(), datablock.ErrClosed)
}
