package platform

import "time"

var nap = Sleep

// SetNap has f sleep for Nap. Call it before the first block is opened. The C library sleeps in C, where a signal handler of the
// program finds the program's own stack; and it uses no timer of the Go runtime, which would open descriptors for it.
func SetNap(f func(time.Duration)) { nap = f }

// Nap lets time pass.
func Nap(d time.Duration) { nap(d) }
