package platform

import (
	"sync/atomic"
	"time"
)

// heldSlice is how often WaitHeld looks. The Go scheduler has much to do at every end of a system call that took long, which C has not: see SetHeldWaiter.
const heldSlice = 20 * time.Millisecond

// A HeldWaiter is WaitHeld, of a descriptor's locks.
type HeldWaiter func(word *atomic.Uint32, value uint32, timeout time.Duration, descriptor int, bytes []int64)

var heldWaiter HeldWaiter

// SetHeldWaiter installs what waits for WaitHeld. Call it before the first block is opened.
func SetHeldWaiter(w HeldWaiter) { heldWaiter = w }

// WaitHeld is Wait, and it also returns when one of these bytes is locked by nobody any more: it looks every few milliseconds. The caller looks again in every case.
func WaitHeld(word *atomic.Uint32, value uint32, timeout time.Duration, locks *Locks, bytes []int64) {
	if locks.Check() != nil || len(bytes) == 0 {
		Wait(word, value, min(timeout, heldSlice))
		return
	}
	if heldWaiter != nil {
		heldWaiter(word, value, timeout, locks.f.fd, bytes)
		return
	}
	for end := time.Now().Add(timeout); ; {
		left := time.Until(end)
		if left <= 0 || !Wait(word, value, min(left, heldSlice)) {
			return
		}
		for _, at := range bytes {
			if held, err := locks.Held(at, 1); err != nil || !held {
				return
			}
		}
	}
}
