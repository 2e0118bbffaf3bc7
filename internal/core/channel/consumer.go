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

// Consumer reads a block. One goroutine at a time uses a Consumer. Any goroutine may call
// Interrupt.
type Consumer struct {
	*ConsumerState
	*segment.Attachment
	delivery segment.Delivery
	durable  bool
	ownName  string // as in the row, which an evicting process empties
	resumed  bool   // the consumer resumed at the cursor that was kept for it

	// The addresses that every message uses, computed once.
	plain        bool // LOSSLESS, bound, no checksum: the next message needs only entry and header
	slotsPtr     segment.SlotArray
	ring         *atomic.Uint64 // the first entry
	awaited      *atomic.Uint64 // the cursor that the producer waits for
	pins         *[layout.MaxPins]atomic.Uint64
	cursorPtr    *atomic.Uint64
	cursor64     *uint64        // the same word, where the producer does not rely on the cursor
	ownerWordPtr *atomic.Uint64 // the row's status and generation, as one word
	hot          struct{ heartbeat, read, missed, bytes, waits, waitNs, timeouts, lost, overruns, checksums *uint64 }

	gapStart uint64                 // while skipped is not 0: the first skipped message, where the row's cursor stays
	from     [layout.MaxPins]uint64 // of a hold that is set apart: where the row's cursor stays meanwhile

	transactions [layout.MaxPins]ReadTransactionSlot // one for each hold
	begun        uint64                              // the number of transactions
	outside      *segment.Sleep                      // the Sleep of the caller of a call in steps

	// The errors of a read that does not wait and finds nothing. They are made once, because such a
	// read may be repeated millions of times.
	idle, orphaned error
}

// producerProbeEvery bounds the system calls of a consumer that polls an idle block.
const producerProbeEvery = uint64(layout.PollProbeNs)

// Name returns the block's name.
func (c *Consumer) Name() string { return c.BlockName() }

// Resumed reports whether this durable consumer continues at the cursor that was kept under its
// name. Otherwise it began as a new consumer does: it is the first of that name, or its place has
// expired or was removed, or the block was made anew.
func (c *Consumer) Resumed() bool { return c.resumed }

// Next returns the next message, held until Release. The beginning of Next is the fast path.
// Errors: Invalid, Timeout, NoProducer, Closed, Superseded, Overrun, Lost, Fenced, Busy, Corrupt.
func (c *Consumer) Next(timeout time.Duration) (ReadSlot, error) {
	s := c.ConsumerState
	h := &s.holds[0]
	if !c.plain || s.nearProducer || s.held != 0 || s.clock.Changed() || c.ownerWordPtr.Load() != s.ownerWord ||
		s.ringNext != s.next ||
		s.next >= s.nextClockCheck || timeout < segment.Forever {
		return c.nextSlowly(timeout)
	}
	id, at := s.next, s.ringIndex
	v := segment.Element(c.ring, at).Load() // acquire; pairs with Producer.Commit
	slot := layout.EntrySlot(v)
	if !layout.EntryIs(v, id) || slot >= s.Block.Slots {
		return c.nextSlowly(timeout)
	}
	header := c.slotsPtr.At(slot)
	length := header[layout.SlotLength/8]
	if header[layout.SlotID/8] != id || length > s.Block.SlotSize {
		return c.nextSlowly(timeout)
	}
	s.nextHold++
	token := uint32(s.nextHold)
	h.id, h.claim, h.slot, h.token, h.used, h.pinned, h.inOrder, h.more = id, header[layout.SlotClaim/8], slot, token,
		used, false, true, 0
	s.held = 1
	s.next = id + 1
	*c.hot.read++
	*c.hot.bytes += length
	if at%lineEntries == 0 || s.Block.Flags&stateSmall != 0 {
		c.step()
	} else {
		if at++; at == s.Block.SlotCount {
			at = 0
		}
		s.ringNext, s.ringIndex = id+1, at
	}
	c.invariant()
	return slotOf(header, id, length, slot, token), nil
}

func (c *Consumer) nextSlowly(timeout time.Duration) (ReadSlot, error) {
	if timeout < segment.Forever {
		return ReadSlot{}, c.Translated(status.Errorf(status.Invalid, "timeout %v: use 0, Forever (-1) or a positive "+
			"time", timeout))
	}
	if c.Data == nil {
		return ReadSlot{}, c.Translated(c.closedError())
	}
	if c.clock.Changed() {
		c.LookAround()
	} else if c.next >= c.nextClockCheck && c.isOverdue() {
		c.appear(c.clock.Refresh())
	}
	if !c.ownsRow() || c.held >= c.maxPins {
		return ReadSlot{}, c.Translated(c.mayNotHold())
	}
	if c.nearProducer {
		c.nearProducer = false
		platform.Backoff()
	}
	var out ReadSlot
	ok, err := c.tryNext(&out)
	if !ok && err == nil {
		c.nearProducer = false // the consumer waits for the producer, so the producer is the slower one
		platform.NotePolled()
		err = c.wait(wanted{}, timeout, &out)
	}
	c.invariant()
	return out, c.Translated(err)
}

