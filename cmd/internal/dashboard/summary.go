package dashboard

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"datablock/cmd/internal/monitor"

	"datablock"
)

// The levels of a condition.
const (
	levelGood      = "good"
	levelIdle      = "idle"
	levelAttention = "attention"
	levelBad       = "bad"
)

// silentAfter is how long a producer has to write nothing to count as idle.
const silentAfter = 5 * time.Second

func policyName(p uint32) string {
	return map[datablock.Policy]string{datablock.Single: "SINGLE", datablock.DoubleBuffer: "DOUBLE_BUFFER",
		datablock.Ring: "RING"}[datablock.Policy(p)]
}

func stateName(s uint32) string {
	return map[uint32]string{0: "UNREADABLE", 1: "CREATING", 2: "READY", 3: "CLOSED", 4: "SUPERSEDED",
		5: "REPLACING"}[s]
}

func (n *snapshot) summaryOf(b *monitor.Block, history bool) summaryJSON {
	i := b.Info
	s := summaryJSON{
		Name: b.Name, State: stateName(i.State), Policy: policyName(i.Policy), Checksum: checksumName(i),
		Written: i.NextID, Rate: b.Rate, ByteRate: b.ByteRate, Fill: b.Fill, ProducerPID: i.ProducerPID,
		Consumers: i.Consumers, Dead: len(deadConsumers(b)), ConsumerLimit: i.ConsumerLimit, WorstLag: b.WorstLag,
		WorstLagMs: milliseconds(b.WorstLagTime), WorstLagKnown: worstLagKnown(b),
		SlotCount: i.SlotCount, SpareSlots: i.SpareSlots, SlotSize: i.SlotSize, TotalBytes: i.TotalBytes,
	}
	if b.Schema != nil {
		s.Schema = b.Schema.Name + "@" + b.Schema.Version.String()
	}
	if b.Problem != nil {
		s.Problem = b.Problem.Error()
	}
	s.Level, s.Condition = condition(b, n.replaced[b.Name])
	if history {
		s.History = historyOf(b)
	}
	return s
}

func checksumName(i datablock.BlockInfo) string {
	if i.Checksum == uint32(datablock.ChecksumNone) {
		return ""
	}
	return datablock.ChecksumPolicy(i.Checksum).String() + " " + datablock.ChecksumAlgorithm(i.Algorithm).String()
}

func deadConsumers(b *monitor.Block) (dead []*monitor.Consumer) {
	for k := range b.Consumers {
		if c := &b.Consumers[k]; !c.Alive {
			dead = append(dead, c)
		}
	}
	return dead
}

// worstLagKnown reports whether the time of the worst lag is exact.
func worstLagKnown(b *monitor.Block) bool {
	for k := range b.Consumers {
		if c := &b.Consumers[k]; !c.LagTimeKnown && c.Delivery != uint8(datablock.Latest) {
			return false
		}
	}
	return true
}

func historyOf(b *monitor.Block) *historyJSON {
	h := &historyJSON{AtMs: []int64{}, Rate: []float64{}, Lag: []uint64{}}
	for _, p := range b.History {
		h.AtMs, h.Rate, h.Lag = append(h.AtMs, p.At.UnixMilli()), append(h.Rate, p.Rate), append(h.Lag, p.WorstLag)
	}
	return h
}

// condition says what an operator has to know first. replaced is since when the name leads to this
// block, if it led to another one a moment ago, else zero.
func condition(b *monitor.Block, replaced time.Time) (level, text string) {
	switch {
	case b.Problem != nil && errors.Is(b.Problem, datablock.ErrAccess):
		return levelAttention, "not readable by this user"
	case b.Problem != nil:
		return levelBad, "damaged"
	case b.Info.State == 3:
		return levelIdle, "closed by its producer"
	case b.Info.State == 4:
		return levelAttention, "superseded"
	case b.Info.State == 5:
		return levelAttention, "being replaced"
	case b.Info.State != 2:
		return levelAttention, strings.ToLower(stateName(b.Info.State))
	}
	var remarks []string
	level = levelGood
	raise := func(to, format string, arguments ...any) {
		if level == levelGood || to == levelBad || to == levelAttention && level == levelIdle {
			level = to
		}
		remarks = append(remarks, fmt.Sprintf(format, arguments...))
	}
	producerCondition(b, raise)
	if !replaced.IsZero() {
		raise(levelIdle, "replaced another block at %s", replaced.Format(time.TimeOnly))
	}
	if dead := deadConsumers(b); len(dead) > 0 {
		resting := 0
		for _, c := range dead {
			if c.Durable {
				resting++
			}
		}
		if n := len(dead) - resting; n > 0 {
			raise(levelAttention, "%s", several(n, "dead consumer"))
		}
		if resting > 0 {
			raise(levelIdle, "%s away", several(resting, "durable consumer"))
		}
	}
	for k := range b.Consumers {
		if c := &b.Consumers[k]; c.Alive && stopped(c.PID, c.PIDNamespace) {
			raise(levelAttention, "consumer %q is stopped", c.Name)
		}
	}
	if len(remarks) == 0 {
		return level, "running"
	}
	return level, strings.Join(remarks, ", ")
}

func producerCondition(b *monitor.Block, raise func(level, format string, arguments ...any)) {
	switch p := b.Producer; {
	case p == nil:
		raise(levelAttention, "no producer")
	case !p.Alive:
		raise(levelBad, "the producer died")
	case stopped(p.PID, p.PIDNamespace):
		raise(levelAttention, "the producer is stopped")
	case b.Idle >= silentAfter && b.Rate == 0:
		raise(levelIdle, "idle")
	}
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
