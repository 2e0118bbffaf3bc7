//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"fmt"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"
)

// sharer is the part that producers and consumers have in common.
type sharer interface {
	LockInSteps(i uint32, timeout time.Duration, s *segment.Sleep) (abandoned bool, err error)
	Unlock(i uint32) error
	EnterZoneInSteps(anyway bool, timeout time.Duration, s *segment.Sleep) (segment.Zone, error)
	LeaveZone(spoilt bool) error
}

func (at *participant) sharer() sharer {
	if at.producer != nil {
		return at.producer
	}
	return at.consumer
}

//export dbgo_lock_acquire
func dbgo_lock_acquire(index, lock C.uint32_t, timeoutMs C.int64_t, abandoned *C.bool, sleep *C.dbshim_sleep,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("lock.acquire")
	timeout, err := timeoutFrom(int64(timeoutMs))
	if err != nil {
		return resultOf(err, detail)
	}
	at := at(index)
	left, err := at.sharer().LockInSteps(uint32(lock), timeout, at.sleepOf(sleep, timeoutMs))
	*abandoned = C.bool(left)
	return at.stepStatus(err, sleep, detail)
}

//export dbgo_lock_release
func dbgo_lock_release(index, lock C.uint32_t, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("lock.release")
	return resultOf(at(index).sharer().Unlock(uint32(lock)), detail)
}

//export dbgo_zone_begin
func dbgo_zone_begin(index, flags C.uint32_t, timeoutMs C.int64_t, out *C.datablock_zone, sleep *C.dbshim_sleep,
	detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("zone.begin")
	timeout, err := timeoutFrom(int64(timeoutMs))
	if err != nil {
		return resultOf(err, detail)
	}
	if flags&^C.DATABLOCK_ZONE_ANYWAY != 0 {
		return resultOf(&status.Error{Code: status.Invalid,
			Detail: fmt.Sprintf("flags 0x%x: only DATABLOCK_ZONE_ANYWAY (0x%x) is known", flags,
				C.DATABLOCK_ZONE_ANYWAY)}, detail)
	}
	at := at(index)
	z, err := at.sharer().EnterZoneInSteps(flags != 0, timeout, at.sleepOf(sleep, timeoutMs))
	if err != nil {
		return at.stepStatus(err, sleep, detail)
	}
	*out = C.datablock_zone{data: payload(z.Data), size: C.size_t(len(z.Data)), writes: C.uint64_t(z.Writes),
		abandoned: C.bool(z.Abandoned), intact: C.bool(z.Intact)}
	return C.DATABLOCK_OK
}

//export dbgo_zone_end
func dbgo_zone_end(index C.uint32_t, spoilt C.bool, detail *C.char) (result C.int) {
	enablePanicOnFault()
	defer recoverToStatus(&result, detail)
	injectPanic("zone.end")
	return resultOf(at(index).sharer().LeaveZone(bool(spoilt)), detail)
}
