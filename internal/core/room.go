package core

import (
	"fmt"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

const (
	// How long a held-up producer sleeps at most before it looks around: at first; later; and while the locks of all who hold it up are looked at in its sleep. Those say whether their owners live: nothing else has to
	// be watched, and nobody but the producer's own call touches the mapping on its behalf.
	promptSlice  = 5 * time.Millisecond
	patientSlice = 20 * time.Millisecond
	watchedSlice = 100 * time.Millisecond
	promptFor    = 20                     // sleeps
	heirFrom     = 200 * time.Millisecond // a claim that waits for less, perhaps again and again, does not look through the processes

	lateFrom = 30 // sleeps, the first second: from then on a dead consumer is found later, and the wait costs less

	probesASlice = 32                            // rows it asks about each time, so that many stuck rows cost no more
	sweepEvery   = 10 * uint64(time.Millisecond) // how often one that does not sleep does
	suspicious   = 8                             // scans in a row that find a retired slot pinned, before a dead reader is looked for
	spinTries    = 100

	bigSlot = 64 << 10 // from so many bytes on, a scan of the pins costs nothing beside the message

	trust = 4096 // messages, or polls that find nothing, for which a participant does not ask the clock itself whether its moment is kept up: whoever does that may not be let run

	ahead       = 3 // how many messages ahead a slot is prepared
	lineEntries = 8 // those of a cache line
)

// gate reports whether the next message may be published. It is the one place where a reader can hold the producer up.
func (p *Producer) gate() bool {
	id, n := p.next, uint64(p.slotCount)
	if p.minConsumers > 0 && id >= n {
		p.sweepAttached()
		if p.attached() < p.minConsumers {
			return false
		}
	}
	epoch := p.joinEpoch.Load() // pairs with joinAt: cursor and bit are set before the epoch moves
	if p.scanned && epoch == p.acked && id-p.minCursor < n {
		return true
	}
	p.rescan()
	if epoch != p.acked || p.joinAck.Load() != epoch {
		crash.Point("gate.rescanned")
		p.joinAck.Store(epoch) // only now: whoever reads it relies on having been seen
		crash.Point("gate.acknowledged")
		p.acked = epoch
	}
	return id-p.minCursor < n
}

// rescan finds the least LOSSLESS cursor. Cursors are written by others: each is clamped to what it can be.
func (p *Producer) rescan() {
	p.minCursor = p.next
	p.forLossless(func(row uint32) {
		p.minCursor = min(p.minCursor, p.clamped(p.cursor(row).Load()))
	})
	p.until = 0 // a reader that has joined may be further back than those before
	p.scanned = true
}

// clamped bounds a cursor to [next - N, next].
func (p *Producer) clamped(cursor uint64) uint64 {
	behind := int64(p.next - cursor)
	switch {
	case behind < 0:
		return p.next
	case behind > int64(min(uint64(p.slotCount), p.next)):
		return p.next - min(uint64(p.slotCount), p.next)
	}
	return cursor
}

// findRoom opens the gate and sees to a free slot.
func (p *Producer) findRoom(timeout time.Duration) error {
	if p.next >= p.overdue {
		p.overdue = p.next + trust
		if !p.moment.KeptUp() {
			if err := p.lookAround(p.moment.Renew()); err != nil {
				return err
			}
		}
	}
	if !p.gate() || !p.hasSlot() {
		if err := p.waitForRoom(timeout); err != nil {
			return err
		}
	}
	if p.attend {
		p.attend = false
		if p.pinnedScans > 0 {
			p.sweep()
		}
	}
	return nil
}

// foresee is the id up to which claims have nothing to look at, after what findRoom and lookAt have seen.
func (p *Producer) foresee() uint64 {
	if p.Block.Flags&stateRoom != 0 {
		return 0
	}
	return min(p.next+uint64(p.freeCount), p.minCursor+uint64(p.slotCount), p.overdue)
}

// hasSlot reports whether a slot is free, if need be after a look at the retired ones.
func (p *Producer) hasSlot() bool {
	if p.freeCount == 0 || p.eager() {
		p.refill()
	}
	return p.freeCount != 0
}

// eager reports whether retired slots are to be freed at once: of big ones a few are used again and again, which the cache then holds, instead of all spare ones by turns.
func (p *Producer) eager() bool { return p.slotSize >= bigSlot && p.retireCount != 0 }

// giveBack puts the slot that was taken back where it came from.
func (p *Producer) giveBack() {
	p.free[p.freeCount] = p.slot
	p.freeCount++
}

func (p *Producer) retire(slot uint32) {
	p.retired[p.retireCount] = slot
	p.retireCount++
}

// refill frees every retired slot that no pin names, the one that was retired first to be used first. The scan begins after the last retirement it serves; scan_epoch tells readers that one has begun (see Consumer.hold).
func (p *Producer) refill() {
	p.scanEpoch.Add(1)
	*p.data.plain64(layout.MetricScans)++
	crash.Point("claim.scan")
	pins := p.findPins()
	retired := p.retired[:p.retireCount]
	if len(pins) == 0 {
		freed := p.free[p.freeCount:][:len(retired)]
		for i := range freed { // the free list is a stack
			freed[len(freed)-1-i] = retired[i]
		}
		p.freeCount += p.retireCount
		p.retireCount, p.pinnedScans = 0, 0
		return
	}
	for _, slot := range slices.Backward(retired) {
		if !p.isPinned(slot) {
			p.free[p.freeCount] = slot
			p.freeCount++
		}
	}
	kept := uint32(0)
	for _, slot := range retired {
		if p.isPinned(slot) {
			p.retired[kept] = slot
			kept++
		}
	}
	for _, slot := range pins {
		p.pinned[slot/64] = 0
	}
	p.retireCount = kept
	if p.pinnedScans++; kept == 0 {
		p.pinnedScans = 0
	} else if p.pinnedScans%suspicious == 0 {
		p.sweep()
	}
}

// findPins collects the slots that attached readers pin, also as bits in p.pinned.
func (p *Producer) findPins() (found []uint32) {
	found = p.pins[:0]
	for w, rows := range p.Block.RowMask {
		if rows == 0 {
			break
		}
		for set := p.active[w].Load() & rows; set != 0; set &= set - 1 {
			held := p.rowPins(uint32(64*w + bits.TrailingZeros64(set)))
			any := uint64(0)
			for k := range held {
				any |= held[k].Load()
			}
			if any == 0 {
				continue // most often; a pin that comes now is of a message that is still in the ring
			}
			for k := range held {
				// Sequentially consistent, pairs with the exchange in Consumer.hold.
				if v := held[k].Load(); v != 0 && v <= uint64(p.slots()) {
					slot := uint32(v) - 1
					p.pinned[slot/64] |= 1 << (slot % 64)
					found = append(found, slot)
				}
			}
		}
	}
	return found
}

func (p *Producer) isPinned(slot uint32) bool { return p.pinned[slot/64]&(1<<(slot%64)) != 0 }

// sweep looks for dead readers outside a wait, seldom enough to cost nothing.
func (p *Producer) sweep() (cleaned int) {
	now := platform.Monotonic()
	if now-p.swept < sweepEvery {
		return 0
	}
	p.swept = now
	return p.releaseDead(uint32(now / sweepEvery))
}

// Why a claim has to wait.
const (
	noSlot = iota
	tooFew
	held
)

var whyNot = [...]string{
	noSlot: "every spare slot is held by a reader",
	tooFew: "fewer consumers than min_consumers are attached",
	held:   "a LOSSLESS consumer has not read the message that would be overwritten",
}

// sweepAttached keeps dead consumers from being counted as attached for longer than sweepEvery.
func (p *Producer) sweepAttached() {
	now := platform.Monotonic()
	if now-p.counted < sweepEvery {
		return
	}
	p.counted = now
	p.forAttached(func(row uint32) {
		if probe(p.ask, row) == nobody && p.cleanRow(p.ask, row, p.expired) {
			*p.data.plain64(layout.MetricCleaned)++
		}
	})
}

// waitForRoom waits until the gate is open and a slot is free. It releases the dead meanwhile, without help from outside.
func (p *Producer) waitForRoom(timeout time.Duration) error {
	if err := p.over(); err != nil {
		return err
	}
	if timeout == 0 {
		return p.lookForRoom()
	}
	return inside(p.outside, func(s *Sleep) error { return p.awaitRoom(timeout, s) })
}

func (p *Producer) room() bool { return p.gate() && p.hasSlot() }

// lookForRoom is for a claim that does not wait. A producer that only polls must not be held up by the dead for ever either.
func (p *Producer) lookForRoom() error {
	if !p.moment.KeptUp() {
		if err := p.lookAround(p.moment.Renew()); err != nil {
			return err
		}
	}
	if p.sweep() > 0 && p.room() {
		return nil
	}
	return p.timedOut(0)
}

// awaitRoom is a step of a wait: it returns when there is room, when there never will be, or with ErrSleep.
func (p *Producer) awaitRoom(timeout time.Duration, s *Sleep) (err error) {
	if !s.begun && p.heldAt != p.next+1 { // held up anew, and not by a caller that waits in slices
		p.heldAt, p.heldSince, p.sleeps = p.next+1, platform.Monotonic(), 0
		for range spinTries {
			if p.room() {
				return nil
			}
		}
	}
	if s.begin() {
		*p.data.plain64(layout.MetricWaits)++
		*p.data.plain64(layout.WaitSince) = p.heldSince // before ProducerWaiting, which says that it counts
	} else {
		p.sleeps++
	}
	defer func() {
		if err != ErrSleep {
			p.endWait(s)
		}
		if err == nil {
			p.heldAt = 0 // the next wait is another one, also that for this message after an abort
		}
	}()
	for ; ; p.sleeps++ {
		if err := p.over(); err != nil {
			return err
		}
		if now := platform.Monotonic(); int64(now-p.nameChecked) > nameCheckEvery {
			p.nameChecked = now
			if err := p.checkFiles(); err != nil {
				return err
			}
		}
		wake := p.ctlWake.Load()
		p.producerWaiting.Store(p.awaited()) // sequentially consistent, pairs with Consumer.advance and unpin
		crash.Point("sleep.producer")
		if p.room() {
			return nil
		}
		if p.releaseDead(p.sleeps*probesASlice) > 0 {
			continue
		}
		watched, slice := p.watched()
		if timeout > 0 {
			left := timeout - s.waited()
			if left <= 0 {
				return p.timedOut(timeout)
			}
			slice = min(slice, left)
		}
		*p.data.plain64(layout.Heartbeat) = platform.Monotonic()
		s.Late = p.sleeps >= lateFrom
		return s.onHeld(p.ctlWake, wake, slice, p.ask, watched)
	}
}

// endWait ends a wait that has begun, whatever it came to.
func (p *Producer) endWait(s *Sleep) {
	s.begun = false
	p.producerWaiting.Store(0)
	*p.data.plain64(layout.MetricWaitNs) += uint64(s.waited())
}

// ClaimInSteps is Claim whose caller sleeps: see Sleep.
func (p *Producer) ClaimInSteps(timeout time.Duration, s *Sleep) (WriteSlot, error) {
	p.outside = s
	defer func() { p.outside = nil }()
	slot, err := p.Claim(timeout)
	if s.begun && err != ErrSleep { // room was found, or an error, before it came to the wait
		p.endWait(s)
	}
	return slot, err
}

// watched is what a sleep of the producer looks at: the locks of all who hold it up, if they are few; and how long it may sleep.
func (p *Producer) watched() (bytes []int64, slice time.Duration) {
	if p.sleeps < promptFor {
		return nil, promptSlice
	}
	holding := p.holding()
	if len(holding) > probesASlice {
		return nil, patientSlice
	}
	for _, row := range holding {
		if !p.durableRow(row) || probe(p.ask, row) != nobody { // a dead durable consumer holds it up until it comes back or is given up
			bytes = append(bytes, rowByte(row))
		}
	}
	return bytes, watchedSlice
}

// over reports why no further message can be written, nil if one can.
func (p *Producer) over() error {
	if atomic.LoadUint32(&p.interrupted) != 0 {
		return fail(Closed, "block %q: the producer was closed while it waited", p.name())
	}
	if p.ending() {
		return p.superseded()
	}
	return nil
}

// checkFiles looks whether the block still has its name and its memory, and this producer its lock.
func (p *Producer) checkFiles() error {
	if p.lostName() {
		return p.superseded()
	}
	if err := p.truncated(); err != nil {
		return err
	}
	if p.epochAt.Load() != p.epoch {
		return p.superseded()
	}
	if p.lost == nil {
		p.lost = p.keepsLock()
	}
	if p.lost != nil {
		p.until, p.attend = 0, true // every claim comes here
	}
	return p.lost
}

// awaited is the least cursor that lets the next message in, or WaitAny when cursors are not what holds it up.
func (p *Producer) awaited() uint64 {
	if n := uint64(p.slotCount); p.next-p.minCursor >= n {
		return p.next - n + 1
	}
	return layout.WaitAny
}

// releaseDead cleans the rows of dead consumers that hold the producer up, probing a part of them each time. It returns how many it cleaned.
func (p *Producer) releaseDead(first uint32) (cleaned int) {
	holding := p.holding()
	for i := range min(len(holding), probesASlice) {
		row := holding[(int(first)+i)%len(holding)]
		if probe(p.ask, row) == nobody && p.cleanRow(p.ask, row, p.expired) {
			*p.data.plain64(layout.MetricCleaned)++
			cleaned++
		}
	}
	return cleaned
}

// holding is the rows that hold the producer up: LOSSLESS ones with a low cursor, or, if there is none, whoever may pin.
func (p *Producer) holding() (rows []uint32) {
	n := uint64(p.slotCount)
	if p.next-p.minCursor < n {
		p.forMask(p.active, func(row uint32) { rows = append(rows, row) })
		return rows
	}
	p.forLossless(func(row uint32) {
		if p.next-p.clamped(p.cursor(row).Load()) >= n {
			rows = append(rows, row)
		}
	})
	return rows
}

// expired reports whether a dead durable consumer's retention time is over.
func (b *block) expired(died uint64) bool {
	return b.retention > 0 && since(died, platform.Realtime()) > time.Duration(b.retention)*time.Millisecond
}

func (p *Producer) timedOut(timeout time.Duration) error {
	*p.data.plain64(layout.MetricTimeouts)++
	why := noSlot
	if n := uint64(p.slotCount); p.minConsumers > 0 && p.next >= n && p.attached() < p.minConsumers {
		why = tooFew
	} else if p.next-p.minCursor >= n {
		why = held
	}
	if timeout == 0 {
		return p.refusals[why]
	}
	detail := whyNot[why]
	switch why {
	case tooFew:
		detail = fmt.Sprintf("%d consumers are attached and min_consumers is %d", p.attached(), p.minConsumers)
	case held:
		detail += p.slowest(timeout)
	}
	return fail(Timeout, "block %q: message %d could not be claimed within %v: %s", p.name(), p.next, timeout, detail)
}

// slowest says which LOSSLESS consumer is furthest behind.
func (p *Producer) slowest(timeout time.Duration) (who string) {
	least := p.next
	var slowest uint32
	p.forLossless(func(row uint32) {
		if cursor := p.clamped(p.cursor(row).Load()); cursor < least {
			least, slowest = cursor, row
			who = fmt.Sprintf(": row %d, %q, %s, at message %d", row, p.rowName(row), p.who(row), cursor)
			if probe(p.ask, row) == nobody && p.durableRow(row) {
				who += ", dead and durable: start it again under that name, or remove its row"
			}
		}
	})
	if slowest != 0 && timeout >= heirFrom {
		if heir := p.heir(slowest); heir != "" && probe(p.ask, slowest) == somebody {
			who += "; " + heir
		}
	}
	return who
}
