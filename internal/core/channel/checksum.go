package channel

import (
	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/layout"
)

func (c *Consumer) notIntact(id, length uint64) error {
	return status.Errorf(status.Checksum, "block %q: the %d bytes of message %d do not match their checksum: they "+
		"were changed after the commit, discard them", c.BlockName(), length, id)
}

// Seal gives the claimed slot the checksum of its first length bytes, for a block with MANUAL
// checksums. A commit of that length publishes the checksum. Errors: Invalid.
func (p *Producer) Seal(s WriteSlot, length int) error { return p.SealSlot(s.id, s.Index(), length) }

// SealSlot is Seal of the slot with that index, claimed for that id.
func (p *Producer) SealSlot(id uint64, index uint32, length int) error {
	if !p.isOpen(id, index) {
		return p.notOpen(id, index)
	}
	if p.Checksum == segment.ChecksumNone {
		return status.Errorf(status.Invalid, "block %q has no checksums: create it with checksum MANUAL or ENFORCED",
			p.BlockName())
	}
	if length < 0 || uint64(length) > p.SlotBytes {
		return status.Errorf(status.Invalid, "block %q: a length of %d exceeds the slot's %d bytes", p.BlockName(),
			length, p.SlotBytes)
	}
	p.Segment.Seal(p.slot, p.next, uint64(length))
	return nil
}

// Verify compares a held message with its checksum. Errors: Checksum, Invalid (not held; the block
// or the message has none).
func (c *Consumer) Verify(s ReadSlot) error { return c.VerifyHold(s.id, s.Index(), s.Token()) }

// VerifyHold is Verify of the message with that id, in the slot with that index, by the hold with
// that token.
func (c *Consumer) VerifyHold(id uint64, index, token uint32) error {
	if c.find(id, index, token) == nil && c.coveredByBatch(id, index, token) == nil {
		return c.notHeld(id)
	}
	if !c.HasChecksum(index) {
		return status.Errorf(status.Invalid, "block %q: message %d has no checksum: its producer was not asked for one",
			c.BlockName(), id)
	}
	length := min(c.SlotWords(index)[layout.SlotLength/8], c.SlotBytes)
	if !c.Intact(index, id, length) {
		if !c.ownsRow() { // without a row nothing keeps the producer from reusing the slot
			return c.fenced()
		}
		*c.hot.checksums++
		return c.notIntact(id, length)
	}
	return nil
}
