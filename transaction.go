package datablock

import (
	"time"

	"datablock/internal/core/channel"
)

// WriteTransactionSlot is the slot that a write transaction fills. The transaction owns the slot:
// it must not be used after the transaction has ended.
type WriteTransactionSlot channel.WriteTransactionSlot

func (s *WriteTransactionSlot) core() *channel.WriteTransactionSlot {
	return (*channel.WriteTransactionSlot)(s)
}

// Data is the whole slot. The contents are undefined until the program fills them.
func (s *WriteTransactionSlot) Data() []byte { return s.core().Data() }

// Size is the slot's capacity in bytes.
func (s *WriteTransactionSlot) Size() int { return s.core().Size() }

// ID is the message id that is published if the transaction succeeds.
func (s *WriteTransactionSlot) ID() uint64 { return s.core().ID() }

// Index is the slot's number in the block.
func (s *WriteTransactionSlot) Index() uint32 { return s.core().Index() }

// Commit sets the length of the message. Without Commit the whole slot is the message. The last
// call counts. Commit does not publish: the message is published when the transaction succeeds.
//
// Errors: ErrInvalid (the length exceeds the capacity). Unless another call of Commit corrects the
// length, the transaction then publishes nothing and ends with this error.
func (s *WriteTransactionSlot) Commit(length int) error { return public(s.core().Commit(length)) }

// ReadTransactionSlot is the message of a read transaction. The transaction owns the message: it
// must not be used after the transaction has ended.
type ReadTransactionSlot channel.ReadTransactionSlot

func (s *ReadTransactionSlot) core() *channel.ReadTransactionSlot {
	return (*channel.ReadTransactionSlot)(s)
}

// Data is the message, in place and read-only.
func (s *ReadTransactionSlot) Data() []byte { return s.core().Data() }

// Size is the message's length in bytes.
func (s *ReadTransactionSlot) Size() int { return s.core().Size() }

// ID is the message's id.
func (s *ReadTransactionSlot) ID() uint64 { return s.core().ID() }

// Index is the slot's number in the block.
func (s *ReadTransactionSlot) Index() uint32 { return s.core().Index() }

// Timestamp is the time of the commit in ns since 1970; 0: the block stores no time.
func (s *ReadTransactionSlot) Timestamp() uint64 { return s.core().Timestamp() }

// Missed is how many messages were skipped before this one; always 0 for LOSSLESS.
func (s *ReadTransactionSlot) Missed() uint64 { return s.core().Missed() }

// WithWriteTransaction claims a slot, lets f fill the slot, publishes the message, and returns what
// f returned. The message is the whole slot unless f calls Commit of the slot. The claim waits at
// most for the timeout, as Claim does.
//
// If f returns an error, panics, or ends its goroutine, nothing is published, and the next claim
// gets the same id. The error or the panic reaches the caller unchanged.
//
// f may use other blocks. Another claim on the same producer within f is an error and leaves this
// claim unchanged.
//
// Errors: the error of f, with the result that f returned; the errors of Claim and Commit, with a
// zero result.
func WithWriteTransaction[R any](
	p *Producer, timeout time.Duration, f func(*WriteTransactionSlot) (R, error),
) (R, error) {
	result, err := channel.WithWriteTransaction(p.core, timeout, func(s *channel.WriteTransactionSlot) (R, error) {
		return f((*WriteTransactionSlot)(s))
	})
	return result, public(err)
}

// WithReadTransaction lets f read message id in place and returns what f returned. It waits, at
// most for the timeout, for a message that is not written yet. The cursor of the consumer does not
// move. The message is released in whatever way f ends. An error or a panic reaches the caller
// unchanged.
//
// Errors: the error of f, with the result that f returned; the errors of WaitFor and Release, with
// a zero result.
func WithReadTransaction[R any](
	c *Consumer, id uint64, timeout time.Duration, f func(*ReadTransactionSlot) (R, error),
) (R, error) {
	result, err := channel.WithReadTransaction(c.core, id, timeout, func(s *channel.ReadTransactionSlot) (R, error) {
		return f((*ReadTransactionSlot)(s))
	})
	return result, public(err)
}

// WithNextSlot lets f read the next message in place and returns what f returned, and true. It
// waits for a message at most for the timeout. If no message comes before the timeout, WithNextSlot
// does not call f, and returns false and no error. The message counts as read and is released in
// whatever way f ends. An error or a panic reaches the caller unchanged. Calls may be nested if
// MaxPins allows it, also with a LOSSLESS consumer.
//
// Errors: the error of f, with the result that f returned; the errors of Next except ErrTimeout,
// and of Release, with a zero result.
func WithNextSlot[R any](
	c *Consumer, timeout time.Duration, f func(*ReadTransactionSlot) (R, error),
) (R, bool, error) {
	result, there, err := channel.WithNextSlot(c.core, timeout, func(s *channel.ReadTransactionSlot) (R, error) {
		return f((*ReadTransactionSlot)(s))
	})
	return result, there, public(err)
}

