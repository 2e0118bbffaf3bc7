package platform

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"datablock/internal/layout"
)

// CoarseClock is a coarse clock with a tick of 100 ms. It tells its user when periodic housekeeping
// is due, and avoids a clock read per message: even the cheapest clock takes a tenth of a message's
// time.
//
// While the user polls often, a background goroutine (the updater) refreshes the coarse clock.
// Otherwise the user reads the clock. One goroutine at a time uses a coarse clock; C code may be
// the user.
type CoarseClock struct {
	now  uint64 // Monotonic; 0: the updater does not refresh it. The updater writes this word
	seen uint64 // the reading of the last tick that the user acted on
	uses uint32 // polls since that tick, while the updater does not refresh it
	_    uint32
}

const (
	// CoarseClockTick is the tick. Scheduling delay may lengthen a tick.
	CoarseClockTick = time.Duration(layout.TickNs)

	// activeUses is the number of uses in a tick from which on the updater refreshes a coarse
	// clock. A program that polls less often is not woken for the refresh.
	activeUses = layout.CoarseClockUses
)

var clockUpdater struct {
	sync.Mutex
	kept    []*CoarseClock
	running bool
}

// Changed reports whether the user has to call Look. It is always true while the updater does not
// refresh the coarse clock.
func (m *CoarseClock) Changed() bool { return atomic.LoadUint64(&m.now) != m.seen }

// Seen is the reading of the last tick that the user acted on.
func (m *CoarseClock) Seen() uint64 { return m.seen }

// Fresh reads the clock and reports whether the coarse clock is fresh. A stale coarse clock has
// missed a tick.
func (m *CoarseClock) Fresh() bool { return int64(Monotonic()-m.seen) < int64(2*CoarseClockTick) }

// Start starts the coarse clock. It comes before every other call.
func (m *CoarseClock) Start() { m.seen = Monotonic() }

// Poll follows when Passed is true. It reads the clock, and reports whether housekeeping is due.
func (m *CoarseClock) Poll() (now uint64, due bool) {
	now = Monotonic()
	if atomic.LoadUint64(&m.now) == 0 {
		m.uses++
		if m.uses < activeUses && int64(now-m.seen) < int64(CoarseClockTick) {
			return now, false
		}
		if m.uses >= activeUses {
			m.keep(now)
		}
		m.uses = 0
		atomic.StoreUint64(&m.seen, now)
		return now, true
	}
	return m.Refresh(), true
}

// Refresh reads the clock and begins a new tick, so that nothing is due until the next one.
func (m *CoarseClock) Refresh() uint64 {
	clockUpdater.Lock()
	defer clockUpdater.Unlock()
	now := Monotonic()
	if m.now != 0 {
		atomic.StoreUint64(&m.now, now)
	}
	atomic.StoreUint64(&m.seen, now)
	return now
}

// keep has the updater refresh the coarse clock.
func (m *CoarseClock) keep(now uint64) {
	clockUpdater.Lock()
	defer clockUpdater.Unlock()
	atomic.StoreUint64(&m.now, now)
	clockUpdater.kept = append(clockUpdater.kept, m)
	if !clockUpdater.running {
		clockUpdater.running = true
		go keepUp()
	}
}

// Stop stops the coarse clock: the updater does not refresh it any more.
func (m *CoarseClock) Stop() {
	clockUpdater.Lock()
	defer clockUpdater.Unlock()
	clockUpdater.kept = slices.DeleteFunc(clockUpdater.kept, func(kept *CoarseClock) bool { return kept == m })
	atomic.StoreUint64(&m.now, 0)
}

// keepUp is the updater. It refreshes coarse clocks every tick, until no coarse clock was used
// during a tick.
func keepUp() {
	for {
		Sleep(CoarseClockTick)
		if !keepAllUp() {
			return
		}
	}
}

func keepAllUp() bool {
	clockUpdater.Lock()
	defer clockUpdater.Unlock()
	now := Monotonic()
	clockUpdater.kept = slices.DeleteFunc(clockUpdater.kept, func(m *CoarseClock) bool {
		unused := atomic.LoadUint64(&m.seen) != m.now
		if unused {
			atomic.StoreUint64(&m.now, 0)
		} else {
			atomic.StoreUint64(&m.now, now)
		}
		return unused
	})
	clockUpdater.running = len(clockUpdater.kept) > 0
	return clockUpdater.running
}
