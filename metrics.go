package datablock

import (
	"time"

	"datablock/internal/core/recovery"

	"datablock/internal/layout"
)

// Metrics are the figures of a block. Each figure is read separately and may change during the
// call.
type Metrics struct {
	Block BlockInfo

	// Of the producer:
	Written  uint64        // messages
	Bytes    uint64        // of their payloads
	Aborted  uint64        // claims
	Fenced   uint64        // claims that a forced recovery took
	Waits    uint64        // claims that had to wait; in a batch each message is a claim
	Timeouts uint64        // waits that ran out
	Scans    uint64        // searches for free slots
	Cleaned  uint64        // rows of dead consumers
	Waited   time.Duration // under backpressure
	Waiting  time.Duration // the same, of a wait that has not ended; 0: there is none, or it is not known
	Age      time.Duration // since the block was made
	Idle     time.Duration // since the producer's last call

	// Sums over the attached consumers:
	Read             uint64 // messages
	Missed           uint64 // messages that were overwritten before they were read
	Lost             uint64 // messages that an operator discarded
	Overruns         uint64 // messages that were overwritten while they were read
	ChecksumFailures uint64 // messages that were not what was written
	MaxLag           uint64 // the largest lag of the LOSSLESS and ORDERED consumers, in messages

	SchemaMismatches uint64 // opens that were refused because of the schema
	Recoveries       uint64 // records that the recovery log ever had
}

// RowInfo is one participant. Alive is the kernel's answer about its lease.
type RowInfo struct {
	Row          uint32 // 0: the producer
	Status       uint32 // 1 attaching, 2 active, 3 durable and dead, 4 being evicted
	Name         string
	PID          uint64
	Role         uint8 // RoleProducer or RoleConsumer
	Delivery     uint8 // a Delivery
	Durable      bool
	Alive        bool
	Cursor       uint64   // id of the next message
	Read         uint64   // messages
	Missed       uint64   // messages
	Pins         []uint32 // the slots that it holds by a hazard pointer
	Silent       time.Duration
	AgeUnknown   bool   // Silent is not known: the clock of the row is another one
	PIDNamespace uint64 // inode of the pid namespace of PID; 0: not known
}

// The roles of participants.
const (
	RoleProducer = layout.RoleProducer
	RoleConsumer = layout.RoleConsumer
)

// Lag is how many messages a consumer has yet to read. next is the id of the next message of the
// block, BlockInfo.NextID.
func (i RowInfo) Lag(next uint64) uint64 {
	return recovery.RowInfo{Row: i.Row, Cursor: i.Cursor}.Lag(next)
}

// String returns the participant in readable form.
func (i RowInfo) String() string {
	return recovery.RowInfo{Row: i.Row, Name: i.Name, PID: i.PID, PIDNamespace: i.PIDNamespace}.String()
}

func publicRow(r *recovery.RowInfo) RowInfo {
	return RowInfo{
		Row: r.Row, Status: r.Status, Name: r.Name, PID: r.PID, Role: r.Role, Delivery: r.Delivery,
		Durable: r.Durable, Alive: r.Alive, Cursor: r.Cursor, Read: r.Read, Missed: r.Missed, Pins: r.Pins,
		Silent: r.Silent, AgeUnknown: r.AgeUnknown, PIDNamespace: r.PIDNamespace,
	}
}

// ParticipantMetrics are the figures of one participant.
type ParticipantMetrics struct {
	RowInfo
	UID              uint32
	StartTime        uint64 // of the process, in clock ticks since the boot
	Attached         time.Time
	Died             time.Time // zero unless the consumer is durable and was found dead
	Bytes            uint64    // of payloads
	Waits            uint64    // calls that had to wait
	Timeouts         uint64    // waits that ran out
	Waited           time.Duration
	Lost             uint64 // messages that an operator discarded
	Overruns         uint64 // messages that were overwritten while they were read
	ChecksumFailures uint64 // messages that were not what was written
	Behind           uint64 // messages that the consumer has yet to read
}

// ReadMetrics reads the figures of a block and of its participants. Dead participants whose rows
// still exist are included. The name may be an absolute path; an empty directory is the default
// one. ReadMetrics opens read-only and accepts a block in any state.
//
// Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrCorrupt, ErrVersion.
func ReadMetrics(name, directory string) (*Metrics, []ParticipantMetrics, error) {
	figures, participants, err := recovery.ReadMetrics(name, directory)
	if err != nil {
		return nil, nil, public(err)
	}
	return publicMetrics(figures), converted(participants, publicParticipant), nil
}

func publicMetrics(m *recovery.Metrics) *Metrics {
	return &Metrics{
		Block:   BlockInfo(m.Block),
		Written: m.Written, Bytes: m.Bytes, Aborted: m.Aborted, Fenced: m.Fenced, Waits: m.Waits,
		Timeouts: m.Timeouts, Scans: m.Scans, Cleaned: m.Cleaned, Waited: m.Waited, Waiting: m.Waiting,
		Age: m.Age, Idle: m.Idle,
		Read: m.Read, Missed: m.Missed, Lost: m.Lost, Overruns: m.Overruns, ChecksumFailures: m.ChecksumFailures,
		MaxLag: m.MaxLag, SchemaMismatches: m.SchemaMismatches, Recoveries: m.Recoveries,
	}
}

func publicParticipant(p *recovery.ParticipantMetrics) ParticipantMetrics {
	return ParticipantMetrics{
		RowInfo: publicRow(&p.RowInfo), UID: p.UID, StartTime: p.StartTime, Attached: p.Attached, Died: p.Died,
		Bytes: p.Bytes, Waits: p.Waits, Timeouts: p.Timeouts, Waited: p.Waited, Lost: p.Lost, Overruns: p.Overruns,
		ChecksumFailures: p.ChecksumFailures, Behind: p.Behind,
	}
}

// converted returns what f makes of each element; nil for nil.
func converted[From, To any](from []From, f func(*From) To) []To {
	if from == nil {
		return nil
	}
	to := make([]To, len(from))
	for i := range from {
		to[i] = f(&from[i])
	}
	return to
}
