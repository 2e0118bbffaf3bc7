package platform

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Moment tells its user when there is something to do that is done now and then, and what time it is, for those who would ask at every message: even the cheapest clock takes a tenth of a message's
// time. While it is used often, somebody else keeps it up; otherwise its user asks the clock. One goroutine at a time uses it; C may.
type Moment struct {
	now  uint64 // Monotonic; 0: not kept up. Written to by the keeper
	seen uint64 // the reading that was acted upon last
	uses uint32 // since then, while it is not kept up
	_    uint32
}

const (
	// MomentEvery is how often there is something to do. It may be longer by what the scheduler makes of it.
	MomentEvery = 100 * time.Millisecond

	often = 1000 // uses in that time from which on a Moment is kept up: a program that uses it less often is not to be woken for it
)

var keeper struct {
	sync.Mutex
	kept    []*Moment
	running bool
}

// Passed reports whether to Look, which may have something to do. A moment that is not kept up has always passed.
func (m *Moment) Passed() bool { return atomic.LoadUint64(&m.now) != m.seen }

// Seen is the reading that was acted upon last.
func (m *Moment) Seen() uint64 { return m.seen }

// KeptUp asks the clock whether the moment is kept up. One that is not has missed a turn.
func (m *Moment) KeptUp() bool { return int64(Monotonic()-m.seen) < int64(2*MomentEvery) }

// Begin begins one, before anything else.
func (m *Moment) Begin() { m.seen = Monotonic() }

// Look is for when it has Passed. It reads the clock, and reports whether there is something to do.
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

// Renew reads the clock, and there is nothing to do for a while.
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

// keep has it kept up.
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

// Drop ends it.
func (m *Moment) Drop() {
	keeper.Lock()
	defer keeper.Unlock()
	keeper.kept = slices.DeleteFunc(keeper.kept, func(kept *Moment) bool { return kept == m })
	atomic.StoreUint64(&m.now, 0)
}

// keepUp keeps moments up until none has been used for a turn.
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
