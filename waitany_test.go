package datablock_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock"
)

func TestWaitAnyNamesEveryReadyOne(t *testing.T) {
	for _, delivery := range []datablock.Delivery{datablock.Lossless, datablock.Ordered, datablock.Latest} {
		left, right := openNamed(t, "left", delivery), openNamed(t, "right", delivery)
		_, err := datablock.WaitAny(0, left.c, right.c)
		assert.ErrorIs(t, err, datablock.ErrTimeout)
		_, err = datablock.WaitAny(20*time.Millisecond, left.c, right.c)
		assert.ErrorContains(t, err, `in any of 2 blocks, the first of which is "left"`)
		right.write(t)
		for range 2 { // it has taken nothing
			ready, err := datablock.WaitAny(datablock.Forever, left.c, right.c)
			require.NoError(t, err)
			assert.Equal(t, []*datablock.Consumer{right.c}, ready)
		}
		left.write(t)
		ready, err := datablock.WaitAny(0, left.c, right.c)
		require.NoError(t, err)
		assert.Equal(t, []*datablock.Consumer{left.c, right.c}, ready)
		for _, c := range ready {
			s, err := c.Next(0)
			require.NoError(t, err)
			require.NoError(t, c.Release(s))
		}
		_, err = datablock.WaitAny(0, left.c, right.c)
		assert.ErrorIs(t, err, datablock.ErrTimeout)
	}
}

func TestWaitAnyIsWoken(t *testing.T) {
	for which := range 2 {
		both := []*named{openNamed(t, "left", datablock.Lossless), openNamed(t, "right", datablock.Latest)}
		ready := waitInBackground(t, both)
		both[which].write(t)
		assert.Equal(t, []*datablock.Consumer{both[which].c}, <-ready)
	}
}

func TestWaitAnySeesTheEnd(t *testing.T) {
	both := []*named{openNamed(t, "left", datablock.Lossless), openNamed(t, "right", datablock.Latest)}
	ready := waitInBackground(t, both)
	require.NoError(t, both[1].p.Close())
	assert.Equal(t, []*datablock.Consumer{both[1].c}, <-ready)
	_, err := both[1].c.Next(0)
	assert.ErrorIs(t, err, datablock.ErrClosed)
}

func TestWaitAnyInterrupted(t *testing.T) {
	both := []*named{openNamed(t, "left", datablock.Lossless), openNamed(t, "right", datablock.Latest)}
	ready := waitInBackground(t, both)
	both[0].c.Interrupt()
	assert.Equal(t, []*datablock.Consumer{both[0].c}, <-ready)
}

func TestWaitAnyIsAskedForProperly(t *testing.T) {
	x := openNamed(t, "x", datablock.Lossless)
	_, err := datablock.WaitAny(0)
	assert.ErrorIs(t, err, datablock.ErrInvalid)
	_, err = datablock.WaitAny(-2, x.c)
	assert.ErrorIs(t, err, datablock.ErrInvalid)
	require.NoError(t, x.c.Close())
	ready, err := datablock.WaitAny(0, x.c) // a read says at once that it is closed
	require.NoError(t, err)
	assert.Len(t, ready, 1)
}

// named is a block with a producer and a consumer.
type named struct {
	p    *datablock.Producer
	c    *datablock.Consumer
	name string
	dir  string
}

func openNamed(t *testing.T, name string, delivery datablock.Delivery) *named {
	t.Helper()
	config := datablock.DefaultConfig(datablock.Ring)
	config.SlotCount, config.SlotSize, config.Directory = slotCount, slotSize, directory(t)
	p, err := datablock.OpenProducer(name, config)
	require.NoError(t, err)
	c, err := datablock.OpenConsumer(name, datablock.ConsumerOptions{Directory: config.Directory, Delivery: delivery})
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = c.Close()
		_ = p.Close()
	})
	return &named{p, c, name, config.Directory}
}

func (n *named) write(t *testing.T) {
	t.Helper()
	s, err := n.p.Claim(0)
	require.NoError(t, err)
	require.NoError(t, n.p.Commit(s, 1))
}

// waitInBackground waits for any of them for ever, and returns when that has gone to sleep.
func waitInBackground(t *testing.T, of []*named) <-chan []*datablock.Consumer {
	t.Helper()
	consumers := make([]*datablock.Consumer, len(of))
	for i, n := range of {
		consumers[i] = n.c
	}
	last := of[len(of)-1]
	marked := func() bool {
		_, participants, err := datablock.ReadMetrics(last.name, last.dir)
		return err == nil && len(participants) > 1 && participants[1].Waits > 0
	}
	require.False(t, marked())
	result := make(chan []*datablock.Consumer, 1)
	go func() {
		ready, err := datablock.WaitAny(datablock.Forever, consumers...)
		assert.NoError(t, err)
		result <- ready
	}()
	require.Eventually(t, marked, patience, time.Millisecond)
	return result
}
