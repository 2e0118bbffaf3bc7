package segment

import (
	"sync/atomic"
	"time"

	"datablock/internal/core/status"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// Locks that applications share: eight words in the control file. A word is zero, or the mark of
// its owner. Two kinds of processes take the lock of a dead owner: a process that cleans the
// owner's row, and a waiting participant that finds the owner dead. Each swaps exactly the owner's
// mark for another value, so that only one of several succeeds. The next owner of a lock that was
// not released gets abandoned = true.
//
// The word is taken and left by sequentially consistent swaps: what the last owner wrote under the
// lock is visible to the next owner.

const (
	lockSpins     = 200
	lockFirstNap  = 2 * time.Millisecond // how long a participant sleeps before it checks whether the owner lives
	lockSlice     = time.Duration(layout.SleepSliceNs)
	lockAbandoned = 1 << 63 // without an owner; the last owner ended without releasing the lock
)

// HeldLocks is a participant's part in the locks: its mark, and how often it has taken each lock.
type HeldLocks struct {
	Mark  uint64
	depth [layout.SpinLockCount]uint32
	zone  bool // in the flexible zone, by lock 0
}

// LockMark says who owns a lock: the row, and the generation of the participant in that row.
func LockMark(row uint32, incarnation uint32) uint64 { return uint64(incarnation)<<16 | uint64(row+1) }

func (b *Segment) LockWord(i uint32) *atomic.Uint64 {
	return b.Ctl.U64(layout.CtlSpinLocks + uint64(i)*layout.CacheLine + layout.LockOwner)
}

func (b *Segment) lockSleepers(i uint32) *atomic.Uint32 {
	return b.Ctl.U32(layout.CtlSpinLocks + uint64(i)*layout.CacheLine + layout.LockSleepers)
}

// IncarnationOf returns the generation that a living participant of the row has in its mark.
func (b *Segment) IncarnationOf(row uint32) uint32 {
	if row == layout.ProducerRow {
		return uint32(b.Data.U64(layout.Epoch).Load())
	}
	return b.Ctl.U32(b.Header.RowOffset(row) + layout.RowIncarnation).Load()
}

// ownerDead reports whether the owner that a mark names is certainly gone: another participant has
// its row, or no participant. A mark that no participant can have has no owner.
func (a *Attachment) ownerDead(mark uint64) bool {
	row := uint32(mark&0xffff) - 1
	if mark&0xffff == 0 || row > a.ConsumerLimit || mark>>48 != 0 {
		return true
	}
	if a.IncarnationOf(row) != uint32(mark>>16) {
		return true
	}
	return row != a.Row && Probe(a.ProbeLocks, row) == OwnerDead
}

func (a *Attachment) checkLock(i uint32) error {
	if i >= layout.SpinLockCount {
		return status.Errorf(status.Invalid, "block %q has locks 0 to %d, there is no lock %d", a.BlockName(),
			layout.SpinLockCount-1, i)
	}
	return nil
}

// tryLock takes the lock if it is free. If ask is set, it also takes the lock of a dead owner.
func (a *Attachment) tryLock(i uint32, ask bool) (taken, abandoned bool) {
	word := a.LockWord(i)
	owner := word.Load()
	switch {
	case owner == 0 || owner == lockAbandoned:
	case ask && a.ownerDead(owner):
	default:
		return false, false
	}
	crash.Point("lock.free")
	if !word.CompareAndSwap(owner, a.Locks.Mark) {
		return false, false
	}
	crash.Point("lock.taken")
	return true, owner != 0
}

// AcquireLock takes lock i, 0 to 7, for this participant, which may take the lock again while
// holding it. It waits for at most the timeout. abandoned: the last owner ended without releasing
// the lock, and what the lock protects may be half changed. Errors: Invalid (no such lock,
// timeout), Timeout, Fenced, Closed (Interrupt).
func (a *Attachment) AcquireLock(i uint32, timeout time.Duration, interrupted *uint32,
	outside *Sleep) (abandoned bool, err error) {
	if a.Data == nil {
		return false, status.Errorf(status.Closed, "block %q: this participant is closed already", a.BlockName())
	}
	if err := a.checkLock(i); err != nil {
		return false, err
	}
	if timeout < Forever {
		return false, status.Errorf(status.Invalid, "timeout %v: use 0, Forever (-1) or a positive time", timeout)
	}
	if outside != nil && outside.Begun {
		return a.awaitLock(i, timeout, interrupted, outside)
	}
	if a.Locks.depth[i] > 0 && a.LockWord(i).Load() == a.Locks.Mark {
		a.Locks.depth[i]++
		return false, nil
	}
	a.Locks.depth[i] = 0
	a.Locks.zone = a.Locks.zone && i != ZoneLock
	for try := range lockSpins {
		taken, abandoned := a.tryLock(i, try == lockSpins-1)
		if taken {
			a.Locks.depth[i] = 1
			return abandoned, nil
		}
		if timeout == 0 && try == 0 {
			if taken, abandoned = a.tryLock(i, true); taken {
				a.Locks.depth[i] = 1
				return abandoned, nil
			}
			break
		}
	}
	err = Inside(outside, func(s *Sleep) (err error) {
		abandoned, err = a.awaitLock(i, timeout, interrupted, s)
		return err
	})
	return abandoned, err
}

// awaitLock is one step of a wait for the lock, on an event count: announce the sleep, look again,
// sleep while the word has not changed. An owner that died wakes no participant, so that no sleep
// is long.
func (a *Attachment) awaitLock(i uint32, timeout time.Duration, interrupted *uint32, s *Sleep) (bool, error) {
	if s.Begin() {
		s.nap = lockFirstNap
	}
	left := timeout - s.Waited()
	if timeout >= 0 && left <= 0 {
		return false, a.lockTimedOut(i, timeout)
	}
	if atomic.LoadUint32(interrupted) != 0 {
		return false, status.Errorf(status.Closed, "block %q: closed while it waited for lock %d", a.BlockName(), i)
	}
	sleepers := a.lockSleepers(i)
	// Sequentially consistent, pairs with the load in leaveLock: either the owner sees the flag, or
	// this participant sees the word that the owner has changed.
	seen := sleepers.Or(1) | 1
	crash.Point("lock.sleeps")
	if taken, abandoned := a.tryLock(i, true); taken {
		a.Locks.depth[i] = 1
		return abandoned, nil
	}
	slice := s.nap
	if timeout >= 0 {
		slice = min(slice, left)
	}
	s.nap = min(2*s.nap, lockSlice)
	// The thread that clears the flag increments the count. A thread that has set the flag then
	// does not fall asleep any more.
	return false, s.On(sleepers, seen, slice)
}

func (a *Attachment) lockTimedOut(i uint32, timeout time.Duration) error {
	owner := a.LockWord(i).Load()
	row := uint32(owner&0xffff) - 1
	if owner&0xffff == 0 || row > a.ConsumerLimit {
		return status.Errorf(status.Timeout, "block %q: lock %d was not to be had within %v", a.BlockName(), i, timeout)
	}
	return status.Errorf(status.Timeout, "block %q: lock %d was not to be had within %v: row %d, %q, %s, has it",
		a.BlockName(), i, timeout,
		row, a.RowName(row), a.DescribeOwner(row))
}

// ReleaseLock releases the lock once. With spoilt the next owner gets abandoned = true.
func (a *Attachment) ReleaseLock(i uint32, spoilt bool) error {
	if a.Data == nil {
		return status.Errorf(status.Closed, "block %q: this participant is closed already", a.BlockName())
	}
	if err := a.checkLock(i); err != nil {
		return err
	}
	switch {
	case a.Locks.depth[i] == 0:
		return status.Errorf(status.Invalid, "block %q: this participant does not have lock %d", a.BlockName(), i)
	case a.Locks.depth[i] > 1:
		a.Locks.depth[i]--
		return nil
	}
	a.Locks.depth[i] = 0
	a.Locks.zone = a.Locks.zone && i != ZoneLock
	if !a.leaveLock(i, a.Locks.Mark, spoilt) {
		return status.Errorf(status.Fenced, "block %q: lock %d was taken away from this participant by a forced "+
			"recovery, or because it had dropped its liveness lock: what it did under the lock may have met what "+
			"others did", a.BlockName(),
			i)
	}
	return nil
}

// leaveLock frees the lock if its word is the mark.
func (b *Segment) leaveLock(i uint32, mark uint64, abandoned bool) bool {
	free := uint64(0)
	if abandoned {
		free = lockAbandoned
	}
	if !b.LockWord(i).CompareAndSwap(mark, free) {
		return false
	}
	crash.Point("lock.left")
	sleepers := b.lockSleepers(i)
	// Otherwise another thread increments the count, and wakes.
	if seen := sleepers.Load(); seen&1 != 0 && sleepers.CompareAndSwap(seen, seen+1) {
		crash.Point("lock.wakes")
		platform.Wake(sleepers)
	}
	return true
}

// AbandonLocks frees every lock of the participant with that mark. Any number of cleaners may call
// it at once.
func (b *Segment) AbandonLocks(mark uint64) {
	for i := range uint32(layout.SpinLockCount) {
		b.leaveLock(i, mark, true)
	}
}
