// Package layout is the one definition of the segment format, version 1: where every word of the two files of a block is, and how
// the packed words are built. docs/segment-format.md describes it in prose; include/datablock_layout.h repeats it for C, and a test
// compares the two name by name (see Table).
//
// All words are little-endian and naturally aligned. Words that different sides write are on different cache lines.
package layout

// Identification of the two files.
const (
	MagicData    = 0x314B4C4241544144 // "DATABLK1"
	MagicControl = 0x314C544342415441 // "ATABCTL1"

	FormatMajor = 1 // a reader refuses another one
	FormatMinor = 0 // a reader accepts any; fields are only ever added
)

// Sizes.
const (
	Page       = 4096
	CacheLine  = 64
	SlotHeader = 64
	BlockIDLen = 16
	HashLen    = 32

	MaxNameLen       = 200 // of a block
	MaxRowNameLen    = 63  // of a participant
	MaxPins          = 8
	MaxConsumers     = 255
	MaxSlotCount     = 1 << 20
	MaxSlots         = 1<<22 - 1 // ring and spare together: 22 bits in an entry
	MaxSlotSize      = 1 << 40
	MaxAlignment     = Page
	SpinLockCount    = 8
	CounterCount     = 8
	LogRecordSize    = 128
	LogHeaderSize    = 128
	RowSize          = 512
	ProducerRow      = 0
	MaskWords        = 4
	ImmutableLen     = 576 // bytes of the immutable header, its hash included
	ControlHeaderLen = 256
)

// Data file, page 0: the immutable header. Written once, before the block has a name.
const (
	HdrMagic            = 0   // u64
	HdrMajor            = 8   // u32
	HdrMinor            = 12  // u32
	HdrDataSize         = 16  // u64 bytes of the data file
	HdrControlSize      = 24  // u64 bytes of the control file
	HdrBlockID          = 32  // 16 random bytes
	HdrCreated          = 48  // u64 CLOCK_REALTIME ns
	HdrSlotCount        = 56  // u32 N, length of the ring
	HdrSpareSlots       = 60  // u32
	HdrSlotSize         = 64  // u64 payload capacity
	HdrStride           = 72  // u64 distance of payloads
	HdrAlignment        = 80  // u64 of payloads
	HdrRingOffset       = 88  // u64
	HdrPayloadOffset    = 96  // u64 payload of slot 0; its header is the line before
	HdrSchemaOffset     = 104 // u64
	HdrSchemaLength     = 112 // u64 bytes of canonical text, 0: no schema
	HdrConsumerLimit    = 120 // u32
	HdrMinConsumers     = 124 // u32
	HdrPolicy           = 128 // u32 1 single, 2 double buffer, 3 ring
	HdrChecksum         = 132 // u32 0 none, 1 manual, 2 enforced
	HdrFlags            = 136 // u32 Flag*
	HdrNameLen          = 140 // u32
	HdrRowsOffset       = 144 // u64 in the control file
	HdrFlexOffset       = 152 // u64 in the control file
	HdrFlexSize         = 160 // u64 bytes, header line included
	HdrLogOffset        = 168 // u64 in the control file
	HdrLogRecords       = 176 // u32
	HdrSchemaMajor      = 180 // u32
	HdrSchemaMinor      = 184 // u32
	HdrSchemaPatch      = 188 // u32
	HdrSchemaHash       = 192 // BLAKE2b-256 of the canonical text, zero: no schema
	HdrSecretHash       = 224 // BLAKE2b-256 keyed with the secret, of the block id; zero: no secret
	HdrRetention        = 256 // u64 ms that a dead durable consumer keeps its row, 0: for ever
	HdrName             = 264 // HdrNameLen bytes, then zeros, MaxNameLen+8 in all
	HdrZoneSchemaLength = 472 // u64 bytes of canonical text of the flexible zone's schema, 0: it has none
	HdrZoneSchemaMajor  = 480 // u32
	HdrZoneSchemaMinor  = 484 // u32
	HdrZoneSchemaPatch  = 488 // u32
	HdrZoneSchemaHash   = 496 // BLAKE2b-256 of that text, zero: none
	HdrReserved         = 528 // zeros
	HdrHash             = 544 // BLAKE2b-256 of bytes [0, 544)
)

// Block flags, stored in HdrFlags. The values are those of DATABLOCK_FLAG_*.
const (
	FlagAllowLossless = 1 << 0
	FlagTimestamp     = 1 << 4
)

