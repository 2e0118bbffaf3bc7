package channel

import (
	"math"
	"reflect"
	"testing"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// TestASlotIsFourWords: a longer struct, or one with more fields, would go through memory. A
// message would take half as much time again.
func TestASlotIsFourWords(t *testing.T) {
	for _, slot := range []reflect.Type{reflect.TypeFor[WriteSlot](), reflect.TypeFor[ReadSlot]()} {
		assert.LessOrEqual(t, slot.Size(), 4*reflect.TypeFor[uintptr]().Size(), slot)
		assert.LessOrEqual(t, slot.NumField(), 4, slot)
	}
}

func TestASlotHoldsTheLargestOfEverything(t *testing.T) {
	var header [2]segment.SlotWords // the second stands for the payload
	header[0][layout.SlotTimestamp/8] = 42
	s := slotOf(&header[0], math.MaxUint64, layout.MaxSlotSize, layout.MaxSlots-1, math.MaxUint16)
	for _, missed := range []uint64{0, 1, mostMissed, mostMissed + 1, math.MaxUint64} {
		s.setMissed(missed)
		assert.Equal(t, min(missed, mostMissed), s.Missed())
		assert.EqualValues(t, layout.MaxSlotSize, s.Size())
		assert.EqualValues(t, layout.MaxSlots-1, s.Index())
		assert.EqualValues(t, math.MaxUint16, s.Token())
		assert.EqualValues(t, uint64(math.MaxUint64), s.ID())
		assert.EqualValues(t, 42, s.Timestamp())
	}
	s.setMissed(7)
	s.setToken(3)
	assert.EqualValues(t, 7, s.Missed())
	assert.EqualValues(t, 3, s.Token())
}

// TestNoSlot: what is returned with an error, and what a transaction that has ended has.
func TestNoSlot(t *testing.T) {
	assert.Nil(t, WriteSlot{}.Data())
	assert.Nil(t, ReadSlot{}.Data())
	assert.Zero(t, ReadSlot{}.Size())
	assert.Zero(t, ReadSlot{}.Timestamp())
}

// TestASlotIsReleasedOnce: also if the same message is held again meanwhile, until the numbers of
// the holds have wrapped.
func TestASlotIsReleasedOnce(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered, Start: segment.StartOldest})
	write(t, p, 1)
	first, err := c.ReadAt(0)
	require.NoError(t, err)
	require.NoError(t, c.Release(first))
	for range math.MaxUint16 {
		again, err := c.ReadAt(0)
		require.NoError(t, err)
		require.ErrorIs(t, c.Release(first), status.Invalid)
		require.NoError(t, c.Release(again))
	}
}

// TestAnEndedGuardEndsNothing: however many transactions there have been since.
func TestAnEndedGuardEndsNothing(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	next := func() ReadTransactionGuard {
		write(t, p, 1)
		g, err := c.BeginNext(0)
		require.NoError(t, err)
		return g
	}
	old := next()
	require.NoError(t, old.Close())
	for range 2*math.MaxUint16 + 10 {
		g := next()
		if old.Slot() != nil {
			t.Fatal("the guard has come to life again")
		}
		require.NoError(t, g.Close())
	}
	g := next()
	require.NoError(t, old.Close())
	require.NotNil(t, g.Slot())
	require.NoError(t, c.Close())
	require.Nil(t, g.Slot(), "its memory has gone")
	require.NoError(t, g.Close())
}

// TestATransactionWhoseConsumerIsClosedInsideEnds: its slot is empty then, whatever its form.
func TestATransactionWhoseConsumerIsClosedInsideEnds(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	write(t, p, 1)
	closes := func(c *Consumer) func(*ReadTransactionSlot) (int, error) {
		return func(s *ReadTransactionSlot) (int, error) {
			require.NoError(t, c.Close())
			assert.Nil(t, s.Data())
			assert.Zero(t, s.Timestamp())
			return 0, nil
		}
	}
	c := b.consumer(segment.ConsumerOptions{Start: segment.StartOldest})
	_, _, err := WithNextSlot(c, 0, closes(c))
	require.ErrorIs(t, err, status.Invalid)
	c = b.consumer(segment.ConsumerOptions{Start: segment.StartOldest})
	_, err = WithReadTransaction(c, 0, 0, closes(c))
	require.ErrorIs(t, err, status.Invalid)
	c = b.consumer(segment.ConsumerOptions{Start: segment.StartOldest})
	for _, err := range c.Messages(0) {
		if err != nil {
			require.ErrorIs(t, err, status.Invalid)
			break
		}
		require.NoError(t, c.Close())
	}
}
