package recovery

import (
	"encoding/binary"
	"fmt"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// Repair rebuilds what follows from the rest of a block, and resets what does not. It works in
// place: the same files and the same attachments, and no good message is touched. Entries and slots
// belong to the producer. While a producer lives, Repair changes them only with force: it may fence
// the open claim, and it discards what is damaged (LOST). Repair returns what it has done and, as
// Integrity, what is left.
//
// Results: Success, everything is repaired. NotStuck, nothing was wrong. Unsafe, a living producer
// prevents the repair. Failed, something cannot be rebuilt, or could not be written. The error has
// details unless the result is Success.
//
// Repair continues while it makes progress. Of two repairs at once, each may find that the other
// has done its work: the result is Success, too. Every repair is idempotent. The next repair
// continues one that died.
func Repair(name, directory string, force bool) (RecoveryResult, *Integrity, error) {
	l, err := segment.Locate(name, directory)
	if err != nil {
		return RecoveryFailed, nil, err
	}
	r := repairRun{name: l.Name, force: force}
	begun, damaged := platform.Monotonic(), false
	for idle, round := 0, 0; ; round++ {
		left, err := r.round(l)
		switch {
		case err != nil:
			return RecoveryFailed, left, err
		case left.Healthy() && !damaged:
			return RecoveryNotStuck, left, status.Errorf(status.Invalid, "block %q is healthy, there is nothing to "+
				"repair", l.Name)
		case left.Healthy():
			left.Repaired, left.Mended = r.done, r.count
			return RecoverySuccess, left, nil
		case round == repairRounds:
			return r.refused(left)
		case r.progress:
			idle = 0
		case r.busy && time.Duration(platform.Monotonic()-begun) < repairPatience:
			platform.Nap(time.Millisecond)
		case r.unsafe != "" || idle == repairLooks:
			return r.refused(left)
		default: // another process may have repaired the damage since it was found, or be about to
			idle++
			platform.Nap(time.Duration(idle) * time.Millisecond)
		}
		damaged = true
	}
}

const (
	// repairRounds bounds the rounds of a repair that makes progress in each. Damage returns only
	// while another process writes to the block.
	repairRounds = 100
	// repairLooks is how often a repair looks again after it has found damage and changed nothing.
	repairLooks = 5
	// repairPatience bounds the wait for another process that repairs or cleans the same rows.
	repairPatience = 30 * time.Second
)

type repairRun struct {
	name     string
	force    bool
	done     []string // at most maxFindings
	count    int      // of everything that was done
	progress bool     // in this round
	busy     bool     // in this round: another process holds a lock that the repair needs
	unsafe   string   // in this round: the reason why something was not touched
}

func (r *repairRun) refused(left *Integrity) (RecoveryResult, *Integrity, error) {
	left.Repaired, left.Mended = r.done, r.count
	said := ""
	if r.count > 0 {
		said = fmt.Sprintf(" (repaired: %s)", segment.InShort(r.done, 3, r.count))
	}
	first := left.Findings[0]
	switch {
	case r.unsafe != "":
		return RecoveryUnsafe, left, status.Errorf(status.ProducerActive, "%s: %s%s", first.Problem, r.unsafe, said)
	case r.busy:
		return RecoveryFailed, left, status.Errorf(status.Busy, "%s: another process has been repairing the block for "+
			"%v, and has not finished: is it stopped? Continue or end it, then repair again%s", first.Problem,
			repairPatience, said)
	case first.mendable:
		return RecoveryFailed, left, status.Errorf(status.Corrupt, "%s, and cannot be repaired while it is used so: "+
			"stop the programs that use the block, then repair it again%s", first.Problem, said)
	}
	return RecoveryFailed, left, status.Errorf(status.Corrupt, "%s%s", left.Message(), said)
}

// round validates once, and repairs what it finds.
func (r *repairRun) round(l segment.Location) (*Integrity, error) {
	r.progress, r.busy, r.unsafe = false, false, ""
	x, err := openInspection(l, false)
	if err != nil {
		return nil, err
	}
	x.inspect()
	found := x.verdict()
	x.close()
	if found.Healthy() {
		return found, nil
	}
	if x, err = openInspection(l, true); err != nil {
		return found, err
	}
	defer x.close()
	x.inspect()
	found = x.verdict()
	if x.Header == nil || x.idsUnknown {
		return found, nil
	}
	if x.controlShort {
		return found, r.extend(x)
	}
	if err := r.header(x); err != nil {
		return found, err
	}
	if !x.mapped() {
		return found, nil
	}
	w := recoverySession{x.Segment, x.ask}
	r.repairGlobals(x, &w)
	r.repairRows(x, &w)
	r.log(x, &w)
	r.repairRing(x, &w)
	return found, nil
}

// did records a repair, here and in the block's recovery log.
func (r *repairRun) did(w *recoverySession, part Part, index uint32, before uint64, format string, args ...any) {
	r.progress = true
	if r.count++; len(r.done) < maxFindings {
		r.done = append(r.done, fmt.Sprintf(format, args...))
	}
	if w != nil {
		appendLog(w.Segment, actionRepair, uint64(index), [4]uint64{uint64(part), before})
	}
}

// header writes the immutable bytes that were derived. Attached participants never read these bytes
// again, so that it does not matter which participants live.
func (r *repairRun) header(x *inspection) error {
	path := x.Location.DataPath()
	if !x.mapped() {
		return nil
	}
	for _, file := range []struct {
		*platform.File
		path      string
		has, want uint64
	}{{x.DataFile, path, uint64(x.dataBytes), x.DataSize}, {x.ctlFile, x.ControlPath(x.ID), uint64(x.ctlBytes),
		x.ControlSize}} {
		if file.has > file.want { // no participant uses bytes behind the end
			if err := file.Cut(int64(file.want)); err != nil {
				return segment.SystemError(err, "block %q", x.BlockName())
			}
			crash.Point("repair.file")
			r.did(nil, PartHeader, 0, file.has, "cut %s to its size", file.path)
		}
	}
	page := make([]byte, layout.Page)
	copy(page, x.whole)
	if binary.LittleEndian.Uint32(x.whole[layout.HdrMinor:]) > layout.FormatMinor {
		copy(page[layout.ImmutableLen:], x.page[layout.ImmutableLen:]) // bytes of a later version
	}
	if r.write(x.Data[:layout.Page], page) {
		r.did(&recoverySession{x.Segment, x.ask}, PartHeader, 0, 0, "rebuilt the header of %s", path)
	}
	want := x.EncodeControl()
	copy(want[layout.CtlMinor:], x.whole[layout.HdrMinor:layout.HdrMinor+4])
	if r.write(x.Ctl[:layout.ControlHeaderLen], want) {
		r.did(&recoverySession{x.Segment, x.ask}, PartHeader, 0, 0, "rebuilt the header of the control file")
	}
	return nil
}

// write corrects bytes, and reports whether any were wrong. Each byte is either the old one or the
// new one, so that the next repair completes a repair that died.
func (r *repairRun) write(to, from []byte) (wrong bool) {
	for i := range from {
		if to[i] != from[i] {
			to[i] = from[i]
			crash.Point("repair.file")
			wrong = true
		}
	}
	return wrong
}

// repairGlobals repairs the words of the whole block. Each repair is a compare-and-swap from the
// damaged value: a process that has just written a good value is not disturbed.
func (r *repairRun) repairGlobals(x *inspection, w *recoverySession) {
	alive := segment.Probe(x.ask, layout.ProducerRow) == segment.OwnerAlive
	hint := x.Data.U64(layout.Commit)
	if was := hint.Load(); x.nextKnown && hint.CompareAndSwap(was, x.next) {
		crash.Point("repair.word")
		r.did(w, PartHeader, 0, was, "set commit to %d, as the ring says", x.next)
		x.nextKnown = false
	}
	switch state := x.StateWord.Load(); {
	case state >= layout.StateReady && state <= layout.StateReplacing:
	case x.StateWord.CompareAndSwap(state, layout.StateReady):
		crash.Point("repair.word")
		r.did(w, PartHeader, 0, uint64(state), "set the state to READY")
		x.WakeConsumers()
	}
	if epoch := x.Data.U64(layout.Epoch); epoch.Load() == 0 && epoch.CompareAndSwap(0, x.ringEpoch()) {
		crash.Point("repair.word")
		r.did(w, PartHeader, 0, 0, "set the epoch to %d, as the ring says", x.ringEpoch())
	}
	claim := x.Data.U64(layout.ClaimID)
	if was := claim.Load(); was != 0 && (was-1 < x.hint() || was-1 > x.hint()+uint64(x.Slots())) &&
		claim.CompareAndSwap(was, 0) {
		crash.Point("repair.word")
		r.did(w, PartHeader, 0, was, "cleared the number of the message that is being written")
	}
	if was := x.ProducerWaiting.Load(); was != layout.WaitAny && was > x.hint()+uint64(x.Slots()) {
		to := uint64(0)
		if alive {
			to = layout.WaitAny
		}
		if x.ProducerWaiting.CompareAndSwap(was, to) {
			crash.Point("repair.word")
			r.did(w, PartHeader, 0, was, "cleared the cursor that the producer waits for")
			x.WakeProducer()
		}
	}
	if was := x.JoinAck.Load(); was > x.JoinEpoch.Load() && x.JoinAck.CompareAndSwap(was, 0) {
		crash.Point("repair.word")
		x.JoinEpoch.Add(1) // makes the producer look at all cursors, and acknowledge the new epoch
		crash.Point("repair.word")
		r.did(w, PartHeader, 0, was, "let the producer acknowledge the joins again")
	}
}

// ringEpoch returns the latest epoch in which a message was claimed, at least 1.
func (x *inspection) ringEpoch() uint64 {
	epoch := uint64(1)
	for place := range x.SlotCount {
		if slot := layout.EntrySlot(x.Entries[place].Load()); slot < x.Slots() {
			epoch = max(epoch, layout.ClaimEpoch(x.slotWords(slot).claim))
		}
	}
	return epoch
}

// log clears the numbers of damaged records. They then count as never completed.
func (r *repairRun) log(x *inspection, w *recoverySession) {
	for _, record := range x.wrongRecords {
		seq := x.Ctl.U64(x.LogRecord(record) + layout.RecSeq)
		if was := seq.Load(); seq.CompareAndSwap(was, 0) {
			crash.Point("repair.word")
			r.did(w, PartLog, record, was, "dropped recovery log record %d", record)
		}
	}
}
