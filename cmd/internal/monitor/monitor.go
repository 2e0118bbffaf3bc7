// Package monitor samples the blocks of a directory, read-only. It attaches to no block, takes no
// row, wakes no process, and changes no byte of a block. It compares each sample with those before,
// and so knows rates, and how old the messages are that a consumer has yet to read.
package monitor

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"datablock"
)

// Options are the settings of a monitor.
type Options struct {
	Directory string        // as in datablock.Config
	Names     []string      // blocks, by name or absolute path; none: all blocks of the directory
	History   time.Duration // for which points are kept; default 2 minutes
	Secret    []byte        // for Observe, as in datablock.Config; the figures need none
}

// View is one sample of all blocks. It never changes, and goroutines may share it.
type View struct {
	At      time.Time     // when the sample began
	Took    time.Duration // until it was complete
	Blocks  []*Block      // sorted by name
	Problem error         // why the directory cannot be read; then there are no blocks
}

// Block is one block in a sample.
type Block struct {
	Name string
	// Problem says why the block cannot be read: it is damaged, truncated, of another version,
	// not for this user. Then the figures are zero, except History.
	Problem error
	// State is "live", "dead producer" (the producer ended without closing the block), "closed",
	// "superseded", "replacing", "creating" or "unreadable". A stopped producer is live.
	State     string
	Metrics   *datablock.Metrics // nil: there is a problem
	Info      datablock.BlockInfo
	Schema    *datablock.Schema // nil: the block has none, or a damaged one
	Consumers []Consumer        // by row, also dead ones whose rows still exist
	Producer  *Participant      // nil: none has the block open, and none died with it

	Interval       time.Duration // that the rates are of; 0 in the first sample, whose rates are 0
	Rate, ByteRate float64       // messages and bytes of payload a second
	// Fill is the part of the ring that the slowest LOSSLESS consumer has yet to read, 0 to 1.
	Fill float64
	// WorstLag is the largest lag of a LOSSLESS or ORDERED consumer, in messages. WorstLagTime is
	// the largest lag of these in time, at least.
	WorstLag     uint64
	WorstLagTime time.Duration
	// Idle is the time since the newest message. If it is not known, Idle is the time since the
	// producer's last call: the message is not younger, unless the producer is in a wait.
	Idle      time.Duration
	IdleKnown bool // the block stores times, or a message came since the first sample

	History  []Point // oldest first, this sample is the last one
	Replaced bool    // another block has taken the name since the sample before: History begins again
}

// Participant is a producer or a consumer.
type Participant = datablock.ParticipantMetrics

// Consumer is a consumer in a sample.
type Consumer struct {
	Participant
	Rate float64 // messages a second that it read
	// LagTime is the age of the oldest message that the consumer has yet to read. If it is not
	// known, the message is older than all samples, and LagTime is the least that it can be.
	LagTime      time.Duration
	LagTimeKnown bool
	Trend        int // of the lag in the last samples: -1 it falls, 1 it grows
	// HeldUp is for how long the consumer held the producer up while it was watched. The producer's
	// time under backpressure counts for the slowest LOSSLESS consumer of each sample.
	HeldUp time.Duration
}

// Point is an earlier sample of a block.
type Point struct {
	At           time.Time
	NextID       uint64
	Rate         float64
	ByteRate     float64
	WorstLag     uint64
	WorstLagTime time.Duration
}

// Monitor samples blocks. One goroutine at a time uses it.
type Monitor struct {
	options  Options
	tracks   map[string]*track // by the name that was asked for
	open     int               // readers
	mostOpen int               // readers that are kept open, 0: no limit was met
	samples  uint64
}

const defaultHistory = 2 * time.Minute

// New makes a monitor. It reads nothing before the first sample.
func New(o Options) *Monitor {
	if o.History <= 0 {
		o.History = defaultHistory
	}
	o.Names = slices.Compact(slices.Sorted(slices.Values(o.Names)))
	return &Monitor{options: o, tracks: map[string]*track{}}
}

// retryTime is what a sample spends, at most, on blocks that could not be read before: to find out
// what is wrong may take a look at every file of the directory.
const retryTime = 20 * time.Millisecond

// Sample reads every block once. It does not fail as a whole: each problem is that of its block.
func (m *Monitor) Sample() *View {
	v := &View{At: time.Now()}
	m.samples++
	names := m.options.Names
	if len(names) == 0 {
		names, v.Problem = datablock.BlockNames(m.options.Directory)
	}
	var troubled []*track
	for _, name := range names {
		t := m.tracks[name]
		if t == nil {
			t = &track{monitor: m, name: name}
			m.tracks[name] = t
		}
		t.seen = m.samples
		if t.problem != nil {
			troubled = append(troubled, t)
			continue
		}
		v.add(t.sample())
	}
	// Those that were tried longest ago are the first ones.
	slices.SortStableFunc(troubled, func(a, b *track) int { return a.tried.Compare(b.tried) })
	begun := time.Now()
	for _, t := range troubled {
		if time.Since(begun) < retryTime {
			v.add(t.sample())
		} else {
			v.add(t.unreadable())
		}
	}
	for name, t := range m.tracks {
		if t.seen != m.samples && v.Problem == nil || t.vanished {
			t.close()
			delete(m.tracks, name)
		}
	}
	slices.SortFunc(v.Blocks, func(a, b *Block) int { return strings.Compare(a.Name, b.Name) })
	v.Took = time.Since(v.At)
	return v
}

// add adds a block, unless it has vanished.
func (v *View) add(b *Block) {
	if b != nil {
		v.Blocks = append(v.Blocks, b)
	}
}

// Find returns a block by its name, nil if it is not in the sample.
func (v *View) Find(name string) *Block {
	at, found := slices.BinarySearchFunc(v.Blocks, name, func(b *Block, name string) int {
		return strings.Compare(b.Name, name)
	})
	if !found {
		return nil
	}
	return v.Blocks[at]
}

// Observe opens an observer of a block, with the monitor's directory and secret. Any goroutine may
// call it. The caller closes the observer. Errors: as datablock.OpenObserver.
func (m *Monitor) Observe(name string) (*datablock.Observer, error) {
	return datablock.OpenObserver(name, datablock.ObserverOptions{Directory: m.options.Directory,
		Secret: m.options.Secret})
}

// Close releases all blocks. A sample afterwards opens them again, and begins new histories.
func (m *Monitor) Close() {
	for name, t := range m.tracks {
		t.close()
		delete(m.tracks, name)
	}
}

// listed reports whether the monitor found the names itself. Then a block that is not there has
// vanished, and is no problem.
func (m *Monitor) listed() bool { return len(m.options.Names) == 0 }

// room makes room for one more reader, if too many files are open. It reports whether it did.
func (m *Monitor) room(err error) bool {
	if !tooManyFiles(err) || m.open == 0 {
		return false
	}
	m.mostOpen = m.open * 3 / 4
	for _, t := range m.tracks {
		if m.open <= m.mostOpen {
			break
		}
		t.close()
	}
	return true
}

func shortName(name string) string { return filepath.Base(name) }

func gone(err error) bool { return errors.Is(err, datablock.ErrNotFound) }
