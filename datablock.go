package datablock

import (
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"

	"datablock/schema"
)

// Forever is the timeout that waits without a limit. Zero does not wait.
const Forever time.Duration = segment.Forever

// Policy is how many messages a block keeps, and which delivery its consumers get by default.
type Policy uint32

// The policies. Consumers of the first two may be LOSSLESS only if AllowLossless is set.
const (
	Single       Policy = Policy(segment.Single)       // one message; consumers get LATEST by default
	DoubleBuffer Policy = Policy(segment.DoubleBuffer) // two messages; as Single
	// Ring keeps Config.SlotCount messages. Its consumers get LOSSLESS by default, unless
	// ForbidLossless is set.
	Ring Policy = Policy(segment.Ring)
)

// String returns the policy's name: SINGLE, DOUBLE_BUFFER or RING.
func (p Policy) String() string { return segment.Policy(p).String() }

// Delivery is what the library promises to a consumer.
type Delivery uint8

// The deliveries.
const (
	DeliveryDefault Delivery = Delivery(segment.DeliveryDefault) // the default of the block's policy
	Lossless        Delivery = Delivery(segment.Lossless)        // every message, in order, with backpressure
	// Ordered is in order and without backpressure. Missed counts the overwritten messages.
	Ordered Delivery = Delivery(segment.Ordered)
	Latest  Delivery = Delivery(segment.Latest) // the newest message, without backpressure
)

// String returns the delivery's name: LOSSLESS, ORDERED, LATEST or DEFAULT.
func (d Delivery) String() string { return segment.Delivery(d).String() }

// Start is the first message of a consumer.
type Start uint32

// The starts.
const (
	// StartLatest is the next message; for a LATEST consumer the newest one present.
	StartLatest Start = Start(segment.StartLatest)
	StartOldest Start = Start(segment.StartOldest) // the oldest message present
)

// ChecksumPolicy is whether messages carry a checksum.
type ChecksumPolicy uint32

// The checksum policies.
const (
	ChecksumNone ChecksumPolicy = ChecksumPolicy(segment.ChecksumNone) // the default
	// ChecksumManual is made by Producer.Seal and compared by Consumer.Verify.
	ChecksumManual ChecksumPolicy = ChecksumPolicy(segment.ChecksumManual)
	// ChecksumEnforced makes the checksum at each commit, and compares it before a consumer gets
	// the message.
	ChecksumEnforced ChecksumPolicy = ChecksumPolicy(segment.ChecksumEnforced)
)

// String returns the policy's name: NONE, MANUAL or ENFORCED.
func (p ChecksumPolicy) String() string { return segment.ChecksumPolicy(p).String() }

// ChecksumAlgorithm is how the checksums of a block are made.
type ChecksumAlgorithm uint32

// The algorithms.
const (
	// AlgorithmDefault is CRC32C for a new block. A producer that takes a block over keeps the
	// algorithm of the block.
	AlgorithmDefault ChecksumAlgorithm = ChecksumAlgorithm(segment.AlgorithmDefault)
	// AlgorithmCRC32C detects damage at the speed of memory. Libraries of block format 1 refuse
	// the block (ErrVersion).
	AlgorithmCRC32C ChecksumAlgorithm = ChecksumAlgorithm(segment.AlgorithmCRC32C)
	// AlgorithmBLAKE2b is the BLAKE2b-256 of the bytes. It takes about a nanosecond a byte on each
	// side.
	AlgorithmBLAKE2b ChecksumAlgorithm = ChecksumAlgorithm(segment.AlgorithmBLAKE2b)
)

// String returns the algorithm's name: DEFAULT, CRC32C or BLAKE2B.
func (a ChecksumAlgorithm) String() string { return segment.ChecksumAlgorithm(a).String() }

