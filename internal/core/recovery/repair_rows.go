package recovery

import (
	"bytes"
	"fmt"
	"sync/atomic"

	"datablock/internal/core/segment"

	"datablock/internal/crash"
	"datablock/internal/layout"
)

// repairRows repairs participants' rows and the masks. It corrects what a row wrongly says about a
// living participant word by word, each to the value that can hurt no participant. It cleans the
// row of a dead one.
func (r *repairRun) repairRows(x *inspection, w *recoverySession) {
	seen := map[uint32]bool{}
	for _, row := range x.wrongRows {
		if seen[row] {
			continue
		}
		seen[row] = true
		r.noise(x, w)
		if row <= x.ConsumerLimit && x.impossible(row, x.rowWords(row)) != "" {
			r.row(x, w, row)
		}
	}
}

// noise clears the bits of rows that do not exist.
func (r *repairRun) noise(x *inspection, w *recoverySession) {
	for i := range uint32(layout.MaskWords) {
		for _, mask := range [][]atomic.Uint64{x.Active, x.Lossless} {
			if before := mask[i].And(x.ValidRows(i)); before&^x.ValidRows(i) != 0 {
				crash.Point("repair.word")
				r.did(w, PartRow, 64*i, before, "cleared the mask's bits of rows that do not exist")
			}
		}
	}
}

func (r *repairRun) row(x *inspection, w *recoverySession, row uint32) {
	before := x.rowWords(row)
	name := x.RowName(row)
	cleaned := false
	dead := segment.WithDeadRow(x.ask, row, func() {
		if now := x.rowWords(row); x.impossible(row, now) == "" {
			return // another process was faster
		}
		if x.keepable(row, before) {
			return
		}
		x.ClearRow(row)
		cleaned = true
	})
	if cleaned {
		x.WakeProducer()
		r.did(w, PartRow, row, uint64(before.status), "cleaned row %d (%q), which nobody has", row, name)
		return
	}
	if !dead && segment.Probe(x.ask, row) != segment.OwnerAlive {
		r.busy = true // another process is cleaning the row
		return
	}
	r.correct(x, w, row, dead)
}

// keepable reports whether a row without an owner belongs to a durable consumer that may return.
func (x *inspection) keepable(row uint32, r rowWords) bool {
	return row != layout.ProducerRow && r.durable&1 == 1 && r.nameLength > 0 && r.nameLength <= layout.MaxRowNameLen &&
		(r.status == layout.RowActive || r.status == layout.RowDead)
}

// correct sets each impossible word of a row that has an owner, or waits for one. It uses
// compare-and-swap, so that what the owner writes meanwhile stays.
func (r *repairRun) correct(x *inspection, w *recoverySession, row uint32, dead bool) {
	at := x.Header.RowOffset(row)
	was := x.rowWords(row)
	role, delivery, durable, pins := uint8(layout.RoleConsumer), was.delivery, was.durable&1, was.maxPins
	switch {
	case row == layout.ProducerRow:
		role, delivery, durable, pins = layout.RoleProducer, 0, 0, 0
	case was.lossless && x.Flags&segment.AllowLossless != 0:
		// A consumer that may be LOSSLESS becomes so: then nothing is lost.
		delivery = layout.Lossless
	case delivery < layout.Lossless || delivery > layout.Latest:
		delivery = layout.Ordered
	}
	if was.status == layout.RowDead && row != layout.ProducerRow {
		durable = 1
	}
	if row != layout.ProducerRow {
		pins = x.pinsAllowed(was)
	}
	kind := x.Ctl.U32(at + layout.RowRole)
	from := uint32(was.role) | uint32(was.delivery)<<8 | uint32(was.durable)<<16 | uint32(was.maxPins)<<24
	to := uint32(role) | uint32(delivery)<<8 | uint32(durable)<<16 | uint32(pins)<<24
	if from != to && kind.CompareAndSwap(from, to) {
		crash.Point("repair.word")
		r.did(w, PartRow, row, uint64(from), "corrected role, delivery and pins of row %d", row)
	}
	if length := x.Ctl.U32(at + layout.RowNameLen); was.nameLength > layout.MaxRowNameLen {
		n := bytes.IndexByte(x.Ctl[at+layout.RowName:at+layout.RowName+layout.MaxRowNameLen+1], 0)
		if length.CompareAndSwap(was.nameLength, uint32(min(uint(n), layout.MaxRowNameLen))) {
			crash.Point("repair.word")
			r.did(w, PartRow, row, uint64(was.nameLength), "corrected the length of the name of row %d", row)
		}
	}
	r.correctState(x, w, row, was, dead)
	r.correctMasks(x, w, row, delivery)
	r.correctPlace(x, w, row)
}

