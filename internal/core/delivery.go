package core

import (
	"datablock/internal/crash"
	"datablock/internal/layout"
)

// nextLossless takes message c.next, or reports that it is not there yet. While a join at oldest is not acknowledged it reads as ORDERED does.
func (c *Consumer) nextLossless(out *ReadSlot) (bool, error) {
	if c.joining != 0 && c.joinAck.Load() >= c.joining && c.due() >= c.oldest(c.block.next()) {
		// The producer has seen cursor and bit: from the cursor on nothing is overwritten any more. A message that is still held although it was overwritten before keeps the cursor
		// back, where a durable consumer that died now would find nothing: until it is let go of, the row says that the join is not complete.
		c.joining = 0
		*c.ctl.plain64(c.header.row(c.row) + layout.RowJoin) = 0
		crash.Point("join.bound")
	}
	if c.joining != 0 {
		return c.nextInOrder(out)
	}
	v := c.entries[c.place()].Load() // acquire; pairs with Producer.Commit
	if c.mayJump && !layout.EntryEmpty(v) && layout.EntryID(v, c.next) > c.next {
		c.jump(0) // once: from where it leads the producer overwrites nothing
		v = c.entries[c.place()].Load()
	}
	if !layout.EntryIs(v, c.next) {
		return c.notNext(v)
	}
	c.mayJump = false
	c.plain = c.checksum != ChecksumEnforced
	h := &c.holds[c.freeHold()]
	*h = hold{id: c.next, slot: layout.EntrySlot(v)}
	if c.lapped(h) {
		return false, c.overrun()
	}
	return c.deliverInOrder(h, out)
}

// notNext says what a LOSSLESS reader makes of an entry that is not the next message's.
func (c *Consumer) notNext(v uint64) (bool, error) {
	if layout.EntryEmpty(v) || layout.EntryAhead(v, c.next) < 0 {
		return false, nil
	}
	if layout.EntryAhead(v, c.next) > 0 {
		return false, c.overrun()
	}
	c.mayJump = false
	return c.lost()
}

func (c *Consumer) overrun() error {
	*c.hot.overruns++
	return fail(Overrun, "block %q: message %d was overwritten although this consumer is LOSSLESS: it was evicted, or the control file is damaged; attach again", c.name(), c.next)
}

// nextOrdered is nextInOrder with the count of what was missed.
func (c *Consumer) nextOrdered(out *ReadSlot) (bool, error) {
	ok, err := c.nextInOrder(out)
	if c.skipped != 0 {
		c.tellGap(ok, out)
	}
	return ok, err
}

// tellGap says with a message what was skipped before it. Until that message has been released the row's cursor stays where the gap begins, so that a durable consumer that ends before is told again.
func (c *Consumer) tellGap(taken bool, out *ReadSlot) {
	if !taken {
		c.setAllApart() // what is released from now on may not move the cursor beyond the gap
		return
	}
	h := c.find(out.id, out.Index(), out.Token())
	c.setApart(h, c.gapAt)
	out.setMissed(c.skipped)
	*c.hot.missed += c.skipped
	c.skipped = 0
}

// setApart makes the end of a hold the business of the slow path: the cursor belongs at `from`, not at its id, while it lasts.
func (c *Consumer) setApart(h *hold, from uint64) {
	h.used = apart
	c.from[c.numberOf(h)] = from
}

func (c *Consumer) setAllApart() {
	for k := range c.holds[:c.maxPins] {
		if h := &c.holds[k]; h.used == used {
			c.setApart(h, h.id)
		}
	}
}

// fromOf is where the cursor belongs while a message is held: at its id, or where the gap before it begins.
func (c *Consumer) fromOf(h *hold) uint64 {
	if h.used == apart {
		return c.from[c.numberOf(h)]
	}
	return h.id
}

// skip notes that messages from c.next on are passed over, of which the next message that is taken tells.
func (c *Consumer) skip(messages uint64) {
	if c.skipped == 0 {
		c.gapAt = c.next
	}
	c.skipped += messages
}

