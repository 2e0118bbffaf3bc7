package core

import (
	"sync/atomic"
	"unsafe" // words of a shared mapping are reached by address; every access is bounds-checked here first

	"datablock/internal/layout"
)

// words is a mapped file, accessed word by word. Offsets come from the layout and from a validated
// geometry.
type words []byte

// u64 returns an atomic word. All of Go's atomics are sequentially consistent.
func (w words) u64(offset uint64) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&w[offset : offset+8][0])) // aligned by the layout
}

// u32 returns an atomic word of 32 bits.
func (w words) u32(offset uint64) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&w[offset : offset+4][0])) // aligned by the layout
}

// u64s returns an array of atomic words.
func (w words) u64s(offset, n uint64) []atomic.Uint64 {
	b := w[offset : offset+8*n]
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&b[0])), n) // aligned by the layout
}

// plain64 returns a word that has one writer and no memory order of its own. Either an atomic
// publication makes it visible (slot headers), or it is a hint or an informational figure. A plain
// store of an aligned word cannot tear.
func (w words) plain64(offset uint64) *uint64 {
	return (*uint64)(unsafe.Pointer(&w[offset : offset+8][0])) // aligned by the layout
}

// slotWords is the header of a slot: the word at layout.SlotID is element layout.SlotID/8, and so
// on. The words are plain, as those of plain64.
type slotWords [layout.SlotHeader / 8]uint64

func (b *block) slotWords(slot uint32) *slotWords {
	at := b.slotHeader(slot)
	return (*slotWords)(unsafe.Pointer(&b.data[at : at+layout.SlotHeader][0])) // aligned by the layout
}

// A slotArray is where the slots are, for callers that know that a slot number is valid: slotArray
// does not check the number.
type slotArray struct {
	payloads unsafe.Pointer
	stride   uintptr
}

func (b *block) slotArray() slotArray {
	return slotArray{unsafe.Pointer(&b.data[b.payload(0):][0]), uintptr(b.stride)}
}

// at returns the header of a slot.
func (a slotArray) at(slot uint32) *slotWords {
	return (*slotWords)(unsafe.Add(a.payloads, uintptr(slot)*a.stride-layout.SlotHeader))
}

// payload returns what follows a slot's header.
func (s *slotWords) payload() *byte { return (*byte)(unsafe.Add(unsafe.Pointer(s), layout.SlotHeader)) }

// element returns a word of an array whose length is not checked.
func element[T any](first *T, i uint32) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(first), uintptr(i)*unsafe.Sizeof(*first)))
}

// rowPins returns a row's hazard pointers: the slot that each names + 1, or 0.
func (b *block) rowPins(row uint32) *[layout.MaxPins]atomic.Uint64 {
	return (*[layout.MaxPins]atomic.Uint64)(b.ctl.u64s(b.header.row(row)+layout.RowPins, layout.MaxPins))
}

// addressOf returns where a slice's elements are, for C code. The code that keeps the address has
// to keep the slice.
func addressOf[T any](s []T) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s))) }

// Arrays returns the producer's slices whose addresses are in its state. They live as long as the
// producer.
func (p *Producer) Arrays() []any {
	return []any{unsafe.SliceData(p.free), unsafe.SliceData(p.retired), unsafe.SliceData(p.pinned),
		unsafe.SliceData(p.pins),
		unsafe.SliceData(p.expected), unsafe.SliceData(p.claims)}
}
