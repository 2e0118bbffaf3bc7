package core

import (
	"fmt"
	"slices"
	"strings"
	"time"

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

// String is the state as diagnosis prints it.
func (s SlotState) String() string {
	return [...]string{"FREE", "WRITING", "COMMITTED", "DRAINING"}[s&3]
}

// stuckAfter is how long a living holder may be silent before its slot counts as stuck.
const stuckAfter = 30 * time.Second

// SlotDiagnosis is one slot, as SlotDiagnostic describes it; Holders says who has it, for people.
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
	Holders       []Holder
}

// Holder is who has a slot. Alive is what the kernel says of its row's lock.
type Holder struct {
	Row   uint32 // 0: the producer
	Name  string
	PID   uint64
	Alive bool

	Durable bool // keeps its place although it is dead
}

// String is the holder as people read it: row 2 "logger" pid 71 DEAD.
func (h Holder) String() string {
	state := "alive"
	if !h.Alive {
		state = "DEAD"
	}
	if h.Row == layout.ProducerRow {
		return fmt.Sprintf("producer pid %d %s", h.PID, state)
	}
	if h.Durable && !h.Alive {
		state = "DEAD, durable"
	}
	return fmt.Sprintf("row %d %q pid %d %s", h.Row, h.Name, h.PID, state)
}

// HeldBy is all holders in one line, "" if there are none.
func (s SlotDiagnosis) HeldBy() string {
	all := make([]string, len(s.Holders))
	for i, h := range s.Holders {
		all[i] = h.String()
	}
	return strings.Join(all, ", ")
}

// RowInfo is one participant. Alive is what the kernel says of its lock.
type RowInfo struct {
	Row, Status          uint32 // Status: of the row, layout.Row*
	Name                 string
	PID                  uint64
	Role, Delivery       uint8
	Durable, Alive       bool
	Cursor, Read, Missed uint64
	Pins                 []uint32 // slots
	Silent               time.Duration
	lossless             bool
	incarnation          uint32 // loaded first: what else is here may be a later participant's, never an earlier one's
}

// Lag is how many messages a consumer has yet to read.
func (i RowInfo) Lag(next uint64) uint64 {
	if i.Row == layout.ProducerRow || i.Cursor >= next {
		return 0
	}
	return next - i.Cursor
}

// Diagnosis is a block as it was found, slot by slot and row by row. A block in use changes meanwhile.
type Diagnosis struct {
	Block BlockInfo
	Slots []SlotDiagnosis
	Rows  []RowInfo // row 0 is the producer
}

// ErrSlotRange is the cause of an error about a slot that the block does not have.
var ErrSlotRange = fail(Invalid, "no such slot")

// Diagnose looks at a whole block, in any state. Read-only, changes nothing. Errors: Invalid, NotFound, Access, Corrupt, Version.
func Diagnose(name, directory string) (*Diagnosis, error) {
	l, err := locate(name, directory)
	if err != nil {
		return nil, err
	}
	v, err := openView(l)
	if err != nil {
		return nil, err
	}
	defer v.close()
	return v.diagnose(), nil
}

// DiagnoseSlot looks at one slot. Errors as Diagnose, and ErrSlotRange.
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
	return &Error{Code: Invalid, Cause: ErrSlotRange, Detail: fmt.Sprintf("block %q has slots 0 to %d, there is no slot %d", name, slots-1, slot)}
}

func (v *view) diagnose() *Diagnosis {
	d := &Diagnosis{Block: v.info(), Slots: make([]SlotDiagnosis, v.slots())}
	now := platform.Monotonic()
	for row := uint32(0); row <= v.consumerLimit; row++ {
		if v.rowStatus(row) != layout.RowFree {
			d.Rows = append(d.Rows, v.rowInfo(row, now))
		}
	}
	for slot := range v.slots() {
		d.Slots[slot] = v.plainSlot(slot)
	}
	for i := range v.entries {
		e := v.entries[i].Load()
		if slot := layout.EntrySlot(e); !layout.EntryEmpty(e) && slot < v.slots() {
			s := &d.Slots[slot]
			s.State, s.WriteLock = SlotCommitted, 0
		}
	}
	v.addReaders(d)
	v.addWriter(d, now)
	return d
}

