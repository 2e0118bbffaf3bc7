package datablock

import (
	"time"

	"datablock/internal/core/recovery"
)

// Diagnosis is a block as it was found, slot by slot and row by row. A block in use changes
// meanwhile.
type Diagnosis struct {
	Block BlockInfo
	Slots []SlotDiagnosis
	Rows  []RowInfo // row 0 is the producer
}

// SlotDiagnosis is one slot.
type SlotDiagnosis struct {
	MessageID     uint64
	Index         uint32 // the slot's number in the block
	State         SlotState
	WriteLock     uint64 // pid of the process whose claim the slot is; 0: not claimed
	ReaderCount   uint32
	Generation    uint64 // of the last claim
	WriterWaiting bool   // the producer waits for a consumer of this slot
	Stuck         bool   // a holder is dead, or has held the slot for too long
	StuckFor      time.Duration
	AgeUnknown    bool     // StuckFor is not known: a holder's clock is another one
	Holders       []Holder // the participants that hold the slot
}

// HeldBy returns all holders in one line, "" if there are none.
func (s SlotDiagnosis) HeldBy() string {
	return recovery.SlotDiagnosis{Holders: converted(s.Holders, innerHolder)}.HeldBy()
}

// StuckText returns StuckFor in readable form.
func (s SlotDiagnosis) StuckText() string {
	return recovery.SlotDiagnosis{StuckFor: s.StuckFor, AgeUnknown: s.AgeUnknown}.StuckText()
}

// SlotState is what a slot is in use for.
type SlotState uint8

// The states.
const (
	SlotFree      SlotState = SlotState(recovery.SlotFree)
	SlotWriting   SlotState = SlotState(recovery.SlotWriting)   // claimed
	SlotCommitted SlotState = SlotState(recovery.SlotCommitted) // has a message that the ring names
	SlotDraining  SlotState = SlotState(
		recovery.SlotDraining) // has an overwritten message that a consumer still reads
)

// String returns the state's name in diagnosis.
func (s SlotState) String() string { return recovery.SlotState(s).String() }

// Holder is a participant that holds a slot. Alive is the kernel's answer about the lease of its
// row.
type Holder struct {
	Row          uint32 // 0: the producer
	Name         string
	PID          uint64
	Alive        bool
	Durable      bool   // it keeps its place although it is dead
	PIDNamespace uint64 // inode of the pid namespace of PID; 0: not known
}

// String returns the holder in readable form: row 2 "logger" pid 71 DEAD.
func (h Holder) String() string { return recovery.Holder(h).String() }

const (
	// SilentAfter is how long a living holder may be silent before its slot counts as stuck. The
	// holder is a consumer that the producer does not wait for, or a producer within a claim.
	SilentAfter = recovery.SilentAfter
	// WaitingAfter is how long a living consumer may keep the producer waiting before its slot
	// counts as stuck.
	WaitingAfter = recovery.WaitingAfter
)

// Diagnose reads which participants hold each slot of a block, and since when. The directory "" is
// the default one. It opens read-only, changes nothing, and accepts a block in any state. Any
// goroutine may call it.
//
// Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrCorrupt, ErrVersion.
func Diagnose(name, directory string) (*Diagnosis, error) {
	return DiagnoseAfter(name, directory, WaitingAfter)
}

// DiagnoseAfter is Diagnose with another time for [WaitingAfter]. Errors: as Diagnose.
func DiagnoseAfter(name, directory string, waiting time.Duration) (*Diagnosis, error) {
	found, err := recovery.DiagnoseAfter(name, directory, waiting)
	if err != nil {
		return nil, public(err)
	}
	return publicDiagnosis(found), nil
}

// DiagnoseSlot is the part of Diagnose that concerns one slot.
//
// Errors: as Diagnose; ErrInvalid if the block has no such slot.
func DiagnoseSlot(name, directory string, slot uint32) (SlotDiagnosis, error) {
	found, err := recovery.DiagnoseSlot(name, directory, slot)
	if err != nil {
		return SlotDiagnosis{}, public(err)
	}
	return publicSlot(&found), nil
}

func publicDiagnosis(d *recovery.Diagnosis) *Diagnosis {
	return &Diagnosis{BlockInfo(d.Block), converted(d.Slots, publicSlot), converted(d.Rows, publicRow)}
}

func publicSlot(s *recovery.SlotDiagnosis) SlotDiagnosis {
	return SlotDiagnosis{
		MessageID: s.MessageID, Index: s.Index, State: SlotState(s.State), WriteLock: s.WriteLock,
		ReaderCount: s.ReaderCount, Generation: s.Generation, WriterWaiting: s.WriterWaiting, Stuck: s.Stuck,
		StuckFor: s.StuckFor, AgeUnknown: s.AgeUnknown,
		Holders: converted(s.Holders, func(h *recovery.Holder) Holder { return Holder(*h) }),
	}
}

func innerHolder(h *Holder) recovery.Holder { return recovery.Holder(*h) }
