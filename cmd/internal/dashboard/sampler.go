package dashboard

import (
	"context"
	"fmt"
	"sync"
	"time"

	"datablock/cmd/internal/faults"
	"datablock/cmd/internal/monitor"
)

const (
	// keptFor is how long the monitor keeps blocks open, and their history, when no client looks. A
	// block that is removed meanwhile keeps its memory until then. Scrapes come more often.
	keptFor = 2 * time.Minute
	// replacedFor is how long a block is shown as one that has replaced another one.
	replacedFor = time.Minute
)

// sampler reads the blocks in one goroutine, for all clients, and only while there is a client: a
// watcher gets every reading, and a request gets one that is not older than the interval.
type sampler struct {
	interval  time.Duration
	directory string
	advise    Advice
	monitor   *monitor.Monitor     // used by run alone
	replaced  map[string]time.Time // used by run alone: names that lead to another block since then

	mu       sync.Mutex
	newest   *snapshot
	watchers map[chan *snapshot]struct{}
	waiting  []chan *snapshot
	wake     chan struct{} // holds one signal: there is a new watcher or request
	readings uint64        // so far
}

func newSampler(c *checked) *sampler {
	m := monitor.New(monitor.Options{Directory: c.Directory, History: historyPoints * c.Interval})
	return &sampler{interval: c.Interval, directory: c.Directory, advise: c.Advise,
		monitor: m, replaced: map[string]time.Time{},
		watchers: map[chan *snapshot]struct{}{}, wake: make(chan struct{}, 1)}
}

// run reads until the context ends.
func (s *sampler) run(ctx context.Context) {
	defer s.monitor.Close()
	for ctx.Err() == nil {
		pause := s.pause()
		if pause == 0 {
			s.publish()
			continue
		}
		idle := pause < 0
		if idle {
			pause = keptFor
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
			if idle {
				s.monitor.Close()
			}
		}
		timer.Stop()
	}
}

// pause is the time until the next reading, negative if there is no client.
func (s *sampler) pause() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting)+len(s.watchers) == 0 {
		return -1
	}
	if s.newest == nil {
		return 0
	}
	return max(0, s.interval-time.Since(s.newest.begun))
}

// publish reads the blocks once, and gives the reading to every client.
func (s *sampler) publish() {
	begun := time.Now()
	next := newSnapshot(s, s.view(), begun)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest, s.readings = next, s.readings+1
	for _, client := range s.waiting {
		client <- next
	}
	s.waiting = nil
	for watcher := range s.watchers {
		select {
		case <-watcher: // a slow watcher misses readings, and gets the newest one
		default:
		}
		watcher <- next
	}
}

// view reads the blocks. If that faults, the blocks are read again at the next time.
func (s *sampler) view() (v *monitor.View) {
	if err := faults.Catch(func() error { v = s.monitor.Sample(); return nil }); err != nil {
		v = &monitor.View{At: time.Now(), Problem: err}
	}
	for _, b := range v.Blocks {
		if b.Replaced {
			s.replaced[b.Name] = v.At
		}
	}
	for name, at := range s.replaced {
		if v.At.Sub(at) > replacedFor {
			delete(s.replaced, name)
		}
	}
	return v
}

func (s *sampler) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// current is a reading that is not older than the interval.
func (s *sampler) current(ctx context.Context) (*snapshot, error) {
	s.mu.Lock()
	if s.newest != nil && time.Since(s.newest.begun) < s.interval {
		defer s.mu.Unlock()
		return s.newest, nil
	}
	client := make(chan *snapshot, 1)
	s.waiting = append(s.waiting, client)
	s.mu.Unlock()
	s.signal()
	ctx, cancel := context.WithTimeout(ctx, answerTimeout/2)
	defer cancel()
	select {
	case found := <-client:
		return found, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("the blocks were not read in time: %w", ctx.Err())
	}
}

// watch gives every reading from now on to the channel that it returns, until end is called.
func (s *sampler) watch() (readings <-chan *snapshot, end func()) {
	watcher := make(chan *snapshot, 1)
	s.mu.Lock()
	if s.newest != nil && time.Since(s.newest.begun) < s.interval {
		watcher <- s.newest
	}
	s.watchers[watcher] = struct{}{}
	s.mu.Unlock()
	s.signal()
	return watcher, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, watcher)
	}
}
