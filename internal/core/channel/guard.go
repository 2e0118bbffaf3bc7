package channel

import (
	"runtime"
	"time"
)

// WriteTransactionGuard is an open write transaction, which a deferred Close or End ends. The
// producer knows what is open. A copy is therefore the same guard, and a guard that has ended, or
// the zero value, does nothing.
type WriteTransactionGuard struct {
	producer *Producer
	number   uint64
	begun    uintptr // in the function that ends the transaction by returning
}

// BeginWrite claims a slot, waiting for at most the timeout. The guard belongs to the function skip
// levels above the caller. Errors: as Claim.
func (p *Producer) BeginWrite(timeout time.Duration, skip int) (WriteTransactionGuard, error) {
	s, err := p.beginWrite(timeout)
	if err != nil {
		return WriteTransactionGuard{}, err
	}
	var caller [1]uintptr
	runtime.Callers(2+skip, caller[:])
	return WriteTransactionGuard{p, s.number, caller[0]}, nil
}

// Slot returns the slot of the transaction, nil when the transaction has ended.
func (g WriteTransactionGuard) Slot() *WriteTransactionSlot {
	if g.producer == nil || !g.producer.write.open || g.producer.write.number != g.number {
		return nil
	}
	return &g.producer.write
}

// Commit publishes the message and ends the transaction. Errors: Invalid (it has ended), as
// Producer.Commit.
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

// Close ends a transaction that neither Commit nor Abort has ended. If a panic or runtime.Goexit is
// leaving the function that began the transaction, Close aborts. Otherwise it publishes the
// message. Errors: as Producer.Commit.
func (g WriteTransactionGuard) Close() error {
	s := g.Slot()
	if s == nil {
		return nil
	}
	return s.end(!unwinding(g.begun))
}

// End is Close for a function that returns an error. If *err is set, End aborts. Otherwise it
// stores its own error there.
func (g WriteTransactionGuard) End(err *error) {
	if *err != nil {
		g.Abort()
		return
	}
	*err = g.Close()
}

// ReadTransactionGuard is an open read transaction, which a deferred Close or End ends. Copies and
// ended guards behave as those of WriteTransactionGuard.
type ReadTransactionGuard struct {
	slot   *ReadTransactionSlot
	number uint64
}

// BeginRead opens message id, waiting for at most the timeout. The cursor stays. Errors: as
// WaitFor.
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

// Slot returns the message of the transaction, nil when the transaction has ended.
func (g ReadTransactionGuard) Slot() *ReadTransactionSlot {
	if g.slot == nil || !g.slot.open || g.slot.number != g.number {
		return nil
	}
	return g.slot
}

// Close releases the message, if it is still held. Errors: as Release.
func (g ReadTransactionGuard) Close() error {
	s := g.Slot()
	if s == nil {
		return nil
	}
	return s.end()
}

// End is Close for a function that returns an error. It stores its own error in *err unless *err is
// set.
func (g ReadTransactionGuard) End(err *error) {
	if ended := g.Close(); *err == nil {
		*err = ended
	}
}

// unwinding reports whether a panic or runtime.Goexit is leaving the function that contains the
// return address begun: then one of the two is on the stack between that function and this one.
// recover would not do. It sees a panic only from the deferred function itself, not from a function
// that the deferred function calls, and it never sees runtime.Goexit.
func unwinding(begun uintptr) bool {
	first := runtime.FuncForPC(begun - 1)
	var near [4]uintptr // enough for a Close that the function itself has deferred
	var far [256]uintptr
	for _, callers := range [][]uintptr{near[:], far[:]} {
		n := runtime.Callers(2, callers)
		for _, pc := range callers[:n] {
			// For an inlined call FuncForPC allocates a Func with the entry of the enclosing
			// function; the public Close and End are not inlined.
			f := runtime.FuncForPC(pc - 1)
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
