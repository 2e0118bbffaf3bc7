package core

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

const (
	attachPatience = 2 * time.Second       // for cleaners that work on the wanted row
	sparePatience  = 50 * time.Millisecond // for other consumers that attach at the same moment

	// How long a consumer that waits for its block pauses between two attempts: at first, and
	// later.
	firstLook = time.Millisecond
	rareLook  = 16 * time.Millisecond
)

// OpenConsumer attaches to an existing block. It blocks for system calls only, unless it is to wait
// for the block. One goroutine at a time uses the consumer.
// Errors: Invalid, Timeout (no such block within the time), NotFound, Access, Secret, Corrupt,
// Version, Schema, Full, NoSpare, Busy (the durable name is in use), Superseded, System.
func OpenConsumer(name string, o ConsumerOptions) (*Consumer, error) {
	o, err := o.resolved()
	if err != nil {
		return nil, err
	}
	l, err := locate(name, o.Directory)
	if err != nil {
		return nil, err
	}
	c, err := attachNamed(l, o)
	switch {
	case !errors.Is(err, errAbsent):
		return c, err
	case o.Wait == 0:
		return nil, l.sought(err)
	}
	return waitForBlock(l, o)
}

func attachNamed(l location, o ConsumerOptions) (*Consumer, error) {
	return retryMoved(l, func() (*Consumer, error) { return attach(l, o) })
}

// waitForBlock attaches as soon as the block is there. The kernel wakes no process when another
// process creates a file, so the consumer polls.
func waitForBlock(l location, o ConsumerOptions) (*Consumer, error) {
	start, pause := platform.Monotonic(), firstLook
	for {
		if o.Wait != Forever {
			left := o.Wait - time.Duration(platform.Monotonic()-start)
			if left <= 0 {
				return nil, fail(Timeout, "no block %q in %s within %v: check the name and the directory, and "+
					"whether its producer has been started", l.name, l.directory, o.Wait)
			}
			pause = min(pause, left)
		}
		platform.Nap(pause)
		if c, err := attachNamed(l, o); !errors.Is(err, errAbsent) {
			return c, err
		}
		pause = min(2*pause, rareLook)
	}
}

