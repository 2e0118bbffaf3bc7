package core

import (
	"encoding/binary"
	"time"

	"golang.org/x/crypto/blake2b"

	"datablock/internal/crash"
	"datablock/internal/layout"
)

// The flexible zone is memory that both sides write, under lock 0 and in no other way. Its header
// has the BLAKE2b-256 of its contents. The participant that leaves the zone stores the checksum,
// and the next one to enter compares it. A participant that enters is therefore warned if an
// earlier one died in the zone (Abandoned), or if the contents were changed without the lock
// (Checksum).

const zoneLock = 0

// Zone is the flexible zone while it is held.
type Zone struct {
	Data      []byte // the whole zone; not to be used after LeaveZone
	Abandoned bool   // the last participant in it ended inside
	Intact    bool   // the contents are those that the last participant left
	Writes    uint64 // how often a participant has left it
}

func (b *block) zone() []byte { return b.ctl[b.flexOffset+layout.FlexHeader : b.flexOffset+b.flexSize] }

func (b *block) zoneSum() []byte { return b.ctl[b.flexOffset+layout.FlexSum:][:layout.HashLen] }

// ZoneSize returns the zone's capacity in bytes.
func (a *attachment) ZoneSize() int { return int(a.flexSize - layout.FlexHeader) }

// enterZone takes lock 0 and checks the contents. A zone that was never written is all zero and
// intact.
func (a *attachment) enterZone(anyway bool, timeout time.Duration, interrupted *uint32, outside *Sleep) (Zone, error) {
	abandoned, err := a.lock(zoneLock, timeout, interrupted, outside)
	if err != nil {
		return Zone{}, err
	}
	if a.locks.depth[zoneLock] > 1 {
		_ = a.unlock(zoneLock, false)
		return Zone{}, fail(Invalid, "block %q: this participant is in the flexible zone, or has lock 0, already",
			a.name())
	}
	z := Zone{Data: a.zone(), Abandoned: abandoned, Writes: *a.ctl.plain64(a.flexOffset + layout.FlexWrites)}
	sum := blake2b.Sum256(z.Data)
	z.Intact = string(sum[:]) == string(a.zoneSum()) || z.Writes == 0 && allZero(z.Data)
	if !z.Intact && !anyway {
		_ = a.unlock(zoneLock, true)
		return Zone{}, fail(Checksum, "block %q: the flexible zone is not what was left in it: somebody died in it, "+
			"or wrote to it without the lock; enter it anyway to put it right", a.name())
	}
	a.locks.zone = true
	return z, nil
}

// leaveZone stores the checksum of the contents. With spoilt the checksum stays as it is, and the
// next participant gets Abandoned.
func (a *attachment) leaveZone(spoilt bool) error {
	if a.data == nil {
		return fail(Closed, "block %q: this participant is closed already", a.name())
	}
	if !a.locks.zone {
		return fail(Invalid, "block %q: this participant is not in the flexible zone", a.name())
	}
	a.locks.zone = false // the participant may hold lock 0 a second time
	if !spoilt && a.lockWord(zoneLock).Load() == a.locks.mark {
		sum := blake2b.Sum256(a.zone())
		crash.Point("zone.summed")
		copy(a.zoneSum(), sum[:])
		crash.Point("zone.sealed")
		*a.ctl.plain64(a.flexOffset + layout.FlexWrites)++
		crash.Point("zone.counted")
	}
	return a.unlock(zoneLock, spoilt)
}

func allZero(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b) != 0 {
			return false
		}
		b = b[8:]
	}
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}

// EnterZone takes the flexible zone, under lock 0, waiting for at most the timeout. If the contents
// are not those that were left, EnterZone returns an error, unless anyway is set. LeaveZone
// follows. Errors: those of Lock; Invalid (it is in the zone already), Checksum.
func (p *Producer) EnterZone(anyway bool, timeout time.Duration) (Zone, error) {
	return p.enterZone(anyway, timeout, &p.interrupted, nil)
}

// EnterZoneInSteps is EnterZone for a caller that sleeps itself: see Sleep.
func (p *Producer) EnterZoneInSteps(anyway bool, timeout time.Duration, s *Sleep) (Zone, error) {
	return p.enterZone(anyway, timeout, &p.interrupted, s)
}

// EnterZoneInSteps is Producer.EnterZoneInSteps.
func (c *Consumer) EnterZoneInSteps(anyway bool, timeout time.Duration, s *Sleep) (Zone, error) {
	return c.enterZone(anyway, timeout, &c.interrupted, s)
}

// LeaveZone releases the zone. With spoilt, for a participant that could not finish, the next one
// gets Abandoned. Errors: Invalid, Fenced, Closed.
func (p *Producer) LeaveZone(spoilt bool) error { return p.leaveZone(spoilt) }

// EnterZone is Producer.EnterZone.
func (c *Consumer) EnterZone(anyway bool, timeout time.Duration) (Zone, error) {
	return c.enterZone(anyway, timeout, &c.interrupted, nil)
}

// LeaveZone is Producer.LeaveZone.
func (c *Consumer) LeaveZone(spoilt bool) error { return c.leaveZone(spoilt) }

// Zoned is a participant that can enter the flexible zone.
type Zoned interface {
	EnterZone(anyway bool, timeout time.Duration) (Zone, error)
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
