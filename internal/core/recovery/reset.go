package recovery

import (
	"errors"
	"fmt"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// ForceResetSlot makes a slot usable again. It releases what dead participants hold. Without force
// it touches nothing that a living participant holds. With force it does three things. It breaks a
// claim by a FENCE on the entry that the claim is to publish. It marks a message LOST. It evicts
// the consumers whose hazard pointers name a slot that has left the ring. The participants get the
// status at their next call.
//
// NotStuck: the slot is free, or has a message that no participant holds up. Unsafe with ErrLeft:
// everything was done, and a consumer at the slot's message still keeps the producer waiting. Only
// eviction takes the place from that consumer. With force, ForceResetSlot watches for such a
// consumer for up to WaitingAfter. The error has details unless the result is Success.
func ForceResetSlot(name, directory string, slot uint32, force bool) (RecoveryResult, error) {
	r, err := openSession(name, directory, segment.Produce)
	if err != nil {
		return RecoveryFailed, err
	}
	defer r.close()
	if slot >= r.Slots() {
		return RecoveryInvalidSlot, slotRange(r.BlockName(), slot, r.Slots())
	}
	result, why := r.reset(slot, r.ringIndexOf(slot), force)
	if force && (result == RecoverySuccess || result == RecoveryNotStuck) {
		if err := r.leftKeeping(slot); err != nil {
			return RecoveryUnsafe, err
		}
	}
	return result, why
}

// ForceResetAllSlots resets every slot, as ForceResetSlot does. Unsafe: something was left because
// a living participant holds it, or, with ErrLeft, a consumer still keeps the producer waiting;
// everything else was done. Failed with ErrLeft: everything was done, and the block is damaged.
func ForceResetAllSlots(name, directory string, force bool) (RecoveryResult, error) {
	r, err := openSession(name, directory, segment.Produce)
	if err != nil {
		return RecoveryFailed, err
	}
	defer r.close()
	result, why := RecoveryNotStuck, error(status.Errorf(status.Invalid, "block %q: nothing is stuck", r.BlockName()))
	for slot, place := range r.ringIndices() {
		switch one, err := r.reset(uint32(slot), place, force); one {
		case RecoverySuccess:
			if result == RecoveryNotStuck {
				result, why = RecoverySuccess, nil
			}
		case RecoveryUnsafe, RecoveryFailed:
			if result != RecoveryFailed {
				result, why = one, err
			}
		}
	}
	if !force || result != RecoverySuccess && result != RecoveryNotStuck {
		return result, why
	}
	if err := r.leftKeeping(layout.NoSlot); err != nil {
		return RecoveryUnsafe, err
	}
	if left, err := ValidateIntegrity(r.Location.DataPath(), ""); err == nil && !left.Healthy() {
		return RecoveryFailed, &status.Error{Code: status.Corrupt, Cause: ErrLeft,
			Detail: "every slot was reset, and the block is damaged: " + left.Message()}
	}
	return result, why
}

// ErrLeft is the cause of an error of a forced reset that did everything it may, and left
// something. The error says what is left, and what to do about it.
var ErrLeft = errors.New("something is left that a reset does not mend")

// leftKeeping returns the error for the consumers that keep the producer waiting although
// everything was reset, nil if there are none. slot: only consumers at the message in this slot;
// NoSlot: all.
func (r *recoverySession) leftKeeping(slot uint32) error {
	begun := platform.Monotonic()
	for {
		now := segment.ReadClock()
		readers, kept, known := r.keeping(slot, now)
		waited := time.Duration(platform.Monotonic() - begun)
		switch {
		case len(readers) == 0, known && kept < WaitingAfter && waited >= WaitingAfter:
			// In the second case the consumer has moved on, and the producer waits anew.
			return nil
		case known && kept >= WaitingAfter, waited >= WaitingAfter:
			return r.leftReaders(readers, kept, known)
		}
		platform.Nap(leftPause)
	}
}

const leftPause = 5 * time.Millisecond

// keeping returns the consumers that keep the producer waiting now, and how long they have done so.
func (r *recoverySession) keeping(slot uint32, now segment.Clock) (readers []RowInfo, kept time.Duration, known bool) {
	v := view{r.Segment, r.ask}
	wait := v.waiting(now)
	if wait.cursor == 0 {
		return nil, 0, false
	}
	r.ForMask(r.Lossless, func(row uint32) {
		reader := v.rowInfo(row, now)
		at, ok := v.cursorSlot(reader)
		if wait.keptBy(reader) && (slot == layout.NoSlot || ok && at == slot) {
			readers = append(readers, reader)
			kept, known = wait.keptWaiting(reader)
		}
	})
	return readers, kept, known
}

func (r *recoverySession) leftReaders(readers []RowInfo, kept time.Duration, known bool) error {
	first := readers[0]
	evict := fmt.Sprintf("datablock-admin evict --shm-name %s --row %d", r.Reference(), first.Row)
	advice := "a reset does not take its place from it, only eviction does: " + evict + " --force"
	if !first.Alive {
		advice = "it is dead, durable, and keeps its place: start it again under its name, or give its place up: " +
			evict
	}
	more := ""
	if len(readers) > 1 {
		more = fmt.Sprintf(" (and for %d more readers)", len(readers)-1)
	}
	return &status.Error{Code: status.Busy, Cause: ErrLeft,
		Detail: fmt.Sprintf("block %q: the producer still waits for %v, at message %d, and has waited for %s%s: %s",
			r.BlockName(), first, first.Cursor, segment.AgeText(kept, known), more, advice)}
}

// noPlace: no ring entry names the slot.
const noPlace = ^uint32(0)

// ringIndices returns the ring entry that names each slot, found in one pass, noPlace where none
// does. If two entries name one slot, which is damage, it returns the first that is not LOST. The
// answer is only where to look first, because a living producer moves slots meanwhile.
func (r *recoverySession) ringIndices() []uint32 {
	places := make([]uint32, r.Slots())
	for slot := range places {
		places[slot] = noPlace
	}
	for i := len(r.Entries) - 1; i >= 0; i-- {
		e := r.Entries[i].Load()
		if slot := layout.EntrySlot(e); slot < r.Slots() && (e&layout.EntryLost == 0 || places[slot] == noPlace) {
			places[slot] = uint32(i)
		}
	}
	return places
}

// ringIndexOf is ringIndices for one slot.
func (r *recoverySession) ringIndexOf(slot uint32) uint32 {
	lost := noPlace
	for i := range r.Entries {
		if e := r.Entries[i].Load(); layout.EntrySlot(e) == slot {
			if e&layout.EntryLost == 0 {
				return uint32(i)
			}
			lost = uint32(i)
		}
	}
	return lost
}

// inRingAt is InRing for a caller that knows where the slot was. Only an entry that still names the
// slot counts. Otherwise InRing reads the whole ring, so that callers ask for few slots only: those
// that are claimed or held.
func (r *recoverySession) inRingAt(place, slot uint32) bool {
	return place != noPlace && layout.EntrySlot(r.Entries[place].Load()) == slot || r.InRing(slot)
}

// reset resets one slot. place: the ring entry that named the slot a moment ago.
func (r *recoverySession) reset(slot, place uint32, force bool) (RecoveryResult, error) {
	if *r.Data.Plain64(r.SlotHeader(slot) + layout.SlotClaim)&layout.ClaimOpen != 0 && !r.inRingAt(place, slot) {
		return r.resetClaim(slot, force)
	}
	released, living, kept := r.releaseHolders(slot)
	switch {
	case force && r.discard(slot, place):
		return RecoverySuccess, nil
	case force && len(living) > 0 && !r.inRingAt(place, slot):
		for _, h := range living {
			if !r.evict(h) && r.HoldsSlot(h.Row, slot) {
				return RecoveryFailed,
					status.Errorf(status.Busy, "block %q: slot %d is held by %v, and another process is at that row: "+
						"look again",
						r.BlockName(), slot, h)
			}
		}
		return RecoverySuccess, nil
	case len(living) > 0 && !force:
		return RecoveryUnsafe,
			status.Errorf(status.Busy, "block %q: slot %d is held by %v: end that program, or use force, and the "+
				"program gets LOST or FENCED", r.BlockName(), slot, living[0])
	case released > 0:
		return RecoverySuccess, nil
	case kept > 0:
		return RecoveryNotStuck, status.Errorf(status.Busy, "block %q: slot %d is kept by %d dead durable consumers, "+
			"who may come back: clean them up when they have been dead for long enough", r.BlockName(), slot, kept)
	}
	return RecoveryNotStuck, status.Errorf(status.Invalid, "block %q: slot %d is not stuck", r.BlockName(), slot)
}

// releaseHolders cleans the rows of dead consumers that hold the slot. living: the other holders.
// kept: dead durable consumers.
func (r *recoverySession) releaseHolders(slot uint32) (released int, living []RowInfo, kept int) {
	v := view{r.Segment, r.ask}
	for row := uint32(1); row <= r.ConsumerLimit; row++ {
		if r.RowStatus(row) == layout.RowFree || !r.HoldsSlot(row, slot) {
			continue
		}
		before := v.rowInfo(row, segment.ReadClock())
		switch {
		case before.Alive:
			living = append(living, before)
		case r.CleanRow(r.ask, row, segment.Never) && !r.HoldsSlot(row, slot):
			appendLog(r.Segment, actionReleaseReader, uint64(slot), [4]uint64{uint64(row), before.PID, before.Cursor,
				uint64(len(before.Pins))})
			released++
		case r.HoldsSlot(row, slot):
			kept++
		}
	}
	return released, living, kept
}

// String is the participant in readable form.
func (i RowInfo) String() string {
	return fmt.Sprintf("row %d, %q, %s", i.Row, i.Name, segment.ProcessName(i.PID, i.PIDNamespace))
}

// discard marks the message in a slot LOST, for good. The entry keeps id and slot until it is
// overwritten, so that no reading consumer is hurt and no id is used twice. It reports whether it
// did so: not if the entry no longer names the slot, or if the message is LOST already.
func (r *recoverySession) discard(slot, place uint32) bool {
	if place == noPlace {
		return false
	}
	for {
		v := r.Entries[place].Load()
		if layout.EntryEmpty(v) || layout.EntrySlot(v) != slot || v&layout.EntryLost != 0 {
			return false
		}
		crash.Point("recover.entry")
		if r.Entries[place].CompareAndSwap(v, v|layout.EntryLost) {
			crash.Point("recover.lost")
			appendLog(r.Segment, actionDiscard, uint64(slot), [4]uint64{v, layout.EntryID(v, r.Hint())})
			r.WakeConsumers()
			return true
		}
	}
}

// resetClaim ends the claim on a slot: a dead producer's claim under its row's lease, a living
// producer's claim by force, with a fence.
func (r *recoverySession) resetClaim(slot uint32, force bool) (RecoveryResult, error) {
	if segment.Probe(r.ask, layout.ProducerRow) != segment.OwnerAlive {
		if result, err := r.releaseWriter(slot); result != RecoveryUnsafe {
			return result, err
		}
	}
	pid := *r.Data.Plain64(layout.ProducerPID)
	if !force {
		return RecoveryUnsafe, status.Errorf(status.ProducerActive, "block %q: slot %d is claimed by a living "+
			"producer (%s): end that program, or use force, and its commit is refused", r.BlockName(), slot,
			r.DescribeOwner(layout.ProducerRow))
	}
	return r.fence(slot, pid)
}

// fence breaks an open claim. A claim remembers its entry before it stores its mark. A fence that
// is set after the mark was seen therefore meets the remembered entry, and the commit fails. The
// entry and the claim's generation show a claim that was committed meanwhile, or aborted and begun
// anew.
func (r *recoverySession) fence(slot uint32, pid uint64) (RecoveryResult, error) {
	mark := r.Data.U64(r.SlotHeader(slot) + layout.SlotClaim)
	before, claim := mark.Load(), r.Data.U64(layout.ClaimID).Load()
	ended := status.Errorf(status.Invalid, "block %q: slot %d is not claimed any more", r.BlockName(), slot)
	if before&layout.ClaimOpen == 0 {
		return RecoveryNotStuck, ended
	}
	id := claim - 1
	if claim == 0 { // the claim has stored its mark, and its message not yet
		id = r.Segment.End()
	}
	e := r.Entry(id)
	for range fenceTries {
		v := e.Load()
		if !layout.EntryEmpty(v) && layout.EntryID(v, id) >= id || mark.Load() != before {
			return RecoveryNotStuck, ended
		}
		if v&layout.EntryFence != 0 {
			// Another process set the fence earlier, and that fence is for this claim: otherwise it
			// would be gone.
			return RecoverySuccess, nil
		}
		crash.Point("recover.claim")
		if e.CompareAndSwap(v, v|layout.EntryFence) {
			crash.Point("recover.fenced")
			appendLog(r.Segment, actionFence, uint64(slot), [4]uint64{before, pid, id})
			return RecoverySuccess, nil
		}
	}
	return RecoveryFailed, status.Errorf(status.Busy, "block %q: the entry of message %d changes at every look",
		r.BlockName(), id)
}

const (
	// fenceTries bounds the swaps of an entry that only an operator and the producer change.
	fenceTries = 100

	// cleaningTries bounds the looks at a row, a millisecond apart, while another process has the
	// row for a moment: a producer that waits for a dead durable consumer looks at its row again
	// and again.
	cleaningTries = 200
)

// EvictConsumer takes the row of a consumer. It cleans the row of a dead consumer without force,
// also of a durable one. It takes the row of a living consumer by force only. That consumer gets
// FENCED at its next call, and may attach again.
//
// Unsafe: the consumer lives. NotStuck: the row is free.
func EvictConsumer(name, directory string, row uint32, force bool) (RecoveryResult, error) {
	r, err := openSession(name, directory, segment.Consume)
	if err != nil {
		return RecoveryFailed, err
	}
	defer r.close()
	if err := hasRow(r.Segment, row); err != nil {
		return RecoveryInvalidSlot, err
	}
	v := view{r.Segment, r.ask}
	var before RowInfo
	for try := 0; ; try++ {
		if r.RowStatus(row) == layout.RowFree && !r.MaskHas(r.Active, row) && !r.MaskHas(r.Lossless, row) {
			return RecoveryNotStuck, status.Errorf(status.Invalid, "block %q: row %d is free", r.BlockName(), row)
		}
		before = v.rowInfo(row, segment.ReadClock())
		if before.Alive && (!before.cleaning || force && try == cleaningTries) {
			break
		}
		if !before.Alive && r.CleanRow(r.ask, row, func(uint64) bool { return true }) {
			appendLog(r.Segment, actionEvict, uint64(row), [4]uint64{uint64(row), before.PID, before.Cursor,
				uint64(len(before.Pins))})
			return RecoverySuccess, nil
		}
		if try == cleaningTries {
			return RecoveryFailed, status.Errorf(status.Busy,
				"block %q: row %d is being cleaned or attached: look again", r.BlockName(), row)
		}
		platform.Nap(time.Millisecond)
	}
	if !force {
		return RecoveryUnsafe,
			status.Errorf(status.Busy, "block %q: %v lives: end that program, or use force, and the program gets "+
				"FENCED at its next call", r.BlockName(), before)
	}
	if !r.evict(before) {
		return RecoveryFailed,
			status.Errorf(status.Busy, "block %q: row %d is being attached or cleaned: look again, or end that program",
				r.BlockName(), row)
	}
	return RecoverySuccess, nil
}

// hasRow returns the error for a row that no consumer of the block can have.
func hasRow(b *segment.Segment, row uint32) error {
	if row != layout.ProducerRow && row <= b.ConsumerLimit {
		return nil
	}
	return &status.Error{Code: status.Invalid, Cause: ErrSlotRange,
		Detail: fmt.Sprintf("block %q has consumer rows 1 to %d, there is no row %d", b.BlockName(), b.ConsumerLimit,
			row)}
}

// evict empties the row of a living consumer that is attached, or continues where an evicting
// process died. The owner holds the row's lease. If the owner closes meanwhile, CLEANING keeps
// newcomers and cleaners out. evict reports false if it did nothing: another process is cleaning
// the row, its owner is attaching or leaving, or the row belongs to another consumer by now.
func (r *recoverySession) evict(who RowInfo) bool {
	if ok, err := r.ask.TryLock(segment.CleaningByte(who.Row)); !ok || err != nil {
		return false
	}
	defer func() { _ = r.ask.Unlock(segment.CleaningByte(who.Row)) }()
	if r.IncarnationOf(who.Row) != who.incarnation {
		return false
	}
	crash.Point("recover.evicting")
	if !r.StatusWord(who.Row).CompareAndSwap(layout.RowActive, layout.RowEvicting) &&
		r.RowStatus(who.Row) != layout.RowEvicting {
		return false // otherwise an attaching owner would continue as if nothing had happened
	}
	crash.Point("recover.marked")
	r.EmptyRow(who.Row)
	crash.Point("recover.evicted")
	r.Ctl.U64(layout.CtlCleaned).Add(1)
	appendLog(r.Segment, actionEvict, uint64(who.Row), [4]uint64{uint64(who.Row), who.PID, who.Cursor,
		uint64(len(who.Pins))})
	r.WakeProducer()
	platform.Wake(r.Event) // the data file may be mapped read-only; a sleeping consumer checks its row
	return true
}
