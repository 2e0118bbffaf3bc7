//! Diagnosis, recovery and metrics of a block, by its name or absolute path.
//!
//! Every thread may call these functions, and no participant is needed. A plain name is looked up
//! in `$DATABLOCK_DIR`, else in the default directory. Errors are [`Error::Diagnosis`] with a
//! negative number, and [`Error::Recovery`] with a [`RecoveryFailure`].

use crate::error::{count, detail, Error, RecoveryFailure, Result};
use crate::{sys, text};
use core::ffi::{c_int, c_void};
use std::any::Any;
use std::ffi::CString;
use std::panic::{catch_unwind, resume_unwind, AssertUnwindSafe};
use std::path::Path;
use std::time::Duration;

mod figures;
mod types;
pub use figures::{list_participants, metrics, Metrics, ParticipantInfo};
pub use types::{
    IntegrityCheck, Recovered, RecoveryRecord, RecoveryStep, SlotDiagnostic, SlotState, StepKind,
};

/// Diagnoses one slot. Changes nothing.
pub fn diagnose_slot(name: impl AsRef<Path>, slot: u32) -> Result<SlotDiagnostic> {
    let name = named(name)?;
    // SAFETY: numbers of a struct of C, for which zero is valid.
    let mut out: sys::SlotDiagnostic = unsafe { std::mem::zeroed() };
    count(unsafe { sys::datablock_diagnose_slot(name.as_ptr(), slot, &mut out) })?;
    Ok(SlotDiagnostic::of(&out))
}

/// Diagnoses all slots, in the order of their indices. Changes nothing.
pub fn diagnose_all_slots(name: impl AsRef<Path>) -> Result<Vec<SlotDiagnostic>> {
    let name = named(name)?;
    let mut room = 64;
    loop {
        // SAFETY: numbers of a struct of C, for which zero is valid.
        let mut all: Vec<sys::SlotDiagnostic> = vec![unsafe { std::mem::zeroed() }; room];
        let mut slots = 0;
        // SAFETY: the library writes at most `room` items.
        count(unsafe {
            sys::datablock_diagnose_all_slots(name.as_ptr(), all.as_mut_ptr(), room, &mut slots)
        })?;
        if slots <= room {
            return Ok(all[..slots].iter().map(SlotDiagnostic::of).collect());
        }
        room = slots;
    }
}

/// Whether a process with this pid, or a thread with this id, runs in this pid namespace.
/// Informational: the library itself judges by locks.
pub fn is_process_alive(pid: u64) -> bool {
    unsafe { sys::datablock_is_process_alive(pid) }
}

/// Removes the dead consumers of a slot, and no living consumer.
pub fn release_zombie_readers(name: impl AsRef<Path>, slot: u32) -> Result<Recovered> {
    let name = named(name)?;
    recovered(unsafe { sys::datablock_release_zombie_readers(name.as_ptr(), slot) })
}

/// Ends a dead producer's claim on a slot. Never changes a committed message.
pub fn release_zombie_writer(name: impl AsRef<Path>, slot: u32) -> Result<Recovered> {
    let name = named(name)?;
    recovered(unsafe { sys::datablock_release_zombie_writer(name.as_ptr(), slot) })
}

/// Removes the row of every dead consumer; of a durable consumer only if it has been dead for
/// longer than `older`. Returns the number of removed rows.
pub fn cleanup_dead_consumers(name: impl AsRef<Path>, older: Duration) -> Result<usize> {
    let name = named(name)?;
    let nanoseconds = u64::try_from(older.as_nanos()).unwrap_or(u64::MAX);
    count(unsafe { sys::datablock_cleanup_dead_consumers(name.as_ptr(), nanoseconds) })
}

/// Validates every byte of a block that has to have a certain value. Changes nothing, and may run
/// while the block is in use.
pub fn validate_integrity(name: impl AsRef<Path>) -> Result<IntegrityCheck> {
    let name = named(name)?;
    let mut out = types::no_check();
    count(unsafe { sys::datablock_validate_integrity(name.as_ptr(), &mut out) })?;
    Ok(IntegrityCheck::of(&out))
}

/// Rebuilds damaged words from redundant ones, in place. Without `force` nothing is taken from a
/// living producer.
pub fn repair(name: impl AsRef<Path>, force: bool) -> Result<Recovered> {
    let name = named(name)?;
    recovered(unsafe { sys::datablock_repair(name.as_ptr(), force, std::ptr::null_mut()) })
}

