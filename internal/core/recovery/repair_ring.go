package recovery

import (
	"fmt"
	"slices"

	"datablock/internal/core/segment"

	"datablock/internal/crash"
	"datablock/internal/layout"
)

// repairRing repairs entries and slots. While ring holds the lease of row 0, no other process
// writes to them. A producer that starts waits for that moment.
func (r *repairRun) repairRing(x *inspection, w *recoverySession) {
	places := x.damagedPlaces()
	if len(places) == 0 {
		return
	}
	ran := segment.WithDeadRow(x.ask, layout.ProducerRow, func() {
		if x.WhereName() != segment.LeadsThere {
			return
		}
		p := x.planRing(places)
		for _, surely := range []bool{true, false} {
			for i, place := range places {
				if (p.slots[i] != layout.NoSlot) == surely {
					r.rebuildEntry(x, w, place, p.slots[i], p)
				}
			}
		}
		x.WakeConsumers() // also after a repair that died before this wake-up
	})
	if ran {
		return
	}
	if segment.Probe(x.ask, layout.ProducerRow) != segment.OwnerAlive {
		r.busy = true // another process repairs, or cleans the row
		return
	}
	named := x.naming()
	if !r.force {
		r.unsafe = r.livingProducer(x) + ", and its ring is not touched while it does: stop it, then repair"
		if !slices.ContainsFunc(places, func(place uint32) bool { return !x.discardable(place, named) }) {
			r.unsafe += "; or repair with force, which discards the damaged messages"
		}
		return
	}
	before := r.count
	for _, place := range places {
		r.discard(x, w, place, named)
	}
	if r.count > before {
		x.WakeConsumers()
	}
}

func (r *repairRun) livingProducer(x *inspection) string {
	return fmt.Sprintf("its producer lives (%s)", x.DescribeOwner(layout.ProducerRow))
}

// damagedPlaces returns the indexes of the damaged ring entries, each once. If two entries name one
// slot, either may be the wrong one.
func (x *inspection) damagedPlaces() (places []uint32) {
	for place := range x.SlotCount {
		e := x.Entries[place].Load()
		slot := layout.EntrySlot(e)
		if x.wrongPlaces[place/64]>>(place%64)&1 == 1 || !layout.EntryEmpty(e) && slot < x.Slots() &&
			x.slotBits[slot/64]>>(slot%64)&1 == 1 {
			places = append(places, place)
		}
	}
	return places
}

// naming returns how many entries name each slot.
func (x *inspection) naming() []uint32 {
	named := make([]uint32, x.Slots())
	for place := range x.SlotCount {
		if e := x.Entries[place].Load(); !layout.EntryEmpty(e) && layout.EntrySlot(e) < x.Slots() {
			named[layout.EntrySlot(e)]++
		}
	}
	return named
}

// ringPlan says which slot each damaged entry is to name. It is made in passes over the ring and
// the slots, so that the time for each entry does not depend on the length of the ring.
type ringPlan struct {
	slots  []uint32 // for each damaged place; NoSlot: the message is lost, and any slot will do
	named  []uint32 // how many entries name each slot now
	taken  []bool   // slots that an entry will name when the plan is done
	pinned []bool   // slots that hazard pointers named when the plan was made
	spare  [2][]uint32
}

func (x *inspection) planRing(places []uint32) *ringPlan {
	p := &ringPlan{slots: make([]uint32, len(places)), named: x.naming(), taken: make([]bool, x.Slots()),
		pinned: make([]bool, x.Slots())}
	x.ForMask(x.Active, func(row uint32) {
		for k := range uint64(layout.MaxPins) {
			if pin := x.Pin(row, k).Load(); pin != 0 && pin <= uint64(x.Slots()) {
				p.pinned[pin-1] = true
			}
		}
	})
	damaged := make([]uint32, x.SlotCount) // 1 + the index in places
	for i, place := range places {
		p.slots[i], damaged[place] = layout.NoSlot, uint32(i)+1
	}
	for place := range x.SlotCount {
		if e := x.Entries[place].Load(); damaged[place] == 0 && !layout.EntryEmpty(e) &&
			layout.EntrySlot(e) < x.Slots() {
			p.taken[layout.EntrySlot(e)] = true
		}
	}
	x.findSlots(p, places, damaged)
	for slot := range x.Slots() {
		if p.named[slot] == 0 && !p.taken[slot] {
			p.offer(slot)
		}
	}
	return p
}

