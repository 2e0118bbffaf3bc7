package recovery

import (
	"fmt"

	"datablock/internal/core/segment"

	"datablock/internal/layout"
)

// rowWords is a row, each word loaded once.
type rowWords struct {
	status, incarnation, nameLength  uint32
	role, delivery, durable, maxPins uint8
	before, cursor, join             uint64
	active, lossless                 bool
	pins                             [layout.MaxPins]uint64
}

func (x *inspection) rowWords(row uint32) (r rowWords) {
	r.before = x.hint()
	at := x.Header.RowOffset(row)
	r.status = x.Ctl.U32(at + layout.RowStatus).Load()
	r.incarnation = x.Ctl.U32(at + layout.RowIncarnation).Load()
	kind := x.Ctl.U32(at + layout.RowRole).Load() // four bytes of one word
	r.role, r.delivery, r.durable, r.maxPins = uint8(kind), uint8(kind>>8), uint8(kind>>16), uint8(kind>>24)
	r.nameLength = x.Ctl.U32(at + layout.RowNameLen).Load()
	r.active, r.lossless = x.MaskHas(x.Active, row), x.MaskHas(x.Lossless, row)
	r.join = x.Ctl.U64(at + layout.RowJoin).Load()
	r.cursor = x.Cursor(row).Load()
	for k := range r.pins {
		r.pins[k] = x.Pin(row, uint64(k)).Load()
	}
	return r
}

// judgeRows validates every row and the masks.
func (x *inspection) judgeRows() {
	for row := range x.ConsumerLimit + 1 {
		x.recheckLater(func() (Finding, bool) { return x.lookAtRow(row) })
	}
	for w := range uint32(layout.MaskWords) {
		x.recheckLater(func() (Finding, bool) {
			if noise := (x.Active[w].Load() | x.Lossless[w].Load()) &^ x.ValidRows(w); noise != 0 {
				return x.finding(PartRow, 64*w, NoSlot, "the masks have bits 0x%x for rows from %d on that no "+
					"consumer can have", noise, 64*w)
			}
			return noFinding()
		})
	}
}

// lookAtRow judges one row. What a participant leaves when it dies or stops between two of its
// stores is possible, and not damage. The same holds for every state of a row that is being
// attached or cleaned.
func (x *inspection) lookAtRow(row uint32) (Finding, bool) {
	r := x.rowWords(row)
	why := x.impossible(row, r)
	if why == "" {
		return noFinding()
	}
	if now := x.rowWords(row); now.status != r.status || now.incarnation != r.incarnation {
		return noFinding() // the row belongs to another participant by now
	}
	return x.finding(PartRow, row, NoSlot, "row %d (%q) is %s", row, x.RowName(row), why)
}

// impossible returns what is impossible about a row, "" if nothing is.
func (x *inspection) impossible(row uint32, r rowWords) string {
	switch {
	case r.status > layout.RowEvicting:
		return fmt.Sprintf("in state %d, and states are 0 to %d", r.status, layout.RowEvicting)
	case r.status == layout.RowEvicting && row == layout.ProducerRow:
		return "being evicted, and is the producer's"
	case r.status == layout.RowFree && r.active:
		return "free, and is attached by the mask"
	case r.status == layout.RowFree && r.lossless:
		return "free, and holds the producer up by the mask"
	case r.status != layout.RowActive && r.status != layout.RowDead:
		return ""
	case r.nameLength > layout.MaxRowNameLen:
		return fmt.Sprintf("named with %d bytes, and the limit is %d", r.nameLength, layout.MaxRowNameLen)
	case row == layout.ProducerRow:
		return x.impossibleProducer(r)
	case r.role != layout.RoleConsumer:
		return fmt.Sprintf("a consumer's, and its role is %d", r.role)
	case r.delivery < layout.Lossless || r.delivery > layout.Latest:
		return fmt.Sprintf("of delivery %d, and deliveries are 1 to 3", r.delivery)
	case r.durable > 1:
		return fmt.Sprintf("durable %d, which is neither yes nor no", r.durable)
	case r.status == layout.RowDead && r.durable == 0:
		return "kept for the return of a consumer that is not durable"
	case r.maxPins < 1 || r.maxPins > layout.MaxPins:
		return fmt.Sprintf("allowed %d pins, and the limit is %d", r.maxPins, layout.MaxPins)
	case r.lossless && r.delivery != layout.Lossless:
		return fmt.Sprintf("of %v delivery, and holds the producer up by the mask", segment.Delivery(r.delivery))
	case r.status == layout.RowActive && !r.active:
		return "attached, and the mask does not say so: its pins are not minded"
	case r.status == layout.RowActive && r.delivery == layout.Lossless && !r.lossless:
		return "LOSSLESS, and the mask does not say so: its cursor is not minded"
	}
	if why := x.impossiblePins(r); why != "" {
		return why
	}
	return x.impossibleCursor(r)
}

func (x *inspection) impossibleProducer(r rowWords) string {
	switch {
	case r.status == layout.RowDead:
		return "kept for the return of a consumer, and is the producer's"
	case r.role != layout.RoleProducer:
		return fmt.Sprintf("the producer's, and its role is %d", r.role)
	case r.delivery != 0 || r.durable != 0 || r.maxPins != 0:
		return fmt.Sprintf("the producer's, and has delivery %d, durable %d, %d pins", r.delivery, r.durable, r.maxPins)
	}
	return ""
}

// impossiblePins judges the hazard pointers that count. No process reads those of a row whose bit
// is off.
func (x *inspection) impossiblePins(r rowWords) string {
	if !r.active {
		return ""
	}
	for k, pin := range r.pins {
		switch {
		case pin > uint64(x.Slots()):
			return fmt.Sprintf("pinning slot %d, and the last one is %d", pin-1, x.Slots()-1)
		case pin != 0 && k >= int(r.maxPins):
			return fmt.Sprintf("pinning %d slots or more, and allowed %d", k+1, r.maxPins)
		}
	}
	return ""
}

// impossibleCursor judges the cursor of a row. A consumer cannot have read a message that is not
// written. Messages that a bound LOSSLESS consumer has yet to read are not overwritten.
func (x *inspection) impossibleCursor(r rowWords) string {
	next := x.hint() // after the cursor: a consumer can have read only what was written before its cursor was loaded
	if !x.nextKnown && next < r.cursor {
		next = x.Segment.End()
	}
	switch {
	case r.cursor > next:
		return fmt.Sprintf("at message %d, and the next one to be written is %d", r.cursor, next)
	case r.join > x.JoinEpoch.Load():
		return fmt.Sprintf("waiting for join %d to be acknowledged, and there were %d", r.join, x.JoinEpoch.Load())
	case r.lossless && r.join == 0 && r.cursor < x.OldestPossible(r.before):
		return fmt.Sprintf("LOSSLESS and at message %d, and the oldest present is %d", r.cursor,
			x.OldestPossible(r.before))
	}
	return ""
}