/// Recovers everything that is stuck or damaged, each by the step that is right for the case, and
/// returns the steps. No living participant is affected. With `dry_run` nothing is done.
pub fn auto_recover(name: impl AsRef<Path>, dry_run: bool) -> Result<Vec<RecoveryStep>> {
    let mut steps = Vec::new();
    auto_recover_with(name, dry_run, |step| steps.push(step.clone()))?;
    Ok(steps)
}

/// As [`auto_recover`], and calls a function once for each step, in order. Returns the number of
/// steps without those of kind [`StepKind::Attend`]. A panic of the function is continued after the
/// library has returned.
pub fn auto_recover_with(
    name: impl AsRef<Path>,
    dry_run: bool,
    each: impl FnMut(&RecoveryStep),
) -> Result<usize> {
    struct Context<F> {
        each: F,
        panicked: Option<Box<dyn Any + Send>>,
    }

    unsafe extern "C" fn call<F: FnMut(&RecoveryStep)>(
        step: *const sys::datablock_recovery_step,
        context: *mut c_void,
    ) {
        // SAFETY: the library passes the context on, and a step that is valid during the call.
        let (step, context) = unsafe { (&*step, &mut *context.cast::<Context<F>>()) };
        if context.panicked.is_none() {
            let step = RecoveryStep::of(step);
            context.panicked = catch_unwind(AssertUnwindSafe(|| (context.each)(&step))).err();
        }
    }

    fn callback<F: FnMut(&RecoveryStep)>(_: &Context<F>) -> sys::datablock_recovery_callback {
        Some(call::<F>)
    }

    let name = named(name)?;
    let mut context = Context { each, panicked: None };
    let callback = callback(&context);
    let steps =
        unsafe { sys::datablock_auto_recover(name.as_ptr(), dry_run, callback, (&raw mut context).cast()) };
    let result = count(steps);
    match context.panicked {
        Some(panic) => resume_unwind(panic),
        None => result,
    }
}

/// Resets a slot to a state in which it can be used again. Without `force` nothing that a living
/// participant holds is affected.
pub fn force_reset_slot(name: impl AsRef<Path>, slot: u32, force: bool) -> Result<Recovered> {
    let name = named(name)?;
    recovered(unsafe { sys::datablock_force_reset_slot(name.as_ptr(), slot, force) })
}

/// The same for every slot. With `force` every message is discarded.
pub fn force_reset_all_slots(name: impl AsRef<Path>, force: bool) -> Result<Recovered> {
    let name = named(name)?;
    recovered(unsafe { sys::datablock_force_reset_all_slots(name.as_ptr(), force) })
}

/// Removes the row of a consumer. With `force` a living consumer is evicted.
pub fn evict_consumer(name: impl AsRef<Path>, row: u32, force: bool) -> Result<Recovered> {
    let name = named(name)?;
    recovered(unsafe { sys::datablock_evict_consumer(name.as_ptr(), row, force) })
}

/// What recoveries did to the block, oldest first: all records that are in the log.
pub fn recovery_log(name: impl AsRef<Path>) -> Result<Vec<RecoveryRecord>> {
    let name = named(name)?;
    let records = all(|out, room| unsafe { sys::datablock_recovery_log(name.as_ptr(), out, room) })?;
    Ok(records.iter().map(RecoveryRecord::of).collect())
}

/// Reads a list whose length is not known before.
fn all<T: Copy>(read: impl Fn(*mut T, usize) -> c_int) -> Result<Vec<T>> {
    let mut room = 64;
    loop {
        let mut items = Vec::with_capacity(room);
        let number = count(read(items.as_mut_ptr(), room))?;
        if number <= room {
            // SAFETY: the library has written so many items.
            unsafe { items.set_len(number) };
            return Ok(items);
        }
        room = number + 16; // items may be added meanwhile
    }
}

fn named(name: impl AsRef<Path>) -> Result<CString> {
    text::path(name.as_ref())
}

/// Turns a result of C into a result of Rust.
fn recovered(result: sys::RecoveryResult) -> Result<Recovered> {
    let failure = match result {
        sys::RECOVERY_SUCCESS => return Ok(Recovered::Done),
        sys::RECOVERY_NOT_STUCK => return Ok(Recovered::NotStuck),
        sys::RECOVERY_UNSAFE => RecoveryFailure::Unsafe,
        sys::RECOVERY_INVALID_SLOT => RecoveryFailure::InvalidSlot,
        _ => RecoveryFailure::Failed,
    };
    Err(Error::Recovery(failure, detail()))
}
