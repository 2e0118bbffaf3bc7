// Package monitor samples the blocks of a directory, read-only: it takes no row, and wakes no
// process.
package monitor

import (
	"errors"
	"slices"
	"time"

	"datablock"
)

// Options say what to sample.
type Options struct {
	Directory string   // as in datablock.Config
	Names     []string // of blocks; none: all
	History   int      // points that are kept of each block
}

// Point is an earlier sample of a block.
type Point struct {
	At       time.Time
	NextID   uint64
	WorstLag uint64
}

// Consumer is a consumer with what several samples show.
type Consumer struct {
	datablock.ParticipantMetrics
	Rate         float64       // messages a second
	LagTime      time.Duration // age of the oldest message that it has yet to read
	LagTimeKnown bool
	Trend        int // of the lag since the last sample: -1, 0, 1
	HeldUp       time.Duration
}

// Block is a block at one time.
type Block struct {
	Name           string
	Problem        error // why it cannot be read
	Metrics        *datablock.Metrics
	Info           datablock.BlockInfo
	Schema         *datablock.Schema
	Producer       *datablock.ParticipantMetrics
	Consumers      []Consumer
	Rate, ByteRate float64 // a second
	Fill           float64 // 0 to 1
	WorstLag       uint64
	WorstLagTime   time.Duration
	History        []Point // oldest first, this sample included
	Replaced       bool    // another block had the name in the last sample
}

// View is one sample of all blocks.
type View struct {
	At     time.Time
	Took   time.Duration
	Blocks []*Block
}

// Monitor keeps the earlier samples. One goroutine uses it at a time.
type Monitor struct {
	options Options
	before  map[string]*Block
}

// New makes a monitor that has no samples.
func New(o Options) *Monitor { return &Monitor{o, map[string]*Block{}} }

// Sample reads the blocks.
func (m *Monitor) Sample() *View {
	v := &View{At: time.Now()}
	list, err := datablock.List(m.options.Directory)
	now := map[string]*Block{}
	for _, info := range list {
		if len(m.options.Names) > 0 && !slices.Contains(m.options.Names, info.Name) {
			continue
		}
		b := m.read(info, v.At)
		if b == nil {
			continue
		}
		now[b.Name] = b
		v.Blocks = append(v.Blocks, b)
	}
	if err == nil {
		m.before = now
	}
	v.Took = time.Since(v.At)
	return v
}

// read samples one block, nil if it has gone.
func (m *Monitor) read(info datablock.BlockInfo, at time.Time) *Block {
	b := &Block{Name: info.Name, Info: info}
	figures, participants, err := datablock.ReadMetrics(b.Name, m.options.Directory)
	if errors.Is(err, datablock.ErrNotFound) {
		return nil
	}
	if err != nil {
		b.Problem = err
		return b
	}
	b.Metrics, b.Info = figures, figures.Block
	b.Schema, _ = datablock.BlockSchema(b.Name, m.options.Directory)
	was := m.before[b.Name]
	if was != nil && was.Metrics != nil {
		b.Replaced = figures.Written < was.Metrics.Written
	}
	if was == nil || was.Metrics == nil || b.Replaced {
		was = nil
	} else {
		b.History = was.History
		seconds := at.Sub(b.History[len(b.History)-1].At).Seconds()
		b.Rate = float64(figures.Written-was.Metrics.Written) / seconds
		b.ByteRate = float64(figures.Bytes-was.Metrics.Bytes) / seconds
	}
	for i := range participants {
		if participants[i].Role == datablock.RoleProducer {
			b.Producer = &participants[i]
			continue
		}
		b.add(participants[i], was, at)
	}
	b.History = append(b.History[max(0, len(b.History)-m.options.History+1):len(b.History):len(b.History)],
		Point{at, b.Info.NextID, b.WorstLag})
	return b
}

func (b *Block) add(p datablock.ParticipantMetrics, was *Block, at time.Time) {
	c := Consumer{ParticipantMetrics: p}
	if was != nil {
		for i := range was.Consumers {
			if one := &was.Consumers[i]; one.Row == c.Row && one.Attached.Equal(c.Attached) && c.Read >= one.Read {
				c.Rate = float64(c.Read-one.Read) / at.Sub(b.History[len(b.History)-1].At).Seconds()
			}
		}
	}
	c.LagTime, c.LagTimeKnown = b.ageOf(c.Cursor, at)
	if c.Delivery != uint8(datablock.Latest) && b.Info.SlotCount > 0 {
		b.Fill = max(b.Fill, min(1, float64(c.Behind)/float64(b.Info.SlotCount)))
	}
	b.WorstLag, b.WorstLagTime = max(b.WorstLag, c.Behind), max(b.WorstLagTime, c.LagTime)
	b.Consumers = append(b.Consumers, c)
}

// ageOf is how long ago a message was written, as far as the history shows.
func (b *Block) ageOf(id uint64, at time.Time) (time.Duration, bool) {
	if id >= b.Info.NextID {
		return 0, true
	}
	for i, p := range b.History {
		if p.NextID > id {
			return at.Sub(p.At), i > 0
		}
	}
	return 0, len(b.History) > 0
}
