//! The C interface, declared by hand: every type, constant and function of `datablock.h`.
//!
//! The names are C's. `tests/header.rs` compares this module with the header: sizes, offsets, the
//! types of all fields, the values of all constants, and the signature of every function. The
//! header is the manual.
#![allow(non_camel_case_types, missing_docs)]

use core::ffi::{c_char, c_int, c_void};

mod functions;
pub use functions::*;

pub const DATABLOCK_VERSION_MAJOR: u32 = 1;
pub const DATABLOCK_VERSION_MINOR: u32 = 0;

/* ---- Statuses -------------------------------------------------------------------------------- */

pub type datablock_status = c_int;

pub const DATABLOCK_OK: datablock_status = 0;
pub const DATABLOCK_E_TIMEOUT: datablock_status = 1;
pub const DATABLOCK_E_INVALID: datablock_status = 2;
pub const DATABLOCK_E_NOT_FOUND: datablock_status = 3;
pub const DATABLOCK_E_EXISTS: datablock_status = 4;
pub const DATABLOCK_E_PRODUCER_ACTIVE: datablock_status = 5;
pub const DATABLOCK_E_ACCESS: datablock_status = 6;
pub const DATABLOCK_E_SECRET: datablock_status = 7;
pub const DATABLOCK_E_CORRUPT: datablock_status = 8;
pub const DATABLOCK_E_VERSION: datablock_status = 9;
pub const DATABLOCK_E_GEOMETRY: datablock_status = 10;
pub const DATABLOCK_E_SCHEMA: datablock_status = 11;
pub const DATABLOCK_E_NO_SPACE: datablock_status = 12;
pub const DATABLOCK_E_FULL: datablock_status = 13;
pub const DATABLOCK_E_BUSY: datablock_status = 14;
pub const DATABLOCK_E_CLOSED: datablock_status = 15;
pub const DATABLOCK_E_SUPERSEDED: datablock_status = 16;
pub const DATABLOCK_E_FENCED: datablock_status = 17;
pub const DATABLOCK_E_OVERRUN: datablock_status = 18;
pub const DATABLOCK_E_LOST: datablock_status = 19;
pub const DATABLOCK_E_NO_PRODUCER: datablock_status = 20;
pub const DATABLOCK_E_NO_SPARE: datablock_status = 21;
pub const DATABLOCK_E_CHECKSUM: datablock_status = 22;
pub const DATABLOCK_E_FORKED: datablock_status = 23;
pub const DATABLOCK_E_HANDLE: datablock_status = 24;
pub const DATABLOCK_E_SYSTEM: datablock_status = 25;
pub const DATABLOCK_E_PANIC: datablock_status = 26;

/* ---- Constants ------------------------------------------------------------------------------- */

pub const DATABLOCK_PART_FIRST: u32 = 1 << 0;
pub const DATABLOCK_PART_LAST: u32 = 1 << 1;
pub const DATABLOCK_PART_ENDLESS: u32 = 1 << 2;
pub const DATABLOCK_PART_MARK: u32 = 0x4442;

pub type datablock_policy = c_int;
pub const DATABLOCK_SINGLE: datablock_policy = 1;
pub const DATABLOCK_DOUBLE_BUFFER: datablock_policy = 2;
pub const DATABLOCK_RING: datablock_policy = 3;

pub const DATABLOCK_FLAG_ALLOW_LOSSLESS: u32 = 1 << 0;
pub const DATABLOCK_FLAG_REPLACE: u32 = 1 << 1;
pub const DATABLOCK_FLAG_FORCE: u32 = 1 << 2;
pub const DATABLOCK_FLAG_UNLINK_ON_CLOSE: u32 = 1 << 3;
pub const DATABLOCK_FLAG_TIMESTAMP: u32 = 1 << 4;
pub const DATABLOCK_FLAG_FORBID_LOSSLESS: u32 = 1 << 5;
pub const DATABLOCK_FLAG_RECLAIM: u32 = 1 << 6;

pub const DATABLOCK_CHECKSUM_NONE: u32 = 0;
pub const DATABLOCK_CHECKSUM_MANUAL: u32 = 1;
pub const DATABLOCK_CHECKSUM_ENFORCED: u32 = 2;

