package channel

import (
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/layout"
)

// NextBatch is Next for as many messages as are there already, up to len(out). It waits for the
// first message only, and reports how many messages it took. They are held until ReleaseBatch.
//
// LOSSLESS: one hold covers the whole batch, however long, and its end moves the cursor once.
// ORDERED: each message takes one of max_pins. LATEST: there is only one newest message. A message
// that would be an error (LOST, CHECKSUM, overtaken) ends the batch before it, and the next call
// returns that error. Errors: as Next, and nothing is held then.
func (c *Consumer) NextBatch(timeout time.Duration, out []ReadSlot) (int, error) {
	if len(out) == 0 {
		return 0, status.Errorf(status.Invalid, "block %q: a batch of no messages was asked for", c.BlockName())
	}
	first, err := c.Next(timeout)
	if err != nil {
		return 0, err
	}
	out[0] = first
	return 1 + c.More(first.id, first.Index(), first.Token(), out[1:]), nil
}

// More adds the messages that follow the first message of a batch, which is held, without waiting.
// The messages that the hold of the first one covers have its token.
func (c *Consumer) More(id uint64, index, token uint32, out []ReadSlot) int {
	h := c.find(id, index, token)
	if h == nil || c.Data == nil || c.delivery == segment.Latest {
		return 0
	}
	covers := c.delivery == segment.Lossless && !h.pinned
	n := 0
	for n < len(out) && c.appendNext(covers, &out[n]) {
		if covers {
			out[n].setToken(token)
			h.more++
		}
		n++
	}
	c.invariant()
	return n
}

// appendNext takes message c.next, if the message comes without an error or a gap.
func (c *Consumer) appendNext(covered bool, out *ReadSlot) bool {
	if !covered && c.held >= c.maxPins || !c.ownsRow() {
		return false
	}
	scan := c.ScanEpoch.Load()
	v := c.Entry(c.next).Load() // acquire; pairs with Producer.Commit
	if layout.EntryEmpty(v) || layout.EntryID(v, c.next) != c.next || v&layout.EntryLost != 0 {
		return false
	}
	h := &hold{id: c.next, slot: layout.EntrySlot(v)}
	if !covered {
		var ok bool
		if h, ok = c.hold(scan, v, c.next); !ok {
			return false
		}
	}
	header, length, ok := c.isIntact(h)
	if !ok {
		c.endHold(h)
		return false
	}
	c.next++
	c.count(length)
	*out = slotOf(header, h.id, length, h.slot, 0)
	if !covered {
		h.inOrder = true
		c.begin(h, header, out)
		c.losses = 0
	}
	return true
}

// coveredByBatch returns the hold of an earlier message that covers this message of a batch, or
// nil.
func (c *Consumer) coveredByBatch(id uint64, index, token uint32) *hold {
	for k := range c.holds[:c.maxPins] {
		if h := &c.holds[k]; h.used != unused && h.token == token && h.id < id && id <= h.id+uint64(h.more) {
			v := c.Entry(id).Load()
			if layout.EntryID(v, id) == id && layout.EntrySlot(v) == index && index < c.Slots() {
				return h
			}
			return nil
		}
	}
	return nil
}

// isIntact reports whether deliver would hand the message out.
func (c *Consumer) isIntact(h *hold) (header *segment.SlotWords, length uint64, ok bool) {
	if h.slot >= c.Slots() {
		return nil, 0, false
	}
	header = c.SlotWords(h.slot)
	length = header[layout.SlotLength/8]
	return header, length, header[layout.SlotID/8] == h.id && length <= c.SlotBytes &&
		(c.Checksum != segment.ChecksumEnforced || c.Intact(h.slot, h.id, length))
}

// ReleaseBatch ends the given messages of a batch, and returns the error of the first message that
// had one. Of the messages that a single hold covers, the caller may give the first ones: the rest
// stays held.
// Errors: as Release.
func (c *Consumer) ReleaseBatch(batch []ReadSlot) (err error) {
	for len(batch) > 0 {
		n := 1
		for n < len(batch) && batch[n].Token() == batch[0].Token() && batch[n].id == batch[0].id+uint64(n) {
			n++
		}
		if e := c.ReleaseFirst(batch[0].id, batch[0].Index(), batch[0].Token(), uint64(n)); e != nil && err == nil {
			err = e
		}
		batch = batch[n:]
	}
	return err
}

