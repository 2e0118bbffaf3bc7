//! Observing without taking part.

use crate::error::{check, Result};
use crate::options::ObserverOptions;
use crate::schema::Schema;
use crate::sys;
use std::cell::Cell;
use std::marker::PhantomData;
use std::path::Path;

/// Copies messages out of a block without being a participant: no cursor, no backpressure, no byte
/// is changed. An observer needs permission to read the data file only.
///
/// One thread at a time may use an observer: it is [`Send`] and not [`Sync`].
///
/// ```
/// # fn main() -> datablock::Result<()> {
/// # use datablock::{Policy, ProducerOptions, Timeout};
/// # let name = format!("doc-observer-{}", std::process::id());
/// # let options = ProducerOptions::new(Policy::Ring).slot_size(64).unlink_on_close(true);
/// # let mut producer = options.open(&name)?;
/// use datablock::Observer;
///
/// let observer = Observer::open(&name)?;
/// producer.send(b"hello", Timeout::NONE)?;
/// let mut bytes = Vec::new();
/// let seen = observer.newest(&mut bytes)?;
/// assert_eq!((seen.id, seen.next_id, &bytes[..]), (0, 1, &b"hello"[..]));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Observer {
    handle: sys::datablock_observer,
    not_sync: PhantomData<Cell<()>>,
}

/// What an observed copy is a copy of.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// The number of the message.
    pub id: u64,
    /// The length of the message, in bytes.
    pub length: u64,
    /// The time of the commit, in nanoseconds since 1970; 0: the block has no timestamps.
    pub timestamp_ns: u64,
    /// The id of the message that is written next.
    pub next_id: u64,
    /// The number of the slot, as in the diagnosis.
    pub index: u32,
}

impl Observer {
    pub(crate) fn of(handle: sys::datablock_observer) -> Observer {
        Observer { handle, not_sync: PhantomData }
    }

    /// Opens a block with the default options, with or without a producer. Errors: as
    /// [`ObserverOptions::open`].
    pub fn open(name: impl AsRef<Path>) -> Result<Observer> {
        ObserverOptions::new().open(name)
    }

    /// Copies the newest message into `bytes`, which gets the length of the message. After an error
    /// the contents of `bytes` are arbitrary.
    ///
    /// Errors: `NotFound` (no message yet), `Overrun` (the producer was faster at each attempt),
    /// `Checksum`, `Superseded` (noticed within 100 ms: open again), `Corrupt`.
    pub fn newest(&self, bytes: &mut Vec<u8>) -> Result<Observation> {
        self.copy(sys::DATABLOCK_NEWEST, bytes)
    }

    /// Copies message `id` into `bytes`, which gets the length of the message. Errors: as
    /// [`newest`](Observer::newest); `NotFound` (not written yet), `Overrun` (overwritten, perhaps
    /// during the copy), `Lost`.
    pub fn read_at(&self, id: u64, bytes: &mut Vec<u8>) -> Result<Observation> {
        self.copy(id, bytes)
    }

    /// After an error the contents of `bytes` are arbitrary.
    fn copy(&self, id: u64, bytes: &mut Vec<u8>) -> Result<Observation> {
        bytes.clear();
        loop {
            let mut seen = sys::datablock_observation::default();
            let room = bytes.capacity();
            // SAFETY: the library writes at most `room` bytes.
            check(unsafe {
                sys::datablock_observe(self.handle, id, bytes.as_mut_ptr().cast(), room, &mut seen)
            })?;
            let length = usize::try_from(seen.length).unwrap_or(usize::MAX);
            if length > room {
                bytes.reserve_exact(length);
                continue;
            }
            // SAFETY: the library has copied so many bytes, all of the message.
            unsafe { bytes.set_len(length) };
            return Ok(Observation {
                id: seen.id,
                length: seen.length,
                timestamp_ns: seen.timestamp_ns,
                next_id: seen.next_id,
                index: seen.index,
            });
        }
    }

    /// The schema of the block. Errors: `Schema` (the block has none), `Corrupt`.
    pub fn schema(&self) -> Result<Schema> {
        Schema::made(|out| unsafe { sys::datablock_schema_of_observer(self.handle, out) })
    }

    /// Releases the block, and reports a failure. No errors of its own.
    pub fn close(self) -> Result<()> {
        let handle = std::mem::ManuallyDrop::new(self).handle;
        check(unsafe { sys::datablock_observer_close(handle) })
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        unsafe { sys::datablock_observer_close(self.handle) };
    }
}