pub const DATABLOCK_ALGORITHM_DEFAULT: u32 = 0;
pub const DATABLOCK_ALGORITHM_CRC32C: u32 = 1;
pub const DATABLOCK_ALGORITHM_BLAKE2B: u32 = 2;

pub const DATABLOCK_DELIVERY_DEFAULT: u32 = 0;
pub const DATABLOCK_LOSSLESS: u32 = 1;
pub const DATABLOCK_ORDERED: u32 = 2;
pub const DATABLOCK_LATEST: u32 = 3;

pub const DATABLOCK_START_LATEST: u32 = 0;
pub const DATABLOCK_START_OLDEST: u32 = 1;

pub const DATABLOCK_WAIT_ANY_MAX: usize = 1024;
pub const DATABLOCK_COPY_CUT: u32 = 1 << 0;
pub const DATABLOCK_NEWEST: u64 = u64::MAX;

pub type datablock_schema_mode = c_int;
pub const DATABLOCK_SCHEMA_COMPATIBLE: datablock_schema_mode = 0;
pub const DATABLOCK_SCHEMA_EXACT: datablock_schema_mode = 1;

pub const DATABLOCK_ZONE_ANYWAY: u32 = 1 << 0;

pub const DATABLOCK_SLOT_FREE: u32 = 0;
pub const DATABLOCK_SLOT_WRITING: u32 = 1;
pub const DATABLOCK_SLOT_COMMITTED: u32 = 2;
pub const DATABLOCK_SLOT_DRAINING: u32 = 3;

pub type RecoveryResult = c_int;
pub const RECOVERY_SUCCESS: RecoveryResult = 0;
pub const RECOVERY_FAILED: RecoveryResult = 1;
pub const RECOVERY_UNSAFE: RecoveryResult = 2;
pub const RECOVERY_NOT_STUCK: RecoveryResult = 3;
pub const RECOVERY_INVALID_SLOT: RecoveryResult = 4;

pub const DATABLOCK_STEP_REPAIR: u32 = 1;
pub const DATABLOCK_STEP_RELEASE_READER: u32 = 2;
pub const DATABLOCK_STEP_RELEASE_WRITER: u32 = 3;
pub const DATABLOCK_STEP_COLLECT: u32 = 4;
pub const DATABLOCK_STEP_ATTEND: u32 = 5;

