package channel

import (
	"datablock/internal/core/segment"
	"datablock/internal/core/status"
	"datablock/internal/crash"
	"datablock/internal/layout"
)

// nextLossless takes message c.next, or reports that the message is not there yet. While a join at
// the oldest message is not acknowledged, it reads as ORDERED does.
func (c *Consumer) nextLossless(out *ReadSlot) (bool, error) {
	if c.joining != 0 && c.JoinAck.Load() >= c.joining && c.isPresent(c.due()) {
		// The producer has seen cursor and bit: from the cursor on it removes nothing any more. A
		// message that is still held although it was removed earlier keeps the cursor back. A
		// durable consumer that died now would find nothing there. Until that message is released,
		// the row says that the join is not complete.
		c.joining = 0
		*c.Ctl.Plain64(c.Header.RowOffset(c.Row) + layout.RowJoin) = 0
		crash.Point("join.bound")
	}
	if c.joining != 0 {
		return c.nextInOrder(out)
	}
	v := c.Entries[c.place()].Load() // acquire; pairs with Producer.Commit
	if c.mayJump && c.isGone(v) {
		c.jump(0) // once: the producer removes nothing from the new cursor on
		v = c.Entries[c.place()].Load()
	}
	if !layout.EntryIs(v, c.next) || c.IsReclaimed(v) {
		return c.notNext(v)
	}
	c.mayJump = false
	c.plain = c.Checksum != segment.ChecksumEnforced
	h := &c.holds[c.freeHold()]
	*h = hold{id: c.next, slot: layout.EntrySlot(v)}
	if c.lapped(h) {
		return false, c.overrun()
	}
	return c.deliverInOrder(h, out)
}

// isPresent reports whether no message from id on was overwritten or reclaimed.
func (c *Consumer) isPresent(id uint64) bool { return c.OldestFrom(id, c.Segment.End()) == id }

// isGone reports whether the next message was overwritten or reclaimed, by the entry of its place.
func (c *Consumer) isGone(v uint64) bool {
	if layout.EntryEmpty(v) {
		return false
	}
	ahead := layout.EntryAhead(v, c.next)
	return ahead > 0 || ahead == 0 && c.IsReclaimed(v)
}

// notNext returns the result of a LOSSLESS read whose entry is not that of the next message.
func (c *Consumer) notNext(v uint64) (bool, error) {
	if layout.EntryEmpty(v) || layout.EntryAhead(v, c.next) < 0 {
		return false, nil
	}
	if c.isGone(v) {
		return false, c.overrun()
	}
	c.mayJump = false
	return c.lost()
}

func (c *Consumer) overrun() error {
	if !c.ownsRow() {
		return c.fenced()
	}
	*c.hot.overruns++
	return status.Errorf(status.Overrun, "block %q: message %d was overwritten although this consumer is LOSSLESS: it "+
		"was evicted, or the control file is damaged; attach again", c.BlockName(), c.next)
}

// nextOrdered is nextInOrder, and counts the missed messages.
func (c *Consumer) nextOrdered(out *ReadSlot) (bool, error) {
	ok, err := c.nextInOrder(out)
	if c.skipped != 0 {
		c.tellGap(ok, out)
	}
	return ok, err
}

// tellGap reports with a message how many messages were skipped before it. Until that message has
// been released, the row's cursor stays where the gap begins. A durable consumer that ends earlier
// gets the gap reported again.
func (c *Consumer) tellGap(taken bool, out *ReadSlot) {
	if !taken {
		c.setAllApart() // a release from now on must not move the cursor beyond the gap
		return
	}
	h := c.find(out.id, out.Index(), out.Token())
	c.setApart(h, c.gapStart)
	out.setMissed(c.skipped)
	*c.hot.missed += c.skipped
	c.skipped = 0
}

// setApart makes the slow path end the hold. During the hold the cursor belongs at `from`, not at
// the id of the message.
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

// fromOf returns where the cursor belongs while a message is held: at its id, or where the gap
// before it begins.
func (c *Consumer) fromOf(h *hold) uint64 {
	if h.used == apart {
		return c.from[c.numberOf(h)]
	}
	return h.id
}

