package dashboard

import (
	"encoding/json"
	"maps"
	"sync"
	"time"

	"datablock/cmd/internal/monitor"
)

// historyPoints is how many readings the monitor keeps of each block, if a client always looks.
const historyPoints = 300

// snapshot is one reading of all blocks. What several clients ask for is made once.
type snapshot struct {
	view      *monitor.View
	begun     time.Time
	interval  time.Duration
	directory string
	advise    Advice
	replaced  map[string]time.Time

	event   func() []byte
	mu      sync.Mutex
	details map[detailKey]func() []byte
}

type detailKey struct {
	name   string
	values bool
}

func newSnapshot(s *sampler, v *monitor.View, begun time.Time) *snapshot {
	n := &snapshot{view: v, begun: begun, interval: s.interval, directory: s.directory, advise: s.advise,
		replaced: maps.Clone(s.replaced),
		details:  map[detailKey]func() []byte{}}
	n.event = sync.OnceValue(func() []byte {
		body, err := json.Marshal(n.all(false))
		if err != nil {
			body, _ = json.Marshal(failure{err.Error(), 500})
		}
		return event("view", body)
	})
	return n
}

// find returns the block with the name, nil if there is none.
func (n *snapshot) find(name string) *monitor.Block {
	return n.view.Find(name)
}

// detail is all about one block, as JSON. values: with the value of the newest message, which may
// be large.
func (n *snapshot) detail(name string, values bool) []byte {
	key := detailKey{name, values}
	n.mu.Lock()
	made, known := n.details[key]
	if !known && len(n.details) < 2*streamsMost {
		made = sync.OnceValue(func() []byte { return n.makeDetail(key) })
		n.details[key] = made
	}
	n.mu.Unlock()
	if made == nil {
		return n.makeDetail(key)
	}
	return made()
}

func (n *snapshot) makeDetail(key detailKey) []byte {
	described := n.describe(key.name)
	if described.Newest != nil && !key.values {
		described.Newest.Value = nil
	}
	body, err := json.Marshal(described)
	if err != nil {
		body, _ = json.Marshal(failure{err.Error(), 500})
	}
	return body
}

// blocksJSON is the overview.
type blocksJSON struct {
	At         time.Time     `json:"at"`
	AtMs       int64         `json:"at_ms"`
	TookMs     float64       `json:"took_ms"`
	IntervalMs int64         `json:"interval_ms"`
	Problem    string        `json:"problem,omitempty"` // why the directory cannot be read
	Blocks     []summaryJSON `json:"blocks"`
}

// summaryJSON is one block in the overview.
type summaryJSON struct {
	Name      string `json:"name"`
	Level     string `json:"level"`     // good, idle, attention or bad
	Condition string `json:"condition"` // in words
	Problem   string `json:"problem,omitempty"`
	State     string `json:"state"`
	Policy    string `json:"policy,omitempty"`
	Schema    string `json:"schema,omitempty"`
	Checksum  string `json:"checksum,omitempty"`

	Written  uint64  `json:"written"` // id of the next message
	Rate     float64 `json:"rate"`    // messages a second
	ByteRate float64 `json:"byte_rate"`
	Fill     float64 `json:"fill"` // 0 to 1

	ProducerPID   uint64  `json:"producer_pid"` // 0: no living producer
	Consumers     uint32  `json:"consumers"`    // living
	Dead          int     `json:"dead"`         // consumers whose row is still there
	ConsumerLimit uint32  `json:"consumer_limit"`
	WorstLag      uint64  `json:"worst_lag"`       // messages, of LOSSLESS and ORDERED consumers
	WorstLagMs    float64 `json:"worst_lag_ms"`    // of the same
	WorstLagKnown bool    `json:"worst_lag_known"` // false: WorstLagMs is the least that it can be

	SlotCount  uint32       `json:"slot_count"`
	SpareSlots uint32       `json:"spare_slots"`
	SlotSize   uint64       `json:"slot_size"`
	TotalBytes uint64       `json:"total_bytes"`
	History    *historyJSON `json:"history,omitempty"`
}

// historyJSON has the earlier readings of a block, oldest first.
type historyJSON struct {
	AtMs []int64   `json:"at_ms"`
	Rate []float64 `json:"rate"` // messages a second, since the reading before
	Lag  []uint64  `json:"lag"`  // the worst one, messages
}

// all is the overview.
func (n *snapshot) all(history bool) blocksJSON {
	v := n.view
	all := blocksJSON{At: v.At, AtMs: v.At.UnixMilli(), TookMs: milliseconds(v.Took),
		IntervalMs: n.interval.Milliseconds(), Blocks: make([]summaryJSON, 0, len(v.Blocks))}
	for _, b := range v.Blocks {
		all.Blocks = append(all.Blocks, n.summaryOf(b, history))
	}
	if v.Problem != nil {
		all.Problem = v.Problem.Error()
	}
	return all
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
