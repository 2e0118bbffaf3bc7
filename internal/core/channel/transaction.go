package channel

import (
	"time"

	"datablock/internal/core/status"
)

// WriteTransactionSlot is the claimed slot of a write transaction. Each producer has one, because
// it has one claim: nothing is allocated for a message.
type WriteTransactionSlot struct {
	producer *Producer
	slot     WriteSlot
	length   int
	err      error // of the last Commit: nothing is published
	number   uint64
	open     bool
}

// beginWrite claims a slot and opens the transaction on it.
func (p *Producer) beginWrite(timeout time.Duration) (*WriteTransactionSlot, error) {
	slot, err := p.Claim(timeout)
	if err != nil {
		return nil, err
	}
	p.write = WriteTransactionSlot{producer: p, slot: slot, length: slot.Size(), number: p.write.number + 1, open: true}
	return &p.write, nil
}

// Data returns the whole slot, nil once the transaction has ended.
func (s *WriteTransactionSlot) Data() []byte { return s.slot.Data() }

// Size returns the slot's capacity in bytes.
func (s *WriteTransactionSlot) Size() int { return s.slot.Size() }

// ID returns the message id that is published if the transaction succeeds.
func (s *WriteTransactionSlot) ID() uint64 { return s.slot.ID() }

// Index returns the slot's number in the block.
func (s *WriteTransactionSlot) Index() uint32 { return s.slot.Index() }

// Commit sets the message's length. The last call counts. It publishes nothing yet. Errors: Invalid
// (above the capacity, or below the size of the schema's struct: unless another call corrects it,
// the transaction fails with this error; or the transaction has ended).
func (s *WriteTransactionSlot) Commit(length int) error {
	if !s.open {
		return errEnded
	}
	s.length, s.err = length, nil
	if length < 0 || length > s.slot.Size() {
		s.err = s.producer.Translated(status.Errorf(status.Invalid, "block %q: a length of %d exceeds the slot's %d "+
			"bytes: nothing is published", s.producer.BlockName(), length, s.slot.Size()))
	} else if uint64(length) < s.producer.shortest {
		s.err = s.producer.Translated(status.Errorf(status.Invalid, "%s: nothing is published",
			s.producer.tooShort(length)))
	}
	return s.err
}

var errEnded = status.Errorf(status.Invalid, "the transaction has ended: begin another one")

// end publishes the message, or gives the slot back.
func (s *WriteTransactionSlot) end(publish bool) error {
	slot := s.slot
	s.open, s.slot = false, WriteSlot{}
	if publish && s.err == nil {
		return s.producer.Commit(slot, s.length)
	}
	_ = s.producer.Abort(slot) // fails if the producer was closed, which has aborted the claim as well
	return s.err
}

// ReadTransactionSlot is the message of a read transaction. A consumer has as many as it may hold
// slots.
type ReadTransactionSlot struct {
	consumer *Consumer
	slot     ReadSlot
	number   uint64
	open     bool
}

// beginRead opens a transaction on a held message.
func (c *Consumer) beginRead(slot ReadSlot) *ReadTransactionSlot {
	for k := range c.transactions {
		if s := &c.transactions[k]; !s.open {
			c.begun++
			*s = ReadTransactionSlot{c, slot, c.begun, true}
			return s
		}
	}
	panic("more transactions than holds")
}

// Data returns the message, in place and read-only; nil once the transaction has ended.
func (s *ReadTransactionSlot) Data() []byte { return s.slot.Data() }

// Size returns the message's length in bytes.
func (s *ReadTransactionSlot) Size() int { return s.slot.Size() }

// ID returns the message's id.
func (s *ReadTransactionSlot) ID() uint64 { return s.slot.ID() }

// Index returns the slot's number in the block.
func (s *ReadTransactionSlot) Index() uint32 { return s.slot.Index() }

// Timestamp returns the time of the commit in ns since 1970, 0 if the block has none.
func (s *ReadTransactionSlot) Timestamp() uint64 { return s.slot.Timestamp() }

// Missed returns how many messages were skipped before this one.
func (s *ReadTransactionSlot) Missed() uint64 { return s.slot.Missed() }

// end releases the message. The messages of a LOSSLESS consumer may end in any order, so that
// transactions can be nested.
func (s *ReadTransactionSlot) end() error {
	h := s.consumer.find(s.slot.ID(), s.slot.Index(), s.slot.Token())
	s.open, s.slot = false, ReadSlot{}
	if h == nil { // the consumer was closed
		return s.consumer.Translated(errEnded)
	}
	return s.consumer.Translated(s.consumer.finish(h))
}

// WithWriteTransaction claims a slot, waiting for at most the timeout, lets f fill it, and
// publishes it: the length that f committed, or the whole slot. If f returns an error, panics or
// ends its goroutine, nothing is published and the next claim gets the same id. The error, or the
// panic, reaches the caller unchanged.
// Errors: f's; those of Claim and Commit, then the result is zero.
func WithWriteTransaction[R any](p *Producer, timeout time.Duration,
	f func(*WriteTransactionSlot) (R, error)) (R, error) {
	var none R
	s, err := p.beginWrite(timeout)
	if err != nil {
		return none, err
	}
	returned := false
	defer func() {
		if !returned {
			_ = s.end(false)
		}
	}()
	result, err := f(s)
	returned = true
	if err != nil {
		_ = s.end(false)
		return result, err
	}
	if err := s.end(true); err != nil {
		return none, err
	}
	return result, nil
}

// WithReadTransaction lets f read message id in place. If the message is not written yet, it waits
// for at most the timeout. The cursor stays. The message is released in every case. Errors: f's;
// those of WaitFor and Release, then the result is zero.
func WithReadTransaction[R any](c *Consumer, id uint64, timeout time.Duration,
	f func(*ReadTransactionSlot) (R, error)) (R, error) {
	slot, err := c.WaitFor(id, timeout)
	if err != nil {
		var none R
		return none, err
	}
	return reading(c, slot, f)
}

// WithNextSlot lets f read the next message in place. After the timeout it reports false, without
// an error, and does not call f. In every other case the message counts as read. Errors: f's; those
// of Next but Timeout, and of Release, then the result is zero.
func WithNextSlot[R any](c *Consumer, timeout time.Duration, f func(*ReadTransactionSlot) (R, error)) (R, bool, error) {
	slot, err := c.Next(timeout)
	if err != nil {
		var none R
		if e, ok := c.Untranslated(err).(*status.Error); ok && e.Code == status.Timeout {
			return none, false, nil
		}
		return none, false, err
	}
	result, err := reading(c, slot, f)
	return result, true, err
}

func reading[R any](c *Consumer, slot ReadSlot, f func(*ReadTransactionSlot) (R, error)) (R, error) {
	s := c.beginRead(slot)
	returned := false
	defer func() {
		if !returned {
			_ = s.end()
		}
	}()
	result, err := f(s)
	returned = true
	if ending := s.end(); err == nil && ending != nil {
		var none R
		return none, ending
	}
	return result, err
}
