//! What diagnosis and recovery report.

use crate::{sys, text};

/// What a recovery found. Everything else is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovered {
    /// The recovery is done.
    Done,
    /// There was nothing to do.
    NotStuck,
}

/// The state of a slot.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    /// Not in use.
    Free,
    /// Claimed.
    Writing,
    /// In the ring.
    Committed,
    /// Out of the ring, and a consumer still holds the slot.
    Draining,
    /// A state of a later version.
    Unknown(u8),
}

/// The diagnosis of a slot.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotDiagnostic {
    /// The id of the message.
    pub id: u64,
    /// The number of the slot.
    pub index: u32,
    /// The state.
    pub state: SlotState,
    /// The process of the claiming producer; 0: not claimed.
    pub writer_pid: u64,
    /// Hazard pointers to the slot, and LOSSLESS consumers at its message.
    pub readers: u32,
    /// How often the slot was claimed.
    pub generation: u64,
    /// Whether a producer waits for the consumers of this slot.
    pub writer_waiting: bool,
    /// Whether a dead participant, or one that does not continue, holds the slot.
    pub stuck: bool,
    /// For how long; 0: not stuck, or unknown.
    pub stuck_ms: u64,
}

impl SlotDiagnostic {
    pub(super) fn of(slot: &sys::SlotDiagnostic) -> SlotDiagnostic {
        SlotDiagnostic {
            id: slot.slot_id,
            index: slot.slot_index,
            state: match u32::from(slot.slot_state) {
                sys::DATABLOCK_SLOT_FREE => SlotState::Free,
                sys::DATABLOCK_SLOT_WRITING => SlotState::Writing,
                sys::DATABLOCK_SLOT_COMMITTED => SlotState::Committed,
                sys::DATABLOCK_SLOT_DRAINING => SlotState::Draining,
                _ => SlotState::Unknown(slot.slot_state),
            },
            writer_pid: slot.write_lock,
            readers: slot.reader_count,
            generation: slot.write_generation,
            writer_waiting: slot.writer_waiting != 0,
            stuck: slot.is_stuck,
            stuck_ms: slot.stuck_duration_ms,
        }
    }
}

/// The verdict about a block.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntegrityCheck {
    /// The immutable bytes of both files, their sizes, the words of the whole block, the log.
    pub header_valid: bool,
    /// Ring entries, slot headers, rows and masks.
    pub slot_states_valid: bool,
    /// Payloads, where messages have checksums.
    pub checksum_valid: bool,
    /// Slots with a finding.
    pub corrupted_slots: u32,
    /// The first problem; empty: nothing is wrong.
    pub error_message: String,
}

impl IntegrityCheck {
    /// Whether nothing is wrong.
    pub fn is_healthy(&self) -> bool {
        self.header_valid && self.slot_states_valid && self.checksum_valid
    }

    pub(super) fn of(check: &sys::IntegrityCheck) -> IntegrityCheck {
        IntegrityCheck {
            header_valid: check.header_valid,
            slot_states_valid: check.slot_states_valid,
            checksum_valid: check.checksum_valid,
            corrupted_slots: check.corrupted_slots,
            error_message: text::of_array(&check.error_message),
        }
    }
}

pub(super) fn no_check() -> sys::IntegrityCheck {
    sys::IntegrityCheck {
        header_valid: false,
        slot_states_valid: false,
        checksum_valid: false,
        corrupted_slots: 0,
        error_message: [0; 256],
    }
}

/// The kind of a step of a recovery.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// Damage is repaired, without force.
    Repair,
    /// The row of a dead consumer is removed; a durable consumer keeps its place.
    ReleaseReader,
    /// The claim of a dead producer is ended.
    ReleaseWriter,
    /// Files that dead processes left under this name are removed.
    Collect,
    /// Nothing is done: the step takes an operator's decision.
    Attend,
    /// A kind of a later version.
    Unknown(u32),
}

/// A step of [`auto_recover`](super::auto_recover).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryStep {
    /// The kind.
    pub kind: StepKind,
    /// The row of a consumer, otherwise the slot; 0: the block.
    pub target: u32,
    /// The process that is concerned; 0: unknown.
    pub pid: u64,
    /// The number of a `RecoveryResult`.
    pub result: u32,
    /// Whether the step was done. False in a dry run, after a failure, and for
    /// [`StepKind::Attend`].
    pub done: bool,
    /// The step in a sentence.
    pub text: String,
}

impl RecoveryStep {
    pub(super) fn of(step: &sys::datablock_recovery_step) -> RecoveryStep {
        RecoveryStep {
            kind: match step.kind {
                sys::DATABLOCK_STEP_REPAIR => StepKind::Repair,
                sys::DATABLOCK_STEP_RELEASE_READER => StepKind::ReleaseReader,
                sys::DATABLOCK_STEP_RELEASE_WRITER => StepKind::ReleaseWriter,
                sys::DATABLOCK_STEP_COLLECT => StepKind::Collect,
                sys::DATABLOCK_STEP_ATTEND => StepKind::Attend,
                other => StepKind::Unknown(other),
            },
            target: step.target,
            pid: step.pid,
            result: step.result,
            done: step.done,
            text: text::of_array(&step.text),
        }
    }
}

/// A record of the recovery log. `docs/segment-format.md` describes the numbers.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryRecord {
    /// The number of the record.
    pub number: u64,
    /// The time, in nanoseconds since 1970.
    pub time_ns: u64,
    /// The process that wrote the record.
    pub pid: u64,
    /// Its user.
    pub uid: u32,
    /// The number of the action.
    pub action: u32,
    /// The slot or row.
    pub target: u64,
    /// The words before the action.
    pub before: [u64; 4],
    /// The words after the action.
    pub after: [u64; 3],
    /// The record in a sentence.
    pub text: String,
}

impl RecoveryRecord {
    pub(super) fn of(record: &sys::datablock_recovery_record) -> RecoveryRecord {
        RecoveryRecord {
            number: record.number,
            time_ns: record.time_ns,
            pid: record.pid,
            uid: record.uid,
            action: record.action,
            target: record.target,
            before: record.before,
            after: record.after,
            text: text::of_array(&record.text),
        }
    }
}
