package channel

import (
	"iter"
	"time"

	"datablock/internal/core/status"
)

// Messages iterates over the messages as Next returns them. Each is held until the next iteration,
// or until the loop ends, in whatever way. The loop ends with the stream (Closed), or after
// Interrupt. It gets every other error, without a message. It may continue after Timeout,
// NoProducer, Lost, Checksum and, if the slot of the message before was used again during the hold,
// Overrun. After any other error it ends.
func (c *Consumer) Messages(timeout time.Duration) iter.Seq2[ReadSlot, error] {
	return func(yield func(ReadSlot, error) bool) {
		for {
			s, err := c.Next(timeout)
			if err == nil {
				more, ending := c.show(s, yield)
				if !more || ending != nil && (!yield(ReadSlot{}, ending) ||
					status.CodeOf(c.Untranslated(ending)) != status.Overrun) {
					return
				}
				continue
			}
			code := status.CodeOf(c.Untranslated(err))
			if code == status.Closed && c.Data != nil {
				return
			}
			if !yield(ReadSlot{}, err) || code != status.Timeout && code != status.NoProducer && code != status.Lost &&
				code != status.Checksum {
				return
			}
		}
	}
}

// show passes a message to the loop's body and then releases it, also if the body panics.
func (c *Consumer) show(s ReadSlot, yield func(ReadSlot, error) bool) (more bool, err error) {
	transaction := c.beginRead(s)
	defer func() { err = transaction.end() }()
	return yield(s, nil), nil
}
