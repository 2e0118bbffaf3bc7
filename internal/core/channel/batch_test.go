package channel

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/core/coretest"
	"datablock/internal/layout"
)

func batchOf(t *testing.T, c *Consumer, most int) []ReadSlot {
	t.Helper()
	out := make([]ReadSlot, most)
	n, err := c.NextBatch(0, out)
	require.NoError(t, err)
	return out[:n]
}

func idsIn(batch []ReadSlot) (ids []uint64) {
	for _, s := range batch {
		ids = append(ids, s.ID())
	}
	return ids
}

func TestBatchOfALosslessReader(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	write(t, p, 4)
	batch := batchOf(t, c, 3)
	assert.Equal(t, []uint64{0, 1, 2}, idsIn(batch), "no more than there is room for, and more than max_pins")
	for _, s := range batch {
		assert.Equal(t, s.ID(), binary.LittleEndian.Uint64(s.Data()))
	}
	_, err := p.Claim(0)
	assert.ErrorIs(t, err, status.Timeout, "the whole batch is held")
	assert.ErrorIs(t, c.Release(batch[1]), status.Invalid)
	_, err = c.Next(0)
	assert.ErrorIs(t, err, status.Busy, "one batch at a time, with one pin")
	require.NoError(t, c.ReleaseBatch(batch))
	write(t, p, 3)
	_, err = p.Claim(0)
	assert.ErrorIs(t, err, status.Timeout)
	assert.Equal(t, []uint64{3, 4, 5, 6}, idsIn(batchOf(t, c, 10)), "all that is there")
}

func TestBatchDiedInComesAgain(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	o := segment.ConsumerOptions{Delivery: segment.Lossless, Durable: true, Name: "d"}
	c, err := b.openConsumer(o)
	require.NoError(t, err)
	write(t, p, 4)
	assert.Len(t, batchOf(t, c, 3), 3)
	die(c.Attachment)
	assert.Equal(t, []uint64{0, 1, 2, 3}, idsIn(batchOf(t, b.consumer(o), 9)))
}

func TestPartsOfABatch(t *testing.T) {
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 8))
			c := b.durable(segment.Lossless)
			write(t, p, 8)
			batch := batchOf(t, c, 8)
			require.Len(t, batch, 8)
			require.Equal(t, batch[0].Token(), batch[7].Token(), "one hold covers it")
			assert.ErrorIs(t, c.ReleaseBatch(batch[1:3]), status.Invalid)
			require.NoError(t, c.ReleaseBatch(batch[:4]))
			assert.EqualValues(t, 4, c.cursorPtr.Load())
			assert.ErrorIs(t, c.ReleaseBatch(batch[:4]), status.Invalid)
			require.NoError(t, c.ReleaseBatch(batch[4:5]))
			assert.EqualValues(t, 5, c.cursorPtr.Load())
			assert.EqualValues(t, 7, batch[7].ID())
			end(c)
			c = b.durable(segment.Lossless)
			again := batchOf(t, c, 8)
			assert.Equal(t, []uint64{5, 6, 7}, idsIn(again))
			require.NoError(t, c.ReleaseBatch(again))
			assert.EqualValues(t, 8, c.cursorPtr.Load())
			end(c)
		})
	}
}

func TestABatchThatWasUndoneInPartEndsInPart(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	write(t, p, 4)
	batch := batchOf(t, c, 4)
	last := batch[3]
	require.NoError(t, c.Undo(last.ID(), last.Index(), last.Token(), uint64(last.Size()), last.Missed()))
	err := c.ReleaseBatch(batch)
	assert.ErrorIs(t, err, status.Invalid)
	assert.ErrorContains(t, err, "message 3 is not held")
	assert.EqualValues(t, 3, c.cursorPtr.Load(), "the others have ended")
	assert.EqualValues(t, 3, read(t, c).ID())
}

func TestBatchOfAnOrderedReader(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered, MaxPins: 3})
	write(t, p, 6)
	batch := batchOf(t, c, 8)
	assert.Equal(t, []uint64{2, 3, 4}, idsIn(batch), "as many as it may pin")
	assert.EqualValues(t, 2, batch[0].Missed())
	assert.Zero(t, batch[1].Missed())
	write(t, p, 8)
	for i, s := range batch {
		assert.EqualValues(t, 2+i, binary.LittleEndian.Uint64(s.Data()), "held although it has left the ring")
	}
	require.NoError(t, c.ReleaseBatch(batch))
	assert.Equal(t, []uint64{10, 11}, idsIn(batchOf(t, c, 2)))
}

func TestBatchOfALatestReader(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest, MaxPins: 3})
	write(t, p, 3)
	assert.Equal(t, []uint64{2}, idsIn(batchOf(t, c, 8)))
}

