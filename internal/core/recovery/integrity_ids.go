package recovery

import (
	"fmt"
	"slices"
	"strings"

	"datablock/internal/layout"
)

// Many words tell which ids the messages have: commit, the tags of the entries, the headers of the
// slots in the ring and of those that have left the ring. Each may be damaged. A small ring has few
// entries, so that two of them are a majority. Therefore every word is used, and the answer is the
// id that makes the fewest words damaged.

// idWords are all words that say something about ids, each loaded once. None of them is in the
// control file, where consumers write.
type idWords struct {
	commit  uint64
	entries []uint64
	slots   []slotHeaderWords
	claims  uint64 // claims that were ever made, by the slots
	reclaim bool   // entries may be those of reclaimed messages
}

func (x *inspection) idWords() *idWords {
	w := &idWords{commit: x.Hint(), entries: make([]uint64, x.SlotCount), slots: make([]slotHeaderWords, x.Slots()),
		reclaim: x.Reclaims()}
	for place := range w.entries {
		w.entries[place] = x.Entries[place].Load()
	}
	for slot := range w.slots {
		h := x.slotWords(uint32(slot))
		w.slots[slot] = h
		if sum := w.claims + layout.ClaimGeneration(h.claim); sum > w.claims {
			w.claims = sum
		}
	}
	return w
}

// plausibility counts what has to be wrong for an id to be that of the next message. Of two ids
// with the same number of damaged words, the likelier has more halves that agree.
type plausibility struct{ damaged, halves int }

func (p plausibility) compare(q plausibility) int {
	if p.damaged != q.damaged {
		return p.damaged - q.damaged
	}
	return q.halves - p.halves
}

// score counts the words that are damaged if next is the id of the next message.
func (w *idWords) score(next uint64) (p plausibility) {
	n := uint64(len(w.entries))
	wrong := func(is bool) {
		if is {
			p.damaged++
		}
	}
	half := func(is bool) {
		if is {
			p.halves++
		}
	}
	wrong(w.commit != next && w.commit+1 != next) // it may be behind by the newest message
	named, inRing := make([]bool, len(w.slots)), make([]bool, len(w.slots))
	for place, e := range w.entries {
		if next <= uint64(place) {
			wrong(e&^layout.EntryFence != layout.EntryNone)
			continue
		}
		id, slot := next-1-(next-1-uint64(place))%n, layout.EntrySlot(e)
		switch {
		case w.reclaim && slot == layout.SlotReclaimed:
			wrong(layout.EntryID(e, id) != id || id+1 == next)
		case int(slot) >= len(w.slots): // empty, too
			wrong(true)
		case layout.EntryID(e, id) != id || named[slot]:
			wrong(true)
			half(w.slots[slot].id == id)
			inRing[slot] = inRing[slot] || w.slots[slot].id == id
		default: // on a disagreement one of the two is damaged: the header, or the slot that the entry names
			named[slot], inRing[slot] = true, w.slots[slot].id == id
			wrong(e&layout.EntryLost == 0 && !inRing[slot])
		}
	}
	leftLast, newest := false, false
	for slot, h := range w.slots {
		newest = newest || h.id+1 == next
		if inRing[slot] || layout.ClaimGeneration(h.claim) == 0 {
			continue
		}
		// A slot outside the ring may have a message that was not published, or was fenced. The
		// message may have any age: big slots are reused last in, first out, and slots with a
		// hazard pointer late.
		wrong(!named[slot] && h.id > next)
		leftLast = leftLast || h.id == next || h.id+n+1 == next
	}
	wrong(next > n && !leftLast && !w.reclaim)
	wrong(w.claims < next)
	half(newest)
	return p
}

// fewSlots is the number of slots up to which the check asks every word which id it would mean. In
// a longer ring two damaged messages are no majority.
const fewSlots = 1024

