package platform

import "sync/atomic"

// PrefetchForWrite is the write prefetch: it fetches cache lines for writing, ahead of the write.
// The lines are the header and the beginning of the payload of two slots, the line of an entry and
// the next line. PrefetchForWrite changes nothing and never faults.
//
//go:noescape
func PrefetchForWrite(slot, later *uint64, entry *atomic.Uint64)

// PrefetchForRead is the read prefetch: it fetches a line and the next one, ahead of the read. It
// changes nothing and never faults.
//
//go:noescape
func PrefetchForRead(line *uint64)

// handOn demotes a line and the next one. A processor without the instruction (CLDEMOTE) ignores
// it.
//
//go:noescape
func handOn(line *uint64)

// pause executes this number of PAUSE instructions. The other hardware thread of the core runs
// meanwhile, and another core can take the cache line that was polled.
//
//go:noescape
func pause(moments uint32)
