package datablock

import (
	"time"

	"datablock/internal/core"
)

// WaitAny waits, at most for the timeout, until at least one of the consumers can be read without waiting, and returns all that can, in their order: there is a message, or something else that Next says
// at once, such as the end of the stream. It takes nothing. Who serves every one of them once before waiting again starves none.
//
// It is a use of each of the consumers: no other goroutine may be inside one of them meanwhile. Interrupt of any of them ends the wait. On a kernel before 5.16, or with more than 128 consumers, it looks every
// millisecond instead of sleeping on all of them. Errors: ErrInvalid (timeout, no consumers), ErrTimeout.
func WaitAny(timeout time.Duration, consumers ...*Consumer) ([]*Consumer, error) {
	inner, found := make([]*core.Consumer, len(consumers)), make([]bool, len(consumers))
	for i, c := range consumers {
		inner[i] = c.core
	}
	if err := core.WaitAny(timeout, inner, found); err != nil {
		return nil, err
	}
	ready := make([]*Consumer, 0, len(consumers))
	for i, c := range consumers {
		if found[i] {
			ready = append(ready, c)
		}
	}
	return ready, nil
}
