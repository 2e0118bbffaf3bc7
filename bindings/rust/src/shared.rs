//! What the producer and the consumers of a block share: locks, counters and a zone of memory.

use crate::error::{check, Result};
use crate::plain::{self, Plain};
use crate::timeout::Timeout;
use crate::{sys, Consumer, Producer};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

mod sealed {
    /// The handle of a producer or a consumer.
    pub trait Sealed {
        fn handle(&self) -> crate::sys::datablock_participant;
    }
}

impl sealed::Sealed for Producer {
    fn handle(&self) -> sys::datablock_participant {
        sys::datablock_participant { handle: self.handle.handle }
    }
}

impl sealed::Sealed for Consumer {
    fn handle(&self) -> sys::datablock_participant {
        sys::datablock_participant { handle: self.handle.handle }
    }
}

/// A producer or a consumer. Every process that may attach is trusted with what participants share.
///
/// ```
/// # fn main() -> datablock::Result<()> {
/// # use datablock::{Policy, ProducerOptions};
/// # let name = format!("doc-shared-{}", std::process::id());
/// # let options = ProducerOptions::new(Policy::Ring).slot_size(64).unlink_on_close(true);
/// # let producer = options.open(&name)?;
/// use datablock::{Participant, Timeout};
///
/// let lock = producer.lock(1, Timeout::FOREVER)?;
/// assert!(!lock.abandoned());
/// lock.release()?;
/// let mut zone = producer.zone(Timeout::FOREVER)?;
/// zone[0] = 7;
/// zone.leave()?;
/// assert_eq!(producer.counter(0).add(2)?, 0);
/// # Ok(())
/// # }
/// ```
pub trait Participant: sealed::Sealed {
    /// Acquires one of the eight locks, 0 to 7. Lock 0 protects the zone. The lock is recursive.
    /// The lock of a dead owner is taken back. Waits for a living owner. Errors: `Timeout` (the
    /// text names the owner), `Invalid` (no such lock).
    fn lock(&self, lock: u32, timeout: impl Into<Timeout>) -> Result<LockGuard<'_>>
    where
        Self: Sized,
    {
        let (participant, mut abandoned) = (self.handle(), false);
        check(unsafe { sys::datablock_lock_acquire(participant, lock, timeout.into().0, &mut abandoned) })?;
        Ok(LockGuard { participant, lock, abandoned, borrowed: PhantomData })
    }

    /// Enters the zone, under lock 0. [`Error::Checksum`](crate::Error::Checksum): the contents are
    /// not what the last participant left there; see [`zone_anyway`](Participant::zone_anyway).
    /// Waits and errors otherwise: as [`lock`](Participant::lock); also `Invalid` (this participant
    /// is in the zone, or owns lock 0, already).
    fn zone(&self, timeout: impl Into<Timeout>) -> Result<Zone<'_>>
    where
        Self: Sized,
    {
        enter(self.handle(), 0, timeout.into())
    }

    /// Enters the zone whatever its contents, to restore them. Waits and errors: as
    /// [`zone`](Participant::zone), without `Checksum`.
    fn zone_anyway(&self, timeout: impl Into<Timeout>) -> Result<Zone<'_>>
    where
        Self: Sized,
    {
        enter(self.handle(), sys::DATABLOCK_ZONE_ANYWAY, timeout.into())
    }

    /// One of the eight counters, 0 to 7.
    fn counter(&self, counter: u32) -> Counter<'_> {
        Counter { participant: self.handle(), counter, borrowed: PhantomData }
    }
}

impl Participant for Producer {}
impl Participant for Consumer {}

/// A lock that is held. Dropping the guard releases it.
#[derive(Debug)]
pub struct LockGuard<'a> {
    participant: sys::datablock_participant,
    lock: u32,
    abandoned: bool,
    borrowed: PhantomData<(&'a (), *const ())>, // the thread of the participant
}

impl LockGuard<'_> {
    /// Whether the last owner ended, or was evicted, without releasing the lock. What the lock
    /// protects may then be half changed.
    pub fn abandoned(&self) -> bool {
        self.abandoned
    }

    /// Releases the lock once, and reports a failure. Errors: `Fenced` (the lock was taken away).
    pub fn release(self) -> Result<()> {
        let this = std::mem::ManuallyDrop::new(self);
        check(unsafe { sys::datablock_lock_release(this.participant, this.lock) })
    }
}

