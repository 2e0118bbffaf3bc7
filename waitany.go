package datablock

import (
	"time"

	"datablock/internal/core/channel"
)

// WaitAny waits, at most for the timeout, until at least one of the consumers is ready. It returns
// all ready consumers, in their order. A consumer is ready when Next would return without waiting,
// with a message or with a final status such as the end of the stream. WaitAny reports readiness
// and does not dequeue. Serving each ready consumer once before waiting again starves none.
//
// The call uses each of the consumers: no other goroutine may be inside a call of one of them.
// Interrupt of any of them ends the wait. On a kernel before 5.16, or with more than 128 consumers,
// WaitAny polls every millisecond instead of sleeping on all consumers.
//
// Errors: ErrInvalid (timeout, no consumers), ErrTimeout.
func WaitAny(timeout time.Duration, consumers ...*Consumer) ([]*Consumer, error) {
	inner, found := make([]*channel.Consumer, len(consumers)), make([]bool, len(consumers))
	for i, c := range consumers {
		inner[i] = c.core
	}
	if err := channel.WaitAny(timeout, inner, found); err != nil {
		return nil, public(err)
	}
	ready := make([]*Consumer, 0, len(consumers))
	for i, c := range consumers {
		if found[i] {
			ready = append(ready, c)
		}
	}
	return ready, nil
}