// plainSlot is what a slot's own header says.
func (v *view) plainSlot(slot uint32) SlotDiagnosis {
	at := v.slotHeader(slot)
	claim := *v.data.plain64(at + layout.SlotClaim)
	s := SlotDiagnosis{Index: slot, MessageID: *v.data.plain64(at + layout.SlotID), Generation: layout.ClaimGeneration(claim)}
	if claim&layout.ClaimOpen != 0 {
		s.State = SlotWriting
		s.WriteLock = *v.data.plain64(layout.ProducerPID)
	}
	return s
}

func (v *view) rowInfo(row uint32, now uint64) RowInfo {
	at, incarnation := v.header.row(row), v.incarnationOf(row)
	r := RowInfo{
		incarnation: incarnation, Row: row, Status: v.rowStatus(row), Name: v.rowName(row), PID: *v.ctl.plain64(at + layout.RowPID), Role: v.ctl[at+layout.RowRole], Delivery: v.ctl[at+layout.RowDelivery],
		Durable: v.ctl[at+layout.RowDurable] == 1, Alive: probe(v.ask, row) != nobody, Cursor: v.cursor(row).Load(),
		Read: *v.ctl.plain64(at + layout.RowRead), Missed: *v.ctl.plain64(at + layout.RowMissed), Silent: since(*v.ctl.plain64(at + layout.RowHeartbeat), now),
		lossless: v.maskHas(v.lossless, row),
	}
	if row == layout.ProducerRow {
		r.Cursor, r.Silent = v.next(), since(*v.data.plain64(layout.Heartbeat), now)
	}
	if v.maskHas(v.active, row) {
		for k := range uint64(layout.MaxPins) {
			if p := v.pin(row, k).Load(); p != 0 && p <= uint64(v.slots()) {
				r.Pins = append(r.Pins, uint32(p-1))
			}
		}
	}
	return r
}

func since(then, now uint64) time.Duration {
	if then == 0 || then > now {
		return 0
	}
	return time.Duration(now - then)
}

// addReaders attributes every pin, and every LOSSLESS cursor, to the slot it holds.
func (v *view) addReaders(d *Diagnosis) {
	awaited := v.producerWaiting.Load()
	for _, r := range d.Rows {
		if r.Role != layout.RoleConsumer {
			continue
		}
		held := r.Pins
		blocking := false
		if e := v.entry(r.Cursor).Load(); r.lossless && !layout.EntryEmpty(e) && layout.EntrySlot(e) < v.slots() {
			if slot := layout.EntrySlot(e); layout.EntryID(e, r.Cursor) == r.Cursor && !slices.Contains(held, slot) {
				held = append(held, slot)
				blocking = awaited != 0 && awaited != layout.WaitAny && r.Cursor < awaited
			}
		}
		for _, slot := range held {
			s := &d.Slots[slot]
			if s.State == SlotFree {
				s.State = SlotDraining
			}
			s.ReaderCount++
			s.Holders = append(s.Holders, Holder{r.Row, r.Name, r.PID, r.Alive, r.Durable})
			waiting := blocking && slot == held[len(held)-1]
			s.WriterWaiting = s.WriterWaiting || waiting
			if !r.Alive || r.Silent > stuckAfter || waiting {
				s.Stuck = true
				s.StuckFor = max(s.StuckFor, r.Silent)
			}
		}
	}
}

// addWriter judges the open claim.
func (v *view) addWriter(d *Diagnosis, now uint64) {
	alive := probe(v.ask, layout.ProducerRow) != nobody
	open := since(*v.data.plain64(layout.ClaimSince), now)
	for i := range d.Slots {
		s := &d.Slots[i]
		if s.State != SlotWriting {
			continue
		}
		if id := *v.data.plain64(layout.ClaimID); id != 0 {
			s.MessageID = id - 1
		}
		s.Holders = append(s.Holders, Holder{Row: layout.ProducerRow, PID: s.WriteLock, Alive: alive})
		if !alive || open > stuckAfter {
			s.Stuck = true
			s.StuckFor = max(s.StuckFor, open)
		}
	}
}

// ProcessAlive reports whether a process with that pid runs in this pid namespace. For people: the library itself judges by locks.
func ProcessAlive(pid uint64) bool { return platform.ProcessAlive(pid) }
