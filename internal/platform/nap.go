package platform

import "time"

var nap = Sleep

// SetNap makes Nap sleep by f. Call it before the first block is opened. The C library sleeps in C,
// where a signal handler of the program runs on the program's own stack. The library uses no timer
// of the Go runtime, because the runtime would open descriptors for the timer.
func SetNap(f func(time.Duration)) { nap = f }

// Nap sleeps for a duration.
func Nap(d time.Duration) { nap(d) }
