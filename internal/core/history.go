package core

import (
	"fmt"
	"sort"
	"time"

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
	l, err := locate(name, directory)
	if err != nil {
		return nil, err
	}
	v, err := openView(l)
	if err != nil {
		return nil, err
	}
	defer v.close()
	var records []RecoveryRecord
	for i := range uint64(v.logRecords) {
		if r, whole := record(v.block, i); whole {
			records = append(records, r)
		}
	}
	sort.Slice(records, func(i, k int) bool { return records[i].Number < records[k].Number })
	return records, nil
}

// record reads place i of the log. A writer clears the number first and stores it last. The number
// is therefore the same before and after the read of a complete record.
func record(b *block, i uint64) (RecoveryRecord, bool) {
	at := b.logOffset + layout.LogHeaderSize + i*layout.LogRecordSize
	seq := b.ctl.u64(at + layout.RecSeq)
	number := seq.Load()
	if number == 0 || (number-1)%uint64(b.logRecords) != i {
		return RecoveryRecord{}, false
	}
	r := RecoveryRecord{
		Number: number - 1, Time: time.Unix(0, int64(*b.ctl.plain64(at + layout.RecTime))),
		PID: *b.ctl.plain64(at + layout.RecPID),
		UID: b.ctl.u32(at + layout.RecUID).Load(), Action: b.ctl.u32(at + layout.RecAction).Load(),
		Target: *b.ctl.plain64(at + layout.RecTarget),
	}
	for k := range r.Before {
		r.Before[k] = *b.ctl.plain64(at + layout.RecBefore + 8*uint64(k))
	}
	for k := range r.After {
		r.After[k] = *b.ctl.plain64(at + layout.RecAfter + 8*uint64(k))
	}
	return r, seq.Load() == number
}