// skip records that messages from c.next on are passed over. The next taken message reports them.
func (c *Consumer) skip(messages uint64) {
	if c.skipped == 0 {
		c.gapStart = c.next
	}
	c.skipped += messages
}

// nextInOrder takes message c.next with a hazard pointer. If the producer has overtaken the
// consumer, it jumps forward.
func (c *Consumer) nextInOrder(out *ReadSlot) (bool, error) {
	for range 1000 { // each iteration takes the producer a whole lap of the ring; the loop has a limit
		scan := c.ScanEpoch.Load()
		v := c.Entries[c.place()].Load()
		id := layout.EntryID(v, c.next)
		if layout.EntryEmpty(v) || id < c.next {
			// Half a period of the 40-bit tags behind, a newer entry looks like an older one.
			if c.Hint() <= c.next+uint64(c.SlotCount) {
				return false, nil
			}
			id = c.next + 1
		} else if id == c.next && c.IsReclaimed(v) {
			id = c.next + 1
		}
		if id > c.next && c.keepsPlace() {
			return false, c.overrun()
		}
		if id > c.next {
			c.jump(c.losses * uint64(c.SlotCount) / 8)
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
			if c.keepsPlace() {
				return false, c.overrun()
			}
			c.jump(0)
			continue
		}
		c.losses = 0
		return c.deliverInOrder(h, out)
	}
	return false, nil
}

// keepsPlace reports whether a message that is gone is an error: this consumer has come back to a
// place that the producer had to keep.
func (c *Consumer) keepsPlace() bool { return c.delivery == segment.Lossless && !c.mayJump }

// lapped reports whether the message in a hold is a later one with the same tag. Ids that are a
// multiple of 2^40 apart have the same tag. The slot's header has the whole id.
func (c *Consumer) lapped(h *hold) bool {
	if h.slot >= c.Slots() {
		return false
	}
	id := c.SlotWords(h.slot)[layout.SlotID/8]
	return id > h.id && layout.SameTag(id, h.id) && c.Hint() > h.id+uint64(c.SlotCount)
}

// jump moves c.next to the oldest message present, or further in, but not past the newest. An
// ORDERED consumer's cursor follows when the message after the gap is released.
func (c *Consumer) jump(further uint64) {
	next := c.Segment.End()
	to := c.OldestFrom(c.next, next)
	if to == c.next {
		return
	}
	to = max(to, min(to+further, next-1))
	if c.delivery == segment.Ordered {
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
		c.stepOver() // the stream continues
		return false, err
	}
	c.step()
	return true, nil
}

// lost reports once that an operator discarded the message, and moves past it.
func (c *Consumer) lost() (bool, error) {
	id := c.next
	c.next++
	*c.hot.lost++
	c.stepOver()
	return false, status.Errorf(status.Lost, "block %q: message %d was discarded by an operator; the next call goes "+
		"on after it",
		c.BlockName(), id)
}

// stepOver moves the row's cursor to where it belongs.
func (c *Consumer) stepOver() {
	if c.ownsRow() {
		c.moveCursor(c.due())
	}
}

func (c *Consumer) moveCursor(to uint64) {
	if c.delivery == segment.Lossless {
		c.advance(to)
	} else {
		*c.cursor64 = to // informational, and used when a durable consumer returns
		crash.Point("release.moved")
	}
}

// nextLatest takes the newest message that was not discarded, with a hazard pointer, if the message
// is newer than the last one read.
func (c *Consumer) nextLatest(out *ReadSlot) (bool, error) {
	for range 1000 { // as in nextInOrder
		scan := c.ScanEpoch.Load()
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
	next := c.Segment.End()
	for want := next; want > max(c.next, c.OldestPossible(next)); {
		want--
		v = c.Entry(want).Load()
		if layout.EntryEmpty(v) {
			continue // commit is ahead of an entry that is not visible yet
		}
		if id = layout.EntryID(v, want); id >= c.next && v&layout.EntryLost == 0 && !c.IsReclaimed(v) {
			return v, id, true
		}
	}
	return 0, 0, false
}
