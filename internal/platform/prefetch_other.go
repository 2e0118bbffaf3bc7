//go:build !amd64

package platform

// OwnForWrite makes this core the owner of lines on amd64 only.
func OwnForWrite(_ *uint64, _ int) {}

// PrefetchForRead is a hint that has no equivalent here.
func PrefetchForRead(_ *uint64) {}

func handOn(*uint64) {}

func pause(uint32) {}
