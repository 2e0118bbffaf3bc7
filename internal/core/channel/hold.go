package channel

import (
	"datablock/internal/core/segment"
	"datablock/internal/core/status"
	"datablock/internal/crash"
	"datablock/internal/layout"
)

// hold stores a hazard pointer for the slot that v names. The consumer loaded the entry v after
// scan. hold reports false when the slot may already be free for the producer.
//
// The exchange is sequentially consistent. It pairs with the producer's hazard-pointer scan: a scan
// that begins after the exchange sees the hazard pointer. hold reports true in two cases. If the
// entry is unchanged, the slot is not retired. If no scan has begun since before v was loaded, no
// scan that serves the slot's retirement has begun before the exchange.
func (c *Consumer) hold(scan, v, id uint64) (*hold, bool) {
	k := c.freeHold()
	slot := layout.EntrySlot(v)
	c.pins[k].Swap(uint64(slot) + 1)
	crash.Point("read.pinned")
	same := c.Entry(id).Load()&^layout.EntryFence == v&^layout.EntryFence
	if !same && c.ScanEpoch.Load() != scan {
		c.unpin(k)
		return nil, false
	}
	h := &c.holds[k]
	*h = hold{pinned: true, id: id, slot: slot}
	return h, true
}

// freeHold returns a free hold. The caller's mayHold has ensured that there is one.
func (c *Consumer) freeHold() int {
	for k := range c.holds {
		if c.holds[k].used == unused {
			return k
		}
	}
	panic("no free hold")
}

// unpin clears a hazard pointer and wakes a producer that waits for any slot. The exchange is
// sequentially consistent. It pairs with the producer's store of producer_waiting, after which the
// producer looks again.
func (c *Consumer) unpin(k int) {
	c.pins[k].Swap(0)
	crash.Point("release.unpinned")
	if c.ProducerWaiting.Load() == layout.WaitAny {
		c.WakeProducer()
	}
}

// advance moves the cursor and wakes a producer that waits for one of the ids that the cursor
// crosses. Memory orders as in unpin.
func (c *Consumer) advance(to uint64) {
	from := c.cursorPtr.Swap(to)
	crash.Point("release.advanced")
	c.wakeAwaited(from, to)
}

// wakeAwaited wakes a producer that waits for a cursor between from and to.
func (c *Consumer) wakeAwaited(from, to uint64) {
	if awaited := c.awaited.Load(); awaited != 0 && (awaited == layout.WaitAny || from < awaited && awaited <= to) {
		c.WakeProducer()
	}
}

// deliver hands a held message out. If the header is not what was published, deliver ends the hold
// with an error.
func (c *Consumer) deliver(h *hold, out *ReadSlot) error {
	if h.slot >= c.Slots() {
		return c.noSuchSlot(h)
	}
	header := c.SlotWords(h.slot)
	id, length := header[layout.SlotID/8], header[layout.SlotLength/8]
	if id != h.id || length > c.SlotBytes {
		return c.notThatMessage(h, id, length)
	}
	if c.Checksum == segment.ChecksumEnforced && !c.Intact(h.slot, id, length) {
		c.endHold(h)
		if !c.ownsRow() { // without a row nothing keeps the producer from reusing the slot
			return c.fenced()
		}
		*c.hot.checksums++
		return c.notIntact(id, length)
	}
	c.count(length)
	*out = slotOf(header, h.id, length, h.slot, 0)
	c.begin(h, header, out)
	return nil
}

func (c *Consumer) noSuchSlot(h *hold) error {
	id, slot := h.id, h.slot
	c.endHold(h)
	if !c.ownsRow() {
		return c.fenced()
	}
	return status.Errorf(status.Corrupt, "block %q: the ring says that message %d is in slot %d, and the last one is "+
		"%d: the data file is damaged; %s", c.BlockName(), id, slot, c.Slots()-1, segment.AdviseValidate(c.BlockName()))
}

func (c *Consumer) notThatMessage(h *hold, id, length uint64) error {
	c.endHold(h)
	if !c.ownsRow() {
		return c.fenced()
	}
	return status.Errorf(status.Corrupt, "block %q: the header of slot %d says message %d with %d bytes, the ring "+
		"says message %d: the data file is damaged; %s", c.BlockName(), h.slot, id, length, h.id,
		segment.AdviseValidate(c.BlockName()))
}

