package core

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPollThatHasFoundNothingLooksAgainBeforeItGivesUp(t *testing.T) {
	for _, d := range []Delivery{Lossless, Ordered, Latest} {
		t.Run(d.String(), func(t *testing.T) {
			b := newBench(t)
			p := b.producer(b.config(Ring, 4))
			c := b.consumer(ConsumerOptions{Delivery: d})
			_, err := c.Next(0)
			require.ErrorIs(t, err, Timeout)
			write(t, p, 1) // as if it came right after the first look
			var s ReadSlot
			require.NoError(t, c.wait(wanted{}, 0, &s))
			assert.Zero(t, s.ID)
			require.NoError(t, c.Release(s))
		})
	}
}

func TestAMessageIsFoundAtItsPlaceInARingOfAnyLength(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 4, 5, 7, 1000, 1023, 1024, 1025, 1<<20 - 1, 1 << 20} {
		b := block{entries: make([]atomic.Uint64, n), inverse: inverse(n)}
		last := ^uint64(0) - ^uint64(0)%n
		ids := []uint64{0, 1, n - 1, n, n + 1, 2*n - 1, 2 * n, 1<<40 - 1, 1 << 40, 1<<63 - 1, 1 << 63, last - 1, last, ^uint64(0)}
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
