package channel

import (
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// OpenConsumer attaches to an existing block. It blocks for system calls only, unless it is to wait
// for the block. One goroutine at a time uses the consumer.
// Errors: Invalid, Timeout (no such block within the time), NotFound, Access, Secret, Corrupt,
// Version, Schema, Full, NoSpare, Busy (the durable name is in use), Superseded, System.
func OpenConsumer(name string, o segment.ConsumerOptions) (*Consumer, error) {
	o, err := o.Resolved()
	if err != nil {
		return nil, err
	}
	l, err := segment.Locate(name, o.Directory)
	if err != nil {
		return nil, err
	}
	c, err := attachNamed(l, o)
	switch {
	case !errors.Is(err, segment.ErrAbsent):
		return c, err
	case o.Wait == 0:
		return nil, l.Sought(err)
	}
	return waitForBlock(l, o)
}

func attachNamed(l segment.Location, o segment.ConsumerOptions) (*Consumer, error) {
	return segment.RetryMoved(l, func() (*Consumer, error) { return attach(l, o) })
}

// waitForBlock attaches as soon as the block is there. The kernel wakes no process when another
// process creates a file, so the consumer polls.
func waitForBlock(l segment.Location, o segment.ConsumerOptions) (*Consumer, error) {
	start, pause := platform.Monotonic(), segment.FirstPoll
	for {
		if o.Wait != segment.Forever {
			left := o.Wait - time.Duration(platform.Monotonic()-start)
			if left <= 0 {
				return nil, status.Errorf(status.Timeout, "no block %q in %s within %v: check the name and the "+
					"directory, and whether its producer has been started", l.Name, l.Directory, o.Wait)
			}
			pause = min(pause, left)
		}
		platform.Nap(pause)
		if c, err := attachNamed(l, o); !errors.Is(err, segment.ErrAbsent) {
			return c, err
		}
		pause = min(2*pause, segment.RarePoll)
	}
}

func attach(l segment.Location, o segment.ConsumerOptions) (*Consumer, error) {
	b, err := segment.OpenBlock(l, segment.Consume)
	if err != nil {
		return nil, err
	}
	a := &segment.Attachment{Segment: b}
	attached := false
	defer func() {
		if !attached { // an error, or a fault in a file that is truncated meanwhile
			a.Leave()
		}
	}()
	if err := b.CheckSecret(o.Secret); err != nil {
		return nil, err
	}
	if err := b.CheckSchemas(o); err != nil {
		return nil, err
	}
	if o.Delivery, err = b.Delivery(o.Delivery); err != nil {
		return nil, err
	}
	locks, err := segment.NewAttachment(b)
	if err != nil {
		return nil, err
	}
	a.RowLocks, a.ProbeLocks = locks.RowLocks, locks.ProbeLocks
	if b.Ending() {
		if replacing, err := a.ProbeLocks.Held(layout.LockReplace, 1); err != nil || replacing || b.LostName() {
			platform.Nap(time.Millisecond)
			return nil, segment.ErrMoved
		}
		return nil, status.Errorf(status.Superseded, "block %q was being replaced when its producer died: the next "+
			"producer to open it finishes that", b.BlockName())
	}
	b.Populate(false) // before the cursor holds the producer up

	returning, err := a.FindRow(o)
	if err != nil {
		return nil, err
	}
	crash.Point("attach.locked")
	c := newConsumer(a, o)
	c.resumed = returning
	c.occupy(o, returning)
	if err := c.secureSpare(); err != nil {
		if returning {
			c.RestRow(c.Row)
		} else {
			c.ClearRow(c.Row)
		}
		return nil, err
	}
	crash.Point("attach.spare")
	if !returning {
		c.join(o.Start)
	} else {
		c.resume()
	}
	crash.Point("attach.joined")
	b.StatusWord(a.Row).Store(layout.RowActive)
	if o.Durable {
		_ = a.RowLocks.Unlock(segment.NameLock(o.Name))
	}
	crash.Point("attach.active")
	if b.ProducerWaiting.Load() != 0 {
		b.WakeProducer() // it may be waiting for min_consumers
	}
	attached = true
	return c, nil
}

func newConsumer(a *segment.Attachment, o segment.ConsumerOptions) *Consumer {
	c := &Consumer{
		ConsumerState: &ConsumerState{
			Block: stateOf(a.Segment), rowPtr: segment.AddressOf(a.Ctl[a.Header.RowOffset(a.Row):]), rowNumber: a.Row,
			deliveryNumber: uint32(o.Delivery), maxPins: o.MaxPins, producerThere: true,
		},
		Attachment: a, delivery: o.Delivery, durable: o.Durable,
	}
	c.nextHold = firstHold(opened.Add(1))
	c.clock.Start()
	c.slotsPtr, c.ring, c.awaited = a.SlotArray(), &a.Entries[0], a.ProducerWaiting
	c.idle = status.Errorf(status.Timeout, "block %q: nothing new to read, and the call was asked not to wait",
		a.BlockName())
	c.orphaned = status.Errorf(status.NoProducer, "block %q: nothing new to read, and nobody has the block open for "+
		"writing", a.BlockName())
	at := a.Header.RowOffset(a.Row)
	c.pins = a.RowPins(a.Row)
	c.cursorPtr, c.ownerWordPtr = a.Cursor(a.Row), a.Ctl.U64(at+layout.RowStatus)
	for word, offset := range map[**uint64]uint64{
		&c.hot.heartbeat: layout.RowHeartbeat, &c.cursor64: layout.RowCursor, &c.hot.read: layout.RowRead,
		&c.hot.missed: layout.RowMissed, &c.hot.bytes: layout.RowBytes,
		&c.hot.waits: layout.RowWaits, &c.hot.waitNs: layout.RowWaitNs, &c.hot.timeouts: layout.RowTimeouts,
		&c.hot.lost: layout.RowLost, &c.hot.overruns: layout.RowOverruns,
		&c.hot.checksums: layout.RowChecksums,
	} {
		*word = a.Ctl.Plain64(at + offset)
	}
	return c
}

// opened counts the consumers of this process.
var opened atomic.Uint32

// firstHold returns where the numbers of a consumer's holds begin: far from those of earlier
// consumers. A release through another consumer then finds no such hold.
func firstHold(n uint32) uint16 { return uint16(n * 0x9e37) }

// occupy makes the row this consumer's, whose lease is held. The order is: complete the cleaning,
// store the identity, set the bit that makes the producer scan the hazard pointers.
func (c *Consumer) occupy(o segment.ConsumerOptions, returning bool) {
	at := c.Header.RowOffset(c.Row)
	if returning {
		// As if the row had been put to rest: no process evicts a row that is not ACTIVE.
		c.StatusWord(c.Row).Store(layout.RowDead)
		crash.Point("attach.returning")
		c.ClearPins(c.Row)
		crash.Point("attach.unpinned")
		c.AbandonLocks(segment.LockMark(c.Row, c.IncarnationOf(c.Row)))
	} else {
		c.ClearRow(c.Row)
		crash.Point("attach.cleaned")
		c.StatusWord(c.Row).Store(layout.RowAttaching)
	}
	crash.Point("attach.state")
	incarnation := c.Ctl.U32(at + layout.RowIncarnation).Add(1)
	c.ownerWord = uint64(incarnation)<<32 | layout.RowActive
	crash.Point("attach.incarnation")
	c.Cleaned()
	c.Locks.Mark = segment.LockMark(c.Row, incarnation)
	c.WriteIdentity(c.Row, layout.RoleConsumer, uint8(o.Delivery), o.Name)
	c.ownName = c.RowName(c.Row)
	crash.Point("attach.named")
	c.Ctl[at+layout.RowMaxPins] = uint8(o.MaxPins)
	crash.Point("attach.pins")
	if !returning { // a returning consumer is durable, and its row stays durable at every moment
		c.Ctl[at+layout.RowDurable] = 0
	}
	if o.Durable {
		c.Ctl[at+layout.RowDurable] = 1
	}
	crash.Point("attach.identity")
	c.MaskSet(c.Active, c.Row)
	crash.Point("attach.bit")
}

// secureSpare ensures that all hazard pointers together leave the producer a slot. A consumer sets
// its own bit before it counts the others. Of two that attach at once, at least one therefore sees
// the other. If both do, both try again.
func (c *Consumer) secureSpare() error {
	deadline := time.Now().Add(segment.SparePatience)
	for {
		pins := uint32(0)
		c.ForMask(c.Active, func(row uint32) {
			pins += min(uint32(c.Ctl[c.Header.RowOffset(row)+layout.RowMaxPins]), layout.MaxPins)
		})
		if pins < c.SpareSlots {
			return nil
		}
		for row := uint32(1); row <= c.ConsumerLimit; row++ {
			if row != c.Row && c.MaskHas(c.Active, row) && segment.Probe(c.ProbeLocks, row) == segment.OwnerDead {
				c.CleanRow(c.ProbeLocks, row, c.Expired)
			}
		}
		if time.Now().After(deadline) {
			return status.Errorf(status.NoSpare, "block %q: the consumers would pin up to %d slots, its %d spare "+
				"slots allow %d: use a lower max_pins, or create it with more spare_slots",
				c.BlockName(), pins, c.SpareSlots, c.SpareSlots-1)
		}
		c.MaskClear(c.Active, c.Row) // let the other consumer attach
		platform.Nap(time.Duration(rand.IntN(int(segment.SparePatience / 10))))
		c.MaskSet(c.Active, c.Row)
	}
}

// join chooses the message at which the consumer begins.
func (c *Consumer) join(start segment.Start) {
	switch {
	case c.delivery == segment.Lossless && start == segment.StartOldest:
		c.next = c.OldestPresent()
		c.joinAt()
	case c.delivery == segment.Lossless:
		c.joinLatest()
	default:
		c.next = c.Segment.End()
		if start == segment.StartOldest {
			c.next = c.OldestPresent()
		} else if c.delivery == segment.Latest && c.next > 0 && !layout.EntryEmpty(c.Entry(c.next-1).Load()) {
			c.next-- // the newest message present counts as unread
		}
		c.cursorPtr.Store(c.next)
	}
}

// joinLatest sets the bit first, with a cursor that holds every message back. Only then does it
// look for the next message. An earlier answer, or the answer of commit alone, could be older than
// what the producer has already decided to overwrite.
func (c *Consumer) joinLatest() {
	c.cursorPtr.Store(0)
	crash.Point("join.cursor")
	c.MaskSet(c.Lossless, c.Row)
	crash.Point("join.bit")
	c.next = c.Segment.End()
	c.advance(c.next)
}

// joinAt joins at c.next. The producer may already have passed its backpressure check for messages
// that overwrite c.next, the oldest message or a later one. Until the producer acknowledges the new
// epoch, the cursor does not bind it. In this time the producer may also reclaim messages, in the
// order of their ids, but only one of them after the epoch has changed: see Producer.reclaim.
func (c *Consumer) joinAt() {
	c.cursorPtr.Store(c.next)
	crash.Point("join.cursor")
	c.MaskSet(c.Lossless, c.Row)
	crash.Point("join.bit")
	c.mayJump = true
	c.joining = c.JoinEpoch.Add(1)
	crash.Point("join.announced")
	*c.Ctl.Plain64(c.Header.RowOffset(c.Row) + layout.RowJoin) = c.joining
	crash.Point("join.epoch")
}

// resume continues where the durable consumer of this name stopped. A LOSSLESS durable consumer has
// kept its hold on the producer all the time.
func (c *Consumer) resume() {
	c.next = c.cursorPtr.Load()
	if c.delivery != segment.Lossless {
		return
	}
	// The consumer died before the producer had seen its cursor.
	unbound := *c.Ctl.Plain64(c.Header.RowOffset(c.Row) + layout.RowJoin) != 0
	if !unbound && c.MaskHas(c.Lossless, c.Row) {
		// An earlier return may have died between the bit, which was lost, and the announcement.
		c.JoinEpoch.Add(1)
		crash.Point("join.announced")
		return
	}
	if unbound {
		c.next = c.OldestFrom(c.next, c.Segment.End())
	}
	// The cursor is never behind what was released: after a death here the consumer returns to the
	// same cursor.
	c.joinAt()
	c.mayJump = unbound // a consumer that lost its hold gets OVERRUN for what is gone: see keepsPlace
}
