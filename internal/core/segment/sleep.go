package segment

import (
	"errors"
	"sync/atomic"
	"time"

	"datablock/internal/platform"
)

// ErrSleep is what a step returns whose caller has to sleep before the next step.
var ErrSleep = errors.New("sleep, and call again")

// A Sleep lets a waiting call sleep outside of this package, so that the thread of a C program
// sleeps in C, on its own stack and with its own signals. The call is made in steps. Where it would
// sleep, it fills Word, Value and Slice and returns ErrSleep. The caller then sleeps while *Word is
// Value, at most for Slice, and calls again with the same Sleep and the same arguments. The zero
// Sleep begins a call. One goroutine at a time uses a Sleep.
type Sleep struct {
	Word  *atomic.Uint32
	Value uint32
	Slice time.Duration

	// If given: the caller also calls again soon after a process has released the lock of one of
	// these bytes.
	Locks *platform.Locks
	Held  []int64
	Late  bool // the call has waited long already: polling the locks less often is enough

	Part WaitPart // which part of the caller's wait the call is

	Begun bool
	start uint64        // Monotonic of the first step that had to wait
	nap   time.Duration // of a lock: how long the next sleep may be
}

// A WaitPart says which part of a longer wait a call is. The counters count the parts as one wait.
// The zero WaitPart is a whole wait.
type WaitPart struct {
	Later   bool // an earlier part has counted the wait
	More    bool // another part follows if nothing comes: this one counts no timeout
	Endless bool // the whole wait has no limit
}

// WaitPartOf returns the part of a call in steps. Any other call is a whole wait.
func WaitPartOf(outside *Sleep) WaitPart {
	if outside == nil {
		return WaitPart{}
	}
	return outside.Part
}

// Begin records the time of the first step, and reports whether this step is the first.
func (s *Sleep) Begin() bool {
	if s.Begun {
		return false
	}
	s.Begun, s.start = true, platform.Monotonic()
	return true
}

// Waited returns the time since the first step.
func (s *Sleep) Waited() time.Duration { return time.Duration(platform.Monotonic() - s.start) }

// On makes the caller sleep on a word, at most for slice.
func (s *Sleep) On(word *atomic.Uint32, value uint32, slice time.Duration) error {
	return s.OnHeld(word, value, slice, nil, nil)
}

// OnHeld is On, and the sleep also ends soon after a process has released the lock of one of the
// bytes.
func (s *Sleep) OnHeld(word *atomic.Uint32, value uint32, slice time.Duration, locks *platform.Locks,
	held []int64) error {
	s.Word, s.Value, s.Slice, s.Locks, s.Held = word, value, slice, locks, held
	return ErrSleep
}

// Inside runs a call in steps to its end and sleeps in between. With outside, the caller's Sleep,
// it runs one step.
func Inside(outside *Sleep, step func(*Sleep) error) error {
	if outside != nil {
		return step(outside)
	}
	for own := new(Sleep); ; {
		if err := step(own); err != ErrSleep {
			return err
		}
		if own.Locks == nil {
			platform.Wait(own.Word, own.Value, own.Slice)
		} else {
			platform.WaitHeld(own.Word, own.Value, own.Slice, own.Locks, own.Held)
		}
	}
}
