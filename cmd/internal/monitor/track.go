package monitor

import (
	"errors"
	"syscall"
	"time"

	"datablock"
	"datablock/cmd/internal/faults"
)

// track is what the monitor remembers of one name.
type track struct {
	monitor *Monitor
	name    string
	seen    uint64 // number of the last sample that asked for the name

	reader   *datablock.MetricsReader // nil: not open
	problem  error                    // of the last sample
	tried    time.Time                // the last sample that tried to read it
	vanished bool

	// What follows is of the block with this id.
	id     [16]byte
	known  bool
	schema *datablock.Schema

	at      time.Time // of the last reading
	before  *datablock.Metrics
	history history
	begun   time.Time // the first sample
	changed time.Time // the last sample with a new message; zero: none yet
	rows    map[rowKey]*row
}

// rowKey identifies a participant, and not a later owner of its row.
type rowKey struct {
	row      uint32
	attached int64
}

// row is what the monitor remembers of one consumer.
type row struct {
	read   uint64
	behind uint64
	lags   [trendSamples]uint64 // of the last samples
	count  int                  // of samples
	heldUp time.Duration
}

// sample reads the block, nil if it has vanished.
func (t *track) sample() *Block {
	t.tried = time.Now()
	var block *Block
	var replaced bool
	var err error
	for range 2 { // the second time if the name leads to something else by now
		if replaced, err = t.openReader(replaced); err != nil {
			break
		}
		err = faults.Catch(func() (err error) { block, err = t.read(); return err })
		if err == nil {
			break
		}
		t.close()
	}
	t.problem = err
	if err != nil {
		t.vanished = gone(err) && t.monitor.listed()
		if t.vanished {
			return nil
		}
		return t.unreadable()
	}
	block.Replaced = replaced
	if limit := t.monitor.mostOpen; limit > 0 && t.monitor.open > limit {
		t.close()
	}
	return block
}

// openReader opens the block unless it is open. It reports whether another block had the name
// before.
func (t *track) openReader(replaced bool) (bool, error) {
	if t.reader != nil {
		return replaced, nil
	}
	err := t.try()
	if t.monitor.room(err) {
		err = t.try()
	}
	if err != nil {
		return replaced, err
	}
	t.monitor.open++
	if id := t.reader.ID(); !t.known || id != t.id {
		replaced = replaced || t.known
		*t = track{monitor: t.monitor, name: t.name, seen: t.seen, reader: t.reader, tried: t.tried, id: id,
			known: true, rows: map[rowKey]*row{}}
		_ = faults.Catch(func() (err error) { t.schema, err = t.reader.Schema(); return err })
	}
	return replaced, nil
}

func (t *track) try() error {
	return faults.Catch(func() (err error) {
		t.reader, err = datablock.OpenMetrics(t.name, t.monitor.options.Directory)
		return err
	})
}

// tooManyFiles reports whether this process, or the system, has no descriptor left.
func tooManyFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func (t *track) close() {
	if t.reader != nil {
		_ = t.reader.Close()
		t.reader = nil
		t.monitor.open--
	}
}

// unreadable is the block while it has a problem.
func (t *track) unreadable() *Block {
	name := shortName(t.name)
	return &Block{Name: name, Problem: t.problem, State: "unreadable", Info: datablock.BlockInfo{Name: name},
		History: t.history.points}
}

// read reads the figures and compares them with those of the sample before.
func (t *track) read() (*Block, error) {
	metrics, participants, err := t.reader.Read()
	if err != nil {
		return nil, err
	}
	b := &Block{Name: metrics.Block.Name, Metrics: metrics, Info: metrics.Block, Schema: t.schema}
	now := time.Now()
	for i := range participants {
		if p := &participants[i]; p.Role == datablock.RoleProducer {
			b.Producer = p
		} else {
			b.Consumers = append(b.Consumers, Consumer{Participant: *p})
		}
	}
	b.State = stateOf(b)
	t.rates(b, now)
	t.idle(b, now)
	t.history.add(Point{At: now, NextID: b.Info.NextID, Rate: b.Rate, ByteRate: b.ByteRate}, t.monitor.options.History)
	t.consumers(b, now)
	t.history.complete(b)
	b.History = t.history.points
	t.at, t.before = now, metrics
	return b, nil
}

