//! The figures of a block and of its participants.

use super::{all, named, Path};
use crate::error::{check, Result};
use crate::{sys, text};

/// The figures of a block: see [`metrics`].
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Living consumers.
    pub consumers: u32,
    /// Messages written since the block was created.
    pub next_id: u64,
    /// Of `next_id`: the messages that producers have counted.
    pub written: u64,
    /// Bytes of payload.
    pub bytes: u64,
    /// Claims that were aborted.
    pub aborted: u64,
    /// Claims that a recovery ended.
    pub fenced: u64,
    /// Claims that had to wait.
    pub waits: u64,
    /// The total time of these waits.
    pub wait_ns: u64,
    /// Claims that ran out of time.
    pub timeouts: u64,
    /// Hazard-pointer scans.
    pub scans: u64,
    /// Rows of dead consumers that were cleaned.
    pub cleaned: u64,
    /// Records that were ever written to the recovery log.
    pub recoveries: u64,
    /// Time since the block was created.
    pub age_ms: u64,
    /// Time since the producer's last tick; 0: unknown.
    pub idle_ms: u64,
    /// Messages read. This and the next figures: by the consumers that are attached.
    pub read: u64,
    /// Messages skipped.
    pub missed: u64,
    /// Messages that an operator had discarded.
    pub lost: u64,
    /// Messages overwritten before or while they were read.
    pub overruns: u64,
    /// Messages with a wrong checksum.
    pub checksum_failures: u64,
    /// The greatest lag of a LOSSLESS or ORDERED consumer.
    pub max_lag: u64,
    /// Opens that were refused because of the schema.
    pub schema_mismatches: u64,
}

impl Metrics {
    fn of(of: &sys::datablock_metrics) -> Metrics {
        Metrics {
            consumers: of.consumers,
            next_id: of.next_id,
            written: of.written,
            bytes: of.bytes,
            aborted: of.aborted,
            fenced: of.fenced,
            waits: of.waits,
            wait_ns: of.wait_ns,
            timeouts: of.timeouts,
            scans: of.scans,
            cleaned: of.cleaned,
            recoveries: of.recoveries,
            age_ms: of.age_ms,
            idle_ms: of.idle_ms,
            read: of.read,
            missed: of.missed,
            lost: of.lost,
            overruns: of.overruns,
            checksum_failures: of.checksum_failures,
            max_lag: of.max_lag,
            schema_mismatches: of.schema_mismatches,
        }
    }
}

/// Reads the figures of a block in any state. Changes nothing. Errors: `NotFound`, `Access`,
/// `Corrupt`, `Version`, `Invalid`, `System`.
pub fn metrics(name: impl AsRef<Path>) -> Result<Metrics> {
    let name = named(name)?;
    let mut out = sys::datablock_metrics {
        size: std::mem::size_of::<sys::datablock_metrics>() as u32,
        ..Default::default()
    };
    check(unsafe { sys::datablock_get_metrics(name.as_ptr(), &mut out) })?;
    Ok(Metrics::of(&out))
}

/// A participant, as its row shows it: see [`list_participants`].
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantInfo {
    /// The name.
    pub name: String,
    /// The process, in its own pid namespace.
    pub pid: u64,
    /// The start of the process, in clock ticks since boot.
    pub start_time: u64,
    /// The pid namespace; 0: unknown.
    pub pid_namespace: u64,
    /// When it attached, in nanoseconds since 1970.
    pub attached_ns: u64,
    /// When a durable consumer was found dead; 0: it was not.
    pub died_ns: u64,
    /// The next id to read; of a producer the next id to write.
    pub cursor: u64,
    /// Messages that a consumer has yet to read.
    pub lag: u64,
    /// Messages read. This and the next figures: consumers only.
    pub read: u64,
    /// Messages skipped.
    pub missed: u64,
    /// Bytes of payload.
    pub bytes: u64,
    /// Reads that had to wait.
    pub waits: u64,
    /// The total time of these waits.
    pub wait_ns: u64,
    /// Reads that ran out of time.
    pub timeouts: u64,
    /// Messages that an operator had discarded.
    pub lost: u64,
    /// Messages overwritten before or while they were read.
    pub overruns: u64,
    /// Messages with a wrong checksum.
    pub checksum_failures: u64,
    /// Time since the participant's last tick; 0: unknown.
    pub silent_ms: u64,
    /// The user.
    pub uid: u32,
    /// The row; 0: the producer.
    pub row: u32,
    /// The number of the [`Delivery`](crate::Delivery); 0 for the producer.
    pub delivery: u32,
    /// Slots that the consumer holds.
    pub pins: u32,
    /// Whether the process lives, as the kernel says.
    pub alive: bool,
    /// Whether the consumer keeps its place when it dies.
    pub durable: bool,
}

impl ParticipantInfo {
    fn of(of: &sys::datablock_participant_info) -> ParticipantInfo {
        ParticipantInfo {
            name: text::of_array(&of.name),
            pid: of.pid,
            start_time: of.start_time,
            pid_namespace: of.pid_namespace,
            attached_ns: of.attached_ns,
            died_ns: of.died_ns,
            cursor: of.cursor,
            lag: of.lag,
            read: of.read,
            missed: of.missed,
            bytes: of.bytes,
            waits: of.waits,
            wait_ns: of.wait_ns,
            timeouts: of.timeouts,
            lost: of.lost,
            overruns: of.overruns,
            checksum_failures: of.checksum_failures,
            silent_ms: of.silent_ms,
            uid: of.uid,
            row: of.row,
            delivery: of.delivery,
            pins: of.pins,
            alive: of.alive,
            durable: of.durable,
        }
    }
}

/// Lists the participants by row, with dead ones whose rows still exist. Changes nothing. Errors:
/// `Diagnosis`.
pub fn list_participants(name: impl AsRef<Path>) -> Result<Vec<ParticipantInfo>> {
    let name = named(name)?;
    let rows = all(|out, room| unsafe { sys::datablock_list_participants(name.as_ptr(), out, room) })?;
    Ok(rows.iter().map(ParticipantInfo::of).collect())
}
