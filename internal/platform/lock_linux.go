package platform

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Locks is an open file description of a control file that exists for its byte locks alone: it is never mapped (a mapping would keep it alive in a
// forked child) and every instance is a separate owner, so that asking through one tells of all others.
type Locks struct {
	f *File
}

// OpenLocks opens a description of its own. Taking locks needs write access; with write false it can only ask.
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

// Unlock gives the byte back.
func (l *Locks) Unlock(offset int64) error {
	return l.control(unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK, Start: offset, Len: 1})
}

// Held reports whether anybody but this description holds a lock within [offset, offset+length).
func (l *Locks) Held(offset, length int64) (bool, error) {
	_, held, err := l.Find(offset, length)
	return held, err
}

// Find finds a lock of somebody else within [offset, offset+length); not necessarily the first one. Neighbouring bytes that one description holds are one lock.
func (l *Locks) Find(offset, length int64) (found Range, held bool, err error) {
	k := unix.Flock_t{Type: unix.F_WRLCK, Start: offset, Len: length}
	if err := l.control(unix.F_OFD_GETLK, &k); err != nil {
		return Range{}, false, err
	}
	return Range{k.Start, k.Len}, k.Type != unix.F_UNLCK, nil
}

// Number is that of the descriptor.
func (l *Locks) Number() int { return l.f.fd }

// Check reports DescriptorLost if the program has closed the description, and with it every lock.
func (l *Locks) Check() error { return l.f.check() }

func (l *Locks) control(cmd int, k *unix.Flock_t) error {
	if err := l.f.check(); err != nil { // a lock on a file of the program's own would say nothing, and be in its way
		return err
	}
	for {
		err := unix.FcntlFlock(uintptr(l.f.fd), cmd, k)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
			return unix.EAGAIN // somebody else has it
		default:
			return l.f.refused("lock", "fcntl with F_OFD_SETLK or F_OFD_GETLK", err)
		}
	}
}

// Close drops every lock of this description.
func (l *Locks) Close() {
	guard.Begin()
	defer guard.End()
	// A child that is just being forked shares the description until its handler has closed its copy: closing ours alone would not drop the locks yet.
	_ = l.control(unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK})
	if l.f.check() == nil { // else the number may be another description's by now, and the list has it for that one
		guard.Closing(l.f.fd)
	}
	l.f.Close()
}
