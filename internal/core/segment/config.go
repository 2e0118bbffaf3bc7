package segment

import (
	"math/bits"
	"time"

	"datablock/internal/core/status"

	"datablock/internal/layout"
	"datablock/schema"
)

// Policy is how many messages a block keeps, and what its consumers get by default.
type Policy uint32

// The policies of datablock_policy.
const (
	Single       Policy = layout.Single
	DoubleBuffer Policy = layout.DoubleBuffer
	Ring         Policy = layout.Ring
)

// String returns the policy's name in diagnosis.
func (p Policy) String() string {
	switch p {
	case Single:
		return "SINGLE"
	case DoubleBuffer:
		return "DOUBLE_BUFFER"
	}
	return "RING"
}

// Delivery is what a consumer is promised.
type Delivery uint8

// The deliveries of datablock_delivery.
const (
	DeliveryDefault Delivery = 0
	Lossless        Delivery = layout.Lossless
	Ordered         Delivery = layout.Ordered
	Latest          Delivery = layout.Latest
)

// String returns the delivery's name in diagnosis.
func (d Delivery) String() string {
	switch d {
	case Lossless:
		return "LOSSLESS"
	case Ordered:
		return "ORDERED"
	case Latest:
		return "LATEST"
	}
	return "DEFAULT"
}

// Start is where a consumer begins.
type Start uint32

// The starts of datablock_start.
const (
	StartLatest Start = 0
	StartOldest Start = 1
)

// ChecksumPolicy says whether messages carry a checksum.
type ChecksumPolicy uint32

// The values of datablock_checksum.
const (
	ChecksumNone ChecksumPolicy = layout.ChecksumNone
	// Made on the producer's request, checked on a consumer's request.
	ChecksumManual ChecksumPolicy = layout.ChecksumManual
	// Made at every commit, checked before a consumer sees the message.
	ChecksumEnforced ChecksumPolicy = layout.ChecksumEnforced
)

// String returns the policy's name in diagnosis.
func (p ChecksumPolicy) String() string {
	switch p {
	case ChecksumManual:
		return "MANUAL"
	case ChecksumEnforced:
		return "ENFORCED"
	}
	return "NONE"
}

// ChecksumAlgorithm is how the checksums of a block are made.
type ChecksumAlgorithm uint32

// The values of datablock_algorithm.
const (
	AlgorithmDefault ChecksumAlgorithm = 0 // CRC32C in a new block, else the block's
	AlgorithmCRC32C  ChecksumAlgorithm = 1
	AlgorithmBLAKE2b ChecksumAlgorithm = 2
)

// String returns the algorithm's name in diagnosis.
func (a ChecksumAlgorithm) String() string {
	switch a {
	case AlgorithmCRC32C:
		return "CRC32C"
	case AlgorithmBLAKE2b:
		return "BLAKE2B"
	}
	return "DEFAULT"
}

// Flags of a producer's open, with the values of DATABLOCK_FLAG_*.
const (
	AllowLossless = layout.FlagAllowLossless
	Replace       = 1 << 1
	Force         = 1 << 2
	UnlinkOnClose = 1 << 3
	Timestamp     = layout.FlagTimestamp
	// ForbidLossless wins over AllowLossless, which DefaultConfig sets for Ring.
	ForbidLossless = 1 << 5
	// Reclaim gives the slot of a message back as soon as every LOSSLESS consumer has released it.
	Reclaim = 1 << 6

	storedFlags = AllowLossless | Timestamp
	knownFlags  = storedFlags | Replace | Force | UnlinkOnClose | ForbidLossless | Reclaim
)

// Config is what a producer asks for. Zero means the default in every field. It mirrors
// datablock_config, which describes the fields.
type Config struct {
	Policy        Policy
	Flags         uint32
	SlotCount     uint32
	SpareSlots    uint32
	Alignment     uint32
	SlotSize      uint64
	ConsumerLimit uint32
	MinConsumers  uint32
	Checksum      ChecksumPolicy
	Algorithm     ChecksumAlgorithm // of the checksums
	ZoneSize      uint64            // bytes of the flexible zone
	Retention     time.Duration     // how long a dead durable consumer's row is kept, whole ms; 0: for ever
	Mode          uint32
	Directory     string
	Secret        []byte
	Schema        *schema.Schema // what a message is; nil: as Registered says, or unspecified
	// A schema of the registry, such as "SensorReading@2.1"; a given Schema has to be the same.
	Registered string
	Registry   string         // a directory; "": the default one
	ZoneSchema *schema.Schema // what the flexible zone is; nil: unspecified
}

