package recovery

import (
	"golang.org/x/crypto/blake2b"

	"datablock/internal/core/segment"

	"datablock/internal/layout"
)

// judgeWords validates the words of the whole block, and the schema text.
func (x *inspection) judgeWords() {
	x.recheckLater(func() (Finding, bool) {
		switch state := x.StateWord.Load(); state {
		case layout.StateReady, layout.StateClosed, layout.StateSuperseded, layout.StateReplacing:
			return noFinding()
		default:
			return x.finding(PartHeader, 0, NoSlot, "its state is %d, and states are 2 to 5", state)
		}
	})
	x.recheckLater(func() (Finding, bool) {
		if x.Data.U64(layout.Epoch).Load() == 0 {
			return x.finding(PartHeader, 0, NoSlot, "its epoch is 0, and it has had a producer")
		}
		return noFinding()
	})
	x.recheckLater(func() (Finding, bool) {
		before, claim := x.hint(), x.Data.U64(layout.ClaimID).Load()
		if after := x.hint(); claim != 0 && (claim-1 < before || claim-1 > after+uint64(x.Slots())) {
			return x.finding(PartHeader, 0, NoSlot, "message %d is being written, it says, and the next one is %d",
				claim-1, after)
		}
		return noFinding()
	})
	x.recheckLater(func() (Finding, bool) {
		awaited := x.ProducerWaiting.Load()
		if next := x.hint(); awaited != layout.WaitAny && awaited > next+uint64(x.Slots()) {
			return x.finding(PartHeader, 0, NoSlot, "its producer waits for cursor %d, it says, and the next message "+
				"is %d", awaited, next)
		}
		return noFinding()
	})
	x.recheckLater(func() (Finding, bool) {
		acked := x.JoinAck.Load()
		if joins := x.JoinEpoch.Load(); acked > joins {
			return x.finding(PartHeader, 0, NoSlot, "its producer has acknowledged join %d, and there were %d", acked,
				joins)
		}
		return noFinding()
	})
	x.recheckLater(func() (Finding, bool) { return x.lookAtSchema("its schema", &x.MessageSchemaText) })
	x.recheckLater(func() (Finding, bool) {
		return x.lookAtSchema("the schema of its flexible zone",
			&x.ZoneSchemaText)
	})
}

// lookAtSchema compares a schema's text with the hash in the header. Neither ever changes.
func (x *inspection) lookAtSchema(what string, t *segment.SchemaText) (Finding, bool) {
	if sum := blake2b.Sum256(x.Data[t.Offset : t.Offset+t.Length]); t.Length == 0 || sum == t.Hash {
		return noFinding()
	}
	f, _ := x.finding(PartHeader, 0, NoSlot, "the %d bytes of %s do not match their hash", t.Length, what)
	f.mendable = false
	f.Advice = "the text cannot be rebuilt: remove " + x.Location.DataPath() + " and start the producer again; " +
		"messages and readers are not affected"
	return f, true
}

// judgeLog validates every record of the recovery log.
func (x *inspection) judgeLog() {
	for record := range x.LogRecords {
		x.recheckLater(func() (Finding, bool) {
			seq := x.Ctl.U64(x.LogRecord(record) + layout.RecSeq).Load()
			written := x.Ctl.U64(x.LogOffset + layout.LogNext).Load()
			// 0: never written, or its writer died during the write.
			if seq != 0 && ((seq-1)%uint64(x.LogRecords) != uint64(record) || seq > written) {
				return x.finding(PartLog, record, NoSlot, "recovery log record %d says that it is number %d, and %d "+
					"were written", record, seq-1, written)
			}
			return noFinding()
		})
	}
}
