//go:build cgo

package main

// #include "shim.h"
import "C"

import "datablock/internal/core/segment"

// dbgo_bind does nothing. The first entry of a thread costs more than the later ones, and
// allocates. It must not happen in a signal handler.
//
//export dbgo_bind
func dbgo_bind() {}

// sleepOf returns what a call in steps remembers. The first step begins anew.
// The timeout says which part of a longer wait the call is.
func (at *participant) sleepOf(s *C.dbshim_sleep, timeoutMs C.int64_t) *segment.Sleep {
	if !s.again {
		at.sleep = segment.Sleep{Part: partFrom(int64(timeoutMs))}
		at.sleep.Part.Later = at.sleep.Part.Later || bool(s.counted)
	}
	return &at.sleep
}

// stepStatus returns the status of a step for err. The thread sleeps in C, and makes the next step.
func (at *participant) stepStatus(err error, s *C.dbshim_sleep, detail *C.char) C.int {
	if err != segment.ErrSleep {
		return resultOf(err, detail)
	}
	s.word = event(at.sleep.Word)
	s.value = C.uint32_t(at.sleep.Value)
	s.ns = C.uint64_t(max(at.sleep.Slice, 0))
	s.again = true
	s.held_count = 0
	if locks := at.sleep.Locks; locks != nil && len(at.sleep.Held) <= C.DBSHIM_HELD_MAX {
		s.descriptor = C.int(locks.Number())
		for i, b := range at.sleep.Held {
			s.held[i] = C.int64_t(b)
		}
		s.held_count = C.uint32_t(len(at.sleep.Held))
		s.late = C.bool(at.sleep.Late)
	}
	return C.DBSHIM_SLEEP
}
