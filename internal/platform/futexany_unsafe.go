//go:build linux

package platform

import (
	"sync/atomic"
	"time"
	"unsafe" // the futex system call takes the addresses of words in mappings

	"golang.org/x/sys/unix"
)

const (
	futexWaitvMax = 128  // FUTEX_WAITV_MAX
	futexSize32   = 0x02 // FUTEX_32; not private, as in Wait
	sysFutexWaitv = 449  // on every architecture
	withoutWaitv  = 1e6  // ns: the longest sleep when futex_waitv does not cover all words
	absoluteClock = unix.CLOCK_MONOTONIC
)

// futexWaiter is the kernel's struct futex_waitv.
type futexWaiter struct {
	value    uint64
	address  uint64
	flags    uint32
	reserved uint32
}

// waitvMissing: the kernel is older than 5.16, or a seccomp filter refuses the call.
var waitvMissing atomic.Bool

// WaitAny is Wait on several words: it sleeps while every word has its value of values. With more
// than 128 words, or on a kernel before 5.16, WaitAny returns after one millisecond at the latest.
func WaitAny(words []*atomic.Uint32, values []uint32, timeout time.Duration) {
	if len(words) == 1 {
		Wait(words[0], values[0], timeout)
		return
	}
	timeout = max(timeout, 0)
	if len(words) > futexWaitvMax {
		timeout = min(timeout, withoutWaitv)
	}
	if waitvMissing.Load() || !waitv(words[:min(len(words), futexWaitvMax)], values, timeout) {
		Wait(words[0], values[0], min(timeout, withoutWaitv))
	}
}

func waitv(words []*atomic.Uint32, values []uint32, timeout time.Duration) bool {
	waiters := make([]futexWaiter, len(words))
	for i := range words {
		waiters[i] = futexWaiter{
			value: uint64(values[i]), address: uint64(uintptr(unsafe.Pointer(words[i]))), flags: futexSize32,
		}
	}
	var until unix.Timespec
	_ = unix.ClockGettime(absoluteClock, &until)
	until = unix.NsecToTimespec(until.Nano() + int64(timeout))
	_, _, errno := unix.Syscall6(sysFutexWaitv, uintptr(unsafe.Pointer(&waiters[0])), uintptr(len(waiters)), 0,
		uintptr(unsafe.Pointer(&until)), absoluteClock, 0)
	if errno == unix.ENOSYS || errno == unix.EPERM || errno == unix.EINVAL {
		waitvMissing.Store(true)
		return false
	}
	return true
}
