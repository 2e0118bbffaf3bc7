package dashboard

import (
	"encoding/hex"
	"fmt"
	"time"

	"datablock/cmd/internal/faults"
	"datablock/cmd/internal/monitor"
	"datablock/internal/core/segment"

	"datablock"
)

// Advice says what to do about a stuck slot; "" if nothing. reference is how commands find the
// block.
type Advice func(slot datablock.SlotDiagnosis, reference string) string

// detailJSON is all about one block. A part that could not be read is null, and errors has why.
type detailJSON struct {
	At        time.Time         `json:"at"`
	AtMs      int64             `json:"at_ms"`
	Found     bool              `json:"found"` // false: the block is not there, and block has only its name
	Block     summaryJSON       `json:"block"`
	Metrics   *metricsJSON      `json:"metrics"`
	Producer  *participantJSON  `json:"producer"`
	Consumers []participantJSON `json:"consumers"`
	Slots     *slotsJSON        `json:"slots"`
	Log       []recordJSON      `json:"log"`
	Schema    *schemaJSON       `json:"schema"`
	Newest    *messageJSON      `json:"newest"`
	Errors    map[string]string `json:"errors"`
}

type metricsJSON struct {
	Written          uint64  `json:"written"`
	Bytes            uint64  `json:"bytes"`
	Aborted          uint64  `json:"aborted"`
	Fenced           uint64  `json:"fenced"`
	Waits            uint64  `json:"waits"`
	WaitedMs         float64 `json:"waited_ms"`
	Timeouts         uint64  `json:"timeouts"`
	Cleaned          uint64  `json:"cleaned"`
	Recoveries       uint64  `json:"recoveries"`
	SchemaMismatches uint64  `json:"schema_mismatches"`
	AgeMs            float64 `json:"age_ms"`
	IdleMs           float64 `json:"idle_ms"`
	Read             uint64  `json:"read"`
	Missed           uint64  `json:"missed"`
	Lost             uint64  `json:"lost"`
	Overruns         uint64  `json:"overruns"`
	ChecksumFailures uint64  `json:"checksum_failures"`
}

type participantJSON struct {
	Row              uint32    `json:"row"`
	Role             string    `json:"role"`
	Name             string    `json:"name"`
	PID              uint64    `json:"pid"`
	PIDNamespace     uint64    `json:"pid_namespace"` // inode, 0: not known
	OtherNamespace   bool      `json:"other_namespace"`
	UID              uint32    `json:"uid"`
	Level            string    `json:"level"`
	State            string    `json:"state"` // alive, stopped, dead, away
	Alive            bool      `json:"alive"`
	Delivery         string    `json:"delivery"`
	Durable          bool      `json:"durable"`
	AttachedAt       time.Time `json:"attached_at"`
	Cursor           uint64    `json:"cursor"`
	Read             uint64    `json:"read"`
	Rate             float64   `json:"rate"`            // messages a second
	Lag              uint64    `json:"lag"`             // messages
	LagMs            float64   `json:"lag_ms"`          // age of the oldest unread message
	LagKnown         bool      `json:"lag_known"`       // false: LagMs is the least that it can be
	Trend            string    `json:"trend,omitempty"` // of the lag: growing, steady, falling
	HeldUpMs         float64   `json:"held_up_ms"`      // how long it has kept the producer waiting
	Bytes            uint64    `json:"bytes"`
	Missed           uint64    `json:"missed"`
	Lost             uint64    `json:"lost"`
	Overruns         uint64    `json:"overruns"`
	ChecksumFailures uint64    `json:"checksum_failures"`
	Waits            uint64    `json:"waits"`
	WaitedMs         float64   `json:"waited_ms"`
	Timeouts         uint64    `json:"timeouts"`
	SilentMs         *float64  `json:"silent_ms"` // null: not known
	Pins             []uint32  `json:"pins"`
}

type recordJSON struct {
	Number uint64    `json:"number"`
	Time   time.Time `json:"time"`
	PID    uint64    `json:"pid"`
	UID    uint32    `json:"uid"`
	Action string    `json:"action"`
	Target uint64    `json:"target"`
	Text   string    `json:"text"`
}

type schemaJSON struct {
	Name      string `json:"name"`
	Version   string `json:"version"`
	Hash      string `json:"hash"`
	Size      uint64 `json:"size"`
	Alignment uint64 `json:"alignment"`
	Text      string `json:"text"`
}

