package core

import (
	"time"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// RecoveryResult is the result of a recovery, with the values of the C type.
type RecoveryResult int

// The results.
const (
	RecoverySuccess     RecoveryResult = 0
	RecoveryFailed      RecoveryResult = 1
	RecoveryUnsafe      RecoveryResult = 2
	RecoveryNotStuck    RecoveryResult = 3
	RecoveryInvalidSlot RecoveryResult = 4
)

// repairer is a block opened for recovery. It holds no row.
type repairer struct {
	*block
	ask *platform.Locks
}

func openRepairer(name, directory string, mode access) (*repairer, error) {
	l, err := locate(name, directory)
	if err != nil {
		return nil, err
	}
	return retryMoved(l, func() (*repairer, error) {
		b, err := openBlock(l, mode)
		if err != nil {
			return nil, l.sought(err)
		}
		ask, err := openLocks(b, true)
		if err != nil {
			b.unmap()
			return nil, err
		}
		return &repairer{b, ask}, nil
	})
}

func (r *repairer) close() {
	r.ask.Close()
	r.unmap()
}

// ReleaseZombieReaders cleans the rows of the dead consumers that hold a slot, and no living one.
// NotStuck: none of them is dead. The error has details unless the result is Success.
func ReleaseZombieReaders(name, directory string, slot uint32) (RecoveryResult, error) {
	r, err := openRepairer(name, directory, consume)
	if err != nil {
		return RecoveryFailed, err
	}
	defer r.close()
	if slot >= r.slots() {
		return RecoveryInvalidSlot, slotRange(r.name(), slot, r.slots())
	}
	released, living, durable := r.releaseHolders(slot)
	switch {
	case released > 0:
		return RecoverySuccess, nil
	case durable > 0:
		return RecoveryNotStuck, fail(Busy, "block %q: slot %d is kept by %d dead durable consumers, who may come "+
			"back: clean them up when they have been dead for long enough", r.name(), slot, durable)
	case len(living) > 0:
		return RecoveryNotStuck, fail(Busy, "block %q: slot %d has no dead reader, and %d living", r.name(), slot,
			len(living))
	}
	return RecoveryNotStuck, fail(Invalid, "block %q: slot %d is held by no dead reader", r.name(), slot)
}

// holdsSlot reports whether a row has a hazard pointer on the slot, or is LOSSLESS and at the
// message in it.
func (b *block) holdsSlot(row, slot uint32) bool {
	if b.maskHas(b.active, row) {
		for k := range uint64(layout.MaxPins) {
			if b.pin(row, k).Load() == uint64(slot)+1 {
				return true
			}
		}
	}
	cursor := b.cursor(row).Load()
	e := b.entry(cursor).Load()
	return b.maskHas(b.lossless, row) && layout.EntrySlot(e) == slot && layout.EntryID(e, cursor) == cursor
}

// ReleaseZombieWriter ends a dead producer's claim on a slot. It never touches a committed message.
// Unsafe: the producer lives. NotStuck: the slot is not claimed.
func ReleaseZombieWriter(name, directory string, slot uint32) (RecoveryResult, error) {
	r, err := openRepairer(name, directory, produce)
	if err != nil {
		return RecoveryFailed, err
	}
	defer r.close()
	if slot >= r.slots() {
		return RecoveryInvalidSlot, slotRange(r.name(), slot, r.slots())
	}
	return r.releaseWriter(slot)
}

func (r *repairer) releaseWriter(slot uint32) (RecoveryResult, error) {
	claim := r.data.plain64(r.slotHeader(slot) + layout.SlotClaim)
	notClaimed := fail(Invalid, "block %q: slot %d is not claimed", r.name(), slot)
	if *claim&layout.ClaimOpen == 0 || r.inRing(slot) {
		return RecoveryNotStuck, notClaimed
	}
	result, why := RecoveryNotStuck, error(notClaimed)
	dead := withDeadRow(r.ask, layout.ProducerRow, func() {
		before := *claim
		if before&layout.ClaimOpen == 0 || r.inRing(slot) {
			return
		}
		pid, id := *r.data.plain64(layout.ProducerPID), *r.data.plain64(layout.ClaimID)
		*claim = before &^ layout.ClaimOpen
		crash.Point("recover.unmarked")
		*r.data.plain64(layout.ClaimID) = 0
		*r.data.plain64(layout.ClaimSince) = 0
		crash.Point("recover.released")
		appendLog(r.block, actionReleaseWriter, uint64(slot), [4]uint64{before, pid, id})
		r.wakeConsumers()
		result, why = RecoverySuccess, nil
	})
	if !dead {
		return RecoveryUnsafe, fail(ProducerActive, "block %q: slot %d is claimed by a living producer (%s), or "+
			"another process is recovering it right now", r.name(), slot, r.who(layout.ProducerRow))
	}
	return result, why
}

func (b *block) inRing(slot uint32) bool {
	for i := range b.entries {
		if layout.EntrySlot(b.entries[i].Load()) == slot {
			return true
		}
	}
	return false
}

// CleanupDeadConsumers cleans the rows of all dead consumers and returns their number. It cleans
// the row of a durable consumer only if the consumer has been dead for longer than olderThan.
func CleanupDeadConsumers(name, directory string, olderThan time.Duration) (int, error) {
	if olderThan < 0 {
		return 0, negative("time that a durable consumer must have been dead", olderThan)
	}
	r, err := openRepairer(name, directory, consume)
	if err != nil {
		return 0, err
	}
	defer r.close()
	n := 0
	for row := uint32(1); row <= r.consumerLimit; row++ {
		pid := *r.ctl.plain64(r.header.row(row) + layout.RowPID)
		expired := func(died uint64) bool { return since(died, platform.Realtime()) >= olderThan }
		if probe(r.ask, row) == nobody && r.cleanRow(r.ask, row, expired) && r.rowStatus(row) != layout.RowDead {
			appendLog(r.block, actionCleanup, uint64(row), [4]uint64{pid})
			n++
		}
	}
	return n, nil
}

// appendLog appends an action to the block's recovery log. The number is stored last: a record is
// complete when it has its number.
func appendLog(b *block, action uint32, target uint64, before [4]uint64) {
	seq := b.ctl.u64(b.logOffset+layout.LogNext).Add(1) - 1
	at := b.logOffset + layout.LogHeaderSize + seq%uint64(b.logRecords)*layout.LogRecordSize
	crash.Point("recover.drawn")
	b.ctl.u64(at + layout.RecSeq).Store(0)
	crash.Point("recover.logging")
	*b.ctl.plain64(at + layout.RecTime) = platform.Realtime()
	*b.ctl.plain64(at + layout.RecPID) = platform.PID()
	b.ctl.u32(at + layout.RecUID).Store(platform.EffectiveUID())
	b.ctl.u32(at + layout.RecAction).Store(action)
	*b.ctl.plain64(at + layout.RecTarget) = target
	for i, v := range before {
		*b.ctl.plain64(at + layout.RecBefore + 8*uint64(i)) = v
	}
	for i := range uint64(3) {
		*b.ctl.plain64(at + layout.RecAfter + 8*i) = 0
	}
	crash.Point("recover.record")
	b.ctl.u64(at + layout.RecSeq).Store(seq + 1)
	crash.Point("recover.logged")
}
