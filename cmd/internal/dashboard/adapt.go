package dashboard

import (
	"datablock/cmd/internal/monitor"
)

func trendOf(c *monitor.Consumer) string { return "" }

func worstLagMs(b *monitor.Block) *float64 {
	lag := milliseconds(b.WorstLagTime)
	return &lag
}

func historyOf(b *monitor.Block) *historyJSON {
	h := &historyJSON{AtMs: []int64{}, Rate: []float64{}, Lag: []uint64{}}
	for i, p := range b.History {
		rate := 0.0
		if i > 0 {
			rate = float64(p.NextID-b.History[i-1].NextID) / p.At.Sub(b.History[i-1].At).Seconds()
		}
		h.AtMs, h.Rate, h.Lag = append(h.AtMs, p.At.UnixMilli()), append(h.Rate, rate), append(h.Lag, p.WorstLag)
	}
	return h
}
