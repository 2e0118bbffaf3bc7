package platform

import (
	"errors"
	"slices"
	"sync"

	"golang.org/x/sys/windows"
)

// Locks is a handle of a control file that exists for byte locks alone. The kernel ends the locks
// of a handle when it is closed, which includes the end of the process: after its last thread has
// ended. Every instance is a separate owner of locks, so that a query through one instance finds
// the locks of all others.
//
// The system has no query for locks. A query takes a shared lock for a moment, which only an
// exclusive lock refuses: queries do not disturb each other. A process that wants the exclusive
// lock of a byte meets a query for moments only, and tries again.
//
// One handle may hold a shared and an exclusive lock of one byte at once, and one call releases
// either. So an instance never asks for the bytes that it holds itself.
type Locks struct {
	f    *File
	mine sync.Mutex
	held []int64 // the raw offsets that this instance holds, in order
}

const (
	// lockBase is added to every offset. Locks of this system also keep others from reading and
	// writing the locked bytes. No file has bytes there.
	lockBase = 1 << 62

	// queryTries bounds how often TryLock meets a query of another process in the way.
	queryTries = 500
)

// OpenLocks opens a new handle, which can write if write is true. Windows takes locks through
// either kind of handle. A caller that takes locks asks for write access, because Linux demands it.
func OpenLocks(path string, write bool) (*Locks, error) {
	f, err := OpenFile(path, write)
	if err != nil {
		return nil, err
	}
	return &Locks{f: f}, nil
}

// Stat describes the file behind the locks.
func (l *Locks) Stat() (FileInfo, error) { return l.f.Stat() }

// TryLock takes the byte at offset exclusively, or reports false at once.
func (l *Locks) TryLock(offset int64) (bool, error) { return l.take(lockBase + offset) }

// take is TryLock by raw offset. If the byte is refused, and then a shared lock is not, only a
// query was in the way.
func (l *Locks) take(at int64) (bool, error) {
	l.mine.Lock()
	defer l.mine.Unlock()
	if err := l.f.check(); err != nil {
		return false, err
	}
	where, have := slices.BinarySearch(l.held, at)
	if have {
		return true, nil
	}
	for try := range queryTries {
		ok, err := l.lock(windows.LOCKFILE_EXCLUSIVE_LOCK, at, 1)
		if err != nil {
			return false, err
		}
		if ok {
			l.held = slices.Insert(l.held, where, at)
			return true, nil
		}
		if free, err := l.free(at, 1); err != nil || !free {
			return false, err
		}
		if try > queryTries/2 {
			Sleep(exchangePoll)
		}
	}
	return false, l.f.refused("lock", "LockFileEx", errors.New("other processes query the byte without end: is one of "+
		"them stopped? Continue or end it"))
}

// Unlock releases the byte.
func (l *Locks) Unlock(offset int64) error {
	l.mine.Lock()
	defer l.mine.Unlock()
	if err := l.f.check(); err != nil {
		return err
	}
	where, have := slices.BinarySearch(l.held, lockBase+offset)
	if !have {
		return nil
	}
	l.held = slices.Delete(l.held, where, where+1)
	return l.unlock(lockBase+offset, 1)
}

// Held reports whether another handle holds a lock within [offset, offset+length).
func (l *Locks) Held(offset, length int64) (bool, error) {
	l.mine.Lock()
	defer l.mine.Unlock()
	if err := l.f.check(); err != nil {
		return false, err
	}
	for _, each := range l.notMine(lockBase+offset, length) {
		free, err := l.free(each.Start, each.Length)
		if !free || err != nil {
			return err == nil, err
		}
	}
	return false, nil
}

