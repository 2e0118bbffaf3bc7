package core

import (
	"fmt"

	"datablock/internal/crash"
	"datablock/internal/layout"
)

// ring repairs entries and slots. With the producer's row locked nobody else writes to them, and a producer that starts waits for the moment that it takes.
func (r *repair) ring(x *inspection, w *repairer, found *Integrity) {
	places := x.damagedPlaces(found)
	if len(places) == 0 {
		return
	}
	ran := withDeadRow(x.ask, layout.ProducerRow, func() {
		if x.whereName() != leadsThere {
			return
		}
		named := x.namedSlots(places)
		for _, place := range places {
			r.rebuildEntry(x, w, place, named)
		}
		x.wakeConsumers() // also after a repair that died before it came to this
	})
	if ran {
		return
	}
	if !r.force {
		r.unsafe = fmt.Sprintf("its producer lives (pid %d), and its ring is not touched while it does: stop it, then repair; or repair with force, which discards the damaged messages", *x.data.plain64(layout.ProducerPID))
		return
	}
	before := len(r.done)
	for _, place := range places {
		r.discard(x, w, place)
	}
	if len(r.done) > before {
		x.wakeConsumers()
	}
}

// damagedPlaces are the ring's entries of which something is wrong, each once.
func (x *inspection) damagedPlaces(found *Integrity) (places []uint32) {
	wrong := map[uint32]bool{}
	for _, f := range found.Findings {
		if f.Part == PartRing {
			wrong[f.Index] = true
		}
		if f.Part != PartSlot && f.Part != PartPayload && f.Part != PartRing {
			continue
		}
		for place := range x.slotCount { // of two entries with one slot either may be the wrong one
			if e := x.entries[place].Load(); f.Slot < x.slots() && !layout.EntryEmpty(e) && layout.EntrySlot(e) == f.Slot {
				wrong[place] = true
			}
		}
	}
	for place := range x.slotCount {
		if wrong[place] {
			places = append(places, place)
		}
	}
	return places
}

// namedSlots are the slots that the sound part of the ring names.
func (x *inspection) namedSlots(damaged []uint32) map[uint32]bool {
	named := map[uint32]bool{}
	next := 0
	for place := range x.slotCount {
		if next < len(damaged) && damaged[next] == place {
			next++
			continue
		}
		if e := x.entries[place].Load(); !layout.EntryEmpty(e) && layout.EntrySlot(e) < x.slots() {
			named[layout.EntrySlot(e)] = true
		}
	}
	return named
}

// wanted is the id of the message that belongs to a place, false if it never had one. The newest may be published and commit not stored yet: then the entry itself says so.
func (x *inspection) wanted(place uint32) (id uint64, ok bool) {
	n, next := uint64(x.slotCount), x.hint()
	if e := x.entries[next%n].Load(); uint64(place) == next%n && !layout.EntryEmpty(e) && layout.EntryID(e, next) == next && layout.EntrySlot(e) < x.slots() &&
		x.slotWords(layout.EntrySlot(e)).id == next {
		return next, true
	}
	if next <= uint64(place) {
		return 0, false
	}
	return next - 1 - (next-1-uint64(place))%n, true
}

