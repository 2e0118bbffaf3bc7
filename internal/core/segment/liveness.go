package segment

import (
	"fmt"
	"sync/atomic"
	"time"

	"datablock/internal/core/status"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// RowOwner is what the leases of a row say about its owner.
type RowOwner int

const (
	OwnerDead     RowOwner = iota // the lease is free: the owner of the row is dead or gone
	OwnerAlive                    // held: a participant lives
	OwnerCleaning                 // held by a cleaner: probe again
)

// Attachment is a participant's own place in a block: the row whose lease it holds, and a second
// open file description, to probe other rows and to clean after the dead.
type Attachment struct {
	*Segment
	Row        uint32
	RowLocks   *platform.Locks
	ProbeLocks *platform.Locks

	Locks HeldLocks

	translation *Translation // nil: errors stay as they are
}

// NewAttachment opens the descriptions for locks. It takes no lease. ErrMoved: the control file is
// another file by now.
func NewAttachment(b *Segment) (*Attachment, error) {
	a := &Attachment{Segment: b}
	for _, l := range []**platform.Locks{&a.RowLocks, &a.ProbeLocks} {
		var err error
		if *l, err = OpenLocks(b, true); err != nil {
			a.CloseLocks()
			return nil, err
		}
	}
	return a, nil
}

// OpenLocks opens one more description of the control file that b has mapped.
func OpenLocks(b *Segment, write bool) (*platform.Locks, error) {
	path := b.ControlPath(b.ID)
	l, err := platform.OpenLocks(path, write)
	if err != nil {
		if status.CodeOf(SystemError(err, "")) == status.NotFound {
			return nil, ErrMoved
		}
		return nil, ControlError(err, b.BlockName())
	}
	if info, err := l.Stat(); err != nil || !info.Same(b.CtlInfo) {
		l.Close()
		return nil, ErrMoved
	}
	return l, nil
}

func (a *Attachment) CloseLocks() {
	if a.RowLocks != nil {
		a.RowLocks.Close()
	}
	if a.ProbeLocks != nil {
		a.ProbeLocks.Close()
	}
}

// lockRow tries to take the lease of a row for this participant.
func (a *Attachment) lockRow(row uint32) (bool, error) {
	ok, err := a.RowLocks.TryLock(RowByte(row))
	if err != nil {
		return false, a.lockError(err, fmt.Sprintf("row %d", row))
	}
	if ok {
		a.Row = row
	}
	return ok, nil
}

func (a *Attachment) lockError(err error, what string) error {
	if LockIsLost(err) {
		return a.lockLost(err)
	}
	return SystemError(err, "block %q: %s", a.BlockName(), what)
}

func (a *Attachment) unlockRow() { _ = a.RowLocks.Unlock(RowByte(a.Row)) }

// lockConsumerRow takes the lease of a row for a consumer. It also takes CLEANING, until occupy has
// made the row the consumer's. An evicting process holds CLEANING alone and may still be emptying
// the row although the owner has closed meanwhile.
func (a *Attachment) lockConsumerRow(row uint32) (bool, error) {
	ok, err := a.lockRow(row)
	if !ok || err != nil {
		return false, err
	}
	crash.Point("attach.row")
	if ok, err = a.RowLocks.TryLock(CleaningByte(row)); err != nil {
		return false, a.lockError(err, fmt.Sprintf("row %d", row))
	}
	if !ok {
		a.unlockRow()
	}
	return ok, nil
}

func (a *Attachment) unlockConsumerRow() {
	a.Cleaned()
	a.unlockRow()
}

// Cleaned releases CLEANING: nothing of an earlier participant is left in the row.
func (a *Attachment) Cleaned() { _ = a.RowLocks.Unlock(CleaningByte(a.Row)) }

// LockProducerRow takes the lease of row 0. It waits for a cleaner, which holds the row for
// microseconds only. It reports false if a producer lives.
func (a *Attachment) LockProducerRow() (bool, error) {
	for range lockTries {
		if ok, err := a.lockRow(layout.ProducerRow); ok || err != nil {
			return ok, err
		}
		if Probe(a.ProbeLocks, layout.ProducerRow) == OwnerAlive {
			return false, nil
		}
		platform.Nap(time.Millisecond)
	}
	return false, status.Errorf(status.Busy, "block %q: its producer's row is being cleaned without end: is the "+
		"process that does it stopped? Try again", a.BlockName())
}

// LockReplace takes the right to replace or remove the block, until the locks are closed. Of
// several processes, one at a time has the right. The others then find that the name leads
// elsewhere.
func (a *Attachment) LockReplace() error {
	for range lockTries {
		if ok, err := a.ProbeLocks.TryLock(layout.LockReplace); err != nil {
			return a.lockError(err, "replacing it")
		} else if ok {
			return nil
		}
		platform.Nap(time.Millisecond)
	}
	return status.Errorf(status.Busy, "block %q: somebody else is replacing or removing it without end: is that "+
		"process stopped? Try again", a.BlockName())
}

// lockTries bounds an opener's waits, a millisecond each, for a process that should be done in
// microseconds.
const lockTries = 1000

func RowByte(row uint32) int64 { return layout.LockRows + layout.LockStride*int64(row) }

func CleaningByte(row uint32) int64 { return RowByte(row) + layout.LockCleaning }

// Probe queries the leases of a row without taking one, through a description that holds no lock on
// the row. It makes a single query. Two queries, one for each byte, could answer for different
// moments: a cleaner that finishes in between would look like an owner.
func Probe(ask *platform.Locks, row uint32) RowOwner {
	found, held, err := ask.Find(RowByte(row), 1)
	switch {
	case err != nil:
		return OwnerAlive // never take the living for dead
	case !held:
		return OwnerDead
	case found.Length > 1:
		return OwnerCleaning // a cleaner holds both bytes through one description, which makes them one lock
	}
	return OwnerAlive
}

// WithDeadRow takes the row's lease and runs f, if the owner is dead. The lease is the proof, and
// keeps newcomers out. The CLEANING byte, taken first, shows other processes that the row is only
// being cleaned. It reports whether f ran.
func WithDeadRow(ask *platform.Locks, row uint32, f func()) bool {
	if ok, err := ask.TryLock(CleaningByte(row)); !ok || err != nil {
		return false
	}
	defer func() { _ = ask.Unlock(CleaningByte(row)) }()
	crash.Point("clean.cleaning")
	if ok, err := ask.TryLock(RowByte(row)); !ok || err != nil {
		return false
	}
	defer func() { _ = ask.Unlock(RowByte(row)) }()
	crash.Point("clean.locked")
	f()
	crash.Point("clean.done")
	return true
}

// CleanRow removes what a dead consumer left in its row. A durable consumer keeps name, cursor and
// its hold on the producer, unless expire reports that it has been dead for too long. CleanRow
// reports whether it removed anything.
func (b *Segment) CleanRow(ask *platform.Locks, row uint32, expire func(died uint64) bool) (cleaned bool) {
	if b.RowStatus(row) == layout.RowFree && !b.MaskHas(b.Active, row) && !b.MaskHas(b.Lossless, row) {
		return false
	}
	WithDeadRow(ask, row, func() {
		if b.RowStatus(row) == layout.RowFree && !b.MaskHas(b.Active, row) && !b.MaskHas(b.Lossless, row) {
			return // another process was faster
		}
		if b.DurableRow(row) {
			died := b.Ctl.Plain64(b.Header.RowOffset(row) + layout.RowDied)
			if *died == 0 {
				*died = platform.Realtime()
				crash.Point("clean.died")
			}
			if !expire(*died) {
				cleaned = b.RowStatus(row) != layout.RowDead || b.MaskHas(b.Active, row)
				b.RestRow(row)
				return
			}
		}
		b.ClearRow(row)
		b.Ctl.U64(layout.CtlCleaned).Add(1)
		cleaned = true
	})
	if cleaned {
		b.WakeProducer()
	}
	return cleaned
}

// Never is an expire function that keeps every durable row, whatever its age.
func Never(uint64) bool { return false }

// RestRow puts a dead durable row into the state in which it waits: no hazard pointers, the cursor
// and the hold on the producer kept. It stores the state first, because an ACTIVE row without its
// bit counts as damage. The caller holds the row's lease.
func (b *Segment) RestRow(row uint32) {
	b.StatusWord(row).Store(layout.RowDead)
	crash.Point("clean.resting")
	b.MaskClear(b.Active, row)
	crash.Point("clean.masked")
	b.ClearPins(row)
	crash.Point("clean.unpinned")
	b.AbandonLocks(LockMark(row, b.IncarnationOf(row)))
}

// ClearRow empties a row. It clears the bits before the rest, so that no process acts on the row.
// It clears the identity last, so that a cleaner that dies leaves something to find. The caller
// holds the row's lease.
func (b *Segment) ClearRow(row uint32) {
	// First: what is cleared from here on never belongs to a row that is ACTIVE or waits for its
	// owner.
	b.StatusWord(row).Store(layout.RowAttaching)
	crash.Point("clean.leaving")
	b.EmptyRow(row)
}

// EmptyRow is ClearRow after the change of the state. Callers that have changed the state
// themselves call EmptyRow.
func (b *Segment) EmptyRow(row uint32) {
	at := b.Header.RowOffset(row)
	b.Ctl[at+layout.RowDurable] = 0
	crash.Point("clean.durable")
	b.MaskClear(b.Lossless, row)
	crash.Point("clean.lossless")
	b.MaskClear(b.Active, row)
	crash.Point("clean.active")
	b.ClearPins(row)
	crash.Point("clean.pins")
	b.AbandonLocks(LockMark(row, b.IncarnationOf(row)))
	crash.Point("clean.locks")
	for off := uint64(layout.RowCursor); off < layout.RowSize; off += 8 {
		*b.Ctl.Plain64(at + off) = 0
	}
	crash.Point("clean.hot")
	for off := uint64(layout.RowPID); off < layout.RowCursor; off += 8 {
		*b.Ctl.Plain64(at + off) = 0
	}
	crash.Point("clean.identity")
	b.StatusWord(row).Store(layout.RowFree)
}

func (b *Segment) ClearPins(row uint32) {
	for k := range uint64(layout.MaxPins) {
		b.Pin(row, k).Store(0)
	}
}

// StatusWord is the word of a row's state. A leaving consumer and an evicting process take it from
// ACTIVE by compare-and-swap, so that only one of them empties the row.
func (b *Segment) StatusWord(row uint32) *atomic.Uint32 {
	return b.Ctl.U32(b.Header.RowOffset(row) + layout.RowStatus)
}

func (b *Segment) RowStatus(row uint32) uint32 { return b.StatusWord(row).Load() }

// DurableRow reports whether a row waits for the return of its owner. A consumer that died before
// it was attached for the first time has nothing to keep.
func (b *Segment) DurableRow(row uint32) bool {
	status := b.RowStatus(row)
	return b.Ctl[b.Header.RowOffset(row)+layout.RowDurable] == 1 && (status == layout.RowActive ||
		status == layout.RowDead)
}

// RowName returns the name in a row. Whatever other processes wrote there, the name has at most
// MaxRowNameLen bytes.
func (b *Segment) RowName(row uint32) string {
	at := b.Header.RowOffset(row)
	n := min(b.Ctl.U32(at+layout.RowNameLen).Load(), layout.MaxRowNameLen)
	return string(b.Ctl[at+layout.RowName : at+layout.RowName+uint64(n)])
}

// WriteIdentity stores the owner of a row. The identity is informational: the lease decides.
func (b *Segment) WriteIdentity(row uint32, role, delivery uint8, name string) {
	at := b.Header.RowOffset(row)
	who := platform.Self()
	if name == "" {
		name = who.Name
	}
	name = name[:min(len(name), layout.MaxRowNameLen)]
	*b.Ctl.Plain64(at + layout.RowPID) = who.PID
	*b.Ctl.Plain64(at + layout.RowStart) = who.StartTime
	*b.Ctl.Plain64(at + layout.RowPIDNS) = who.PIDNamespace
	*b.Ctl.Plain64(at + layout.RowClock) = ClockWord(who.ClockAhead, who.ClockKnown)
	b.Ctl.U32(at + layout.RowUID).Store(who.UID)
	b.Ctl[at+layout.RowRole] = role
	b.Ctl[at+layout.RowDelivery] = delivery
	*b.Ctl.Plain64(at + layout.RowAttached) = platform.Realtime()
	*b.Ctl.Plain64(at + layout.RowDied) = 0
	*b.Ctl.Plain64(at + layout.RowHeartbeat) = platform.Monotonic()
	copy(b.Ctl[at+layout.RowName:at+layout.RowName+layout.MaxRowNameLen+1],
		append([]byte(name), make([]byte, layout.MaxRowNameLen+1-len(name))...))
	b.Ctl.U32(at + layout.RowNameLen).Store(uint32(len(name)))
}

// Leave releases the row and everything local. If the block has lost its name, the last participant
// to leave removes the control file.
func (a *Attachment) Leave() {
	l, id := a.Location, a.ID
	a.CloseLocks()
	crash.Point("close.unlocked")
	ended := a.LostName() // asked without the lease: of several participants that leave at once, one is the last
	a.Unmap()
	if ended {
		CollectBlock(l, id)
	}
}