// Flags for Config and Unlink.
const (
	// AllowLossless allows LOSSLESS consumers, which apply backpressure, on Single and DoubleBuffer
	// blocks. A Ring allows them without the flag.
	AllowLossless = segment.AllowLossless
	// Replace replaces an existing block of another geometry instead of failing.
	Replace = segment.Replace
	// Force, with Replace or for Unlink, acts even while other processes use the block. The
	// producer is fenced, and all participants get ErrSuperseded or ErrFenced.
	Force = segment.Force
	// UnlinkOnClose makes Close remove the block. Attached consumers read the rest first.
	UnlinkOnClose = segment.UnlinkOnClose
	// Timestamp stores the time of the commit in each message.
	Timestamp = segment.Timestamp
	// ForbidLossless forbids LOSSLESS consumers, which a Ring otherwise allows. It takes precedence
	// over AllowLossless.
	ForbidLossless = segment.ForbidLossless
	// Reclaim lets the producer use a slot again as soon as every LOSSLESS consumer has released
	// its message, before the ring laps. Other consumers, consumers that start at the oldest
	// message, and observers then find that message overwritten. The newest message stays, and so
	// do all messages while no LOSSLESS consumer is attached.
	Reclaim = segment.Reclaim
)

// Config are the settings of a producer; zero means the default in every field. A producer that
// opens an existing block must ask for the geometry of this block.
type Config struct {
	Policy Policy // default Ring
	// Flags are AllowLossless and so on. A Ring with neither AllowLossless nor ForbidLossless
	// allows LOSSLESS consumers, and takes over an existing block that forbids them.
	Flags         uint32
	SlotCount     uint32 // messages kept: 1 for Single, 2 for DoubleBuffer, 1 to 1048576 for Ring (default 8)
	SpareSlots    uint32 // at least 2; default 1 + ConsumerLimit + 8 (4 above 64 KiB, 1 above 1 MiB)
	Alignment     uint32 // of the payload: a power of two up to 4096; 64, the default, is the least
	SlotSize      uint64 // payload capacity in bytes, 1 to 2^40; required, unless there is a Schema
	ConsumerLimit uint32 // consumers attached at once, 1 to 255; default 16
	// MinConsumers is a standing condition. While fewer consumers are attached, the producer
	// overwrites nothing and waits. Default 0.
	MinConsumers uint32
	Checksum     ChecksumPolicy
	Algorithm    ChecksumAlgorithm // of the checksums; default: see AlgorithmDefault
	ZoneSize     uint64            // bytes of the flexible zone; default 4032
	// Retention is how long the row of a dead durable consumer is kept, in whole milliseconds.
	// Default: for ever.
	Retention time.Duration
	Mode      uint32 // permission to attach, as file permissions, independent of the umask; default 0600
	Directory string // absolute; default $DATABLOCK_DIR, else /dev/shm, or on Windows a folder of the user
	// Secret, at most 1024 bytes, is compared at attach. It prevents mistakes and is no protection
	// against attacks. Default: none.
	Secret []byte
	// Schema describes the messages. It is stored in the block, and compared at a takeover.
	// SlotSize then defaults to the size of the schema.
	Schema *Schema
	// Registered names a schema of the registry, for example "SensorReading@2.1". If Schema is set
	// as well, both must be the same (ErrSchema).
	Registered string
	Registry   string // directory of the registry; default as for LookupSchema
	// ZoneSchema describes the flexible zone, as Schema the messages. ZoneSize is at least the
	// size of the schema.
	ZoneSchema *Schema
}

// DefaultConfig returns the usual settings of a policy: zero in every field, and AllowLossless for
// Ring. SlotSize must still be set.
func DefaultConfig(policy Policy) Config {
	return Config{Policy: policy, Flags: segment.DefaultConfig(segment.Policy(policy)).Flags}
}

func (c *Config) inner() segment.Config {
	return segment.Config{
		Policy: segment.Policy(c.Policy), Flags: c.Flags, SlotCount: c.SlotCount, SpareSlots: c.SpareSlots,
		Alignment: c.Alignment, SlotSize: c.SlotSize, ConsumerLimit: c.ConsumerLimit, MinConsumers: c.MinConsumers,
		Checksum: segment.ChecksumPolicy(c.Checksum), Algorithm: segment.ChecksumAlgorithm(c.Algorithm),
		ZoneSize: c.ZoneSize, Retention: c.Retention, Mode: c.Mode,
		Directory: c.Directory, Secret: c.Secret, Schema: c.Schema, Registered: c.Registered, Registry: c.Registry,
		ZoneSchema: c.ZoneSchema,
	}
}

