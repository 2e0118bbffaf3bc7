package recovery

import (
	"fmt"
	"sort"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/crash"
	"datablock/internal/platform"

	"datablock/internal/layout"
)

// Actions in the recovery log.
const (
	actionReleaseReader = 1
	actionReleaseWriter = 2
	actionCleanup       = 3
	actionFence         = 4
	actionDiscard       = 5
	actionEvict         = 6
)

// actionNames are the readable names; docs/segment-format.md has the numbers.
var actionNames = map[uint32]string{
	actionReleaseReader: "release-reader", actionReleaseWriter: "release-writer", actionCleanup: "cleanup",
	actionFence: "fence", actionDiscard: "discard", actionEvict: "evict",
	actionRepair: "repair",
}

// RecoveryRecord is one entry of a block's recovery log. Before and After depend on the action.
type RecoveryRecord struct {
	Number uint64 // of the record, from 0
	Time   time.Time
	PID    uint64 // of the process that did it
	UID    uint32
	Action uint32
	Target uint64 // slot or row
	Before [4]uint64
	After  [3]uint64
}

// ActionName returns the action in a word.
func (r RecoveryRecord) ActionName() string { return ActionName(r.Action) }

// ActionName returns the name of an action number.
func ActionName(action uint32) string {
	if name, known := actionNames[action]; known {
		return name
	}
	return fmt.Sprintf("action %d", action)
}

// String returns the record in readable form.
func (r RecoveryRecord) String() string {
	switch r.Action {
	case actionReleaseReader:
		return fmt.Sprintf("slot %d: ended the hold of the dead consumer in row %d, pid %d, at message %d; the slot "+
			"can be used again", r.Target, r.Before[0], r.Before[1], r.Before[2])
	case actionReleaseWriter:
		return fmt.Sprintf("slot %d: ended the claim of the dead producer, pid %d; nothing was published",
			r.Target, r.Before[1])
	case actionCleanup:
		return fmt.Sprintf("row %d: removed the dead consumer, pid %d; the row is free", r.Target, r.Before[0])
	case actionFence:
		return fmt.Sprintf("slot %d: fenced the claim of message %d by pid %d; its commit publishes nothing", r.Target,
			r.Before[2], r.Before[1])
	case actionDiscard:
		return fmt.Sprintf("slot %d: discarded message %d; its readers get LOST", r.Target, r.Before[1])
	case actionEvict:
		return fmt.Sprintf("row %d: evicted the consumer, pid %d, at message %d; the row is free",
			r.Target, r.Before[1], r.Before[2])
	case actionRepair:
		return r.repaired()
	}
	return fmt.Sprintf("%s on %d; this version does not know the action", r.ActionName(), r.Target)
}

// repaired is the text of a repair. The header has no number, and its bytes have no earlier value
// in the record.
func (r RecoveryRecord) repaired() string {
	part := Part(min(r.Before[0], uint64(PartLog)))
	what := part.String()
	if part != PartHeader {
		what = fmt.Sprintf("%s %d", what, r.Target)
	}
	if r.Before[1] == 0 {
		return what + ": repaired"
	}
	return fmt.Sprintf("%s: repaired; the damaged value was %#x", what, r.Before[1])
}

// RecoveryLog returns what was done to a block, oldest first, as far back as its log reaches. It is
// read-only. It leaves out a record that its writer did not finish.
func RecoveryLog(name, directory string) ([]RecoveryRecord, error) {
	l, err := segment.Locate(name, directory)
	if err != nil {
		return nil, err
	}
	v, err := openView(l)
	if err != nil {
		return nil, err
	}
	defer v.close()
	var records []RecoveryRecord
	for i := range uint64(v.LogRecords) {
		if r, whole := record(v.Segment, i); whole {
			records = append(records, r)
		}
	}
	sort.Slice(records, func(i, k int) bool { return records[i].Number < records[k].Number })
	return records, nil
}

// record reads place i of the log. A writer clears the number first and stores it last. The number
// is therefore the same before and after the read of a complete record.
func record(b *segment.Segment, i uint64) (RecoveryRecord, bool) {
	at := b.LogOffset + layout.LogHeaderSize + i*layout.LogRecordSize
	seq := b.Ctl.U64(at + layout.RecSeq)
	number := seq.Load()
	if number == 0 || (number-1)%uint64(b.LogRecords) != i {
		return RecoveryRecord{}, false
	}
	r := RecoveryRecord{
		Number: number - 1, Time: time.Unix(0, int64(*b.Ctl.Plain64(at + layout.RecTime))),
		PID: *b.Ctl.Plain64(at + layout.RecPID),
		UID: b.Ctl.U32(at + layout.RecUID).Load(), Action: b.Ctl.U32(at + layout.RecAction).Load(),
		Target: *b.Ctl.Plain64(at + layout.RecTarget),
	}
	for k := range r.Before {
		r.Before[k] = *b.Ctl.Plain64(at + layout.RecBefore + 8*uint64(k))
	}
	for k := range r.After {
		r.After[k] = *b.Ctl.Plain64(at + layout.RecAfter + 8*uint64(k))
	}
	return r, seq.Load() == number
}

// appendLog appends an action to the block's recovery log. The number is stored last: a record is
// complete when it has its number.
func appendLog(b *segment.Segment, action uint32, target uint64, before [4]uint64) {
	seq := b.Ctl.U64(b.LogOffset+layout.LogNext).Add(1) - 1
	at := b.LogOffset + layout.LogHeaderSize + seq%uint64(b.LogRecords)*layout.LogRecordSize
	crash.Point("recover.drawn")
	b.Ctl.U64(at + layout.RecSeq).Store(0)
	crash.Point("recover.logging")
	*b.Ctl.Plain64(at + layout.RecTime) = platform.Realtime()
	*b.Ctl.Plain64(at + layout.RecPID) = platform.PID()
	b.Ctl.U32(at + layout.RecUID).Store(platform.EffectiveUID())
	b.Ctl.U32(at + layout.RecAction).Store(action)
	*b.Ctl.Plain64(at + layout.RecTarget) = target
	for i, v := range before {
		*b.Ctl.Plain64(at + layout.RecBefore + 8*uint64(i)) = v
	}
	for i := range uint64(3) {
		*b.Ctl.Plain64(at + layout.RecAfter + 8*i) = 0
	}
	crash.Point("recover.record")
	b.Ctl.U64(at + layout.RecSeq).Store(seq + 1)
	crash.Point("recover.logged")
}

// actionRepair in the recovery log: the target is the index of what was repaired. before has the
// part and the old value.
const actionRepair = 32
