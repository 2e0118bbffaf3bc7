package segment

import (
	"encoding/binary"
	"hash/crc32"
	"sync"

	"golang.org/x/crypto/blake2b"

	"datablock/internal/layout"
)

// castagnoli is made by the first block that needs it: its making takes a part of a millisecond.
var castagnoli = sync.OnceValue(func() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) })

// SlotSum is the checksum of a message, as the header of its slot has it. Zeros stand for no
// checksum.
type SlotSum = [layout.HashLen]byte

// SlotChecksum returns where a slot has the checksum of its message.
func (b *Segment) SlotChecksum(slot uint32) []byte {
	at := b.SlotHeader(slot) + layout.SlotChecksum
	return b.Data[at : at+layout.HashLen]
}

// SumOf returns the checksum of a message of the block. CRC32C is of the payload alone, and the id
// and the length are beside it: a header with another message's payload does not match.
func (h *Header) SumOf(id uint64, payload []byte) SlotSum {
	if h.crc == nil {
		return blake2b.Sum256(payload)
	}
	var sum SlotSum
	binary.LittleEndian.PutUint64(sum[layout.CRCPayload:], uint64(crc32.Checksum(payload, h.crc)))
	binary.LittleEndian.PutUint64(sum[layout.CRCMessage:], id+1)
	binary.LittleEndian.PutUint64(sum[layout.CRCLength:], uint64(len(payload)))
	return sum
}

// Seal stores the checksum of a message that is about to be published. The stores are plain, and
// published with the message.
func (b *Segment) Seal(slot uint32, id, length uint64) {
	at := b.Payload(slot)
	sum := b.SumOf(id, b.Data[at:at+length])
	copy(b.SlotChecksum(slot), sum[:])
}

// Intact reports whether a held message matches its checksum.
func (b *Segment) Intact(slot uint32, id, length uint64) bool {
	at := b.Payload(slot)
	return b.SumOf(id, b.Data[at:at+length]) == SlotSum(b.SlotChecksum(slot))
}

// HasChecksum reports whether the message in a slot has a checksum.
func (b *Segment) HasChecksum(slot uint32) bool {
	return b.Checksum == ChecksumEnforced ||
		b.Checksum == ChecksumManual && SlotSum(b.SlotChecksum(slot)) != SlotSum{}
}