// An error about a message is returned by the next call.
func TestBatchEndsBeforeAnError(t *testing.T) {
	for _, delivery := range []segment.Delivery{segment.Lossless, segment.Ordered} {
		for what, spoil := range map[string]struct {
			code status.Code
			how  func(p *Producer, slot uint32)
		}{
			"lost":     {status.Lost, func(p *Producer, _ uint32) { p.Entry(2).Or(layout.EntryLost) }},
			"checksum": {status.Checksum, func(p *Producer, slot uint32) { p.Data[p.Payload(slot)] ^= 1 }},
			"corrupt": {status.Corrupt,
				func(p *Producer, slot uint32) { *p.Data.Plain64(p.SlotHeader(slot) + layout.SlotID) = 77 }},
		} {
			t.Run(fmt.Sprint(delivery, "/", what), func(t *testing.T) {
				b := newFixture(t)
				config := b.config(segment.Ring, 8)
				config.SpareSlots, config.Checksum = 16, segment.ChecksumEnforced
				p := b.producer(config)
				c := b.consumer(segment.ConsumerOptions{Delivery: delivery, MaxPins: 8})
				write(t, p, 4)
				spoil.how(p, layout.EntrySlot(p.Entry(2).Load()))
				batch := batchOf(t, c, 8)
				assert.Equal(t, []uint64{0, 1}, idsIn(batch))
				require.NoError(t, c.ReleaseBatch(batch))
				n, err := c.NextBatch(0, make([]ReadSlot, 8))
				assert.Zero(t, n)
				assert.Equal(t, spoil.code, status.CodeOf(err), "%v", err)
				assert.Equal(t, []uint64{3}, idsIn(batchOf(t, c, 8)), "the stream goes on")
			})
		}
	}
}

func TestBatchOfAnEvictedReader(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	write(t, p, 4)
	batch := batchOf(t, c, 4)
	_, err := recovery.EvictConsumer("x", b.dir, c.Row, true)
	require.NoError(t, err)
	write(t, p, 4)
	assert.ErrorIs(t, c.ReleaseBatch(batch), status.Fenced)
}

func TestBatchIsVerified(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Checksum = segment.ChecksumManual
	p := b.producer(config)
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	for range 3 {
		s, err := p.Claim(0)
		require.NoError(t, err)
		require.NoError(t, p.Seal(s, 8))
		require.NoError(t, p.Commit(s, 8))
	}
	batch := batchOf(t, c, 3)
	p.Data[p.Payload(batch[2].Index())] ^= 1
	require.NoError(t, c.Verify(batch[0]))
	require.NoError(t, c.Verify(batch[1]))
	assert.ErrorIs(t, c.Verify(batch[2]), status.Checksum)
	require.NoError(t, c.ReleaseBatch(batch))
	assert.ErrorIs(t, c.Verify(batch[1]), status.Invalid)
}

func TestBatchWritten(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	text := func(n int) (messages [][]byte) {
		for i := range n {
			messages = append(messages, []byte(fmt.Sprint("message ", i)))
		}
		return messages
	}
	n, err := p.WriteBatch(text(6), 20*time.Millisecond)
	assert.ErrorIs(t, err, status.Timeout)
	assert.Equal(t, 4, n, "as many as the reader leaves room for")
	batch := batchOf(t, c, 9)
	assert.Equal(t, []uint64{0, 1, 2, 3}, idsIn(batch))
	assert.Equal(t, "message 3", string(batch[3].Data()))
	require.NoError(t, c.ReleaseBatch(batch))

	long := append(text(2), make([]byte, p.SlotBytes+1))
	n, err = p.WriteBatch(long, 0)
	assert.ErrorIs(t, err, status.Invalid)
	assert.Zero(t, n, "nothing of it")
	_, err = p.Write(long[2], 0)
	assert.ErrorIs(t, err, status.Invalid)
	id, err := p.Write(nil, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 4, id)
	n, err = p.WriteBatch(nil, 0)
	assert.NoError(t, err)
	assert.Zero(t, n)
	_, err = c.NextBatch(0, nil)
	assert.ErrorIs(t, err, status.Invalid)
}

// As in C and Python: tests/c/test_batch.c, python/tests/test_wait_counts.py.
func TestEachMessageOfABatchThatWaitsIsOneWait(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
	messages, done := make([][]byte, 7), 0
	for i, published := range []int{4, 1, 1} {
		n, err := p.WriteBatch(messages[done:], 5*time.Millisecond)
		assert.ErrorIs(t, err, status.Timeout)
		assert.Equal(t, published, n)
		done += n
		assert.EqualValues(t, i+1, *p.Data.Plain64(layout.MetricWaits), "message %d waited", done)
		assert.EqualValues(t, i+1, *p.Data.Plain64(layout.MetricTimeouts))
		require.NoError(t, c.ReleaseBatch(batchOf(t, c, 1)))
	}
}

