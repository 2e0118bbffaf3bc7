// Package recovery has what operators do with a block, without a role in it: list and diagnose,
// release and reset, evict, validate and repair. It trusts no byte that it reads, and knows nothing
// of package channel.
package recovery

import (
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

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

// recoverySession is a block opened for recovery. It holds no row.
type recoverySession struct {
	*segment.Segment
	ask *platform.Locks
}

func openSession(name, directory string, mode segment.Access) (*recoverySession, error) {
	l, err := segment.Locate(name, directory)
	if err != nil {
		return nil, err
	}
	return segment.RetryMoved(l, func() (*recoverySession, error) {
		b, err := segment.OpenBlock(l, mode)
		if err != nil {
			return nil, l.Sought(err)
		}
		ask, err := segment.OpenLocks(b, true)
		if err != nil {
			b.Unmap()
			return nil, err
		}
		return &recoverySession{b, ask}, nil
	})
}

func (r *recoverySession) close() {
	r.ask.Close()
	r.Unmap()
}

// ReleaseZombieReaders cleans the rows of the dead consumers that hold a slot, and no living one.
// NotStuck: none of them is dead. The error has details unless the result is Success.
func ReleaseZombieReaders(name, directory string, slot uint32) (RecoveryResult, error) {
	r, err := openSession(name, directory, segment.Consume)
	if err != nil {
		return RecoveryFailed, err
	}
	defer r.close()
	if slot >= r.Slots() {
		return RecoveryInvalidSlot, slotRange(r.BlockName(), slot, r.Slots())
	}
	released, living, durable := r.releaseHolders(slot)
	switch {
	case released > 0:
		return RecoverySuccess, nil
	case durable > 0:
		return RecoveryNotStuck, status.Errorf(status.Busy, "block %q: slot %d is kept by %d dead durable consumers, "+
			"who may come back: clean them up when they have been dead for long enough", r.BlockName(), slot, durable)
	case len(living) > 0:
		return RecoveryNotStuck, status.Errorf(status.Busy, "block %q: slot %d has no dead reader, and %d living",
			r.BlockName(), slot,
			len(living))
	}
	return RecoveryNotStuck, status.Errorf(status.Invalid, "block %q: slot %d is held by no dead reader", r.BlockName(),
		slot)
}

// ReleaseZombieWriter ends a dead producer's claim on a slot. It never touches a committed message.
// Unsafe: the producer lives. NotStuck: the slot is not claimed.
func ReleaseZombieWriter(name, directory string, slot uint32) (RecoveryResult, error) {
	r, err := openSession(name, directory, segment.Produce)
	if err != nil {
		return RecoveryFailed, err
	}
	defer r.close()
	if slot >= r.Slots() {
		return RecoveryInvalidSlot, slotRange(r.BlockName(), slot, r.Slots())
	}
	return r.releaseWriter(slot)
}

func (r *recoverySession) releaseWriter(slot uint32) (RecoveryResult, error) {
	claim := r.Data.Plain64(r.SlotHeader(slot) + layout.SlotClaim)
	notClaimed := status.Errorf(status.Invalid, "block %q: slot %d is not claimed", r.BlockName(), slot)
	if *claim&layout.ClaimOpen == 0 || r.InRing(slot) {
		return RecoveryNotStuck, notClaimed
	}
	result, why := RecoveryNotStuck, error(notClaimed)
	dead := segment.WithDeadRow(r.ask, layout.ProducerRow, func() {
		before := *claim
		if before&layout.ClaimOpen == 0 || r.InRing(slot) {
			return
		}
		pid, id := *r.Data.Plain64(layout.ProducerPID), *r.Data.Plain64(layout.ClaimID)
		*claim = before &^ layout.ClaimOpen
		crash.Point("recover.unmarked")
		*r.Data.Plain64(layout.ClaimID) = 0
		*r.Data.Plain64(layout.ClaimSince) = 0
		crash.Point("recover.released")
		appendLog(r.Segment, actionReleaseWriter, uint64(slot), [4]uint64{before, pid, id})
		r.WakeConsumers()
		result, why = RecoverySuccess, nil
	})
	if !dead {
		return RecoveryUnsafe, status.Errorf(status.ProducerActive, "block %q: slot %d is claimed by a living "+
			"producer (%s), or another process is recovering it right now", r.BlockName(), slot,
			r.DescribeOwner(layout.ProducerRow))
	}
	return result, why
}

// CleanupDeadConsumers cleans the rows of all dead consumers and returns their number. It cleans
// the row of a durable consumer only if the consumer has been dead for longer than olderThan.
func CleanupDeadConsumers(name, directory string, olderThan time.Duration) (int, error) {
	if olderThan < 0 {
		return 0, negative("time that a durable consumer must have been dead", olderThan)
	}
	r, err := openSession(name, directory, segment.Consume)
	if err != nil {
		return 0, err
	}
	defer r.close()
	n := 0
	for row := uint32(1); row <= r.ConsumerLimit; row++ {
		pid := *r.Ctl.Plain64(r.Header.RowOffset(row) + layout.RowPID)
		expired := func(died uint64) bool { return segment.Since(died, platform.Realtime()) >= olderThan }
		if segment.Probe(r.ask, row) == segment.OwnerDead && r.CleanRow(r.ask, row, expired) &&
			r.RowStatus(row) != layout.RowDead {
			appendLog(r.Segment, actionCleanup, uint64(row), [4]uint64{pid})
			n++
		}
	}
	return n, nil
}
