package platform

import "sync/atomic"

// PrepareWrite fetches a cache line with the right to write to it, ahead of the write. It changes nothing, and never faults.
//
//go:noescape
func PrepareWrite(line *atomic.Uint64)

// PrepareWrites is PrepareWrite for header and beginning of the payload of two slots, and an entry.
//
//go:noescape
func PrepareWrites(slot, later *byte, entry *atomic.Uint64)

// handOn: a processor that does not know the instruction passes over it.
//
//go:noescape
func handOn(line *uint64)

// Pause passes so many moments in which the other hardware thread of the core, and whoever wants the line that was looked at, have their turn.
//
//go:noescape
func Pause(moments uint32)
