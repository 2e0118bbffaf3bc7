package core

import (
	"errors"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

func TestAPollThatHasFoundNothingLooksAgainBeforeItGivesUp(t *testing.T) {
	for _, d := range []Delivery{Lossless, Ordered, Latest} {
		t.Run(d.String(), func(t *testing.T) {
			b := newBench(t)
			p := b.producer(b.config(Ring, 4))
			c := b.consumer(ConsumerOptions{Delivery: d})
			_, err := c.Next(0)
			require.ErrorIs(t, err, Timeout)
			write(t, p, 1) // as if it came right after the first load
			var s ReadSlot
			require.NoError(t, c.wait(wanted{}, 0, &s))
			assert.Zero(t, s.ID())
			require.NoError(t, c.Release(s))
		})
	}
}

func TestAMessageIsFoundAtItsPlaceInARingOfAnyLength(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 4, 5, 7, 1000, 1023, 1024, 1025, 1<<20 - 1, 1 << 20} {
		b := block{entries: make([]atomic.Uint64, n), inverse: inverse(n)}
		last := ^uint64(0) - ^uint64(0)%n
		ids := []uint64{0, 1, n - 1, n, n + 1, 2*n - 1, 2 * n, 1<<40 - 1, 1 << 40, 1<<63 - 1, 1 << 63, last - 1, last,
			^uint64(0)}
		for range 1000 {
			ids = append(ids, rand.Uint64(), rand.Uint64()/n*n, rand.Uint64()/n*n-1)
		}
		for _, id := range ids {
			require.Same(t, &b.entries[id%n], b.entry(id), "message %d of a ring of %d", id, n)
		}
	}
}

func TestAPollThatFindsNothingAllocatesNothing(t *testing.T) {
	b := newBench(t)
	b.producer(b.config(Ring, 4))
	c := b.consumer(ConsumerOptions{})
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		_, err := c.Next(0)
		if CodeOf(err) != Timeout || !errors.Is(err, Timeout) {
			panic(err)
		}
	}))
}

// A fence that damage has left at another place than the next message's would be taken for the
// fence of a claim that comes there later.
func TestAnAdopterRemovesFencesThatNobodyAnswersTo(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 8)
	p := b.producer(config)
	write(t, p, 8)
	for _, id := range []uint64{8, 10} {
		e := p.entry(id)
		e.Store(e.Load() | layout.EntryFence)
	}
	die(p.attachment)
	q := b.producer(config)
	assert.Zero(t, q.entry(10).Load()&layout.EntryFence)
	assert.NotZero(t, q.entry(8).Load()&layout.EntryFence, "the next message's is its claim's to remove")
	write(t, q, 2)
	s, err := q.Claim(0)
	require.NoError(t, err)
	require.EqualValues(t, 10, s.ID())
	_, err = ForceResetSlot("x", b.dir, s.Index(), true)
	require.NoError(t, err)
	require.ErrorIs(t, q.Commit(s, 1), Fenced)
	write(t, q, 8)
}

// If the keeper gets no processor, as beside a thread of real-time priority, polls read the clock
// themselves from time to time.
func TestPollsAskTheClockWhereNobodyKeepsTime(t *testing.T) {
	t.Run("reader", func(t *testing.T) {
		b := newBench(t)
		p := b.producer(b.config(Ring, 8))
		c := b.consumer(ConsumerOptions{})
		_, err := c.Next(0)
		require.ErrorIs(t, err, Timeout) // it has probed for the producer in this tick
		stopKeepingUp(&c.moment)
		die(p.attachment)
		require.Eventually(t, func() bool {
			for range 2 * trust {
				if _, err := c.Next(0); CodeOf(err) == NoProducer {
					return true
				}
			}
			return false
		}, 10*time.Second, time.Millisecond)
	})
	t.Run("producer", func(t *testing.T) {
		b := newBench(t)
		p := b.producer(b.config(Ring, 8))
		b.consumer(ConsumerOptions{})
		write(t, p, 8)
		stopKeepingUp(&p.moment)
		require.NoError(t, platform.Remove(p.location.data()))
		require.Eventually(t, func() bool {
			_, err := p.Claim(0)
			return CodeOf(err) == Superseded
		}, 10*time.Second, time.Millisecond)
	})
}

func TestACloseThatMeetsATruncatedFileLeavesNoClaim(t *testing.T) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	b := newBench(t)
	p := b.producer(b.config(Ring, 8))
	s, err := p.Claim(0)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(p.location.data(), 0))
	require.Panics(t, func() { _ = p.Close() })
	require.ErrorIs(t, p.Commit(s, 1), Invalid)
	require.ErrorIs(t, p.Abort(s), Invalid)
	require.ErrorIs(t, p.Close(), Closed)
}
