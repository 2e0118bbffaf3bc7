package core

import (
	"math/bits"
	"sync/atomic"

	"datablock/internal/layout"
)

// The masks say which rows the producer has to look at. Bits change only by atomic or/and, so that
// no process needs a lock for them.

// maskSet is sequentially consistent: a joining consumer's later loads of the entries come after it
// (pairs with the producer's mask loads).
func (b *block) maskSet(mask []atomic.Uint64, row uint32) { mask[row/64].Or(1 << (row % 64)) }

func (b *block) maskClear(mask []atomic.Uint64, row uint32) {
	mask[row/64].And(^(uint64(1) << (row % 64)))
}

func (b *block) maskHas(mask []atomic.Uint64, row uint32) bool {
	return mask[row/64].Load()&(1<<(row%64)) != 0
}

// validRows returns the part of mask word w that stands for consumer rows. Other bits in it are
// noise.
func (b *block) validRows(w uint32) uint64 {
	valid := ^uint64(0)
	if last := b.consumerLimit; last < 64*w {
		return 0
	} else if last < 64*w+63 {
		valid = 1<<(last-64*w+1) - 1
	}
	if w == 0 {
		valid &^= 1 << layout.ProducerRow
	}
	return valid
}

// attached counts the rows that a producer with min_consumers waits for. A consumer that is still
// attaching has nothing yet that keeps a message for it, and does not count. A dead durable
// consumer counts.
func (b *block) attached() (n uint32) {
	b.forAttached(func(row uint32) {
		if status := b.rowStatus(row); status == layout.RowActive || status == layout.RowDead {
			n++
		}
	})
	return n
}

// forAttached calls f for every row in one of the masks.
func (b *block) forAttached(f func(row uint32)) {
	for w := range uint32(layout.MaskWords) {
		eachRow(w, (b.active[w].Load()|b.lossless[w].Load())&b.validRows(w), f)
	}
}

// forLossless calls f for every row whose cursor holds the producer up. On a block that forbids
// LOSSLESS no row does, whatever the mask says: any consumer may write the mask.
func (b *block) forLossless(f func(row uint32)) {
	if b.flags&AllowLossless != 0 {
		b.forMask(b.lossless, f)
	}
}

// pin returns one hazard pointer of a row.
func (b *block) pin(row uint32, k uint64) *atomic.Uint64 { return &b.rowPins(row)[k] }

func (b *block) cursor(row uint32) *atomic.Uint64 {
	return b.ctl.u64(b.header.row(row) + layout.RowCursor)
}

// forMask calls f for every consumer row in the mask. Each word is loaded once (sequentially
// consistent).
func (b *block) forMask(mask []atomic.Uint64, f func(row uint32)) {
	for w := range b.consumerLimit/64 + 1 { // no further bit stands for a row
		eachRow(w, mask[w].Load()&b.validRows(w), f)
	}
}

func eachRow(w uint32, set uint64, f func(row uint32)) {
	for ; set != 0; set &= set - 1 {
		f(64*w + uint32(bits.TrailingZeros64(set)))
	}
}