// findSlots finds the slots that have the messages. Only slots that no sound entry names are
// candidates. First choice: the slot that the entry names, if the slot's header agrees. Second
// choice: the only slot whose header has this message. Third choice, if the entry itself is about
// this message: the slot that the entry names. In the third case the slot's header is what is
// damaged.
func (x *inspection) findSlots(p *ringPlan, places, damaged []uint32) {
	take := func(i int, slot uint32) { p.slots[i], p.taken[slot] = slot, true }
	own := func(place uint32, agrees func(entry, id uint64, slot uint32) bool) (uint32, bool) {
		e := x.Entries[place].Load()
		id, written := x.wanted(place)
		slot := layout.EntrySlot(e)
		return slot, written && slot < x.Slots() && !p.taken[slot] && agrees(e, id, slot)
	}
	for i, place := range places {
		if slot, ok := own(place, func(_, id uint64, slot uint32) bool { return x.slotWords(slot).id == id }); ok {
			take(i, slot)
		}
	}
	several := make([]bool, len(places))
	bearer := make([]uint32, len(places)) // 1 + the slot
	for slot := range x.Slots() {
		h := x.slotWords(slot)
		i := int(damaged[h.id%uint64(x.SlotCount)]) - 1
		if i < 0 || p.taken[slot] || p.slots[i] != layout.NoSlot {
			continue
		}
		if id, written := x.wanted(places[i]); written && id == h.id && h.length <= x.SlotBytes &&
			x.possibleClaim(h.claim) && (!x.HasChecksum(slot) || x.Intact(slot, id, h.length)) {
			several[i], bearer[i] = bearer[i] != 0, slot+1
		}
	}
	for i := range places {
		if bearer[i] != 0 && !several[i] {
			take(i, bearer[i]-1)
		}
	}
	for i, place := range places {
		if p.slots[i] != layout.NoSlot || bearer[i] != 0 {
			continue
		}
		if slot, ok := own(place, func(e, id uint64, _ uint32) bool { return layout.EntryID(e, id) == id }); ok {
			take(i, slot)
		}
	}
}

// offer makes a slot available to entries that have lost their own.
func (p *ringPlan) offer(slot uint32) {
	list := &p.spare[0]
	if p.pinned[slot] {
		list = &p.spare[1]
	}
	*list = append(*list, slot)
}

// any takes a slot for an entry that has lost its own: a slot that is not in the ring and, if
// possible, that no hazard pointer names.
func (p *ringPlan) any() uint32 {
	for i := range p.spare {
		if list := p.spare[i]; len(list) > 0 {
			p.spare[i] = list[1:]
			p.taken[list[0]] = true
			return list[0]
		}
	}
	panic("more entries than slots") // there are always spare slots
}

// changed records that an entry names another slot now, or none.
func (p *ringPlan) changed(was, now uint64) {
	for i, e := range []uint64{now, was} {
		slot := layout.EntrySlot(e)
		switch {
		case layout.EntryEmpty(e) || int(slot) >= len(p.named):
		case i == 0:
			p.named[slot]++
		default:
			if p.named[slot]--; p.named[slot] == 0 && !p.taken[slot] {
				p.offer(slot)
			}
		}
	}
}

// wanted returns the id of the message that belongs to a place, false if the place never had one.
// The newest message may be published while commit is not stored yet. Then the entry itself shows
// the message.
func (x *inspection) wanted(place uint32) (id uint64, ok bool) {
	n, next := uint64(x.SlotCount), x.hint()
	if e := x.Entries[next%n].Load(); uint64(place) == next%n && !layout.EntryEmpty(e) &&
		layout.EntryID(e, next) == next && layout.EntrySlot(e) < x.Slots() &&
		x.slotWords(layout.EntrySlot(e)).id == next {
		return next, true
	}
	if next <= uint64(place) {
		return 0, false
	}
	return next - 1 - (next-1-uint64(place))%n, true
}

