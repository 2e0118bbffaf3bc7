package datablock

import (
	"time"

	"datablock/internal/core"
)

// Forever waits without a limit, where a timeout is asked for. Zero does not wait.
const Forever time.Duration = core.Forever

// Policy is how many messages a block keeps, and what its consumers get by default.
type Policy = core.Policy

// The policies. Consumers of the first two may be LOSSLESS only where AllowLossless is among the flags.
const (
	Single       = core.Single       // one message; consumers get LATEST by default
	DoubleBuffer = core.DoubleBuffer // two messages; as Single
	Ring         = core.Ring         // Config.SlotCount messages; consumers get LOSSLESS by default, unless ForbidLossless is set
)

// Delivery is what a consumer is promised.
type Delivery = core.Delivery

// The deliveries.
const (
	DeliveryDefault = core.DeliveryDefault // as the block's policy says
	Lossless        = core.Lossless        // every message, in order; the producer waits for it
	Ordered         = core.Ordered         // in order; the producer does not wait, and Missed says how many were overwritten
	Latest          = core.Latest          // the newest
)

// Start is where a consumer begins.
type Start = core.Start

// The starts.
const (
	StartLatest = core.StartLatest // with the next message; a LATEST consumer with the newest one
	StartOldest = core.StartOldest // with the oldest message that is present
)

// ChecksumPolicy is whether messages carry a checksum, the BLAKE2b-256 of their bytes.
type ChecksumPolicy = core.ChecksumPolicy

// The checksum policies.
const (
	ChecksumNone     = core.ChecksumNone     // the default
	ChecksumManual   = core.ChecksumManual   // made by Producer.Seal, compared by Consumer.Verify
	ChecksumEnforced = core.ChecksumEnforced // made at each commit, compared before a reader gets the message; about a nanosecond a byte on each side
)

// Flags for Config and Unlink.
const (
	AllowLossless = core.AllowLossless // consumers of SINGLE and DOUBLE_BUFFER may hold the producer up; those of a Ring may anyhow
	Replace       = core.Replace       // if the existing block has another geometry, replace it instead of failing
	Force         = core.Force         // with Replace, or for Unlink: even while others use the block; they are fenced and told
	UnlinkOnClose = core.UnlinkOnClose // Close removes the block; consumers that are attached drain it
	Timestamp     = core.Timestamp     // each message bears the time of its commit
	// ForbidLossless forbids LOSSLESS consumers, which a Ring allows otherwise. It wins over AllowLossless.
	ForbidLossless = core.ForbidLossless
)

// Config is what a producer asks for; zero means the default in every field. A producer that opens an existing block must ask for the geometry it has.
type Config struct {
	Policy        Policy // default Ring
	Flags         uint32 // AllowLossless and so on. A Ring without AllowLossless and ForbidLossless allows LOSSLESS, and takes over an existing block that forbids it
	SlotCount     uint32 // messages kept, 1 to 1048576; default 1, 2 or 8 by policy, and 1 and 2 are the only choice
	SpareSlots    uint32 // beyond them; at least 2. Default 1 + ConsumerLimit + 8 (4 above 64 KiB, 1 above 1 MiB)
	Alignment     uint32 // of the payload: a power of two up to 4096; default 64, the least
	SlotSize      uint64 // payload capacity in bytes, 1 to 2^40; required, unless there is a Schema
	ConsumerLimit uint32 // attached at once, 1 to 255; default 16
	MinConsumers  uint32 // while fewer are attached nothing is overwritten: the producer waits; default 0
	Checksum      ChecksumPolicy
	ZoneSize      uint64        // bytes of the flexible zone; default 4032
	Retention     time.Duration // how long a durable consumer that died keeps its place, in whole milliseconds; default for ever
	Mode          uint32        // who may attach, as file permissions, independent of the umask; default 0600
	Directory     string        // absolute; default $DATABLOCK_DIR, else /dev/shm
	Secret        []byte        // at most 1024 bytes, compared at attach: against mix-ups, it is no defence. Default none
	Schema        *Schema       // what a message is: written into the block, and compared when it is taken over. SlotSize then defaults to its size
	Registered    string        // the schema by a reference to the registry, such as "SensorReading@2.1"; with a Schema as well, that has to be the registered one (ErrSchema)
	Registry      string        // its directory; default as LookupSchema's
	ZoneSchema    *Schema       // what the flexible zone is: as Schema. ZoneSize is at least its size
}

// DefaultConfig is what a policy usually goes with: zero in every field, and AllowLossless for Ring. SlotSize is still to be set.
func DefaultConfig(policy Policy) Config { return Config(core.DefaultConfig(policy)) }

// ConsumerOptions is what a consumer asks for; zero means the default in every field.
type ConsumerOptions struct {
	Delivery   Delivery   // default by the block's policy
	Start      Start      // default StartLatest
	MaxPins    uint32     // messages held at once, 1 to 8; default 1. Each takes one of the block's spare slots
	Durable    bool       // keep the place when this consumer ends or dies, and continue there under the same Name
	Name       string     // shown to operators, at most 63 bytes; default the program's name
	Directory  string     // as in Config
	Secret     []byte     // as in Config
	Schema     *Schema    // what this consumer expects a message to be (ErrSchema: it is not); nil: anything
	SchemaMode SchemaMode // default SchemaCompatible
	Registered string     // as in Config
	Registry   string     // as in Config
	ZoneSchema *Schema    // what it expects the flexible zone to be (ErrSchema: it is not), in the same mode; nil: anything
	// Wait is how long OpenConsumer waits for a block that is not there yet (ErrTimeout: it did not appear). 0: it does not wait; Forever: without a limit.
	Wait time.Duration
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
	State         uint32 // 2 ready, 3 closed, 4 superseded, 5 being replaced; 0: the file cannot be read as a block, and only Name is set
}

// List describes the blocks in a directory ("" for the default one), sorted by name. It opens read-only and changes nothing. Any goroutine; it does not wait.
// Errors: ErrInvalid, ErrNotFound (the directory), ErrAccess, ErrSystem.
func List(directory string) ([]BlockInfo, error) {
	found, err := core.List(directory)
	var list []BlockInfo
	for _, block := range found {
		list = append(list, BlockInfo(block))
	}
	return list, err
}

// Unlink removes a block from a directory ("" for the default one). While somebody uses it that is refused, unless flags is Force: then its producer is fenced,
// and all others learn that they have to attach again. Any goroutine; it does not wait.
// Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrProducerActive, ErrBusy, ErrCorrupt, ErrSystem.
func Unlink(name, directory string, flags uint32) error { return core.Unlink(name, directory, flags) }

// As shows the beginning of data, a slot's or a message's, as a T, in place: nothing is copied. T consists of numbers, arrays and structs of them, with the
// byte order and padding of this machine, so that the other side must have the same definition. The result lives as long as data, and may be written to only
// where data may. Errors: ErrInvalid (T has pointers, strings, slices or the like in it; data is too short, or not aligned for T).
func As[T any](data []byte) (*T, error) { return core.As[T](data) }