// Find finds a lock of another handle within [offset, offset+length), not necessarily the first. If
// a single byte is asked for, and the byte after it is locked at the same moment, the two are
// reported as one lock: this system does not say whether one handle holds both.
func (l *Locks) Find(offset, length int64) (found Range, held bool, err error) {
	l.mine.Lock()
	defer l.mine.Unlock()
	if err := l.f.check(); err != nil {
		return Range{}, false, err
	}
	if length != 1 {
		at, held, err := l.search(lockBase+offset, length)
		return Range{at - lockBase, 1}, held, err
	}
	// While this process has the second byte shared, no other process can take both bytes in their
	// order, so that the answer is that of one moment.
	at := lockBase + offset
	mine, shared := slices.Contains(l.held, at+1), false
	if !mine {
		if shared, err = l.lock(0, at+1, 1); err != nil {
			return Range{}, false, err
		}
	}
	_, held, err = l.search(at, 1)
	if mine {
		return Range{offset, 1}, held, err
	}
	if shared {
		if unlockErr := l.unlock(at+1, 1); err == nil {
			err = unlockErr
		}
		return Range{offset, 1}, held, err
	}
	return Range{offset, 2}, held, err
}

// search finds a byte within [at, at+length) that another handle holds. It halves each range that
// is not free. A lock that moves meanwhile may escape it.
func (l *Locks) search(at, length int64) (found int64, held bool, err error) {
	for _, each := range l.notMine(at, length) {
		if found, held, err = l.searchOthers(each.Start, each.Length); held || err != nil {
			return found, held, err
		}
	}
	return 0, false, nil
}

// notMine are the parts of [at, at+length) between the bytes that this instance holds.
func (l *Locks) notMine(at, length int64) (parts []Range) {
	end := at + length
	for _, own := range l.held {
		if own >= end {
			break
		}
		if own > at {
			parts = append(parts, Range{at, own - at})
		}
		at = max(at, own+1)
	}
	if at < end {
		parts = append(parts, Range{at, end - at})
	}
	return parts
}

func (l *Locks) searchOthers(at, length int64) (found int64, held bool, err error) {
	free, err := l.free(at, length)
	if free || err != nil {
		return 0, false, err
	}
	if length == 1 {
		return at, true, nil
	}
	half := length / 2
	if found, held, err = l.searchOthers(at, half); held || err != nil {
		return found, held, err
	}
	return l.searchOthers(at+half, length-half)
}

// free reports whether no other handle holds a byte of the range.
func (l *Locks) free(at, length int64) (bool, error) {
	ok, err := l.lock(0, at, length)
	if !ok || err != nil {
		return false, err
	}
	return true, l.unlock(at, length)
}

// lock takes a range, shared if flags is 0, or reports false at once. The caller has checked that
// the handle leads to the file.
func (l *Locks) lock(flags uint32, at, length int64) (bool, error) {
	err := windows.LockFileEx(l.f.handle, flags|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, uint32(length),
		uint32(length>>32), overlappedAt(at))
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, windows.ERROR_LOCK_VIOLATION), errors.Is(err, windows.ERROR_IO_PENDING),
		errors.Is(err, windows.ERROR_LOCK_FAILED):
		return false, nil
	}
	return false, l.f.refused("lock", "LockFileEx", err)
}

func (l *Locks) unlock(at, length int64) error {
	err := windows.UnlockFileEx(l.f.handle, 0, uint32(length), uint32(length>>32), overlappedAt(at))
	if err != nil {
		return l.f.refused("unlock", "UnlockFileEx", err)
	}
	return nil
}

// Number is the value of the handle.
func (l *Locks) Number() int { return int(l.f.handle) }

// Check returns DescriptorLost if the program has closed the handle, and with it every lock.
func (l *Locks) Check() error { return l.f.check() }

// Close releases every lock of this handle. The system releases the locks of a closed handle too,
// but not always at once.
func (l *Locks) Close() {
	l.mine.Lock()
	defer l.mine.Unlock()
	for _, at := range l.held {
		if l.f.check() == nil {
			_ = l.unlock(at, 1)
		}
	}
	l.held = nil
	l.f.Close()
}