// DefaultConfig returns what datablock_config_init gives.
func DefaultConfig(p Policy) Config {
	c := Config{Policy: p}
	if p == Ring {
		c.Flags = AllowLossless
	}
	return c
}

// features returns the features of a new block. A block without checksums and Reclaim has none, so
// that the libraries of version 1 can read it.
func (c Config) features() (f uint32) {
	if c.Checksum != ChecksumNone && c.Algorithm != AlgorithmBLAKE2b {
		f |= layout.FeatureCRC
	}
	if c.Flags&Reclaim != 0 {
		f |= layout.FeatureReclaim
	}
	return f
}

// stored returns the flags that a block keeps. A Ring allows LOSSLESS consumers unless
// ForbidLossless is set.
func (c Config) stored() uint32 {
	switch {
	case c.Flags&ForbidLossless != 0:
		return c.Flags & storedFlags &^ AllowLossless
	case c.Policy == Ring:
		return c.Flags&storedFlags | AllowLossless
	}
	return c.Flags & storedFlags
}

// ConsumerOptions is what a consumer asks for. Zero means the default in every field. It mirrors
// datablock_consumer_options.
type ConsumerOptions struct {
	Delivery   Delivery
	Start      Start
	MaxPins    uint32
	Durable    bool
	Name       string
	Directory  string
	Secret     []byte
	Schema     *schema.Schema // what a message has to be; nil: as Registered says, or any
	SchemaMode schema.Mode    // also of the zone
	Registered string         // as in Config
	Registry   string
	ZoneSchema *schema.Schema // what the flexible zone has to be; nil: any
	Wait       time.Duration  // how long the open waits for a missing block; 0: not at all, Forever: without a limit
}

// Forever as a timeout waits without a limit. Zero does not wait.
const Forever time.Duration = -1

const (
	defaultRing          = 8
	defaultConsumerLimit = 16
	defaultMode          = 0o600
	maxSecret            = layout.SecretLimit
	maxRetention         = 1 << 40 // ms
	minSpare             = 2       // one for the claim, one for a hazard pointer
)

// Resolved fills in the defaults and refuses what cannot be. Each step may use the fields that the
// earlier steps have set.
func (c Config) Resolved() (Config, error) {
	for _, step := range []func() error{
		c.resolvePolicy, c.resolveRing, c.resolveSlots, c.resolveConsumers, c.checkKeeping, c.resolveZone,
		c.resolveAccess,
	} {
		if err := step(); err != nil {
			return c, err
		}
	}
	return c, nil
}

// resolvePolicy checks the policy and the flags.
func (c *Config) resolvePolicy() error {
	switch c.Policy {
	case 0:
		c.Policy = Ring
	case Single, DoubleBuffer, Ring:
	default:
		return status.Errorf(status.Invalid, "policy %d is unknown: use SINGLE (1), DOUBLE_BUFFER (2) or RING (3)",
			uint32(c.Policy))
	}
	if c.Flags&^knownFlags != 0 {
		return status.Errorf(status.Invalid, "flags 0x%x has unknown bits 0x%x, the known ones are 0x%x", c.Flags,
			c.Flags&^knownFlags, uint32(knownFlags))
	}
	if c.Flags&Reclaim != 0 && c.stored()&AllowLossless == 0 {
		return status.Errorf(status.Invalid, "flag RECLAIM without LOSSLESS consumers: only a message that every "+
			"LOSSLESS consumer has released is reclaimed; add ALLOW_LOSSLESS, or leave RECLAIM out")
	}
	if c.Flags&Force != 0 && c.Flags&Replace == 0 {
		return status.Errorf(status.Invalid, "flag FORCE without REPLACE: it says how to replace a block; add "+
			"REPLACE, or leave it out")
	}
	return nil
}

