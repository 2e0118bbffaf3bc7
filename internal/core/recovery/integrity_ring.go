package recovery

import (
	"slices"

	"datablock/internal/core/segment"

	"datablock/internal/layout"
)

// hint returns commit, or what the entries say instead where commit is damaged.
func (x *inspection) hint() uint64 {
	if x.nextKnown {
		return x.next
	}
	return x.Hint()
}

// agreeingMessage returns a message whose entry and slot header agree: two words in different
// places.
func (x *inspection) agreeingMessage(place uint32) (id uint64, empty, vouches bool) {
	e := x.Entries[place].Load()
	if layout.EntryEmpty(e) {
		return 0, true, true
	}
	slot := layout.EntrySlot(e)
	if slot >= x.Slots() {
		return 0, false, false
	}
	id = x.Data.U64(x.SlotHeader(slot) + layout.SlotID).Load()
	return id, false, id%uint64(x.SlotCount) == uint64(place) && layout.EntryID(e, id) == id
}

// commitContradicted reports whether anything in the ring contradicts commit. The ids present are
// from commit - N, which commit was at some earlier time, to commit itself: the newest message may
// be published while commit is not stored yet. If no message has an entry and a header that agree,
// nothing confirms commit either.
func (x *inspection) commitContradicted() bool {
	n := uint64(x.SlotCount)
	vouched, damaged := false, false
	for place := range x.SlotCount {
		if x.IsReclaimed(x.Entries[place].Load()) {
			continue
		}
		before := x.Hint()
		id, empty, vouches := x.agreeingMessage(place)
		vouched, damaged = vouched || vouches && !empty, damaged || !vouches
		// An empty place contradicts only a commit that is beyond it.
		if !vouches || empty && before <= uint64(place) {
			continue
		}
		if empty || before > id+n || id > x.Hint() {
			return true
		}
	}
	return damaged && !vouched
}

