// Package channel has those who take part in a block: producers, consumers and observers. It knows
// nothing of recovery.
package channel

import (
	"fmt"
	"sync/atomic"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/crash"
	"datablock/internal/layout"
	"datablock/internal/platform"
)

// Producer writes a block. One goroutine at a time uses a Producer. Any goroutine may call
// Interrupt.
type Producer struct {
	*ProducerState
	*segment.Attachment
	unlinkOnClose bool

	free    []uint32 // freeCount slots that no consumer can be reading
	retired []uint32 // retireCount slots that left the ring and that a hazard pointer may still name
	pinned  []uint64 // bit per slot, all zero between scans
	pins    []uint32 // the slots that a scan found
	// Each entry of the ring as a commit expects it: the value that this producer left. With FENCE
	// set, the next claim loads the entry again.
	expected []uint64
	claims   []uint64 // the claim mark of each slot, as this producer left it. 0: the next claim loads the mark

	// The addresses that every message uses, computed once.
	slotsPtr                       segment.SlotArray
	ring                           *atomic.Uint64                              // its first entry
	hot                            struct{ heartbeat, written, bytes *uint64 } // figures, informational
	claimSince, claimID, commitPtr *uint64
	statePtr                       *atomic.Uint32
	epochPtr                       *atomic.Uint64
	joinsPtr                       *atomic.Uint64
	sleepersPtr                    *atomic.Uint64 // the bits of consumers that sleep

	lost error // what became of the liveness lease, once this producer no longer has it

	nameChecked uint64 // Monotonic of the last check that the name still leads to this block

	counted        uint64         // Monotonic of the last check that the attached consumers live
	blockedClaimID uint64         // id + 1 of the message whose claim waited last. 0: no claim waits
	blockedSince   uint64         // Monotonic when that wait began
	blockedEnds    uint64         // claims that had ended without a message by then
	blockedBy      rowSet         // the rows that held the producer up then
	sleeps         uint32         // the sleeps of that wait
	outside        *segment.Sleep // the Sleep of the caller, when the caller makes the call in steps
	write          WriteTransactionSlot
	// The errors of a claim that does not wait. They are made once, because such a claim may be
	// repeated millions of times.
	refusals [len(whyNot)]error
}

// nameCheckEvery is the longest time for which a producer of a replaced block continues without
// noticing from the name alone.
const nameCheckEvery = int64(100 * time.Millisecond)

func newProducer(a *segment.Attachment, c segment.Config) *Producer {
	slots := make([]uint32, 2*a.Slots())
	p := &Producer{
		ProducerState: &ProducerState{Block: stateOf(a.Segment)},
		nameChecked:   platform.Monotonic(),
		Attachment:    a,
		unlinkOnClose: c.Flags&segment.UnlinkOnClose != 0,
		free:          slots[:a.Slots()],
		retired:       slots[a.Slots():],
		pinned:        make([]uint64, (a.Slots()+63)/64),
		pins:          make([]uint32, a.ConsumerLimit*layout.MaxPins),
		expected:      make([]uint64, a.SlotCount),
		claims:        make([]uint64, a.Slots()),
	}
	p.slotsPtr, p.ring = a.SlotArray(), &a.Entries[0]
	p.statePtr, p.epochPtr, p.joinsPtr, p.sleepersPtr, p.commitPtr = a.StateWord, a.Data.U64(layout.Epoch), a.JoinEpoch,
		a.Waiting, a.CommitHint
	for i := range p.Entries {
		p.expected[i] = p.Entries[i].Load()
	}
	p.minCursor = p.next - uint64(p.SlotCount)
	p.freePtr, p.retiredPtr = segment.AddressOf(p.free), segment.AddressOf(p.retired)
	p.pinnedPtr, p.pinsPtr = segment.AddressOf(p.pinned), segment.AddressOf(p.pins)
	p.expectedPtr, p.claimsPtr = segment.AddressOf(p.expected), segment.AddressOf(p.claims)
	if c.Schema != nil {
		p.shortest = c.Schema.Size
		p.Block.Flags |= stateShortest
	}
	p.Populate(true)
	p.clock.Start()
	for word, offset := range map[**uint64]uint64{
		&p.hot.heartbeat: layout.Heartbeat, &p.claimSince: layout.ClaimSince, &p.claimID: layout.ClaimID,
		&p.hot.written: layout.MetricWritten, &p.hot.bytes: layout.MetricBytes,
	} {
		*word = a.Data.Plain64(offset)
	}
	for i, why := range whyNot {
		p.refusals[i] = status.Errorf(status.Timeout, "block %q: the next message cannot be claimed now, and the call "+
			"was asked not to wait: %s", a.BlockName(), why)
	}
	return p
}

