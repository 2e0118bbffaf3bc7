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

// consumerSlice bounds one sleep: a producer may die between its publication and the wake-up.
const consumerSlice = time.Duration(layout.SleepSliceNs)

// pollLooks is how often a read that does not wait loads the next entry before it returns that
// there is nothing.
const pollLooks = layout.PollLooksGo

// wanted is what a read asks for: the next message, or the message with the given id.
type wanted struct {
	id    uint64
	given bool
}

// tryRead takes the wanted message if it is there.
func (c *Consumer) tryRead(w wanted, out *ReadSlot) (bool, error) {
	if w.given {
		return c.tryReadAt(w.id, out)
	}
	return c.tryNext(out)
}

// wait sleeps until the wanted message is there, the stream ends or the timeout passes.
func (c *Consumer) wait(w wanted, timeout time.Duration, out *ReadSlot) error {
	if c.outside != nil && c.outside.Begun {
		return c.awaitMessage(w, timeout, out, c.outside)
	}
	tries := spinTries
	if timeout == 0 {
		tries = 0
		if !w.given && c.spinForNext() {
			tries = 1
		}
	}
	for range tries {
		if ok, err := c.tryRead(w, out); ok || err != nil {
			return err
		}
	}
	if timeout == 0 && !w.given && c.mayReportEmpty() {
		return c.timeoutError(w, 0)
	}
	if timeout == 0 {
		var s segment.Sleep
		return c.awaitMessage(w, 0, out, &s)
	}
	return segment.Inside(c.outside, func(s *segment.Sleep) error { return c.awaitMessage(w, timeout, out, s) })
}

// awaitMessage is one step of a wait on the event count. A call that does not wait takes one step,
// and does not mark itself as waiting.
func (c *Consumer) awaitMessage(w wanted, timeout time.Duration, out *ReadSlot, s *segment.Sleep) (err error) {
	first := s.Begin()
	defer func() {
		if timeout != 0 && err != segment.ErrSleep {
			c.endWait(s)
		}
	}()
	if !first {
		*c.hot.heartbeat = platform.Monotonic()
		if !c.ownsRow() {
			return c.fenced()
		}
	} else if timeout != 0 && !s.Part.Later {
		*c.hot.waits++
	}
	if atomic.LoadUint32(&c.interrupted) != 0 {
		return status.Errorf(status.Closed, "block %q: the consumer was closed while it waited", c.BlockName())
	}
	event := c.Event.Load()
	if timeout != 0 {
		// Sequentially consistent, pairs with the load in Producer.Commit: either the producer sees
		// the bit, or the consumer sees the message below.
		c.Waiting.Or(1 << (c.Row % 64))
		crash.Point("sleep.marked")
	}
	over := c.terminalError()
	if ok, err := c.tryRead(w, out); ok || err != nil {
		return err // also the rest of a stream that is over
	}
	if over != nil {
		return c.endedWithoutError(w, over)
	}
	slice := consumerSlice
	if timeout >= 0 {
		left := timeout - s.Waited()
		if left <= 0 {
			return c.timeoutError(w, timeout)
		}
		slice = min(slice, left)
	}
	crash.Point("sleep.consumer")
	return s.On(c.Event, event, slice)
}

// endWait ends a wait that has begun, whatever its result.
func (c *Consumer) endWait(s *segment.Sleep) {
	s.Begun = false
	*c.hot.waitNs += uint64(s.Waited())
}

// NextInSteps is Next for a caller that sleeps itself: see Sleep.
func (c *Consumer) NextInSteps(timeout time.Duration, s *segment.Sleep) (ReadSlot, error) {
	c.outside = s
	defer func() { c.outside = nil }()
	slot, err := c.Next(timeout)
	if s.Begun && err != segment.ErrSleep { // the call found a message, or an error, before the first sleep
		c.endWait(s)
	}
	return slot, err
}

// WaitForInSteps is WaitFor for a caller that sleeps itself: see Sleep.
func (c *Consumer) WaitForInSteps(id uint64, timeout time.Duration, s *segment.Sleep) (ReadSlot, error) {
	c.outside = s
	defer func() { c.outside = nil }()
	slot, err := c.WaitFor(id, timeout)
	if s.Begun && err != segment.ErrSleep {
		c.endWait(s)
	}
	return slot, err
}

// spinForNext reports whether the next message comes within a few loads of its entry. The loads
// take no longer than the rest of a call that finds nothing. Pauses lie between the loads, because
// the producer may run on the other hardware thread of the core.
func (c *Consumer) spinForNext() bool {
	e := c.Entry(c.next)
	for range pollLooks {
		if v := e.Load(); !layout.EntryEmpty(v) && layout.EntryID(v, c.next) >= c.next {
			return true
		}
		platform.Pause()
	}
	return false
}

