package segment

import (
	"math/bits"
	"sync/atomic"

	"datablock/internal/layout"
)

// The masks say which rows the producer has to look at. Bits change only by atomic or/and, so that
// no process needs a lock for them.

// MaskSet is sequentially consistent: a joining consumer's later loads of the entries come after it
// (pairs with the producer's mask loads).
func (b *Segment) MaskSet(mask []atomic.Uint64, row uint32) { mask[row/64].Or(1 << (row % 64)) }

func (b *Segment) MaskClear(mask []atomic.Uint64, row uint32) {
	mask[row/64].And(^(uint64(1) << (row % 64)))
}

func (b *Segment) MaskHas(mask []atomic.Uint64, row uint32) bool {
	return mask[row/64].Load()&(1<<(row%64)) != 0
}

// ValidRows returns the part of mask word w that stands for consumer rows. Other bits in it are
// noise.
func (b *Segment) ValidRows(w uint32) uint64 {
	valid := ^uint64(0)
	if last := b.ConsumerLimit; last < 64*w {
		return 0
	} else if last < 64*w+63 {
		valid = 1<<(last-64*w+1) - 1
	}
	if w == 0 {
		valid &^= 1 << layout.ProducerRow
	}
	return valid
}

// Attached counts the rows that a producer with min_consumers waits for. A consumer that is still
// attaching has nothing yet that keeps a message for it, and does not count. A dead durable
// consumer counts.
func (b *Segment) Attached() (n uint32) {
	b.ForAttached(func(row uint32) {
		if status := b.RowStatus(row); status == layout.RowActive || status == layout.RowDead {
			n++
		}
	})
	return n
}

// ForAttached calls f for every row in one of the masks.
func (b *Segment) ForAttached(f func(row uint32)) {
	for w := range uint32(layout.MaskWords) {
		eachRow(w, (b.Active[w].Load()|b.Lossless[w].Load())&b.ValidRows(w), f)
	}
}

// ForLossless calls f for every row whose cursor holds the producer up. On a block that forbids
// LOSSLESS no row does, whatever the mask says: any consumer may write the mask.
func (b *Segment) ForLossless(f func(row uint32)) {
	if b.Flags&AllowLossless != 0 {
		b.ForMask(b.Lossless, f)
	}
}

// Pin returns one hazard pointer of a row.
func (b *Segment) Pin(row uint32, k uint64) *atomic.Uint64 { return &b.RowPins(row)[k] }

func (b *Segment) Cursor(row uint32) *atomic.Uint64 {
	return b.Ctl.U64(b.Header.RowOffset(row) + layout.RowCursor)
}

// ForMask calls f for every consumer row in the mask. Each word is loaded once (sequentially
// consistent).
func (b *Segment) ForMask(mask []atomic.Uint64, f func(row uint32)) {
	for w := range b.ConsumerLimit/64 + 1 { // no further bit stands for a row
		eachRow(w, mask[w].Load()&b.ValidRows(w), f)
	}
}

func eachRow(w uint32, set uint64, f func(row uint32)) {
	for ; set != 0; set &= set - 1 {
		f(64*w + uint32(bits.TrailingZeros64(set)))
	}
}