// candidates returns the ids of the next message that the words may mean. entriesNext: what most of
// the ring means.
func (w *idWords) candidates(entriesNext uint64) (all []uint64) {
	all = append(all, w.commit, w.commit+1, entriesNext, entriesNext+1, entriesNext+2)
	if n := uint64(len(w.entries)); n <= 16 && len(w.slots) <= fewSlots {
		for _, e := range w.entries {
			slot := layout.EntrySlot(e)
			if int(slot) >= len(w.slots) {
				continue
			}
			for _, id := range []uint64{w.slots[slot].id, layout.EntryID(e, w.slots[slot].id),
				layout.EntryID(e, w.commit)} {
				for ahead := range n {
					all = append(all, id+ahead+1)
				}
			}
		}
		for _, h := range w.slots {
			all = append(all, h.id, h.id+1)
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(next uint64) bool { return int64(next) < 0 })
}

// supported reports whether words that agree with each other stand for the id of the next message:
// commit and an entry of the ring, or an entry and the whole id in the header of its slot. Tags
// alone recur every 2^40 messages. Without this, garbage in the many slots outside the ring could
// outvote the ring.
func (w *idWords) supported(next uint64) bool {
	isCommit := w.commit == next || w.commit+1 == next
	for place, e := range w.entries {
		if next <= uint64(place) {
			continue
		}
		id, slot := next-1-(next-1-uint64(place))%uint64(len(w.entries)), layout.EntrySlot(e)
		if int(slot) < len(w.slots) && layout.EntryID(e, id) == id && (isCommit || w.slots[slot].id == id) {
			return true
		}
	}
	return false
}

// best returns the ids of the next message that make the fewest words damaged: one id, if the
// words decide. Of two neighbours it returns the later one, so that no id is given to two messages.
func (w *idWords) best(entriesNext uint64) (next []uint64) {
	var best plausibility
	all := w.candidates(entriesNext)
	some := slices.DeleteFunc(slices.Clone(all), func(one uint64) bool { return !w.supported(one) })
	if len(w.entries) > 2 && len(some) > 0 { // of one or two entries both may be damaged
		all = some
	}
	for _, one := range all {
		p := w.score(one)
		if order := p.compare(best); len(next) == 0 || order < 0 {
			best, next = p, []uint64{one}
		} else if order == 0 {
			next = append(next, one)
		}
	}
	if len(next) == 2 && next[0]+1 == next[1] {
		next = next[1:]
	}
	return next
}

// judgeCommit judges the word that all ids are compared with, where the ring does not agree with
// it.
func (x *inspection) judgeCommit() {
	var next []uint64
	look := func() (Finding, bool) {
		next = nil
		if !x.commitContradicted() {
			return noFinding()
		}
		w := x.idWords()
		switch next = w.best(x.entriesNext()); {
		case len(next) == 0: // no id fits
		case len(next) == 1 && (next[0] == w.commit || next[0] == w.commit+1):
			return noFinding() // what contradicts commit is damaged itself
		case len(next) == 1:
			return x.finding(PartHeader, 0, NoSlot, "commit is %d, and the ring holds messages up to %d", w.commit,
				next[0]-min(next[0], 1))
		}
		f, _ := x.finding(PartHeader, 0, NoSlot, "which ids its messages have cannot be told: commit is %d, and as "+
			"much speaks for %s as the next one", w.commit, orList(next))
		f.mendable = false
		f.Advice = fmt.Sprintf("nothing is repaired, because an id could be given to two messages: copy both files "+
			"first if you need what is in them, then remove %s and start the producer again", x.Location.DataPath())
		return f, true
	}
	if _, wrong := look(); !wrong {
		return
	}
	x.recheckLater(look)
	x.confirm()
	if _, wrong := look(); !x.wrong[PartHeader] || !wrong {
		return
	}
	if x.idsUnknown = len(next) != 1; !x.idsUnknown {
		x.next, x.nextKnown = next[0], true
	}
}

// orList returns a list of a few ids in readable form.
func orList(ids []uint64) string {
	if len(ids) > 4 {
		return fmt.Sprintf("any of %d ids", len(ids))
	}
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = fmt.Sprint(id)
	}
	return strings.Join(all, " or ")
}
