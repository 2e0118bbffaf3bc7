//go:build linux || windows

package platform

import (
	"sync/atomic"
	"time"

	"datablock/internal/layout"
)

// heldSlice is the polling interval of WaitHeld. It is not shorter, because the end of each long
// system call costs the Go scheduler much work. A thread of a C program sleeps in C and polls every
// 8 ms, or every 20 ms (capi/protocol_sleep_held_linux.c).
const heldSlice = time.Duration(layout.HeldLaterNs)

// WaitHeld is Wait, and also returns when no process holds the lock of one of these bytes any more.
// Every heldSlice it polls the next locks, at most layout.HeldProbes. The caller polls again in
// every case.
func WaitHeld(word *atomic.Uint32, value uint32, timeout time.Duration, locks *Locks, bytes []int64) {
	if locks.Check() != nil || len(bytes) == 0 {
		Wait(word, value, min(timeout, heldSlice))
		return
	}
	for end, next := time.Now().Add(timeout), 0; ; {
		left := time.Until(end)
		if left <= 0 || !Wait(word, value, min(left, heldSlice)) {
			return
		}
		for range min(layout.HeldProbes, len(bytes)) {
			if held, err := locks.Held(bytes[next%len(bytes)], 1); err != nil || !held {
				return
			}
			next++
		}
	}
}
