// Package follow reads the messages of a block one after another, as an observer: the block sees
// nothing of it, and loses no throughput.
package follow

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"datablock"
)

// Start is the first message of a [Reader].
type Start int

// The starts.
const (
	Next   Start = iota // the next message that the producer commits
	Newest              // the newest message present, if there is one
	Oldest              // the oldest message present
)

// MaxMessage is the largest message in bytes that a Reader copies. A damaged or hostile block may
// announce any length.
const MaxMessage = 1 << 30

// Options are the settings of a Reader; zero means the default in every field.
type Options struct {
	Directory string // of the block; default as in datablock.Config
	Secret    []byte // of the block; default: none
	Start     Start  // default Next
}

// Message is a copy of a message.
type Message struct {
	datablock.Observation
	Data []byte // valid until the next call of the reader
	Gap
}

// Gap is what came between a message and the one that the reader returned before it.
type Gap struct {
	Missed    uint64 // messages that the producer had overwritten
	Discarded uint64 // messages that an operator had discarded
}

// Reader follows a block. One goroutine at a time uses it. No method waits.
type Reader struct {
	observer *datablock.Observer
	schema   *datablock.Schema
	next     uint64 // id of the next message to return
	gap      Gap    // since the last message
	buffer   []byte
}

// ErrNothing is the error of Next and Skip while there is no new message.
var ErrNothing = errors.New("there is no new message")

// Open opens an existing block. Errors: as datablock.OpenObserver.
func Open(name string, options Options) (r *Reader, err error) {
	defer guard(&err)()
	o, err := datablock.OpenObserver(name, datablock.ObserverOptions{
		Directory: options.Directory, Secret: options.Secret})
	if err != nil {
		return nil, err
	}
	r = &Reader{observer: o}
	if r.schema, err = o.Schema(); err == nil {
		err = r.start(options.Start)
	}
	if err != nil {
		_ = o.Close()
		return nil, err
	}
	return r, nil
}

func (r *Reader) start(at Start) error {
	oldest, next, err := r.observer.Present()
	if err != nil {
		return err
	}
	r.next = next
	switch at {
	case Oldest:
		r.next = oldest
	case Newest:
		seen, err := r.observer.ReadNewest(nil)
		switch {
		case err == nil:
			r.next = seen.ID
		case errors.Is(err, datablock.ErrNotFound), errors.Is(err, datablock.ErrOverrun):
		default:
			return err
		}
	}
	return nil
}

// Schema returns the schema of the messages, or nil.
func (r *Reader) Schema() *datablock.Schema { return r.schema }

// Close releases the block.
func (r *Reader) Close() error { return r.observer.Close() }

// Next returns the next message. After an error that is about one message, ErrChecksum or
// ErrInvalid (it is larger than MaxMessage), the reader goes on with the message after it.
//
// Errors: ErrNothing, ErrChecksum, ErrInvalid, ErrSuperseded (open again), ErrCorrupt, ErrClosed.
func (r *Reader) Next() (m Message, err error) {
	defer guard(&err)()
	for overruns := uint64(0); overruns < attempts; {
		seen, err := r.observer.ReadAt(r.next, r.buffer)
		switch {
		case err == nil && seen.Length <= uint64(len(r.buffer)):
			return r.take(seen), nil
		case err == nil:
			err = r.enlarge(seen)
		case errors.Is(err, datablock.ErrNotFound):
			return m, ErrNothing
		case errors.Is(err, datablock.ErrLost):
			r.next++
			r.gap.Discarded++
			continue
		case errors.Is(err, datablock.ErrOverrun):
			err = r.catchUp(overruns)
			overruns++
		case errors.Is(err, datablock.ErrChecksum):
			r.next++
		}
		if err != nil {
			return m, err
		}
	}
	return m, ErrNothing
}

// attempts is how often a call may be overtaken by the producer before it gives up for now.
const attempts = 64

// Skip returns the newest message, if Next would return it or one before it. The messages in
// between are skipped on purpose, and are no gap. Errors: as Next.
func (r *Reader) Skip() (m Message, err error) {
	defer guard(&err)()
	for range attempts {
		seen, err := r.observer.ReadNewest(r.buffer)
		switch {
		case err == nil && seen.ID < r.next:
			return m, ErrNothing
		case err == nil && seen.Length <= uint64(len(r.buffer)):
			r.gap = Gap{}
			return r.take(seen), nil
		case err == nil:
			r.next = seen.ID
			err = r.enlarge(seen)
		case errors.Is(err, datablock.ErrNotFound), errors.Is(err, datablock.ErrOverrun):
			return m, ErrNothing
		}
		if err != nil {
			return m, err
		}
	}
	return m, ErrNothing
}

func (r *Reader) take(seen datablock.Observation) Message {
	m := Message{seen, r.buffer[:seen.Length], r.gap}
	r.next, r.gap = seen.ID+1, Gap{}
	return m
}

// enlarge makes the buffer as large as the message, which has to be copied again.
func (r *Reader) enlarge(seen datablock.Observation) error {
	if seen.Length > MaxMessage {
		r.next = seen.ID + 1
		return &datablock.Error{Code: datablock.ErrInvalid, Detail: fmt.Sprintf("block %q: message %d has %d bytes, "+
			"the limit is %d", r.observer.Name(), seen.ID, seen.Length, MaxMessage)}
	}
	r.buffer = make([]byte, max(seen.Length, min(2*uint64(len(r.buffer)), MaxMessage), 4096))
	return nil
}

// catchUp goes on after an overrun. The oldest message present is the next one to be overwritten:
// each further overrun of the same call goes on later in the ring.
func (r *Reader) catchUp(overruns uint64) error {
	oldest, next, err := r.observer.Present()
	if err != nil {
		return err
	}
	to := max(oldest+(next-oldest)*min(overruns, 8)/8, r.next+1)
	r.gap.Missed += to - r.next
	r.next = to
	return nil
}

// guard turns the fault of an access to a truncated file into an error: a process may cut the file
// of a block at any time. Usage: defer guard(&err)().
func guard(err *error) func() {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		r := recover()
		if _, fault := r.(interface{ Addr() uintptr }); fault {
			*err = &datablock.Error{Code: datablock.ErrCorrupt,
				Detail: "the block's file was truncated while it was read"}
		} else if r != nil {
			panic(r)
		}
	}
}

// Pause is a waiting time that grows while there is nothing to read. The zero Pause is ready for
// use.
type Pause struct{ last time.Duration }

// The pauses: a message is seen after the longest at the latest.
const (
	shortestPause = 100 * time.Microsecond
	longestPause  = 5 * time.Millisecond
)

// Next returns the next pause.
func (p *Pause) Next() time.Duration {
	p.last = min(max(2*p.last, shortestPause), longestPause)
	return p.last
}

// Wait waits for the next pause, at most limit, and reports whether the context lives.
func (p *Pause) Wait(ctx context.Context, limit time.Duration) bool {
	timer := time.NewTimer(min(p.Next(), limit))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Reset makes the next pause the shortest one.
func (p *Pause) Reset() { p.last = 0 }