// resolveRing sets the length of the ring, which some policies fix.
func (c *Config) resolveRing() error {
	fixed := map[Policy]uint32{Single: 1, DoubleBuffer: 2}[c.Policy]
	switch {
	case c.SlotCount == 0 && fixed != 0:
		c.SlotCount = fixed
	case c.SlotCount == 0:
		c.SlotCount = defaultRing
	case fixed != 0 && c.SlotCount != fixed:
		return status.Errorf(status.Invalid, "slot_count %d: this policy keeps %d; leave it 0 or use RING", c.SlotCount,
			fixed)
	}
	if c.SlotCount > layout.MaxSlotCount {
		return status.Errorf(status.Invalid, "slot_count %d is above the limit of %d", c.SlotCount, layout.MaxSlotCount)
	}
	return nil
}

// resolveSlots sets the schema of the messages, and the size and the alignment of a slot.
func (c *Config) resolveSlots() error {
	var err error
	if c.Schema, err = Registered(c.Schema, c.Registered, c.Registry); err != nil {
		return err
	}
	if c.Schema != nil && c.SlotSize == 0 {
		c.SlotSize = c.Schema.Size
	}
	if c.Schema != nil && c.SlotSize < c.Schema.Size {
		return status.Errorf(status.Invalid, "slot_size %d: a message of schema %s has %d bytes", c.SlotSize,
			c.Schema.Name,
			c.Schema.Size)
	}
	if c.SlotSize == 0 || c.SlotSize > layout.MaxSlotSize {
		return status.Errorf(status.Invalid, "slot_size %d: give the largest payload in bytes, 1 to %d", c.SlotSize,
			uint64(layout.MaxSlotSize))
	}
	if c.Alignment == 0 {
		c.Alignment = layout.CacheLine
	}
	if bits.OnesCount32(c.Alignment) != 1 || c.Alignment > layout.MaxAlignment {
		return status.Errorf(status.Invalid, "alignment %d: use a power of two up to %d", c.Alignment,
			layout.MaxAlignment)
	}
	c.Alignment = max(c.Alignment, layout.CacheLine)
	if c.Schema != nil {
		c.Alignment = max(c.Alignment, uint32(c.Schema.Align))
	}
	return nil
}

// resolveConsumers sets the number of consumers, and the spare slots that the consumers need.
func (c *Config) resolveConsumers() error {
	if c.ConsumerLimit == 0 {
		c.ConsumerLimit = defaultConsumerLimit
	}
	if c.ConsumerLimit > layout.MaxConsumers {
		return status.Errorf(status.Invalid, "consumer_limit %d is above the limit of %d", c.ConsumerLimit,
			layout.MaxConsumers)
	}
	if c.MinConsumers > c.ConsumerLimit {
		return status.Errorf(status.Invalid, "min_consumers %d is above consumer_limit %d: the producer could never "+
			"go on",
			c.MinConsumers, c.ConsumerLimit)
	}
	if c.SpareSlots == 0 {
		c.SpareSlots = 1 + c.ConsumerLimit + batchFor(c.SlotSize)
	}
	if c.SpareSlots < minSpare {
		return status.Errorf(status.Invalid, "spare_slots %d: at least %d, one to write to and one a reader may pin",
			c.SpareSlots,
			minSpare)
	}
	if c.MinConsumers >= c.SpareSlots {
		return status.Errorf(status.Invalid, "min_consumers %d needs spare_slots of %d or more, one a consumer and "+
			"one to write to, and it is %d: the producer could never go on", c.MinConsumers, c.MinConsumers+1,
			c.SpareSlots)
	}
	if uint64(c.SlotCount)+uint64(c.SpareSlots) > layout.MaxSlots {
		return status.Errorf(status.Invalid, "slot_count %d and spare_slots %d together exceed %d", c.SlotCount,
			c.SpareSlots,
			layout.MaxSlots)
	}
	return nil
}

// checkKeeping checks the checksums and the retention.
func (c *Config) checkKeeping() error {
	if c.Checksum > ChecksumEnforced {
		return status.Errorf(status.Invalid, "checksum %d is unknown: use NONE (0), MANUAL (1) or ENFORCED (2)",
			uint32(c.Checksum))
	}
	if c.Algorithm > AlgorithmBLAKE2b {
		return status.Errorf(status.Invalid, "algorithm %d of checksums is unknown: use DEFAULT (0), CRC32C (1) or "+
			"BLAKE2B (2)", uint32(c.Algorithm))
	}
	if c.Algorithm != AlgorithmDefault && c.Checksum == ChecksumNone {
		return status.Errorf(status.Invalid, "algorithm %s without checksums: set checksum to MANUAL or ENFORCED, or "+
			"leave the algorithm 0", c.Algorithm)
	}
	if c.Retention < 0 || c.Retention%time.Millisecond != 0 || c.Retention > maxRetention*time.Millisecond {
		return status.Errorf(status.Invalid, "retention %v: give whole milliseconds, at most %d, or 0 for ever",
			c.Retention,
			uint64(maxRetention))
	}
	return nil
}

