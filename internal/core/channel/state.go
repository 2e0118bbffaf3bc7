package channel

import (
	"datablock/internal/core/segment"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// The private state on which a participant's fast path works. datablock_inline.h has the same
// structs, field by field, and works on the same memory: C and Go one at a time, because one thread
// at a time uses a participant. tests/format/layout compares names, sizes and offsets.

// BlockState says where a block's words are: addresses and geometry, constant while the block is
// open.
type BlockState struct {
	Data, Ctl, Entries, Payloads, Rows uintptr
	DataSize, CtlSize                  uint64
	Stride, SlotSize                   uint64
	RowMask                            [layout.MaskWords]uint64
	SlotCount, Slots                   uint32
	// Flags: of the header, and the constants below.
	MinConsumers, Flags uint32
}

const (
	stateReclaim   = 1 << 25 // the producer reclaims messages
	stateSmall     = 1 << 26 // the slots take at most layout.SmallBlock bytes
	stateCRC       = 1 << 27 // checksums are CRC32C, and the processor has an instruction for it
	stateShortest  = 1 << 28 // a message has at least the size of the block's schema
	stateRoom      = 1 << 29 // each claim checks for room: big slots, freed one by one, or MinConsumers
	stateChecksums = 1 << 30 // messages may have a checksum: a claim clears an earlier message's checksum
	stateEnforced  = 1 << 31 // the library makes and compares checksums
)

// ProducerState is the private state of a producer.
type ProducerState struct {
	Block BlockState
	clock platform.CoarseClock

	next           uint64 // id of the next message
	fastPathEnd    uint64 // fast-path limit: claims below check only that no consumer joins; room and entries are known
	nextClockCheck uint64 // the claim of this id reads the clock, to see whether the coarse clock is fresh
	epoch          uint64
	// Low watermark of the last rescan: no LOSSLESS cursor is lower; before, so low that C rescans.
	minCursor       uint64
	acked           uint64 // join_epoch that the last rescan served
	ringNext        uint64 // the id whose place in the ring is ringIndex
	ringIndex       uint32
	freeCount       uint32
	retireCount     uint32
	pinnedScans     uint32 // consecutive scans that found a retired slot held
	interrupted     uint32 // atomic: another thread closes the handle
	slot            uint32 // claimed
	claimed         bool
	scanned         bool // minCursor was computed by this producer
	slowPathPending bool // the next claim has to leave its fast path
	_               [5]byte

	freePtr, retiredPtr, pinnedPtr, pinsPtr, expectedPtr, claimsPtr uintptr // of the slices of Producer, for C

	shortest uint64 // the least size of a message: the size of the schema's struct, 0 without one
	swept    uint64 // Monotonic of the last search for dead consumers outside a wait
	// Every message below released was released by every LOSSLESS consumer, at the last rescan. 0:
	// there was no LOSSLESS consumer.
	released  uint64
	reclaimed uint64 // no message below can be reclaimed any more
}

// The use of a hold.
const (
	unused = iota
	used
	apart // only the slow path may end it
)

// hold is one message that the application holds.
type hold struct {
	id      uint64
	claim   uint64 // the slot's claim mark when the hold began; it changes when the slot is used again
	slot    uint32
	token   uint32
	used    uint8
	pinned  bool
	inOrder bool // the end of the hold moves the cursor
	_       byte
	more    uint32 // further messages of a LOSSLESS batch that the hold covers
}

// ConsumerState is the private state of a consumer.
type ConsumerState struct {
	Block BlockState
	clock platform.CoarseClock

	rowPtr         uintptr
	nextClockCheck uint64 // the read of this id reads the clock, to see whether the coarse clock is fresh
	next           uint64 // the smallest id that the next read may return
	ownerWord      uint64 // the row's status and generation, as one word, until the row is taken away
	skipped        uint64 // ORDERED, LATEST: messages that were skipped since the last message, and not reported yet
	losses         uint64 // ORDERED: consecutive jumps
	joining        uint64 // LOSSLESS joining at oldest: the join_epoch that has to be acknowledged, 0: bound
	ringNext       uint64 // the id whose place in the ring is ringIndex
	ringIndex      uint32
	rowNumber      uint32
	deliveryNumber uint32
	maxPins        uint32
	held           uint32
	nextHold       uint16 // number of the last hold, for tokens
	interrupted    uint32 // atomic: another thread closes the handle
	mayJump        bool   // messages that were overtaken before the acknowledgement only move the start
	producerThere  bool   // at the last probe
	nearProducer   bool   // close behind the producer: see step
	_              bool   // used by C: polling
	polls          uint32 // that found nothing and did not probe for a producer
	producerProbed uint64 // Monotonic of the last probe for a producer
	holds          [layout.MaxPins]hold
}

// State is for C code, which must not use it after Close, nor while a method runs.
func (p *Producer) State() *ProducerState { return p.ProducerState }

// State is for C code, which must not use it after Close, nor while a method runs.
func (c *Consumer) State() *ConsumerState { return c.ConsumerState }

// stateOf collects the addresses of an open block.
func stateOf(b *segment.Segment) BlockState {
	s := BlockState{
		Data: segment.AddressOf(b.Data), Ctl: segment.AddressOf(b.Ctl),
		Rows:    segment.AddressOf(b.Ctl[b.Header.RowOffset(0):]),
		Entries: segment.AddressOf(b.Entries), Payloads: segment.AddressOf(b.Data[b.Payload(0):]),
		DataSize: uint64(len(b.Data)), CtlSize: uint64(len(b.Ctl)), Stride: b.Stride, SlotSize: b.SlotBytes,
		SlotCount: b.SlotCount, Slots: b.Slots(), MinConsumers: b.MinConsumers,
		Flags: b.Flags & (segment.AllowLossless | segment.Timestamp),
	}
	if uint64(b.Slots())*b.Stride <= layout.SmallBlock {
		s.Flags |= stateSmall
	}
	if b.SlotBytes >= bigSlot || b.MinConsumers > 0 {
		s.Flags |= stateRoom
	}
	if b.Checksum != segment.ChecksumNone {
		s.Flags |= stateChecksums
	}
	if b.Checksum == segment.ChecksumEnforced {
		s.Flags |= stateEnforced
	}
	if b.Features&layout.FeatureCRC != 0 && platform.HasCRC32C() {
		s.Flags |= stateCRC
	}
	if b.Reclaims() {
		s.Flags |= stateReclaim
	}
	for w := range s.RowMask {
		s.RowMask[w] = b.ValidRows(uint32(w))
	}
	return s
}