// Name returns the block's name.
func (p *Producer) Name() string { return p.BlockName() }

// NextID returns the id of the next message that this producer publishes.
func (p *Producer) NextID() uint64 { return p.next }

// Claim opens a slot for the next message. Under backpressure Claim waits for at most the timeout:
// a LOSSLESS consumer has not yet read the message that would be overwritten.
// Errors: Invalid (a claim is open, timeout), Timeout, Superseded, Closed (Interrupt), Corrupt.
func (p *Producer) Claim(timeout time.Duration) (WriteSlot, error) {
	s := p.ProducerState
	if s.claimed || s.next >= s.fastPathEnd || s.freeCount == 0 || s.clock.Changed() || p.joinsPtr.Load() != s.acked ||
		timeout < segment.Forever {
		if err := p.prepareClaim(timeout); err != nil {
			return WriteSlot{}, p.Translated(err)
		}
	}
	slot := p.free[s.freeCount-1]
	header := p.slotsPtr.At(slot)
	crash.Point("claim.slot")
	if !p.isCurrent() {
		p.invalidateFastPath()
		return WriteSlot{}, p.Translated(p.superseded())
	}
	s.freeCount--
	s.slot = slot
	crash.Point("claim.remembered")
	// The claim mark is stored last. A forced reset reacts to the mark with a fence, and that fence
	// must meet the entry that the commit expects. The stores are plain: the producer is the only
	// writer of the marks, and before a publication the marks are informational.
	mark := p.claims[slot] + 1
	if layout.ClaimGeneration(mark) <= 1 { // the mark is not known, or the generations have wrapped
		mark = layout.Claim(s.epoch, layout.ClaimGeneration(header[layout.SlotClaim/8])+1) &^ layout.ClaimOpen
	}
	p.claims[slot] = mark
	header[layout.SlotClaim/8] = mark | layout.ClaimOpen
	crash.Point("claim.opened")
	*p.claimSince = s.clock.Seen()
	*p.claimID = s.next + 1
	crash.Point("claim.marked")
	s.claimed = true
	if s.Block.Flags&stateChecksums != 0 {
		clear(p.SlotChecksum(slot)) // the checksum of an earlier message of this slot
	}
	p.invariant()
	return WriteSlot{header.Payload(), s.next, extentOf(s.Block.SlotSize, slot)}, nil
}

// isCurrent reports whether the block is still this producer's. After a program has closed the
// descriptor of the lease, another producer may adopt the block. Until the old one knows, it must
// not store to slots or entries.
func (p *Producer) isCurrent() bool {
	return p.statePtr.Load() < layout.StateSuperseded && p.epochPtr.Load() == p.epoch
}

// prepareClaim ensures that the next message has a slot and may be published. A claim below p.until
// knows both already.
func (p *Producer) prepareClaim(timeout time.Duration) error {
	if p.claimed || p.Data == nil || timeout < segment.Forever {
		return p.cannotClaim(timeout)
	}
	if p.lost != nil {
		return p.checkFiles()
	}
	if p.clock.Changed() {
		if now, due := p.clock.Poll(); due {
			if err := p.housekeep(now); err != nil {
				return err
			}
		}
	}
	// The slot may be missing after a fault ended a claim.
	if p.next < p.fastPathEnd && p.freeCount != 0 && p.JoinEpoch.Load() == p.acked {
		return nil
	}
	if err := p.findRoom(timeout); err != nil {
		return err
	}
	if p.expected[p.place()]&layout.EntryFence != 0 && !p.resyncEntry() {
		p.invalidateFastPath()
		return p.superseded()
	}
	p.fastPathEnd = p.fastPathLimit()
	return nil
}

