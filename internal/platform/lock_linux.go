package platform

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Locks is an open file description of a control file that exists for byte locks alone. It is never
// mapped, because a mapping would keep the description alive in a forked child. Every instance is a
// separate owner of locks, so that a query through one instance finds the locks of all others.
type Locks struct {
	f *File
}

// OpenLocks opens a new description. Taking locks needs write access; without it (write is false)
// the description can only query.
func OpenLocks(path string, write bool) (*Locks, error) {
	guard.Begin()
	defer guard.End()
	f, err := OpenFile(path, write)
	if err != nil {
		return nil, err
	}
	guard.Opened(f.fd)
	return &Locks{f: f}, nil
}

// Stat describes the file behind the locks.
func (l *Locks) Stat() (FileInfo, error) { return l.f.Stat() }

// TryLock takes the byte at offset exclusively, or reports false at once.
func (l *Locks) TryLock(offset int64) (bool, error) {
	err := l.control(unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Start: offset, Len: 1})
	if errors.Is(err, unix.EAGAIN) {
		return false, nil
	}
	return err == nil, err
}

// Unlock releases the byte.
func (l *Locks) Unlock(offset int64) error {
	return l.control(unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK, Start: offset, Len: 1})
}

// Held reports whether another description holds a lock within [offset, offset+length).
func (l *Locks) Held(offset, length int64) (bool, error) {
	_, held, err := l.Find(offset, length)
	return held, err
}

// Find finds a lock of another description within [offset, offset+length), not necessarily the
// first. Neighbouring bytes of a single description are one lock.
func (l *Locks) Find(offset, length int64) (found Range, held bool, err error) {
	k := unix.Flock_t{Type: unix.F_WRLCK, Start: offset, Len: length}
	if err := l.control(unix.F_OFD_GETLK, &k); err != nil {
		return Range{}, false, err
	}
	return Range{k.Start, k.Len}, k.Type != unix.F_UNLCK, nil
}

// Number is the number of the descriptor.
func (l *Locks) Number() int { return l.f.fd }

// Check returns DescriptorLost if the program has closed the description, and with it every lock.
func (l *Locks) Check() error { return l.f.check() }

func (l *Locks) control(cmd int, k *unix.Flock_t) error {
	// A lock on the program's own file would prove nothing, and hinder the program.
	if err := l.f.check(); err != nil {
		return err
	}
	for {
		err := unix.FcntlFlock(uintptr(l.f.fd), cmd, k)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
			return unix.EAGAIN // another description holds the byte
		default:
			return l.f.refused("lock", "fcntl with F_OFD_SETLK or F_OFD_GETLK", err)
		}
	}
}

// Close releases every lock of this description.
func (l *Locks) Close() {
	guard.Begin()
	defer guard.End()
	// A child that is just being forked shares the description until the child's handler has closed
	// the copy. Closing the descriptor here would not release the locks before that.
	_ = l.control(unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK})
	if l.f.check() == nil { // else the number may belong to another description, which the list has under it
		guard.Closing(l.f.fd)
	}
	l.f.Close()
}
