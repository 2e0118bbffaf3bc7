// Package layout is the single definition of the segment format: where every word of a
// block's two files is, and how the packed words are built. docs/segment-format.md describes the
// format in prose. include/datablock_layout.h repeats the definition for C. The tests in
// tests/format/layout compare the three name by name.
//
// All words are little-endian and naturally aligned. Words that different sides write are on
// different cache lines.
package layout

// Identification of the two files.
const (
	MagicData    = 0x314B4C4241544144 // "DATABLK1"
	MagicControl = 0x314C544342415441 // "ATABCTL1"

	FormatMajor         = 1 // a block without features
	FormatMajorFeatures = 2 // a block with HdrFeatures; a reader refuses every other value
	FormatMinor         = 0 // a reader accepts every value; fields are only added
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
	ImmutableLen     = 576 // bytes of the immutable header, hash included
	ControlHeaderLen = 256
)

// Data file, page 0: the immutable header. The creator writes it once, before the block has a name.
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
	HdrPayloadOffset    = 96  // u64 payload of slot 0; the slot's header is the line before
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
	HdrRetention        = 256 // u64 ms for which the row of a dead durable consumer is kept, 0: for ever
	HdrName             = 264 // HdrNameLen bytes, then zeros, MaxNameLen+8 in all
	HdrZoneSchemaLength = 472 // u64 bytes of canonical text of the flexible zone's schema, 0: none
	HdrZoneSchemaMajor  = 480 // u32
	HdrZoneSchemaMinor  = 484 // u32
	HdrZoneSchemaPatch  = 488 // u32
	HdrFeatures         = 492 // u32 Feature*, 0 in version 1: a reader refuses a feature that it does not know
	HdrZoneSchemaHash   = 496 // BLAKE2b-256 of the zone's canonical text, zero: no schema
	HdrReserved         = 528 // zeros
	HdrHash             = 544 // BLAKE2b-256 of bytes [0, 544)
)

// Block flags, stored in HdrFlags. The values are those of DATABLOCK_FLAG_*.
const (
	FlagAllowLossless = 1 << 0
	FlagTimestamp     = 1 << 4
)

// Features of a block, stored in HdrFeatures.
const (
	FeatureCRC     = 1 << 0 // the checksum of a message is CRC32C, in the words CRC*
	FeatureReclaim = 1 << 1 // an entry may name SlotReclaimed; only with FlagAllowLossless
)

// Data file, page 1: the mutable lines. Only the producer and recovery write here. All participants
// and observers map the page readable.
const (
	State           = 4096 // u32 State*; all participants poll it, and it changes rarely
	Epoch           = 4160 // u64 number of producers that opened the block: the producer's generation
	ProducerPID     = 4168 // u64
	ProducerStart   = 4176 // u64
	ProducerPIDNS   = 4184 // u64
	ProducerClock   = 4192 // u64 as RowClock, for the times in the data file; 0: not known
	Commit          = 4224 // u64 hint: one past a published id, not always the newest
	Event           = 4288 // u32 event count of the consumers: their futex word
	ProducerWaiting = 4352 // u64 0: not waiting, else the awaited cursor, or WaitAny
	JoinAck         = 4416 // u64 the join_epoch that the producer's last rescan served
	ScanEpoch       = 4480 // u64 number of hazard-pointer scans begun
	ClaimSince      = 4544 // u64 CLOCK_MONOTONIC ns of the open claim, 0: none
	ClaimID         = 4552 // u64 id + 1 of the open claim, 0: none
	Heartbeat       = 4560 // u64 CLOCK_MONOTONIC ns of the producer's last tick (100 ms of calls)
	WaitSince       = 4568 // u64 CLOCK_MONOTONIC ns at which the wait for room began, 0: not known
	MetricWritten   = 4608 // u64 messages, by all producers of the block
	MetricBytes     = 4616 // u64 payload bytes
	MetricAborted   = 4624 // u64 claims given back
	MetricFenced    = 4632 // u64 claims fenced by a forced recovery
	MetricWaits     = 4640 // u64 claims that had to wait
	MetricWaitNs    = 4648 // u64
	MetricTimeouts  = 4656 // u64
	MetricScans     = 4664 // u64 hazard-pointer scans
	MetricCleaned   = 4672 // u64 dead rows that the producer cleaned
	SchemaRegion    = 8192 // schema text, then the zone's from the next cache line on; whole pages, or none
)

