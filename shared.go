package datablock

import (
	"sync/atomic"
	"time"

	"datablock/internal/core/channel"
	"datablock/internal/core/segment"
)

// Zone is the flexible zone while a participant holds it. Data must not be used after LeaveZone.
type Zone struct {
	Data      []byte // the whole zone
	Abandoned bool   // the last participant in the zone ended inside
	Intact    bool   // the contents are those that the last participant left
	Writes    uint64 // how often a participant has left the zone
}

// Zoned is a producer or a consumer.
type Zoned interface {
	EnterZone(anyway bool, timeout time.Duration) (Zone, error)
	LeaveZone(spoilt bool) error
}

// Lock takes lock i, 0 to 7, of the block's shared locks. The locks are recursive: the owner may
// take a lock again, and must release it as often. Lock waits, at most for the timeout. The lock of
// a dead owner is taken back. abandoned: the last owner ended without releasing the lock, and what
// the lock protects may be half changed.
//
// Errors: ErrInvalid (no such lock, timeout), ErrTimeout, ErrClosed.
func (p *Producer) Lock(i uint32, timeout time.Duration) (abandoned bool, err error) {
	abandoned, err = p.core.Lock(i, timeout)
	return abandoned, public(err)
}

// Unlock releases lock i, once. Errors: ErrInvalid (this producer does not hold the lock),
// ErrFenced (the lock was taken away), ErrClosed.
func (p *Producer) Unlock(i uint32) error { return public(p.core.Unlock(i)) }

// EnterZone takes the flexible zone, memory that producer and consumers change, under lock 0.
// LeaveZone must follow. If the checksum of the contents is wrong, EnterZone fails with ErrChecksum
// unless anyway is set. It waits and fails as Lock, and with ErrInvalid when this participant is in
// the zone, or has lock 0, already.
func (p *Producer) EnterZone(anyway bool, timeout time.Duration) (Zone, error) {
	zone, err := p.core.EnterZone(anyway, timeout)
	return Zone(zone), public(err)
}

// LeaveZone releases the zone. A participant that could not finish sets spoilt: the next
// participant that enters then sees the zone as abandoned. Errors: ErrInvalid, ErrFenced,
// ErrClosed.
func (p *Producer) LeaveZone(spoilt bool) error { return public(p.core.LeaveZone(spoilt)) }

// Counter returns shared counter i, 0 to 7, of the block. A counter is zero in a new block. The
// counter must not be used after Close. Errors: ErrInvalid, ErrClosed.
func (p *Producer) Counter(i uint32) (*atomic.Uint64, error) {
	counter, err := p.core.Counter(i)
	return counter, public(err)
}

// Lock is [Producer.Lock], and waits like that.
func (c *Consumer) Lock(i uint32, timeout time.Duration) (abandoned bool, err error) {
	abandoned, err = c.core.Lock(i, timeout)
	return abandoned, public(err)
}

// Unlock is Producer.Unlock.
func (c *Consumer) Unlock(i uint32) error { return public(c.core.Unlock(i)) }

// EnterZone is [Producer.EnterZone], and waits like that.
func (c *Consumer) EnterZone(anyway bool, timeout time.Duration) (Zone, error) {
	zone, err := c.core.EnterZone(anyway, timeout)
	return Zone(zone), public(err)
}

// LeaveZone is Producer.LeaveZone.
func (c *Consumer) LeaveZone(spoilt bool) error { return public(c.core.LeaveZone(spoilt)) }

// Counter is Producer.Counter.
func (c *Consumer) Counter(i uint32) (*atomic.Uint64, error) {
	counter, err := c.core.Counter(i)
	return counter, public(err)
}

// WithFlexibleZone lets f read and change the zone in place, and waits for it at most for the
// timeout. If f returns an error, panics or ends its goroutine, the zone keeps its contents, and
// the next participant sees the zone as abandoned.
//
// Errors: the error of f; the errors of EnterZone and LeaveZone, with a zero result.
func WithFlexibleZone[R any](participant Zoned, timeout time.Duration, f func(zone []byte) (R, error)) (R, error) {
	result, err := channel.WithFlexibleZone(zoned{participant}, timeout, f)
	return result, public(err)
}

// zoned is a participant as core expects it.
type zoned struct{ Zoned }

func (z zoned) EnterZone(anyway bool, timeout time.Duration) (segment.Zone, error) {
	zone, err := z.Zoned.EnterZone(anyway, timeout)
	return segment.Zone(zone), err
}
