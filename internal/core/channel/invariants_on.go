//go:build invariants

package channel

import (
	"fmt"

	"datablock/internal/core/segment"

	"datablock/internal/layout"
)

const invariantsOn = true

// The `invariants` build checks the whole block after every step of a participant. It panics if
// something is not as docs/protocol.md says. The cost grows with the length of the block. The check
// leaves out what other processes may be changing at that moment, so that it holds with any number
// of processes.

func ensure(what bool, format string, args ...any) {
	if !what {
		panic("invariant: " + fmt.Sprintf(format, args...))
	}
}

// invariant checks what the producer alone decides: every slot is in one place, and every place in
// the ring holds the message that belongs there.
func (p *Producer) invariant() {
	if p.Data == nil || p.Ending() || p.Data.U64(layout.Epoch).Load() != p.epoch {
		return
	}
	where := make([]string, p.Slots())
	put := func(slot uint32, place string) {
		ensure(slot < p.Slots(), "%s names slot %d of %d", place, slot, p.Slots())
		ensure(where[slot] == "", "slot %d is in two places: %s, %s", slot, where[slot], place)
		where[slot] = place
	}
	for _, slot := range p.free[:p.freeCount] {
		put(slot, "the free list")
	}
	for _, slot := range p.retired[:p.retireCount] {
		put(slot, "the retired list")
	}
	if p.claimed {
		put(p.slot, "the claim")
	}
	for i := range uint64(p.SlotCount) {
		p.checkEntry(i, put)
	}
	for slot, place := range where {
		ensure(place != "", "slot %d is nowhere", slot)
	}
	open := *p.Data.Plain64(layout.ClaimID)
	ensure(p.claimed == (open == p.next+1) && (p.claimed || open == 0),
		"the claim is open: %v, and the mark says %d of message %d", p.claimed, open, p.next)
	ensure(p.Hint() <= p.next, "commit is %d, and the next message %d", p.Hint(), p.next)
	ensure(!p.scanned || p.minCursor <= p.next && p.next-p.minCursor <= uint64(p.SlotCount),
		"the least cursor is %d, the next message %d", p.minCursor, p.next)
}

// checkEntry checks one place in the ring. The newest message that belongs there is there, unless
// nothing was ever written to the place.
func (p *Producer) checkEntry(at uint64, put func(uint32, string)) {
	v := p.Entries[at].Load()
	if layout.EntryEmpty(v) {
		ensure(p.next <= at, "entry %d is empty, and the next message is %d", at, p.next)
		return
	}
	id, n := layout.EntryID(v, p.next), uint64(p.SlotCount)
	ensure(id < p.next && p.next-id <= n && id%n == at, "entry %d holds message %d, the next one is %d", at, id, p.next)
	if p.IsReclaimed(v) {
		ensure(id+1 < p.next, "the newest message, %d, was reclaimed", id)
		return
	}
	slot := layout.EntrySlot(v)
	put(slot, fmt.Sprintf("entry %d", at))
	header := p.SlotHeader(slot)
	ensure(*p.Data.Plain64(header + layout.SlotID) == id, "slot %d says message %d, entry %d says %d", slot,
		*p.Data.Plain64(header + layout.SlotID), at, id)
	ensure(*p.Data.Plain64(header + layout.SlotLength) <= p.SlotBytes, "message %d is %d bytes long", id,
		*p.Data.Plain64(header + layout.SlotLength))
	ensure(*p.Data.Plain64(header + layout.SlotClaim)&layout.ClaimOpen == 0, "message %d is in the ring and claimed",
		id)
}

// invariant checks the consumer's row against what it holds.
func (c *Consumer) invariant() {
	if c.Data == nil || !c.ownsRow() {
		return
	}
	ensure(c.ringIndex == c.RingIndex(c.ringNext), "the place of message %d is not %d", c.ringNext, c.ringIndex)
	held := uint32(0)
	for k := range c.holds {
		h, pin := &c.holds[k], c.pins[k].Load()
		want := uint64(0)
		if h.used != unused && h.pinned {
			want = uint64(h.slot) + 1
		}
		ensure(pin == want, "pin %d is %d, and should be %d", k, pin, want)
		if h.used != unused {
			held++
			ensure(h.id < c.next || !h.inOrder, "message %d is held in order, and the next one is %d", h.id, c.next)
		}
	}
	ensure(held == c.held && held <= c.maxPins, "%d are held, %d are counted, %d may be", held, c.held, c.maxPins)
	if c.delivery == segment.Lossless {
		ensure(c.cursorPtr.Load() == c.due(), "the cursor is %d, the first message held %d, the next one %d",
			c.cursorPtr.Load(), c.firstInOrder(), c.next)
	}
}
