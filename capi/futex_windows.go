//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"sync/atomic"
	"time"

	"datablock/internal/platform"
)

// The functions of this file never fail: their callers poll again in every case. A word may be in a
// mapping that another thread closes meanwhile. The load then faults, and the sleep has ended.

// nanoseconds turns the nanoseconds of the C side into a duration.
func nanoseconds(ns C.uint64_t) time.Duration { return ageFrom(uint64(ns)) }

// ignoreFault is deferred by every function of this file.
func ignoreFault(result *C.int) {
	if recover() != nil {
		*result = 0
	}
}

//export dbgo_futex_wake
func dbgo_futex_wake(word *C.uint32_t) (result C.int) {
	enablePanicOnFault()
	defer ignoreFault(&result)
	platform.Wake(wordAt(word))
	return 0
}

//export dbgo_futex_wait
func dbgo_futex_wait(word *C.uint32_t, value C.uint32_t, ns C.uint64_t) (result C.int) {
	enablePanicOnFault()
	defer ignoreFault(&result)
	platform.Wait(wordAt(word), uint32(value), nanoseconds(ns))
	return 0
}

//export dbgo_futex_wait_any
func dbgo_futex_wait_any(words *C.dbshim_waiter, count C.size_t, ns C.uint64_t) (result C.int) {
	enablePanicOnFault()
	defer ignoreFault(&result)
	given := array(words, count, C.DBSHIM_FUTEX_MAX)
	at, values := make([]*atomic.Uint32, len(given)), make([]uint32, len(given))
	for i, w := range given { // backwards: the waker is the last word, and of many words platform watches the first
		at[len(at)-1-i], values[len(at)-1-i] = wordAt(w.word), uint32(w.value)
	}
	platform.WaitAny(at, values, nanoseconds(ns))
	return 0
}

//export dbgo_sleep_held
func dbgo_sleep_held(index C.uint32_t) (result C.int) {
	enablePanicOnFault()
	defer ignoreFault(&result)
	s := &at(index).sleep
	platform.WaitHeld(s.Word, s.Value, s.Slice, s.Locks, s.Held)
	return 0
}