// ConsumerOptions are the settings of a consumer; zero means the default in every field.
type ConsumerOptions struct {
	Delivery Delivery // default by the block's policy
	Start    Start    // default StartLatest
	MaxPins  uint32   // messages held at once, 1 to 8; default 1. Each takes one of the block's spare slots
	// Durable keeps row and cursor when this consumer ends or dies. A consumer of the same Name
	// resumes there.
	Durable   bool
	Name      string // shown to operators, at most 63 bytes; default the program's name
	Directory string // as in Config
	Secret    []byte // as in Config
	// Schema is what this consumer expects of the messages (ErrSchema: they differ). nil: anything.
	Schema     *Schema
	SchemaMode SchemaMode // default SchemaCompatible
	Registered string     // as in Config
	Registry   string     // as in Config
	// ZoneSchema is what this consumer expects of the flexible zone, in the same mode (ErrSchema:
	// both differ). nil: anything.
	ZoneSchema *Schema
	// Wait is how long OpenConsumer waits for a block that does not exist yet (ErrTimeout: it did
	// not appear). 0 does not wait; Forever waits without a limit.
	Wait time.Duration
}

func (o *ConsumerOptions) inner() segment.ConsumerOptions {
	return segment.ConsumerOptions{
		Delivery: segment.Delivery(o.Delivery), Start: segment.Start(o.Start), MaxPins: o.MaxPins, Durable: o.Durable,
		Name: o.Name, Directory: o.Directory, Secret: o.Secret, Schema: o.Schema, SchemaMode: schema.Mode(o.SchemaMode),
		Registered: o.Registered, Registry: o.Registry, ZoneSchema: o.ZoneSchema, Wait: o.Wait,
	}
}

// BlockInfo describes one block.
type BlockInfo struct {
	Name          string
	TotalBytes    uint64 // of both files
	SlotSize      uint64 // bytes
	NextID        uint64 // messages written so far
	ProducerPID   uint64 // 0: no living producer
	SlotCount     uint32 // messages
	SpareSlots    uint32 // slots
	Policy        uint32 // a Policy
	Consumers     uint32 // living ones
	ConsumerLimit uint32 // attached at once
	ProducerPIDNS uint64 // inode of the pid namespace of ProducerPID, 0: not known
	// State is 2 ready, 3 closed, 4 superseded, 5 being replaced. 0: the file cannot be read as a
	// block, and only Name is set.
	State     uint32
	Checksum  uint32 // a ChecksumPolicy
	Algorithm uint32 // a ChecksumAlgorithm; 0 without checksums
	Reclaims  bool   // the producer reclaims messages: see Reclaim
}

// List describes the blocks in a directory ("" for the default one), sorted by name. It opens
// read-only and changes nothing. Any goroutine may call List. It does not wait.
//
// Errors: ErrInvalid, ErrNotFound (the directory), ErrAccess, ErrSystem.
func List(directory string) ([]BlockInfo, error) {
	found, err := recovery.List(directory)
	var list []BlockInfo
	for _, block := range found {
		list = append(list, BlockInfo(block))
	}
	return list, public(err)
}

// Unlink removes a block from a directory ("" for the default one). While a process uses the block,
// Unlink fails unless flags is Force. With Force the producer is fenced, and all participants get a
// status that tells them to attach again. Any goroutine may call Unlink. It does not wait.
//
// Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrProducerActive, ErrBusy, ErrCorrupt, ErrSystem.
func Unlink(name, directory string, flags uint32) error {
	return public(recovery.Unlink(name, directory, flags))
}

// As returns the beginning of data, the payload of a slot or of a message, as a T in place: nothing
// is copied. T consists of numbers, arrays and structs of them. It has the byte order and padding
// of this machine, so that the other side must have the same definition. The result lives as long
// as data. The program may write to it only where it may write to data.
//
// Errors: ErrInvalid (T contains pointers, strings, slices or the like; data is too short, or not
// aligned for T).
func As[T any](data []byte) (*T, error) {
	value, err := channel.As[T](data)
	return value, public(err)
}
