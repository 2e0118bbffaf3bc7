package channel

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"
	"datablock/internal/layout"

	"datablock/internal/core/coretest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type fixture struct {
	t   testing.TB
	dir string
}

func newFixture(t testing.TB) fixture { return fixture{t, coretest.Directory(t)} }

func (b fixture) config(policy segment.Policy, slots uint32) segment.Config {
	c := segment.DefaultConfig(policy)
	c.SlotCount, c.SlotSize, c.Directory = slots, 64, b.dir
	return c
}

func (b fixture) producer(c segment.Config) *Producer {
	p, err := OpenProducer("x", c)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = p.Close() })
	return p
}

func (b fixture) consumer(o segment.ConsumerOptions) *Consumer {
	o.Directory = b.dir
	c, err := OpenConsumer("x", o)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

func write(t testing.TB, p *Producer, n int) {
	for range n {
		s, err := p.Claim(time.Second)
		require.NoError(t, err)
		binary.LittleEndian.PutUint64(s.Data(), s.ID())
		require.NoError(t, p.Commit(s, max(8, int(p.shortest))))
	}
}

func read(t testing.TB, c *Consumer) ReadSlot {
	s, err := c.Next(time.Second)
	require.NoError(t, err)
	require.Equal(t, s.ID(), binary.LittleEndian.Uint64(s.Data()))
	require.NoError(t, c.Release(s))
	return s
}

func idsOf(t testing.TB, c *Consumer, n int) (ids []uint64) {
	for range n {
		ids = append(ids, read(t, c).ID())
	}
	return ids
}

// die leaves a participant's row as a killed process does: the kernel releases the locks,
// everything else stays. (Real kills are in tests/go/process.)
func die(a *segment.Attachment) { a.CloseLocks() }

func (b fixture) openConsumer(o segment.ConsumerOptions) (*Consumer, error) {
	o.Directory = b.dir
	return OpenConsumer("x", o)
}

func TestMessagesArriveInOrder(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{})
	for i := range uint64(40) {
		write(t, p, 1)
		assert.Equal(t, i, read(t, c).ID())
	}
	_, err := c.Next(0)
	assert.ErrorIs(t, err, status.Timeout)
}

func TestLosslessHoldsTheProducerUp(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	write(t, p, 4)
	_, err := p.Claim(0)
	assert.ErrorIs(t, err, status.Timeout)
	_, err = p.Claim(20 * time.Millisecond)
	assert.ErrorIs(t, err, status.Timeout)
	assert.EqualValues(t, 0, read(t, c).ID())
	write(t, p, 1)
	assert.Equal(t, []uint64{1, 2, 3, 4}, idsOf(t, c, 4))
}

func TestLatestAndOrderedNeverHoldTheProducerUp(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	latest, ordered := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest}),
		b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	write(t, p, 1)
	held, err := latest.Next(0)
	require.NoError(t, err)
	heldToo, err := ordered.Next(0)
	require.NoError(t, err)
	write(t, p, 100)
	assert.EqualValues(t, 0, binary.LittleEndian.Uint64(held.Data()))
	assert.EqualValues(t, 0, binary.LittleEndian.Uint64(heldToo.Data()))
	require.NoError(t, latest.Release(held))
	require.NoError(t, ordered.Release(heldToo))

	s := read(t, latest)
	assert.EqualValues(t, 100, s.ID())
	assert.EqualValues(t, 99, s.Missed())
	s = read(t, ordered)
	assert.EqualValues(t, 97, s.ID())
	assert.EqualValues(t, 96, s.Missed())
	assert.Equal(t, []uint64{98, 99, 100}, idsOf(t, ordered, 3))
}

func TestAbortPublishesNothingAndKeepsTheID(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{})
	write(t, p, 1)
	for range 20 {
		s, err := p.Claim(0)
		require.NoError(t, err)
		assert.EqualValues(t, 1, s.ID())
		require.NoError(t, p.Abort(s))
	}
	assert.EqualValues(t, 0, read(t, c).ID())
	write(t, p, 1)
	assert.EqualValues(t, 1, read(t, c).ID())
}

func TestJoiningStartsWhereTheOptionSays(t *testing.T) {
	for _, before := range []int{0, 1, 3, 4, 5, 11} {
		t.Run(fmt.Sprint(before), func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 4))
			write(t, p, before)
			latest := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
			oldest := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Start: segment.StartOldest})
			ordered := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered, Start: segment.StartOldest})
			first := uint64(max(0, before-4))
			for id := first; id < uint64(before); id++ {
				assert.Equal(t, id, read(t, oldest).ID())
				assert.Equal(t, id, read(t, ordered).ID())
			}
			write(t, p, 2)
			assert.Equal(t, []uint64{uint64(before), uint64(before + 1)}, idsOf(t, latest, 2))
			assert.Equal(t, []uint64{uint64(before), uint64(before + 1)}, idsOf(t, oldest, 2))
		})
	}
}

func TestJoinAtOldestBindsTheProducerFromItsNextGate(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	write(t, p, 10)
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, Start: segment.StartOldest})
	_, err := p.Claim(0) // would overwrite 6
	assert.ErrorIs(t, err, status.Timeout)
	assert.Equal(t, []uint64{6, 7, 8, 9}, idsOf(t, c, 4))
	write(t, p, 4)
	assert.Equal(t, []uint64{10, 11, 12, 13}, idsOf(t, c, 4))
}

