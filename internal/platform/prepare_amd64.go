package platform

import "sync/atomic"

// PrepareWrites fetches cache lines with the right to write to them, ahead of the write: header and beginning of the payload of two slots, the line of an entry and the one after it. It changes nothing, and
// never faults.
//
//go:noescape
func PrepareWrites(slot, later *uint64, entry *atomic.Uint64)

// handOn: a processor that does not know the instruction passes over it.
//
//go:noescape
func handOn(line *uint64)

// pause passes so many moments in which the other hardware thread of the core, and whoever wants the line that was looked at, have their turn.
//
//go:noescape
func pause(moments uint32)