impl Drop for LockGuard<'_> {
    fn drop(&mut self) {
        unsafe { sys::datablock_lock_release(self.participant, self.lock) };
    }
}

fn enter<'a>(participant: sys::datablock_participant, flags: u32, timeout: Timeout) -> Result<Zone<'a>> {
    let mut zone = sys::datablock_zone {
        data: std::ptr::null_mut(),
        size: 0,
        writes: 0,
        abandoned: false,
        intact: false,
    };
    check(unsafe { sys::datablock_zone_begin(participant, flags, timeout.0, &mut zone) })?;
    Ok(Zone { participant, zone, borrowed: PhantomData })
}

/// The zone: memory for one participant at a time to change. Dropping the zone leaves it. A
/// drop by a panic leaves it as spoilt, because the change may be half done.
#[derive(Debug)]
pub struct Zone<'a> {
    participant: sys::datablock_participant,
    zone: sys::datablock_zone,
    borrowed: PhantomData<(&'a (), *const ())>, // the thread of the participant
}

impl Zone<'_> {
    /// How often a participant has left the zone.
    pub fn writes(&self) -> u64 {
        self.zone.writes
    }

    /// Whether the last participant in the zone ended inside.
    pub fn abandoned(&self) -> bool {
        self.zone.abandoned
    }

    /// Whether the contents are what the last participant to leave the zone left.
    pub fn intact(&self) -> bool {
        self.zone.intact
    }

    /// The beginning of the zone as a value. Errors: `Invalid` (the zone is too small for the type,
    /// or not aligned for it).
    pub fn value_mut<T: Plain>(&mut self) -> Result<&mut T> {
        plain::value_mut(self)
    }

    /// Leaves the zone, and reports a failure. The contents get a new checksum. Errors: `Fenced`
    /// (lock 0 was taken away).
    pub fn leave(self) -> Result<()> {
        self.end(false)
    }

    /// Leaves the zone after a change that could not be finished: the next participant gets
    /// [`Error::Checksum`](crate::Error::Checksum). Errors: as [`leave`](Zone::leave).
    pub fn leave_spoilt(self) -> Result<()> {
        self.end(true)
    }

    fn end(self, spoilt: bool) -> Result<()> {
        let this = std::mem::ManuallyDrop::new(self);
        check(unsafe { sys::datablock_zone_end(this.participant, spoilt) })
    }
}

impl Drop for Zone<'_> {
    fn drop(&mut self) {
        unsafe { sys::datablock_zone_end(self.participant, std::thread::panicking()) };
    }
}

impl Deref for Zone<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: mapped until the zone is left, and lock 0 excludes all other participants.
        unsafe { std::slice::from_raw_parts(self.zone.data.cast(), self.zone.size) }
    }
}

impl DerefMut for Zone<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`.
        unsafe { std::slice::from_raw_parts_mut(self.zone.data.cast(), self.zone.size) }
    }
}

/// A counter. Each function is one atomic, sequentially consistent step. Errors: `Invalid` (no such
/// counter).
#[derive(Clone, Copy, Debug)]
pub struct Counter<'a> {
    participant: sys::datablock_participant,
    counter: u32,
    borrowed: PhantomData<(&'a (), *const ())>, // the thread of the participant
}

impl Counter<'_> {
    /// The value.
    pub fn get(&self) -> Result<u64> {
        let mut value = 0;
        check(unsafe { sys::datablock_counter_get(self.participant, self.counter, &mut value) })?;
        Ok(value)
    }

    /// Sets the counter, and returns the previous value.
    pub fn set(&self, value: u64) -> Result<u64> {
        let mut before = 0;
        check(unsafe { sys::datablock_counter_set(self.participant, self.counter, value, &mut before) })?;
        Ok(before)
    }

    /// Adds modulo 2^64, and returns the previous value.
    pub fn add(&self, amount: u64) -> Result<u64> {
        let mut before = 0;
        check(unsafe { sys::datablock_counter_add(self.participant, self.counter, amount, &mut before) })?;
        Ok(before)
    }

    /// Stores `value` if the counter is `expected`, and returns the previous value.
    pub fn compare_exchange(&self, expected: u64, value: u64) -> Result<u64> {
        let mut before = 0;
        check(unsafe {
            sys::datablock_counter_exchange(self.participant, self.counter, expected, value, &mut before)
        })?;
        Ok(before)
    }
}
