package core

import (
	"runtime"
	"time"
)

// WriteTransactionGuard is an open write transaction, to be ended by a deferred Close or End. What is open is the producer's knowledge: a copy is the same guard,
// and one that has ended, or the zero value, is harmless.
type WriteTransactionGuard struct {
	producer *Producer
	number   uint64
	begun    uintptr // in the function that ends the transaction by returning
}

// BeginWrite claims a slot, waiting at most for the timeout. The guard belongs to the function skip levels above the caller. Errors: as Claim.
func (p *Producer) BeginWrite(timeout time.Duration, skip int) (WriteTransactionGuard, error) {
	s, err := p.beginWrite(timeout)
	if err != nil {
		return WriteTransactionGuard{}, err
	}
	var caller [1]uintptr
	runtime.Callers(2+skip, caller[:])
	return WriteTransactionGuard{p, s.number, caller[0]}, nil
}

// Slot is what the transaction writes to, nil when it has ended.
func (g WriteTransactionGuard) Slot() *WriteTransactionSlot {
	if g.producer == nil || !g.producer.write.open || g.producer.write.number != g.number {
		return nil
	}
	return &g.producer.write
}

// Commit publishes the message and ends the transaction. Errors: Invalid (it has ended), as Producer.Commit.
func (g WriteTransactionGuard) Commit() error {
	s := g.Slot()
	if s == nil {
		return errEnded
	}
	return s.end(true)
}

// Abort ends the transaction without a message.
func (g WriteTransactionGuard) Abort() {
	if s := g.Slot(); s != nil {
		_ = s.end(false)
	}
}

// Close ends a transaction that neither Commit nor Abort has ended: it aborts if the function that began it is being left by a panic or by runtime.Goexit, and
// publishes the message otherwise. Errors: as Producer.Commit.
func (g WriteTransactionGuard) Close() error {
	s := g.Slot()
	if s == nil {
		return nil
	}
	return s.end(!unwinding(g.begun))
}

// End is Close for a function that returns an error: if *err is set it aborts; otherwise its own error goes there.
func (g WriteTransactionGuard) End(err *error) {
	if *err != nil {
		g.Abort()
		return
	}
	*err = g.Close()
}

// ReadTransactionGuard is an open read transaction, to be ended by a deferred Close or End. Copies and ended ones are as harmless as those of WriteTransactionGuard.
type ReadTransactionGuard struct {
	slot   *ReadTransactionSlot
	number uint64
}

// BeginRead opens message id, waiting for it at most for the timeout; the cursor stays. Errors: as WaitFor.
func (c *Consumer) BeginRead(id uint64, timeout time.Duration) (ReadTransactionGuard, error) {
	slot, err := c.WaitFor(id, timeout)
	if err != nil {
		return ReadTransactionGuard{}, err
	}
	t := c.beginRead(slot)
	return ReadTransactionGuard{t, t.number}, nil
}

// BeginNext opens the next message. Errors: as Next.
func (c *Consumer) BeginNext(timeout time.Duration) (ReadTransactionGuard, error) {
	slot, err := c.Next(timeout)
	if err != nil {
		return ReadTransactionGuard{}, err
	}
	t := c.beginRead(slot)
	return ReadTransactionGuard{t, t.number}, nil
}

// Slot is what the transaction reads, nil when it has ended.
func (g ReadTransactionGuard) Slot() *ReadTransactionSlot {
	if g.slot == nil || !g.slot.open || g.slot.number != g.number {
		return nil
	}
	return g.slot
}

// Close lets go of the message, if that has not been done. Errors: as Release.
func (g ReadTransactionGuard) Close() error {
	s := g.Slot()
	if s == nil {
		return nil
	}
	return s.end()
}

// End is Close for a function that returns an error: its own error goes to *err unless one is there.
func (g ReadTransactionGuard) End(err *error) {
	if ended := g.Close(); *err == nil {
		*err = ended
	}
}

// unwinding reports whether a panic or runtime.Goexit is leaving the function that the return address begun lies in: then one of these is between that function and
// here. recover would not do: it sees a panic only from the deferred function itself, not from what that calls, and runtime.Goexit never.
func unwinding(begun uintptr) bool {
	first := runtime.FuncForPC(begun - 1)
	var near [4]uintptr // enough for a Close that the function itself has deferred
	var far [256]uintptr
	for _, callers := range [][]uintptr{near[:], far[:]} {
		n := runtime.Callers(2, callers)
		for _, pc := range callers[:n] {
			f := runtime.FuncForPC(pc - 1) // of an inlined call: an allocation with the entry of the function around it; the public Close and End are not inlined
			if f == nil {
				continue
			}
			if first != nil && f.Entry() == first.Entry() {
				return false
			}
			if name := f.Name(); name == "runtime.gopanic" || name == "runtime.Goexit" {
				return true
			}
		}
		if n < len(callers) {
			return false
		}
	}
	return false
}
