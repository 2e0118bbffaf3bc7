package segment

import (
	"bytes"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"datablock/internal/core/status"

	"golang.org/x/crypto/blake2b"

	"datablock/internal/layout"
	"datablock/schema"
)

const (
	DefaultZoneSize   = layout.Page - layout.FlexHeader
	maxZoneSize       = 1 << 30
	defaultLogRecords = (layout.Page - layout.LogHeaderSize) / layout.LogRecordSize
)

// Header is the private copy of a block's immutable header. After validation nothing in it is read
// from shared memory again.
type Header struct {
	ID                BlockID
	Name              string
	Created           uint64
	SlotCount         uint32
	SpareSlots        uint32
	SlotBytes         uint64
	Alignment         uint64
	ConsumerLimit     uint32
	MinConsumers      uint32
	Policy            Policy
	Checksum          ChecksumPolicy
	Features          uint32
	Flags             uint32
	MessageSchemaText SchemaText
	ZoneSchemaText    SchemaText
	flexSize          uint64
	LogRecords        uint32
	retention         uint64
	secretHash        [layout.HashLen]byte

	// Values that follow from the fields above.
	crc *crc32.Table // of the checksums, nil: they are not CRC32C

	Stride, RingOffset, PayloadOffset, DataSize    uint64
	rowsOffset, FlexOffset, LogOffset, ControlSize uint64
}

func roundUp(n, to uint64) uint64 { return (n + to - 1) / to * to }

// Derive computes every offset and size. The limits on the fields keep all of it below 2^63.
func (h *Header) Derive() {
	h.crc = nil
	if h.Features&layout.FeatureCRC != 0 {
		h.crc = castagnoli()
	}
	h.MessageSchemaText.Offset = layout.SchemaRegion
	h.ZoneSchemaText.Offset = h.MessageSchemaText.Offset + roundUp(h.MessageSchemaText.Length, layout.CacheLine)
	h.RingOffset = roundUp(h.ZoneSchemaText.Offset+h.ZoneSchemaText.Length, layout.Page)
	slotsOffset := h.RingOffset + roundUp(8*uint64(h.SlotCount), layout.Page)
	h.PayloadOffset = roundUp(slotsOffset+layout.SlotHeader, h.Alignment)
	h.Stride = roundUp(h.SlotBytes+layout.SlotHeader, h.Alignment)
	h.DataSize = roundUp(h.PayloadOffset+uint64(h.Slots())*h.Stride, layout.Page)

	h.rowsOffset = layout.CtlRows
	h.FlexOffset = h.rowsOffset + roundUp(uint64(h.ConsumerLimit+1)*layout.RowSize, layout.Page)
	h.LogOffset = h.FlexOffset + roundUp(h.flexSize, layout.Page)
	h.ControlSize = h.LogOffset + roundUp(layout.LogHeaderSize+uint64(h.LogRecords)*layout.LogRecordSize, layout.Page)
}

// Slots returns how many slots there are, in the ring and spare.
func (h *Header) Slots() uint32 { return h.SlotCount + h.SpareSlots }

func (h *Header) Payload(slot uint32) uint64    { return h.PayloadOffset + uint64(slot)*h.Stride }
func (h *Header) SlotHeader(slot uint32) uint64 { return h.Payload(slot) - layout.SlotHeader }
func (h *Header) RowOffset(row uint32) uint64   { return h.rowsOffset + uint64(row)*layout.RowSize }

func NewHeader(l Location, id BlockID, created uint64, c Config) *Header {
	h := &Header{
		ID: id, Name: l.Name, Created: created,
		SlotCount: c.SlotCount, SpareSlots: c.SpareSlots, SlotBytes: c.SlotSize, Alignment: uint64(c.Alignment),
		ConsumerLimit: c.ConsumerLimit, MinConsumers: c.MinConsumers, Policy: c.Policy, Flags: c.stored(),
		Checksum: c.Checksum, Features: c.features(), retention: uint64(c.Retention / time.Millisecond),
		flexSize: layout.FlexHeader + c.ZoneSize, LogRecords: defaultLogRecords, secretHash: secretHash(id, c.Secret),
	}
	h.MessageSchemaText, h.ZoneSchemaText = textOf(c.Schema), textOf(c.ZoneSchema)
	h.Derive()
	return h
}

