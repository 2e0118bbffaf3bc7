package channel

import (
	"fmt"
	"testing"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// turn is the distance of ids whose entries have the same tag.
const turn = 1 << 40

// durable opens the durable consumer "log". end ends it: by Close, or as a kill does.
func (b fixture) durable(d segment.Delivery) *Consumer {
	c, err := b.openConsumer(segment.ConsumerOptions{Delivery: d, Durable: true, Name: "log",
		Start: segment.StartOldest, MaxPins: 2})
	require.NoError(b.t, err)
	return c
}

var ends = map[string]func(*Consumer){"closed": func(c *Consumer) { _ = c.Close() }, "killed": func(c *Consumer) {
	die(
		c.Attachment)
}}

func TestAGapIsReportedUntilItsMessageIsReleased(t *testing.T) {
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, 8))
			write(t, p, 1)
			c := b.durable(segment.Ordered)
			read(t, c)
			end(c)
			write(t, p, 20) // 13 to 20 are kept
			for range 3 {
				c = b.durable(segment.Ordered)
				s := readHeld(t, c)
				assert.EqualValues(t, 13, s.ID())
				assert.EqualValues(t, 12, s.Missed())
				assert.EqualValues(t, 1, c.cursorPtr.Load())
				end(c)
			}
			c = b.durable(segment.Ordered)
			assert.EqualValues(t, 12, read(t, c).Missed())
			end(c)
			c = b.durable(segment.Ordered)
			s := readHeld(t, c)
			assert.EqualValues(t, 14, s.ID())
			assert.Zero(t, s.Missed())
			end(c)
		})
	}
}

func TestAGapIsReportedAgainWhateverIsReleasedBesideIt(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 8))
	write(t, p, 1)
	c := b.durable(segment.Ordered)
	first := readHeld(t, c)
	write(t, p, 20)
	second := readHeld(t, c)
	assert.EqualValues(t, 12, second.Missed())
	require.NoError(t, c.Release(first))
	third := readHeld(t, c)
	require.NoError(t, c.Release(third))
	die(c.Attachment)
	c = b.durable(segment.Ordered)
	again := readHeld(t, c)
	assert.EqualValues(t, 13, again.ID())
	assert.EqualValues(t, 12, again.Missed())
	require.NoError(t, c.GiveBack(again.ID(), again.Index(), again.Token(), uint64(again.Size()), again.Missed()))
	assert.EqualValues(t, 1, c.cursorPtr.Load())
	assert.EqualValues(t, 12, read(t, c).Missed())
	assert.EqualValues(t, 14, c.cursorPtr.Load())
}

// An error that is returned in between does not hide the gap before it.
func TestAGapIsReportedAgainAfterALostMessage(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 8))
	write(t, p, 1)
	c := b.durable(segment.Ordered)
	held := readHeld(t, c)
	write(t, p, 20)
	p.Entry(13).Or(layout.EntryLost)
	_, err := c.Next(0)
	require.ErrorIs(t, err, status.Lost)
	require.NoError(t, c.Release(held))
	assert.EqualValues(t, 1, c.cursorPtr.Load(), "the gap has not been told yet")
	die(c.Attachment)
	c = b.durable(segment.Ordered)
	_, err = c.Next(0)
	require.ErrorIs(t, err, status.Lost)
	s := readHeld(t, c)
	assert.EqualValues(t, 14, s.ID())
	assert.EqualValues(t, 12, s.Missed())
	require.NoError(t, c.Release(s))
	assert.EqualValues(t, 15, c.cursorPtr.Load())
}

func TestLatestTellsWhatWasSkippedBeforeAMessageThatFails(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 16)
	config.Checksum = segment.ChecksumEnforced
	p := b.producer(config)
	c := b.durable(segment.Latest)
	write(t, p, 1)
	read(t, c)
	write(t, p, 5)
	p.Data[p.Payload(layout.EntrySlot(p.Entry(5).Load()))] ^= 1
	_, err := c.Next(0)
	require.ErrorIs(t, err, status.Checksum)
	assert.EqualValues(t, 1, c.cursorPtr.Load())
	write(t, p, 1)
	s := readHeld(t, c)
	assert.EqualValues(t, 6, s.ID())
	assert.EqualValues(t, 4, s.Missed(), "1 to 4; 5 was told as CHECKSUM")
	assert.EqualValues(t, 4, *c.hot.missed)
	require.NoError(t, c.GiveBack(s.ID(), s.Index(), s.Token(), uint64(s.Size()), s.Missed()))
	assert.EqualValues(t, 4, read(t, c).Missed())
	assert.EqualValues(t, 4, *c.hot.missed)
}

