package datablock

import "datablock/internal/core"

// Metrics are the figures of a block. Each figure is read separately and may change during the
// call.
type Metrics = core.Metrics

// ParticipantMetrics are the figures of one participant.
type ParticipantMetrics = core.ParticipantMetrics

// RecoveryRecord is an entry of a block's recovery log.
type RecoveryRecord = core.RecoveryRecord

// ReadMetrics reads the figures of a block and of its participants. Dead participants whose rows
// still exist are included. The name may be an absolute path; an empty directory is the default
// one. ReadMetrics opens read-only and accepts a block in any state.
//
// Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrCorrupt, ErrVersion.
func ReadMetrics(name, directory string) (*Metrics, []ParticipantMetrics, error) {
	return core.ReadMetrics(name, directory)
}

// ForceResetSlot makes a slot usable again. Without force it does not touch a slot that a living
// participant holds. With force it does, and the participant gets an error at a later call. The
// error explains every result other than RecoverySuccess.
func ForceResetSlot(name, directory string, slot uint32, force bool) (RecoveryResult, error) {
	return core.ForceResetSlot(name, directory, slot, force)
}

// ForceResetAllSlots is ForceResetSlot for every slot. With force every message is discarded.
func ForceResetAllSlots(name, directory string, force bool) (RecoveryResult, error) {
	return core.ForceResetAllSlots(name, directory, force)
}

// EvictConsumer removes the row of a dead consumer, or with force the row of a living one. The
// living consumer gets ErrFenced at its next call.
func EvictConsumer(name, directory string, row uint32, force bool) (RecoveryResult, error) {
	return core.EvictConsumer(name, directory, row, force)
}

// RecoveryLog returns the records of all recoveries of a block, oldest first. It opens read-only.
func RecoveryLog(name, directory string) ([]RecoveryRecord, error) {
	return core.RecoveryLog(name, directory)
}