// WriteTransactionGuard is a write transaction for defer:
//
//	func send(p *datablock.Producer, sample Sample) (err error) {
//		guard, err := p.BeginWrite(time.Second)
//		if err != nil {
//			return err
//		}
//		defer guard.End(&err)
//		return sample.encode(guard.Slot())
//	}
//
// Copies are the same guard. A guard that has ended, and the zero value, are harmless: Slot returns
// nil, and ending the guard again does nothing.
type WriteTransactionGuard channel.WriteTransactionGuard

// BeginWrite claims a slot and waits at most for the timeout. The message is the whole slot unless
// the program calls Commit of the slot. Commit of the guard publishes the message.
//
// The transaction belongs to the function that calls BeginWrite: end it there, by a deferred Close
// or End. The check at the end whether this function panics takes a little under a microsecond.
// Commit, Abort and WithWriteTransaction do not need this check.
//
// Errors: as Claim.
func (p *Producer) BeginWrite(timeout time.Duration) (WriteTransactionGuard, error) {
	g, err := p.core.BeginWrite(timeout, 1)
	return WriteTransactionGuard(g), err
}

func (g WriteTransactionGuard) core() channel.WriteTransactionGuard {
	return channel.WriteTransactionGuard(g)
}

// Open reports whether the transaction can still be committed.
func (g WriteTransactionGuard) Open() bool { return g.core().Slot() != nil }

// Slot is the slot that the transaction fills, nil when the transaction has ended.
func (g WriteTransactionGuard) Slot() *WriteTransactionSlot {
	return (*WriteTransactionSlot)(g.core().Slot())
}

// Commit publishes the message and ends the transaction. Errors: ErrInvalid (the transaction has
// ended already, or Commit of the slot failed); ErrFenced, ErrSuperseded. With an error nothing was
// published, and the transaction has ended.
func (g WriteTransactionGuard) Commit() error { return public(g.core().Commit()) }

// Abort ends the transaction without a message. If it has ended already, nothing happens.
func (g WriteTransactionGuard) Abort() { g.core().Abort() }

// Close ends the transaction if neither Commit nor Abort has ended it. It publishes the message,
// with one exception. If a panic or runtime.Goexit (testing's FailNow) is leaving the function that
// called BeginWrite, Close aborts and returns nil, and the panic continues.
//
// Close may be deferred itself, or a deferred function may call it. A panic that a function
// deferred later than Close has recovered is over before Close runs.
//
// Close does not know an error that the function returns: defer End for that. Errors: as Commit;
// nil if the transaction has ended already.
//
//go:noinline
func (g WriteTransactionGuard) Close() error { return g.core().Close() }

// End is Close for a function with an error as its named result. If *err is not nil, End aborts.
// Otherwise End stores its own error there.
//
//go:noinline
func (g WriteTransactionGuard) End(err *error) { g.core().End(err) }

// ReadTransactionGuard is a read transaction for defer. Copies are the same guard. A guard that has
// ended, and the zero value, are harmless.
type ReadTransactionGuard channel.ReadTransactionGuard

// BeginRead opens message id and waits, at most for the timeout, if the message is not written yet.
// The cursor of the consumer does not move. Errors: as WaitFor.
func (c *Consumer) BeginRead(id uint64, timeout time.Duration) (ReadTransactionGuard, error) {
	g, err := c.core.BeginRead(id, timeout)
	return ReadTransactionGuard(g), public(err)
}

// BeginNext opens the next message and waits for it at most for the timeout. Errors: as Next.
func (c *Consumer) BeginNext(timeout time.Duration) (ReadTransactionGuard, error) {
	g, err := c.core.BeginNext(timeout)
	return ReadTransactionGuard(g), err
}

func (g ReadTransactionGuard) core() channel.ReadTransactionGuard {
	return channel.ReadTransactionGuard(g)
}

// Open reports whether the message is still held.
func (g ReadTransactionGuard) Open() bool { return g.core().Slot() != nil }

// Slot is the message that the transaction reads, nil when the transaction has ended.
func (g ReadTransactionGuard) Slot() *ReadTransactionSlot {
	return (*ReadTransactionSlot)(g.core().Slot())
}

// Close releases the message, in whatever way the function ends. Errors: ErrOverrun, ErrFenced, as
// Release; nil if the message was released already.
func (g ReadTransactionGuard) Close() error { return g.core().Close() }

// End is Close for a function with an error as its named result. It stores its own error there
// unless there is one already.
func (g ReadTransactionGuard) End(err *error) { g.core().End(err) }