// ClockKnown in RowClock and ProducerClock: the offset of the participant's time namespace is
// known.
const ClockKnown = 1 << 63

// WaitAny in ProducerWaiting: the producer waits for any cleared hazard pointer, attach or detach.
const WaitAny = 1<<64 - 1

// Block states.
const (
	StateCreating   = 1
	StateReady      = 2
	StateClosed     = 3
	StateSuperseded = 4
	StateReplacing  = 5 // no claim begins; an open claim may be published until the fence is set
)

// Control file, page 0: the immutable header, then words that every participant may write.
const (
	CtlMagic         = 0    // u64
	CtlMajor         = 8    // u32
	CtlMinor         = 12   // u32
	CtlBlockID       = 16   // 16 bytes, as in the data file
	CtlSize          = 32   // u64 bytes of the control file
	CtlConsumerLimit = 40   // u32
	CtlWaiting       = 256  // u64, bit row % 64: a consumer sleeps, or is about to sleep
	CtlWake          = 320  // u32 event count of the producer: the futex word
	CtlJoinEpoch     = 384  // u64 number of consumers that have joined at the oldest message
	CtlActive        = 448  // u64[4], bit per row: attached, hazard pointers count
	CtlLossless      = 512  // u64[4], bit per row: the row's cursor binds the producer
	CtlCleaned       = 576  // u64 rows cleaned, by all processes
	CtlMismatches    = 584  // u64 opens that were refused because of the schema
	CtlSpinLocks     = 640  // 8 lines
	CtlCounters      = 1152 // 8 lines, u64 in each
	CtlRows          = 4096 // rows, whole pages
)

// The line of one lock that applications share.
const (
	LockOwner    = 0 // u64 generation:32 row+1:16, 0: free; bit 63 alone: free, but never released
	LockSleepers = 8 // u32 the futex word. Odd: a participant sleeps or is about to; a waker adds 1
)

// The flexible zone's header, in the control file; the contents follow.
const (
	FlexSum    = 0  // BLAKE2b-256 of the contents
	FlexWrites = 32 // u64 how many times a participant has left the zone with valid contents
	FlexHeader = 64 // bytes
)

// One participant row.
const (
	RowStatus      = 0   // u32 Row*
	RowIncarnation = 4   // u32 the generation: how many times this row was attached
	RowPID         = 8   // u64
	RowStart       = 16  // u64 start time of the process, clock ticks since boot
	RowPIDNS       = 24  // u64 inode of the process's pid namespace
	RowUID         = 32  // u32
	RowRole        = 36  // u8 1 producer, 2 consumer
	RowDelivery    = 37  // u8 1 lossless, 2 ordered, 3 latest
	RowDurable     = 38  // u8
	RowMaxPins     = 39  // u8
	RowAttached    = 40  // u64 CLOCK_REALTIME ns
	RowDied        = 48  // u64 CLOCK_REALTIME ns at which a durable consumer was found dead, 0: alive
	RowNameLen     = 56  // u32
	RowName        = 60  // 64 bytes
	RowClock       = 128 // u64 ClockKnown + the ns by which the owner's CLOCK_MONOTONIC is ahead, 0: not known
	RowCursor      = 192 // u64 the next id that the consumer has not released (LATEST: has not read)
	RowHeartbeat   = 200 // u64 CLOCK_MONOTONIC ns of the last tick (100 ms of calls)
	RowRead        = 208 // u64 messages
	RowMissed      = 216 // u64 messages
	RowBytes       = 224 // u64
	RowJoin        = 232 // u64 join_epoch that the producer must acknowledge before the cursor binds it, or 0
	RowPins        = 256 // u64[8] hazard pointers: slot + 1, 0: none
	RowWaits       = 320 // u64
	RowWaitNs      = 328 // u64
	RowTimeouts    = 336 // u64
	RowLost        = 344 // u64
	RowOverruns    = 352 // u64
	RowChecksums   = 360 // u64
)

