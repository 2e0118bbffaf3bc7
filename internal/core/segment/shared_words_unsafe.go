package segment

import (
	"sync/atomic"
	"unsafe" // words of a shared mapping are reached by address; every access is bounds-checked here first

	"datablock/internal/layout"
)

// sharedWords is a mapped file, accessed word by word. Offsets come from the layout and from a
// validated Header.
type sharedWords []byte

// U64 returns an atomic word. All of Go's atomics are sequentially consistent.
func (w sharedWords) U64(offset uint64) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&w[offset : offset+8][0])) // aligned by the layout
}

// U32 returns an atomic word of 32 bits.
func (w sharedWords) U32(offset uint64) *atomic.Uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&w[offset : offset+4][0])) // aligned by the layout
}

// u64s returns an array of atomic words.
func (w sharedWords) u64s(offset, n uint64) []atomic.Uint64 {
	b := w[offset : offset+8*n]
	return unsafe.Slice((*atomic.Uint64)(unsafe.Pointer(&b[0])), n) // aligned by the layout
}

// Plain64 returns a word that has one writer and no memory order of its own. Either an atomic
// publication makes it visible (slot headers), or it is a hint or an informational figure. A plain
// store of an aligned word cannot tear.
func (w sharedWords) Plain64(offset uint64) *uint64 {
	return (*uint64)(unsafe.Pointer(&w[offset : offset+8][0])) // aligned by the layout
}

// SlotWords is the header of a slot: the word at layout.SlotID is element layout.SlotID/8, and so
// on. The words are plain, as those of Plain64.
type SlotWords [layout.SlotHeader / 8]uint64

func (b *Segment) SlotWords(slot uint32) *SlotWords {
	at := b.SlotHeader(slot)
	return (*SlotWords)(unsafe.Pointer(&b.Data[at : at+layout.SlotHeader][0])) // aligned by the layout
}

// A SlotArray is where the slots are, for callers that know that a slot number is valid: SlotArray
// does not check the number.
type SlotArray struct {
	payloads unsafe.Pointer
	stride   uintptr
}

func (b *Segment) SlotArray() SlotArray {
	return SlotArray{unsafe.Pointer(&b.Data[b.Payload(0):][0]), uintptr(b.Stride)}
}

// At returns the header of a slot.
func (a SlotArray) At(slot uint32) *SlotWords {
	return (*SlotWords)(unsafe.Add(a.payloads, uintptr(slot)*a.stride-layout.SlotHeader))
}

// Payload returns what follows a slot's header.
func (s *SlotWords) Payload() *byte { return (*byte)(unsafe.Add(unsafe.Pointer(s), layout.SlotHeader)) }

// Element returns a word of an array whose length is not checked.
func Element[T any](first *T, i uint32) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(first), uintptr(i)*unsafe.Sizeof(*first)))
}

// RowPins returns a row's hazard pointers: the slot that each names + 1, or 0.
func (b *Segment) RowPins(row uint32) *[layout.MaxPins]atomic.Uint64 {
	return (*[layout.MaxPins]atomic.Uint64)(b.Ctl.u64s(b.Header.RowOffset(row)+layout.RowPins, layout.MaxPins))
}

// AddressOf returns where a slice's elements are, for C code. The code that keeps the address has
// to keep the slice.
func AddressOf[T any](s []T) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(s))) }
