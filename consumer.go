package datablock

import (
	"iter"
	"time"

	"datablock/internal/core"
)

// Consumer reads a block. One goroutine at a time; only Interrupt and Name may come from any.
type Consumer struct{ core *core.Consumer }

// ReadSlot is a message, in place and read-only, until Release. It belongs to the block.
type ReadSlot core.ReadSlot

// Data is the message, in place and read-only, until Release.
func (s ReadSlot) Data() []byte { return core.ReadSlot(s).Data() }

// Size is the message's length in bytes.
func (s ReadSlot) Size() int { return core.ReadSlot(s).Size() }

// ID is the message's id.
func (s ReadSlot) ID() uint64 { return core.ReadSlot(s).ID() }

// Index is the slot's number in the block.
func (s ReadSlot) Index() uint32 { return core.ReadSlot(s).Index() }

// Timestamp is the time of the commit in ns since 1970, as for time.Unix(0, int64(s.Timestamp())); 0: the block has none. As Data it is in the block, and must not be asked for after Release.
func (s ReadSlot) Timestamp() uint64 { return core.ReadSlot(s).Timestamp() }

// Missed is how many messages were skipped before this one; always 0 for LOSSLESS, and at most 2^48-1.
func (s ReadSlot) Missed() uint64 { return core.ReadSlot(s).Missed() }

// OpenConsumer attaches to an existing block. It waits for the block only if options.Wait says so. Close the consumer when done; the place of one that dies is taken back by itself, unless it is durable.
// Errors: ErrInvalid (also: LOSSLESS where the block does not allow it), ErrTimeout (no such block within Wait), ErrNotFound (also: the registered schema), ErrAccess, ErrSecret, ErrCorrupt, ErrVersion, ErrSchema, ErrFull, ErrNoSpare, ErrBusy
// (the durable name is attached), ErrSuperseded, ErrSystem.
func OpenConsumer(name string, options ConsumerOptions) (*Consumer, error) {
	c, err := core.OpenConsumer(name, core.ConsumerOptions(options))
	if err != nil {
		return nil, err
	}
	return &Consumer{c}, nil
}

// Name is the block's name.
func (c *Consumer) Name() string { return c.core.Name() }

// Resumed reports whether this durable consumer goes on at the place that was kept under its name. If not, it has begun as a new consumer does: it is the first of that name, or its place has expired
// ([Config].Retention) or was removed, or the block was made anew. Then it may have missed messages of which Missed does not tell.
func (c *Consumer) Resumed() bool { return c.core.Resumed() }

// Next is the next message, held until Release. Up to MaxPins may be held at once. It waits, at most for the timeout, until there is one.
// Errors: ErrInvalid (timeout), ErrTimeout, ErrNoProducer (the time ran out, and nobody writes the block; a producer that is started again goes on), ErrClosed (the
// stream has ended and everything was read; after Interrupt or Close), ErrSuperseded (attach again), ErrOverrun (LOSSLESS only: this consumer was evicted, attach
// again), ErrLost (an operator discarded this message; the next call goes on after it), ErrChecksum (the same), ErrFenced (attach again), ErrBusy (MaxPins are held), ErrCorrupt.
func (c *Consumer) Next(timeout time.Duration) (ReadSlot, error) {
	slot, err := c.core.Next(timeout)
	return ReadSlot(slot), err
}

// ReadAt is message id if it is present, held until Release; where this consumer reads on does not change. It does not wait.
// Errors: ErrNotFound (not written yet), ErrOverrun (overwritten), ErrLost, ErrChecksum, ErrFenced, ErrBusy, ErrCorrupt, ErrClosed (after Close).
func (c *Consumer) ReadAt(id uint64) (ReadSlot, error) {
	s, err := c.core.ReadAt(id)
	return ReadSlot(s), err
}

// WaitFor is ReadAt that waits, at most for the timeout, for a message that is not written yet. A LOSSLESS consumer cannot wait for a message that the producer
// cannot write before this consumer has read on. Errors: as ReadAt and Next, but for ErrNotFound; ErrInvalid (timeout, or it would wait for ever for itself).
func (c *Consumer) WaitFor(id uint64, timeout time.Duration) (ReadSlot, error) {
	s, err := c.core.WaitFor(id, timeout)
	return ReadSlot(s), err
}

// Verify compares a message that is held with its checksum. With ChecksumEnforced that was done before it was handed out. It does not wait. Errors: ErrChecksum (the
// message was changed after the commit: discard what was computed from it; the hold goes on), ErrInvalid (not held, or the message has no checksum).
func (c *Consumer) Verify(slot ReadSlot) error { return c.core.Verify(core.ReadSlot(slot)) }

// Release ends a hold: Data must not be used any more. LOSSLESS messages are released in the order in which they were read.
// Errors: ErrInvalid (not held, or out of order); ErrOverrun, ErrFenced: the slot was used again while it was held, because somebody evicted this consumer or damaged
// the block: discard what was computed from it (the hold has ended).
func (c *Consumer) Release(slot ReadSlot) error { return c.core.Release(core.ReadSlot(slot)) }

// NextBatch is [Consumer.Next] for as many messages as are there already, up to len(out): it waits for the first one only, and returns how many it took. They are held until [Consumer.ReleaseBatch].
//
// LOSSLESS: one hold covers the whole batch, however long (while a join at the oldest message is not complete: as ORDERED). ORDERED: each message takes one of MaxPins. LATEST: one message.
// What there is to say of a message (Lost, Checksum, a gap) ends the batch before it, and the next call says it. Errors: as Next; Invalid when out is empty. With an error nothing is held.
func (c *Consumer) NextBatch(timeout time.Duration, out []ReadSlot) (int, error) {
	return c.core.NextBatch(timeout, plain(out))
}

// ReleaseBatch ends the messages of a batch that are given. Where one hold covers it they may be its first ones, batch[:4]: the cursor moves past them, and the rest stays held, as a batch of its own.
// (Release of the first message ends all that its hold covers.) Errors: as [Consumer.Release]; of several, the first.
func (c *Consumer) ReleaseBatch(batch []ReadSlot) error { return c.core.ReleaseBatch(plain(batch)) }

// Messages iterates over the messages as Next gives them, each with a wait of at most the timeout. A message is held until the loop's next turn, or until the loop is left
// by break, return or a panic; the loop releases it.
//
// The loop ends by itself at the end of the stream, and after Interrupt. Other errors come as a turn of the loop without a message: after ErrTimeout, ErrNoProducer,
// ErrLost, ErrChecksum, and ErrOverrun when the message of the turn before was used again while it was held, the loop goes on if its body does; after any other it ends,
// also after that of a consumer which is closed: ErrClosed, or ErrInvalid where the loop's body has closed it.
func (c *Consumer) Messages(timeout time.Duration) iter.Seq2[ReadSlot, error] {
	return func(yield func(ReadSlot, error) bool) {
		for s, err := range c.core.Messages(timeout) {
			if !yield(ReadSlot(s), err) {
				return
			}
		}
	}
}

// Interrupt makes this consumer's waits end with ErrClosed, the one under way within a tenth of a second, and every later one; what is there can still be read.
// Any goroutine, at any time: context.AfterFunc(ctx, consumer.Interrupt).
func (c *Consumer) Interrupt() { c.core.Interrupt() }

// Close lets go of everything held and detaches. A durable consumer's place is kept. No other call may be under way. Errors: ErrClosed (it is closed already).
func (c *Consumer) Close() error { return c.core.Close() }
