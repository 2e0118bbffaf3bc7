package platform

import (
	"sync/atomic"
	"time"
)

// heldSlice is how often WaitHeld looks. The Go scheduler has much to do at every end of a system call that took long.
// A thread of a C program, which sleeps in C, looks every 5 ms.
const heldSlice = 20 * time.Millisecond

// WaitHeld is Wait, and it also returns when one of these bytes is locked by nobody any more: it looks every few milliseconds. The caller looks again in every case.
func WaitHeld(word *atomic.Uint32, value uint32, timeout time.Duration, locks *Locks, bytes []int64) {
	if locks.Check() != nil || len(bytes) == 0 {
		Wait(word, value, min(timeout, heldSlice))
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
