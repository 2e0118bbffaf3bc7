package datablock

import "datablock/internal/core"

// Integrity is the verdict on a block: three booleans as in C's IntegrityCheck, and every finding,
// with the values and what to do.
type Integrity = core.Integrity

// Finding is one thing that is wrong with a block.
type Finding = core.Finding

// RecoveryResult is the result of a recovery.
type RecoveryResult = core.RecoveryResult

// The results.
const (
	RecoverySuccess     = core.RecoverySuccess
	RecoveryFailed      = core.RecoveryFailed
	RecoveryUnsafe      = core.RecoveryUnsafe      // a living participant prevents it
	RecoveryNotStuck    = core.RecoveryNotStuck    // nothing to do
	RecoveryInvalidSlot = core.RecoveryInvalidSlot // no such slot
)

// RecoveryStep is one step that AutoRecover does, or would do.
type RecoveryStep = core.RecoveryStep

// StepKind is what a step does.
type StepKind = core.StepKind

// The kinds of steps.
const (
	StepRepair        = core.StepRepair        // damage
	StepReleaseReader = core.StepReleaseReader // a dead consumer's row; a durable consumer keeps its cursor
	StepReleaseWriter = core.StepReleaseWriter // a dead producer's claim
	StepCollect       = core.StepCollect       // files that dead processes left
	StepAttend        = core.StepAttend        // left to the operator: a participant lives, or may return
)

// ValidateIntegrity recomputes everything about a block ("" for the default directory) from its
// bytes and trusts no stored verdict. It opens read-only, changes nothing, and may run while the
// block is in use: a store in progress is not damage. The verdict reports damage. Any goroutine may
// call it. It takes the time of reading the block or, with checksums, of hashing the block.
//
// Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrCorrupt (not a regular file), ErrVersion,
// ErrSystem.
func ValidateIntegrity(name, directory string) (*Integrity, error) {
	return core.ValidateIntegrity(name, directory)
}

// Repair rebuilds in place what follows from the rest of a block, and resets everything else that
// is damaged. The files and the attachments stay, and no good message is touched. Repair changes
// the ring only while no producer lives, or with force. With force damaged messages are discarded
// (ErrLost for consumers), and the producer may get ErrFenced once. Any goroutine may call Repair.
//
// The verdict describes the damage that is left. The error says why the result is not
// RecoverySuccess.
func Repair(name, directory string, force bool) (RecoveryResult, *Integrity, error) {
	return core.Repair(name, directory, force)
}

// AutoRecover applies the right recovery to everything that is stuck or damaged in a block, and
// reports each step after it. It does not touch living participants. With dryRun it only reports
// what it would do, and changes no byte. It returns the number of steps without StepAttend. Any
// goroutine may call it. Errors: as ValidateIntegrity.
func AutoRecover(name, directory string, dryRun bool, report func(RecoveryStep)) (int, error) {
	return core.AutoRecover(name, directory, dryRun, report)
}
