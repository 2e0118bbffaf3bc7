package datablock

import (
	"datablock/internal/core/recovery"
)

// Integrity is the verdict on a block: three booleans as in C's IntegrityCheck, and every finding,
// with the values and what to do.
type Integrity struct {
	Block           string
	HeaderValid     bool // no finding about PartHeader and PartLog
	SlotStatesValid bool // no finding about PartRing, PartSlot and PartRow
	ChecksumValid   bool // no finding about PartPayload
	CorruptedSlots  uint32
	Findings        []Finding // the first 1000
	Found           int       // how many there are
	Repaired        []string  // by Repair: what was done, the first 1000
	Mended          int       // by Repair: how much was done
}

// Healthy reports whether nothing is wrong.
func (i *Integrity) Healthy() bool { return i.Found == 0 }

// Message returns the first problem and what to do, "" if there is none.
func (i *Integrity) Message() string { return i.first().Message() }

// String returns the verdict in readable form.
func (i *Integrity) String() string { return i.first().String() }

// first returns the verdict with its first finding only.
func (i *Integrity) first() *recovery.Integrity {
	verdict := &recovery.Integrity{Block: i.Block, Found: i.Found}
	for _, f := range i.Findings[:min(1, len(i.Findings))] {
		verdict.Findings = []recovery.Finding{{Problem: f.Problem, Advice: f.Advice}}
	}
	return verdict
}

// Finding is one thing that is wrong with a block.
type Finding struct {
	Part    Part
	Index   uint32 // of the entry, slot, row or record
	Slot    uint32 // the slot that is affected, NoSlot if none is
	Problem string
	Advice  string
}

// NoSlot in a Finding: no slot is affected.
const NoSlot = recovery.NoSlot

// String returns the finding in one sentence.
func (f Finding) String() string {
	return recovery.Finding{Problem: f.Problem, Advice: f.Advice}.String()
}

// Part is the part of a block in which something is wrong.
type Part uint8

// The parts, in the order in which they are validated. Damage in one part may be the reason for a
// finding in a later one.
const (
	// PartHeader: the immutable bytes of both files, their sizes, and the words of the whole block.
	PartHeader  Part = Part(recovery.PartHeader)
	PartRing    Part = Part(recovery.PartRing)    // a ring entry
	PartSlot    Part = Part(recovery.PartSlot)    // the header of a slot that the ring names
	PartPayload Part = Part(recovery.PartPayload) // a payload that does not match its checksum
	PartRow     Part = Part(recovery.PartRow)     // the row of a participant, or its bits in the masks
	PartLog     Part = Part(recovery.PartLog)     // the recovery log
)

// String returns the part's name in findings.
func (p Part) String() string { return recovery.Part(p).String() }

// ValidateIntegrity recomputes everything about a block ("" for the default directory) from its
// bytes and trusts no stored verdict. It opens read-only, changes nothing, and may run while the
// block is in use: a store in progress is not damage. The verdict reports damage. Any goroutine may
// call it. It takes the time of reading the block or, with checksums, of hashing the block.
//
// Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrCorrupt (not a regular file), ErrVersion,
// ErrSystem.
func ValidateIntegrity(name, directory string) (*Integrity, error) {
	verdict, err := recovery.ValidateIntegrity(name, directory)
	return publicIntegrity(verdict), public(err)
}

// Repair rebuilds in place what follows from the rest of a block, and resets everything else that
// is damaged. The files and the attachments stay, and no good message is touched. Repair changes
// the ring only while no producer lives, or with force. With force damaged messages are discarded
// (ErrLost for consumers), and the producer may get ErrFenced once. Any goroutine may call Repair.
//
// The verdict describes the damage that is left. The error says why the result is not
// RecoverySuccess.
func Repair(name, directory string, force bool) (RecoveryResult, *Integrity, error) {
	result, verdict, err := recovery.Repair(name, directory, force)
	return RecoveryResult(result), publicIntegrity(verdict), public(err)
}

func publicIntegrity(i *recovery.Integrity) *Integrity {
	if i == nil {
		return nil
	}
	return &Integrity{
		Block: i.Block, HeaderValid: i.HeaderValid, SlotStatesValid: i.SlotStatesValid,
		ChecksumValid: i.ChecksumValid, CorruptedSlots: i.CorruptedSlots,
		Findings: converted(i.Findings, publicFinding), Found: i.Found, Repaired: i.Repaired, Mended: i.Mended,
	}
}

func publicFinding(f *recovery.Finding) Finding {
	return Finding{Part: Part(f.Part), Index: f.Index, Slot: f.Slot, Problem: f.Problem, Advice: f.Advice}
}