// rebuildEntry restores an entry, and the header of its slot. It writes the entry last: until then
// no process relies on the slot. The caller holds the lease of row 0.
func (r *repairRun) rebuildEntry(x *inspection, w *recoverySession, place, slot uint32, p *ringPlan) {
	e := &x.Entries[place]
	was := e.Load()
	id, written := x.wanted(place)
	if !written {
		if was&^layout.EntryFence != layout.EntryNone {
			e.Store(layout.EntryNone)
			crash.Point("repair.entry")
			p.changed(was, layout.EntryNone)
			r.did(w, PartRing, place, was, "emptied ring entry %d", place)
		}
		return
	}
	sure, lost := slot != layout.NoSlot, was&layout.EntryLost
	if !sure {
		slot, lost = p.any(), layout.EntryLost
	}
	before := x.slotWords(slot)
	if lost == 0 && (before.length > x.SlotBytes || x.HasChecksum(slot) && !x.Intact(slot, id, before.length)) {
		lost = layout.EntryLost
	}
	x.rebuildSlot(slot, id, before, sure)
	now := layout.Entry(id, slot) | lost
	if sure && x.slotWords(slot) == before && now == was {
		return
	}
	e.Store(now)
	crash.Point("repair.entry")
	if !sure || before.length > x.SlotBytes { // the entry is LOST from here on, in both cases
		x.Data.U64(x.SlotHeader(slot) + layout.SlotLength).Store(0)
		crash.Point("repair.slot")
	}
	p.changed(was, now)
	how := "kept"
	if lost != 0 {
		how = "discarded (LOST)"
	}
	r.did(w, PartRing, place, was, "rebuilt ring entry %d: message %d in slot %d, %s", place, id, slot, how)
}

// rebuildSlot makes a slot's header that of message id. A slot without the message has an
// impossible length until its entry is LOST, and so has a slot whose length was damaged. A repair
// that dies before it stores the entry then leaves no slot that looks like that of an empty
// message.
func (x *inspection) rebuildSlot(slot uint32, id uint64, before slotHeaderWords, sure bool) {
	at := x.SlotHeader(slot)
	if !sure {
		x.Data.U64(at + layout.SlotLength).Store(^uint64(0))
		crash.Point("repair.slot")
	}
	if before.id != id {
		x.Data.U64(at + layout.SlotID).Store(id)
		crash.Point("repair.slot")
	}
	if !x.possibleClaim(before.claim) {
		epoch := x.Data.U64(layout.Epoch).Load()
		x.Data.U64(at + layout.SlotClaim).Store(layout.Claim(epoch,
			max(1, layout.ClaimGeneration(before.claim))) &^ layout.ClaimOpen)
		crash.Point("repair.slot")
	}
}

// discardable reports whether the message of a damaged entry can be marked LOST while a producer
// lives. The slot has to be one that the producer takes for a slot of the ring, and this entry the
// only one that names it.
func (x *inspection) discardable(place uint32, named []uint32) bool {
	_, written := x.wanted(place)
	slot := layout.EntrySlot(x.Entries[place].Load())
	return written && slot < x.Slots() && named[slot] <= 1
}

// discard marks the message of a damaged entry LOST while a producer lives. It uses a
// compare-and-swap, so that a message that was overwritten meanwhile is not touched.
func (r *repairRun) discard(x *inspection, w *recoverySession, place uint32, named []uint32) {
	e := &x.Entries[place]
	was := e.Load()
	id, _ := x.wanted(place)
	if !x.discardable(place, named) {
		r.unsafe = r.livingProducer(x) + ", and would use a slot twice, so that force does not help: stop it, then " +
			"repair"
		return
	}
	now := layout.Entry(id, layout.EntrySlot(was)) | layout.EntryLost
	if _, wrong := x.lookAtEntry(place); !wrong || was == now || !e.CompareAndSwap(was, now) {
		return
	}
	crash.Point("repair.entry")
	r.did(w, PartRing, place, was, "discarded message %d of ring entry %d (LOST)", id, place)
}
