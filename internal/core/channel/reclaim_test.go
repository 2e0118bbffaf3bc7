package channel

import (
	"testing"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"
	"datablock/internal/layout"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reclaiming returns the settings of a block whose producer checks for room at each claim.
func (b fixture) reclaiming(slots uint32) segment.Config {
	c := b.config(segment.Ring, slots)
	c.Flags |= segment.Reclaim
	c.SlotSize = layout.BigSlot
	return c
}

// follow writes n messages. The consumers read and release each message before the next one.
func follow(t testing.TB, p *Producer, n int, consumers ...*Consumer) {
	for range n {
		write(t, p, 1)
		for _, c := range consumers {
			read(t, c)
		}
	}
}

// holdNext takes a message without releasing it.
func holdNext(t testing.TB, c *Consumer) ReadSlot {
	s, err := c.Next(time.Second)
	require.NoError(t, err)
	return s
}

// here returns the ids of the messages that the ring has.
func here(p *Producer) (ids []uint64) {
	for id := p.OldestPossible(p.next); id < p.next; id++ {
		if !p.IsReclaimed(p.Entry(id).Load()) {
			ids = append(ids, id)
		}
	}
	return ids
}

// A consumer is evicted after it has looked at its row, and its next message is reclaimed.
func TestAnEvictedConsumerMeetsAReclaimedMessage(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.reclaiming(8))
	c := b.consumer(segment.ConsumerOptions{})
	follow(t, p, 3, c)
	other := b.consumer(segment.ConsumerOptions{})
	write(t, p, 4)
	for range 4 {
		read(t, other)
	}
	require.True(t, c.ownsRow())
	c.StatusWord(c.Row).Store(layout.RowEvicting) // as an eviction does
	c.EmptyRow(c.Row)
	s, err := p.Claim(0)
	require.NoError(t, err)
	require.NoError(t, p.Abort(s))
	require.NotContains(t, here(p), c.next)
	for range 2 {
		_, err = c.tryNext(new(ReadSlot))
		assert.Equal(t, status.Fenced, status.CodeOf(err), "%v", err)
	}
}

// The cursor in the control file is damaged, so that the producer has overtaken the consumer.
func TestAWildCursorIsAnOverrun(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.reclaiming(16))
	c := b.consumer(segment.ConsumerOptions{})
	write(t, p, 3)
	read(t, c)
	c.cursorPtr.Store(1 << 40)
	write(t, p, 5)
	for range 2 {
		_, err := c.Next(0)
		assert.Equal(t, status.Overrun, status.CodeOf(err), "%v", err)
	}
}

func TestReclaimedSlotsAreUsedAgain(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.reclaiming(8))
	c := b.consumer(segment.ConsumerOptions{})
	used := map[uint32]bool{}
	for range 100 {
		s, err := p.Claim(time.Second)
		require.NoError(t, err)
		used[s.Index()] = true
		require.NoError(t, p.Commit(s, 8))
		r, err := c.Next(time.Second)
		require.NoError(t, err)
		assert.Equal(t, s.ID(), r.ID())
		require.NoError(t, c.Release(r))
	}
	assert.LessOrEqual(t, len(used), 3, "one slot is claimed, one has the newest message, one may be retired")
	assert.Equal(t, []uint64{98, 99}, here(p), "the last claim saw all messages before 99 released, and 98 was newest")
}

func TestWithoutALosslessConsumerNothingIsReclaimed(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.reclaiming(8))
	ordered := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	follow(t, p, 20, ordered)
	assert.Len(t, here(p), 8)
	c := b.consumer(segment.ConsumerOptions{Start: segment.StartOldest})
	for id := uint64(12); id < 20; id++ {
		assert.Equal(t, id, read(t, c).ID())
	}
}

