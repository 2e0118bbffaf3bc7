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
	word := func(at uint64) uint64 { return *v.Data.Plain64(at) }
	now := segment.ReadClock()
	idle, _ := now.Since(word(layout.Heartbeat), v.ClockOf(layout.ProducerRow))
	m := &Metrics{
		Block: v.info(), Written: word(layout.MetricWritten), Bytes: word(layout.MetricBytes),
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
			continue
		}
		p := v.participantMetrics(row, now, m.Block.NextID)
		all = append(all, p)
		if row != layout.ProducerRow {
			m.add(&p)
		}
	}
	return m, all, nil
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
