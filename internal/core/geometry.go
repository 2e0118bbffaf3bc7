package core

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/blake2b"

	"datablock/internal/layout"
	"datablock/internal/schema"
)

const (
	defaultZoneSize   = layout.Page - layout.FlexHeader
	maxZoneSize       = 1 << 30
	defaultLogRecords = (layout.Page - layout.LogHeaderSize) / layout.LogRecordSize
)

// header is the private copy of a block's immutable header. After validation nothing in it is read
// from shared memory again.
type header struct {
	id            blockID
	name          string
	created       uint64
	slotCount     uint32
	spareSlots    uint32
	slotSize      uint64
	alignment     uint64
	consumerLimit uint32
	minConsumers  uint32
	policy        Policy
	checksum      ChecksumPolicy
	flags         uint32
	messageSchema schemaText
	zoneSchema    schemaText
	flexSize      uint64
	logRecords    uint32
	retention     uint64
	secretHash    [layout.HashLen]byte

	// Values that follow from the fields above.
	stride, ringOffset, payloadOffset, dataSize    uint64
	rowsOffset, flexOffset, logOffset, controlSize uint64
}

func roundUp(n, to uint64) uint64 { return (n + to - 1) / to * to }

// derive computes every offset and size. The limits on the fields keep all of it below 2^63.
func (h *header) derive() {
	h.messageSchema.offset = layout.SchemaRegion
	h.zoneSchema.offset = h.messageSchema.offset + roundUp(h.messageSchema.length, layout.CacheLine)
	h.ringOffset = roundUp(h.zoneSchema.offset+h.zoneSchema.length, layout.Page)
	slotsOffset := h.ringOffset + roundUp(8*uint64(h.slotCount), layout.Page)
	h.payloadOffset = roundUp(slotsOffset+layout.SlotHeader, h.alignment)
	h.stride = roundUp(h.slotSize+layout.SlotHeader, h.alignment)
	h.dataSize = roundUp(h.payloadOffset+uint64(h.slots())*h.stride, layout.Page)

	h.rowsOffset = layout.CtlRows
	h.flexOffset = h.rowsOffset + roundUp(uint64(h.consumerLimit+1)*layout.RowSize, layout.Page)
	h.logOffset = h.flexOffset + roundUp(h.flexSize, layout.Page)
	h.controlSize = h.logOffset + roundUp(layout.LogHeaderSize+uint64(h.logRecords)*layout.LogRecordSize, layout.Page)
}

// slots returns how many slots there are, in the ring and spare.
func (h *header) slots() uint32 { return h.slotCount + h.spareSlots }

func (h *header) payload(slot uint32) uint64    { return h.payloadOffset + uint64(slot)*h.stride }
func (h *header) slotHeader(slot uint32) uint64 { return h.payload(slot) - layout.SlotHeader }
func (h *header) row(row uint32) uint64         { return h.rowsOffset + uint64(row)*layout.RowSize }

func newHeader(l location, id blockID, created uint64, c Config) *header {
	h := &header{
		id: id, name: l.name, created: created,
		slotCount: c.SlotCount, spareSlots: c.SpareSlots, slotSize: c.SlotSize, alignment: uint64(c.Alignment),
		consumerLimit: c.ConsumerLimit, minConsumers: c.MinConsumers, policy: c.Policy, flags: c.stored(),
		checksum: c.Checksum, retention: uint64(c.Retention / time.Millisecond),
		flexSize: layout.FlexHeader + c.ZoneSize, logRecords: defaultLogRecords, secretHash: secretHash(id, c.Secret),
	}
	h.messageSchema, h.zoneSchema = textOf(c.Schema), textOf(c.ZoneSchema)
	h.derive()
	return h
}

// secretHash is keyed BLAKE2b-256 of the block id, with the secret as the key. The zero hash stands
// for no secret. It detects a mix-up, and is no defence.
func secretHash(id blockID, secret []byte) (sum [layout.HashLen]byte) {
	if len(secret) == 0 {
		return sum
	}
	key := blake2b.Sum256(secret)
	mac, err := blake2b.New256(key[:])
	if err != nil {
		panic(err) // only a key longer than 64 bytes is refused
	}
	mac.Write(id[:])
	copy(sum[:], mac.Sum(nil))
	return sum
}

func (h *header) checkSecret(secret []byte) error {
	want := secretHash(h.id, secret)
	if subtle.ConstantTimeCompare(want[:], h.secretHash[:]) == 1 {
		return nil
	}
	switch {
	case len(secret) == 0:
		return fail(Secret, "block %q was created with a shared secret and none was given: give the one its "+
			"producer has", h.name)
	case h.secretHash == [layout.HashLen]byte{}:
		return fail(Secret, "block %q was created without a shared secret and one was given: give none, or look "+
			"whether it is the right block", h.name)
	}
	return fail(Secret, "block %q was created with another shared secret: give the one its producer has, or look "+
		"whether it is the right block", h.name)
}

