package platform

import "sync/atomic"

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
