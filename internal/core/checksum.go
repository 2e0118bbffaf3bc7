package core

import (
	"bytes"

	"golang.org/x/crypto/blake2b"

	"datablock/internal/layout"
)

// slotChecksum is where a slot has the BLAKE2b-256 of its payload; zeros stand for none.
func (b *block) slotChecksum(slot uint32) []byte {
	at := b.slotHeader(slot) + layout.SlotChecksum
	return b.data[at : at+layout.HashLen]
}

func (b *block) sum(slot uint32, length uint64) [layout.HashLen]byte {
	at := b.payload(slot)
	return blake2b.Sum256(b.data[at : at+length])
}

// seal stores the checksum of what is to be committed. Plain stores, published with the message.
func (p *Producer) seal(length int) {
	sum := p.sum(p.slot, uint64(length))
	copy(p.slotChecksum(p.slot), sum[:])
}

// intact reports whether a message that is held matches its checksum.
func (b *block) intact(slot uint32, length uint64) bool {
	sum := b.sum(slot, length)
	return bytes.Equal(sum[:], b.slotChecksum(slot))
}

func (c *Consumer) notIntact(id, length uint64) error {
	return fail(Checksum, "block %q: the %d bytes of message %d do not match their checksum: they were changed after the commit, discard them", c.name(), length, id)
}

// Seal gives the claimed slot the checksum of its first length bytes, for a block with MANUAL checksums; a commit of that length publishes it. Errors: Invalid.
func (p *Producer) Seal(s WriteSlot, length int) error {
	if !p.isOpen(s.ID, s.Index) {
		return p.notOpen(s.ID, s.Index)
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

// Verify compares a held message with its checksum. Errors: Checksum, Invalid (not held; the block or the message has none).
func (c *Consumer) Verify(s ReadSlot) error {
	if c.find(s.ID, s.Index, s.Token) == nil && !c.covered(s) {
		return c.notHeld(s.ID)
	}
	if c.checksum == ChecksumNone || bytes.Equal(c.slotChecksum(s.Index), make([]byte, layout.HashLen)) {
		return fail(Invalid, "block %q: message %d has no checksum: its producer was not asked for one", c.name(), s.ID)
	}
	length := min(c.slotWords(s.Index)[layout.SlotLength/8], c.slotSize)
	if !c.intact(s.Index, length) {
		*c.hot.checksums++
		return fail(Checksum, "block %q: the %d bytes of message %d do not match their checksum: they were changed after the commit, discard them", c.name(), length, s.ID)
	}
	return nil
}
