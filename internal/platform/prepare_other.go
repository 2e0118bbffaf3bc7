//go:build !amd64

package platform

import "sync/atomic"

// PrepareWrite is a hint that has no equivalent here.
func PrepareWrite(*atomic.Uint64) {}

// PrepareWrites is a hint that has no equivalent here.
func PrepareWrites(_, _ *byte, _ *atomic.Uint64) {}

func handOn(*uint64) {}

// Pause is a hint that has no equivalent here.
func Pause(uint32) {}
