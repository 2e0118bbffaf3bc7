//go:build !amd64

package platform

import "sync/atomic"

// PrefetchForWrite is a hint that has no equivalent here.
func PrefetchForWrite(_ *uint64, _ *atomic.Uint64) {}

// OwnForWrite makes this core the owner of lines on amd64 only.
func OwnForWrite(_ *uint64, _ int) {}

// PrefetchForRead is a hint that has no equivalent here.
func PrefetchForRead(_ *uint64) {}

func handOn(*uint64) {}

func pause(uint32) {}
