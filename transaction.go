package datablock

import (
	"time"

	"datablock/internal/core"
)

// WriteTransactionSlot is what a write transaction fills. It is the transaction's: it must not be used when that has ended.
type WriteTransactionSlot core.WriteTransactionSlot

func (s *WriteTransactionSlot) core() *core.WriteTransactionSlot {
	return (*core.WriteTransactionSlot)(s)
}

// Data is the whole slot; what is in it is whatever was there.
func (s *WriteTransactionSlot) Data() []byte { return s.core().Data() }

// Size is the slot's capacity in bytes.
func (s *WriteTransactionSlot) Size() int { return s.core().Size() }

// ID is the message id that is published if the transaction ends well.
func (s *WriteTransactionSlot) ID() uint64 { return s.core().ID() }

// Index is the slot's number in the block.
func (s *WriteTransactionSlot) Index() uint32 { return s.core().Index() }

// Commit sets the message's length, without it the whole slot is the message. The last call counts. It publishes nothing yet: that is done when the transaction ends
// well. Errors: ErrInvalid (the length exceeds the capacity: unless another call corrects it, the transaction publishes nothing and ends with this error).
func (s *WriteTransactionSlot) Commit(length int) error { return s.core().Commit(length) }

// ReadTransactionSlot is the message of a read transaction. It is the transaction's: it must not be used when that has ended.
type ReadTransactionSlot core.ReadTransactionSlot

func (s *ReadTransactionSlot) core() *core.ReadTransactionSlot {
	return (*core.ReadTransactionSlot)(s)
}

// Data is the message, in place and read-only.
func (s *ReadTransactionSlot) Data() []byte { return s.core().Data() }

// Size is the message's length in bytes.
func (s *ReadTransactionSlot) Size() int { return s.core().Size() }

// ID is the message's id.
func (s *ReadTransactionSlot) ID() uint64 { return s.core().ID() }

// Index is the slot's number in the block.
func (s *ReadTransactionSlot) Index() uint32 { return s.core().Index() }

// Timestamp is the time of the commit in ns since 1970; 0: the block has none.
func (s *ReadTransactionSlot) Timestamp() uint64 { return s.core().Timestamp() }

// Missed is how many messages were skipped before this one; always 0 for LOSSLESS.
func (s *ReadTransactionSlot) Missed() uint64 { return s.core().Missed() }

// WithWriteTransaction claims a slot, lets f fill it, publishes it, and returns what f returned. The message is the whole slot unless f says its length by the slot's
// Commit. It waits for the slot at most for the timeout, as Claim does. If f returns an error, panics, or ends its goroutine, nothing is published, and the next claim gets the same id; error and panic arrive at the caller unchanged.
// Within f other blocks can be used; another claim on the same producer is an error and leaves this one as it is.
// Errors: f's, with what else f returned; those of Claim and Commit, with a zero result.
func WithWriteTransaction[R any](p *Producer, timeout time.Duration, f func(*WriteTransactionSlot) (R, error)) (R, error) {
	return core.WithWriteTransaction(p.core, timeout, func(s *core.WriteTransactionSlot) (R, error) { return f((*WriteTransactionSlot)(s)) })
}

// WithReadTransaction lets f read message id in place and returns what f returned. It waits, at most for the timeout, for a message that is not written yet. Where
// the consumer reads on does not change. However f ends, the message is let go of; error and panic arrive at the caller unchanged.
// Errors: f's, with what else f returned; those of WaitFor and Release, with a zero result.
func WithReadTransaction[R any](c *Consumer, id uint64, timeout time.Duration, f func(*ReadTransactionSlot) (R, error)) (R, error) {
	return core.WithReadTransaction(c.core, id, timeout, func(s *core.ReadTransactionSlot) (R, error) { return f((*ReadTransactionSlot)(s)) })
}

