//go:build linux

package platform

import (
	"sync/atomic"
	"time"
	"unsafe" // the futex system call takes the address of a word in the mapping

	"golang.org/x/sys/unix"
)

const (
	futexWait = 0 // FUTEX_WAIT, not private: the word is shared between processes
	futexWake = 1 // FUTEX_WAKE
	everybody = 1<<31 - 1
)

// Wait sleeps while *word is value, until Wake, a signal or the timeout. The caller polls again in
// every case. The mapping may be read-only. Wait reports whether the timeout ended the sleep.
func Wait(word *atomic.Uint32, value uint32, timeout time.Duration) (timedOut bool) {
	ts := unix.NsecToTimespec(int64(max(timeout, 0)))
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, uintptr(value),
		uintptr(unsafe.Pointer(&ts)), 0, 0)
	return errno == unix.ETIMEDOUT
}

// Wake wakes every thread that sleeps on word.
func Wake(word *atomic.Uint32) {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, everybody, 0, 0, 0)
}