// isOverdue reads the clock and reports whether the coarse clock is behind.
func (c *Consumer) isOverdue() bool {
	c.nextClockCheck = c.next + clockCheckInterval
	return !c.clock.Fresh()
}

// LookAround is the consumer's housekeeping, when a tick has passed. C code calls it, because the
// reads of C code do not always reach Go.
func (c *Consumer) LookAround() {
	if now, due := c.clock.Poll(); due {
		c.appear(now)
	}
}

// appear stores the heartbeat, if the row is still this consumer's.
func (c *Consumer) appear(now uint64) {
	if c.ownsRow() {
		*c.hot.heartbeat = now
	}
}

// place returns the index of the entry of the message that comes next in order.
func (c *Consumer) place() uint32 {
	if c.ringNext != c.next {
		c.ringNext, c.ringIndex = c.next, c.RingIndex(c.next)
	}
	return c.ringIndex
}

// step moves past the message at c.ringAt, which has been taken. Once per cache line of entries it
// checks whether the consumer is close: whether the next message is there already, so that the
// producer is about to write to the same line. A consumer that stays that close takes the line from
// the producer at every message, and then waits for the line itself. Where the next message is not
// there, producer and consumer may be alternating.
func (c *Consumer) step() {
	s := c.ConsumerState
	at := s.ringIndex
	if at%lineEntries == 0 {
		s.nearProducer = c.sharesProducerLine(at)
	}
	if s.Block.Flags&stateSmall != 0 {
		c.readAhead(s.ringNext+layout.ReadAhead, at)
	}
	s.ringNext = s.next
	if at++; at == s.Block.SlotCount {
		at = 0
	}
	s.ringIndex = at
}

// readAhead prefetches header and beginning of the slot of message id, if the message is published.
// The index at is that of the entry of message id-layout.ReadAhead. In a small block the producer
// has taken these lines back a short time ago, and the processor does not prefetch them by itself.
func (c *Consumer) readAhead(id uint64, at uint32) {
	if at += layout.ReadAhead; at >= c.SlotCount {
		at = c.RingIndex(id)
	}
	v := segment.Element(c.ring, at).Load()
	if slot := layout.EntrySlot(v); layout.EntryIs(v, id) && slot < c.Slots() {
		platform.PrefetchForRead(&c.slotsPtr.At(slot)[0])
	}
}

func (c *Consumer) sharesProducerLine(at uint32) bool {
	n, last := c.SlotCount, at+lineEntries-1
	return n > last && n > lineEntries && layout.EntryAhead(c.Entries[last].Load(), c.ringNext+uint64(last-at)) < 0 &&
		layout.EntryAhead(c.Entries[at+1].Load(), c.next) >= 0
}

// mayHold returns the reason why no further slot can be held, nil if one can.
func (c *Consumer) mayHold() error {
	if c.ownsRow() && c.held < c.maxPins {
		return nil
	}
	return c.mayNotHold()
}

func (c *Consumer) mayNotHold() error {
	if !c.ownsRow() {
		return c.fenced()
	}
	return status.Errorf(status.Busy, "block %q: all %d slots that max_pins %d allows are held: end one first, or ask "+
		"for more at open",
		c.BlockName(), c.held, c.maxPins)
}

func (c *Consumer) fenced() error {
	if err := c.KeepsLock(); segment.LockIsLost(err) { // then other processes have taken this consumer for dead
		return err
	}
	return status.Errorf(status.Fenced, "block %q: row %d of consumer %q was taken away by a forced recovery: attach "+
		"again", c.BlockName(),
		c.Row, c.ownName)
}

// ownsRow reports whether the row is still this consumer's. A forced eviction changes the row's
// status.
func (c *Consumer) ownsRow() bool {
	return c.ownerWordPtr.Load() == c.ownerWord
}

// tryNext takes the next message if it is there.
func (c *Consumer) tryNext(out *ReadSlot) (bool, error) {
	switch c.delivery {
	case segment.Lossless:
		return c.nextLossless(out)
	case segment.Ordered:
		return c.nextOrdered(out)
	}
	return c.nextLatest(out)
}

// ReadAt returns message id if it is present. The cursor stays. ReadAt does not wait. Errors:
// NotFound, Overrun, Lost, Fenced, Busy, Corrupt.
func (c *Consumer) ReadAt(id uint64) (ReadSlot, error) {
	if err := c.mayReadAt(); err != nil {
		return ReadSlot{}, err
	}
	var s ReadSlot
	ok, err := c.tryReadAt(id, &s)
	if !ok && err == nil {
		err = status.Errorf(status.NotFound, "block %q: message %d is not written yet, the next one is %d",
			c.BlockName(), id,
			min(id, c.Segment.End()))
	}
	return s, err
}

