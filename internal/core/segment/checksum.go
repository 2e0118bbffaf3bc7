package segment

import (
	"bytes"

	"golang.org/x/crypto/blake2b"

	"datablock/internal/layout"
)

// SlotChecksum returns where a slot has the BLAKE2b-256 of its payload. Zeros stand for no
// checksum.
func (b *Segment) SlotChecksum(slot uint32) []byte {
	at := b.SlotHeader(slot) + layout.SlotChecksum
	return b.Data[at : at+layout.HashLen]
}

func (b *Segment) SlotSum(slot uint32, length uint64) [layout.HashLen]byte {
	at := b.Payload(slot)
	return blake2b.Sum256(b.Data[at : at+length])
}

// Intact reports whether a held message matches its checksum.
func (b *Segment) Intact(slot uint32, length uint64) bool {
	sum := b.SlotSum(slot, length)
	return bytes.Equal(sum[:], b.SlotChecksum(slot))
}