/* ---- Handles --------------------------------------------------------------------------------- */

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_producer {
    pub handle: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_consumer {
    pub handle: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_observer {
    pub handle: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_participant {
    pub handle: u64,
}

/* ---- Structs --------------------------------------------------------------------------------- */

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_config {
    pub size: u32,
    pub flags: u32,
    pub policy: u32,
    pub slot_count: u32,
    pub spare_slots: u32,
    pub alignment: u32,
    pub slot_size: u64,
    pub consumer_limit: u32,
    pub min_consumers: u32,
    pub mode: u32,
    pub checksum: u32,
    pub directory: *const c_char,
    pub secret: *const c_void,
    pub secret_length: usize,
    pub retention_ms: u64,
    pub zone_size: u64,
    pub schema: *const datablock_schema,
    pub registered: *const c_char,
    pub registry: *const c_char,
    pub zone_schema: *const datablock_schema,
    pub reserved: [u64; 2],
    pub algorithm: u32,
    pub reserved1: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_write_slot {
    pub data: *mut c_void,
    pub capacity: usize,
    pub id: u64,
    pub index: u32,
    pub reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_consumer_options {
    pub size: u32,
    pub delivery: u32,
    pub start: u32,
    pub max_pins: u32,
    pub durable: u32,
    pub reserved0: u32,
    pub name: *const c_char,
    pub directory: *const c_char,
    pub secret: *const c_void,
    pub secret_length: usize,
    pub schema: *const datablock_schema,
    pub schema_mode: u32,
    pub reserved1: u32,
    pub registered: *const c_char,
    pub registry: *const c_char,
    pub zone_schema: *const datablock_schema,
    pub reserved: [u64; 3],
    pub wait_ms: i64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_read_slot {
    pub data: *const c_void,
    pub length: usize,
    pub id: u64,
    pub timestamp_ns: u64,
    pub missed: u64,
    pub index: u32,
    pub token: u32,
}

#[repr(C)]
#[derive(Debug)]
pub struct datablock_waker {
    pub woken: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_message {
    pub data: *const c_void,
    pub length: usize,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct datablock_copied {
    pub id: u64,
    pub length: u64,
    pub timestamp_ns: u64,
    pub missed: u64,
    pub index: u32,
    pub reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct datablock_observation {
    pub id: u64,
    pub length: u64,
    pub timestamp_ns: u64,
    pub next_id: u64,
    pub index: u32,
    pub reserved: u32,
}

#[repr(C)]
#[derive(Debug)]
pub struct datablock_schema {
    pub canonical: *mut c_char,
    pub bytes: u64,
    pub alignment: u32,
    pub major: u32,
    pub minor: u32,
    pub patch: u32,
    pub hash: [u8; 32],
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_schema_field {
    pub name: *const c_char,
    pub r#type: *const c_char,
    pub nested: *const datablock_schema_layout,
    pub offset: u64,
    pub size: u64,
    pub dims: [u64; 8],
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_schema_layout {
    pub fields: *const datablock_schema_field,
    pub count: usize,
    pub size: u64,
    pub alignment: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_zone {
    pub data: *mut c_void,
    pub size: usize,
    pub writes: u64,
    pub abandoned: bool,
    pub intact: bool,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_block_info {
    pub name: [c_char; 204],
    pub checksum: u16,
    pub algorithm: u16,
    pub total_bytes: u64,
    pub slot_size: u64,
    pub next_id: u64,
    pub producer_pid: u64,
    pub slot_count: u32,
    pub spare_slots: u32,
    pub policy: u32,
    pub consumers: u32,
    pub consumer_limit: u32,
    pub state: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SlotDiagnostic {
    pub slot_id: u64,
    pub slot_index: u32,
    pub slot_state: u8,
    pub write_lock: u64,
    pub reader_count: u32,
    pub write_generation: u64,
    pub writer_waiting: u8,
    pub is_stuck: bool,
    pub stuck_duration_ms: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct IntegrityCheck {
    pub header_valid: bool,
    pub slot_states_valid: bool,
    pub checksum_valid: bool,
    pub corrupted_slots: u32,
    pub error_message: [c_char; 256],
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_recovery_step {
    pub kind: u32,
    pub target: u32,
    pub pid: u64,
    pub result: u32,
    pub done: bool,
    pub text: [c_char; 256],
}

pub type datablock_recovery_callback =
    Option<unsafe extern "C" fn(step: *const datablock_recovery_step, context: *mut c_void)>;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_participant_info {
    pub name: [c_char; 64],
    pub pid: u64,
    pub start_time: u64,
    pub pid_namespace: u64,
    pub attached_ns: u64,
    pub died_ns: u64,
    pub cursor: u64,
    pub lag: u64,
    pub read: u64,
    pub missed: u64,
    pub bytes: u64,
    pub waits: u64,
    pub wait_ns: u64,
    pub timeouts: u64,
    pub lost: u64,
    pub overruns: u64,
    pub checksum_failures: u64,
    pub silent_ms: u64,
    pub uid: u32,
    pub row: u32,
    pub delivery: u32,
    pub pins: u32,
    pub alive: bool,
    pub durable: bool,
    pub reserved: [u8; 6],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct datablock_metrics {
    pub size: u32,
    pub consumers: u32,
    pub next_id: u64,
    pub written: u64,
    pub bytes: u64,
    pub aborted: u64,
    pub fenced: u64,
    pub waits: u64,
    pub wait_ns: u64,
    pub timeouts: u64,
    pub scans: u64,
    pub cleaned: u64,
    pub recoveries: u64,
    pub age_ms: u64,
    pub idle_ms: u64,
    pub read: u64,
    pub missed: u64,
    pub lost: u64,
    pub overruns: u64,
    pub checksum_failures: u64,
    pub max_lag: u64,
    pub schema_mismatches: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct datablock_recovery_record {
    pub number: u64,
    pub time_ns: u64,
    pub pid: u64,
    pub uid: u32,
    pub action: u32,
    pub target: u64,
    pub before: [u64; 4],
    pub after: [u64; 3],
    pub text: [c_char; 160],
}