// Data file, page 1: the mutable lines. Only the producer and recovery write here; everybody maps it readable.
const (
	State           = 4096 // u32 State*; polled by all, changes rarely
	Epoch           = 4160 // u64 number of producers that opened the block
	ProducerPID     = 4168 // u64
	ProducerStart   = 4176 // u64
	ProducerPIDNS   = 4184 // u64
	Commit          = 4224 // u64 hint: one past the newest id
	Event           = 4288 // u32 futex word of the consumers
	ProducerWaiting = 4352 // u64 0 not waiting, cursor that must be reached, or WaitAny
	JoinAck         = 4416 // u64 the join_epoch that the producer's last rescan served
	ScanEpoch       = 4480 // u64 number of pin scans begun
	ClaimSince      = 4544 // u64 CLOCK_MONOTONIC ns of the open claim, 0: none
	ClaimID         = 4552 // u64 id + 1 of the open claim, 0: none
	Heartbeat       = 4560 // u64 CLOCK_MONOTONIC ns of the producer's last call
	MetricWritten   = 4608 // u64 messages, by all producers of the block
	MetricBytes     = 4616 // u64 payload bytes
	MetricAborted   = 4624 // u64 claims
	MetricFenced    = 4632 // u64 claims
	MetricWaits     = 4640 // u64 claims that had to wait
	MetricWaitNs    = 4648 // u64
	MetricTimeouts  = 4656 // u64
	MetricScans     = 4664 // u64 pin scans
	MetricCleaned   = 4672 // u64 dead rows the producer released
	SchemaRegion    = 8192 // schema text, and behind it, from the next cache line on, that of the flexible zone; whole pages, if there is one
)

// WaitAny in ProducerWaiting: any unpin, attach or detach is of interest.
const WaitAny = 1<<64 - 1

// Block states.
const (
	StateCreating   = 1
	StateReady      = 2
	StateClosed     = 3
	StateSuperseded = 4
	StateReplacing  = 5 // no claim begins any more; one that is open may still be published until the fence is set
)

// Control file, page 0: immutable header, then words that everybody attached may write.
const (
	CtlMagic         = 0    // u64
	CtlMajor         = 8    // u32
	CtlMinor         = 12   // u32
	CtlBlockID       = 16   // 16 bytes, as in the data file
	CtlSize          = 32   // u64 bytes of the control file
	CtlConsumerLimit = 40   // u32
	CtlWaiting       = 256  // u64, bit row % 64: this consumer sleeps
	CtlWake          = 320  // u32 futex word of the producer
	CtlJoinEpoch     = 384  // u64
	CtlActive        = 448  // u64[4], bit per row: attached
	CtlLossless      = 512  // u64[4], bit per row: the producer minds its cursor
	CtlCleaned       = 576  // u64 rows cleaned by anybody
	CtlMismatches    = 584  // u64 opens that were refused because of the schema
	CtlSpinLocks     = 640  // 8 lines
	CtlCounters      = 1152 // 8 lines, u64 in each
	CtlRows          = 4096 // rows, whole pages
)

// The line of one lock that applications share.
const (
	LockOwner    = 0 // u64 incarnation:32 row+1:16, 0: free; bit 63 alone: free, and its last owner did not let go of it. The low half is the futex word
	LockSleepers = 8 // u32 odd: somebody sleeps, or is about to; who wakes counts up
)

// The flexible zone's header, in the control file; the contents follow.
const (
	FlexSum    = 0  // BLAKE2b-256 of the contents
	FlexWrites = 32 // u64 how often it was left
	FlexHeader = 64 // bytes
)

// One participant row.
const (
	RowStatus      = 0  // u32 Row*
	RowIncarnation = 4  // u32 times this row was attached
	RowPID         = 8  // u64
	RowStart       = 16 // u64 start time of the process, clock ticks since boot
	RowPIDNS       = 24 // u64 inode of its pid namespace
	RowUID         = 32 // u32
	RowRole        = 36 // u8 1 producer, 2 consumer
	RowDelivery    = 37 // u8 1 lossless, 2 ordered, 3 latest
	RowDurable     = 38 // u8
	RowMaxPins     = 39 // u8
	RowAttached    = 40 // u64 CLOCK_REALTIME ns
	RowDied        = 48 // u64 CLOCK_REALTIME ns of the discovery of a dead durable consumer, 0: lives
	RowNameLen     = 56 // u32
	RowName        = 60 // 64 bytes
	RowCursor      = 192
	RowHeartbeat   = 200 // u64 CLOCK_MONOTONIC ns of the last call
	RowRead        = 208 // u64 messages
	RowMissed      = 216 // u64 messages
	RowBytes       = 224 // u64
	RowJoin        = 232 // u64 join_epoch to be acknowledged before the cursor binds the producer, 0: it does
	RowPins        = 256 // u64[8] slot + 1, 0: none
	RowWaits       = 320 // u64
	RowWaitNs      = 328 // u64
	RowTimeouts    = 336 // u64
	RowLost        = 344 // u64
	RowOverruns    = 352 // u64
	RowChecksums   = 360 // u64
)

// Row states. Who is alive is judged by the row lock alone.
const (
	RowFree      = 0
	RowAttaching = 1
	RowActive    = 2
	RowDead      = 3 // durable, keeps name and cursor
	RowEvicting  = 4 // being emptied by force: its owner lives, and is told
)