// begin records the hold, so that Release finds it.
func (c *Consumer) begin(h *hold, header *segment.SlotWords, out *ReadSlot) {
	h.used = used
	h.claim = header[layout.SlotClaim/8]
	c.nextHold++
	h.token = uint32(c.nextHold)
	out.setToken(h.token)
	c.held++
}

func (c *Consumer) count(length uint64) {
	*c.hot.read++
	*c.hot.bytes += length
}

// endHold clears the hazard pointer. If the row belongs to another consumer by now, its hazard
// pointers stay untouched.
func (c *Consumer) endHold(h *hold) {
	if h.pinned {
		c.endPin(h)
	}
	h.used = unused
}

func (c *Consumer) endPin(h *hold) {
	if c.ownsRow() {
		c.unpin(c.numberOf(h))
	}
	h.pinned = false
}

// numberOf returns the number of a hold that has a hazard pointer, which is also the number of that
// hazard pointer.
func (c *Consumer) numberOf(h *hold) int {
	for k := range c.holds {
		if &c.holds[k] == h {
			return k
		}
	}
	panic("a pinned hold that is none of the consumer's")
}

// Release ends a hold. LOSSLESS messages end in the order in which they were read. Errors: Invalid;
// Overrun, Fenced: the slot was used again during the hold, discard what was computed from it (the
// hold has ended).
func (c *Consumer) Release(s ReadSlot) error { return c.ReleaseHold(s.id, s.Index(), s.Token()) }

// ReleaseHold is Release of the message with that id, in the slot with that index, by the hold with
// that token.
func (c *Consumer) ReleaseHold(id uint64, index, token uint32) error {
	s := c.ConsumerState
	h := &s.holds[0]
	if !c.plain || s.held != 1 || h.used != used || h.pinned || !h.inOrder || h.token != token || h.id != id ||
		h.slot != index || c.ownerWordPtr.Load() != s.ownerWord {
		return c.releaseSlowly(id, index, token)
	}
	header := c.slotsPtr.At(h.slot)
	if header[layout.SlotID/8] != h.id || header[layout.SlotClaim/8] != h.claim {
		return c.finish(h)
	}
	h.used = unused // the usual case of finish
	s.held = 0
	to := s.next
	from := c.cursorPtr.Swap(to) // memory orders as in advance
	crash.Point("release.advanced")
	if c.awaited.Load() != 0 {
		c.wakeAwaited(from, to)
	}
	c.invariant()
	return nil
}

func (c *Consumer) releaseSlowly(id uint64, index, token uint32) error {
	h := c.find(id, index, token)
	if h == nil {
		return c.notHeld(id)
	}
	if c.delivery == segment.Lossless && c.held > 1 && h.inOrder && h.id != c.firstInOrder() {
		return status.Errorf(status.Invalid, "block %q: a LOSSLESS consumer ends its messages in order: end message "+
			"%d before %d",
			c.BlockName(), c.firstInOrder(), h.id)
	}
	return c.finish(h)
}

// ReleaseCopied is ReleaseHold of a message that was copied, in any order. The cursor moves as far
// as earlier holds allow. Errors: as Release.
func (c *Consumer) ReleaseCopied(id uint64, index, token uint32) error {
	h := c.find(id, index, token)
	if h == nil {
		return c.notHeld(id)
	}
	return c.finish(h)
}

// GiveBack ends the hold of the last taken message as if the message had not been taken. The next
// read finds the message again, or returns what has become of it. Length and missed are the values
// of the message.
// Errors: Invalid (not held), Fenced.
func (c *Consumer) GiveBack(id uint64, index, token uint32, length, missed uint64) error {
	h := c.find(id, index, token)
	if h == nil {
		return c.notHeld(id)
	}
	from := c.fromOf(h)
	c.endHold(h)
	c.held--
	c.next = id
	switch {
	case c.delivery == segment.Ordered:
		c.skipped, c.gapStart = missed, from // a gap after this message is counted again
		if missed != 0 {
			c.setAllApart()
		}
	case c.delivery == segment.Latest:
		c.next -= missed
	}
	if !c.ownsRow() {
		return c.fenced()
	}
	*c.hot.read--
	*c.hot.bytes -= length
	*c.hot.missed -= missed
	if c.delivery == segment.Latest { // with other deliveries the cursor moves when a hold ends
		c.stepOver()
	}
	c.invariant()
	return nil
}