// prepareNext does, after a publication, what the next claim would do before its message: it scans
// hazard pointers when no slot is free, and loads the cursors when the low watermark is too far
// behind. The process alternates with the consumer, which has its message already. Lines are owned
// slot by slot then (ownNext): those of all slots at once would delay the next message.
func (p *Producer) prepareNext() {
	if p.Block.Flags&stateRoom != 0 {
		return
	}
	if p.freeCount == 0 {
		p.refill()
	}
	p.gate()
	if !p.slowPathPending && p.expected[p.place()]&layout.EntryFence == 0 {
		p.fastPathEnd = p.fastPathLimit()
	}
}

// ownNext owns, after a message of this length, as much of the next slot, and its first line at
// least. The process alternates with the consumer, and would wait for these lines in the next
// message. In a block of big slots the next slot is not known yet.
func (p *Producer) ownNext(length int) {
	if p.freeCount != 0 && p.SlotBytes < bigSlot {
		lines := 2 + (min(max(length, 1), layout.OwnAhead)-1)/layout.SlotHeader
		platform.OwnForWrite(&p.slotsPtr.At(p.free[p.freeCount-1])[0], lines)
		crash.Point("claim.owned")
	}
}

// housekeep is the producer's housekeeping, once per tick however fast the producer is. It stores
// the heartbeat and checks that the block still has its name.
func (p *Producer) housekeep(now uint64) error {
	*p.hot.heartbeat = now
	p.nameChecked = now
	return p.checkFiles()
}

// invalidateFastPath makes the next claim load its entry again. The entry may have FENCE set, for
// this claim or left by a replacement that was given up.
func (p *Producer) invalidateFastPath() {
	p.expected[p.place()] |= layout.EntryFence
	p.fastPathEnd = 0
}

// cannotClaim returns the error of a claim that is wrong before any shared word was loaded.
func (p *Producer) cannotClaim(timeout time.Duration) error {
	switch {
	case p.claimed:
		return status.Errorf(status.Invalid, "block %q: the claim of message %d is still open: commit or abort it "+
			"first", p.BlockName(),
			p.next)
	case p.Data == nil:
		return p.closedError()
	}
	return status.Errorf(status.Invalid, "timeout %v: use 0, Forever (-1) or a positive time", timeout)
}

func (p *Producer) superseded() error {
	return status.Errorf(status.Superseded, "block %q was replaced by another producer, or removed by force: nothing "+
		"was published; open it again", p.BlockName())
}

func (p *Producer) unmark(s *segment.SlotWords) {
	s[layout.SlotClaim/8] = p.claims[p.slot]
	crash.Point("claim.closed")
	*p.claimID = 0
	*p.claimSince = 0
}

// resyncEntry stores the entry of the next message in p.expected, as the commit will expect the
// entry. It clears a fence that a forced recovery left for an earlier claim. A claim calls lookAt
// when it does not know the entry. Only two others write to that entry: a forced recovery sets
// FENCE, and an operator discards the message. Then the commit's swap fails, and publishOver finds
// the reason. lookAt loads the state afterwards: see supersede. It reports false when another
// producer took the block over or wrote to it. This is possible only if this process closed the
// descriptor of its lease.
func (p *Producer) resyncEntry() bool {
	at := p.place()
	e := &p.Entries[at]
	for {
		v := e.Load()
		if p.written(v) {
			return false
		}
		clear, own := v&^layout.EntryFence, p.expected[at]&^layout.EntryFence
		switch {
		case (clear^own)&^layout.EntryLost == 0:
		case layout.EntryEmpty(own):
			clear = own
		default: // damaged: lookAt restores what this producer left there, and the message is LOST
			clear = own | layout.EntryLost
		}
		if v == clear || e.CompareAndSwap(v, clear) {
			p.expected[at] = clear
			return true
		}
	}
}

// place returns the index of the next message's entry in the ring.
func (p *Producer) place() uint32 {
	if p.ringNext != p.next {
		p.ringNext, p.ringIndex = p.next, p.RingIndex(p.next)
	}
	return p.ringIndex
}

