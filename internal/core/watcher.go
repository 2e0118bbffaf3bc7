package core

import (
	"time"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// A watcher lets a producer that is held up for long sleep for long: the system tells it of the end of every process that holds it up, and it looks at once. Looking every few
// milliseconds instead would cost percents of a core. What it is told decides nothing. It outlives
// a claim that timed out, because a caller that has to look after other things meanwhile waits in slices.
type watcher struct {
	p       *Producer
	watched map[uint64]func() // how to end the watch, by pid
}

// everyHolder watches every process that holds the producer up, and says how long it may sleep: not so long if one cannot be watched, as in another pid namespace.
func (w *watcher) everyHolder() time.Duration {
	slice := watchedSlice
	for _, row := range w.p.holding() {
		if !w.watch(row) {
			slice = patientSlice
		}
	}
	return slice
}

func (w *watcher) watch(row uint32) bool {
	at := w.p.header.row(row)
	pid := *w.p.ctl.plain64(at + layout.RowPID)
	if w.watched[pid] != nil {
		return true
	}
	if *w.p.ctl.plain64(at + layout.RowPIDNS) != *w.p.data.plain64(layout.ProducerPIDNS) || len(w.watched) >= probesASlice {
		return false
	}
	end, err := platform.WatchExit(pid, w.p.wakeProducer)
	if err != nil {
		return false
	}
	if w.watched == nil {
		w.watched = map[uint64]func(){}
	}
	w.watched[pid] = end
	return true
}

// stop ends all watches; nobody wakes the producer on their behalf any more.
func (w *watcher) stop() {
	for _, end := range w.watched {
		end()
	}
	w.watched = nil
}