// ReleaseFirst releases the first messages that a hold covers, from the message with that id on.
// The rest stays held. Errors: as Release; Invalid also if the hold covers fewer messages, because
// the last ones were undone. What it covers is then released.
func (c *Consumer) ReleaseFirst(id uint64, index, token uint32, messages uint64) error {
	h := c.find(id, index, token)
	switch {
	case h == nil && c.Data != nil && c.coveredByBatch(id, index, token) != nil:
		return status.Errorf(status.Invalid, "block %q: a LOSSLESS consumer ends its messages in order: end message "+
			"%d before %d",
			c.BlockName(), c.firstInOrder(), id)
	case h == nil || messages == uint64(h.more)+1:
		return c.ReleaseHold(id, index, token)
	case messages > uint64(h.more):
		beyond := id + uint64(h.more) + 1
		if err := c.ReleaseHold(id, index, token); err != nil {
			return err
		}
		return c.notHeld(beyond)
	case c.held > 1 && h.id != c.firstInOrder():
		return status.Errorf(status.Invalid, "block %q: a LOSSLESS consumer ends its messages in order: end message "+
			"%d before %d",
			c.BlockName(), c.firstInOrder(), h.id)
	}
	return c.shrink(h, messages)
}

// shrink ends the first messages of a batch: its hold becomes the hold of the rest.
func (c *Consumer) shrink(h *hold, messages uint64) error {
	first := h.id + messages
	slot := layout.EntrySlot(c.Entry(first).Load())
	there := slot < c.Slots() && c.SlotWords(slot)[layout.SlotID/8] == first
	if !there || !c.ownsRow() || c.reused(h) {
		if err := c.finish(h); err != nil {
			return err
		}
		return c.invalidatedHoldError(&hold{id: first, slot: slot}, true)
	}
	h.id, h.slot, h.claim, h.more = first, slot, c.SlotWords(slot)[layout.SlotClaim/8], h.more-uint32(messages)
	c.advance(c.due())
	c.invariant()
	return nil
}

// Write claims, copies and commits. It waits as Claim does. Errors: as Claim and Commit, and
// Invalid if the message exceeds the slot, or is shorter than the schema's struct.
func (p *Producer) Write(data []byte, timeout time.Duration) (id uint64, err error) {
	if uint64(len(data)) > p.SlotBytes {
		return 0, status.Errorf(status.Invalid, "block %q: a message of %d bytes exceeds the slot's %d bytes",
			p.BlockName(), len(data),
			p.SlotBytes)
	}
	if uint64(len(data)) < p.shortest {
		return 0, status.Errorf(status.Invalid, "block %q: a message of %d bytes is shorter than its schema's struct, "+
			"which has %d",
			p.BlockName(), len(data), p.shortest)
	}
	s, err := p.Claim(timeout)
	if err != nil {
		return 0, err
	}
	copy(s.Data(), data)
	return s.id, p.Commit(s, len(data))
}

// WriteBatch writes several messages, in order, and reports how many were published: all, or those
// before the message that the error is about. The timeout is for the whole call. Each message is
// published by itself: consumers see it at once, and a death in between loses only the unpublished
// messages. If a message exceeds the slot, or is shorter than the schema's struct, the result is
// Invalid, and nothing is written.
func (p *Producer) WriteBatch(messages [][]byte, timeout time.Duration) (int, error) {
	for i, m := range messages {
		if uint64(len(m)) > p.SlotBytes {
			return 0, status.Errorf(status.Invalid, "block %q: message %d of the batch has %d bytes, which exceeds "+
				"the slot's %d bytes",
				p.BlockName(), i, len(m), p.SlotBytes)
		}
		if uint64(len(m)) < p.shortest {
			return 0, status.Errorf(status.Invalid, "block %q: message %d of the batch has %d bytes, and its schema's "+
				"struct %d",
				p.BlockName(), i, len(m), p.shortest)
		}
	}
	begun := time.Now()
	for i, m := range messages {
		left := timeout
		if timeout > 0 && i > 0 {
			left = max(0, timeout-time.Since(begun))
		}
		if _, err := p.Write(m, left); err != nil {
			return i, err
		}
	}
	return len(messages), nil
}