// describe reads what the overview lacks.
func (n *snapshot) describe(name string) *detailJSON {
	d := &detailJSON{At: n.view.At, AtMs: n.view.At.UnixMilli(), Errors: map[string]string{},
		Consumers: []participantJSON{}, Log: []recordJSON{}}
	b := n.find(name)
	if b == nil {
		d.Block = summaryJSON{Name: name, Level: levelIdle, Condition: "there is no block of this name"}
		return d
	}
	d.Found, d.Block = true, n.summaryOf(b, true)
	if b.Metrics != nil {
		d.Metrics = metricsOf(b.Metrics)
	}
	if b.Producer != nil {
		p := participantOf(b.Producer)
		p.Role, p.Delivery, p.Rate = "producer", "", b.Rate
		d.Producer = &p
	}
	for k := range b.Consumers {
		d.Consumers = append(d.Consumers, consumerOf(&b.Consumers[k]))
	}
	if b.Schema != nil {
		d.Schema = schemaOf(b.Schema)
	}
	if b.Problem != nil {
		return d
	}
	d.read("slots", func() (err error) { d.Slots, err = n.slots(name); return err })
	d.read("log", func() (err error) { d.Log, err = n.log(name); return err })
	d.read("newest", func() (err error) { d.Newest, err = n.newestMessage(name, b.Info.SlotSize); return err })
	return d
}

// read fills a part.
func (d *detailJSON) read(part string, fill func() error) {
	if err := faults.Catch(fill); err != nil {
		d.Errors[part] = err.Error()
	}
}

func metricsOf(m *datablock.Metrics) *metricsJSON {
	return &metricsJSON{
		Written: m.Written, Bytes: m.Bytes, Aborted: m.Aborted, Fenced: m.Fenced, Waits: m.Waits,
		WaitedMs: milliseconds(m.Waited), Timeouts: m.Timeouts, Cleaned: m.Cleaned, Recoveries: m.Recoveries,
		SchemaMismatches: m.SchemaMismatches, AgeMs: milliseconds(m.Age), IdleMs: milliseconds(m.Idle), Read: m.Read,
		Missed: m.Missed, Lost: m.Lost, Overruns: m.Overruns, ChecksumFailures: m.ChecksumFailures,
	}
}

func participantOf(p *datablock.ParticipantMetrics) participantJSON {
	j := participantJSON{
		Row: p.Row, Role: "consumer", Name: p.Name, PID: p.PID, PIDNamespace: p.PIDNamespace,
		OtherNamespace: segment.OtherPIDNamespace(p.PIDNamespace), UID: p.UID, Alive: p.Alive,
		Delivery: datablock.Delivery(p.Delivery).String(), Durable: p.Durable, AttachedAt: p.Attached, Cursor: p.Cursor,
		Read: p.Read, Lag: p.Behind, Bytes: p.Bytes, Missed: p.Missed, Lost: p.Lost, Overruns: p.Overruns,
		ChecksumFailures: p.ChecksumFailures, Waits: p.Waits, WaitedMs: milliseconds(p.Waited), Timeouts: p.Timeouts,
		Pins: append([]uint32{}, p.Pins...), State: "alive", Level: levelGood,
	}
	switch {
	case p.Alive && stopped(p.PID, p.PIDNamespace):
		j.State, j.Level = "stopped", levelAttention
	case !p.Alive && p.Durable:
		j.State, j.Level = "away", levelIdle
	case !p.Alive:
		j.State, j.Level = "dead", levelBad
	}
	if !p.AgeUnknown {
		silent := milliseconds(p.Silent)
		j.SilentMs = &silent
	}
	return j
}

func schemaOf(s *datablock.Schema) *schemaJSON {
	hash := s.Hash()
	return &schemaJSON{s.Name, s.Version.String(), hex.EncodeToString(hash[:]), s.Size, s.Align, s.Text()}
}

func (n *snapshot) log(name string) ([]recordJSON, error) {
	records, err := datablock.RecoveryLog(name, n.directory)
	all := make([]recordJSON, 0, len(records))
	for _, r := range records {
		all = append(all, recordJSON{r.Number, r.Time, r.PID, r.UID, r.ActionName(), r.Target, r.String()})
	}
	return all, err
}

// reference is how a command finds the block: the plain name is enough in the default directory.
func (n *snapshot) reference(name string) string {
	if n.directory == "" {
		return name
	}
	return fmt.Sprintf("%s/%s", n.directory, name)
}

// consumerOf adds what the monitor has found out to what the row says.
func consumerOf(c *monitor.Consumer) participantJSON {
	j := participantOf(&c.Participant)
	j.Rate, j.HeldUpMs = c.Rate, milliseconds(c.HeldUp)
	j.Trend = map[int]string{-1: "falling", 0: "steady", 1: "growing"}[c.Trend]
	j.LagMs, j.LagKnown = milliseconds(c.LagTime), c.LagTimeKnown
	return j
}
