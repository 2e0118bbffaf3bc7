package core

import (
	"sync/atomic"

	"datablock/internal/layout"
)

// Counter returns counter i, 0 to 7, of the counters that participants share: a word of 64 bits
// that both sides read and change atomically. It is zero in a new block. It outlives the
// participants, and goes with the block. It must not be used after Close. Errors: Invalid, Closed.
func (a *attachment) Counter(i uint32) (*atomic.Uint64, error) {
	if a.data == nil {
		return nil, fail(Closed, "block %q: this participant is closed already", a.name())
	}
	if i >= layout.CounterCount {
		return nil, fail(Invalid, "block %q has counters 0 to %d, there is no counter %d", a.name(),
			layout.CounterCount-1, i)
	}
	return a.ctl.u64(layout.CtlCounters + uint64(i)*layout.CacheLine), nil
}