// A slow LOSSLESS consumer keeps its messages in the ring, and a durable one does while it is away.
func TestOnlyReleasedMessagesAreReclaimed(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.reclaiming(8))
	fast := b.consumer(segment.ConsumerOptions{})
	slow := b.consumer(segment.ConsumerOptions{Durable: true, Name: "slow"})
	follow(t, p, 20, fast, slow)
	held := b.consumer(segment.ConsumerOptions{})
	write(t, p, 3)
	s := holdNext(t, slow) // message 20
	for range 3 {
		read(t, fast)
		read(t, held)
	}
	follow(t, p, 2, fast, held)
	assert.Equal(t, []uint64{20, 21, 22, 23, 24}, here(p))
	require.NoError(t, slow.Release(s))
	require.NoError(t, slow.Close())
	follow(t, p, 2, fast, held)
	assert.Equal(t, []uint64{21, 22, 23, 24, 25, 26}, here(p))
	slow = b.consumer(segment.ConsumerOptions{Durable: true, Name: "slow"})
	for id := uint64(21); id < 27; id++ {
		s := read(t, slow)
		assert.Equal(t, id, s.ID())
		assert.Zero(t, s.Missed())
	}
}

func TestOthersFindReclaimedMessagesOverwritten(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.reclaiming(8))
	c := b.consumer(segment.ConsumerOptions{})
	ordered := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered, MaxPins: 2})
	latest := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	o, err := OpenObserver("x", ObserverOptions{Directory: b.dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, o.Close()) }()
	write(t, p, 1)
	read(t, c)
	first := holdNext(t, ordered) // message 0
	follow(t, p, 5, c)
	require.Equal(t, []uint64{4, 5}, here(p))

	assert.Equal(t, uint64(0), first.ID())
	assert.Equal(t, byte(0), first.Data()[0], "a hazard pointer keeps the slot")
	second := holdNext(t, ordered)
	assert.Equal(t, []uint64{4, 3}, []uint64{second.ID(), second.Missed()}, "messages 1, 2 and 3 are gone")
	require.NoError(t, ordered.Release(first))
	require.NoError(t, ordered.Release(second))
	_, err = ordered.ReadAt(2)
	assert.Equal(t, status.Overrun, status.CodeOf(err))
	assert.ErrorContains(t, err, "message 2 was overwritten, the oldest present is 4")
	newest := read(t, latest)
	assert.Equal(t, []uint64{5, 5}, []uint64{newest.ID(), newest.Missed()})

	into := make([]byte, 8)
	_, err = o.ReadAt(3, into)
	assert.Equal(t, status.Overrun, status.CodeOf(err))
	assert.ErrorContains(t, err, "message 3 was overwritten, the oldest present is 4")
	seen, err := o.ReadNewest(into)
	require.NoError(t, err)
	assert.Equal(t, uint64(5), seen.ID)
}

func TestConsumersBeginAtTheOldestMessageThatWasNotReclaimed(t *testing.T) {
	for _, delivery := range []segment.Delivery{segment.Lossless, segment.Ordered} {
		t.Run(delivery.String(), func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.reclaiming(8))
			c := b.consumer(segment.ConsumerOptions{})
			follow(t, p, 5, c)
			late := b.consumer(segment.ConsumerOptions{Delivery: delivery, Start: segment.StartOldest})
			if delivery == segment.Lossless { // it holds the messages
				follow(t, p, 2, c)
			}
			s := read(t, late)
			assert.Equal(t, uint64(3), s.ID())
			assert.Zero(t, s.Missed())
		})
	}
}

