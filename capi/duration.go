//go:build cgo

package main

// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/layout"
)

// timeoutFrom turns the milliseconds of the C side into a duration of core. A duration of more than
// layout.ForeverMs might overflow when it is added to a clock.
func timeoutFrom(ms int64) (time.Duration, error) {
	switch {
	case isPart(ms):
		return time.Duration(uint32(ms)) * time.Millisecond, nil
	case ms == -1 || ms >= layout.ForeverMs:
		return segment.Forever, nil
	case ms < -1:
		return 0, &status.Error{Code: status.Invalid,
			Detail: fmt.Sprintf("timeout_ms is %d: use 0 (do not wait), -1 (for ever) or a number of milliseconds", ms)}
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// isPart reports whether a timeout is one of DATABLOCK_WAIT_PART.
func isPart(ms int64) bool { return uint64(ms)>>48 == C.DATABLOCK_PART_MARK }

// partFrom returns the part of a wait that a timeout of the C side stands for.
func partFrom(ms int64) segment.WaitPart {
	if !isPart(ms) {
		return segment.WaitPart{}
	}
	flags := ms >> 32
	return segment.WaitPart{
		Later:   flags&C.DATABLOCK_PART_FIRST == 0,
		More:    flags&C.DATABLOCK_PART_LAST == 0,
		Endless: flags&C.DATABLOCK_PART_ENDLESS != 0,
	}
}

// retentionFrom turns milliseconds into a duration. The core refuses a duration that is too long.
func retentionFrom(ms uint64) time.Duration {
	return time.Duration(min(ms, math.MaxInt64/uint64(time.Millisecond))) * time.Millisecond
}

// ageFrom turns nanoseconds into a duration, limited to the longest duration.
func ageFrom(ns uint64) time.Duration { return time.Duration(min(ns, math.MaxInt64)) }
