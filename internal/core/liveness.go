package core

import (
	"fmt"
	"sync/atomic"
	"time"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// standing is what the leases of a row say about its owner.
type standing int

const (
	nobody   standing = iota // the lease is free: the owner of the row is dead or gone
	somebody                 // held: a participant lives
	cleaning                 // held by a cleaner: probe again
)

// attachment is a participant's own place in a block: the row whose lease it holds, and a second
// open file description, to probe other rows and to clean after the dead.
type attachment struct {
	*block
	row uint32
	own *platform.Locks
	ask *platform.Locks

	locks spinLocks

	translation *Translation // nil: errors stay as they are
}

// newAttachment opens the descriptions for locks. It takes no lease. errMoved: the control file is
// another file by now.
func newAttachment(b *block) (*attachment, error) {
	a := &attachment{block: b}
	for _, l := range []**platform.Locks{&a.own, &a.ask} {
		var err error
		if *l, err = openLocks(b, true); err != nil {
			a.closeLocks()
			return nil, err
		}
	}
	return a, nil
}

// openLocks opens one more description of the control file that b has mapped.
func openLocks(b *block, write bool) (*platform.Locks, error) {
	path := b.control(b.id)
	l, err := platform.OpenLocks(path, write)
	if err != nil {
		if CodeOf(systemError(err, "")) == NotFound {
			return nil, errMoved
		}
		return nil, controlError(err, b.name())
	}
	if info, err := l.Stat(); err != nil || !info.Same(b.ctlInfo) {
		l.Close()
		return nil, errMoved
	}
	return l, nil
}

func (a *attachment) closeLocks() {
	if a.own != nil {
		a.own.Close()
	}
	if a.ask != nil {
		a.ask.Close()
	}
}

// lockRow tries to take the lease of a row for this participant.
func (a *attachment) lockRow(row uint32) (bool, error) {
	ok, err := a.own.TryLock(rowByte(row))
	if err != nil {
		return false, a.lockError(err, fmt.Sprintf("row %d", row))
	}
	if ok {
		a.row = row
	}
	return ok, nil
}

func (a *attachment) lockError(err error, what string) error {
	if lost(err) {
		return a.lockLost(err)
	}
	return systemError(err, "block %q: %s", a.name(), what)
}

func (a *attachment) unlockRow() { _ = a.own.Unlock(rowByte(a.row)) }

// lockConsumerRow takes the lease of a row for a consumer. It also takes CLEANING, until occupy has
// made the row the consumer's. An evicting process holds CLEANING alone and may still be emptying
// the row although the owner has closed meanwhile.
func (a *attachment) lockConsumerRow(row uint32) (bool, error) {
	ok, err := a.lockRow(row)
	if !ok || err != nil {
		return false, err
	}
	crash.Point("attach.row")
	if ok, err = a.own.TryLock(cleaningByte(row)); err != nil {
		return false, a.lockError(err, fmt.Sprintf("row %d", row))
	}
	if !ok {
		a.unlockRow()
	}
	return ok, nil
}

func (a *attachment) unlockConsumerRow() {
	a.cleaned()
	a.unlockRow()
}

// cleaned releases CLEANING: nothing of an earlier participant is left in the row.
func (a *attachment) cleaned() { _ = a.own.Unlock(cleaningByte(a.row)) }

// lockProducerRow takes the lease of row 0. It waits for a cleaner, which holds the row for
// microseconds only. It reports false if a producer lives.
func (a *attachment) lockProducerRow() (bool, error) {
	for range lockTries {
		if ok, err := a.lockRow(layout.ProducerRow); ok || err != nil {
			return ok, err
		}
		if probe(a.ask, layout.ProducerRow) == somebody {
			return false, nil
		}
		platform.Nap(time.Millisecond)
	}
	return false, fail(Busy, "block %q: its producer's row is being cleaned without end: is the process that does it "+
		"stopped? Try again", a.name())
}

// lockReplace takes the right to replace or remove the block, until the locks are closed. Of
// several processes, one at a time has the right. The others then find that the name leads
// elsewhere.
func (a *attachment) lockReplace() error {
	for range lockTries {
		if ok, err := a.ask.TryLock(layout.LockReplace); err != nil {
			return a.lockError(err, "replacing it")
		} else if ok {
			return nil
		}
		platform.Nap(time.Millisecond)
	}
	return fail(Busy, "block %q: somebody else is replacing or removing it without end: is that process stopped? Try "+
		"again", a.name())
}

// lockTries bounds an opener's waits, a millisecond each, for a process that should be done in
// microseconds.
const lockTries = 1000

func rowByte(row uint32) int64 { return layout.LockRows + layout.LockStride*int64(row) }

func cleaningByte(row uint32) int64 { return rowByte(row) + layout.LockCleaning }

// probe queries the leases of a row without taking one, through a description that holds no lock on
// the row. It makes a single query. Two queries, one for each byte, could answer for different
// moments: a cleaner that finishes in between would look like an owner.
func probe(ask *platform.Locks, row uint32) standing {
	found, held, err := ask.Find(rowByte(row), 1)
	switch {
	case err != nil:
		return somebody // never take the living for dead
	case !held:
		return nobody
	case found.Length > 1:
		return cleaning // a cleaner holds both bytes through one description, which makes them one lock
	}
	return somebody
}

// withDeadRow takes the row's lease and runs f, if the owner is dead. The lease is the proof, and
// keeps newcomers out. The CLEANING byte, taken first, shows other processes that the row is only
// being cleaned. It reports whether f ran.
func withDeadRow(ask *platform.Locks, row uint32, f func()) bool {
	if ok, err := ask.TryLock(cleaningByte(row)); !ok || err != nil {
		return false
	}
	defer func() { _ = ask.Unlock(cleaningByte(row)) }()
	crash.Point("clean.cleaning")
	if ok, err := ask.TryLock(rowByte(row)); !ok || err != nil {
		return false
	}
	defer func() { _ = ask.Unlock(rowByte(row)) }()
	crash.Point("clean.locked")
	f()
	crash.Point("clean.done")
	return true
}

// cleanRow removes what a dead consumer left in its row. A durable consumer keeps name, cursor and
// its hold on the producer, unless expire reports that it has been dead for too long. cleanRow
// reports whether it removed anything.
func (b *block) cleanRow(ask *platform.Locks, row uint32, expire func(died uint64) bool) (cleaned bool) {
	if b.rowStatus(row) == layout.RowFree && !b.maskHas(b.active, row) && !b.maskHas(b.lossless, row) {
		return false
	}
	withDeadRow(ask, row, func() {
		if b.rowStatus(row) == layout.RowFree && !b.maskHas(b.active, row) && !b.maskHas(b.lossless, row) {
			return // another process was faster
		}
		if b.durableRow(row) {
			died := b.ctl.plain64(b.header.row(row) + layout.RowDied)
			if *died == 0 {
				*died = platform.Realtime()
				crash.Point("clean.died")
			}
			if !expire(*died) {
				cleaned = b.rowStatus(row) != layout.RowDead || b.maskHas(b.active, row)
				b.restRow(row)
				return
			}
		}
		b.clearRow(row)
		b.ctl.u64(layout.CtlCleaned).Add(1)
		cleaned = true
	})
	if cleaned {
		b.wakeProducer()
	}
	return cleaned
}

// never is an expire function that keeps every durable row, whatever its age.
func never(uint64) bool { return false }

// restRow puts a dead durable row into the state in which it waits: no hazard pointers, the cursor
// and the hold on the producer kept. It stores the state first, because an ACTIVE row without its
// bit counts as damage. The caller holds the row's lease.
func (b *block) restRow(row uint32) {
	b.status(row).Store(layout.RowDead)
	crash.Point("clean.resting")
	b.maskClear(b.active, row)
	crash.Point("clean.masked")
	b.clearPins(row)
	crash.Point("clean.unpinned")
	b.abandonLocks(lockMark(row, b.incarnationOf(row)))
}

// clearRow empties a row. It clears the bits before the rest, so that no process acts on the row.
// It clears the identity last, so that a cleaner that dies leaves something to find. The caller
// holds the row's lease.
func (b *block) clearRow(row uint32) {
	// First: what is cleared from here on never belongs to a row that is ACTIVE or waits for its
	// owner.
	b.status(row).Store(layout.RowAttaching)
	crash.Point("clean.leaving")
	b.emptyRow(row)
}

// emptyRow is clearRow after the change of the state. Callers that have changed the state
// themselves call emptyRow.
func (b *block) emptyRow(row uint32) {
	at := b.header.row(row)
	b.ctl[at+layout.RowDurable] = 0
	crash.Point("clean.durable")
	b.maskClear(b.lossless, row)
	crash.Point("clean.lossless")
	b.maskClear(b.active, row)
	crash.Point("clean.active")
	b.clearPins(row)
	crash.Point("clean.pins")
	b.abandonLocks(lockMark(row, b.incarnationOf(row)))
	crash.Point("clean.locks")
	for off := uint64(layout.RowCursor); off < layout.RowSize; off += 8 {
		*b.ctl.plain64(at + off) = 0
	}
	crash.Point("clean.hot")
	for off := uint64(layout.RowPID); off < layout.RowCursor; off += 8 {
		*b.ctl.plain64(at + off) = 0
	}
	crash.Point("clean.identity")
	b.status(row).Store(layout.RowFree)
}

func (b *block) clearPins(row uint32) {
	for k := range uint64(layout.MaxPins) {
		b.pin(row, k).Store(0)
	}
}

// status is the word of a row's state. A leaving consumer and an evicting process take it from
// ACTIVE by compare-and-swap, so that only one of them empties the row.
func (b *block) status(row uint32) *atomic.Uint32 {
	return b.ctl.u32(b.header.row(row) + layout.RowStatus)
}

func (b *block) rowStatus(row uint32) uint32 { return b.status(row).Load() }

// durableRow reports whether a row waits for the return of its owner. A consumer that died before
// it was attached for the first time has nothing to keep.
func (b *block) durableRow(row uint32) bool {
	status := b.rowStatus(row)
	return b.ctl[b.header.row(row)+layout.RowDurable] == 1 && (status == layout.RowActive || status == layout.RowDead)
}

// rowName returns the name in a row. Whatever other processes wrote there, the name has at most
// MaxRowNameLen bytes.
func (b *block) rowName(row uint32) string {
	at := b.header.row(row)
	n := min(b.ctl.u32(at+layout.RowNameLen).Load(), layout.MaxRowNameLen)
	return string(b.ctl[at+layout.RowName : at+layout.RowName+uint64(n)])
}

// writeIdentity stores the owner of a row. The identity is informational: the lease decides.
func (b *block) writeIdentity(row uint32, role, delivery uint8, name string) {
	at := b.header.row(row)
	who := platform.Self()
	if name == "" {
		name = who.Name
	}
	name = name[:min(len(name), layout.MaxRowNameLen)]
	*b.ctl.plain64(at + layout.RowPID) = who.PID
	*b.ctl.plain64(at + layout.RowStart) = who.StartTime
	*b.ctl.plain64(at + layout.RowPIDNS) = who.PIDNamespace
	*b.ctl.plain64(at + layout.RowClock) = clockWord(who.ClockAhead, who.ClockKnown)
	b.ctl.u32(at + layout.RowUID).Store(who.UID)
	b.ctl[at+layout.RowRole] = role
	b.ctl[at+layout.RowDelivery] = delivery
	*b.ctl.plain64(at + layout.RowAttached) = platform.Realtime()
	*b.ctl.plain64(at + layout.RowDied) = 0
	*b.ctl.plain64(at + layout.RowHeartbeat) = platform.Monotonic()
	copy(b.ctl[at+layout.RowName:at+layout.RowName+layout.MaxRowNameLen+1],
		append([]byte(name), make([]byte, layout.MaxRowNameLen+1-len(name))...))
	b.ctl.u32(at + layout.RowNameLen).Store(uint32(len(name)))
}