// pinsAllowed returns at least the number of hazard pointers that the row has in use.
func (x *inspection) pinsAllowed(was rowWords) uint8 {
	used := uint8(1)
	for k, pin := range was.pins {
		if pin != 0 && pin <= uint64(x.Slots()) {
			used = uint8(k) + 1
		}
	}
	if was.maxPins >= used && was.maxPins <= layout.MaxPins {
		return was.maxPins
	}
	return used
}

// correctState makes a living owner's row ACTIVE. The owner had become ACTIVE before anything could
// be damaged.
func (r *repairRun) correctState(x *inspection, w *recoverySession, row uint32, was rowWords, dead bool) {
	if was.status <= layout.RowEvicting && !(row == layout.ProducerRow && was.status >= layout.RowDead) &&
		!(was.status == layout.RowFree && !dead) {
		return
	}
	state := uint32(layout.RowActive)
	if dead {
		state = layout.RowDead
	}
	if x.Ctl.U32(x.Header.RowOffset(row)+layout.RowStatus).CompareAndSwap(was.status, state) {
		crash.Point("repair.word")
		r.did(w, PartRow, row, uint64(was.status), "set the state of row %d to %d", row, state)
	}
}

// correctMasks sets the bits that make the producer look at a living row's hazard pointers and
// cursor. The producer looks at a bound cursor from the next message on.
func (r *repairRun) correctMasks(x *inspection, w *recoverySession, row uint32, delivery uint8) {
	if row == layout.ProducerRow || x.RowStatus(row) != layout.RowActive {
		return
	}
	if !x.MaskHas(x.Active, row) {
		x.MaskSet(x.Active, row)
		crash.Point("repair.word")
		r.did(w, PartRow, row, 0, "let the producer mind the pins of row %d again", row)
	}
	bound := x.MaskHas(x.Lossless, row)
	switch {
	case delivery == layout.Lossless && !bound:
		x.JoinEpoch.Add(1) // as in correctPlace
		crash.Point("repair.word")
		x.MaskSet(x.Lossless, row)
		crash.Point("repair.word")
		x.JoinEpoch.Add(1)
		crash.Point("repair.word")
		r.did(w, PartRow, row, 0, "let the producer mind the cursor of row %d again", row)
	case delivery != layout.Lossless && bound:
		x.MaskClear(x.Lossless, row)
		crash.Point("repair.word")
		r.did(w, PartRow, row, 0, "let row %d no longer hold the producer up", row)
		x.WakeProducer()
	}
}

// correctPlace moves an impossible cursor to the oldest message. The producer then holds back
// everything that the consumer may still want, until the consumer moves on. It clears hazard
// pointers of slots that do not exist: they hold nothing.
func (r *repairRun) correctPlace(x *inspection, w *recoverySession, row uint32) {
	if row == layout.ProducerRow {
		return
	}
	for k := range uint64(layout.MaxPins) {
		pin := x.Pin(row, k)
		if was := pin.Load(); was > uint64(x.Slots()) && pin.CompareAndSwap(was, 0) {
			crash.Point("repair.word")
			r.did(w, PartRow, row, was, "cleared a pin of row %d", row)
		}
	}
	now := x.rowWords(row)
	if join := x.Ctl.U64(x.Header.RowOffset(row) + layout.RowJoin); now.join > x.JoinEpoch.Load() &&
		join.CompareAndSwap(now.join, 0) {
		crash.Point("repair.word")
		r.did(w, PartRow, row, now.join, "corrected the join of row %d", row)
	}
	if now = x.rowWords(row); now.status == layout.RowFree || x.impossibleCursor(now) == "" {
		return
	}
	// The epoch makes the producer look at all cursors. It moves before the change and after it: no
	// later repair finds anything wrong here after a death in between.
	x.JoinEpoch.Add(1)
	crash.Point("repair.word")
	if oldest := x.OldestPossible(x.hint()); x.Cursor(row).CompareAndSwap(now.cursor, oldest) {
		crash.Point("repair.word")
		r.did(w, PartRow, row, now.cursor, "moved the cursor of row %d to the oldest message, %d", row, oldest)
		x.JoinEpoch.Add(1)
		crash.Point("repair.word")
		x.WakeProducer()
	}
}

// String says what was repaired, in readable form.
func (i *Integrity) String() string {
	if i.Healthy() {
		return fmt.Sprintf("block %q is healthy", i.Block)
	}
	return i.Message()
}