// farAhead gives the ring the ids from base-8 on, as the format stores them.
func farAhead(p *Producer, base uint64) {
	for id := base - uint64(p.SlotCount); id < base; id++ {
		slot := layout.EntrySlot(p.Entry(id).Load())
		p.Entry(id).Store(layout.Entry(id, slot))
		*p.Data.Plain64(p.SlotHeader(slot) + layout.SlotID) = id
	}
	*p.CommitHint = base
}

func TestAReaderThatIsATurnOfTheTagsBehindIsOvertaken(t *testing.T) {
	for _, slots := range []uint32{1, 2, 4, 8} {
		t.Run(fmt.Sprint(slots), func(t *testing.T) {
			b := newFixture(t)
			p := b.producer(b.config(segment.Ring, slots))
			c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered, Start: segment.StartOldest})
			lossless := b.consumer(segment.ConsumerOptions{Delivery: segment.Lossless})
			for range 8 {
				write(t, p, 1)
				read(t, c)
				read(t, lossless)
			}
			for behind := range uint64(slots) {
				c.next, lossless.next = 8, 8
				farAhead(p, 8+turn+uint64(slots)-behind)
				s, err := c.Next(0)
				require.NoError(t, err)
				assert.Equal(t, 8+turn-behind, s.ID())
				assert.Equal(t, s.ID()-8, s.Missed())
				require.NoError(t, c.Release(s))
				_, err = lossless.Next(0)
				assert.ErrorIs(t, err, status.Overrun)
				_, err = c.ReadAt(8)
				assert.ErrorIs(t, err, status.Overrun)
			}
		})
	}
}

func TestAMessageWhoseEntryIsNotSeenYetIsNotWrittenYet(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 8))
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	o, err := OpenObserver("x", ObserverOptions{Directory: b.dir})
	require.NoError(t, err)
	write(t, p, 8)
	*p.CommitHint = 9 // as another processor may see it, before the entry of message 8
	_, err = c.ReadAt(8)
	assert.ErrorIs(t, err, status.NotFound)
	_, err = o.ReadAt(8, nil)
	assert.ErrorIs(t, err, status.NotFound)
	_, err = c.WaitFor(8, time.Millisecond)
	assert.ErrorIs(t, err, status.Timeout)
	write(t, p, 1)
	s, err := c.WaitFor(8, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 8, s.ID())
	require.NoError(t, c.Release(s))
	_, err = c.ReadAt(0)
	assert.ErrorIs(t, err, status.Overrun)
	require.NoError(t, o.Close())
}

func TestAnExpiredRowIsFreeForWhoeverNeedsOne(t *testing.T) {
	for _, d := range deliveries {
		t.Run(d.String(), func(t *testing.T) {
			b := newFixture(t)
			config := b.config(segment.Ring, 8)
			config.ConsumerLimit, config.Retention = 1, time.Hour
			p := b.producer(config)
			c := b.durable(d)
			died := p.Ctl.Plain64(p.Header.RowOffset(1) + layout.RowDied)
			require.NoError(t, c.Close())
			_, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Latest})
			require.ErrorIs(t, err, status.Full, "its time is not over")
			*died -= uint64(2 * time.Hour)
			other, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Latest})
			require.NoError(t, err)
			require.NoError(t, other.Close())
			again := b.durable(d)
			assert.False(t, again.Resumed(), "its place has expired, and it can ask")
			require.NoError(t, again.Close())
			again = b.durable(d)
			assert.True(t, again.Resumed())
			require.NoError(t, again.Close())
		})
	}
}

func TestAKilledDurableRowExpires(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 8)
	config.ConsumerLimit, config.Retention = 1, time.Hour
	p := b.producer(config)
	die(b.durable(segment.Ordered).Attachment)
	_, err := b.openConsumer(segment.ConsumerOptions{Delivery: segment.Latest})
	require.ErrorIs(t, err, status.Full, "its time begins when its death is noticed")
	*p.Ctl.Plain64(p.Header.RowOffset(1) + layout.RowDied) -= uint64(2 * time.Hour)
	b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
}