// rebuildEntry makes an entry, and the header of its slot, what they must have been. The entry is written last: until then nobody believes the slot. The caller holds row 0.
func (r *repair) rebuildEntry(x *inspection, w *repairer, place uint32, named map[uint32]bool) {
	e := &x.entries[place]
	was := e.Load()
	id, written := x.wanted(place)
	if !written {
		if was&^layout.EntryFence != layout.EntryNone {
			e.Store(layout.EntryNone)
			crash.Point("repair.entry")
			r.did(w, PartRing, place, was, "emptied ring entry %d", place)
		}
		return
	}
	slot, sure := x.slotOf(id, was, named)
	lost := was & layout.EntryLost
	if !sure {
		slot, lost = x.unnamedSlot(named), layout.EntryLost
	}
	named[slot] = true
	before := x.slotWords(slot)
	if lost == 0 && (before.length > x.slotSize || x.checksummed(slot) && !x.intact(slot, before.length)) {
		lost = layout.EntryLost
	}
	at := x.slotHeader(slot)
	if before.id != id || !sure {
		x.data.u64(at + layout.SlotID).Store(id)
		crash.Point("repair.slot")
	}
	if !sure || before.length > x.slotSize {
		x.data.u64(at + layout.SlotLength).Store(0)
		crash.Point("repair.slot")
	}
	if !x.possibleClaim(before.claim) {
		epoch := x.data.u64(layout.Epoch).Load()
		x.data.u64(at + layout.SlotClaim).Store(layout.Claim(epoch, max(1, layout.ClaimGeneration(before.claim))) &^ layout.ClaimOpen)
		crash.Point("repair.slot")
	}
	now := layout.Entry(id, slot) | lost
	if x.slotWords(slot) == before && now == was {
		return
	}
	e.Store(now)
	crash.Point("repair.entry")
	how := "kept"
	if lost != 0 {
		how = "discarded (LOST)"
	}
	r.did(w, PartRing, place, was, "rebuilt ring entry %d: message %d in slot %d, %s", place, id, slot, how)
}

// slotOf finds the slot that message id is in. Of the slots that no sound entry names it is the one whose header says so; else, if the entry itself is about this message, the one that it names: then it
// is the header that is damaged.
func (x *inspection) slotOf(id, entry uint64, named map[uint32]bool) (slot uint32, sure bool) {
	own := layout.EntrySlot(entry)
	if own < x.slots() && !named[own] && x.slotWords(own).id == id {
		return own, true
	}
	found := 0
	for s := range x.slots() {
		if h := x.slotWords(s); !named[s] && h.id == id && h.length <= x.slotSize && x.possibleClaim(h.claim) && (!x.checksummed(s) || x.intact(s, h.length)) {
			slot = s
			found++
		}
	}
	if found > 0 {
		return slot, found == 1
	}
	return own, own < x.slots() && !named[own] && layout.EntryID(entry, id) == id
}

// unnamedSlot is a slot for an entry that has lost its own: not in the ring, and if possible pinned by nobody.
func (x *inspection) unnamedSlot(named map[uint32]bool) (slot uint32) {
	for _, mayBePinned := range []bool{false, true} {
		for s := range x.slots() {
			if !named[s] && !x.inRing(s) && (mayBePinned || !x.pinnedByAnybody(s)) {
				return s
			}
		}
	}
	panic("more entries than slots") // there are always spare slots
}

func (x *inspection) pinnedByAnybody(slot uint32) (pinned bool) {
	x.forMask(x.active, func(row uint32) {
		for k := range uint64(layout.MaxPins) {
			pinned = pinned || x.pin(row, k).Load() == uint64(slot)+1
		}
	})
	return pinned
}

// discard marks the message of a damaged entry LOST, next to a living producer: by compare-and-swap, so that a message that has been overwritten meanwhile is not touched. The slot has to
// be one that the producer believes in the ring.
func (r *repair) discard(x *inspection, w *repairer, place uint32) {
	e := &x.entries[place]
	was := e.Load()
	id, written := x.wanted(place)
	slot := layout.EntrySlot(was)
	if !written || slot >= x.slots() || len(x.placesOf(slot)) > 1 {
		r.unsafe = fmt.Sprintf("its producer lives (pid %d), and would use a slot twice: stop it, then repair", *x.data.plain64(layout.ProducerPID))
		return
	}
	now := layout.Entry(id, slot) | layout.EntryLost
	if _, wrong := x.lookAtEntry(place); !wrong || was == now || !e.CompareAndSwap(was, now) {
		return
	}
	crash.Point("repair.entry")
	r.did(w, PartRing, place, was, "discarded message %d of ring entry %d (LOST)", id, place)
}

// placesOf are the entries that name a slot.
func (x *inspection) placesOf(slot uint32) (places []uint32) {
	for place := range x.slotCount {
		if e := x.entries[place].Load(); !layout.EntryEmpty(e) && layout.EntrySlot(e) == slot {
			places = append(places, place)
		}
	}
	return places
}