// knownFeatures are the features that this library knows.
const knownFeatures = layout.FeatureCRC | layout.FeatureReclaim

// major returns the lowest version that has what the block needs, so that every library that can
// read the block does.
func (h *Header) major() uint32 {
	if h.Features != 0 {
		return layout.FormatMajorFeatures
	}
	return layout.FormatMajor
}

// Algorithm returns how the checksums of the block are made.
func (h *Header) Algorithm() ChecksumAlgorithm {
	switch {
	case h.Checksum == ChecksumNone:
		return AlgorithmDefault
	case h.Features&layout.FeatureCRC != 0:
		return AlgorithmCRC32C
	}
	return AlgorithmBLAKE2b
}

// Reclaims reports whether the producer may reclaim messages before the ring laps.
func (h *Header) Reclaims() bool { return h.Features&layout.FeatureReclaim != 0 }

// secretHash is keyed BLAKE2b-256 of the block id, with the secret as the key. The zero hash stands
// for no secret. It detects a mix-up, and is no defence.
func secretHash(id BlockID, secret []byte) (sum [layout.HashLen]byte) {
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

func (h *Header) CheckSecret(secret []byte) error {
	want := secretHash(h.ID, secret)
	if subtle.ConstantTimeCompare(want[:], h.secretHash[:]) == 1 {
		return nil
	}
	switch {
	case len(secret) == 0:
		return status.Errorf(status.Secret, "block %q was created with a shared secret and none was given: give the "+
			"one its producer has", h.Name)
	case h.secretHash == [layout.HashLen]byte{}:
		return status.Errorf(status.Secret, "block %q was created without a shared secret and one was given: give "+
			"none, or look whether it is the right block", h.Name)
	}
	return status.Errorf(status.Secret, "block %q was created with another shared secret: give the one its producer "+
		"has, or look whether it is the right block", h.Name)
}

// Encode returns the immutable header as it is stored in the file.
func (h *Header) Encode() []byte {
	b := make([]byte, layout.ImmutableLen)
	put32 := func(at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
	put64 := func(at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }
	put64(layout.HdrMagic, layout.MagicData)
	put32(layout.HdrMajor, h.major())
	put32(layout.HdrMinor, layout.FormatMinor)
	put64(layout.HdrDataSize, h.DataSize)
	put64(layout.HdrControlSize, h.ControlSize)
	copy(b[layout.HdrBlockID:], h.ID[:])
	put64(layout.HdrCreated, h.Created)
	put32(layout.HdrSlotCount, h.SlotCount)
	put32(layout.HdrSpareSlots, h.SpareSlots)
	put64(layout.HdrSlotSize, h.SlotBytes)
	put64(layout.HdrStride, h.Stride)
	put64(layout.HdrAlignment, h.Alignment)
	put64(layout.HdrRingOffset, h.RingOffset)
	put64(layout.HdrPayloadOffset, h.PayloadOffset)
	put64(layout.HdrSchemaOffset, h.MessageSchemaText.Offset)
	for words, t := range h.schemas() {
		put64(words.length, t.Length)
		put32(words.major, t.Version.Major)
		put32(words.minor, t.Version.Minor)
		put32(words.patch, t.Version.Patch)
		copy(b[words.hash:], t.Hash[:])
	}
	put32(layout.HdrConsumerLimit, h.ConsumerLimit)
	put32(layout.HdrMinConsumers, h.MinConsumers)
	put32(layout.HdrPolicy, uint32(h.Policy))
	put32(layout.HdrChecksum, uint32(h.Checksum))
	put32(layout.HdrFeatures, h.Features)
	put32(layout.HdrFlags, h.Flags)
	put32(layout.HdrNameLen, uint32(len(h.Name)))
	put64(layout.HdrRowsOffset, h.rowsOffset)
	put64(layout.HdrFlexOffset, h.FlexOffset)
	put64(layout.HdrFlexSize, h.flexSize)
	put64(layout.HdrLogOffset, h.LogOffset)
	put32(layout.HdrLogRecords, h.LogRecords)
	copy(b[layout.HdrSecretHash:], h.secretHash[:])
	put64(layout.HdrRetention, h.retention)
	copy(b[layout.HdrName:], h.Name)
	sum := blake2b.Sum256(b[:layout.HdrHash])
	copy(b[layout.HdrHash:], sum[:])
	return b
}

// DecodeHeader validates a copy of the immutable header. Nothing in it counts before the hash and
// every bound agree.
func DecodeHeader(b []byte, what string) (*Header, error) {
	get32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	get64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	if get64(layout.HdrMagic) != layout.MagicData {
		return nil, status.Errorf(status.Corrupt, "%s is not a DataBlock file (it begins with %q): use another name, "+
			"or remove it if nobody needs it", what, b[:8])
	}
	major := get32(layout.HdrMajor)
	if major < layout.FormatMajor || major > layout.FormatMajorFeatures {
		return nil, status.Errorf(status.Version, "%s has format version %d.%d, this library reads versions %d and "+
			"%d: use a matching library", what, major, get32(layout.HdrMinor), layout.FormatMajor,
			layout.FormatMajorFeatures)
	}
	if sum := blake2b.Sum256(b[:layout.HdrHash]); !bytes.Equal(sum[:], b[layout.HdrHash:layout.ImmutableLen]) {
		return nil, status.Errorf(status.Corrupt, "%s: the header does not match its hash: it is damaged", what)
	}
	h := DecodeFields(b)
	if unknown := h.Features &^ knownFeatures; unknown != 0 && major == layout.FormatMajorFeatures {
		return nil, status.Errorf(status.Version, "%s has the features 0x%x, and this library does not know 0x%x of "+
			"them: use a newer library", what, h.Features, unknown)
	}
	if h.major() != major {
		return nil, status.Errorf(status.Corrupt, "%s: impossible header: features 0x%x in format version %d", what,
			h.Features, major)
	}
	if why := h.Implausible(); why != "" {
		return nil, status.Errorf(status.Corrupt, "%s: impossible header: %s", what, why)
	}
	h.Derive()
	for at, want := range map[int]uint64{
		layout.HdrDataSize: h.DataSize, layout.HdrControlSize: h.ControlSize, layout.HdrStride: h.Stride,
		layout.HdrRingOffset: h.RingOffset, layout.HdrPayloadOffset: h.PayloadOffset,
		layout.HdrSchemaOffset: h.MessageSchemaText.Offset,
		layout.HdrRowsOffset:   h.rowsOffset, layout.HdrFlexOffset: h.FlexOffset, layout.HdrLogOffset: h.LogOffset,
	} {
		if got := get64(at); got != want {
			return nil, status.Errorf(status.Corrupt, "%s: impossible header: the word at %d is %d, the geometry "+
				"gives %d", what, at,
				got, want)
		}
	}
	return h, nil
}

// DecodeFields returns the stored fields of an immutable header, whatever their values.
func DecodeFields(b []byte) *Header {
	get32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	get64 := func(at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	h := &Header{
		Created: get64(layout.HdrCreated), SlotCount: get32(layout.HdrSlotCount),
		SpareSlots: get32(layout.HdrSpareSlots),
		SlotBytes:  get64(layout.HdrSlotSize), Alignment: get64(layout.HdrAlignment),
		ConsumerLimit: get32(layout.HdrConsumerLimit),
		MinConsumers:  get32(layout.HdrMinConsumers), Policy: Policy(get32(layout.HdrPolicy)),
		Checksum: ChecksumPolicy(get32(layout.HdrChecksum)), Features: get32(layout.HdrFeatures),
		Flags: get32(layout.HdrFlags), flexSize: get64(layout.HdrFlexSize),
		LogRecords: get32(layout.HdrLogRecords), retention: get64(layout.HdrRetention),
	}
	for words, t := range h.schemas() {
		t.Length = get64(words.length)
		t.Version = schema.Version{Major: get32(words.major), Minor: get32(words.minor), Patch: get32(words.patch)}
		copy(t.Hash[:], b[words.hash:])
	}
	copy(h.ID[:], b[layout.HdrBlockID:])
	copy(h.secretHash[:], b[layout.HdrSecretHash:])
	if n := get32(layout.HdrNameLen); n <= layout.MaxNameLen {
		h.Name = string(b[layout.HdrName : layout.HdrName+n])
	}
	return h
}

// Implausible compares every stored field with the limits that creation keeps, so that derive
// cannot overflow.
func (h *Header) Implausible() string {
	const megabyte = 1 << 20
	switch {
	case h.SlotCount < 1 || h.SlotCount > layout.MaxSlotCount:
		return fmt.Sprintf("%d slots in the ring", h.SlotCount)
	case h.SpareSlots < minSpare || uint64(h.SlotCount)+uint64(h.SpareSlots) > layout.MaxSlots:
		return fmt.Sprintf("%d spare slots", h.SpareSlots)
	case h.SlotBytes < 1 || h.SlotBytes > layout.MaxSlotSize:
		return fmt.Sprintf("slots of %d bytes", h.SlotBytes)
	case h.Alignment < layout.CacheLine || h.Alignment > layout.MaxAlignment || h.Alignment&(h.Alignment-1) != 0:
		return fmt.Sprintf("an alignment of %d", h.Alignment)
	case h.ConsumerLimit < 1 || h.ConsumerLimit > layout.MaxConsumers:
		return fmt.Sprintf("%d consumer rows", h.ConsumerLimit)
	case h.Policy < Single || h.Policy > Ring:
		return fmt.Sprintf("policy %d", h.Policy)
	case h.retention > maxRetention:
		return fmt.Sprintf("a retention of %d ms", h.retention)
	case h.Checksum > ChecksumEnforced:
		return fmt.Sprintf("checksum policy %d", uint32(h.Checksum))
	case h.Checksum == ChecksumNone && h.Features&layout.FeatureCRC != 0:
		return "CRC32C without checksums"
	case h.Reclaims() && h.Flags&AllowLossless == 0:
		return "reclaimed messages without LOSSLESS consumers"
	case h.Reclaims() && h.Slots() > layout.SlotReclaimed:
		return fmt.Sprintf("%d slots, and reclaimed messages", h.Slots())
	case h.MessageSchemaText.Length > schema.MaxText, h.ZoneSchemaText.Length > schema.MaxText,
		h.flexSize > layout.FlexHeader+maxZoneSize, h.flexSize < layout.CacheLine, h.LogRecords < 1,
		h.LogRecords > megabyte:
		return "a region size out of range"
	case !h.MessageSchemaText.whole(), !h.ZoneSchemaText.whole():
		return "a schema without a hash, or a hash without a schema"
	case BadName(h.Name) != "":
		return "its name " + BadName(h.Name)
	}
	return ""
}

// Difference lists where a producer's wishes and an existing block disagree. "" means that the
// producer can take the block over.
func (h *Header) Difference(c Config) string {
	var d []string
	add := func(field string, have, want any) {
		if have != want {
			d = append(d, fmt.Sprintf("%s %v, asked for %v", field, have, want))
		}
	}
	add("policy", h.Policy.String(), c.Policy.String())
	add("slot_count", h.SlotCount, c.SlotCount)
	add("spare_slots", h.SpareSlots, c.SpareSlots)
	add("slot_size", h.SlotBytes, c.SlotSize)
	add("alignment", h.Alignment, uint64(c.Alignment))
	add("consumer_limit", h.ConsumerLimit, c.ConsumerLimit)
	add("min_consumers", h.MinConsumers, c.MinConsumers)
	add("checksum", h.Checksum.String(), c.Checksum.String())
	if c.Algorithm != AlgorithmDefault {
		add("algorithm", h.Algorithm().String(), c.Algorithm.String())
	}
	add("retention", time.Duration(h.retention)*time.Millisecond, c.Retention)
	add("zone_size", h.flexSize-layout.FlexHeader, c.ZoneSize)
	if c.Policy != Ring || c.Flags&(AllowLossless|ForbidLossless) != 0 { // a Ring without either flag accepts both
		add("allow_lossless", h.Flags&AllowLossless != 0, c.stored()&AllowLossless != 0)
	}
	add("timestamp", h.Flags&Timestamp != 0, c.Flags&Timestamp != 0)
	add("reclaim", h.Reclaims(), c.Flags&Reclaim != 0)
	return strings.Join(d, "; ")
}

func (h *Header) LogRecord(record uint32) uint64 {
	return h.LogOffset + layout.LogHeaderSize + uint64(record)*layout.LogRecordSize
}
