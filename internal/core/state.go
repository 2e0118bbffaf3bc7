package core

import (
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// What the fast path of a participant works on. datablock_inline.h has the same structs, field by field, and works on the same memory: of C and Go one at a time,
// as a participant is used by one thread at a time. tests/go/layout compares names, sizes and offsets.

// BlockState says where a block's words are: addresses and geometry, constant while it is open.
type BlockState struct {
	Data, Ctl, Entries, Payloads, Rows uintptr
	DataSize, CtlSize                  uint64
	Stride, SlotSize                   uint64
	RowMask                            [layout.MaskWords]uint64
	SlotCount, Slots                   uint32
	MinConsumers, Flags                uint32 // Flags: those of the header, and stateShortest, stateRoom, stateChecksums, stateEnforced
}

const (
	stateShortest  = 1 << 28 // a message has at least the size of the block's schema
	stateRoom      = 1 << 29 // each claim has to look for room: big slots, which are freed one by one, or minConsumers
	stateChecksums = 1 << 30 // messages may carry a checksum: a claim clears what is left of an earlier one
	stateEnforced  = 1 << 31 // the library makes and compares them
)

// ProducerState is the private state of a producer.
type ProducerState struct {
	Block  BlockState
	moment platform.Moment

	next        uint64 // id of the next message
	until       uint64 // claims of lower ids have nothing to look at but that nobody joins: they have room, and know their entries
	overdue     uint64 // the claim of this id asks the clock whether the moment is kept up
	epoch       uint64
	minCursor   uint64 // lower bound of all LOSSLESS cursors, as of the last rescan; before it, so low that C rescans
	acked       uint64 // join_epoch that the last rescan served
	ringNext    uint64 // the id whose place in the ring is ringAt
	ringAt      uint32
	freeCount   uint32
	retireCount uint32
	pinnedScans uint32 // scans in a row that found a retired slot pinned
	interrupted uint32 // atomic: another thread closes the handle
	slot        uint32 // claimed
	claimed     bool
	scanned     bool // minCursor is of this producer
	attend      bool // the next claim has something to do beyond its fast path
	_           [5]byte

	freeAt, retiredAt, pinnedAt, pinsAt, expectedAt, claimsAt uintptr // of the slices of Producer, for C

	shortest uint64 // bytes that a message has at least: those of the schema's struct, 0 without one
}

// The use of a hold.
const (
	unused = iota
	used
	apart // its end takes more than the fast paths do, which leave it alone
)

// hold is one message that the application has in its hands.
type hold struct {
	id      uint64
	claim   uint64 // the slot's claim mark when the hold began; it changes when the slot is used again
	slot    uint32
	token   uint32
	used    uint8
	pinned  bool
	inOrder bool // ending it moves the cursor
	_       byte
	more    uint32 // messages of a LOSSLESS batch that it covers beside its own
}

// ConsumerState is the private state of a consumer.
type ConsumerState struct {
	Block  BlockState
	moment platform.Moment

	rowAt          uintptr
	overdue        uint64 // the read of this id asks the clock whether the moment is kept up
	next           uint64 // the least id that the next read may give
	mine           uint64 // what the row's status and incarnation are, as one word, until it is taken away
	skipped        uint64 // ORDERED, LATEST: what was jumped over since the last message, and has not been told
	losses         uint64 // ORDERED: jumps in a row
	joining        uint64 // LOSSLESS joining at oldest: the join_epoch to be acknowledged, 0: bound
	ringNext       uint64 // the id whose place in the ring is ringAt
	ringAt         uint32
	rowNumber      uint32
	deliveryNumber uint32
	maxPins        uint32
	held           uint32
	nextHold       uint16 // number of the last hold, for tokens
	interrupted    uint32 // atomic: another thread closes the handle
	mayJump        bool   // what was overtaken before the acknowledgement only moves the start
	producerThere  bool   // at the last look
	close          bool   // on the producer's heels
	_              bool   // C's: polling
	polls          uint32 // that found nothing and asked nobody
	producerProbed uint64 // Monotonic of the last look whether there is a producer
	holds          [layout.MaxPins]hold
}

// State is for C code, which must not use it after Close, nor while a method runs.
func (p *Producer) State() *ProducerState { return p.ProducerState }

// State is for C code, which must not use it after Close, nor while a method runs.
func (c *Consumer) State() *ConsumerState { return c.ConsumerState }

// blockState collects the addresses of an open block.
func (b *block) blockState() BlockState {
	s := BlockState{
		Data: addressOf(b.data), Ctl: addressOf(b.ctl), Rows: addressOf(b.ctl[b.header.row(0):]),
		Entries: addressOf(b.entries), Payloads: addressOf(b.data[b.payload(0):]),
		DataSize: uint64(len(b.data)), CtlSize: uint64(len(b.ctl)), Stride: b.stride, SlotSize: b.slotSize,
		SlotCount: b.slotCount, Slots: b.slots(), MinConsumers: b.minConsumers, Flags: b.flags,
	}
	if b.slotSize >= bigSlot || b.minConsumers > 0 {
		s.Flags |= stateRoom
	}
	if b.checksum != ChecksumNone {
		s.Flags |= stateChecksums
	}
	if b.checksum == ChecksumEnforced {
		s.Flags |= stateEnforced
	}
	for w := range s.RowMask {
		s.RowMask[w] = b.validRows(uint32(w))
	}
	return s
}
