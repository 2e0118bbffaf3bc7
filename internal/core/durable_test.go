package core

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"datablock/internal/layout"
)

// turn is the distance of ids whose entries have the same tag.
const turn = 1 << 40

// durable opens the durable consumer "log". end ends it: by Close, or as a kill does.
func (b bench) durable(d Delivery) *Consumer {
	c, err := b.openConsumer(ConsumerOptions{Delivery: d, Durable: true, Name: "log", Start: StartOldest, MaxPins: 2})
	require.NoError(b.t, err)
	return c
}

var ends = map[string]func(*Consumer){"closed": func(c *Consumer) { _ = c.Close() }, "killed": func(c *Consumer) { die(c.attachment) }}

func TestAGapIsReportedUntilItsMessageIsReleased(t *testing.T) {
	for how, end := range ends {
		t.Run(how, func(t *testing.T) {
			b := newBench(t)
			p := b.producer(b.config(Ring, 8))
			write(t, p, 1)
			c := b.durable(Ordered)
			read(t, c)
			end(c)
			write(t, p, 20) // 13 to 20 are kept
			for range 3 {
				c = b.durable(Ordered)
				s := readHeld(t, c)
				assert.EqualValues(t, 13, s.ID())
				assert.EqualValues(t, 12, s.Missed())
				assert.EqualValues(t, 1, c.cursorAt.Load())
				end(c)
			}
			c = b.durable(Ordered)
			assert.EqualValues(t, 12, read(t, c).Missed())
			end(c)
			c = b.durable(Ordered)
			s := readHeld(t, c)
			assert.EqualValues(t, 14, s.ID())
			assert.Zero(t, s.Missed())
			end(c)
		})
	}
}

func TestAGapIsReportedAgainWhateverIsReleasedBesideIt(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 8))
	write(t, p, 1)
	c := b.durable(Ordered)
	first := readHeld(t, c)
	write(t, p, 20)
	second := readHeld(t, c)
	assert.EqualValues(t, 12, second.Missed())
	require.NoError(t, c.Release(first))
	third := readHeld(t, c)
	require.NoError(t, c.Release(third))
	die(c.attachment)
	c = b.durable(Ordered)
	again := readHeld(t, c)
	assert.EqualValues(t, 13, again.ID())
	assert.EqualValues(t, 12, again.Missed())
	require.NoError(t, c.GiveBack(again.ID(), again.Index(), again.Token(), uint64(again.Size()), again.Missed()))
	assert.EqualValues(t, 1, c.cursorAt.Load())
	assert.EqualValues(t, 12, read(t, c).Missed())
	assert.EqualValues(t, 14, c.cursorAt.Load())
}

// An error that is returned in between does not hide the gap before it.
func TestAGapIsReportedAgainAfterALostMessage(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 8))
	write(t, p, 1)
	c := b.durable(Ordered)
	held := readHeld(t, c)
	write(t, p, 20)
	p.entry(13).Or(layout.EntryLost)
	_, err := c.Next(0)
	require.ErrorIs(t, err, Lost)
	require.NoError(t, c.Release(held))
	assert.EqualValues(t, 1, c.cursorAt.Load(), "the gap has not been told yet")
	die(c.attachment)
	c = b.durable(Ordered)
	_, err = c.Next(0)
	require.ErrorIs(t, err, Lost)
	s := readHeld(t, c)
	assert.EqualValues(t, 14, s.ID())
	assert.EqualValues(t, 12, s.Missed())
	require.NoError(t, c.Release(s))
	assert.EqualValues(t, 15, c.cursorAt.Load())
}

func TestLatestTellsWhatWasSkippedBeforeAMessageThatFails(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 16)
	config.Checksum = ChecksumEnforced
	p := b.producer(config)
	c := b.durable(Latest)
	write(t, p, 1)
	read(t, c)
	write(t, p, 5)
	p.data[p.payload(layout.EntrySlot(p.entry(5).Load()))] ^= 1
	_, err := c.Next(0)
	require.ErrorIs(t, err, Checksum)
	assert.EqualValues(t, 1, c.cursorAt.Load())
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
	for id := base - uint64(p.slotCount); id < base; id++ {
		slot := layout.EntrySlot(p.entry(id).Load())
		p.entry(id).Store(layout.Entry(id, slot))
		*p.data.plain64(p.slotHeader(slot) + layout.SlotID) = id
	}
	*p.commitHint = base
}

func TestAReaderThatIsATurnOfTheTagsBehindIsOvertaken(t *testing.T) {
	for _, slots := range []uint32{1, 2, 4, 8} {
		t.Run(fmt.Sprint(slots), func(t *testing.T) {
			b := newBench(t)
			p := b.producer(b.config(Ring, slots))
			c := b.consumer(ConsumerOptions{Delivery: Ordered, Start: StartOldest})
			lossless := b.consumer(ConsumerOptions{Delivery: Lossless})
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
				assert.ErrorIs(t, err, Overrun)
				_, err = c.ReadAt(8)
				assert.ErrorIs(t, err, Overrun)
			}
		})
	}
}

func TestAMessageWhoseEntryIsNotSeenYetIsNotWrittenYet(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 8))
	c := b.consumer(ConsumerOptions{Delivery: Latest})
	o, err := OpenObserver("x", ObserverOptions{Directory: b.dir})
	require.NoError(t, err)
	write(t, p, 8)
	*p.commitHint = 9 // as another processor may see it, before the entry of message 8
	_, err = c.ReadAt(8)
	assert.ErrorIs(t, err, NotFound)
	_, err = o.ReadAt(8, nil)
	assert.ErrorIs(t, err, NotFound)
	_, err = c.WaitFor(8, time.Millisecond)
	assert.ErrorIs(t, err, Timeout)
	write(t, p, 1)
	s, err := c.WaitFor(8, 0)
	require.NoError(t, err)
	assert.EqualValues(t, 8, s.ID())
	require.NoError(t, c.Release(s))
	_, err = c.ReadAt(0)
	assert.ErrorIs(t, err, Overrun)
	require.NoError(t, o.Close())
}

