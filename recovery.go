package datablock

import (
	"time"

	"datablock/internal/core/recovery"
	"datablock/internal/core/segment"
)

// RecoveryResult is the result of a recovery.
type RecoveryResult int

// The results.
const (
	RecoverySuccess RecoveryResult = RecoveryResult(recovery.RecoverySuccess)
	RecoveryFailed  RecoveryResult = RecoveryResult(recovery.RecoveryFailed)
	RecoveryUnsafe  RecoveryResult = RecoveryResult(
		recovery.RecoveryUnsafe) // a living participant prevents it
	RecoveryNotStuck    RecoveryResult = RecoveryResult(recovery.RecoveryNotStuck)    // nothing to do
	RecoveryInvalidSlot RecoveryResult = RecoveryResult(recovery.RecoveryInvalidSlot) // no such slot
)

// ReleaseZombieReaders removes the rows of the dead consumers that hold a slot, and of no living
// one. It keeps durable consumers. The error explains every result other than RecoverySuccess.
func ReleaseZombieReaders(name, directory string, slot uint32) (RecoveryResult, error) {
	result, err := recovery.ReleaseZombieReaders(name, directory, slot)
	return RecoveryResult(result), public(err)
}

// ReleaseZombieWriter ends a dead producer's claim on a slot. It never touches a published message.
// The error explains every result other than RecoverySuccess.
func ReleaseZombieWriter(name, directory string, slot uint32) (RecoveryResult, error) {
	result, err := recovery.ReleaseZombieWriter(name, directory, slot)
	return RecoveryResult(result), public(err)
}

// CleanupDeadConsumers removes the rows of all dead consumers and returns their number. It removes
// the row of a durable consumer only if the consumer has been dead for at least olderThan.
//
// Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrCorrupt, ErrVersion, ErrSystem.
func CleanupDeadConsumers(name, directory string, olderThan time.Duration) (int, error) {
	n, err := recovery.CleanupDeadConsumers(name, directory, olderThan)
	return n, public(err)
}

// CollectGarbage removes what dead processes left in a directory ("" for the default one): control
// files that no block names, and data files that never got a name or lost it. It touches no file in
// use, and no file that a repair or a rename could make a block again. It returns the names of the
// removed files.
//
// Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrSystem.
func CollectGarbage(directory string) ([]string, error) {
	removed, err := segment.CollectGarbage(directory)
	return removed, public(err)
}

// ForceResetSlot makes a slot usable again. Without force it does not touch a slot that a living
// participant holds. With force it does, and the participant gets an error at a later call. The
// error explains every result other than RecoverySuccess.
func ForceResetSlot(name, directory string, slot uint32, force bool) (RecoveryResult, error) {
	result, err := recovery.ForceResetSlot(name, directory, slot, force)
	return RecoveryResult(result), public(err)
}

// ForceResetAllSlots is ForceResetSlot for every slot. With force every message is discarded.
// Errors: as ForceResetSlot.
func ForceResetAllSlots(name, directory string, force bool) (RecoveryResult, error) {
	result, err := recovery.ForceResetAllSlots(name, directory, force)
	return RecoveryResult(result), public(err)
}

// EvictConsumer removes the row of a dead consumer, or with force the row of a living one. The
// living consumer gets ErrFenced at its next call.
func EvictConsumer(name, directory string, row uint32, force bool) (RecoveryResult, error) {
	result, err := recovery.EvictConsumer(name, directory, row, force)
	return RecoveryResult(result), public(err)
}

// RecoveryStep is one step that AutoRecover does, or would do.
type RecoveryStep struct {
	Kind   StepKind
	Target uint32 // the row or slot; 0 for the block
	PID    uint64 // of the dead process, or of the living one to attend to; 0: not known
	Done   bool   // false in a dry run, after a failure, and for StepAttend
	Result RecoveryResult
	Text   string // what the step does, in readable form
}

// StepKind is what a step does.
type StepKind uint32

// The kinds of steps.
const (
	StepRepair StepKind = StepKind(recovery.StepRepair) // damage
	// StepReleaseReader removes the row of a dead consumer. A durable consumer keeps its cursor.
	StepReleaseReader StepKind = StepKind(recovery.StepReleaseReader)
	StepReleaseWriter StepKind = StepKind(recovery.StepReleaseWriter) // a dead producer's claim
	StepCollect       StepKind = StepKind(recovery.StepCollect)       // files that dead processes left
	// StepAttend is left to the operator: a participant lives, or may return.
	StepAttend StepKind = StepKind(recovery.StepAttend)
)

// String returns the kind in a word.
func (k StepKind) String() string { return recovery.StepKind(k).String() }

// AutoRecover applies the right recovery to everything that is stuck or damaged in a block, and
// reports each step after it. It does not touch living participants. With dryRun it only reports
// what it would do, and changes no byte. It returns the number of steps without StepAttend. Any
// goroutine may call it. Errors: as ValidateIntegrity.
func AutoRecover(name, directory string, dryRun bool, report func(RecoveryStep)) (int, error) {
	return AutoRecoverAfter(name, directory, dryRun, WaitingAfter, report)
}

// AutoRecoverAfter is AutoRecover with another time for [WaitingAfter]. Errors: as AutoRecover.
func AutoRecoverAfter(name, directory string, dryRun bool, waiting time.Duration,
	report func(RecoveryStep)) (int, error) {
	var inner func(recovery.RecoveryStep)
	if report != nil {
		inner = func(s recovery.RecoveryStep) { report(publicStep(&s)) }
	}
	steps, err := recovery.AutoRecoverAfter(name, directory, dryRun, waiting, inner)
	return steps, public(err)
}

func publicStep(s *recovery.RecoveryStep) RecoveryStep {
	return RecoveryStep{StepKind(s.Kind), s.Target, s.PID, s.Done, RecoveryResult(s.Result), s.Text}
}

// RecoveryRecord is an entry of a block's recovery log. Before and After depend on the action;
// docs/segment-format.md has the actions.
type RecoveryRecord struct {
	Number uint64 // of the record, from 0
	Time   time.Time
	PID    uint64 // of the process that did it
	UID    uint32
	Action uint32
	Target uint64 // slot or row
	Before [4]uint64
	After  [3]uint64
}

// ActionName returns the action in a word.
func (r RecoveryRecord) ActionName() string { return recovery.RecoveryRecord(r).ActionName() }

// String returns the record in readable form.
func (r RecoveryRecord) String() string { return recovery.RecoveryRecord(r).String() }

// RecoveryLog returns the records of all recoveries of a block, oldest first. It opens read-only.
// Errors: as [Diagnose].
func RecoveryLog(name, directory string) ([]RecoveryRecord, error) {
	records, err := recovery.RecoveryLog(name, directory)
	return converted(records, func(r *recovery.RecoveryRecord) RecoveryRecord { return RecoveryRecord(*r) }),
		public(err)
}
