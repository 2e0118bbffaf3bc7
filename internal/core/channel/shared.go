package channel

import (
	"time"

	"datablock/internal/core/segment"
)

// Lock takes lock i, 0 to 7, of the locks that participants share. The holder may take it again.
// Lock waits for at most the timeout. abandoned: the last owner ended without releasing the lock,
// so that what the lock protects may be half changed. Errors: Invalid (no such lock, timeout),
// Timeout, Closed.
func (p *Producer) Lock(i uint32, timeout time.Duration) (abandoned bool, err error) {
	return p.AcquireLock(i, timeout, &p.interrupted, nil)
}

// LockInSteps is Lock for a caller that sleeps itself: see Sleep.
func (p *Producer) LockInSteps(i uint32, timeout time.Duration, s *segment.Sleep) (abandoned bool, err error) {
	return p.AcquireLock(i, timeout, &p.interrupted, s)
}

// LockInSteps is Producer.LockInSteps.
func (c *Consumer) LockInSteps(i uint32, timeout time.Duration, s *segment.Sleep) (abandoned bool, err error) {
	return c.AcquireLock(i, timeout, &c.interrupted, s)
}

// Unlock releases lock i, once. Errors: Invalid (this producer does not hold it), Fenced (it was
// taken away), Closed.
func (p *Producer) Unlock(i uint32) error { return p.ReleaseLock(i, false) }

// Lock is Producer.Lock.
func (c *Consumer) Lock(i uint32, timeout time.Duration) (abandoned bool, err error) {
	return c.AcquireLock(i, timeout, &c.interrupted, nil)
}

// Unlock is Producer.Unlock.
func (c *Consumer) Unlock(i uint32) error { return c.ReleaseLock(i, false) }

// EnterZone takes the flexible zone, under lock 0, waiting for at most the timeout. If the contents
// are not those that were left, EnterZone returns an error, unless anyway is set. LeaveZone
// follows. Errors: those of Lock; Invalid (it is in the zone already), Checksum.
func (p *Producer) EnterZone(anyway bool, timeout time.Duration) (segment.Zone, error) {
	return p.AcquireZone(anyway, timeout, &p.interrupted, nil)
}

// EnterZoneInSteps is EnterZone for a caller that sleeps itself: see Sleep.
func (p *Producer) EnterZoneInSteps(anyway bool, timeout time.Duration, s *segment.Sleep) (segment.Zone, error) {
	return p.AcquireZone(anyway, timeout, &p.interrupted, s)
}

// EnterZoneInSteps is Producer.EnterZoneInSteps.
func (c *Consumer) EnterZoneInSteps(anyway bool, timeout time.Duration, s *segment.Sleep) (segment.Zone, error) {
	return c.AcquireZone(anyway, timeout, &c.interrupted, s)
}

// LeaveZone releases the zone. With spoilt, for a participant that could not finish, the next one
// gets Abandoned. Errors: Invalid, Fenced, Closed.
func (p *Producer) LeaveZone(spoilt bool) error { return p.ReleaseZone(spoilt) }

// EnterZone is Producer.EnterZone.
func (c *Consumer) EnterZone(anyway bool, timeout time.Duration) (segment.Zone, error) {
	return c.AcquireZone(anyway, timeout, &c.interrupted, nil)
}

// LeaveZone is Producer.LeaveZone.
func (c *Consumer) LeaveZone(spoilt bool) error { return c.ReleaseZone(spoilt) }

// Zoned is a participant that can enter the flexible zone.
type Zoned interface {
	EnterZone(anyway bool, timeout time.Duration) (segment.Zone, error)
	LeaveZone(spoilt bool) error
}

// WithFlexibleZone lets f read and change the zone in place. If f returns an error, panics or ends
// its goroutine, the zone stays as it then is, and the next participant gets Abandoned.
// Errors: f's; those of EnterZone and LeaveZone, then the result is zero.
func WithFlexibleZone[R any](z Zoned, timeout time.Duration, f func(zone []byte) (R, error)) (R, error) {
	var none R
	zone, err := z.EnterZone(false, timeout)
	if err != nil {
		return none, err
	}
	returned := false
	defer func() {
		if !returned {
			_ = z.LeaveZone(true)
		}
	}()
	result, err := f(zone.Data)
	returned = true
	if left := z.LeaveZone(err != nil); err == nil && left != nil {
		return none, left
	}
	return result, err
}