func TestAnExpiredRowDoesNotCountForMinConsumers(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.MinConsumers, config.Retention = 1, time.Hour
	p := b.producer(config)
	c := b.durable(segment.Lossless)
	write(t, p, 2)
	idsOf(t, c, 2)
	require.NoError(t, c.Close())
	write(t, p, 3) // one more would overwrite what it has yet to read
	*p.Ctl.Plain64(p.Header.RowOffset(1) + layout.RowDied) -= uint64(2 * time.Hour)
	p.counted = 0
	_, err := p.Claim(0)
	assert.ErrorIs(t, err, status.Timeout)
	assert.EqualValues(t, layout.RowFree, p.RowStatus(1))
}

func TestResumedSaysWhetherThePlaceWasKept(t *testing.T) {
	for _, d := range deliveries {
		b := newFixture(t)
		config := b.config(segment.Ring, 8)
		p := b.producer(config)
		c := b.durable(d)
		assert.False(t, c.Resumed(), "its first time")
		die(c.Attachment)
		c = b.durable(d)
		assert.True(t, c.Resumed())
		require.NoError(t, c.Close())
		require.NoError(t, p.Close())
		config.Flags, config.SlotCount = config.Flags|segment.Replace, 16
		b.producer(config)
		assert.False(t, b.durable(d).Resumed(), "the block was made anew")
	}
}

func TestSettingsUnderWhichTheProducerCouldNeverGoOn(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 2)
	for spare := uint32(2); spare < 5; spare++ {
		config.SpareSlots, config.MinConsumers = spare, spare
		_, err := OpenProducer("x", config)
		assert.ErrorIs(t, err, status.Invalid)
		assert.ErrorContains(t, err, fmt.Sprintf("min_consumers %d needs spare_slots of %d or more", spare, spare+1))
	}
	config.SpareSlots, config.MinConsumers = 3, 2
	p := b.producer(config)
	b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	b.consumer(segment.ConsumerOptions{Delivery: segment.Latest})
	write(t, p, 5)
}

func TestTheLosslessMaskOfABlockThatForbidsItMeansNothing(t *testing.T) {
	b := newFixture(t)
	config := b.config(segment.Ring, 4)
	config.Flags = segment.ForbidLossless
	p := b.producer(config)
	c := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	write(t, p, 10)
	c.MaskSet(c.Lossless, c.Row)
	c.JoinEpoch.Add(1)
	write(t, p, 10)
	assert.Empty(t, p.holding()[1:], "its own row, for its pins")
	assert.NotContains(t, p.timedOut(time.Second).Error(), "LOSSLESS")
}

func TestAHoldIsNotEndedByAnotherConsumer(t *testing.T) {
	b := newFixture(t)
	p := b.producer(b.config(segment.Ring, 8))
	one, other := b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered}),
		b.consumer(segment.ConsumerOptions{Delivery: segment.Ordered})
	write(t, p, 1)
	s, also := readHeld(t, one), readHeld(t, other)
	assert.ErrorIs(t, other.Release(s), status.Invalid)
	assert.ErrorIs(t, one.Release(also), status.Invalid)
	require.NoError(t, other.Release(also))
	require.NoError(t, one.Release(s))
}

func TestTheNumbersOfHoldsBeginFarApart(t *testing.T) {
	seen := map[uint16]bool{}
	for n := range uint32(1 << 16) {
		seen[firstHold(n)] = true
	}
	assert.Len(t, seen, 1<<16)
}

// unminded is the place of the durable consumer "log" at message 2, whose bit in the mask was lost.
// The producer has overwritten messages up to gone.
func (b fixture) unminded(gone int) *Producer {
	p := b.producer(b.config(segment.Ring, 4))
	c := b.durable(segment.Lossless)
	write(b.t, p, 1)
	read(b.t, c)
	write(b.t, p, 1)
	read(b.t, c)
	require.Zero(b.t, c.joining, "bound")
	die(c.Attachment)
	c.MaskClear(p.Lossless, c.Row)
	write(b.t, p, 2+gone)
	return p
}

// A LOSSLESS consumer whose messages are gone gets OVERRUN, and continues after the next attach.
func TestALostPlaceIsReported(t *testing.T) {
	b := newFixture(t)
	b.unminded(4)
	c := b.durable(segment.Lossless)
	for range 2 {
		_, err := c.Next(0)
		assert.ErrorIs(t, err, status.Overrun)
		assert.ErrorContains(t, err, "message 2 was overwritten")
	}
	die(c.Attachment)
	c = b.durable(segment.Lossless)
	assert.EqualValues(t, 4, read(t, c).ID())
}
