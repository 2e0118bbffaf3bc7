package core

import (
	"bytes"

	"golang.org/x/crypto/blake2b"

	"datablock/internal/layout"
)

// slotChecksum returns where a slot has the BLAKE2b-256 of its payload. Zeros stand for no
// checksum.
func (b *block) slotChecksum(slot uint32) []byte {
	at := b.slotHeader(slot) + layout.SlotChecksum
	return b.data[at : at+layout.HashLen]
}

func (b *block) sum(slot uint32, length uint64) [layout.HashLen]byte {
	at := b.payload(slot)
	return blake2b.Sum256(b.data[at : at+length])
}

// seal stores the checksum of what is to be committed. The stores are plain, and published with the
// message.
func (p *Producer) seal(length int) {
	sum := p.sum(p.slot, uint64(length))
	copy(p.slotChecksum(p.slot), sum[:])
}

// intact reports whether a held message matches its checksum.
func (b *block) intact(slot uint32, length uint64) bool {
	sum := b.sum(slot, length)
	return bytes.Equal(sum[:], b.slotChecksum(slot))
}

func (c *Consumer) notIntact(id, length uint64) error {
	return fail(Checksum, "block %q: the %d bytes of message %d do not match their checksum: they were changed after "+
		"the commit, discard them", c.name(), length, id)
}

// Seal gives the claimed slot the checksum of its first length bytes, for a block with MANUAL
// checksums. A commit of that length publishes the checksum. Errors: Invalid.
func (p *Producer) Seal(s WriteSlot, length int) error { return p.SealSlot(s.id, s.Index(), length) }

// SealSlot is Seal of the slot with that index, claimed for that id.
func (p *Producer) SealSlot(id uint64, index uint32, length int) error {
	if !p.isOpen(id, index) {
		return p.notOpen(id, index)
	}
	if p.checksum == ChecksumNone {
		return fail(Invalid, "block %q has no checksums: create it with checksum MANUAL or ENFORCED", p.name())
	}
	if length < 0 || uint64(length) > p.slotSize {
		return fail(Invalid, "block %q: a length of %d exceeds the slot's %d bytes", p.name(), length, p.slotSize)
	}
	p.seal(length)
	return nil
}

// Verify compares a held message with its checksum. Errors: Checksum, Invalid (not held; the block
// or the message has none).
func (c *Consumer) Verify(s ReadSlot) error { return c.VerifyHold(s.id, s.Index(), s.Token()) }

// VerifyHold is Verify of the message with that id, in the slot with that index, by the hold with
// that token.
func (c *Consumer) VerifyHold(id uint64, index, token uint32) error {
	if c.find(id, index, token) == nil && c.covered(id, index, token) == nil {
		return c.notHeld(id)
	}
	if c.checksum == ChecksumNone || bytes.Equal(c.slotChecksum(index), make([]byte, layout.HashLen)) {
		return fail(Invalid, "block %q: message %d has no checksum: its producer was not asked for one", c.name(), id)
	}
	length := min(c.slotWords(index)[layout.SlotLength/8], c.slotSize)
	if !c.intact(index, length) {
		*c.hot.checksums++
		return c.notIntact(id, length)
	}
	return nil
}
