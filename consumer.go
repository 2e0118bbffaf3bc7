package datablock

import (
	"iter"
	"time"

	"datablock/internal/core/channel"
)

// Consumer reads a block. Only one goroutine at a time may use a consumer; only Interrupt and Name
// may be called from any goroutine.
type Consumer struct{ core *channel.Consumer }

// ReadSlot is a message, in place and read-only, until Release. The block owns the memory.
type ReadSlot channel.ReadSlot

// Data is the message, in place and read-only, until Release.
func (s ReadSlot) Data() []byte { return channel.ReadSlot(s).Data() }

// Size is the message's length in bytes.
func (s ReadSlot) Size() int { return channel.ReadSlot(s).Size() }

// ID is the message's id.
func (s ReadSlot) ID() uint64 { return channel.ReadSlot(s).ID() }

// Index is the slot's number in the block.
func (s ReadSlot) Index() uint32 { return channel.ReadSlot(s).Index() }

// Timestamp is the time of the commit in ns since 1970, as for time.Unix(0, int64(s.Timestamp())).
// 0: the block stores no time. The value is stored in the block, like Data, and must not be read
// after Release.
func (s ReadSlot) Timestamp() uint64 { return channel.ReadSlot(s).Timestamp() }

// Missed is how many messages were skipped before this one; always 0 for LOSSLESS, and at most
// 2^48-1.
func (s ReadSlot) Missed() uint64 { return channel.ReadSlot(s).Missed() }

// OpenConsumer attaches to an existing block. If the block does not exist, OpenConsumer waits for
// at most options.Wait. Close the consumer when done. If a consumer dies, its row is cleaned
// without help, unless the consumer is durable.
//
// Errors: ErrInvalid (also: LOSSLESS on a block that forbids LOSSLESS), ErrTimeout (no such block
// within Wait), ErrNotFound (also: the registered schema), ErrAccess, ErrSecret, ErrCorrupt,
// ErrVersion, ErrSchema, ErrFull, ErrNoSpare, ErrBusy (the durable name is attached),
// ErrSuperseded, ErrSystem.
func OpenConsumer(name string, options ConsumerOptions) (*Consumer, error) {
	c, err := channel.OpenConsumer(name, options.inner())
	if err != nil {
		return nil, public(err)
	}
	c.TranslateErrors(&translation)
	return &Consumer{c}, nil
}

// Name is the block's name.
func (c *Consumer) Name() string { return c.core.Name() }

// Resumed reports whether this durable consumer resumed at the cursor that was kept under its name.
// If not, the consumer began as a new consumer does. It was the first of the name, or the kept
// cursor has expired ([Config].Retention) or was removed, or the block was made anew. In these
// cases Missed does not count the messages that the consumer may have missed.
func (c *Consumer) Resumed() bool { return c.core.Resumed() }

// Next returns the next message and holds it until Release. A consumer may hold up to MaxPins
// messages at once. Next waits for a message, at most for the timeout.
//
// Errors: ErrInvalid (timeout), ErrTimeout, ErrNoProducer (the time ran out, and no process writes
// the block; a producer that is started again continues the stream), ErrClosed (the stream has
// ended and everything was read; also after Interrupt or Close), ErrSuperseded (attach again),
// ErrOverrun (LOSSLESS only: this consumer was evicted, attach again), ErrLost (an operator
// discarded this message; the next call continues after it), ErrChecksum (the payload is damaged;
// the next call continues after it), ErrFenced (attach again), ErrBusy (MaxPins messages are held),
// ErrCorrupt.
func (c *Consumer) Next(timeout time.Duration) (ReadSlot, error) {
	slot, err := c.core.Next(timeout)
	return ReadSlot(slot), err
}

// ReadAt returns message id if the message is present, and holds it until Release. The cursor of
// the consumer does not move. ReadAt does not wait.
//
// Errors: ErrNotFound (not written yet), ErrOverrun (overwritten), ErrLost, ErrChecksum, ErrFenced,
// ErrBusy, ErrCorrupt, ErrClosed (after Close).
func (c *Consumer) ReadAt(id uint64) (ReadSlot, error) {
	s, err := c.core.ReadAt(id)
	return ReadSlot(s), public(err)
}