func TestRestartContinuesAndConsumersNoticeNothing(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	p := b.producer(config)
	c := b.consumer(segment.ConsumerOptions{})
	for round := range uint64(10) {
		write(t, p, 2)
		assert.Equal(t, []uint64{2 * round, 2*round + 1}, idsOf(t, c, 2))
		_, err := OpenProducer("x", config)
		assert.ErrorIs(t, err, status.ProducerActive)
		require.NoError(t, p.Close())
		_, err = c.Next(0)
		assert.ErrorIs(t, err, status.Closed)
		p = b.producer(config)
	}
}

// A program that closes the library's descriptors loses the lease, and another producer adopts the
// block. The claims of the old one must not touch it, not even to look for room.
func TestAProducerWithoutItsLeaseTouchesNothing(t *testing.T) {
	for _, flags := range []uint32{0, segment.Reclaim} {
		b := newFixture(t)
		c := b.config(segment.Ring, 2)
		c.Flags |= flags
		old := b.producer(c)
		for old.freeCount != 0 { // so that the next claim scans
			write(t, old, 1)
		}
		die(old.Attachment)
		fresh := b.producer(c)
		write(t, fresh, 3)
		before := append([]byte(nil), old.Data[layout.State:]...)
		for range 3 {
			for _, timeout := range []time.Duration{0, 10 * time.Millisecond} {
				_, err := old.Claim(timeout)
				assert.Equal(t, status.Superseded, status.CodeOf(err), "%v", err)
			}
		}
		assert.True(t, bytes.Equal(before, old.Data[layout.State:]), "the block has changed")
		assert.Zero(t, old.freeCount)
		write(t, fresh, 3)
	}
}

func TestReplaceHandsOver(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{})
	write(t, p, 2)
	other := b.config(segment.Ring, 8)
	_, err := OpenProducer("x", other)
	assert.ErrorIs(t, err, status.ProducerActive)
	other.Flags |= segment.Replace | segment.Force
	s, err := p.Claim(0)
	require.NoError(t, err)
	q := b.producer(other)
	assert.ErrorIs(t, p.Commit(s, 8), status.Superseded)
	_, err = p.Claim(0)
	assert.ErrorIs(t, err, status.Superseded)
	assert.Equal(t, []uint64{0, 1}, idsOf(t, c, 2))
	_, err = c.Next(-1)
	assert.ErrorIs(t, err, status.Superseded)
	require.NoError(t, c.Close())
	require.NoError(t, p.Close())
	d := b.consumer(segment.ConsumerOptions{})
	write(t, q, 1)
	assert.EqualValues(t, 0, read(t, d).ID())
	require.NoError(t, q.Close())
	third := b.config(segment.Ring, 16)
	_, err = OpenProducer("x", third)
	assert.ErrorIs(t, err, status.Geometry)
	third.Flags |= segment.Replace
	r := b.producer(third)
	require.NoError(t, d.Close())
	require.NoError(t, r.Close())
	files, err := filepath.Glob(filepath.Join(b.dir, "*"))
	require.NoError(t, err)
	assert.Len(t, files, 2, "%v", files)
	require.NoError(t, recovery.Unlink("x", b.dir, 0))
	files, _ = filepath.Glob(filepath.Join(b.dir, "*"))
	assert.Empty(t, files)
}

func TestDurableConsumerContinues(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	o := segment.ConsumerOptions{Durable: true, Name: "log"}
	c := b.consumer(o)
	write(t, p, 3)
	assert.EqualValues(t, 0, read(t, c).ID())
	require.NoError(t, c.Close())
	write(t, p, 2)
	_, err := p.Claim(0)
	assert.ErrorIs(t, err, status.Timeout, "its place is kept while it is away")
	c = b.consumer(o)
	_, err = OpenConsumer("x", segment.ConsumerOptions{Durable: true, Name: "log", Directory: b.dir})
	assert.ErrorIs(t, err, status.Busy)
	assert.Equal(t, []uint64{1, 2, 3, 4}, idsOf(t, c, 4))
}

func TestUnlinkOnCloseLetsConsumersDrain(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Flags |= segment.UnlinkOnClose
	p := b.producer(config)
	c := b.consumer(segment.ConsumerOptions{})
	write(t, p, 2)
	require.NoError(t, p.Close())
	assert.Equal(t, []uint64{0, 1}, idsOf(t, c, 2))
	_, err := c.Next(-1)
	assert.ErrorIs(t, err, status.Closed)
	require.NoError(t, c.Close())
	files, _ := filepath.Glob(filepath.Join(b.dir, "*"))
	assert.Empty(t, files)
}

func TestSleepersAreWoken(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 2))
	c := b.consumer(segment.ConsumerOptions{})
	const n = 20000
	done := make(chan error, 1)
	go func() {
		for i := range uint64(n) {
			s, err := p.Claim(segment.Forever)
			if err != nil {
				done <- err
				return
			}
			binary.LittleEndian.PutUint64(s.Data(), i)
			if err := p.Commit(s, 8); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range uint64(n) {
		s, err := c.Next(segment.Forever)
		require.NoError(t, err)
		require.Equal(t, i, binary.LittleEndian.Uint64(s.Data()))
		require.NoError(t, c.Release(s))
	}
	require.NoError(t, <-done)
}
