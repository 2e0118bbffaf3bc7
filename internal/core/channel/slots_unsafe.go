package channel

import (
	"unsafe" // a slot's payload is returned as bytes; the code that makes a slot has checked the bounds

	"datablock/internal/core/segment"

	"datablock/internal/layout"
)

// WriteSlot and ReadSlot are four words long, so that Go passes them in registers. A longer struct
// would go through memory from call to call, in vectors that wait for the words they are made of. A
// read took 27 ns with seven words and takes 17 ns with four.

// WriteSlot is a claimed slot: memory to fill, until Commit or Abort.
type WriteSlot struct {
	payload *byte
	id      uint64
	extent  extent // of the capacity
}

// Data returns the whole capacity.
func (s WriteSlot) Data() []byte { return unsafe.Slice(s.payload, s.extent>>indexBits) }

// Size returns the capacity in bytes.
func (s WriteSlot) Size() int { return int(s.extent >> indexBits) }

// ID returns the id that Commit publishes.
func (s WriteSlot) ID() uint64 { return s.id }

// Index returns the slot's number in the block.
func (s WriteSlot) Index() uint32 { return uint32(s.extent) & indexMask }

// ReadSlot is a message, in place and read-only, until Release.
type ReadSlot struct {
	payload *byte
	id      uint64
	extent  extent
	rest    uint64 // [missed 48][token 16]
}

const (
	indexBits = 22 // layout.MaxSlots; a length, layout.MaxSlotSize, has 41
	tokenBits = 16

	indexMask  = 1<<indexBits - 1
	tokenMask  = 1<<tokenBits - 1
	mostMissed = 1<<(64-tokenBits) - 1
)

// An extent is the length of something in a slot, and the slot: [length 42][index 22].
type extent uint64

func extentOf(length uint64, index uint32) extent { return extent(length<<indexBits | uint64(index)) }

// slotOf returns the message in the slot with that header. The caller has checked the message and
// holds it.
func slotOf(header *segment.SlotWords, id, length uint64, index, token uint32) ReadSlot {
	return ReadSlot{header.Payload(), id, extentOf(length, index), uint64(token)}
}

// Data returns the message.
func (s ReadSlot) Data() []byte { return unsafe.Slice(s.payload, s.extent>>indexBits) }

// Size returns the message's length in bytes.
func (s ReadSlot) Size() int { return int(s.extent >> indexBits) }

// ID returns the message's id.
func (s ReadSlot) ID() uint64 { return s.id }

// Index returns the slot's number in the block.
func (s ReadSlot) Index() uint32 { return uint32(s.extent) & indexMask }

// Missed returns how many messages were skipped before this one, at most 2^48-1.
func (s ReadSlot) Missed() uint64 { return s.rest >> tokenBits }

// Token returns the number of the hold.
func (s ReadSlot) Token() uint32 { return uint32(s.rest) & tokenMask }

// Timestamp returns CLOCK_REALTIME in ns at the commit, 0: the block has none. It is read from the
// block, as Data is.
func (s ReadSlot) Timestamp() uint64 {
	if s.payload == nil {
		return 0
	}
	return (*segment.SlotWords)(unsafe.Add(unsafe.Pointer(s.payload), -layout.SlotHeader))[layout.SlotTimestamp/8]
}

func (s *ReadSlot) setMissed(n uint64) { s.rest = min(n, mostMissed)<<tokenBits | uint64(s.Token()) }

func (s *ReadSlot) setToken(token uint32) { s.rest = s.Missed()<<tokenBits | uint64(token) }