// Commit publishes the first length bytes of the claimed slot and wakes waiting consumers. It never
// waits. Errors: Invalid (the claim stays open), Fenced, Superseded (nothing was published, the
// claim has ended).
//
// The swap of the expected entry for the new entry is the only publication of a message. It is
// sequentially consistent. It pairs with the consumers' entry loads: payload and header become
// visible with the entry. It also pairs with the hazard pointers: a consumer that found the old
// entry after storing its hazard pointer is seen by every scan that begins later.
func (p *Producer) Commit(s WriteSlot, length int) error {
	return p.CommitSlot(s.id, s.Index(), length)
}

// CommitSlot is Commit of the slot with that index, claimed for that id.
func (p *Producer) CommitSlot(id uint64, index uint32, length int) error {
	s := p.ProducerState
	if !s.claimed || id != s.next || index != s.slot {
		return p.Translated(p.notOpen(id, index))
	}
	if uint64(length) > s.Block.SlotSize { // true also for a negative length
		return p.Translated(status.Errorf(status.Invalid, "block %q: a length of %d exceeds the slot's %d bytes; the "+
			"claim stays open",
			p.BlockName(), length, p.SlotBytes))
	}
	var stamp uint64
	if s.Block.Flags&(stateEnforced|stateShortest|segment.Timestamp) != 0 {
		if uint64(length) < s.shortest {
			return p.Translated(status.Errorf(status.Invalid, "%s; the claim stays open", p.tooShort(length)))
		}
		stamp = p.certify(length)
	}
	at := p.place()
	place, known := segment.Element(p.ring, at), &p.expected[at]
	header := p.slotsPtr.At(s.slot)
	header[layout.SlotID/8] = s.next
	header[layout.SlotLength/8] = uint64(length)
	header[layout.SlotTimestamp/8] = stamp
	crash.Point("commit.header")
	p.unmark(header) // before the publication: afterwards consumers read the slot
	s.claimed = false
	crash.Point("commit.unmarked")
	entry := layout.Entry(s.next, s.slot)
	if !place.CompareAndSwap(*known, entry) && !p.publishOver(place, entry) {
		return p.Translated(p.unpublished())
	}
	crash.Point("commit.published")
	// The slot that this producer left there, whatever value the entry has by now. NoSlot is not
	// below Slots.
	if old := layout.EntrySlot(*known); old < s.Block.Slots {
		p.retire(old)
	}
	*known = entry
	next := s.next + 1
	s.next, s.ringNext = next, next
	if at++; at == s.Block.SlotCount {
		at = 0
	}
	s.ringIndex = at
	if storesInOrder {
		*p.commitPtr = next // a hint: it stays behind for good if the producer dies here
	} else {
		atomic.StoreUint64(p.commitPtr, next) // after the entry, for a consumer that starts at the hint
	}
	crash.Point("commit.hint")
	*p.hot.written++
	*p.hot.bytes += uint64(length)
	if p.sleepersPtr.Load() != 0 { // pairs with Consumer.wait, which sets its bit and then loads the entry again
		p.Waiting.Swap(0)
		crash.Point("commit.unwaited")
		p.WakeConsumers()
	} else if platform.DemoteIfPolled(&header[0]) && p.isCurrent() {
		if next >= s.fastPathEnd {
			p.prepareNext()
		}
		p.ownNext(length)
	}
	p.invariant()
	return nil
}

// tooShort returns the error text for a length that no message can have.
func (p *Producer) tooShort(length int) string {
	return fmt.Sprintf("block %q: a length of %d is less than the %d bytes of its schema's struct", p.BlockName(),
		length,
		p.shortest)
}

// certify makes the other parts of a published message: the checksum, if the library makes it, and
// the timestamp.
func (p *Producer) certify(length int) (stamp uint64) {
	if p.Checksum == segment.ChecksumEnforced {
		p.Segment.Seal(p.slot, p.next, uint64(length))
	}
	if p.Flags&segment.Timestamp != 0 {
		stamp = platform.Realtime()
	}
	return stamp
}