func TestAnExpiredRowIsFreeForWhoeverNeedsOne(t *testing.T) {
	for _, d := range deliveries {
		t.Run(d.String(), func(t *testing.T) {
			b := newBench(t)
			config := b.config(Ring, 8)
			config.ConsumerLimit, config.Retention = 1, time.Hour
			p := b.producer(config)
			c := b.durable(d)
			died := p.ctl.plain64(p.header.row(1) + layout.RowDied)
			require.NoError(t, c.Close())
			_, err := b.openConsumer(ConsumerOptions{Delivery: Latest})
			require.ErrorIs(t, err, Full, "its time is not over")
			*died -= uint64(2 * time.Hour)
			other, err := b.openConsumer(ConsumerOptions{Delivery: Latest})
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
	b := newBench(t)
	config := b.config(Ring, 8)
	config.ConsumerLimit, config.Retention = 1, time.Hour
	p := b.producer(config)
	die(b.durable(Ordered).attachment)
	_, err := b.openConsumer(ConsumerOptions{Delivery: Latest})
	require.ErrorIs(t, err, Full, "its time begins when its death is noticed")
	*p.ctl.plain64(p.header.row(1) + layout.RowDied) -= uint64(2 * time.Hour)
	b.consumer(ConsumerOptions{Delivery: Latest})
}

func TestAnExpiredRowDoesNotCountForMinConsumers(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 4)
	config.MinConsumers, config.Retention = 1, time.Hour
	p := b.producer(config)
	c := b.durable(Lossless)
	write(t, p, 2)
	idsOf(t, c, 2)
	require.NoError(t, c.Close())
	write(t, p, 3) // one more would overwrite what it has yet to read
	*p.ctl.plain64(p.header.row(1) + layout.RowDied) -= uint64(2 * time.Hour)
	p.counted = 0
	_, err := p.Claim(0)
	assert.ErrorIs(t, err, Timeout)
	assert.EqualValues(t, layout.RowFree, p.rowStatus(1))
}

func TestResumedSaysWhetherThePlaceWasKept(t *testing.T) {
	for _, d := range deliveries {
		b := newBench(t)
		config := b.config(Ring, 8)
		p := b.producer(config)
		c := b.durable(d)
		assert.False(t, c.Resumed(), "its first time")
		die(c.attachment)
		c = b.durable(d)
		assert.True(t, c.Resumed())
		require.NoError(t, c.Close())
		require.NoError(t, p.Close())
		config.Flags, config.SlotCount = config.Flags|Replace, 16
		b.producer(config)
		assert.False(t, b.durable(d).Resumed(), "the block was made anew")
	}
}

func TestSettingsUnderWhichTheProducerCouldNeverGoOn(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 2)
	for spare := uint32(2); spare < 5; spare++ {
		config.SpareSlots, config.MinConsumers = spare, spare
		_, err := OpenProducer("x", config)
		assert.ErrorIs(t, err, Invalid)
		assert.ErrorContains(t, err, fmt.Sprintf("min_consumers %d needs spare_slots of %d or more", spare, spare+1))
	}
	config.SpareSlots, config.MinConsumers = 3, 2
	p := b.producer(config)
	b.consumer(ConsumerOptions{Delivery: Latest})
	b.consumer(ConsumerOptions{Delivery: Latest})
	write(t, p, 5)
}

func TestTheLosslessMaskOfABlockThatForbidsItMeansNothing(t *testing.T) {
	b := newBench(t)
	config := b.config(Ring, 4)
	config.Flags = ForbidLossless
	p := b.producer(config)
	c := b.consumer(ConsumerOptions{Delivery: Ordered})
	write(t, p, 10)
	c.maskSet(c.lossless, c.row)
	c.joinEpoch.Add(1)
	write(t, p, 10)
	assert.Empty(t, p.holding()[1:], "its own row, for its pins")
	assert.NotContains(t, p.timedOut(time.Second).Error(), "LOSSLESS")
}

func TestAHoldIsNotEndedByAnotherConsumer(t *testing.T) {
	b := newBench(t)
	p := b.producer(b.config(Ring, 8))
	one, other := b.consumer(ConsumerOptions{Delivery: Ordered}), b.consumer(ConsumerOptions{Delivery: Ordered})
	write(t, p, 1)
	s, also := readHeld(t, one), readHeld(t, other)
	assert.ErrorIs(t, other.Release(s), Invalid)
	assert.ErrorIs(t, one.Release(also), Invalid)
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
func (b bench) unminded(gone int) *Producer {
	p := b.producer(b.config(Ring, 4))
	c := b.durable(Lossless)
	write(b.t, p, 1)
	read(b.t, c)
	write(b.t, p, 1)
	read(b.t, c)
	require.Zero(b.t, c.joining, "bound")
	die(c.attachment)
	c.maskClear(p.lossless, c.row)
	write(b.t, p, 2+gone)
	return p
}

// A LOSSLESS consumer whose messages are gone gets OVERRUN, and continues after the next attach.
func TestALostPlaceIsReported(t *testing.T) {
	b := newBench(t)
	b.unminded(4)
	c := b.durable(Lossless)
	for range 2 {
		_, err := c.Next(0)
		assert.ErrorIs(t, err, Overrun)
		assert.ErrorContains(t, err, "message 2 was overwritten")
	}
	die(c.attachment)
	c = b.durable(Lossless)
	assert.EqualValues(t, 4, read(t, c).ID())
}
