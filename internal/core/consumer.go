package core

import (
	"sync/atomic"
	"time"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// Consumer reads a block. One goroutine at a time uses a Consumer. Any goroutine may call
// Interrupt.
type Consumer struct {
	*ConsumerState
	*attachment
	delivery Delivery
	durable  bool
	resumed  bool // the consumer resumed at the cursor that was kept for it

	// The addresses that every message uses, computed once.
	plain    bool // LOSSLESS, bound, no checksum: the next message needs only entry and header
	slotsAt  slotArray
	ring     *atomic.Uint64 // the first entry
	awaited  *atomic.Uint64 // the cursor that the producer waits for
	pins     *[layout.MaxPins]atomic.Uint64
	cursorAt *atomic.Uint64
	cursor64 *uint64        // the same word, where the producer does not rely on the cursor
	mineAt   *atomic.Uint64 // the row's status and generation, as one word
	hot      struct{ heartbeat, read, missed, bytes, waits, waitNs, timeouts, lost, overruns, checksums *uint64 }

	gapAt uint64                 // while skipped is not 0: the first skipped message, where the row's cursor stays
	from  [layout.MaxPins]uint64 // of a hold that is set apart: where the row's cursor stays meanwhile

	transactions [layout.MaxPins]ReadTransactionSlot // one for each hold
	begun        uint64                              // the number of transactions
	outside      *Sleep                              // the Sleep of the caller of a call in steps

	// The errors of a read that does not wait and finds nothing. They are made once, because such a
	// read may be repeated millions of times.
	idle, orphaned error
}

// producerProbeEvery bounds the system calls of a consumer that polls an idle block.
const producerProbeEvery = 10 * uint64(time.Millisecond)

// Name returns the block's name.
func (c *Consumer) Name() string { return c.name() }

// Resumed reports whether this durable consumer continues at the cursor that was kept under its
// name. Otherwise it began as a new consumer does: it is the first of that name, or its place has
// expired or was removed, or the block was made anew.
func (c *Consumer) Resumed() bool { return c.resumed }

// Next returns the next message, held until Release. The beginning of Next is the fast path.
// Errors: Invalid, Timeout, NoProducer, Closed, Superseded, Overrun, Lost, Fenced, Busy, Corrupt.
func (c *Consumer) Next(timeout time.Duration) (ReadSlot, error) {
	s := c.ConsumerState
	h := &s.holds[0]
	if !c.plain || s.close || s.held != 0 || s.moment.Passed() || c.mineAt.Load() != s.mine || s.ringNext != s.next ||
		s.next >= s.overdue || timeout < Forever {
		return c.nextSlowly(timeout)
	}
	id, at := s.next, s.ringAt
	v := element(c.ring, at).Load() // acquire; pairs with Producer.Commit
	slot := layout.EntrySlot(v)
	if !layout.EntryIs(v, id) || slot >= s.Block.Slots {
		return c.nextSlowly(timeout)
	}
	header := c.slotsAt.at(slot)
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
	if at%lineEntries == 0 {
		c.step()
	} else {
		if at++; at == s.Block.SlotCount {
			at = 0
		}
		s.ringNext, s.ringAt = id+1, at
	}
	c.invariant()
	return slotOf(header, id, length, slot, token), nil
}

func (c *Consumer) nextSlowly(timeout time.Duration) (ReadSlot, error) {
	if timeout < Forever {
		return ReadSlot{}, fail(Invalid, "timeout %v: use 0, Forever (-1) or a positive time", timeout)
	}
	if c.data == nil {
		return ReadSlot{}, c.gone()
	}
	if c.moment.Passed() {
		c.LookAround()
	} else if c.next >= c.overdue && c.isOverdue() {
		c.appear(c.moment.Renew())
	}
	if !c.rowMine() || c.held >= c.maxPins {
		return ReadSlot{}, c.mayNotHold()
	}
	if c.close {
		c.close = false
		platform.StandBack()
	}
	var out ReadSlot
	ok, err := c.look(&out)
	if !ok && err == nil {
		c.close = false // the consumer waits for the producer, so the producer is the slower one
		platform.NoteWait()
		err = c.wait(wanted{}, timeout, &out)
	}
	c.invariant()
	return out, err
}

// isOverdue reads the clock and reports whether the coarse clock is behind.
func (c *Consumer) isOverdue() bool {
	c.overdue = c.next + trust
	return !c.moment.KeptUp()
}

// LookAround is the consumer's housekeeping, when a tick has passed. C code calls it, because the
// reads of C code do not always reach Go.
func (c *Consumer) LookAround() {
	if now, due := c.moment.Look(); due {
		c.appear(now)
	}
}

// appear stores the heartbeat, if the row is still this consumer's.
func (c *Consumer) appear(now uint64) {
	if c.rowMine() {
		*c.hot.heartbeat = now
	}
}

// place returns the index of the entry of the message that comes next in order.
func (c *Consumer) place() uint32 {
	if c.ringNext != c.next {
		c.ringNext, c.ringAt = c.next, c.placeOf(c.next)
	}
	return c.ringAt
}

// step moves past the message at c.ringAt, which has been taken. Once per cache line of entries it
// checks whether the consumer is close: whether the next message is there already, so that the
// producer is about to write to the same line. A consumer that stays that close takes the line from
// the producer at every message, and then waits for the line itself. Where the next message is not
// there, producer and consumer may be alternating.
func (c *Consumer) step() {
	s := c.ConsumerState
	at := s.ringAt
	if at%lineEntries == 0 {
		s.close = c.isClose(at)
	}
	s.ringNext = s.next
	if at++; at == s.Block.SlotCount {
		at = 0
	}
	s.ringAt = at
}

func (c *Consumer) isClose(at uint32) bool {
	n, last := c.slotCount, at+lineEntries-1
	return n > last && n > lineEntries && layout.EntryAhead(c.entries[last].Load(), c.ringNext+uint64(last-at)) < 0 &&
		layout.EntryAhead(c.entries[at+1].Load(), c.next) >= 0
}

// mayHold returns the reason why no further slot can be held, nil if one can.
func (c *Consumer) mayHold() error {
	if c.rowMine() && c.held < c.maxPins {
		return nil
	}
	return c.mayNotHold()
}

func (c *Consumer) mayNotHold() error {
	if !c.rowMine() {
		return c.fenced()
	}
	return fail(Busy, "block %q: all %d slots that max_pins %d allows are held: end one first, or ask for more at open",
		c.name(), c.held, c.maxPins)
}

func (c *Consumer) fenced() error {
	if err := c.keepsLock(); lost(err) { // then other processes have taken this consumer for dead
		return err
	}
	return fail(Fenced, "block %q: row %d of consumer %q was taken away by a forced recovery: attach again", c.name(),
		c.row, c.rowName(c.row))
}

// rowMine reports whether the row is still this consumer's. A forced eviction changes the row's
// status.
func (c *Consumer) rowMine() bool {
	return c.mineAt.Load() == c.mine
}

// look takes the next message if it is there.
func (c *Consumer) look(out *ReadSlot) (bool, error) {
	switch c.delivery {
	case Lossless:
		return c.nextLossless(out)
	case Ordered:
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
	ok, err := c.lookAt(id, &s)
	if !ok && err == nil {
		err = fail(NotFound, "block %q: message %d is not written yet, the next one is %d", c.name(), id,
			min(id, c.block.next()))
	}
	return s, err
}

// WaitFor returns message id, held until Release. The cursor stays. WaitFor waits for at most the
// timeout if the message is not written yet. A message that was overwritten never returns.
// Errors: Invalid, Timeout, NoProducer, Closed, Superseded, Overrun, Lost, Fenced, Busy, Corrupt.
func (c *Consumer) WaitFor(id uint64, timeout time.Duration) (ReadSlot, error) {
	if timeout < Forever {
		return ReadSlot{}, fail(Invalid, "timeout %v: use 0, Forever (-1) or a positive time", timeout)
	}
	if err := c.mayReadAt(); err != nil {
		return ReadSlot{}, err
	}
	var s ReadSlot
	ok, err := c.lookAt(id, &s)
	if ok || err != nil {
		return s, err
	}
	if cursor := c.due(); timeout == Forever && c.delivery == Lossless && c.joining == 0 &&
		id-cursor >= uint64(c.slotCount) {
		return s, fail(Invalid, "block %q: message %d cannot be written before this consumer, which is LOSSLESS, has "+
			"read message %d: it would wait for ever", c.name(), id, cursor)
	}
	err = c.wait(wanted{id, true}, timeout, &s)
	return s, err
}

func (c *Consumer) mayReadAt() error {
	if c.data == nil {
		return c.gone()
	}
	*c.hot.heartbeat = platform.Monotonic()
	return c.mayHold()
}

// lookAt takes message id if it is there.
func (c *Consumer) lookAt(id uint64, out *ReadSlot) (bool, error) {
	next := c.block.next() // before the entry: every message below next has been written
	scan := c.scanEpoch.Load()
	crash.Point("read.at")
	v := c.entry(id).Load()
	switch {
	case id >= next || layout.EntryEmpty(v):
		return false, nil
	case id < c.oldest(next):
		return false, c.overwritten(id)
	case layout.EntryAhead(v, id) < 0: // commit is a hint, which may become visible before the entry
		return false, nil
	case layout.EntryAhead(v, id) > 0:
		return false, c.overwritten(id)
	case v&layout.EntryLost != 0:
		return false, fail(Lost, "block %q: message %d was discarded by an operator", c.name(), id)
	}
	h, ok := c.hold(scan, v, id)
	if !ok {
		return false, c.overwritten(id)
	}
	err := c.deliver(h, out)
	return err == nil, err
}

func (c *Consumer) overwritten(id uint64) error {
	return fail(Overrun, "block %q: message %d was overwritten, the oldest present is %d", c.name(), id,
		c.oldest(c.block.next()))
}

// hold stores a hazard pointer for the slot that v names. The consumer loaded the entry v after
// scan. hold reports false when the slot may already be free for the producer.
//
// The exchange is sequentially consistent. It pairs with the producer's hazard-pointer scan: a scan
// that begins after the exchange sees the hazard pointer. hold reports true in two cases. If the
// entry is unchanged, the slot is not retired. If no scan has begun since before v was loaded, no
// scan that serves the slot's retirement has begun before the exchange.
func (c *Consumer) hold(scan, v, id uint64) (*hold, bool) {
	k := c.freeHold()
	slot := layout.EntrySlot(v)
	c.pins[k].Swap(uint64(slot) + 1)
	crash.Point("read.pinned")
	same := c.entry(id).Load()&^layout.EntryFence == v&^layout.EntryFence
	if !same && c.scanEpoch.Load() != scan {
		c.unpin(k)
		return nil, false
	}
	h := &c.holds[k]
	*h = hold{pinned: true, id: id, slot: slot}
	return h, true
}

// freeHold returns a free hold. The caller's mayHold has ensured that there is one.
func (c *Consumer) freeHold() int {
	for k := range c.holds {
		if c.holds[k].used == unused {
			return k
		}
	}
	panic("no free hold")
}

// unpin clears a hazard pointer and wakes a producer that waits for any slot. The exchange is
// sequentially consistent. It pairs with the producer's store of producer_waiting, after which the
// producer looks again.
func (c *Consumer) unpin(k int) {
	c.pins[k].Swap(0)
	crash.Point("release.unpinned")
	if c.producerWaiting.Load() == layout.WaitAny {
		c.wakeProducer()
	}
}

// advance moves the cursor and wakes a producer that waits for one of the ids that the cursor
// crosses. Memory orders as in unpin.
func (c *Consumer) advance(to uint64) {
	from := c.cursorAt.Swap(to)
	crash.Point("release.advanced")
	c.wakeAwaited(from, to)
}

// wakeAwaited wakes a producer that waits for a cursor between from and to.
func (c *Consumer) wakeAwaited(from, to uint64) {
	if awaited := c.awaited.Load(); awaited != 0 && (awaited == layout.WaitAny || from < awaited && awaited <= to) {
		c.wakeProducer()
	}
}

// deliver hands a held message out. If the header is not what was published, deliver ends the hold
// with an error.
func (c *Consumer) deliver(h *hold, out *ReadSlot) error {
	if h.slot >= c.slots() {
		return c.noSuchSlot(h)
	}
	header := c.slotWords(h.slot)
	id, length := header[layout.SlotID/8], header[layout.SlotLength/8]
	if id != h.id || length > c.slotSize {
		return c.notThatMessage(h, id, length)
	}
	if c.checksum == ChecksumEnforced && !c.intact(h.slot, length) {
		c.endHold(h)
		*c.hot.checksums++
		return c.notIntact(id, length)
	}
	c.count(length)
	*out = slotOf(header, h.id, length, h.slot, 0)
	c.begin(h, header, out)
	return nil
}

func (c *Consumer) noSuchSlot(h *hold) error {
	id, slot := h.id, h.slot
	c.endHold(h)
	return fail(Corrupt, "block %q: the ring says that message %d is in slot %d, and the last one is %d: the data "+
		"file is damaged; %s", c.name(), id, slot, c.slots()-1, lookFirst(c.name()))
}

func (c *Consumer) notThatMessage(h *hold, id, length uint64) error {
	c.endHold(h)
	if !c.rowMine() {
		return c.fenced()
	}
	return fail(Corrupt, "block %q: the header of slot %d says message %d with %d bytes, the ring says message %d: "+
		"the data file is damaged; %s", c.name(), h.slot, id, length, h.id, lookFirst(c.name()))
}

// begin records the hold, so that Release finds it.
func (c *Consumer) begin(h *hold, header *slotWords, out *ReadSlot) {
	h.used = used
	h.claim = header[layout.SlotClaim/8]
	c.nextHold++
	h.token = uint32(c.nextHold)
	out.setToken(h.token)
	c.held++
}

func (c *Consumer) count(length uint64) {
	*c.hot.read++
	*c.hot.bytes += length
}

// endHold clears the hazard pointer. If the row belongs to another consumer by now, its hazard
// pointers stay untouched.
func (c *Consumer) endHold(h *hold) {
	if h.pinned {
		c.endPin(h)
	}
	h.used = unused
}

func (c *Consumer) endPin(h *hold) {
	if c.rowMine() {
		c.unpin(c.numberOf(h))
	}
	h.pinned = false
}

// numberOf returns the number of a hold that has a hazard pointer, which is also the number of that
// hazard pointer.
func (c *Consumer) numberOf(h *hold) int {
	for k := range c.holds {
		if &c.holds[k] == h {
			return k
		}
	}
	panic("a pinned hold that is none of the consumer's")
}

// Release ends a hold. LOSSLESS messages end in the order in which they were read. Errors: Invalid;
// Overrun, Fenced: the slot was used again during the hold, discard what was computed from it (the
// hold has ended).
func (c *Consumer) Release(s ReadSlot) error { return c.ReleaseHold(s.id, s.Index(), s.Token()) }

// ReleaseHold is Release of the message with that id, in the slot with that index, by the hold with
// that token.
func (c *Consumer) ReleaseHold(id uint64, index, token uint32) error {
	s := c.ConsumerState
	h := &s.holds[0]
	if !c.plain || s.held != 1 || h.used != used || h.pinned || !h.inOrder || h.token != token || h.id != id ||
		h.slot != index || c.mineAt.Load() != s.mine {
		return c.releaseSlowly(id, index, token)
	}
	header := c.slotsAt.at(h.slot)
	if header[layout.SlotID/8] != h.id || header[layout.SlotClaim/8] != h.claim {
		return c.finish(h)
	}
	h.used = unused // the usual case of finish
	s.held = 0
	to := s.next
	from := c.cursorAt.Swap(to) // memory orders as in advance
	crash.Point("release.advanced")
	if c.awaited.Load() != 0 {
		c.wakeAwaited(from, to)
	}
	c.invariant()
	return nil
}

func (c *Consumer) releaseSlowly(id uint64, index, token uint32) error {
	h := c.find(id, index, token)
	if h == nil {
		return c.notHeld(id)
	}
	if c.delivery == Lossless && c.held > 1 && h.inOrder && h.id != c.firstInOrder() {
		return fail(Invalid, "block %q: a LOSSLESS consumer ends its messages in order: end message %d before %d",
			c.name(), c.firstInOrder(), h.id)
	}
	return c.finish(h)
}

// ReleaseCopied is ReleaseHold of a message that was copied, in any order. The cursor moves as far
// as earlier holds allow. Errors: as Release.
func (c *Consumer) ReleaseCopied(id uint64, index, token uint32) error {
	h := c.find(id, index, token)
	if h == nil {
		return c.notHeld(id)
	}
	return c.finish(h)
}

// GiveBack ends the hold of the last taken message as if the message had not been taken. The next
// read finds the message again, or returns what has become of it. Length and missed are the values
// of the message.
// Errors: Invalid (not held), Fenced.
func (c *Consumer) GiveBack(id uint64, index, token uint32, length, missed uint64) error {
	h := c.find(id, index, token)
	if h == nil {
		return c.notHeld(id)
	}
	from := c.fromOf(h)
	c.endHold(h)
	c.held--
	c.next = id
	switch {
	case c.delivery == Ordered && missed != 0:
		c.skipped, c.gapAt = missed, from
		c.setAllApart()
	case c.delivery == Latest:
		c.next -= missed
	}
	if !c.rowMine() {
		return c.fenced()
	}
	*c.hot.read--
	*c.hot.bytes -= length
	*c.hot.missed -= missed
	if c.delivery == Latest { // with other deliveries the cursor moves when a hold ends
		c.stepOver()
	}
	c.invariant()
	return nil
}

// Undo is GiveBack of a message that was handed out. The message may be one of a batch that the
// hold of an earlier message covers. That hold then stays, without this message.
// Errors: Invalid (not held, read by its id, or not the message that was taken last), Fenced.
func (c *Consumer) Undo(id uint64, index, token uint32, length, missed uint64) error {
	h := c.find(id, index, token)
	var over *hold
	if h == nil {
		over = c.covered(id, index, token)
	}
	switch {
	case h == nil && over == nil:
		return c.notHeld(id)
	case c.next != id+1 || h != nil && c.delivery != Latest && !h.inOrder:
		return fail(Invalid, "block %q: message %d is not the one that was taken last in order, the next one is %d: "+
			"undo a later one first, and end one that was read by its id", c.name(), id, c.next)
	case h != nil:
		return c.GiveBack(id, index, token, length, missed)
	case !c.rowMine():
		return c.fenced()
	}
	c.next = id
	over.more = uint32(id - over.id - 1) // the hold no longer covers the message
	*c.hot.read--
	*c.hot.bytes -= length
	c.invariant()
	return nil
}

func (c *Consumer) notHeld(id uint64) error {
	return fail(Invalid, "block %q: message %d is not held: it was ended already, or never begun by this consumer",
		c.name(), id)
}

// finish ends a hold. The cursor moves when no earlier hold is left, whatever the order.
func (c *Consumer) finish(h *hold) error {
	reused := c.reused(h)
	c.endHold(h)
	c.held--
	mine := c.rowMine()
	switch {
	case !mine || !h.inOrder:
	case c.delivery == Lossless:
		c.advance(c.due())
	default:
		c.moveCursor(c.due())
	}
	c.invariant()
	if !mine || reused {
		return c.spoilt(h, mine)
	}
	return nil
}

// reused reports whether the slot of a hold has another message by now.
func (c *Consumer) reused(h *hold) bool {
	header := c.slotWords(h.slot)
	return header[layout.SlotID/8] != h.id || header[layout.SlotClaim/8] != h.claim
}

// spoilt returns the error of a hold that has ended and did not protect its message until then.
func (c *Consumer) spoilt(h *hold, mine bool) error {
	if !mine {
		return c.fenced()
	}
	*c.hot.overruns++
	return fail(Overrun, "block %q: slot %d was used again while message %d was held in it: discard what was read",
		c.name(), h.slot, h.id)
}

func (c *Consumer) find(id uint64, index, token uint32) *hold {
	for k := range c.holds[:c.maxPins] {
		if h := &c.holds[k]; h.used != unused && h.token == token && h.id == id && h.slot == index {
			return h
		}
	}
	return nil
}

// due returns where the row's cursor belongs: at the first message that is held in order, or at the
// next message if none is. While a message that reports a gap is unreleased, the cursor belongs in
// front of that gap.
func (c *Consumer) due() uint64 {
	next := c.next
	if c.skipped != 0 {
		next = c.gapAt
	}
	if c.held == 0 {
		return next
	}
	return min(c.firstInOrder(), next)
}

// firstInOrder returns the smallest id that is held in order, or that was skipped before such a
// message.
func (c *Consumer) firstInOrder() uint64 {
	first := ^uint64(0)
	for k := range c.holds[:c.maxPins] {
		if h := &c.holds[k]; h.used != unused && h.inOrder {
			first = min(first, c.fromOf(h))
		}
	}
	return first
}

// Interrupt makes a waiting Next return Closed. Any goroutine may call it. The wait may begin only
// after the wake-up: repeat Interrupt until Next has returned.
func (c *Consumer) Interrupt() {
	atomic.StoreUint32(&c.interrupted, 1)
	platform.Wake(c.event)
}

// Close detaches. A durable consumer's row stays, with its cursor. No other call on this consumer
// may be running.
func (c *Consumer) Close() error {
	if c.data == nil {
		return c.gone()
	}
	c.moment.Drop()
	defer c.leave() // also when the mapping is gone: the access may panic
	c.plain = false
	defer func() {
		c.holds, c.held = [layout.MaxPins]hold{}, 0
		for k := range c.transactions { // a transaction that is open is still ended by the code that began it
			c.transactions[k].slot, c.transactions[k].open = ReadSlot{}, false
		}
	}()
	if c.rowMine() { // otherwise another process has cleaned the row. A durable consumer's place stays
		c.detach()
	}
	return nil
}

func (c *Consumer) gone() error {
	return fail(Closed, "block %q: this consumer is closed already", c.name())
}

func (c *Consumer) detach() {
	to := uint32(layout.RowAttaching)
	if c.durable {
		to = layout.RowDead
	}
	if !c.status(c.row).CompareAndSwap(layout.RowActive, to) {
		return // another process evicts the consumer at this moment
	}
	crash.Point("detach.left")
	if c.durable {
		*c.ctl.plain64(c.header.row(c.row) + layout.RowDied) = platform.Realtime()
		crash.Point("detach.died")
		c.restRow(c.row)
	} else {
		c.emptyRow(c.row)
	}
	crash.Point("detach.cleared")
	if c.producerWaiting.Load() != 0 {
		c.wakeProducer()
	}
}
