package recovery

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"datablock/internal/core/segment"
	"datablock/internal/core/status"

	"datablock/internal/layout"
	"datablock/internal/platform"
)

// SlotState is what a slot is in use for.
type SlotState uint8

// The states of SlotDiagnostic.
const (
	SlotFree      SlotState = 0
	SlotWriting   SlotState = 1
	SlotCommitted SlotState = 2
	SlotDraining  SlotState = 3
)

// String returns the state's name in diagnosis.
func (s SlotState) String() string {
	return [...]string{"FREE", "WRITING", "COMMITTED", "DRAINING"}[s&3]
}

const (
	// SilentAfter is how long a living holder may be silent before its slot counts as stuck. The
	// holder is a consumer that the producer does not wait for, or a producer within a claim.
	SilentAfter = 30 * time.Second
	// WaitingAfter is how long a living consumer may keep the producer waiting before its slot
	// counts as stuck, unless the caller says otherwise. A producer that is faster than its
	// LOSSLESS consumer waits for it at every message, for microseconds.
	WaitingAfter = time.Second
)

// SlotDiagnosis is one slot, as SlotDiagnostic describes it. Holders lists the participants that
// hold it, informational.
type SlotDiagnosis struct {
	MessageID     uint64
	Index         uint32
	State         SlotState
	WriteLock     uint64
	ReaderCount   uint32
	Generation    uint64
	WriterWaiting bool
	Stuck         bool
	StuckFor      time.Duration
	AgeUnknown    bool // the time is not known: a holder's clock is another one
	Holders       []Holder
}

// Holder is a participant that holds a slot. Alive is the kernel's answer about the lease of its
// row.
type Holder struct {
	Row   uint32 // 0: the producer
	Name  string
	PID   uint64
	Alive bool

	Durable bool // it keeps its place although it is dead

	PIDNamespace uint64 // inode of the pid namespace of PID, 0: not known
}

// String returns the holder in readable form: row 2 "logger" pid 71 DEAD.
func (h Holder) String() string {
	state := "alive"
	if !h.Alive {
		state = "DEAD"
	}
	if h.Row == layout.ProducerRow {
		return fmt.Sprintf("producer %s %s", segment.ProcessName(h.PID, h.PIDNamespace), state)
	}
	if h.Durable && !h.Alive {
		state = "DEAD, durable"
	}
	return fmt.Sprintf("row %d %q %s %s", h.Row, h.Name, segment.ProcessName(h.PID, h.PIDNamespace), state)
}

// HeldBy returns all holders in one line, "" if there are none.
func (s SlotDiagnosis) HeldBy() string {
	all := make([]string, len(s.Holders))
	for i, h := range s.Holders {
		all[i] = h.String()
	}
	return strings.Join(all, ", ")
}

// StuckText returns StuckFor in readable form.
func (s SlotDiagnosis) StuckText() string {
	return segment.AgeText(s.StuckFor, !s.AgeUnknown || s.StuckFor > 0)
}

// RowInfo is one participant. Alive is the kernel's answer about its lease.
type RowInfo struct {
	Row, Status          uint32 // Status: of the row, layout.Row*
	Name                 string
	PID                  uint64
	Role, Delivery       uint8
	Durable, Alive       bool
	Cursor, Read, Missed uint64
	Pins                 []uint32 // slots
	Silent               time.Duration
	AgeUnknown           bool   // Silent is not known: the row's clock is another one
	PIDNamespace         uint64 // inode of the pid namespace of PID, 0: not known
	lossless             bool
	cleaning             bool // another process is cleaning the row, or attaching there
	// Loaded first: the other fields may be a later participant's, never an earlier one's.
	incarnation uint32
}

// Lag returns how many messages a consumer has yet to read.
func (i RowInfo) Lag(next uint64) uint64 {
	if i.Row == layout.ProducerRow || i.Cursor >= next {
		return 0
	}
	return next - i.Cursor
}

// Diagnosis is a block as it was found, slot by slot and row by row. A block in use changes
// meanwhile.
type Diagnosis struct {
	Block BlockInfo
	Slots []SlotDiagnosis
	Rows  []RowInfo // row 0 is the producer
}

// ErrSlotRange is the cause of an error about a slot that the block does not have.
var ErrSlotRange = errors.New("no such slot")

// Diagnose reads a whole block, in any state. It is read-only and changes nothing. Errors: Invalid,
// NotFound, Access, Corrupt, Version.
func Diagnose(name, directory string) (*Diagnosis, error) {
	return DiagnoseAfter(name, directory, WaitingAfter)
}