// entriesNext returns one past the newest message, by the entries alone: the N consecutive ids that
// most entries are from.
func (x *inspection) entriesNext() uint64 {
	var ids []uint64
	for place := range x.SlotCount {
		if id, empty, vouches := x.agreeingMessage(place); vouches && !empty {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return 0
	}
	slices.Sort(ids)
	best, next, first := 0, uint64(0), 0
	for last := range ids {
		for ids[last]-ids[first] >= uint64(x.SlotCount) {
			first++
		}
		if last-first >= best {
			best, next = last-first, ids[last]+1
		}
	}
	return next
}

// judgeRing validates every entry, and the slot that the entry names.
func (x *inspection) judgeRing() {
	named := make([]uint32, x.Slots()) // 1 + the place that names the slot
	for place := range x.SlotCount {
		x.recheckLater(func() (Finding, bool) { return x.lookAtEntry(place) })
		e := x.Entries[place].Load()
		slot := layout.EntrySlot(e)
		if layout.EntryEmpty(e) || slot >= x.Slots() {
			continue
		}
		if other := named[slot]; other != 0 {
			x.recheckLater(func() (Finding, bool) { return x.lookAtTwo(other-1, place) })
		}
		named[slot] = place + 1
	}
}

// lookAtTwo checks whether two entries name one slot at the same moment. It loads the first entry
// before and after the second.
func (x *inspection) lookAtTwo(a, b uint32) (Finding, bool) {
	before := x.Entries[a].Load()
	other := x.Entries[b].Load()
	after := x.Entries[a].Load()
	slot := layout.EntrySlot(before)
	if (before^after)&^segment.EntryMarks != 0 || layout.EntryEmpty(before) || slot != layout.EntrySlot(other) ||
		slot >= x.Slots() {
		return noFinding()
	}
	return x.finding(PartRing, b, slot, "ring entries %d and %d both name slot %d", a, b, slot)
}

// lookAtEntry judges an entry and its slot. It loads the entry before and after everything else:
// while the entry is unchanged, the slot is in the ring and no process may write to it.
func (x *inspection) lookAtEntry(place uint32) (Finding, bool) {
	before := x.hint()
	e := x.Entries[place].Load()
	if layout.EntryEmpty(e) {
		if e&^layout.EntryFence != layout.EntryNone {
			return x.finding(PartRing, place, NoSlot, "ring entry %d is 0x%x, which is neither a message nor empty",
				place, e)
		}
		if before > uint64(place) {
			return x.finding(PartRing, place, NoSlot, "ring entry %d is empty, and %d messages were written", place,
				before)
		}
		return noFinding()
	}
	if x.IsReclaimed(e) {
		return x.lookAtReclaimed(place, e, before)
	}
	slot := layout.EntrySlot(e)
	if slot >= x.Slots() {
		if x.moved(place, e) {
			return noFinding()
		}
		return x.finding(PartRing, place, NoSlot, "ring entry %d names slot %d, and the last one is %d", place, slot,
			x.Slots()-1)
	}
	h, id := x.slotWords(slot), layout.EntryID(e, before)
	intact := e&layout.EntryLost != 0 || h.length > x.SlotBytes || !x.HasChecksum(slot) || x.Intact(slot, id, h.length)
	if x.moved(place, e) {
		return noFinding()
	}
	n, after := uint64(x.SlotCount), x.hint()
	switch {
	case id%n != uint64(place) || id+n < before || id > after || int64(id) < 0:
		return x.finding(PartRing, place, slot, "ring entry %d says message %d in slot %d, and the messages present "+
			"are %d to %d; the slot's header says message %d",
			place, id, slot, x.OldestPossible(before), after-min(after, 1), h.id)
	case e&layout.EntryLost != 0: // the message was given up, and no process relies on the slot
		return noFinding()
	case h.id != id:
		return x.finding(PartSlot, slot, slot, "the header of slot %d says message %d, ring entry %d says message %d",
			slot, h.id, place, id)
	case h.length > x.SlotBytes:
		return x.finding(PartSlot, slot, slot, "message %d in slot %d has a length of %d, and a slot has %d bytes", id,
			slot, h.length, x.SlotBytes)
	case !x.possibleClaim(h.claim):
		return x.finding(PartSlot, slot, slot, "message %d in slot %d has the claim mark 0x%x: claimed %t, epoch %d "+
			"of %d, claimed %d times", id, slot, h.claim,
			h.claim&layout.ClaimOpen != 0, layout.ClaimEpoch(h.claim), x.Data.U64(layout.Epoch).Load(),
			layout.ClaimGeneration(h.claim))
	case !intact:
		f, _ := x.finding(PartPayload, slot, slot, "the %d bytes of message %d in slot %d do not match their "+
			"checksum: they were changed after the commit", h.length, id, slot)
		f.Advice = "discard the message: datablock-admin validate --shm-name " + x.BlockName() +
			" --repair, which marks it LOST"
		return f, true
	}
	return noFinding()
}

// lookAtReclaimed judges the entry of a reclaimed message. The ring keeps the newest message.
func (x *inspection) lookAtReclaimed(place uint32, e, before uint64) (Finding, bool) {
	id, n, after := layout.EntryID(e, before), uint64(x.SlotCount), x.hint()
	if layout.EntryIs(x.Entry(after).Load(), after) { // published, and commit is not stored yet
		after++
	}
	if id%n == uint64(place) && id+n >= before && id+1 < after || x.moved(place, e) {
		return noFinding()
	}
	return x.finding(PartRing, place, NoSlot, "ring entry %d says that message %d was reclaimed, and the messages "+
		"present are %d to %d", place, id, x.OldestPossible(before), after-min(after, 1))
}

// moved reports whether an entry has another message by now.
func (x *inspection) moved(place uint32, e uint64) bool {
	return (x.Entries[place].Load()^e)&^segment.EntryMarks != 0
}

// slotHeaderWords is a slot header, each word loaded once.
type slotHeaderWords struct{ id, length, claim uint64 }

func (x *inspection) slotWords(slot uint32) slotHeaderWords {
	at := x.SlotHeader(slot)
	return slotHeaderWords{x.Data.U64(at + layout.SlotID).Load(), x.Data.U64(at + layout.SlotLength).Load(),
		x.Data.U64(at + layout.SlotClaim).Load()}
}

// possibleClaim reports whether a slot in the ring may have this claim mark: closed, claimed at
// least once, by a producer that existed. Epochs are compared only until they wrap.
func (x *inspection) possibleClaim(mark uint64) bool {
	epoch := x.Data.U64(layout.Epoch).Load()
	made := layout.ClaimEpoch(mark)
	return mark&layout.ClaimOpen == 0 && layout.ClaimGeneration(mark) > 0 &&
		(epoch == 0 || !layout.ClaimEpochWhole(epoch) || made > 0 && made <= epoch)
}
