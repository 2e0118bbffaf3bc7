package segment

import (
	"sync/atomic"

	"datablock/internal/core/status"

	"datablock/internal/layout"
)

// Counter returns counter i, 0 to 7, of the counters that participants share: a word of 64 bits
// that both sides read and change atomically. It is zero in a new block. It outlives the
// participants, and goes with the block. It must not be used after Close. Errors: Invalid, Closed.
func (a *Attachment) Counter(i uint32) (*atomic.Uint64, error) {
	if a.Data == nil {
		return nil, status.Errorf(status.Closed, "block %q: this participant is closed already", a.BlockName())
	}
	if i >= layout.CounterCount {
		return nil, status.Errorf(status.Invalid, "block %q has counters 0 to %d, there is no counter %d",
			a.BlockName(),
			layout.CounterCount-1, i)
	}
	return a.Ctl.U64(layout.CtlCounters + uint64(i)*layout.CacheLine), nil
}