// encode returns the immutable header as it is stored in the file.
func (h *header) encode() []byte {
	b := make([]byte, layout.ImmutableLen)
	put32 := func(at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
	put64 := func(at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }
	put64(layout.HdrMagic, layout.MagicData)
	put32(layout.HdrMajor, layout.FormatMajor)
	put32(layout.HdrMinor, layout.FormatMinor)
	put64(layout.HdrDataSize, h.dataSize)
	put64(layout.HdrControlSize, h.controlSize)
	copy(b[layout.HdrBlockID:], h.id[:])
	put64(layout.HdrCreated, h.created)
	put32(layout.HdrSlotCount, h.slotCount)
	put32(layout.HdrSpareSlots, h.spareSlots)
	put64(layout.HdrSlotSize, h.slotSize)
	put64(layout.HdrStride, h.stride)
	put64(layout.HdrAlignment, h.alignment)
	put64(layout.HdrRingOffset, h.ringOffset)
	put64(layout.HdrPayloadOffset, h.payloadOffset)
	put64(layout.HdrSchemaOffset, h.messageSchema.offset)
	for words, t := range h.schemas() {
		put64(words.length, t.length)
		put32(words.major, t.version.Major)
		put32(words.minor, t.version.Minor)
		put32(words.patch, t.version.Patch)
		copy(b[words.hash:], t.hash[:])
	}
	put32(layout.HdrConsumerLimit, h.consumerLimit)
	put32(layout.HdrMinConsumers, h.minConsumers)
	put32(layout.HdrPolicy, uint32(h.policy))
	put32(layout.HdrChecksum, uint32(h.checksum))
	put32(layout.HdrFlags, h.flags)
	put32(layout.HdrNameLen, uint32(len(h.name)))
	put64(layout.HdrRowsOffset, h.rowsOffset)
	put64(layout.HdrFlexOffset, h.flexOffset)
	put64(layout.HdrFlexSize, h.flexSize)
	put64(layout.HdrLogOffset, h.logOffset)
	put32(layout.HdrLogRecords, h.logRecords)
	copy(b[layout.HdrSecretHash:], h.secretHash[:])
	put64(layout.HdrRetention, h.retention)
	copy(b[layout.HdrName:], h.name)
	sum := blake2b.Sum256(b[:layout.HdrHash])
	copy(b[layout.HdrHash:], sum[:])
	return b
}

// decode validates a copy of the immutable header. Nothing in it counts before the hash and every
// bound agree.
func decode(b []byte, what string) (*header, error) {
	get32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	get64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	if get64(layout.HdrMagic) != layout.MagicData {
		return nil, fail(Corrupt, "%s is not a DataBlock file (it begins with %q): use another name, or remove it if "+
			"nobody needs it", what, b[:8])
	}
	if major := get32(layout.HdrMajor); major != layout.FormatMajor {
		return nil, fail(Version, "%s has format version %d.%d, this library reads version %d: use a matching library",
			what, major, get32(layout.HdrMinor), layout.FormatMajor)
	}
	if sum := blake2b.Sum256(b[:layout.HdrHash]); !bytes.Equal(sum[:], b[layout.HdrHash:layout.ImmutableLen]) {
		return nil, fail(Corrupt, "%s: the header does not match its hash: it is damaged", what)
	}
	h := fields(b)
	if why := h.implausible(); why != "" {
		return nil, fail(Corrupt, "%s: impossible header: %s", what, why)
	}
	h.derive()
	for at, want := range map[int]uint64{
		layout.HdrDataSize: h.dataSize, layout.HdrControlSize: h.controlSize, layout.HdrStride: h.stride,
		layout.HdrRingOffset: h.ringOffset, layout.HdrPayloadOffset: h.payloadOffset,
		layout.HdrSchemaOffset: h.messageSchema.offset,
		layout.HdrRowsOffset:   h.rowsOffset, layout.HdrFlexOffset: h.flexOffset, layout.HdrLogOffset: h.logOffset,
	} {
		if got := get64(at); got != want {
			return nil, fail(Corrupt, "%s: impossible header: the word at %d is %d, the geometry gives %d", what, at,
				got, want)
		}
	}
	return h, nil
}

// fields returns the stored fields of an immutable header, whatever their values.
func fields(b []byte) *header {
	get32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	get64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	h := &header{
		created: get64(layout.HdrCreated), slotCount: get32(layout.HdrSlotCount),
		spareSlots: get32(layout.HdrSpareSlots),
		slotSize:   get64(layout.HdrSlotSize), alignment: get64(layout.HdrAlignment),
		consumerLimit: get32(layout.HdrConsumerLimit),
		minConsumers:  get32(layout.HdrMinConsumers), policy: Policy(get32(layout.HdrPolicy)),
		checksum: ChecksumPolicy(get32(layout.HdrChecksum)),
		flags:    get32(layout.HdrFlags), flexSize: get64(layout.HdrFlexSize),
		logRecords: get32(layout.HdrLogRecords), retention: get64(layout.HdrRetention),
	}
	for words, t := range h.schemas() {
		t.length = get64(words.length)
		t.version = schema.Version{Major: get32(words.major), Minor: get32(words.minor), Patch: get32(words.patch)}
		copy(t.hash[:], b[words.hash:])
	}
	copy(h.id[:], b[layout.HdrBlockID:])
	copy(h.secretHash[:], b[layout.HdrSecretHash:])
	if n := get32(layout.HdrNameLen); n <= layout.MaxNameLen {
		h.name = string(b[layout.HdrName : layout.HdrName+n])
	}
	return h
}

// implausible compares every stored field with the limits that creation keeps, so that derive
// cannot overflow.
func (h *header) implausible() string {
	const megabyte = 1 << 20
	switch {
	case h.slotCount < 1 || h.slotCount > layout.MaxSlotCount:
		return fmt.Sprintf("%d slots in the ring", h.slotCount)
	case h.spareSlots < minSpare || uint64(h.slotCount)+uint64(h.spareSlots) > layout.MaxSlots:
		return fmt.Sprintf("%d spare slots", h.spareSlots)
	case h.slotSize < 1 || h.slotSize > layout.MaxSlotSize:
		return fmt.Sprintf("slots of %d bytes", h.slotSize)
	case h.alignment < layout.CacheLine || h.alignment > layout.MaxAlignment || h.alignment&(h.alignment-1) != 0:
		return fmt.Sprintf("an alignment of %d", h.alignment)
	case h.consumerLimit < 1 || h.consumerLimit > layout.MaxConsumers:
		return fmt.Sprintf("%d consumer rows", h.consumerLimit)
	case h.policy < Single || h.policy > Ring:
		return fmt.Sprintf("policy %d", h.policy)
	case h.retention > maxRetention:
		return fmt.Sprintf("a retention of %d ms", h.retention)
	case h.checksum > ChecksumEnforced:
		return fmt.Sprintf("checksum policy %d", uint32(h.checksum))
	case h.messageSchema.length > schema.MaxText, h.zoneSchema.length > schema.MaxText,
		h.flexSize > layout.FlexHeader+maxZoneSize, h.flexSize < layout.CacheLine, h.logRecords < 1,
		h.logRecords > megabyte:
		return "a region size out of range"
	case !h.messageSchema.whole(), !h.zoneSchema.whole():
		return "a schema without a hash, or a hash without a schema"
	case badName(h.name) != "":
		return "its name " + badName(h.name)
	}
	return ""
}

// difference lists where a producer's wishes and an existing block disagree. "" means that the
// producer can take the block over.
func (h *header) difference(c Config) string {
	var d []string
	add := func(field string, have, want any) {
		if have != want {
			d = append(d, fmt.Sprintf("%s %v, asked for %v", field, have, want))
		}
	}
	add("policy", h.policy.String(), c.Policy.String())
	add("slot_count", h.slotCount, c.SlotCount)
	add("spare_slots", h.spareSlots, c.SpareSlots)
	add("slot_size", h.slotSize, c.SlotSize)
	add("alignment", h.alignment, uint64(c.Alignment))
	add("consumer_limit", h.consumerLimit, c.ConsumerLimit)
	add("min_consumers", h.minConsumers, c.MinConsumers)
	add("checksum", h.checksum.String(), c.Checksum.String())
	add("retention", time.Duration(h.retention)*time.Millisecond, c.Retention)
	add("zone_size", h.flexSize-layout.FlexHeader, c.ZoneSize)
	if c.Policy != Ring || c.Flags&(AllowLossless|ForbidLossless) != 0 { // a Ring without either flag accepts both
		add("allow_lossless", h.flags&AllowLossless != 0, c.stored()&AllowLossless != 0)
	}
	add("timestamp", h.flags&Timestamp != 0, c.Flags&Timestamp != 0)
	return strings.Join(d, "; ")
}
