package platform

import (
	"sync/atomic"
	"time"
)

// heldSlice is the polling interval of WaitHeld. It is not shorter, because the end of each long
// system call costs the Go scheduler much work. A thread of a C program sleeps in C and polls every
// 8 ms, or every 20 ms (capi/protocol_sleep_held.c).
const heldSlice = 20 * time.Millisecond

// WaitHeld is Wait, and also returns when no process holds the lock of one of these bytes any more.
// It polls the locks every heldSlice. The caller polls again in every case.
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