// Roles and deliveries.
const (
	RoleProducer = 1
	RoleConsumer = 2

	Lossless = 1
	Ordered  = 2
	Latest   = 3
)

// Checksum policies.
const (
	ChecksumNone     = 0
	ChecksumManual   = 1
	ChecksumEnforced = 2
)

// Policies.
const (
	Single       = 1
	DoubleBuffer = 2
	Ring         = 3
)

// Byte offsets of the locks on the control file, beyond any mapping of it.
const (
	LockRows     = 1 << 40       // + LockStride * row: the participant lives
	LockStride   = 4             // from row to row, so that the locks of two rows are never neighbours
	LockCleaning = 1             // the byte after a row's: somebody cleans it; held together the two are one lock of two bytes
	LockNames    = 1<<40 + 8192  // + hash(name) % LockNameMod: attaching under a durable name
	LockNameMod  = 4096          // number of name bytes
	LockReplace  = 1<<40 + 12288 // somebody replaces or removes the block
	LockSpins    = 1<<40 + 16384 // reserved
)

// Slot header, the line before the payload. Plain stores, published by the ring entry.
const (
	SlotID        = 0  // u64
	SlotLength    = 8  // u64 bytes
	SlotTimestamp = 16 // u64 CLOCK_REALTIME ns, 0: not asked for
	SlotClaim     = 24 // u64 claimed:1 epoch:16 generation:47
	SlotChecksum  = 32 // BLAKE2b-256 of the payload, zero: none
)

// The recovery log in the control file: a header line with the number of records ever written, then a ring of records.
const (
	LogNext     = 0  // u64, in the log's header
	RecTime     = 0  // u64 CLOCK_REALTIME ns
	RecSeq      = 8  // u64 number of the record + 1, written last
	RecPID      = 16 // u64 who
	RecUID      = 24 // u32
	RecAction   = 28 // u32
	RecTarget   = 32 // u64 slot or row
	RecBefore   = 40 // u64[4]
	RecAfter    = 72 // u64[3]
	RecReserved = 96
)

// A ring entry packs tag (id + 1 modulo 2^40), slot, LOST and FENCE. An entry that never held a message names NoSlot: a tag alone could not
// say so, because tag 0 comes round every 2^40 messages, about a day at full speed.
const (
	EntryFence     = 1 << 0
	EntryLost      = 1 << 1
	NoSlot         = 1<<22 - 1
	EntryNone      = NoSlot << entrySlotShift
	entrySlotShift = 2
	entryTagShift  = 24
	entryTagMask   = 1<<40 - 1
)

// Entry packs the ring entry of a message.
func Entry(id uint64, slot uint32) uint64 {
	return (id+1)&entryTagMask<<entryTagShift | uint64(slot)<<entrySlotShift
}

// EntrySlot is the slot that an entry names, NoSlot if it never held a message.
func EntrySlot(e uint64) uint32 { return uint32(e >> entrySlotShift & NoSlot) }

// EntryEmpty reports whether the entry never held a message.
func EntryEmpty(e uint64) bool { return EntrySlot(e) == NoSlot }

// EntryID is the id of the entry's message, given any id within 2^39 of it. The entry must not be empty.
func EntryID(e, near uint64) uint64 {
	return near + uint64(EntryAhead(e, near))
}

// EntryTurn is how far ids are apart whose entries have the same tag: which of them an entry means is in the slot's header.
const EntryTurn = entryTagMask + 1

// EntryAhead is how far the entry's id is ahead of id. The entry must not be empty.
func EntryAhead(e, id uint64) int64 {
	return int64(e&^(1<<entryTagShift-1)-(id+1)<<entryTagShift) >> entryTagShift
}

// EntryIs reports whether the entry is that of message id, and nobody has discarded it. An empty entry has the tag of every 2^40th message.
func EntryIs(e, id uint64) bool {
	return (e^Entry(id, 0))&(entryTagMask<<entryTagShift|EntryLost) == 0 && !EntryEmpty(e)
}

// A claim mark packs claimed, the low bits of the producer's epoch, and how often the slot was claimed.
const (
	ClaimOpen       = 1 << 63
	claimEpochShift = 47
	claimEpochMask  = 1<<16 - 1
	claimGenMask    = 1<<47 - 1
)

// Claim packs the mark of an open claim.
func Claim(epoch, generation uint64) uint64 {
	return ClaimOpen | (epoch&claimEpochMask)<<claimEpochShift | generation&claimGenMask
}

// ClaimEpochWhole reports whether an epoch fits a claim mark as it is.
func ClaimEpochWhole(epoch uint64) bool { return epoch <= claimEpochMask }

// ClaimEpoch is the low bits of the epoch of the producer that claimed the slot.
func ClaimEpoch(c uint64) uint64 { return c >> claimEpochShift & claimEpochMask }

// ClaimGeneration is how many times the slot was claimed.
func ClaimGeneration(c uint64) uint64 { return c & claimGenMask }
