package channel

import (
	"sync/atomic"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// Ready reports whether Next would not wait now: there is a message, or an error, such as the end
// of the stream. It dequeues nothing.
func (c *Consumer) Ready() bool {
	if c.Data == nil || atomic.LoadUint32(&c.interrupted) != 0 || c.mayHold() != nil {
		return true
	}
	*c.hot.heartbeat = platform.Monotonic()
	if c.hasMessage() {
		return true
	}
	if c.terminalError() == nil {
		return false
	}
	c.producerProbed = 0 // the next read has to probe for itself, and not rely on this recent probe
	return true
}

// hasMessage reports whether a look would find a message or an error. It decides as nextLossless,
// nextInOrder and nextLatest do.
func (c *Consumer) hasMessage() bool {
	if c.delivery == segment.Latest {
		_, _, ok := c.newest()
		return ok
	}
	v := c.Entry(c.next).Load()
	if !layout.EntryEmpty(v) && layout.EntryID(v, c.next) >= c.next {
		return true
	}
	return (c.delivery == segment.Ordered || c.joining != 0) && c.Hint() > c.next+uint64(c.SlotCount)
}

// WaitAny waits until at least one of the consumers is Ready, and sets ready, which has the same
// length. It dequeues nothing, and a later read of any of the consumers may find another state. One
// goroutine at a time uses a consumer, and WaitAny is such a use. Errors: Invalid, Timeout.
func WaitAny(timeout time.Duration, consumers []*Consumer, ready []bool) error {
	switch {
	case timeout < segment.Forever:
		return status.Errorf(status.Invalid, "timeout %v: use 0, Forever (-1) or a positive time", timeout)
	case len(consumers) == 0:
		return status.Errorf(status.Invalid, "no consumer to wait for: give at least one")
	}
	for range spinTries {
		if anyReady(consumers, ready) {
			return nil
		}
		if timeout == 0 {
			return notOne(consumers, timeout)
		}
	}
	start := platform.Monotonic()
	for _, c := range consumers {
		*c.hot.waits++
	}
	defer func() {
		waited := platform.Monotonic() - start
		for _, c := range consumers {
			*c.hot.waitNs += waited
		}
	}()
	events, seen := make([]*atomic.Uint32, len(consumers)), make([]uint32, len(consumers))
	for {
		for i, c := range consumers {
			events[i], seen[i] = c.Event, c.Event.Load()
			c.Waiting.Or(1 << (c.Row % 64)) // as in wait
			crash.Point("sleep.marked_any")
		}
		if anyReady(consumers, ready) {
			return nil
		}
		slice := consumerSlice
		if timeout >= 0 {
			left := timeout - time.Duration(platform.Monotonic()-start)
			if left <= 0 {
				return notOne(consumers, timeout)
			}
			slice = min(slice, left)
		}
		crash.Point("sleep.any")
		platform.WaitAny(events, seen, slice)
	}
}

// anyReady looks at every consumer, whatever it finds at the first. Of two consumers that always
// have messages, neither may starve the other.
func anyReady(consumers []*Consumer, ready []bool) (some bool) {
	for i, c := range consumers {
		ready[i] = c.Ready()
		some = some || ready[i]
	}
	return some
}

func notOne(consumers []*Consumer, waited time.Duration) error {
	return status.Errorf(status.Timeout, "nothing to read within %v in any of %d blocks, the first of which is %q",
		waited,
		len(consumers), consumers[0].BlockName())
}