// WithNextSlot lets f read the next message in place and returns what f returned, and true. If there is none before the timeout, f is not called, and it returns
// false and no error. However f ends, the message counts as read and is let go of; error and panic arrive at the caller unchanged. Calls may be nested if MaxPins
// allows it, also of a LOSSLESS consumer. Errors: f's, with what else f returned; those of Next but ErrTimeout, and of Release, with a zero result.
func WithNextSlot[R any](c *Consumer, timeout time.Duration, f func(*ReadTransactionSlot) (R, error)) (R, bool, error) {
	return core.WithNextSlot(c.core, timeout, func(s *core.ReadTransactionSlot) (R, error) { return f((*ReadTransactionSlot)(s)) })
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
// Copies are the same guard. One that has ended, and the zero value, is harmless: its Slot is nil, and ending it again does nothing.
type WriteTransactionGuard core.WriteTransactionGuard

// BeginWrite claims a slot, waiting at most for the timeout. The message is the whole slot unless the slot's Commit says its length; the guard's Commit publishes it.
// The transaction belongs to the function that calls this: end it there, by a deferred Close or End.
// Finding out at the end whether that function panics takes a little under a microsecond, which Commit and Abort, and WithWriteTransaction, do not need.
// Errors: as Claim.
func (p *Producer) BeginWrite(timeout time.Duration) (WriteTransactionGuard, error) {
	g, err := p.core.BeginWrite(timeout, 1)
	return WriteTransactionGuard(g), err
}

func (g WriteTransactionGuard) core() core.WriteTransactionGuard {
	return core.WriteTransactionGuard(g)
}

// Open reports whether the transaction can still be committed.
func (g WriteTransactionGuard) Open() bool { return g.core().Slot() != nil }

// Slot is what the transaction fills, nil when it has ended.
func (g WriteTransactionGuard) Slot() *WriteTransactionSlot {
	return (*WriteTransactionSlot)(g.core().Slot())
}

// Commit publishes the message and ends the transaction. Errors: ErrInvalid (it has ended already, or the slot's Commit failed), ErrFenced, ErrSuperseded: nothing
// was published, and the transaction has ended.
func (g WriteTransactionGuard) Commit() error { return g.core().Commit() }

// Abort ends the transaction without a message. If it has ended already, nothing happens.
func (g WriteTransactionGuard) Abort() { g.core().Abort() }

// Close ends the transaction if neither Commit nor Abort has. It publishes the message; but if the function that called BeginWrite is being left by a panic, or by
// runtime.Goexit (testing's FailNow), it aborts and returns nil, and the panic goes on. Close may be deferred itself or be called from a deferred function. A panic
// that was recovered by a function deferred later than Close is over by then.
// Close does not know of an error that the function returns: defer End for that. Errors: as Commit, nil if it has ended already.
//
//go:noinline
func (g WriteTransactionGuard) Close() error { return g.core().Close() }

// End is Close for a function with an error as its named result: if *err is not nil, it aborts; otherwise an error of its own goes there.
//
//go:noinline
func (g WriteTransactionGuard) End(err *error) { g.core().End(err) }

// ReadTransactionGuard is a read transaction for defer. Copies are the same guard. One that has ended, and the zero value, is harmless.
type ReadTransactionGuard core.ReadTransactionGuard

// BeginRead opens message id, waiting at most for the timeout if it is not written yet. Where the consumer reads on does not change. Errors: as WaitFor.
func (c *Consumer) BeginRead(id uint64, timeout time.Duration) (ReadTransactionGuard, error) {
	g, err := c.core.BeginRead(id, timeout)
	return ReadTransactionGuard(g), err
}

// BeginNext opens the next message, waiting for it at most for the timeout. Errors: as Next.
func (c *Consumer) BeginNext(timeout time.Duration) (ReadTransactionGuard, error) {
	g, err := c.core.BeginNext(timeout)
	return ReadTransactionGuard(g), err
}

func (g ReadTransactionGuard) core() core.ReadTransactionGuard { return core.ReadTransactionGuard(g) }

// Open reports whether the message is still held.
func (g ReadTransactionGuard) Open() bool { return g.core().Slot() != nil }

// Slot is what the transaction reads, nil when it has ended.
func (g ReadTransactionGuard) Slot() *ReadTransactionSlot {
	return (*ReadTransactionSlot)(g.core().Slot())
}

// Close lets go of the message, however the function is left. Errors: ErrOverrun, ErrFenced, as Release; nil if it has been let go of already.
func (g ReadTransactionGuard) Close() error { return g.core().Close() }

// End is Close for a function with an error as its named result: an error of its own goes there unless there is one.
func (g ReadTransactionGuard) End(err *error) { g.core().End(err) }
