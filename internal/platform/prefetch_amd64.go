package platform

// OwnForWrite makes this core the owner of consecutive lines, at least one. It stores to each of
// them the first word that is there, and the caller is the only one that writes to these words. A
// write prefetch does not suffice: some processors ignore it for a line that the core can read.
//
//go:noescape
func OwnForWrite(line *uint64, lines int)

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
