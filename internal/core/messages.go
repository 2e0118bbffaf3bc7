package core

import (
	"iter"
	"time"
)

// Messages iterates over the messages as Next gives them. Each is held until the loop's next turn, or until the loop is left, in whatever way. It ends with the
// stream (Closed), or after Interrupt. Every other error is handed out, without a message: the loop may go on after Timeout, NoProducer, Lost, Checksum and, when the message
// before was used again while it was held, Overrun; after any other it ends.
func (c *Consumer) Messages(timeout time.Duration) iter.Seq2[ReadSlot, error] {
	return func(yield func(ReadSlot, error) bool) {
		for {
			s, err := c.Next(timeout)
			if err == nil {
				more, ending := c.show(s, yield)
				if !more || ending != nil && (!yield(ReadSlot{}, ending) || CodeOf(ending) != Overrun) {
					return
				}
				continue
			}
			code := CodeOf(err)
			if code == Closed && c.data != nil {
				return
			}
			if !yield(ReadSlot{}, err) || code != Timeout && code != NoProducer && code != Lost && code != Checksum {
				return
			}
		}
	}
}

// show hands a message to the loop's body and lets go of it, also when the body panics.
func (c *Consumer) show(s ReadSlot, yield func(ReadSlot, error) bool) (more bool, err error) {
	transaction := c.beginRead(s)
	defer func() { err = transaction.end() }()
	return yield(s, nil), nil
}
