package monitor

import (
	"math"
	"math/bits"
	"time"

	"datablock"
)

// Periods are the statistics of the times between messages. The zero value has none. Its size does
// not depend on the number of messages.
type Periods struct {
	Count    uint64
	Min, Max time.Duration
	total    float64 // ns
	squares  float64 // ns²
	buckets  map[uint32]uint64
}

// A bucket is 1/64 of a power of two, so that a quantile is off by 1.6 % at most.
const bucketBits = 6

func bucketOf(d time.Duration) uint32 {
	n := uint64(max(d, 0))
	if n < 1<<bucketBits {
		return uint32(n)
	}
	shift := bits.Len64(n) - bucketBits - 1
	return uint32(shift+1)<<bucketBits | uint32(n>>shift)&(1<<bucketBits-1)
}

// bucketEnd is the largest time in a bucket.
func bucketEnd(b uint32) time.Duration {
	if b < 1<<bucketBits {
		return time.Duration(b)
	}
	shift := b>>bucketBits - 1
	return time.Duration((uint64(b&(1<<bucketBits-1))|1<<bucketBits+1)<<shift - 1)
}

// Add adds count periods of the same length.
func (p *Periods) Add(d time.Duration, count uint64) {
	if count == 0 {
		return
	}
	d = max(d, 0)
	if p.Count == 0 || d < p.Min {
		p.Min = d
	}
	p.Max = max(p.Max, d)
	p.Count += count
	p.total += float64(d) * float64(count)
	p.squares += float64(d) * float64(d) * float64(count)
	if p.buckets == nil {
		p.buckets = map[uint32]uint64{}
	}
	p.buckets[bucketOf(d)] += count
}

// Mean is 0 without periods.
func (p *Periods) Mean() time.Duration {
	if p.Count == 0 {
		return 0
	}
	return time.Duration(p.total / float64(p.Count))
}

// Jitter is the standard deviation.
func (p *Periods) Jitter() time.Duration {
	if p.Count == 0 {
		return 0
	}
	n := float64(p.Count)
	return time.Duration(math.Sqrt(max(0, p.squares/n-p.total/n*(p.total/n))))
}

// Quantile returns the time that a part of the periods, 0 to 1, does not exceed.
func (p *Periods) Quantile(part float64) time.Duration {
	need, have := uint64(math.Ceil(part*float64(p.Count))), uint64(0)
	for b := range bucketOf(p.Max) + 1 {
		if have += p.buckets[b]; have >= need && have > 0 {
			return min(max(bucketEnd(b), p.Min), p.Max)
		}
	}
	return p.Max
}

// Meter measures the times between the messages of one block. It looks at the block again and again
// and takes no message. If the block stores times, those count. Otherwise the messages that came
// since the look before are taken to have come evenly. One goroutine at a time uses a Meter.
type Meter struct {
	reader *datablock.MetricsReader
	next   uint64    // id of the next message, at the last look
	at     time.Time // of the last message
	stamp  time.Time // of message next - 1, as the block stores it
	any    bool      // at is known
	exact  bool
}

// NewMeter makes a meter that begins with the next message. The reader stays the caller's.
func NewMeter(r *datablock.MetricsReader) (*Meter, error) {
	next, err := r.NextID()
	if err != nil {
		return nil, err
	}
	m := &Meter{reader: r, next: next}
	if next > 0 {
		m.stamp, m.exact = r.Committed(next - 1)
	}
	return m, nil
}

// Exact reports whether the block stored the times of the last messages.
func (m *Meter) Exact() bool { return m.exact }

// mostStamps bounds the times that a look reads. If more messages came, they are taken to have
// come evenly.
const mostStamps = 256

// Look adds the messages since the last look to each of the statistics, and returns their number.
// Errors: as datablock.MetricsReader.NextID.
func (m *Meter) Look(to ...*Periods) (count uint64, err error) {
	next, err := m.reader.NextID()
	now := time.Now()
	if err != nil || next <= m.next {
		if next < m.next {
			m.next, m.any = next, false // damaged
		}
		return 0, err
	}
	count = next - m.next
	add := func(d time.Duration, count uint64) {
		for _, p := range to {
			p.Add(d, count)
		}
	}
	switch newest, ok := m.reader.Committed(next - 1); {
	case ok && count <= mostStamps:
		m.exact = true
		m.stamps(next, add)
	case ok:
		m.exact = true
		if !m.stamp.IsZero() {
			add(newest.Sub(m.stamp)/time.Duration(count), count)
		}
		m.stamp = newest
	case m.any:
		m.exact, m.stamp = false, time.Time{}
		add(now.Sub(m.at)/time.Duration(count), count)
	default: // the first one: nothing is known about the time before it
		m.exact, m.stamp = false, time.Time{}
	}
	m.next, m.at, m.any = next, now, true
	return count, nil
}

// stamps adds the periods up to message next - 1. A message that is overwritten already, or was
// discarded, leaves one period out.
func (m *Meter) stamps(next uint64, add func(time.Duration, uint64)) {
	for id := m.next; id < next; id++ {
		at, ok := m.reader.Committed(id)
		if ok && !m.stamp.IsZero() {
			add(at.Sub(m.stamp), 1)
		}
		if m.stamp = at; !ok {
			m.stamp = time.Time{}
		}
	}
}