// Row states. Only the liveness lease decides whether an owner is alive.
const (
	RowFree      = 0
	RowAttaching = 1
	RowActive    = 2
	RowDead      = 3 // durable, keeps name and cursor
	RowEvicting  = 4 // being evicted by force: the owner lives and gets FENCED
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
	LockRows     = 1 << 40       // + LockStride * row: the liveness lease
	LockStride   = 4             // from row to row, so that the locks of two rows are never neighbours
	LockCleaning = 1             // the byte after a lease: the row is being cleaned; the two are one lock of 2 bytes
	LockNames    = 1<<40 + 8192  // + hash(name) % LockNameMod: a consumer attaches under a durable name
	LockNameMod  = 4096          // number of name bytes
	LockReplace  = 1<<40 + 12288 // a process replaces or removes the block
	LockSpins    = 1<<40 + 16384 // reserved
)

// Slot header, the line before the payload. The producer uses plain stores; the ring entry
// publishes them.
const (
	SlotID        = 0  // u64
	SlotLength    = 8  // u64 bytes
	SlotTimestamp = 16 // u64 CLOCK_REALTIME ns, 0: the block has no FlagTimestamp
	SlotClaim     = 24 // u64 claimed:1 epoch:16 generation:47
	SlotChecksum  = 32 // BLAKE2b-256 of the payload, with FeatureCRC the words CRC*; zero: none
)

// The checksum in the slot header, of a block with FeatureCRC.
const (
	CRCPayload  = 0  // u64 CRC32C of the payload
	CRCMessage  = 8  // u64 the message's id + 1
	CRCLength   = 16 // u64 bytes of the payload
	CRCReserved = 24 // u64 zero
)

// The recovery log in the control file: a header with the number of records ever written, then a
// ring of records.
const (
	LogNext     = 0  // u64, in the log's header
	RecTime     = 0  // u64 CLOCK_REALTIME ns
	RecSeq      = 8  // u64 number of the record + 1, written last
	RecPID      = 16 // u64 of the process that acted
	RecUID      = 24 // u32
	RecAction   = 28 // u32
	RecTarget   = 32 // u64 slot or row
	RecBefore   = 40 // u64[4]
	RecAfter    = 72 // u64[3]
	RecReserved = 96
)

// A ring entry packs tag (id + 1 modulo 2^40), slot, LOST and FENCE. An entry that never held a
// message names NoSlot. A tag alone could not mark such an entry: tag 0 recurs every 2^40 messages,
// about once a day at full speed. The entry of a reclaimed message names SlotReclaimed. A block
// with FeatureReclaim has no slot of that number.
const (
	EntryFence     = 1 << 0
	EntryLost      = 1 << 1
	NoSlot         = 1<<22 - 1
	SlotReclaimed  = 1<<22 - 2
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

// EntryID is the id of the entry's message, given any id less than 2^39 away. The entry must not be
// empty.
func EntryID(e, near uint64) uint64 {
	return near + uint64(EntryAhead(e, near))
}

// SameTag reports whether entries of two ids have the same tag. The slot's header has the full id.
func SameTag(a, b uint64) bool { return (a-b)&entryTagMask == 0 }

// EntryAhead is how far the entry's id is ahead of id. The entry must not be empty.
func EntryAhead(e, id uint64) int64 {
	return int64(e&^(1<<entryTagShift-1)-(id+1)<<entryTagShift) >> entryTagShift
}

// EntryIs reports whether the entry is that of message id and has no tombstone. An empty entry has
// the tag of every 2^40th message.
func EntryIs(e, id uint64) bool {
	return (e^Entry(id, 0))&(entryTagMask<<entryTagShift|EntryLost) == 0 && !EntryEmpty(e)
}

// A claim mark packs claimed, the low bits of the producer's epoch, and the number of claims of the
// slot.
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

// ClaimGeneration is the number of times that the slot was claimed.
func ClaimGeneration(c uint64) uint64 { return c & claimGenMask }
