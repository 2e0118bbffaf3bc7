package dashboard

import (
	"crypto/rand"
	"encoding/base64"
	"sync"
	"time"
)

const (
	confirmationLife  = time.Minute
	confirmationsMost = 64 // pending at once, of all blocks
)

// promise is what a confirmation is for: one action on one block, on what was there in the dry run.
type promise struct {
	block   string   // name
	was     identity // another block may have the name by now
	request actionRequest
	target  string // the participant that loses something by the action; "" if no living one does
}

// confirmations are the dry runs that may still be confirmed, each once.
type confirmations struct {
	mu      sync.Mutex
	pending map[string]pendingPromise
}

type pendingPromise struct {
	promise
	until time.Time
}

func newConfirmations() *confirmations { return &confirmations{pending: map[string]pendingPromise{}} }

// add returns the confirmation of a promise, and how long it is good for.
func (c *confirmations) add(p promise) (confirmation string, until time.Time) {
	random := make([]byte, 24)
	_, _ = rand.Read(random) // never fails
	confirmation = base64.RawURLEncoding.EncodeToString(random)
	until = time.Now().Add(confirmationLife)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	for len(c.pending) >= confirmationsMost {
		oldest := ""
		for each, one := range c.pending {
			if oldest == "" || one.until.Before(c.pending[oldest].until) {
				oldest = each
			}
		}
		delete(c.pending, oldest)
	}
	c.pending[confirmation] = pendingPromise{p, until}
	return confirmation, until
}

// take returns the promise of a confirmation, and spends it.
func (c *confirmations) take(confirmation string) (promise, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expire()
	found, known := c.pending[confirmation]
	delete(c.pending, confirmation)
	return found.promise, known
}

func (c *confirmations) expire() {
	now := time.Now()
	for each, one := range c.pending {
		if now.After(one.until) {
			delete(c.pending, each)
		}
	}
}
