package platform

import (
	"math/bits"
	"time"
)

// Monotonic is the performance counter in nanoseconds. All processes of the machine see the same
// counter, which runs on while the machine sleeps.
func Monotonic() uint64 { return nanoseconds(performanceCounter(), performanceFrequency) }

var performanceFrequency = counterFrequency()

// nanoseconds is count * 10^9 / frequency, without an overflow in between.
func nanoseconds(count, frequency uint64) uint64 {
	high, low := bits.Mul64(count, uint64(time.Second))
	ns, _ := bits.Div64(high%frequency, low, frequency)
	return ns
}

// ClockAhead: this system has one clock for all processes.
func ClockAhead() (ns int64, known bool) { return 0, true }

// Sleep waits. Package time would sleep by a timer of the Go runtime, which belongs to the host's
// process.
func Sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	if d > shortSleep || !sleepPrecisely(d) {
		sleepCoarsely(d)
	}
}

// shortSleep is the longest sleep that is not left to the system's timer tick of up to 16 ms.
const shortSleep = 50 * time.Millisecond

// milliseconds rounds up, so that a wait is never shorter than its timeout. A long wait is cut: its
// caller waits again.
func milliseconds(d time.Duration) uint32 {
	const most = 1 << 30
	return uint32(min(max(d+time.Millisecond-1, 0)/time.Millisecond, most))
}