// nextInOrder pins message c.next, jumping forward when it was overtaken.
func (c *Consumer) nextInOrder(out *ReadSlot) (bool, error) {
	for range 1000 { // each turn needs a whole lap of the producer; never for ever
		scan := c.scanEpoch.Load()
		v := c.entries[c.place()].Load()
		id := layout.EntryID(v, c.next)
		if layout.EntryEmpty(v) || id < c.next {
			// Half a turn of the tags behind, newer looks like older.
			if c.commit() <= c.next+uint64(c.slotCount) {
				return false, nil
			}
			id = c.next + 1
		}
		if id > c.next {
			c.jump(c.losses * uint64(c.slotCount) / 8)
			c.losses++
			continue
		}
		if v&layout.EntryLost != 0 {
			return c.lost()
		}
		h, ok := c.hold(scan, v, id)
		if !ok {
			continue
		}
		if c.lapped(h) {
			c.endHold(h)
			c.jump(0)
			continue
		}
		c.losses = 0
		return c.deliverInOrder(h, out)
	}
	return false, nil
}

// lapped reports whether the message in a hold is a later one whose tag is the same: ids that are a multiple of 2^40 apart share it, and the slot's header has the whole id.
func (c *Consumer) lapped(h *hold) bool {
	if h.slot >= c.slots() {
		return false
	}
	id := c.slotWords(h.slot)[layout.SlotID/8]
	return id > h.id && layout.SameTag(id, h.id) && c.commit() > h.id+uint64(c.slotCount)
}

// jump moves c.next to the oldest message present, or further in, but not past the newest. The cursor of an ORDERED consumer follows when the message after the gap is released.
func (c *Consumer) jump(further uint64) {
	next := c.block.next()
	to := c.oldest(next) + min(further, uint64(c.slotCount)-1)
	if to <= c.next {
		return
	}
	if c.delivery == Ordered {
		c.skip(to - c.next)
		c.next = to
		return
	}
	c.next = to
	c.stepOver()
}

func (c *Consumer) deliverInOrder(h *hold, out *ReadSlot) (bool, error) {
	h.inOrder = true
	err := c.deliver(h, out)
	c.next++
	if err != nil {
		c.stepOver() // the stream goes on
		return false, err
	}
	c.step()
	return true, nil
}

// lost says once that an operator discarded the message, and passes over it.
func (c *Consumer) lost() (bool, error) {
	id := c.next
	c.next++
	*c.hot.lost++
	c.stepOver()
	return false, fail(Lost, "block %q: message %d was discarded by an operator; the next call goes on after it", c.name(), id)
}

// stepOver brings the row's cursor up to where it belongs.
func (c *Consumer) stepOver() {
	if c.rowMine() {
		c.moveCursor(c.due())
	}
}

func (c *Consumer) moveCursor(to uint64) {
	if c.delivery == Lossless {
		c.advance(to)
	} else {
		*c.cursor64 = to // for people, and for a durable consumer's return
		crash.Point("release.moved")
	}
}

// nextLatest pins the newest message that nobody discarded, if it is newer than the last one read.
func (c *Consumer) nextLatest(out *ReadSlot) (bool, error) {
	for range 1000 { // as in nextInOrder
		scan := c.scanEpoch.Load()
		v, id, ok := c.newest()
		if !ok {
			return false, nil
		}
		h, ok := c.hold(scan, v, id)
		if !ok {
			continue
		}
		err := c.deliver(h, out)
		c.skip(id - c.next)
		*c.hot.missed += id - c.next
		if err == nil {
			out.setMissed(c.skipped)
			c.skipped = 0
		}
		c.next = id + 1
		c.stepOver()
		return err == nil, err
	}
	return false, nil
}

// newest finds the entry of the newest message from c.next on that is not LOST.
func (c *Consumer) newest() (v, id uint64, ok bool) {
	next := c.block.next()
	for want := next; want > max(c.next, c.oldest(next)); {
		want--
		v = c.entry(want).Load()
		if layout.EntryEmpty(v) {
			continue // commit ran ahead of an entry that is not visible yet
		}
		if id = layout.EntryID(v, want); id >= c.next && v&layout.EntryLost == 0 {
			return v, id, true
		}
	}
	return 0, 0, false
}