// WaitFor is ReadAt that waits, at most for the timeout, for a message that is not written yet. A
// LOSSLESS consumer cannot wait for a message that the producer cannot write before this consumer
// has read on.
//
// Errors: as ReadAt and Next, except ErrNotFound; ErrInvalid (timeout, or the consumer would wait
// for itself for ever).
func (c *Consumer) WaitFor(id uint64, timeout time.Duration) (ReadSlot, error) {
	s, err := c.core.WaitFor(id, timeout)
	return ReadSlot(s), public(err)
}

// Verify compares a held message with its checksum. With ChecksumEnforced the library has done this
// before it returned the message. Verify does not wait.
//
// Errors: ErrChecksum (the message was changed after the commit: discard what was computed from it;
// the hold continues), ErrInvalid (not held, or the message has no checksum).
func (c *Consumer) Verify(slot ReadSlot) error { return public(c.core.Verify(channel.ReadSlot(slot))) }

// Release ends a hold: Data must not be used any more. LOSSLESS messages are released in the order
// in which they were read.
//
// Errors: ErrInvalid (not held, or out of order); ErrOverrun, ErrFenced (the slot was reused while
// it was held, because this consumer was evicted or the block was damaged: discard what was
// computed from it; the hold has ended).
func (c *Consumer) Release(slot ReadSlot) error {
	return public(c.core.Release(channel.ReadSlot(slot)))
}

// NextBatch is [Consumer.Next] for the messages that are already present, up to len(out). It waits
// for the first message only, and returns the number of messages. The messages are held until
// [Consumer.ReleaseBatch].
//
// LOSSLESS: one hold covers the whole batch, whatever its length. While a join at the oldest
// message is not complete, ORDERED applies. ORDERED: each message takes one of MaxPins. LATEST: one
// message.
//
// A message that would return an error (ErrLost, ErrChecksum) or that follows a gap ends the batch
// before it; the next call reports it. Errors: as Next; ErrInvalid when out is empty. With an error
// nothing is held.
func (c *Consumer) NextBatch(timeout time.Duration, out []ReadSlot) (int, error) {
	n, err := c.core.NextBatch(timeout, plain(out))
	return n, public(err)
}

// ReleaseBatch ends the holds of the given messages of a batch. If one hold covers the batch, the
// given messages may be the first ones, batch[:4]: the cursor moves past them, and the rest stays
// held, as a separate batch. Release of the first message ends the whole hold that covers it.
//
// Errors: as [Consumer.Release]; of several errors, the first.
func (c *Consumer) ReleaseBatch(batch []ReadSlot) error {
	return public(c.core.ReleaseBatch(plain(batch)))
}

// Messages iterates over the messages as Next returns them. Each step waits at most for the
// timeout. A message is held until the next step of the loop, or until break, return or a panic
// leaves the loop. The loop releases the message.
//
// The loop ends without an error at the end of the stream, and after Interrupt. Every other error
// comes as a step without a message.
//
// After ErrTimeout, ErrNoProducer, ErrLost and ErrChecksum the loop continues if the body does. The
// loop also continues after ErrOverrun when the slot of the previous message was reused while it
// was held. After any other error the loop ends. This includes the error of a closed consumer:
// ErrClosed, or ErrInvalid if the body of the loop has closed the consumer.
func (c *Consumer) Messages(timeout time.Duration) iter.Seq2[ReadSlot, error] {
	return func(yield func(ReadSlot, error) bool) {
		for s, err := range c.core.Messages(timeout) {
			if !yield(ReadSlot(s), public(err)) {
				return
			}
		}
	}
}

// Interrupt makes the waits of this consumer end with ErrClosed: the current wait within a tenth of
// a second, and every later one. Messages that are present can still be read. Any goroutine may
// call Interrupt at any time: context.AfterFunc(ctx, consumer.Interrupt).
func (c *Consumer) Interrupt() { c.core.Interrupt() }

// Close releases all held messages and detaches. The row and the cursor of a durable consumer are
// kept. No other call may be in progress. Errors: ErrClosed (already closed).
func (c *Consumer) Close() error { return public(c.core.Close()) }