// unpublished ends a claim whose message was fenced, or was written by another producer.
func (p *Producer) unpublished() error {
	p.invalidateFastPath()
	p.giveBack()
	*p.Data.Plain64(layout.MetricFenced)++
	if p.Ending() || p.written(p.Entries[p.place()].Load()) {
		return p.superseded()
	}
	return status.Errorf(status.Fenced, "block %q: a forced recovery ended the claim of message %d: nothing was "+
		"published; claim it again", p.BlockName(), p.next)
}

// publishOver continues a publication whose swap has failed. It overwrites an unexpected entry if
// an operator has discarded the message there, or if the entry is damaged. It never overwrites a
// fence or another producer's message.
func (p *Producer) publishOver(e *atomic.Uint64, entry uint64) bool {
	for {
		v := e.Load()
		if v&layout.EntryFence != 0 || p.written(v) {
			return false
		}
		if e.CompareAndSwap(v, entry) {
			return true
		}
	}
}

// written reports whether v, the entry of the next message, names a message that this producer has
// not written: the next message, or a later one.
func (p *Producer) written(v uint64) bool {
	return !layout.EntryEmpty(v) && layout.EntryAhead(v, p.next) >= 0
}

// Abort gives the claimed slot back. The next claim gets the same id. Errors: Invalid.
func (p *Producer) Abort(s WriteSlot) error { return p.AbortSlot(s.id, s.Index()) }

// AbortSlot is Abort of the slot with that index, claimed for that id.
func (p *Producer) AbortSlot(id uint64, index uint32) error {
	if !p.isOpen(id, index) {
		return p.notOpen(id, index)
	}
	p.abort()
	return nil
}

func (p *Producer) abort() {
	p.unmark(p.SlotWords(p.slot))
	crash.Point("abort.unmarked")
	p.claimed = false
	p.invalidateFastPath()
	p.giveBack()
	*p.Data.Plain64(layout.MetricAborted)++
	p.invariant()
}

// isOpen reports whether the open claim has this id and slot.
func (p *Producer) isOpen(id uint64, index uint32) bool {
	return p.claimed && id == p.next && index == p.slot
}

func (p *Producer) notOpen(id uint64, index uint32) error {
	if !p.claimed {
		return status.Errorf(status.Invalid, "block %q: no claim is open: begin one first", p.BlockName())
	}
	return status.Errorf(status.Invalid, "block %q: slot %d of message %d is not the open claim (slot %d, message %d)",
		p.BlockName(), index,
		id, p.slot, p.next)
}

// Interrupt makes a waiting Claim return Closed. Any goroutine may call it. The wait may begin only
// after the wake-up: repeat Interrupt until Claim has returned.
func (p *Producer) Interrupt() {
	atomic.StoreUint32(&p.interrupted, 1)
	platform.Wake(p.CtlWake)
}

// Close marks the end of the stream, aborts an open claim and gives the block up. No other call on
// this producer may be running.
func (p *Producer) Close() error {
	if p.Data == nil {
		return p.closedError()
	}
	p.clock.Stop()
	p.fastPathEnd = 0
	defer func() { p.claimed = false }() // also when the mapping is gone
	defer p.Leave()                      // also when the mapping is gone: the access may panic
	if p.Data.U64(layout.Epoch).Load() != p.epoch {
		p.claimed = false
		return nil // the row belongs to another producer by now
	}
	if p.claimed {
		p.abort()
	}
	end := uint32(layout.StateClosed)
	if p.LostName() {
		end = layout.StateSuperseded // no producer will continue the block
	}
	p.StateWord.CompareAndSwap(layout.StateReady, end) // a superseded block stays superseded
	crash.Point("close.state")
	p.WakeConsumers()
	*p.Data.Plain64(layout.ProducerPID) = 0
	p.ClearRow(layout.ProducerRow)
	crash.Point("close.identity")
	if p.unlinkOnClose && p.LockReplace() == nil && p.WhereName() == segment.LeadsThere {
		_ = platform.Remove(p.Location.DataPath())
		crash.Point("close.unlinked")
		p.RemoveControl()
	}
	return nil
}

func (p *Producer) closedError() error {
	return status.Errorf(status.Closed, "block %q: this producer is closed already", p.BlockName())
}
