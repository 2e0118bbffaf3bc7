package platform

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"datablock/internal/layout"
)

// Moment is a coarse clock with a tick of 100 ms. It tells its user when periodic housekeeping is
// due, and avoids a clock read per message: even the cheapest clock takes a tenth of a message's
// time.
//
// While the user polls often, a background goroutine (the keeper) refreshes the Moment. Otherwise
// the user reads the clock. One goroutine at a time uses a Moment; C code may be the user.
type Moment struct {
	now  uint64 // Monotonic; 0: the keeper does not refresh it. The keeper writes this word
	seen uint64 // the reading of the last tick that the user acted on
	uses uint32 // polls since that tick, while the keeper does not refresh it
	_    uint32
}

const (
	// MomentEvery is the tick. Scheduling delay may lengthen a tick.
	MomentEvery = time.Duration(layout.TickNs)

	// often is the number of uses in a tick from which on the keeper refreshes a Moment. A program
	// that polls less often is not woken for the refresh.
	often = layout.CoarseClockUses
)

var keeper struct {
	sync.Mutex
	kept    []*Moment
	running bool
}

// Passed reports whether the user has to call Look. It is always true while the keeper does not
// refresh the Moment.
func (m *Moment) Passed() bool { return atomic.LoadUint64(&m.now) != m.seen }

// Seen is the reading of the last tick that the user acted on.
func (m *Moment) Seen() uint64 { return m.seen }

// KeptUp reads the clock and reports whether the Moment is fresh. A stale Moment has missed a tick.
func (m *Moment) KeptUp() bool { return int64(Monotonic()-m.seen) < int64(2*MomentEvery) }

// Begin starts the Moment. It comes before every other call.
func (m *Moment) Begin() { m.seen = Monotonic() }

// Look follows when Passed is true. It reads the clock, and reports whether housekeeping is due.
func (m *Moment) Look() (now uint64, due bool) {
	now = Monotonic()
	if atomic.LoadUint64(&m.now) == 0 {
		m.uses++
		if m.uses < often && int64(now-m.seen) < int64(MomentEvery) {
			return now, false
		}
		if m.uses >= often {
			m.keep(now)
		}
		m.uses = 0
		atomic.StoreUint64(&m.seen, now)
		return now, true
	}
	return m.Renew(), true
}

// Renew reads the clock and begins a new tick, so that nothing is due until the next one.
func (m *Moment) Renew() uint64 {
	keeper.Lock()
	defer keeper.Unlock()
	now := Monotonic()
	if m.now != 0 {
		atomic.StoreUint64(&m.now, now)
	}
	atomic.StoreUint64(&m.seen, now)
	return now
}

// keep has the keeper refresh the Moment.
func (m *Moment) keep(now uint64) {
	keeper.Lock()
	defer keeper.Unlock()
	atomic.StoreUint64(&m.now, now)
	keeper.kept = append(keeper.kept, m)
	if !keeper.running {
		keeper.running = true
		go keepUp()
	}
}

// Drop stops the Moment: the keeper does not refresh it any more.
func (m *Moment) Drop() {
	keeper.Lock()
	defer keeper.Unlock()
	keeper.kept = slices.DeleteFunc(keeper.kept, func(kept *Moment) bool { return kept == m })
	atomic.StoreUint64(&m.now, 0)
}

// keepUp is the keeper. It refreshes Moments every tick, until no Moment was used during a tick.
func keepUp() {
	for {
		Sleep(MomentEvery)
		if !keepAllUp() {
			return
		}
	}
}

func keepAllUp() bool {
	keeper.Lock()
	defer keeper.Unlock()
	now := Monotonic()
	keeper.kept = slices.DeleteFunc(keeper.kept, func(m *Moment) bool {
		unused := atomic.LoadUint64(&m.seen) != m.now
		if unused {
			atomic.StoreUint64(&m.now, 0)
		} else {
			atomic.StoreUint64(&m.now, now)
		}
		return unused
	})
	keeper.running = len(keeper.kept) > 0
	return keeper.running
}
