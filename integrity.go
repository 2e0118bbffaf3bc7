package datablock

import "datablock/internal/core"

// Integrity is the verdict on a block: three booleans as in C's IntegrityCheck, and every finding, with the values and what to do.
type Integrity = core.Integrity

// Finding is one thing that is wrong with a block.
type Finding = core.Finding

// RecoveryResult is what a recovery came to.
type RecoveryResult = core.RecoveryResult

// The results.
const (
	RecoverySuccess     = core.RecoverySuccess
	RecoveryFailed      = core.RecoveryFailed
	RecoveryUnsafe      = core.RecoveryUnsafe      // a living participant is in the way
	RecoveryNotStuck    = core.RecoveryNotStuck    // nothing to do
	RecoveryInvalidSlot = core.RecoveryInvalidSlot // no such slot
)

// RecoveryStep is one thing that AutoRecover does, or would do.
type RecoveryStep = core.RecoveryStep

// StepKind is what a step does.
type StepKind = core.StepKind

// The kinds of steps.
const (
	StepRepair        = core.StepRepair        // damage
	StepReleaseReader = core.StepReleaseReader // a dead consumer's row; a durable one keeps its place
	StepReleaseWriter = core.StepReleaseWriter // a dead producer's claim
	StepCollect       = core.StepCollect       // files that dead processes left
	StepAttend        = core.StepAttend        // nothing is done without being asked: somebody lives, or may come back
)

// ValidateIntegrity recomputes everything about a block ("" for the default directory) from its bytes and trusts no stored verdict. It opens read-only, changes nothing, and may run while the block is
// in use: what a participant is just doing is not damage. Damage is in the verdict. Any goroutine; it takes the time of reading the block, or, with checksums, of hashing it.
// Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrCorrupt (not a regular file), ErrVersion, ErrSystem.
func ValidateIntegrity(name, directory string) (*Integrity, error) {
	return core.ValidateIntegrity(name, directory)
}

// Repair rebuilds in place what can be concluded from the rest of a block, and resets what cannot: the same files and attachments, and no good message is touched. The ring is repaired only while no
// producer lives, or with force: then damaged messages are discarded (ErrLost for readers), and the producer may get ErrFenced once. Any goroutine. The verdict is of what is left. The
// error says why it is not RecoverySuccess.
func Repair(name, directory string, force bool) (RecoveryResult, *Integrity, error) {
	return core.Repair(name, directory, force)
}

// AutoRecover does for everything that is stuck or damaged in a block what is right for it, and reports each step after it. Nobody who lives is touched. With dryRun it only says what it would do, and
// changes no byte. It returns the number of steps without StepAttend. Any goroutine. Errors: as ValidateIntegrity.
func AutoRecover(name, directory string, dryRun bool, report func(RecoveryStep)) (int, error) {
	return core.AutoRecover(name, directory, dryRun, report)
}