// mayReportEmpty reports whether a read that does not wait may return at once that there is
// nothing. A caller may poll millions of times. Once per tick quiet checks whether there is a
// producer. Without a check it never reports that there is none, because a producer may have come.
func (c *Consumer) mayReportEmpty() bool {
	if c.polls++; c.polls%clockCheckInterval == 0 && !c.clock.Fresh() {
		c.appear(c.clock.Refresh())
		return false
	}
	state := c.StateWord.Load()
	return state != layout.StateClosed && state != layout.StateSuperseded && c.producerThere &&
		int64(c.clock.Seen()-c.producerProbed) <= 0 &&
		atomic.LoadUint32(&c.interrupted) == 0
}

// Probe checks whether anything can still come, for a caller that waits on its own. If not, Probe
// looks once more for a message, and returns what Next returns.
func (c *Consumer) Probe() (s ReadSlot, found bool, err error) {
	over := c.terminalError()
	if over == nil {
		return ReadSlot{}, false, nil
	}
	if found, err = c.tryNext(&s); found || err != nil {
		return s, found, err
	}
	return ReadSlot{}, false, over
}

// Conclude ends the wait of a caller that waited on its own and found nothing. It looks a last
// time, and then returns what Next(waited) returns. Of the Sleep it uses the Part.
func (c *Consumer) Conclude(waited time.Duration, sleep *segment.Sleep) (ReadSlot, error) {
	c.outside = sleep
	defer func() { c.outside = nil }()
	var s ReadSlot
	over := c.terminalError()
	if ok, err := c.tryNext(&s); ok || err != nil {
		return s, err
	}
	if over != nil {
		return s, over
	}
	return s, c.timeoutError(wanted{}, waited)
}

// terminalError returns the reason why no further message will come, nil if one may come. The
// caller looks for a message once more before it relies on the reason.
func (c *Consumer) terminalError() error {
	switch c.StateWord.Load() {
	case layout.StateClosed:
		return c.endOfStreamError()
	case layout.StateSuperseded:
		return c.replaced()
	}
	now := platform.Monotonic()
	if now-c.producerProbed < producerProbeEvery {
		return nil
	}
	c.producerProbed = now
	if err := c.KeepsLock(); err != nil {
		return err
	}
	c.producerThere = segment.Probe(c.ProbeLocks, layout.ProducerRow) != segment.OwnerDead
	if c.LostName() {
		if c.StateWord.Load() == layout.StateClosed { // and removed, as the producer had asked with a flag
			return c.endOfStreamError()
		}
		return c.replaced()
	}
	return c.Truncated()
}

// endOfStreamError is the error of a stream that its producer closed. If another block has the name
// by now, the error says that there is more to attach to.
func (c *Consumer) endOfStreamError() error {
	if c.Displaced() {
		return c.replaced()
	}
	return status.Errorf(status.Closed, "block %q: the producer closed the stream and everything in it has been read",
		c.BlockName())
}

func (c *Consumer) replaced() error {
	return status.Errorf(status.Superseded, "block %q was replaced or removed by force and everything in it has been "+
		"read: attach again", c.BlockName())
}

// endedWithoutError is the error of a stream that ended without the wanted message.
func (c *Consumer) endedWithoutError(w wanted, over error) error {
	switch code := status.CodeOf(over); {
	case w.given && code == status.Closed:
		return status.Errorf(code, "block %q: the producer closed the stream before message %d", c.BlockName(), w.id)
	case w.given && code == status.Superseded:
		return status.Errorf(code, "block %q was replaced or removed by force before message %d was written: attach "+
			"again",
			c.BlockName(), w.id)
	}
	return over
}

// timeoutError is the error of a read that found nothing within its timeout.
func (c *Consumer) timeoutError(w wanted, timeout time.Duration) error {
	if !segment.WaitPartOf(c.outside).More {
		*c.hot.timeouts++
	}
	if timeout == 0 && !w.given {
		if c.producerThere {
			return c.idle
		}
		return c.orphaned
	}
	id := c.next
	if w.given {
		id = w.id
	}
	if !c.producerThere {
		return status.Errorf(status.NoProducer, "block %q: no message %d within %v, and nobody has the block open for "+
			"writing",
			c.BlockName(), id, timeout)
	}
	return status.Errorf(status.Timeout, "block %q: no message %d within %v", c.BlockName(), id, timeout)
}