// DiagnoseAfter is Diagnose with another time for WaitingAfter.
func DiagnoseAfter(name, directory string, waiting time.Duration) (*Diagnosis, error) {
	if waiting < 0 {
		return nil, negative("time after which a waiting producer counts", waiting)
	}
	l, err := segment.Locate(name, directory)
	if err != nil {
		return nil, err
	}
	v, err := openView(l)
	if err != nil {
		return nil, err
	}
	defer v.close()
	return v.diagnose(waiting), nil
}

// negative refuses a negative time.
func negative(what string, d time.Duration) error {
	return status.Errorf(status.Invalid, "the %s is %v: it cannot be negative", what, d)
}

// DiagnoseSlot reads one slot. Errors: as Diagnose, and ErrSlotRange.
func DiagnoseSlot(name, directory string, slot uint32) (SlotDiagnosis, error) {
	d, err := Diagnose(name, directory)
	if err != nil {
		return SlotDiagnosis{}, err
	}
	if int(slot) >= len(d.Slots) {
		return SlotDiagnosis{}, slotRange(d.Block.Name, slot, uint32(len(d.Slots)))
	}
	return d.Slots[slot], nil
}

func slotRange(name string, slot, slots uint32) error {
	return &status.Error{Code: status.Invalid, Cause: ErrSlotRange,
		Detail: fmt.Sprintf("block %q has slots 0 to %d, there is no slot %d", name, slots-1, slot)}
}

func (v *view) diagnose(waiting time.Duration) *Diagnosis {
	d := &Diagnosis{Block: v.info(), Slots: make([]SlotDiagnosis, v.Slots())}
	now := segment.ReadClock()
	for row := uint32(0); row <= v.ConsumerLimit; row++ {
		if v.RowStatus(row) != layout.RowFree {
			d.Rows = append(d.Rows, v.rowInfo(row, now))
		}
	}
	for slot := range v.Slots() {
		d.Slots[slot] = v.plainSlot(slot)
	}
	for i := range v.Entries {
		e := v.Entries[i].Load()
		if slot := layout.EntrySlot(e); !layout.EntryEmpty(e) && slot < v.Slots() {
			s := &d.Slots[slot]
			s.State, s.WriteLock = SlotCommitted, 0
		}
	}
	v.addReaders(d, v.waiting(now), waiting)
	v.addWriter(d, now)
	return d
}

// plainSlot returns what a slot's own header says.
func (v *view) plainSlot(slot uint32) SlotDiagnosis {
	at := v.SlotHeader(slot)
	claim := *v.Data.Plain64(at + layout.SlotClaim)
	s := SlotDiagnosis{Index: slot, MessageID: *v.Data.Plain64(at + layout.SlotID),
		Generation: layout.ClaimGeneration(claim)}
	if claim&layout.ClaimOpen != 0 {
		s.State = SlotWriting
		s.WriteLock = *v.Data.Plain64(layout.ProducerPID)
	}
	return s
}

func (v *view) rowInfo(row uint32, now segment.Clock) RowInfo {
	at, incarnation := v.Header.RowOffset(row), v.IncarnationOf(row)
	owner := segment.Probe(v.ask, row)
	silent, known := now.Since(*v.Ctl.Plain64(at + layout.RowHeartbeat), v.ClockOf(row))
	r := RowInfo{
		incarnation: incarnation, Row: row, Status: v.RowStatus(row), Name: v.RowName(row),
		PID: *v.Ctl.Plain64(at + layout.RowPID), Role: v.Ctl[at+layout.RowRole],
		Delivery: v.Ctl[at+layout.RowDelivery],
		Durable:  v.Ctl[at+layout.RowDurable] == 1, Alive: owner != segment.OwnerDead,
		cleaning: owner == segment.OwnerCleaning,
		Cursor:   v.Cursor(row).Load(),
		Read:     *v.Ctl.Plain64(at + layout.RowRead), Missed: *v.Ctl.Plain64(at + layout.RowMissed), Silent: silent,
		AgeUnknown:   !known,
		PIDNamespace: *v.Ctl.Plain64(at + layout.RowPIDNS), lossless: v.MaskHas(v.Lossless, row),
	}
	if row == layout.ProducerRow {
		r.Cursor = v.End()
		silent, known = now.Since(*v.Data.Plain64(layout.Heartbeat), v.ClockOf(row))
		r.Silent, r.AgeUnknown = silent, !known
	}
	if v.MaskHas(v.Active, row) {
		for k := range uint64(layout.MaxPins) {
			if p := v.Pin(row, k).Load(); p != 0 && p <= uint64(v.Slots()) {
				r.Pins = append(r.Pins, uint32(p-1))
			}
		}
	}
	return r
}

