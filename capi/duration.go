//go:build cgo

package main

import (
	"fmt"
	"math"
	"time"

	"datablock/internal/core"
	"datablock/internal/layout"
)

// timeoutFrom turns the milliseconds of the C side into a duration of core. A duration of more than
// layout.ForeverMs might overflow when it is added to a clock.
func timeoutFrom(ms int64) (time.Duration, error) {
	switch {
	case ms == -1 || ms >= layout.ForeverMs:
		return core.Forever, nil
	case ms < -1:
		return 0, &core.Error{Code: core.Invalid,
			Detail: fmt.Sprintf("timeout_ms is %d: use 0 (do not wait), -1 (for ever) or a number of milliseconds", ms)}
	}
	return time.Duration(ms) * time.Millisecond, nil
}

// retentionFrom turns milliseconds into a duration. The core refuses a duration that is too long.
func retentionFrom(ms uint64) time.Duration {
	return time.Duration(min(ms, math.MaxInt64/uint64(time.Millisecond))) * time.Millisecond
}

// ageFrom turns nanoseconds into a duration, limited to the longest duration.
func ageFrom(ns uint64) time.Duration { return time.Duration(min(ns, math.MaxInt64)) }
