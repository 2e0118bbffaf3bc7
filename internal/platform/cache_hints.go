package platform

import (
	"sync/atomic"
	"time"

	"datablock/internal/layout"
)

// waited is 1 after a wait for a message in this process, until the next demotion.
var waited atomic.Uint32

// NotePolled notes that a participant of this process has waited for a message.
func NotePolled() { waited.Store(1) }

// DemoteIfPolled is the cache-line demotion: it moves a written line and the next line to the
// cache that the cores share. It does so only if a participant of this process has waited for a
// message since the last demotion. Such a process may alternate with another one, which then gets
// the lines sooner. The demotion takes little time compared with a wait.
// It reports whether it did so.
func DemoteIfPolled(line *uint64) bool {
	if waited.Load() == 0 {
		return false
	}
	waited.Store(0)
	handOn(line)
	return true
}

// backoff is the time of a back-off: about twice the time that a producer needs to fill a cache
// line of entries.
const backoff = time.Duration(layout.BackoffNsGo)

// backoffPauses is measured, because a PAUSE takes ten times as long on some processors as on
// others.
var backoffPauses = measuredPauses()

func measuredPauses() uint32 {
	const runs, pauses, most = 3, 50, 64
	least := time.Duration(1<<63 - 1)
	for range runs {
		begun := Monotonic()
		pause(pauses)
		least = min(least, time.Duration(Monotonic()-begun))
	}
	return uint32(min(most, backoff*pauses/max(least, 1)))
}

// Pause pauses between two polls, and gives the core to the other hardware thread meanwhile.
func Pause() { pause(1) }

// Backoff is the back-off of a consumer that shares a cache line with the producer.
func Backoff() { pause(backoffPauses) }
