package datablock

import "datablock/internal/core"

// Metrics are a block's figures. They change while they are read, each by itself.
type Metrics = core.Metrics

// ParticipantMetrics are those of one participant.
type ParticipantMetrics = core.ParticipantMetrics

// RecoveryRecord is an entry of a block's recovery log.
type RecoveryRecord = core.RecoveryRecord

// ReadMetrics reads a block's figures and those of its participants, the dead whose rows are still there included. A name, or an absolute path; an empty directory is the default one.
// Read-only, on a block in any state. Errors: ErrInvalid, ErrNotFound, ErrAccess, ErrCorrupt, ErrVersion.
func ReadMetrics(name, directory string) (*Metrics, []ParticipantMetrics, error) {
	return core.ReadMetrics(name, directory)
}

// ForceResetSlot gives a slot back to where it can be used again; what the living hold by force only, and they are told. The error says more unless the result is RecoverySuccess.
func ForceResetSlot(name, directory string, slot uint32, force bool) (RecoveryResult, error) {
	return core.ForceResetSlot(name, directory, slot, force)
}

// ForceResetAllSlots is ForceResetSlot for every slot; with force every message is discarded.
func ForceResetAllSlots(name, directory string, force bool) (RecoveryResult, error) {
	return core.ForceResetAllSlots(name, directory, force)
}

// EvictConsumer removes a consumer's row: a dead one's, or by force a living one's, which learns it, ErrFenced, at its next call.
func EvictConsumer(name, directory string, row uint32, force bool) (RecoveryResult, error) {
	return core.EvictConsumer(name, directory, row, force)
}

// RecoveryLog is what was done to a block by recoveries, oldest first. Read-only.
func RecoveryLog(name, directory string) ([]RecoveryRecord, error) {
	return core.RecoveryLog(name, directory)
}
