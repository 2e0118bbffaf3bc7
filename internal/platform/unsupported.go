//go:build !linux && !windows

package platform

import (
	"os"
	"sync/atomic"
	"time"
)

// DefaultDirectory is where blocks would be stored.
const DefaultDirectory = ""

// File cannot be opened here.
type File struct{}

// OpenFile fails: see ErrUnsupported.
func OpenFile(string, bool) (*File, error) { return nil, ErrUnsupported }

// CreateFile fails: see ErrUnsupported.
func CreateFile(string, uint32) (*File, error) { return nil, ErrUnsupported }

// Close has nothing to close.
func (*File) Close() {}

// Stat fails: see ErrUnsupported.
func (*File) Stat() (FileInfo, error) { return FileInfo{}, ErrUnsupported }

// StatPath fails: see ErrUnsupported.
func StatPath(string) (FileInfo, error) { return FileInfo{}, ErrUnsupported }

// StatDirectory fails: see ErrUnsupported.
func StatDirectory(string) (FileInfo, error) { return FileInfo{}, ErrUnsupported }

// ReadStart fails: see ErrUnsupported.
func (*File) ReadStart(int) ([]byte, error) { return nil, ErrUnsupported }

// Cut fails: see ErrUnsupported.
func (*File) Cut(int64) error { return ErrUnsupported }

// MayRemove fails: see ErrUnsupported.
func MayRemove(string) error { return ErrUnsupported }

// Reserve fails: see ErrUnsupported.
func (*File) Reserve(int64) error { return ErrUnsupported }

// Map fails: see ErrUnsupported.
func (*File) Map(int64, bool, bool) ([]byte, error) { return nil, ErrUnsupported }

// Populate has nothing to map.
func Populate([]byte, bool) {}

// Unmap has nothing to unmap.
func Unmap([]byte) {}

// Publish fails: see ErrUnsupported.
func Publish(string, string) error { return ErrUnsupported }

// Exchange fails: see ErrUnsupported.
func Exchange(string, string) error { return ErrUnsupported }

// CanExchange fails: see ErrUnsupported.
func CanExchange(string) error { return ErrUnsupported }

// Remove fails: see ErrUnsupported.
func Remove(string) error { return ErrUnsupported }

// Locks cannot be opened here.
type Locks struct{}

// OpenLocks fails: see ErrUnsupported.
func OpenLocks(string, bool) (*Locks, error) { return nil, ErrUnsupported }

// Stat fails: see ErrUnsupported.
func (*Locks) Stat() (FileInfo, error) { return FileInfo{}, ErrUnsupported }

// TryLock fails: see ErrUnsupported.
func (*Locks) TryLock(int64) (bool, error) { return false, ErrUnsupported }

// Unlock fails: see ErrUnsupported.
func (*Locks) Unlock(int64) error { return ErrUnsupported }

// Held fails: see ErrUnsupported.
func (*Locks) Held(int64, int64) (bool, error) { return false, ErrUnsupported }

// Find fails: see ErrUnsupported.
func (*Locks) Find(int64, int64) (Range, bool, error) { return Range{}, false, ErrUnsupported }

// Number is -1: there is no descriptor.
func (*Locks) Number() int { return -1 }

// Check fails: see ErrUnsupported.
func (*Locks) Check() error { return ErrUnsupported }

// Close has nothing to close.
func (*Locks) Close() {}

// Wait only sleeps. No block can be open, so that no code calls Wait.
func Wait(_ *atomic.Uint32, _ uint32, timeout time.Duration) (timedOut bool) {
	time.Sleep(timeout)
	return true
}

// WaitHeld only sleeps, as Wait.
func WaitHeld(_ *atomic.Uint32, _ uint32, timeout time.Duration, _ *Locks, _ []int64) {
	time.Sleep(timeout)
}

// WaitAny only sleeps, as Wait.
func WaitAny(_ []*atomic.Uint32, _ []uint32, timeout time.Duration) { time.Sleep(timeout) }

// Wake has no thread to wake.
func Wake(*atomic.Uint32) {}

// Self reports the pid alone.
func Self() Identity { return Identity{PID: uint64(os.Getpid())} }

// PIDNamespace is not known.
func PIDNamespace() uint64 { return 0 }

// ClockAhead is not known.
func ClockAhead() (int64, bool) { return 0, false }

// ProcessAlive cannot tell.
func ProcessAlive(uint64) bool { return false }

func monotonicNow() uint64 { return 0 }

// Ended cannot tell.
func Ended(Identity) bool { return false }

// LockHolder cannot tell.
func LockHolder(FileInfo, int64) (Identity, bool) { return Identity{}, false }

// Sleep waits.
func Sleep(d time.Duration) { time.Sleep(d) }

// Entry is a name in a directory.
type Entry struct {
	Name    string
	Regular bool
}

// ReadDirectory fails: see ErrUnsupported.
func ReadDirectory(string) ([]Entry, error) { return nil, ErrUnsupported }

// ReadFile fails: see ErrUnsupported.
func ReadFile(string, int) ([]byte, error) { return nil, ErrUnsupported }

// WriteNew fails: see ErrUnsupported.
func WriteNew(string, []byte, uint32) error { return ErrUnsupported }

// Random fails: see ErrUnsupported.
func Random([]byte) error { return ErrUnsupported }
