package channel

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

func TestAPollThatHasFoundNothingLooksAgainBeforeItGivesUp(t *testing.T) {
	for _, d := range []segment.Delivery{segment.Lossless, segment.Ordered, segment.Latest} {
		t.Run(d.String(), func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 4))
			c := b.consumer(segment.ConsumerOptions{Delivery: d})
			_, err := c.Next(0)
			require.ErrorIs(t, err, status.Timeout)
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
		b := segment.Segment{Entries: make([]atomic.Uint64, n), Inverse: segment.Inverse(n)}
		last := ^uint64(0) - ^uint64(0)%n
		ids := []uint64{0, 1, n - 1, n, n + 1, 2*n - 1, 2 * n, 1<<40 - 1, 1 << 40, 1<<63 - 1, 1 << 63, last - 1, last,
			^uint64(0)}
		for range 1000 {
			ids = append(ids, rand.Uint64(), rand.Uint64()/n*n, rand.Uint64()/n*n-1)
		}
		for _, id := range ids {
			require.Same(t, &b.Entries[id%n], b.Entry(id), "message %d of a ring of %d", id, n)
		}
	}
}

func TestAPollThatFindsNothingAllocatesNothing(t *testing.T) {
	b := newFixture(t)
	b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{})
	assert.Zero(t, testing.AllocsPerRun(1000, func() {
		_, err := c.Next(0)
		if status.CodeOf(err) != status.Timeout || !errors.Is(err, status.Timeout) {
			panic(err)
		}
	}))
}

// A fence that damage has left at another place than the next message's would be taken for the
// fence of a claim that comes there later.
func TestAnAdopterRemovesFencesThatNobodyAnswersTo(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 8)
	p := b.producer(config)
	write(t, p, 8)
	for _, id := range []uint64{8, 10} {
		e := p.Entry(id)
		e.Store(e.Load() | layout.EntryFence)
	}
	die(p.Attachment)
	q := b.producer(config)
	assert.Zero(t, q.Entry(10).Load()&layout.EntryFence)
	assert.NotZero(t, q.Entry(8).Load()&layout.EntryFence, "the next message's is its claim's to remove")
	write(t, q, 2)
	s, err := q.Claim(0)
	require.NoError(t, err)
	require.EqualValues(t, 10, s.ID())
	_, err = recovery.ForceResetSlot("x", b.dir, s.Index(), true)
	require.NoError(t, err)
	require.ErrorIs(t, q.Commit(s, 1), status.Fenced)
	write(t, q, 8)
}

// If the updater gets no processor, as beside a thread of real-time priority, polls read the clock
// themselves from time to time.
func TestPollsAskTheClockWhereNobodyKeepsTime(t *testing.T) {
	t.Run("reader", func(t *testing.T) {
		b := newFixture(t)
		p := b.producer(b.config(segment.Ring, 8))
		c := b.consumer(segment.ConsumerOptions{})
		_, err := c.Next(0)
		require.ErrorIs(t, err, status.Timeout) // it has probed for the producer in this tick
		stopKeepingUp(&c.clock)
		die(p.Attachment)
		require.Eventually(t, func() bool {
			for range 2 * clockCheckInterval {
				if _, err := c.Next(0); status.CodeOf(err) == status.NoProducer {
					return true
				}
			}
			return false
		}, 10*time.Second, time.Millisecond)
	})
	t.Run("producer", func(t *testing.T) {
		b := newFixture(t)
		p := b.producer(b.config(segment.Ring, 8))
		b.consumer(segment.ConsumerOptions{})
		write(t, p, 8)
		stopKeepingUp(&p.clock)
		require.NoError(t, platform.Remove(p.Location.DataPath()))
		require.Eventually(t, func() bool {
			_, err := p.Claim(0)
			return status.CodeOf(err) == status.Superseded
		}, 10*time.Second, time.Millisecond)
	})
}
