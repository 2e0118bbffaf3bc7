package core

import (
	"sync/atomic"
	"time"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// consumerSlice bounds one sleep: a producer may die between its publication and the wake-up.
const consumerSlice = 100 * time.Millisecond

// pollLooks is how often a read that does not wait looks at the next entry before it says that there is nothing.
const pollLooks = 4

// wanted is what a read is for: the next message, or, if an id is given, that one.
type wanted struct {
	id    uint64
	given bool
}

// take takes what is wanted if it is there.
func (c *Consumer) take(w wanted, out *ReadSlot) (bool, error) {
	if w.given {
		return c.lookAt(w.id, out)
	}
	return c.look(out)
}

// wait sleeps until what is wanted is there, the stream ends or the time runs out.
func (c *Consumer) wait(w wanted, timeout time.Duration, out *ReadSlot) error {
	if c.outside != nil && c.outside.begun {
		return c.awaitMessage(w, timeout, out, c.outside)
	}
	tries := spinTries
	if timeout == 0 {
		tries = 0
		if !w.given && c.soon() {
			tries = 1
		}
	}
	for range tries {
		if ok, err := c.take(w, out); ok || err != nil {
			return err
		}
	}
	if timeout == 0 && !w.given && c.quiet() {
		return c.nothing(w, 0)
	}
	if timeout == 0 {
		var s Sleep
		return c.awaitMessage(w, 0, out, &s)
	}
	return inside(c.outside, func(s *Sleep) error { return c.awaitMessage(w, timeout, out, s) })
}

// awaitMessage is a step of a wait, which is that of an event count. A call that does not wait takes one step, and does not mark
// itself as waiting.
func (c *Consumer) awaitMessage(w wanted, timeout time.Duration, out *ReadSlot, s *Sleep) (err error) {
	first := s.begin()
	defer func() {
		if timeout != 0 && err != ErrSleep {
			c.endWait(s)
		}
	}()
	if !first {
		*c.hot.heartbeat = platform.Monotonic()
		if !c.rowMine() {
			return c.fenced()
		}
	} else if timeout != 0 {
		*c.hot.waits++
	}
	if atomic.LoadUint32(&c.interrupted) != 0 {
		return fail(Closed, "block %q: the consumer was closed while it waited", c.name())
	}
	event := c.event.Load()
	if timeout != 0 {
		c.waiting.Or(1 << (c.row % 64)) // sequentially consistent, pairs with the load in Producer.Commit: either it sees the bit, or we see its message below
		crash.Point("sleep.marked")
	}
	over := c.over()
	if ok, err := c.take(w, out); ok || err != nil {
		return err // also what is left of a stream that is over
	}
	if over != nil {
		return c.without(w, over)
	}
	slice := consumerSlice
	if timeout >= 0 {
		left := timeout - s.waited()
		if left <= 0 {
			return c.nothing(w, timeout)
		}
		slice = min(slice, left)
	}
	crash.Point("sleep.consumer")
	return s.on(c.event, event, slice)
}

// endWait ends a wait that has begun, whatever it came to.
func (c *Consumer) endWait(s *Sleep) {
	s.begun = false
	*c.hot.waitNs += uint64(s.waited())
}

// NextInSteps is Next whose caller sleeps: see Sleep.
func (c *Consumer) NextInSteps(timeout time.Duration, s *Sleep) (ReadSlot, error) {
	c.outside = s
	defer func() { c.outside = nil }()
	slot, err := c.Next(timeout)
	if s.begun && err != ErrSleep { // a message was found, or an error, before it came to the wait
		c.endWait(s)
	}
	return slot, err
}

// WaitForInSteps is WaitFor whose caller sleeps: see Sleep.
func (c *Consumer) WaitForInSteps(id uint64, timeout time.Duration, s *Sleep) (ReadSlot, error) {
	c.outside = s
	defer func() { c.outside = nil }()
	slot, err := c.WaitFor(id, timeout)
	if s.begun && err != ErrSleep {
		c.endWait(s)
	}
	return slot, err
}

// soon reports whether the next message comes within a few looks at its entry, which take no longer than the rest of a call that finds nothing. Between them are pauses: the producer may be on the other
// hardware thread of the core.
func (c *Consumer) soon() bool {
	e := c.entry(c.next)
	for range pollLooks {
		if v := e.Load(); !layout.EntryEmpty(v) && layout.EntryID(v, c.next) >= c.next {
			return true
		}
		platform.Pause()
	}
	return false
}

// quiet reports whether a read that does not wait may say at once that there is nothing: polled, perhaps, millions of times. Once a moment it looks at the producer; that there is none is not said without
// a look: one may have come.
func (c *Consumer) quiet() bool {
	if c.polls++; c.polls%trust == 0 && !c.moment.KeptUp() {
		c.appear(c.moment.Renew())
		return false
	}
	state := c.state.Load()
	return state != layout.StateClosed && state != layout.StateSuperseded && c.producerThere && int64(c.moment.Seen()-c.producerProbed) <= 0 &&
		atomic.LoadUint32(&c.interrupted) == 0
}

// Probe looks whether anything can still come, for a caller that waits on its own. If not, it looks once more for a message, and says what Next says.
func (c *Consumer) Probe() (s ReadSlot, found bool, err error) {
	over := c.over()
	if over == nil {
		return ReadSlot{}, false, nil
	}
	if found, err = c.look(&s); found || err != nil {
		return s, found, err
	}
	return ReadSlot{}, false, over
}

// Conclude ends the wait of a caller that waited on its own and found nothing: a last look, and then what Next(waited) says.
func (c *Consumer) Conclude(waited time.Duration) (ReadSlot, error) {
	var s ReadSlot
	over := c.over()
	if ok, err := c.look(&s); ok || err != nil {
		return s, err
	}
	if over != nil {
		return s, over
	}
	return s, c.nothing(wanted{}, waited)
}

// over reports why no further message will come, nil if one may. The caller looks once more before it believes it.
func (c *Consumer) over() error {
	switch c.state.Load() {
	case layout.StateClosed:
		return c.ended()
	case layout.StateSuperseded:
		return c.replaced()
	}
	now := platform.Monotonic()
	if now-c.producerProbed < producerProbeEvery {
		return nil
	}
	c.producerProbed = now
	if err := c.keepsLock(); err != nil {
		return err
	}
	c.producerThere = probe(c.ask, layout.ProducerRow) != nobody
	if c.lostName() {
		if c.state.Load() == layout.StateClosed { // and unlinked, as the producer had asked for
			return c.ended()
		}
		return c.replaced()
	}
	return c.truncated()
}

// ended is the end of a stream that its producer closed. Once another block has the name there is more to attach to.
func (c *Consumer) ended() error {
	if c.displaced() {
		return c.replaced()
	}
	return fail(Closed, "block %q: the producer closed the stream and everything in it has been read", c.name())
}

func (c *Consumer) replaced() error {
	return fail(Superseded, "block %q was replaced or removed by force and everything in it has been read: attach again", c.name())
}

// without says of a stream that is over that it ended without what was wanted.
func (c *Consumer) without(w wanted, over error) error {
	switch code := CodeOf(over); {
	case w.given && code == Closed:
		return fail(code, "block %q: the producer closed the stream before message %d", c.name(), w.id)
	case w.given && code == Superseded:
		return fail(code, "block %q was replaced or removed by force before message %d was written: attach again", c.name(), w.id)
	}
	return over
}

// nothing is the error of a read that found nothing in time.
func (c *Consumer) nothing(w wanted, timeout time.Duration) error {
	*c.hot.timeouts++
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
		return fail(NoProducer, "block %q: no message %d within %v, and nobody has the block open for writing", c.name(), id, timeout)
	}
	return fail(Timeout, "block %q: no message %d within %v", c.name(), id, timeout)
}
