package monitor

import (
	"sort"
	"time"
)

// mostPoints bounds the points of a block, whatever the interval of the samples is.
const mostPoints = 600

// history is the earlier samples of a block. Its points never change once another view has them:
// points are only appended, and a point that is left out makes a copy.
type history struct{ points []Point }

// add appends a point and drops those that are too old. If samples come faster than mostPoints in
// the whole time, the point before is left out.
func (h *history) add(p Point, keep time.Duration) {
	if n := len(h.points); n > 0 && p.NextID < h.points[n-1].NextID { // damaged: what was before means nothing
		h.points = nil
	} else if n > 1 && p.At.Sub(h.points[n-2].At) < keep/mostPoints {
		h.points = append(make([]Point, 0, 2*n), h.points[:n-1]...)
	}
	for len(h.points) > 1 && (p.At.Sub(h.points[0].At) > keep || len(h.points) >= mostPoints) {
		h.points = h.points[1:]
	}
	h.points = append(h.points, p)
}

// complete adds to the newest point what was not known before.
func (h *history) complete(b *Block) {
	p := &h.points[len(h.points)-1]
	p.WorstLag, p.WorstLagTime = b.WorstLag, b.WorstLagTime
}

// age is how long ago a message that exists was written. Between two samples the messages are taken
// to have come evenly. It reports false if the message is older than all samples.
func (h *history) age(id uint64, now time.Time) (age time.Duration, known bool) {
	i := sort.Search(len(h.points), func(i int) bool { return h.points[i].NextID > id })
	switch {
	case len(h.points) == 0 || i == len(h.points): // written since the newest sample
		return 0, true
	case i == 0:
		return now.Sub(h.points[0].At), false
	}
	before, after := h.points[i-1], h.points[i]
	part := float64(id+1-before.NextID) / float64(after.NextID-before.NextID)
	at := before.At.Add(time.Duration(part * float64(after.At.Sub(before.At))))
	return max(0, now.Sub(at)), true
}

// trendSamples is how many samples a trend is of.
const trendSamples = 5

// trend compares a lag with the lags of the last samples, and remembers it. A change of a tenth, or
// of one message, is none.
func (r *row) trend(lag uint64) int {
	n := min(r.count, trendSamples)
	var mean float64
	for _, l := range r.lags[:n] {
		mean += float64(l) / float64(n)
	}
	r.lags[r.count%trendSamples] = lag
	r.count++
	if n == 0 {
		return 0
	}
	change, least := float64(lag)-mean, max(1, mean/10)
	switch {
	case change > least:
		return 1
	case change < -least:
		return -1
	}
	return 0
}
