package channel

import (
	"fmt"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

const (
	// How long a producer under backpressure sleeps at most before it looks again: at first; later;
	// and while it polls the leases of all consumers that hold it up. The leases say whether their
	// owners live. Nothing else has to be watched, and only the producer's own call touches the
	// mapping.
	promptSlice  = 5 * time.Millisecond
	patientSlice = 20 * time.Millisecond
	watchedSlice = time.Duration(layout.SleepSliceNs)
	promptFor    = 20 // sleeps
	// Below this timeout a claim, perhaps repeated, does not search the processes.
	heirFrom = 200 * time.Millisecond

	lateFrom = 30 // sleeps, the first second: then a dead consumer is found later, and the wait costs less

	// Leases that the producer polls each time, so that many stuck rows cost no more.
	probesASlice = 32
	sweepEvery   = uint64(layout.SweepNs)

	suspicious         = layout.SuspiciousScans
	spinTries          = layout.SpinTries
	bigSlot            = layout.BigSlot
	clockCheckInterval = layout.ClockCheckInterval // the updater of the coarse clock may not get a processor
	lineEntries        = layout.LineEntries
	reclaimMost        = layout.ReclaimMost // messages, so that no claim takes long
)

// gate is the backpressure check: it reports whether the next message may be published. Only here
// can a consumer hold the producer up.
func (p *Producer) gate() bool {
	id, n := p.next, uint64(p.SlotCount)
	if p.MinConsumers > 0 && id >= n {
		p.sweepAttached()
		if p.Attached() < p.MinConsumers {
			return false
		}
	}
	epoch := p.JoinEpoch.Load() // pairs with joinAt, which sets cursor and bit before the epoch moves
	if p.scanned && epoch == p.acked && id-p.minCursor < n && p.Block.Flags&stateReclaim == 0 {
		return true
	}
	p.rescan()
	if epoch != p.acked || p.JoinAck.Load() != epoch {
		crash.Point("gate.rescanned")
		p.JoinAck.Store(epoch) // last: a consumer that loads the acknowledgement relies on having been seen
		crash.Point("gate.acknowledged")
		p.acked = epoch
	}
	return id-p.minCursor < n
}

// rescan computes the low watermark: the smallest LOSSLESS cursor. Consumers write the cursors, so
// rescan clamps each cursor to the possible range.
func (p *Producer) rescan() {
	p.minCursor, p.released = p.next, 0
	p.ForLossless(func(row uint32) {
		p.minCursor = min(p.minCursor, p.clamped(p.Cursor(row).Load()))
		p.released = p.minCursor
	})
	p.fastPathEnd = 0 // a consumer that has joined may be further back than the earlier ones
	p.scanned = true
}

// clamped bounds a cursor to [next - N, next].
func (p *Producer) clamped(cursor uint64) uint64 {
	behind := int64(p.next - cursor)
	switch {
	case behind < 0:
		return p.next
	case behind > int64(min(uint64(p.SlotCount), p.next)):
		return p.next - min(uint64(p.SlotCount), p.next)
	}
	return cursor
}

// findRoom waits until the backpressure check passes and a slot is free.
func (p *Producer) findRoom(timeout time.Duration) error {
	if p.next >= p.nextClockCheck {
		p.nextClockCheck = p.next + clockCheckInterval
		if !p.clock.Fresh() {
			if err := p.housekeep(p.clock.Refresh()); err != nil {
				return err
			}
		}
	}
	if !p.room() {
		if err := p.waitForRoom(timeout); err != nil {
			return err
		}
	}
	if p.slowPathPending {
		p.slowPathPending = false
		if p.pinnedScans > 0 {
			p.sweep()
		}
	}
	return nil
}

// fastPathLimit returns the fast-path limit: claims below this id need no check, given what
// findRoom and lookAt have found.
func (p *Producer) fastPathLimit() uint64 {
	if p.Block.Flags&stateRoom != 0 {
		return 0
	}
	return min(p.next+uint64(p.freeCount), p.minCursor+uint64(p.SlotCount), p.nextClockCheck)
}

// reclaim retires the slots of messages that every LOSSLESS consumer has released, in the order of
// their ids. It stops at the newest message, and at an entry that another process has changed: the
// messages that were reclaimed are always the oldest ones.
//
// The swap is sequentially consistent, and pairs with hazard pointers as a publication does. A
// consumer that joins at latest begins at p.next of the last rescan or later. A consumer that joins
// at oldest announces itself in join_epoch before its first read. Each swap comes after a load of
// join_epoch. Therefore at most one swap comes after the announcement, and it takes the oldest
// message: one that the consumer has not reached, or the first one that it reads. In the first case
// the start of the consumer moves.
func (p *Producer) reclaim() {
	id, end := max(p.reclaimed, p.OldestPossible(p.next)), min(p.released, p.next-min(p.next, 1))
	for range reclaimMost {
		if id >= end || p.joinsPtr.Load() != p.acked {
			break
		}
		at := p.RingIndex(id)
		known, entry := p.expected[at], layout.Entry(id, layout.SlotReclaimed)
		slot := layout.EntrySlot(known)
		if slot < p.Slots() && known&layout.EntryFence == 0 && p.Entries[at].CompareAndSwap(known, entry) {
			crash.Point("claim.reclaimed")
			p.expected[at] = entry
			p.retire(slot)
		} else if slot < p.Slots() { // otherwise it was reclaimed already, by an earlier producer
			break
		}
		id++
	}
	p.reclaimed = id
}

// hasSlot reports whether a slot is free. If the free list is empty, it scans the retire list
// first.
func (p *Producer) hasSlot() bool {
	if p.freeCount == 0 || p.eager() {
		before := p.freeCount
		p.refill()
		p.own(p.free[before:p.freeCount])
	}
	return p.freeCount != 0
}

// eager reports whether retired slots are freed at once. For big slots the producer then reuses few
// slots, which stay in the cache, instead of cycling through all spare slots.
func (p *Producer) eager() bool { return p.SlotBytes >= bigSlot && p.retireCount != 0 }

// giveBack returns the taken slot to the free list.
func (p *Producer) giveBack() {
	p.free[p.freeCount] = p.slot
	p.freeCount++
}

func (p *Producer) retire(slot uint32) {
	p.retired[p.retireCount] = slot
	p.retireCount++
}

// own makes this core the owner of the first lines of free slots, which readers have as well. It
// takes all of them at once: each message alone would wait for its own lines. Of very many it takes
// those that are used first.
func (p *Producer) own(free []uint32) {
	for _, slot := range slices.Backward(free[max(0, len(free)-layout.OwnMost):]) {
		platform.OwnForWrite(&p.slotsPtr.At(slot)[0], 2)
		crash.Point("claim.owned")
	}
}

// refill frees every retired slot that no hazard pointer names. The slot that was retired first is
// used first. The scan begins after the last retirement that it serves. scan_epoch shows consumers
// that a scan has begun (see Consumer.hold).
func (p *Producer) refill() {
	p.ScanEpoch.Add(1)
	*p.Data.Plain64(layout.MetricScans)++
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

// findPins collects the slots that hazard pointers of attached consumers name, also as bits in
// p.pinned.
func (p *Producer) findPins() (found []uint32) {
	found = p.pins[:0]
	for w, rows := range p.Block.RowMask {
		if rows == 0 {
			break
		}
		for set := p.Active[w].Load() & rows; set != 0; set &= set - 1 {
			held := p.RowPins(uint32(64*w + bits.TrailingZeros64(set)))
			any := uint64(0)
			for k := range held {
				any |= held[k].Load()
			}
			if any == 0 {
				// The usual case: a hazard pointer that is stored now names a slot that is still in
				// the ring.
				continue
			}
			for k := range held {
				// Sequentially consistent. Pairs with the exchange in Consumer.hold.
				if v := held[k].Load(); v != 0 && v <= uint64(p.Slots()) {
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

// sweep searches for dead consumers outside a wait, so rarely that it costs nothing.
func (p *Producer) sweep() (cleaned int) {
	now := platform.Monotonic()
	if now-p.swept < sweepEvery {
		return 0
	}
	p.swept = now
	return p.releaseDead(uint32(now / sweepEvery))
}

// The reasons for which a claim has to wait.
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

// sweepAttached ensures that a dead consumer is counted as attached for at most sweepEvery.
func (p *Producer) sweepAttached() {
	now := platform.Monotonic()
	if now-p.counted < sweepEvery {
		return
	}
	p.counted = now
	p.ForAttached(func(row uint32) {
		if segment.Probe(p.ProbeLocks, row) == segment.OwnerDead && p.CleanRow(p.ProbeLocks, row, p.Expired) {
			*p.Data.Plain64(layout.MetricCleaned)++
		}
	})
}

// waitForRoom waits until the backpressure check passes and a slot is free. Meanwhile it cleans the
// rows of dead consumers, without help from outside.
func (p *Producer) waitForRoom(timeout time.Duration) error {
	if err := p.terminalError(); err != nil {
		return err
	}
	if timeout == 0 {
		return p.lookForRoom()
	}
	return segment.Inside(p.outside, func(s *segment.Sleep) error { return p.awaitRoom(timeout, s) })
}

// waitsOn reports whether this claim continues the wait of an earlier claim that timed out, as of a
// caller that waits in slices. It does not when there was room in between: a claim has ended, or
// none of the rows that held the producer up still does.
func (p *Producer) waitsOn() bool {
	return p.blockedClaimID == p.next+1 && p.blockedEnds == p.endedClaims() && p.blockedBy.hasOneOf(p.holding())
}

// endedClaims counts the claims that ended without a message.
func (p *Producer) endedClaims() uint64 {
	return *p.Data.Plain64(layout.MetricAborted) + *p.Data.Plain64(layout.MetricFenced)
}

// rowSet has a bit for each row.
type rowSet [layout.MaskWords]uint64

func setOf(rows []uint32) (s rowSet) {
	for _, row := range rows {
		s[row/64] |= 1 << (row % 64)
	}
	return s
}

func (s *rowSet) hasOneOf(rows []uint32) bool {
	return slices.ContainsFunc(rows, func(row uint32) bool { return s[row/64]>>(row%64)&1 != 0 })
}

// room reports whether the next message may be published and a slot is free.
func (p *Producer) room() bool {
	if !p.isCurrent() || !p.gate() {
		return false
	}
	if p.Block.Flags&stateReclaim != 0 {
		p.reclaim()
	}
	return p.hasSlot()
}

// lookForRoom is waitForRoom for a claim that does not wait. Dead consumers must not hold up a
// polling producer for good either.
func (p *Producer) lookForRoom() error {
	if !p.clock.Fresh() {
		if err := p.housekeep(p.clock.Refresh()); err != nil {
			return err
		}
	}
	if p.sweep() > 0 && p.room() {
		return nil
	}
	return p.timedOut(0)
}

// awaitRoom is one step of a wait. It returns nil when there is room, an error when there never
// will be, or ErrSleep.
func (p *Producer) awaitRoom(timeout time.Duration, s *segment.Sleep) (err error) {
	if !s.Begun && !p.waitsOn() {
		p.blockedClaimID, p.blockedSince, p.sleeps = p.next+1, platform.Monotonic(), 0
		p.blockedEnds, p.blockedBy = p.endedClaims(), setOf(p.holding())
		for range spinTries {
			if p.room() {
				return nil
			}
		}
	}
	if s.Begin() {
		if !s.Part.Later {
			*p.Data.Plain64(layout.MetricWaits)++
		}
		*p.Data.Plain64(layout.WaitSince) = p.blockedSince // before ProducerWaiting, which says that WaitSince counts
	} else {
		p.sleeps++
	}
	defer func() {
		if err != segment.ErrSleep {
			p.endWait(s)
		}
		if err == nil {
			p.blockedClaimID = 0 // the next wait is a new one, also for the same message after an abort
		}
	}()
	for ; ; p.sleeps++ {
		if err := p.terminalError(); err != nil {
			return err
		}
		if now := platform.Monotonic(); int64(now-p.nameChecked) > nameCheckEvery {
			p.nameChecked = now
			if err := p.checkFiles(); err != nil {
				return err
			}
		}
		wake := p.CtlWake.Load()
		p.ProducerWaiting.Store(p.awaited()) // sequentially consistent, pairs with Consumer.advance and unpin
		crash.Point("sleep.producer")
		if p.room() {
			return nil
		}
		if p.releaseDead(p.sleeps*probesASlice) > 0 {
			continue
		}
		watched, slice := p.watched()
		if timeout > 0 {
			left := timeout - s.Waited()
			if left <= 0 {
				return p.timedOut(timeout)
			}
			slice = min(slice, left)
		}
		*p.Data.Plain64(layout.Heartbeat) = platform.Monotonic()
		s.Late = p.sleeps >= lateFrom
		return s.OnHeld(p.CtlWake, wake, slice, p.ProbeLocks, watched)
	}
}

// endWait ends a wait that has begun, whatever its result.
func (p *Producer) endWait(s *segment.Sleep) {
	s.Begun = false
	p.ProducerWaiting.Store(0)
	*p.Data.Plain64(layout.MetricWaitNs) += uint64(s.Waited())
}

// ClaimInSteps is Claim for a caller that sleeps itself: see Sleep.
func (p *Producer) ClaimInSteps(timeout time.Duration, s *segment.Sleep) (WriteSlot, error) {
	p.outside = s
	defer func() { p.outside = nil }()
	slot, err := p.Claim(timeout)
	if s.Begun && err != segment.ErrSleep { // the call found room, or an error, before the first sleep
		p.endWait(s)
	}
	return slot, err
}

// watched returns what the producer polls during a sleep, and how long it may sleep. If few
// consumers hold the producer up, it polls the leases of all of them.
func (p *Producer) watched() (bytes []int64, slice time.Duration) {
	if p.sleeps < promptFor {
		return nil, promptSlice
	}
	holding := p.holding()
	if len(holding) > probesASlice {
		return nil, patientSlice
	}
	for _, row := range holding {
		// A dead durable consumer holds the producer up until it returns or its place is given up.
		if !p.DurableRow(row) || segment.Probe(p.ProbeLocks, row) != segment.OwnerDead {
			bytes = append(bytes, segment.RowByte(row))
		}
	}
	return bytes, watchedSlice
}

// terminalError returns the reason why no further message can be written, nil if one can.
func (p *Producer) terminalError() error {
	if atomic.LoadUint32(&p.interrupted) != 0 {
		return status.Errorf(status.Closed, "block %q: the producer was closed while it waited", p.BlockName())
	}
	if p.Ending() || !p.isCurrent() {
		return p.superseded()
	}
	return nil
}

// checkFiles checks that the block still has its name and its memory, and this producer its lease.
func (p *Producer) checkFiles() error {
	if p.LostName() {
		return p.superseded()
	}
	if err := p.Truncated(); err != nil {
		return err
	}
	if p.epochPtr.Load() != p.epoch {
		return p.superseded()
	}
	if p.lost == nil {
		p.lost = p.KeepsLock()
	}
	if p.lost != nil {
		p.fastPathEnd, p.slowPathPending = 0, true // every claim calls checkFiles from now on
	}
	return p.lost
}

// awaited returns the smallest cursor that lets the producer publish the next message, or WaitAny
// when the producer does not wait for a cursor.
func (p *Producer) awaited() uint64 {
	if n := uint64(p.SlotCount); p.next-p.minCursor >= n {
		return p.next - n + 1
	}
	return layout.WaitAny
}

// releaseDead cleans the rows of dead consumers that hold the producer up. Each call probes a part
// of them. It returns the number of cleaned rows.
func (p *Producer) releaseDead(first uint32) (cleaned int) {
	holding := p.holding()
	for i := range min(len(holding), probesASlice) {
		row := holding[(int(first)+i)%len(holding)]
		if segment.Probe(p.ProbeLocks, row) == segment.OwnerDead && p.CleanRow(p.ProbeLocks, row, p.Expired) {
			*p.Data.Plain64(layout.MetricCleaned)++
			cleaned++
		}
	}
	return cleaned
}

// holding returns the rows that hold the producer up: LOSSLESS rows with a low cursor. If there is
// none, it returns every row that may have a hazard pointer.
func (p *Producer) holding() (rows []uint32) {
	n := uint64(p.SlotCount)
	if p.next-p.minCursor < n {
		p.ForMask(p.Active, func(row uint32) { rows = append(rows, row) })
		return rows
	}
	p.ForLossless(func(row uint32) {
		if p.next-p.clamped(p.Cursor(row).Load()) >= n {
			rows = append(rows, row)
		}
	})
	return rows
}

func (p *Producer) timedOut(timeout time.Duration) error {
	if !segment.WaitPartOf(p.outside).More {
		*p.Data.Plain64(layout.MetricTimeouts)++
	}
	why := noSlot
	if n := uint64(p.SlotCount); p.MinConsumers > 0 && p.next >= n && p.Attached() < p.MinConsumers {
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
		detail = fmt.Sprintf("%d consumers are attached and min_consumers is %d", p.Attached(), p.MinConsumers)
	case held:
		detail += p.slowest(timeout)
	}
	return status.Errorf(status.Timeout, "block %q: message %d could not be claimed within %v: %s", p.BlockName(),
		p.next, timeout, detail)
}

// slowest describes the LOSSLESS consumer that is furthest behind.
func (p *Producer) slowest(timeout time.Duration) (who string) {
	least := p.next
	var slowest uint32
	p.ForLossless(func(row uint32) {
		if cursor := p.clamped(p.Cursor(row).Load()); cursor < least {
			least, slowest = cursor, row
			who = fmt.Sprintf(": row %d, %q, %s, at message %d", row, p.RowName(row), p.DescribeOwner(row), cursor)
			if segment.Probe(p.ProbeLocks, row) == segment.OwnerDead && p.DurableRow(row) {
				who += ", dead and durable: start it again under that name, or remove its row"
			}
		}
	})
	if slowest != 0 && timeout >= heirFrom {
		if heir := p.LockHeir(slowest); heir != "" && segment.Probe(p.ProbeLocks, slowest) == segment.OwnerAlive {
			who += "; " + heir
		}
	}
	return who
}
