package layout

// The numbers that Go and C share, or that differ between them on purpose. They are no part of the
// format: processes with other numbers can share a block. include/datablock_tuning.h repeats them,
// and tests/format/layout compares the two.
const (
	SpinTries    = 100         // polls of a wait before it sleeps
	SleepSliceNs = 100_000_000 // the longest sleep: a producer may die between its publication and the wake-up

	TickNs             = 100_000_000 // the tick of the coarse clock
	CoarseClockUses    = 1000        // uses in a tick from which on a thread of the library refreshes the clock
	ClockCheckInterval = 4096        // messages, or polls that find nothing, after which the clock is read itself

	ForeverMs   = 1_000_000_000_000 // this timeout, some thirty years, and every longer one count as for ever
	SecretLimit = 1024              // the longest secret, in bytes

	SuspiciousScans = 8     // consecutive scans with a pinned retired slot, before the search for a dead consumer
	BigSlot         = 65536 // from this slot size on, in bytes, a scan costs nothing beside the message
	ReclaimMost     = 8     // messages that a claim reclaims
	OwnAhead        = 16384 // bytes of the next slot that a producer owns in advance, if it alternates with a consumer
	OwnMost         = 1024  // slots that a producer owns after a scan
	ReadAhead       = 4     // messages that the read prefetch is ahead, in a small block
	SmallBlock      = 32768 // bytes that the slots of a small block take at most
	LineEntries     = 8     // ring entries of a cache line

	// How often a consumer of an idle block probes for a producer: one that polls, and in Go one
	// that waits. A consumer that waits in C probes less often, because each probe enters Go.
	PollProbeNs  = 10_000_000
	WaitProbeNsC = 1_000_000_000

	// How often a claim that does not sleep searches for dead consumers.
	SweepNs = 10_000_000

	// A sleeping producer polls at most this number of leases, and the others at its next polls. In
	// C this is so after a second, or with more leases that hold it up.
	HeldProbes  = 8
	HeldLaterNs = 20_000_000 // the interval of these polls

	// Loads of the next entry by a read that does not wait. In C only a read that follows a read
	// without a message polls: leaving the call and coming back takes longer than a few loads. C
	// pauses once, after the last load.
	PollLooksGo = 4
	PollLooksC  = 16

	// The back-off of a consumer: about twice the time in which a producer fills a cache line of
	// entries. A Go producer is slower.
	BackoffNsGo = 1000
	BackoffNsC  = 500

	// Looks of a claim in C that finds the ring full, with a back-off between them: of a claim that
	// does not wait, and of a claim that waits, before it enters Go.
	FullLooksPoll = 2
	FullLooksWait = 40
)
