package dashboard

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"datablock/cmd/internal/monitor"
)

// sampler reads the blocks in one goroutine, for all clients, and only while there is a client: a
// watcher gets every reading, and a request gets one that is not older than the interval.
type sampler struct {
	interval  time.Duration
	directory string
	advise    Advice
	read      func() *monitor.View

	mu       sync.Mutex
	newest   *snapshot
	watchers map[chan *snapshot]struct{}
	waiting  []chan *snapshot
	wake     chan struct{} // holds one signal: there is a new watcher or request
	readings uint64        // so far
}

func newSampler(c *checked) *sampler {
	m := monitor.New(monitor.Options{Directory: c.Directory, History: historyPoints})
	return &sampler{interval: c.Interval, directory: c.Directory, advise: c.Advise,
		read:     m.Sample,
		watchers: map[chan *snapshot]struct{}{}, wake: make(chan struct{}, 1)}
}

// run reads until the context ends.
func (s *sampler) run(ctx context.Context) {
	debug.SetPanicOnFault(true) // a file may be truncated while it is read
	for ctx.Err() == nil {
		pause := s.pause()
		if pause == 0 {
			s.publish()
			continue
		}
		var tick <-chan time.Time
		if pause > 0 {
			timer := time.NewTimer(pause)
			defer timer.Stop()
			tick = timer.C
		}
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-tick:
		}
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
	err := guard(func() error { v = s.read(); return nil })
	if err != nil && v == nil {
		v = &monitor.View{At: time.Now()}
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

// guard calls a function that reads blocks. A file that is truncated meanwhile makes the read
// fault, and guard returns this as an error.
func guard(read func() error) (err error) {
	before := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(before)
	defer func() {
		r := recover()
		if _, fault := r.(interface{ Addr() uintptr }); fault {
			err = errTruncated
		} else if r != nil {
			panic(r)
		}
	}()
	return read()
}
