package recovery

import (
	"time"

	"datablock/internal/core/segment"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// Metrics are a block's figures: the producer's words, and sums and extremes over the attached
// consumers. Each word behind them has one writer.
type Metrics struct {
	Block BlockInfo

	Written, Bytes, Aborted, Fenced uint64 // messages, payload bytes, claims
	Waits, Timeouts, Scans, Cleaned uint64 // of the producer; cleaned rows of dead consumers
	Waited                          time.Duration
	Waiting                         time.Duration // so far, of a wait that has not ended; 0: none, or not known
	Age, Idle                       time.Duration // since the block was made; since the producer's last call

	Read, Missed, Lost, Overruns, ChecksumFailures uint64 // by attached consumers
	MaxLag                                         uint64 // of LOSSLESS and ORDERED consumers
	SchemaMismatches                               uint64 // opens that were refused because of the schema
	Recoveries                                     uint64 // records that the recovery log ever had
}

// ParticipantMetrics are one participant's figures.
type ParticipantMetrics struct {
	RowInfo
	UID                                      uint32
	StartTime                                uint64
	Attached, Died                           time.Time // Died is zero unless it is durable and was found dead
	Bytes, Waits, Timeouts                   uint64
	Waited                                   time.Duration
	Lost, Overruns, ChecksumFailures, Behind uint64
}

// ReadMetrics reads a block's figures, in any state. It is read-only. The figures change meanwhile,
// each by itself. Errors: as Diagnose.
func ReadMetrics(name, directory string) (*Metrics, []ParticipantMetrics, error) {
	l, err := segment.Locate(name, directory)
	if err != nil {
		return nil, nil, err
	}
	v, err := openView(l)
	if err != nil {
		return nil, nil, err
	}
	defer v.close()
	m, all := v.readMetrics(segment.ReadClock())
	return m, all, nil
}

func (v *view) readMetrics(now segment.Clock) (*Metrics, []ParticipantMetrics) {
	word := func(at uint64) uint64 { return *v.Data.Plain64(at) }
	idle, _ := now.Since(word(layout.Heartbeat), v.ClockOf(layout.ProducerRow))
	m := &Metrics{
		Block: v.describe(), Written: word(layout.MetricWritten), Bytes: word(layout.MetricBytes),
		Aborted: word(layout.MetricAborted), Fenced: word(layout.MetricFenced),
		Waits: word(layout.MetricWaits), Waited: time.Duration(word(layout.MetricWaitNs)),
		Timeouts: word(layout.MetricTimeouts), Scans: word(layout.MetricScans),
		Cleaned: v.Ctl.U64(layout.CtlCleaned).Load(), Age: segment.Since(v.Created, platform.Realtime()), Idle: idle,
		SchemaMismatches: v.Ctl.U64(layout.CtlMismatches).Load(),
		Recoveries:       v.Ctl.U64(v.LogOffset + layout.LogNext).Load(),
	}
	var all []ParticipantMetrics
	for row := uint32(0); row <= v.ConsumerLimit; row++ {
		if v.RowStatus(row) == layout.RowFree {
			if row == layout.ProducerRow && segment.Probe(v.ask, row) == segment.OwnerAlive {
				v.nameProducer(&m.Block)
			}
			continue
		}
		p := v.participantMetrics(row, now, m.Block.NextID)
		all = append(all, p)
		living := p.Alive && !p.cleaning
		switch {
		case row != layout.ProducerRow:
			m.add(&p)
			if living {
				m.Block.Consumers++
			}
		case living:
			v.nameProducer(&m.Block)
			m.Waiting = v.waitedSoFar(now)
		}
	}
	return m, all
}

// waitedSoFar returns for how long a living producer has waited for room.
func (v *view) waitedSoFar(now segment.Clock) time.Duration {
	begun := *v.Data.Plain64(layout.WaitSince)
	if v.ProducerWaiting.Load() == 0 || begun == 0 {
		return 0
	}
	waited, _ := now.Since(begun, v.ClockOf(layout.ProducerRow))
	return waited
}

func (m *Metrics) add(p *ParticipantMetrics) {
	m.Read += p.Read
	m.Missed += p.Missed
	m.Lost += p.Lost
	m.Overruns += p.Overruns
	m.ChecksumFailures += p.ChecksumFailures
	if p.Delivery != layout.Latest {
		m.MaxLag = max(m.MaxLag, p.Behind)
	}
}

func (v *view) participantMetrics(row uint32, now segment.Clock, next uint64) ParticipantMetrics {
	at := v.Header.RowOffset(row)
	word := func(offset uint64) uint64 { return *v.Ctl.Plain64(at + offset) }
	p := ParticipantMetrics{
		RowInfo: v.rowInfo(row, now), UID: v.Ctl.U32(at + layout.RowUID).Load(), StartTime: word(layout.RowStart),
		Attached: time.Unix(0, int64(word(layout.RowAttached))), Bytes: word(layout.RowBytes),
		Waits: word(layout.RowWaits), Timeouts: word(layout.RowTimeouts),
		Waited: time.Duration(word(layout.RowWaitNs)), Lost: word(layout.RowLost), Overruns: word(layout.RowOverruns),
		ChecksumFailures: word(layout.RowChecksums),
	}
	if died := word(layout.RowDied); died != 0 {
		p.Died = time.Unix(0, int64(died))
	}
	p.Behind = p.Lag(next)
	return p
}