// Undo is GiveBack of a message that was handed out. The message may be one of a batch that the
// hold of an earlier message covers. That hold then stays, without this message.
// Errors: Invalid (not held, read by its id, or not the message that was taken last), Fenced.
func (c *Consumer) Undo(id uint64, index, token uint32, length, missed uint64) error {
	h := c.find(id, index, token)
	var over *hold
	if h == nil {
		over = c.coveredByBatch(id, index, token)
	}
	switch {
	case h == nil && over == nil:
		return c.notHeld(id)
	case !c.tookLast(id) || h != nil && c.wasReadByID(h):
		return status.Errorf(status.Invalid, "block %q: message %d is not the one that was taken last in order, the "+
			"next one is %d: undo a later one first, and end one that was read by its id", c.BlockName(), id, c.next)
	case h != nil:
		return c.GiveBack(id, index, token, length, missed)
	case !c.ownsRow():
		return c.fenced()
	}
	c.next = id
	over.more = uint32(id - over.id - 1) // the hold no longer covers the message
	*c.hot.read--
	*c.hot.bytes -= length
	c.invariant()
	return nil
}

// tookLast reports whether a message was taken last: the next one, or a gap that an undone message
// has reported, follows.
func (c *Consumer) tookLast(id uint64) bool {
	return c.next == id+1 || c.delivery == segment.Ordered && c.skipped != 0 && c.gapStart == id+1
}

// wasReadByID reports whether the hold is of a message that was read by its id. Holds of LATEST are
// never in order: there it is APART.
func (c *Consumer) wasReadByID(h *hold) bool {
	return !h.inOrder && (c.delivery != segment.Latest || h.used == apart)
}

func (c *Consumer) notHeld(id uint64) error {
	return status.Errorf(status.Invalid, "block %q: message %d is not held: it was ended already, or never begun by "+
		"this consumer",
		c.BlockName(), id)
}

// finish ends a hold. The cursor moves when no earlier hold is left, whatever the order.
func (c *Consumer) finish(h *hold) error {
	reused := c.reused(h)
	c.endHold(h)
	c.held--
	mine := c.ownsRow()
	switch {
	case !mine || !h.inOrder:
	case c.delivery == segment.Lossless:
		c.advance(c.due())
	default:
		c.moveCursor(c.due())
	}
	c.invariant()
	if !mine || reused {
		return c.invalidatedHoldError(h, mine)
	}
	return nil
}

// reused reports whether the slot of a hold has another message by now.
func (c *Consumer) reused(h *hold) bool {
	header := c.SlotWords(h.slot)
	return header[layout.SlotID/8] != h.id || header[layout.SlotClaim/8] != h.claim
}

// invalidatedHoldError returns the error of a hold that has ended and did not protect its message
// until then.
func (c *Consumer) invalidatedHoldError(h *hold, mine bool) error {
	if !mine {
		return c.fenced()
	}
	*c.hot.overruns++
	return status.Errorf(status.Overrun, "block %q: slot %d was used again while message %d was held in it: discard "+
		"what was read",
		c.BlockName(), h.slot, h.id)
}

func (c *Consumer) find(id uint64, index, token uint32) *hold {
	for k := range c.holds[:c.maxPins] {
		if h := &c.holds[k]; h.used != unused && h.token == token && h.id == id && h.slot == index {
			return h
		}
	}
	return nil
}

// due returns where the row's cursor belongs: at the first message that is held in order, or at the
// next message if none is. While a message that reports a gap is unreleased, the cursor belongs in
// front of that gap.
func (c *Consumer) due() uint64 {
	next := c.next
	if c.skipped != 0 {
		next = c.gapStart
	}
	if c.held == 0 {
		return next
	}
	return min(c.firstInOrder(), next)
}

// firstInOrder returns the smallest id that is held in order, or that was skipped before such a
// message.
func (c *Consumer) firstInOrder() uint64 {
	first := ^uint64(0)
	for k := range c.holds[:c.maxPins] {
		if h := &c.holds[k]; h.used != unused && h.inOrder {
			first = min(first, c.fromOf(h))
		}
	}
	return first
}
