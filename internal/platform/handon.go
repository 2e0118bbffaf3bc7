package platform

import (
	"sync/atomic"
	"time"
)

var waited atomic.Uint32

// NoteWait notes that something in this process has waited for a message.
func NoteWait() { waited.Store(1) }

// HandOnAfterWait gives a cache line that has been written, and the next one, to the cache that the cores share, if something in this process has waited for a message since the last time: it may be
// taking turns with another process, which then gets the lines sooner. It takes its time, which is little beside a wait.
func HandOnAfterWait(line *uint64) {
	if waited.Load() != 0 {
		waited.Store(0)
		handOn(line)
	}
}

// standBack is twice as long as a producer needs for the line of entries that a reader is in, too; on one processor a pause is ten times as long as on another.
const standBack = 1000 * time.Nanosecond

var standBackPauses = measuredPauses()

func measuredPauses() uint32 {
	const runs, pauses, most = 3, 50, 64
	least := time.Duration(1<<63 - 1)
	for range runs {
		begun := Monotonic()
		pause(pauses)
		least = min(least, time.Duration(Monotonic()-begun))
	}
	return uint32(min(most, standBack*pauses/max(least, 1)))
}

// Pause lets the other hardware thread of the core go first for a moment, between two looks for something.
func Pause() { pause(1) }

// StandBack lets a producer go first that is close.
func StandBack() { pause(standBackPauses) }