func TestBatchAllocatesNothing(t *testing.T) {
	if coretest.RaceEnabled || invariantsOn {
		t.Skip("the race detector and the invariants build allocate; the ordinary build runs this")
	}
	b := newFixture(t)
	for _, delivery := range []segment.Delivery{segment.Lossless, segment.Ordered} {
		config := b.config(segment.Ring, 8)
		config.SpareSlots, config.Flags = 24, config.Flags|segment.Replace|segment.Force
		p := b.producer(config)
		c := b.consumer(segment.ConsumerOptions{Delivery: delivery, MaxPins: 8})
		message, out := [][]byte{{1}, {2}, {3}}, make([]ReadSlot, 8)
		assert.Zero(t, testing.AllocsPerRun(1000, func() {
			if n, err := p.WriteBatch(message, 0); err != nil || n != 3 {
				panic(err)
			}
			n, err := c.NextBatch(0, out)
			if err != nil || n != 3 {
				panic(fmt.Sprint(n, err))
			}
			if err := c.ReleaseBatch(out[:n]); err != nil {
				panic(err)
			}
		}), "%v", delivery)
		require.NoError(t, c.Close())
		require.NoError(t, p.Close())
	}
}

func TestAMessageThatIsGivenBackComesAgain(t *testing.T) {
	for _, delivery := range []segment.Delivery{segment.Lossless, segment.Ordered, segment.Latest} {
		b := newFixture(t)
		p := b.producer(b.config(segment.Ring, 4))
		c := b.consumer(segment.ConsumerOptions{Delivery: delivery, MaxPins: 2})
		overtaken := 0
		if delivery != segment.Lossless {
			overtaken = 3
		}
		write(t, p, 4+overtaken)
		s, err := c.Next(0)
		require.NoError(t, err)
		id, missed := s.ID(), s.Missed()
		for round := range 3 {
			giveBack := c.GiveBack
			if round > 0 {
				giveBack = c.Undo
			}
			require.NoError(t, giveBack(s.ID(), s.Index(), s.Token(), uint64(s.Size()), s.Missed()))
			assert.ErrorIs(t, c.Release(s), status.Invalid, "it is not held")
			assert.Zero(t, *c.hot.read)
			assert.Zero(t, *c.hot.bytes)
			assert.Zero(t, *c.hot.missed)
			s, err = c.Next(0)
			require.NoError(t, err)
			assert.Equal(t, id, s.ID())
			assert.Equal(t, missed, s.Missed())
		}
		require.NoError(t, c.Release(s))
		assert.ErrorIs(t, c.GiveBack(s.ID(), s.Index(), s.Token(), uint64(s.Size()), 0), status.Invalid)
		assert.EqualValues(t, 1, *c.hot.read)
		assert.Equal(t, missed, *c.hot.missed)
	}
}

func undo(c *Consumer, s ReadSlot) error {
	return c.Undo(s.ID(), s.Index(), s.Token(), uint64(s.Size()), s.Missed())
}

func TestAMessageReadByItsIDIsNotUndone(t *testing.T) {
	for _, delivery := range []segment.Delivery{segment.Lossless, segment.Ordered, segment.Latest} {
		b := newFixture(t)
		p := b.producer(b.config(segment.Ring, 8))
		c := b.consumer(segment.ConsumerOptions{Delivery: delivery, MaxPins: 2, Start: segment.StartOldest})
		write(t, p, 1)
		read(t, c)
		if delivery == segment.Lossless {
			write(t, p, 1)
			first := readHeld(t, c)
			defer func() { require.NoError(t, c.Release(first)) }()
		}
		byID, err := c.ReadAt(0)
		require.NoError(t, err)
		assert.ErrorIs(t, undo(c, byID), status.Invalid, "%v", delivery)
		require.NoError(t, c.Release(byID))
		_, err = c.Next(0)
		assert.ErrorIs(t, err, status.Timeout, "the message does not come again")
	}
}

// TestMessagesBeforeAGapAreUndone: the last messages are undone one by one, also across a gap.
func TestMessagesBeforeAGapAreUndone(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 2))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered, MaxPins: 2, Start: segment.StartOldest})
	write(t, p, 1)
	before := readHeld(t, c)
	write(t, p, 6)
	after := readHeld(t, c)
	require.NotZero(t, after.Missed())
	require.NoError(t, undo(c, after))
	require.NoError(t, undo(c, before))
	again := readHeld(t, c)
	assert.Equal(t, after.ID(), again.ID(), "message 0 was overwritten")
	assert.Equal(t, after.Missed()+1, again.Missed(), "and counts as missed")
	assert.EqualValues(t, 1, *c.hot.read)
	assert.Equal(t, again.Missed(), *c.hot.missed)
	require.NoError(t, c.Release(again))
	assert.Equal(t, again.ID()+1, c.cursorPtr.Load())
}

func TestACopyEndsInWhateverOrder(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 4))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless, MaxPins: 2})
	write(t, p, 4)
	first, err := c.Next(0)
	require.NoError(t, err)
	second, err := c.Next(0)
	require.NoError(t, err)
	assert.ErrorIs(t, c.Release(second), status.Invalid, "a hold ends in order")
	require.NoError(t, c.ReleaseCopied(second.ID(), second.Index(), second.Token()))
	assert.ErrorIs(t, c.ReleaseCopied(second.ID(), second.Index(), second.Token()), status.Invalid)
	assert.Zero(t, c.cursorPtr.Load(), "the first one is held")
	_, err = p.Claim(0)
	assert.ErrorIs(t, err, status.Timeout)
	require.NoError(t, c.Release(first))
	assert.EqualValues(t, 2, c.cursorPtr.Load())
}