func stateOf(b *Block) string {
	switch b.Info.State {
	case 1:
		return "creating"
	case 3:
		return "closed"
	case 4:
		return "superseded"
	case 5:
		return "replacing"
	}
	if b.Info.ProducerPID == 0 {
		return "dead producer"
	}
	return "live"
}

// perSecond is the rate of a counter. A counter that goes back was damaged, or is another one.
func perSecond(now, then uint64, interval time.Duration) float64 {
	if interval <= 0 || now < then {
		return 0
	}
	return float64(now-then) / interval.Seconds()
}

func (t *track) rates(b *Block, now time.Time) {
	if t.before == nil {
		return
	}
	b.Interval = now.Sub(t.at)
	b.Rate = perSecond(b.Info.NextID, t.before.Block.NextID, b.Interval)
	b.ByteRate = perSecond(b.Metrics.Bytes, t.before.Bytes, b.Interval)
}

func (t *track) idle(b *Block, now time.Time) {
	b.Idle = b.Metrics.Idle
	if t.before != nil && b.Info.NextID != t.before.Block.NextID {
		t.changed = now
		b.Idle = min(b.Idle, b.Interval)
	} else if !t.changed.IsZero() {
		b.Idle = max(b.Idle, now.Sub(t.changed))
	} else { // a producer in a wait calls, and writes nothing
		if t.begun.IsZero() {
			t.begun = now
		}
		b.Idle = max(b.Idle, now.Sub(t.begun))
	}
	b.IdleKnown = !t.changed.IsZero()
	if b.Info.NextID == 0 {
		return
	}
	if committed, ok := t.reader.Committed(b.Info.NextID - 1); ok {
		b.Idle, b.IdleKnown = max(0, now.Sub(committed)), true
	}
}

// consumers adds what the samples show about each consumer.
func (t *track) consumers(b *Block, now time.Time) {
	waited := t.waited(b)
	rows := make(map[rowKey]*row, len(b.Consumers))
	var slowest *row
	var worst uint64
	for i := range b.Consumers {
		c := &b.Consumers[i]
		key := rowKey{c.Row, c.Attached.UnixNano()}
		r := t.rows[key]
		if r == nil {
			r = &row{read: c.Read, behind: c.Behind}
		}
		rows[key] = r
		c.Rate = perSecond(c.Read, r.read, b.Interval)
		c.Trend = r.trend(c.Behind)
		c.LagTime, c.LagTimeKnown = t.lagTime(c, now)
		lossless := c.Delivery == uint8(datablock.Lossless)
		if lossless {
			b.Fill = max(b.Fill, min(1, float64(c.Behind)/float64(max(1, b.Info.SlotCount))))
			if lag := max(c.Behind, r.behind); slowest == nil || lag > worst {
				slowest, worst = r, lag
			}
		}
		if lossless || c.Delivery == uint8(datablock.Ordered) {
			b.WorstLag, b.WorstLagTime = max(b.WorstLag, c.Behind), max(b.WorstLagTime, c.LagTime)
		}
		r.read, r.behind = c.Read, c.Behind
	}
	if slowest != nil {
		slowest.heldUp += waited
	}
	for i := range b.Consumers {
		c := &b.Consumers[i]
		c.HeldUp = rows[rowKey{c.Row, c.Attached.UnixNano()}].heldUp
	}
	t.rows = rows
}

// waited is the producer's time under backpressure since the sample before.
func (t *track) waited(b *Block) time.Duration {
	if t.before == nil {
		return b.Metrics.Waiting
	}
	return max(0, b.Metrics.Waited+b.Metrics.Waiting-t.before.Waited-t.before.Waiting)
}

// lagTime is the age of the message that the consumer reads next.
func (t *track) lagTime(c *Consumer, now time.Time) (time.Duration, bool) {
	if c.Behind == 0 {
		return 0, true
	}
	if committed, ok := t.reader.Committed(c.Cursor); ok {
		return max(0, now.Sub(committed)), true
	}
	return t.history.age(c.Cursor, now)
}
