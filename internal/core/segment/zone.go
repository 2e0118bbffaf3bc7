package segment

import (
	"encoding/binary"
	"time"

	"datablock/internal/core/status"

	"golang.org/x/crypto/blake2b"

	"datablock/internal/crash"
	"datablock/internal/layout"
)

// The flexible zone is memory that both sides write, under lock 0 and in no other way. Its header
// has the BLAKE2b-256 of its contents. The participant that leaves the zone stores the checksum,
// and the next one to enter compares it. A participant that enters is therefore warned if an
// earlier one died in the zone (Abandoned), or if the contents were changed without the lock
// (Checksum).

const ZoneLock = 0

// Zone is the flexible zone while it is held.
type Zone struct {
	Data      []byte // the whole zone; not to be used after LeaveZone
	Abandoned bool   // the last participant in it ended inside
	Intact    bool   // the contents are those that the last participant left
	Writes    uint64 // how often a participant has left it
}

func (b *Segment) zone() []byte {
	return b.Ctl[b.FlexOffset+layout.FlexHeader : b.FlexOffset+b.flexSize]
}

func (b *Segment) zoneSum() []byte { return b.Ctl[b.FlexOffset+layout.FlexSum:][:layout.HashLen] }

// ZoneSize returns the zone's capacity in bytes.
func (a *Attachment) ZoneSize() int { return int(a.flexSize - layout.FlexHeader) }

// AcquireZone takes lock 0 and checks the contents. A zone that was never written is all zero and
// intact.
func (a *Attachment) AcquireZone(anyway bool, timeout time.Duration, interrupted *uint32, outside *Sleep) (Zone,
	error) {
	abandoned, err := a.AcquireLock(ZoneLock, timeout, interrupted, outside)
	if err != nil {
		return Zone{}, err
	}
	if a.Locks.depth[ZoneLock] > 1 {
		_ = a.ReleaseLock(ZoneLock, false)
		return Zone{}, status.Errorf(status.Invalid, "block %q: this participant is in the flexible zone, or has lock "+
			"0, already",
			a.BlockName())
	}
	z := Zone{Data: a.zone(), Abandoned: abandoned, Writes: *a.Ctl.Plain64(a.FlexOffset + layout.FlexWrites)}
	sum := blake2b.Sum256(z.Data)
	z.Intact = string(sum[:]) == string(a.zoneSum()) || z.Writes == 0 && allZero(z.Data)
	if !z.Intact && !anyway {
		_ = a.ReleaseLock(ZoneLock, true)
		return Zone{}, status.Errorf(status.Checksum, "block %q: the flexible zone is not what was left in it: "+
			"somebody died in it, or wrote to it without the lock; enter it anyway to put it right", a.BlockName())
	}
	a.Locks.zone = true
	return z, nil
}

// ReleaseZone stores the checksum of the contents. With spoilt the checksum stays as it is, and the
// next participant gets Abandoned.
func (a *Attachment) ReleaseZone(spoilt bool) error {
	if a.Data == nil {
		return status.Errorf(status.Closed, "block %q: this participant is closed already", a.BlockName())
	}
	if !a.Locks.zone {
		return status.Errorf(status.Invalid, "block %q: this participant is not in the flexible zone", a.BlockName())
	}
	a.Locks.zone = false // the participant may hold lock 0 a second time
	if !spoilt && a.LockWord(ZoneLock).Load() == a.Locks.Mark {
		sum := blake2b.Sum256(a.zone())
		crash.Point("zone.summed")
		copy(a.zoneSum(), sum[:])
		crash.Point("zone.sealed")
		*a.Ctl.Plain64(a.FlexOffset + layout.FlexWrites)++
		crash.Point("zone.counted")
	}
	return a.ReleaseLock(ZoneLock, spoilt)
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
