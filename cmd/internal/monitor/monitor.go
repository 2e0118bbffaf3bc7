// Package monitor samples the blocks of a directory, read-only.
package monitor

import (
	"time"

	"datablock"
)

type Options struct {
	Directory string
	Names     []string
	History   int
}
type Point struct {
	At     time.Time
	NextID uint64
}
type Consumer struct {
	datablock.ParticipantMetrics
	Rate         float64
	LagTime      time.Duration
	LagTimeKnown bool
	Trend        int
	HeldUp       time.Duration
}
type Block struct {
	Name           string
	Problem        error
	State          string
	Metrics        *datablock.Metrics
	Info           datablock.BlockInfo
	Schema         *datablock.Schema
	Producer       *datablock.ParticipantMetrics
	Consumers      []Consumer
	Rate, ByteRate float64
	Fill           float64
	WorstLag       uint64
	WorstLagTime   time.Duration
	History        []Point
	Replaced       bool
}
type View struct {
	At     time.Time
	Took   time.Duration
	Blocks []*Block
}
type Monitor struct {
	o    Options
	last map[string]*Block
	at   time.Time
}

func New(o Options) *Monitor { return &Monitor{o: o, last: map[string]*Block{}} }
func (m *Monitor) Sample() *View {
	v := &View{At: time.Now()}
	l, _ := datablock.List(m.o.Directory)
	now := map[string]*Block{}
	for _, i := range l {
		b := &Block{Name: i.Name, Info: i, State: "READY"}
		v.Blocks = append(v.Blocks, b)
		x, all, err := datablock.ReadMetrics(i.Name, m.o.Directory)
		if err != nil {
			b.Problem = err
			continue
		}
		b.Metrics, b.Info = x, x.Block
		b.Schema, _ = datablock.BlockSchema(i.Name, m.o.Directory)
		if was := m.last[i.Name]; was != nil {
			b.History = was.History
			b.Rate = float64(x.Written-was.Metrics.Written) / v.At.Sub(m.at).Seconds()
		}
		b.History = append(b.History, Point{v.At, i.NextID})
		now[i.Name] = b
		for k := range all {
			if all[k].Role == datablock.RoleProducer {
				b.Producer = &all[k]
				continue
			}
			b.Consumers = append(b.Consumers, Consumer{ParticipantMetrics: all[k]})
			b.WorstLag = max(b.WorstLag, all[k].Behind)
		}
	}
	m.last, m.at = now, v.At
	v.Took = time.Since(v.At)
	return v
}