// producerWait is what the producer waits for, and for how long it has waited.
type producerWait struct {
	cursor uint64 // the cursor that has to be reached; 0: it waits for no cursor
	since  time.Duration
	known  bool
	dated  bool // since counts: libraries before WaitSince did not write it
}

// waiting returns what a living producer waits for, if it waits for a cursor. The wait of a dead
// producer is still in the block, and does not count.
func (v *view) waiting(now segment.Clock) (w producerWait) {
	awaited := v.ProducerWaiting.Load()
	if awaited == 0 || awaited == layout.WaitAny || segment.Probe(v.ask, layout.ProducerRow) == segment.OwnerDead {
		return producerWait{}
	}
	begun := *v.Data.Plain64(layout.WaitSince)
	w.cursor, w.dated = awaited, begun != 0
	w.since, w.known = now.Since(begun, v.ClockOf(layout.ProducerRow))
	return w
}

// keptWaiting returns for how long a consumer has kept the producer waiting.
func (w producerWait) keptWaiting(r RowInfo) (d time.Duration, known bool) {
	if !w.dated {
		return r.Silent, !r.AgeUnknown
	}
	return w.since, w.known
}

// keptBy reports whether the producer waits for this consumer.
func (w producerWait) keptBy(r RowInfo) bool {
	return r.lossless && w.cursor != 0 && r.Cursor < w.cursor
}

// cursorSlot returns the slot of the message that a LOSSLESS consumer has yet to read, or is
// reading.
func (v *view) cursorSlot(r RowInfo) (slot uint32, ok bool) {
	e := v.Entry(r.Cursor).Load()
	slot = layout.EntrySlot(e)
	return slot, r.lossless && !layout.EntryEmpty(e) && slot < v.Slots() && layout.EntryID(e, r.Cursor) == r.Cursor
}

// addReaders adds each consumer to the slots that it holds, by a hazard pointer or by a LOSSLESS
// cursor.
func (v *view) addReaders(d *Diagnosis, wait producerWait, threshold time.Duration) {
	for _, r := range d.Rows {
		if r.Role != layout.RoleConsumer {
			continue
		}
		held := r.Pins
		next, ok := v.cursorSlot(r)
		if ok && !slices.Contains(held, next) {
			held = append(held, next)
		}
		for _, slot := range held {
			s := &d.Slots[slot]
			if s.State == SlotFree {
				s.State = SlotDraining
			}
			s.ReaderCount++
			s.Holders = append(s.Holders, Holder{r.Row, r.Name, r.PID, r.Alive, r.Durable, r.PIDNamespace})
			s.AgeUnknown = s.AgeUnknown || r.AgeUnknown
			if !r.Alive || r.Silent > SilentAfter {
				s.Stuck = true
				s.StuckFor = max(s.StuckFor, r.Silent)
			}
			if !ok || slot != next || !wait.keptBy(r) {
				continue
			}
			s.WriterWaiting = true
			if kept, known := wait.keptWaiting(r); !known {
				s.AgeUnknown = true
			} else if kept >= threshold {
				s.Stuck = true
				s.StuckFor = max(s.StuckFor, kept)
			}
		}
	}
}

// addWriter judges the open claim.
func (v *view) addWriter(d *Diagnosis, now segment.Clock) {
	alive := segment.Probe(v.ask, layout.ProducerRow) != segment.OwnerDead
	open, known := now.Since(*v.Data.Plain64(layout.ClaimSince), v.ClockOf(layout.ProducerRow))
	for i := range d.Slots {
		s := &d.Slots[i]
		if s.State != SlotWriting {
			continue
		}
		if id := *v.Data.Plain64(layout.ClaimID); id != 0 {
			s.MessageID = id - 1
		}
		s.Holders = append(s.Holders, Holder{Row: layout.ProducerRow, PID: s.WriteLock, Alive: alive,
			PIDNamespace: *v.Data.Plain64(layout.ProducerPIDNS)})
		s.AgeUnknown = s.AgeUnknown || !known
		if !alive || open > SilentAfter {
			s.Stuck = true
			s.StuckFor = max(s.StuckFor, open)
		}
	}
}

// ProcessAlive reports whether a process with that pid runs in this pid namespace. Informational:
// the library itself judges by leases.
func ProcessAlive(pid uint64) bool { return platform.ProcessAlive(pid) }