func attach(l location, o ConsumerOptions) (*Consumer, error) {
	b, err := openBlock(l, consume)
	if err != nil {
		return nil, err
	}
	a := &attachment{block: b}
	attached := false
	defer func() {
		if !attached { // an error, or a fault in a file that is truncated meanwhile
			a.leave()
		}
	}()
	if err := b.checkSecret(o.Secret); err != nil {
		return nil, err
	}
	if err := b.checkSchemas(o); err != nil {
		return nil, err
	}
	if o.Delivery, err = b.delivery(o.Delivery); err != nil {
		return nil, err
	}
	locks, err := newAttachment(b)
	if err != nil {
		return nil, err
	}
	a.own, a.ask = locks.own, locks.ask
	if b.ending() {
		if replacing, err := a.ask.Held(layout.LockReplace, 1); err != nil || replacing || b.lostName() {
			platform.Nap(time.Millisecond)
			return nil, errMoved
		}
		return nil, fail(Superseded, "block %q was being replaced when its producer died: the next producer to open "+
			"it finishes that", b.name())
	}

	returning, err := a.findRow(o)
	if err != nil {
		return nil, err
	}
	crash.Point("attach.locked")
	c := newConsumer(a, o)
	c.resumed = returning
	c.occupy(o, returning)
	if err := c.secureSpare(); err != nil {
		if returning {
			c.restRow(c.row)
		} else {
			c.clearRow(c.row)
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
	b.status(a.row).Store(layout.RowActive)
	if o.Durable {
		_ = a.own.Unlock(nameLock(o.Name))
	}
	crash.Point("attach.active")
	if b.producerWaiting.Load() != 0 {
		b.wakeProducer() // it may be waiting for min_consumers
	}
	attached = true
	return c, nil
}

// delivery resolves the default and refuses what the block forbids.
func (b *block) delivery(d Delivery) (Delivery, error) {
	allowed := b.flags&AllowLossless != 0
	switch {
	case d == DeliveryDefault && b.policy == Ring && allowed:
		return Lossless, nil
	case d == DeliveryDefault && b.policy == Ring:
		return Ordered, nil
	case d == DeliveryDefault:
		return Latest, nil
	case d == Lossless && !allowed:
		how := "with ALLOW_LOSSLESS"
		if b.policy == Ring {
			how = "without FORBID_LOSSLESS"
		}
		return d, fail(Invalid, "block %q does not allow LOSSLESS consumers, who could hold its producer up: use "+
			"ORDERED or LATEST, or create it %s", b.name(), how)
	}
	return d, nil
}

func nameLock(name string) int64 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return layout.LockNames + int64(h.Sum32()%layout.LockNameMod)
}

// findRow takes the lease of a row: the row of the returning durable consumer with this name, or a
// free row.
func (a *attachment) findRow(o ConsumerOptions) (returning bool, err error) {
	deadline := time.Now().Add(attachPatience)
	for ; ; platform.Nap(time.Millisecond) {
		again := false
		if o.Durable {
			returning, again, err = a.lockDurable(o)
			if returning || err != nil {
				return returning, err
			}
		}
		if !again {
			var locked bool
			if locked, again, err = a.lockFree(false); !locked && err == nil {
				var more bool
				locked, more, err = a.lockFree(true)
				again = again || more
			}
			if locked || err != nil {
				return false, err
			}
		}
		if !again {
			return false, a.full()
		}
		if time.Now().After(deadline) {
			return false, fail(Busy, "block %q: its rows are being attached or cleaned without end: try again",
				a.name())
		}
	}
}

// full is the error of a block without a free row. It names the consumers, and what can be done.
func (a *attachment) full() error {
	const shown = 5
	var holders []string
	rows, dead := map[string]int{}, 0
	for row := uint32(1); row <= a.consumerLimit; row++ {
		if a.durableRow(row) && probe(a.ask, row) == nobody {
			dead++
			continue
		}
		holder := fmt.Sprintf("%s %q", a.who(row), a.rowName(row))
		if rows[holder]++; rows[holder] == 1 {
			holders = append(holders, holder)
		}
	}
	for i, holder := range holders {
		if rows[holder] > 1 {
			holders[i] = fmt.Sprintf("%s (%d rows)", holder, rows[holder])
		}
	}
	who, advice := inShort(holders, shown, len(holders)), "close some consumers"
	if dead > 0 {
		who += fmt.Sprintf("; %d rows are of dead durable consumers", dead)
		advice += ", give up the places of the dead ones (datablock-admin cleanup-heartbeats --timeout 0s)"
	}
	if a.consumerLimit < layout.MaxConsumers {
		advice += ", or create the block with a higher consumer_limit"
	} else {
		advice += fmt.Sprintf("; a block has at most %d, so that more readers need a second block", layout.MaxConsumers)
	}
	return fail(Full, "block %q: all %d consumer rows are taken, by %s: %s", a.name(), a.consumerLimit,
		strings.TrimPrefix(who, "; "), advice)
}

// lockDurable looks for the row of a durable name. It locks the byte of the name until the row is
// complete, so that a name never has two rows. again: another process has the byte, or changed the
// row meanwhile.
func (a *attachment) lockDurable(o ConsumerOptions) (found, again bool, err error) {
	if ok, err := a.own.TryLock(nameLock(o.Name)); err != nil || !ok {
		return false, true, err
	}
	for row := uint32(1); row <= a.consumerLimit; row++ {
		if !a.durableRow(row) || a.rowName(row) != o.Name {
			continue
		}
		locked, err := a.lockConsumerRow(row)
		switch {
		case err != nil:
			return false, false, err
		case !locked && probe(a.ask, row) != somebody:
			return false, true, nil
		case !locked:
			if heir := a.heir(row); heir != "" {
				return false, false, fail(Busy, "block %q: the durable consumer %q: %s", a.name(), o.Name, heir)
			}
			return false, false, fail(Busy, "block %q: the durable consumer %q is attached already (%s): one at a time",
				a.name(), o.Name, a.who(row))
		case !a.durableRow(row) || a.rowName(row) != o.Name: // the place expired meanwhile
			a.unlockConsumerRow()
			return false, true, nil
		}
		if was := Delivery(a.ctl[a.header.row(row)+layout.RowDelivery]); was != o.Delivery {
			return false, false,
				fail(Invalid, "block %q: the durable consumer %q has %v delivery, asked for %v: keep it, or use "+
					"another name", a.name(), o.Name, was, o.Delivery)
		}
		return true, false, nil
	}
	return false, false, nil
}

// lockFree takes the first free row. again: a row is only being cleaned. expired: lockFree also
// takes durable rows whose retention is over.
func (a *attachment) lockFree(expired bool) (locked, again bool, err error) {
	for row := uint32(1); row <= a.consumerLimit; row++ {
		if a.durableRow(row) && !(expired && a.cleanRow(a.ask, row, a.expired) && !a.durableRow(row)) {
			continue // the row waits for its owner
		}
		locked, err := a.lockConsumerRow(row)
		if err != nil {
			return false, false, err
		}
		if !locked {
			again = again || probe(a.ask, row) != somebody
			continue
		}
		if a.durableRow(row) { // another consumer took the row and left it in between
			a.unlockConsumerRow()
			continue
		}
		return true, false, nil
	}
	return false, again, nil
}

func newConsumer(a *attachment, o ConsumerOptions) *Consumer {
	c := &Consumer{
		ConsumerState: &ConsumerState{
			Block: stateOf(a.block), rowAt: addressOf(a.ctl[a.header.row(a.row):]), rowNumber: a.row,
			deliveryNumber: uint32(o.Delivery), maxPins: o.MaxPins, producerThere: true,
		},
		attachment: a, delivery: o.Delivery, durable: o.Durable,
	}
	c.nextHold = firstHold(opened.Add(1))
	c.moment.Begin()
	c.slotsAt, c.ring, c.awaited = a.slotArray(), &a.entries[0], a.producerWaiting
	c.idle = fail(Timeout, "block %q: nothing new to read, and the call was asked not to wait", a.name())
	c.orphaned = fail(NoProducer, "block %q: nothing new to read, and nobody has the block open for writing", a.name())
	at := a.header.row(a.row)
	c.pins = a.rowPins(a.row)
	c.cursorAt, c.mineAt = a.cursor(a.row), a.ctl.u64(at+layout.RowStatus)
	for word, offset := range map[**uint64]uint64{
		&c.hot.heartbeat: layout.RowHeartbeat, &c.cursor64: layout.RowCursor, &c.hot.read: layout.RowRead,
		&c.hot.missed: layout.RowMissed, &c.hot.bytes: layout.RowBytes,
		&c.hot.waits: layout.RowWaits, &c.hot.waitNs: layout.RowWaitNs, &c.hot.timeouts: layout.RowTimeouts,
		&c.hot.lost: layout.RowLost, &c.hot.overruns: layout.RowOverruns,
		&c.hot.checksums: layout.RowChecksums,
	} {
		*word = a.ctl.plain64(at + offset)
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
func (c *Consumer) occupy(o ConsumerOptions, returning bool) {
	at := c.header.row(c.row)
	if returning {
		// As if the row had been put to rest: no process evicts a row that is not ACTIVE.
		c.status(c.row).Store(layout.RowDead)
		crash.Point("attach.returning")
		c.clearPins(c.row)
		crash.Point("attach.unpinned")
		c.abandonLocks(lockMark(c.row, c.incarnationOf(c.row)))
	} else {
		c.clearRow(c.row)
		crash.Point("attach.cleaned")
		c.status(c.row).Store(layout.RowAttaching)
	}
	crash.Point("attach.state")
	incarnation := c.ctl.u32(at + layout.RowIncarnation).Add(1)
	c.mine = uint64(incarnation)<<32 | layout.RowActive
	crash.Point("attach.incarnation")
	c.cleaned()
	c.locks.mark = lockMark(c.row, incarnation)
	c.writeIdentity(c.row, layout.RoleConsumer, uint8(o.Delivery), o.Name)
	c.ownName = c.rowName(c.row)
	crash.Point("attach.named")
	c.ctl[at+layout.RowMaxPins] = uint8(o.MaxPins)
	crash.Point("attach.pins")
	if !returning { // a returning consumer is durable, and its row stays durable at every moment
		c.ctl[at+layout.RowDurable] = 0
	}
	if o.Durable {
		c.ctl[at+layout.RowDurable] = 1
	}
	crash.Point("attach.identity")
	c.maskSet(c.active, c.row)
	crash.Point("attach.bit")
}

// secureSpare ensures that all hazard pointers together leave the producer a slot. A consumer sets
// its own bit before it counts the others. Of two that attach at once, at least one therefore sees
// the other. If both do, both try again.
func (c *Consumer) secureSpare() error {
	deadline := time.Now().Add(sparePatience)
	for {
		pins := uint32(0)
		c.forMask(c.active, func(row uint32) {
			pins += min(uint32(c.ctl[c.header.row(row)+layout.RowMaxPins]), layout.MaxPins)
		})
		if pins < c.spareSlots {
			return nil
		}
		for row := uint32(1); row <= c.consumerLimit; row++ {
			if row != c.row && c.maskHas(c.active, row) && probe(c.ask, row) == nobody {
				c.cleanRow(c.ask, row, c.expired)
			}
		}
		if time.Now().After(deadline) {
			return fail(NoSpare, "block %q: the consumers would pin up to %d slots, its %d spare slots allow %d: use "+
				"a lower max_pins, or create it with more spare_slots",
				c.name(), pins, c.spareSlots, c.spareSlots-1)
		}
		c.maskClear(c.active, c.row) // let the other consumer attach
		platform.Nap(time.Duration(rand.IntN(int(sparePatience / 10))))
		c.maskSet(c.active, c.row)
	}
}

// join chooses the message at which the consumer begins.
func (c *Consumer) join(start Start) {
	switch {
	case c.delivery == Lossless && start == StartOldest:
		c.next = c.oldest(c.block.next())
		c.joinAt()
	case c.delivery == Lossless:
		c.joinLatest()
	default:
		c.next = c.block.next()
		if start == StartOldest {
			c.next = c.oldest(c.next)
		} else if c.delivery == Latest && c.next > 0 && !layout.EntryEmpty(c.entry(c.next-1).Load()) {
			c.next-- // the newest message present counts as unread
		}
		c.cursorAt.Store(c.next)
	}
}

// joinLatest sets the bit first, with a cursor that holds every message back. Only then does it
// look for the next message. An earlier answer, or the answer of commit alone, could be older than
// what the producer has already decided to overwrite.
func (c *Consumer) joinLatest() {
	c.cursorAt.Store(0)
	crash.Point("join.cursor")
	c.maskSet(c.lossless, c.row)
	crash.Point("join.bit")
	c.next = c.block.next()
	c.advance(c.next)
}

// joinAt joins at c.next. The producer may already have passed its backpressure check for messages
// that overwrite c.next, the oldest message or a later one. Until the producer acknowledges the new
// epoch, the cursor does not bind it.
func (c *Consumer) joinAt() {
	c.cursorAt.Store(c.next)
	crash.Point("join.cursor")
	c.maskSet(c.lossless, c.row)
	crash.Point("join.bit")
	c.mayJump = true
	c.joining = c.joinEpoch.Add(1)
	crash.Point("join.announced")
	*c.ctl.plain64(c.header.row(c.row) + layout.RowJoin) = c.joining
	crash.Point("join.epoch")
}

// resume continues where the durable consumer of this name stopped. A LOSSLESS durable consumer has
// kept its hold on the producer all the time.
func (c *Consumer) resume() {
	c.next = c.cursorAt.Load()
	if c.delivery != Lossless {
		return
	}
	// The consumer died before the producer had seen its cursor.
	unbound := *c.ctl.plain64(c.header.row(c.row) + layout.RowJoin) != 0
	if !unbound && c.maskHas(c.lossless, c.row) {
		// An earlier return may have died between the bit, which was lost, and the announcement.
		c.joinEpoch.Add(1)
		crash.Point("join.announced")
		return
	}
	if unbound {
		c.next = max(c.next, c.oldest(c.block.next()))
	}
	// The cursor is never behind what was released: after a death here the consumer returns to the
	// same cursor.
	c.joinAt()
	c.mayJump = unbound // a consumer that lost its hold gets OVERRUN for what is gone: see keepsPlace
}