// WaitFor returns message id, held until Release. The cursor stays. WaitFor waits for at most the
// timeout if the message is not written yet. A message that was overwritten never returns.
// Errors: Invalid, Timeout, NoProducer, Closed, Superseded, Overrun, Lost, Fenced, Busy, Corrupt.
func (c *Consumer) WaitFor(id uint64, timeout time.Duration) (ReadSlot, error) {
	if timeout < segment.Forever {
		return ReadSlot{}, status.Errorf(status.Invalid, "timeout %v: use 0, Forever (-1) or a positive time", timeout)
	}
	if err := c.mayReadAt(); err != nil {
		return ReadSlot{}, err
	}
	var s ReadSlot
	ok, err := c.tryReadAt(id, &s)
	if ok || err != nil {
		return s, err
	}
	endless := timeout == segment.Forever || segment.WaitPartOf(c.outside).Endless
	if cursor := c.due(); endless && c.delivery == segment.Lossless && c.joining == 0 &&
		id-cursor >= uint64(c.SlotCount) {
		return s, status.Errorf(status.Invalid, "block %q: message %d cannot be written before this consumer, which "+
			"is LOSSLESS, has read message %d: it would wait for ever", c.BlockName(), id, cursor)
	}
	err = c.wait(wanted{id, true}, timeout, &s)
	return s, err
}

func (c *Consumer) mayReadAt() error {
	if c.Data == nil {
		return c.closedError()
	}
	*c.hot.heartbeat = platform.Monotonic()
	return c.mayHold()
}

// tryReadAt takes message id if it is there.
func (c *Consumer) tryReadAt(id uint64, out *ReadSlot) (bool, error) {
	next := c.Segment.End() // before the entry: every message below next has been written
	scan := c.ScanEpoch.Load()
	crash.Point("read.at")
	v := c.Entry(id).Load()
	switch {
	case id >= next || layout.EntryEmpty(v):
		return false, nil
	case id < c.OldestPossible(next):
		return false, c.overwritten(id)
	case layout.EntryAhead(v, id) < 0: // commit is a hint, which may become visible before the entry
		return false, nil
	case layout.EntryAhead(v, id) > 0 || c.IsReclaimed(v):
		return false, c.overwritten(id)
	case v&layout.EntryLost != 0:
		return false, status.Errorf(status.Lost, "block %q: message %d was discarded by an operator", c.BlockName(), id)
	}
	h, ok := c.hold(scan, v, id)
	if !ok {
		return false, c.overwritten(id)
	}
	err := c.deliver(h, out)
	if err == nil && c.delivery == segment.Latest {
		c.setApart(h, id)
	}
	return err == nil, err
}

func (c *Consumer) overwritten(id uint64) error {
	return status.Errorf(status.Overrun, "block %q: message %d was overwritten, the oldest present is %d",
		c.BlockName(), id,
		c.OldestPresent())
}

// Interrupt makes a waiting Next return Closed. Any goroutine may call it. The wait may begin only
// after the wake-up: repeat Interrupt until Next has returned.
func (c *Consumer) Interrupt() {
	atomic.StoreUint32(&c.interrupted, 1)
	platform.Wake(c.Event)
}

// Close detaches. A durable consumer's row stays, with its cursor. No other call on this consumer
// may be running.
func (c *Consumer) Close() error {
	if c.Data == nil {
		return c.closedError()
	}
	c.clock.Stop()
	defer c.Leave() // also when the mapping is gone: the access may panic
	c.plain = false
	defer func() {
		c.holds, c.held = [layout.MaxPins]hold{}, 0
		for k := range c.transactions { // a transaction that is open is still ended by the code that began it
			c.transactions[k].slot, c.transactions[k].open = ReadSlot{}, false
		}
	}()
	if c.ownsRow() { // otherwise another process has cleaned the row. A durable consumer's place stays
		c.detach()
	}
	return nil
}

func (c *Consumer) closedError() error {
	return status.Errorf(status.Closed, "block %q: this consumer is closed already", c.BlockName())
}

func (c *Consumer) detach() {
	to := uint32(layout.RowAttaching)
	if c.durable {
		to = layout.RowDead
	}
	if !c.StatusWord(c.Row).CompareAndSwap(layout.RowActive, to) {
		return // another process evicts the consumer at this moment
	}
	crash.Point("detach.left")
	if c.durable {
		*c.Ctl.Plain64(c.Header.RowOffset(c.Row) + layout.RowDied) = platform.Realtime()
		crash.Point("detach.died")
		c.RestRow(c.Row)
	} else {
		c.EmptyRow(c.Row)
	}
	crash.Point("detach.cleared")
	if c.ProducerWaiting.Load() != 0 {
		c.WakeProducer()
	}
}
