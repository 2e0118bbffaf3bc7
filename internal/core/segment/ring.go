package segment

import (
	"math/bits"
	"sync/atomic"

	"datablock/internal/layout"
)

// Inverse returns 2^64 / n, rounded down; for a power of two, one less.
func Inverse(n uint64) uint64 { return ^uint64(0) / n }

// Entry returns the ring entry that message id has, had or will have.
func (b *Segment) Entry(id uint64) *atomic.Uint64 { return &b.Entries[b.RingIndex(id)] }

// RingIndex returns id % len(entries). A multiplication by the inverse is at most one lap short,
// and cheaper than a division.
func (b *Segment) RingIndex(id uint64) uint32 {
	n := uint64(len(b.Entries))
	laps, _ := bits.Mul64(id, b.Inverse)
	at := id - laps*n
	if at >= n {
		at -= n
	}
	return uint32(at)
}

// Hint returns the hint: one past an id that was published, not always the newest.
// Pairs with the store in Producer.Commit. Nothing relies on the hint without a confirmation by the
// entries.
func (b *Segment) Hint() uint64 { return atomic.LoadUint64(b.CommitHint) }

// End returns one past the newest message: the hint, corrected by the entries, which alone decide.
func (b *Segment) End() uint64 {
	next := b.Hint()
	for range b.SlotCount + 1 { // more iterations are useless: a reader falls only so far behind a living producer
		e := b.Entry(next).Load()
		if layout.EntryEmpty(e) {
			break
		}
		id := layout.EntryID(e, next)
		if id < next || id == ^uint64(0) {
			break
		}
		next = id + 1
	}
	return next
}

// OldestPossible returns the smallest id that may be present when next is the next message.
func (b *Segment) OldestPossible(next uint64) uint64 {
	if n := uint64(b.SlotCount); next > n {
		return next - n
	}
	return 0
}

// IsReclaimed reports whether an entry is that of a message whose slot the producer has reclaimed.
func (b *Segment) IsReclaimed(e uint64) bool {
	return layout.EntrySlot(e) == layout.SlotReclaimed && b.Reclaims()
}

// OldestFrom returns the smallest id from `from` on that is present when next is the next message,
// or next. Reclaimed messages are not present.
func (b *Segment) OldestFrom(from, next uint64) uint64 {
	id := max(from, b.OldestPossible(next))
	if b.Reclaims() {
		for id < next {
			e := b.Entry(id).Load()
			if !b.IsReclaimed(e) || layout.EntryAhead(e, id) != 0 {
				break
			}
			id++
		}
	}
	return id
}

// OldestPresent returns the smallest id that is present, or that of the next message.
func (b *Segment) OldestPresent() uint64 { return b.OldestFrom(0, b.End()) }

// EntryMarks are the bits of an entry that recovery may set while the message stays.
const EntryMarks = layout.EntryFence | layout.EntryLost

// HoldsSlot reports whether a row has a hazard pointer on the slot, or is LOSSLESS and at the
// message in it.
func (b *Segment) HoldsSlot(row, slot uint32) bool {
	if b.MaskHas(b.Active, row) {
		for k := range uint64(layout.MaxPins) {
			if b.Pin(row, k).Load() == uint64(slot)+1 {
				return true
			}
		}
	}
	cursor := b.Cursor(row).Load()
	e := b.Entry(cursor).Load()
	return b.MaskHas(b.Lossless, row) && layout.EntrySlot(e) == slot && layout.EntryID(e, cursor) == cursor
}

func (b *Segment) InRing(slot uint32) bool {
	for i := range b.Entries {
		if layout.EntrySlot(b.Entries[i].Load()) == slot {
			return true
		}
	}
	return false
}