// resolveZone sets the size of the flexible zone.
func (c *Config) resolveZone() error {
	if c.ZoneSize == 0 {
		c.ZoneSize = DefaultZoneSize
		if c.ZoneSchema != nil {
			c.ZoneSize = max(c.ZoneSize, c.ZoneSchema.Size)
		}
	}
	if c.ZoneSchema != nil && c.ZoneSize < c.ZoneSchema.Size {
		return status.Errorf(status.Invalid, "zone_size %d: a flexible zone of schema %s has %d bytes", c.ZoneSize,
			c.ZoneSchema.Name, c.ZoneSchema.Size)
	}
	if c.ZoneSchema != nil && c.ZoneSchema.Align > layout.CacheLine {
		return status.Errorf(status.Invalid, "the schema %s of the flexible zone has an alignment of %d, and the zone "+
			"has %d",
			c.ZoneSchema.Name, c.ZoneSchema.Align, layout.CacheLine)
	}
	if c.ZoneSize > maxZoneSize {
		return status.Errorf(status.Invalid, "zone_size %d is above the limit of %d bytes", c.ZoneSize,
			uint64(maxZoneSize))
	}
	return nil
}

// resolveAccess sets the permissions and checks the secret.
func (c *Config) resolveAccess() error {
	if c.Mode == 0 {
		c.Mode = defaultMode
	}
	if c.Mode&^0o666 != 0 || c.Mode&0o600 != 0o600 {
		return status.Errorf(status.Invalid, "mode 0%o: use permission bits within 0666 that include 0600, such as "+
			"0600, 0640 (the group may attach) or 0646 (everybody may)", c.Mode)
	}
	if len(c.Secret) > maxSecret {
		return status.Errorf(status.Invalid, "the secret has %d bytes, the limit is %d", len(c.Secret), maxSecret)
	}
	return nil
}

// batchFor returns how many more spare slots a block gets beyond those for the claim and the hazard
// pointers. One scan then serves many messages. Blocks with big slots get fewer.
func batchFor(slotSize uint64) uint32 {
	switch {
	case slotSize <= 64<<10:
		return 8
	case slotSize <= 1<<20:
		return 4
	}
	return 1
}

func (o ConsumerOptions) Resolved() (ConsumerOptions, error) {
	if o.Delivery > Latest {
		return o, status.Errorf(status.Invalid, "delivery %d is unknown: use DEFAULT (0), LOSSLESS (1), ORDERED (2) "+
			"or LATEST (3)",
			o.Delivery)
	}
	if o.SchemaMode > schema.Exact {
		return o, status.Errorf(status.Invalid, "schema mode %d is unknown: use COMPATIBLE (0) or EXACT (1)",
			o.SchemaMode)
	}
	var err error
	if o.Schema, err = Registered(o.Schema, o.Registered, o.Registry); err != nil {
		return o, err
	}
	if o.Wait < Forever {
		return o, status.Errorf(status.Invalid, "wait %v: use 0, Forever (-1) or a positive time", o.Wait)
	}
	if o.Start > StartOldest {
		return o, status.Errorf(status.Invalid, "start %d is unknown: use LATEST (0) or OLDEST (1)", o.Start)
	}
	if o.MaxPins == 0 {
		o.MaxPins = 1
	}
	if o.MaxPins > layout.MaxPins {
		return o, status.Errorf(status.Invalid, "max_pins %d is above the limit of %d", o.MaxPins, layout.MaxPins)
	}
	if o.Durable && o.Name == "" {
		return o, status.Errorf(status.Invalid, "a durable consumer needs a name, under which it comes back")
	}
	if len(o.Name) > layout.MaxRowNameLen {
		return o, status.Errorf(status.Invalid, "the consumer name has %d bytes, the limit is %d", len(o.Name),
			layout.MaxRowNameLen)
	}
	if len(o.Secret) > maxSecret {
		return o, status.Errorf(status.Invalid, "the secret has %d bytes, the limit is %d", len(o.Secret), maxSecret)
	}
	return o, nil
}
