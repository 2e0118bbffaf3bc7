package datablock

import (
	"sync/atomic"
	"time"

	"datablock/internal/core"
)

// Zone is the flexible zone while it is held: Data is not to be used after LeaveZone.
type Zone = core.Zone

// Zoned is a producer or a consumer.
type Zoned = core.Zoned

// Lock takes lock i, 0 to 7, of those that the block's participants share; who has it may take it again, and lets go of it as often. It waits, at most for the timeout. The lock of a
// dead owner is taken back. abandoned: the last owner ended without letting go of it, and what the lock protects may be half changed. Errors: ErrInvalid (no such lock, timeout),
// ErrTimeout, ErrClosed.
func (p *Producer) Lock(i uint32, timeout time.Duration) (abandoned bool, err error) {
	return p.core.Lock(i, timeout)
}

// Unlock lets go of lock i, once. Errors: ErrInvalid (it is not this producer's), ErrFenced (it was taken away), ErrClosed.
func (p *Producer) Unlock(i uint32) error { return p.core.Unlock(i) }

// EnterZone takes the flexible zone, memory that both sides change, under lock 0; LeaveZone follows. If its contents are not what was left in it, that is ErrChecksum, unless it is to be
// entered anyway. Waits and errors as Lock; ErrInvalid (in the zone already).
func (p *Producer) EnterZone(anyway bool, timeout time.Duration) (Zone, error) {
	return p.core.EnterZone(anyway, timeout)
}

// LeaveZone lets go of the zone. With spoilt, for somebody who could not finish, the next one is told that it was abandoned. Errors: ErrInvalid, ErrFenced, ErrClosed.
func (p *Producer) LeaveZone(spoilt bool) error { return p.core.LeaveZone(spoilt) }

// Counter is counter i, 0 to 7, of those that the block's participants share: zero in a new block. Not to be used after Close. Errors: ErrInvalid, ErrClosed.
func (p *Producer) Counter(i uint32) (*atomic.Uint64, error) { return p.core.Counter(i) }

// Lock is Producer.Lock.
func (c *Consumer) Lock(i uint32, timeout time.Duration) (abandoned bool, err error) {
	return c.core.Lock(i, timeout)
}

// Unlock is Producer.Unlock.
func (c *Consumer) Unlock(i uint32) error { return c.core.Unlock(i) }

// EnterZone is Producer.EnterZone.
func (c *Consumer) EnterZone(anyway bool, timeout time.Duration) (Zone, error) {
	return c.core.EnterZone(anyway, timeout)
}

// LeaveZone is Producer.LeaveZone.
func (c *Consumer) LeaveZone(spoilt bool) error { return c.core.LeaveZone(spoilt) }

// Counter is Producer.Counter.
func (c *Consumer) Counter(i uint32) (*atomic.Uint64, error) { return c.core.Counter(i) }

// WithFlexibleZone lets f read and change the zone in place. If f returns an error, panics or ends its goroutine, the zone stays as it then is, and the next one is told.
// Errors: f's; those of EnterZone and LeaveZone, then the result is zero.
func WithFlexibleZone[R any](participant Zoned, timeout time.Duration, f func(zone []byte) (R, error)) (R, error) {
	return core.WithFlexibleZone(participant, timeout, f)
}
