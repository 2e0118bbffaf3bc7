//go:build !amd64

package platform

func cycles() uint64 { return Monotonic() }

const cyclesTick = 1 << 19 // half a millisecond