// A LOSSLESS consumer joins at oldest after the scan of a claim that is about to reclaim five
// messages. The claim sees that the consumer has announced itself, at the latest after one message,
// which is the one at which the consumer begins.
func TestNothingIsReclaimedAfterAJoin(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.reclaiming(8))
	c := b.consumer(segment.ConsumerOptions{})
	write(t, p, 5)
	for range 5 {
		read(t, c)
	}
	p.rescan()
	require.Equal(t, uint64(5), p.released)
	late := b.consumer(segment.ConsumerOptions{Start: segment.StartOldest})
	p.reclaim()
	require.Len(t, here(p), 5)

	p.acked, p.released = p.joinsPtr.Load(), 1 // it had loaded the epoch before
	p.reclaim()
	require.Equal(t, []uint64{1, 2, 3, 4}, here(p))
	for id := uint64(1); id < 5; id++ {
		s := read(t, late)
		assert.Equal(t, id, s.ID())
		assert.Zero(t, s.Missed(), "a start that moves misses nothing")
	}
	follow(t, p, 3, c, late)
}

// What is reclaimed before a consumer has announced itself only moves its start.
func TestAJoinPassesOverWhatWasReclaimedMeanwhile(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.reclaiming(8))
	c := b.consumer(segment.ConsumerOptions{})
	write(t, p, 5)
	late := b.consumer(segment.ConsumerOptions{Start: segment.StartOldest})
	require.Equal(t, uint64(0), late.next)
	for range 5 {
		read(t, c)
	}
	p.acked, p.released = p.joinsPtr.Load(), 4 // before the announcement
	p.reclaim()
	require.Equal(t, []uint64{4}, here(p))
	s := read(t, late)
	assert.Equal(t, uint64(4), s.ID())
	assert.Zero(t, s.Missed())
	follow(t, p, 3, c, late)
}

// Messages are reclaimed in the order of their ids: one that an operator has discarded, which
// another process has changed, holds up the later ones.
func TestReclaimedMessagesAreAlwaysTheOldest(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.reclaiming(8))
	c := b.consumer(segment.ConsumerOptions{})
	write(t, p, 6)
	p.Entry(2).Or(layout.EntryLost)
	for range 2 {
		read(t, c)
	}
	_, err := c.Next(0)
	require.Equal(t, status.Lost, status.CodeOf(err))
	for range 3 {
		read(t, c)
	}
	follow(t, p, 1, c)
	assert.Equal(t, []uint64{2, 3, 4, 5, 6}, here(p))
	follow(t, p, 8, c)
	assert.Equal(t, []uint64{13, 14}, here(p), "the ring has lapped the discarded message")
}

func TestANewProducerContinuesAReclaimingBlock(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.reclaiming(8))
	c := b.consumer(segment.ConsumerOptions{})
	follow(t, p, 13, c)
	require.NoError(t, p.Close())
	p = b.producer(b.reclaiming(8))
	assert.Equal(t, uint64(13), p.NextID())
	follow(t, p, 20, c)
	assert.Equal(t, []uint64{31, 32}, here(p))
}

// The fence of a forced replacement is on the entry of the oldest message, and stays there.
func TestAFencedEntryIsNotReclaimed(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.reclaiming(2))
	c := b.consumer(segment.ConsumerOptions{})
	write(t, p, 2)
	for range 2 {
		read(t, c)
	}
	e := p.Entry(0)
	e.Or(layout.EntryFence)
	s, err := p.Claim(0)
	require.NoError(t, err)
	assert.False(t, p.IsReclaimed(e.Load()))
	assert.Equal(t, status.Fenced, status.CodeOf(p.Commit(s, 8)))
	follow(t, p, 5, c)
}

func TestReclaimNeedsLosslessConsumers(t *testing.T) {
	b := newFixture(t)
	c := b.reclaiming(4)
	c.Flags |= segment.ForbidLossless
	_, err := OpenProducer("x", c)
	assert.Equal(t, status.Invalid, status.CodeOf(err))
	assert.ErrorContains(t, err, "RECLAIM")
	b.producer(b.reclaiming(4)).Close()
	c = b.reclaiming(4)
	c.Flags &^= segment.Reclaim
	_, err = OpenProducer("x", c)
	assert.Equal(t, status.Geometry, status.CodeOf(err))
	assert.ErrorContains(t, err, "reclaim true, asked for false")
}
