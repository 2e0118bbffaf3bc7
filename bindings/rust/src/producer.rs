//! Writing.

use crate::error::{check, failed, Error, Result};
use crate::options::{Policy, ProducerOptions};
use crate::plain::{self, Plain};
use crate::sys;
use crate::timeout::Timeout;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// The writer of a block. Dropping the producer closes it, which is the end of the stream.
///
/// A producer may move to another thread, and one thread at a time may use it: it is [`Send`] and
/// not [`Sync`]. No signal ends a wait. A program that wants to end waits with a finite timeout.
///
/// ```
/// # fn main() -> datablock::Result<()> {
/// use datablock::{Policy, ProducerOptions, Timeout};
///
/// let mut producer = ProducerOptions::new(Policy::Ring)
///     .slot_size(64)
///     .unlink_on_close(true)
///     .open(format!("doc-producer-{}", std::process::id()))?;
/// assert_eq!(producer.send(b"a copy", Timeout::FOREVER)?, 0);
/// let mut slot = producer.claim(Timeout::FOREVER)?; // in place
/// slot[..5].copy_from_slice(b"hello");
/// assert_eq!(slot.commit(5)?, 1);
/// producer.close()
/// # }
/// ```
///
/// Only one thread at a time:
///
/// ```compile_fail,E0277
/// fn shared_between_threads<T: Sync>() {}
/// shared_between_threads::<datablock::Producer>();
/// ```
#[derive(Debug)]
pub struct Producer {
    pub(crate) handle: sys::datablock_producer,
    /// The open claim. It stays here, so that a `WriteSlot` is one pointer: a copy of these words
    /// right after the library has stored them takes longer than the message.
    slot: sys::datablock_write_slot,
    not_sync: PhantomData<Cell<()>>,
}

// SAFETY: a handle may move to another thread. The pointer is used through a `WriteSlot` only,
// which borrows the producer.
unsafe impl Send for Producer {}

impl Producer {
    pub(crate) fn of(handle: sys::datablock_producer) -> Producer {
        let slot = sys::datablock_write_slot {
            data: std::ptr::null_mut(),
            capacity: 0,
            id: 0,
            index: 0,
            reserved: 0,
        };
        Producer { handle, slot, not_sync: PhantomData }
    }

    /// The settings of a producer: `Producer::options(Policy::Ring).slot_size(64).open("name")`.
    pub fn options(policy: Policy) -> ProducerOptions {
        ProducerOptions::new(policy)
    }

    /// Publishes a copy of the bytes as the next message, and returns its id. Waits and errors: as
    /// [`claim`](Producer::claim) and [`WriteSlot::commit`]. After an error nothing was published.
    pub fn send(&mut self, bytes: &[u8], timeout: impl Into<Timeout>) -> Result<u64> {
        let (mut id, timeout) = (0, timeout.into().0);
        // SAFETY: the library reads the bytes during the call only.
        let status = unsafe {
            sys::datablock_write(self.handle, timeout, bytes.as_ptr().cast(), bytes.len(), &mut id)
        };
        check(status)?;
        Ok(id)
    }

    /// Publishes a copy of a value as the next message, and returns its id. Waits and errors: as
    /// [`send`](Producer::send).
    pub fn send_value<T: Plain>(&mut self, value: &T, timeout: impl Into<Timeout>) -> Result<u64> {
        self.send(plain::bytes_of(value), timeout)
    }

    /// Publishes copies of several messages, in order. Each is published by itself. After an error
    /// [`BatchError::written`] of them are published. The timeout is for the whole call. Waits and
    /// errors: as [`send`](Producer::send).
    pub fn send_many<T: AsRef<[u8]>>(
        &mut self,
        messages: &[T],
        timeout: impl Into<Timeout>,
    ) -> std::result::Result<(), BatchError> {
        let parts: Vec<_> = messages
            .iter()
            .map(|message| {
                let bytes = message.as_ref();
                sys::datablock_message { data: bytes.as_ptr().cast(), length: bytes.len() }
            })
            .collect();
        let mut written = 0;
        // SAFETY: the library reads the messages during the call only.
        let status = unsafe {
            sys::datablock_write_batch(
                self.handle,
                timeout.into().0,
                parts.as_ptr(),
                parts.len(),
                &mut written,
            )
        };
        check(status).map_err(|error| BatchError { written, error })
    }

    /// Claims a slot for the next message. Waits while a LOSSLESS consumer has yet to read the
    /// message that would be overwritten, or while fewer than `min_consumers` are attached.
    ///
    /// Errors: `Timeout`, `Superseded` (another producer replaced the block: open again),
    /// `Corrupt`, `Invalid` (a claim was forgotten, and is still open).
    ///
    /// The compiler sees that there is one claim at a time:
    ///
    /// ```compile_fail,E0499
    /// # fn two(mut producer: datablock::Producer) -> datablock::Result<()> {
    /// let first = producer.claim(datablock::Timeout::FOREVER)?;
    /// let second = producer.claim(datablock::Timeout::FOREVER)?;
    /// first.commit(0)?;
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn claim(&mut self, timeout: impl Into<Timeout>) -> Result<WriteSlot<'_>> {
        match self.begin(timeout.into()) {
            sys::DATABLOCK_OK => Ok(WriteSlot { producer: self }),
            status => Err(failed(status)),
        }
    }

    /// Claims a slot without waiting. `None`: a LOSSLESS consumer has yet to read the message that
    /// would be overwritten, or `min_consumers` are not there. Other errors: as
    /// [`claim`](Producer::claim).
    #[inline]
    pub fn try_claim(&mut self) -> Result<Option<WriteSlot<'_>>> {
        match self.begin(Timeout::NONE) {
            sys::DATABLOCK_OK => Ok(Some(WriteSlot { producer: self })),
            sys::DATABLOCK_E_TIMEOUT => Ok(None),
            status => Err(failed(status)),
        }
    }

    #[inline]
    fn begin(&mut self, timeout: Timeout) -> sys::datablock_status {
        unsafe { sys::datablock_write_begin(self.handle, timeout.0, &mut self.slot) }
    }

    /// The id of the next message. No errors of its own.
    pub fn next_id(&self) -> Result<u64> {
        let mut id = 0;
        check(unsafe { sys::datablock_producer_next_id(self.handle, &mut id) })?;
        Ok(id)
    }

    /// Ends the stream, and reports a failure. Consumers read what is left, and then get
    /// [`Error::Closed`]. No errors of its own. A slot cannot outlive its producer:
    ///
    /// ```compile_fail,E0505
    /// # fn late(mut producer: datablock::Producer) -> datablock::Result<()> {
    /// let mut slot = producer.claim(datablock::Timeout::FOREVER)?;
    /// producer.close()?;
    /// slot[0] = 1;
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(self) -> Result<()> {
        let handle = std::mem::ManuallyDrop::new(self).handle;
        check(unsafe { sys::datablock_producer_close(handle) })
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        unsafe { sys::datablock_producer_close(self.handle) };
    }
}

/// A batch was not published completely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchError {
    /// How many messages were published.
    pub written: usize,
    /// Why the next message was not.
    pub error: Error,
}

impl fmt::Display for BatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} messages: {}", self.written, self.error)
    }
}

impl std::error::Error for BatchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

impl From<BatchError> for Error {
    fn from(batch: BatchError) -> Error {
        batch.error
    }
}

/// A claimed slot: memory of the block, to be filled in place. Its previous contents are arbitrary.
///
/// [`commit`](WriteSlot::commit) publishes the message. Dropping the slot aborts the claim, and the
/// next claim gets the same id. The memory is not accessible after the commit:
///
/// ```compile_fail,E0382
/// # fn after(mut producer: datablock::Producer) -> datablock::Result<()> {
/// let mut slot = producer.claim(datablock::Timeout::FOREVER)?;
/// slot.commit(1)?;
/// slot[0] = 1;
/// # Ok(())
/// # }
/// ```
///
/// ```compile_fail,E0505
/// # fn after(mut producer: datablock::Producer) -> datablock::Result<()> {
/// let mut slot = producer.claim(datablock::Timeout::FOREVER)?;
/// let bytes: &mut [u8] = slot.data_mut();
/// slot.commit(1)?;
/// bytes[0] = 1;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct WriteSlot<'p> {
    producer: &'p mut Producer,
}

impl WriteSlot<'_> {
    /// The id that the commit will publish.
    pub fn id(&self) -> u64 {
        self.producer.slot.id
    }

    /// The number of the slot, as in the diagnosis.
    pub fn index(&self) -> u32 {
        self.producer.slot.index
    }

    /// The producer, for what both sides share: see [`Participant`](crate::Participant).
    pub fn producer(&self) -> &Producer {
        self.producer
    }

    /// The whole memory of the slot.
    #[inline]
    pub fn data(&self) -> &[u8] {
        // SAFETY: the memory is mapped, and no consumer reads it, until commit, abort or close. All
        // of these need the slot or the producer, which this borrow excludes.
        unsafe { std::slice::from_raw_parts(self.producer.slot.data.cast(), self.producer.slot.capacity) }
    }

    /// The whole memory of the slot, to be filled.
    #[inline]
    pub fn data_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `data`; and the slot is the only one of its producer.
        unsafe { std::slice::from_raw_parts_mut(self.producer.slot.data.cast(), self.producer.slot.capacity) }
    }

    /// The beginning of the slot as a value. [`Error::Invalid`]: the slot is too small for the
    /// type, or not aligned for it.
    pub fn value_mut<T: Plain>(&mut self) -> Result<&mut T> {
        plain::value_mut(self.data_mut())
    }

    /// As many values as there is room for. Errors: as [`value_mut`](WriteSlot::value_mut).
    pub fn values_mut<T: Plain>(&mut self) -> Result<&mut [T]> {
        plain::values_mut(self.data_mut())
    }

    /// On a block with [`Checksum::Manual`](crate::Checksum::Manual): stores the checksum of the
    /// first `length` bytes. A commit of that length publishes the checksum. Errors: `Invalid` (a
    /// length above that of the slot; a block without checksums).
    pub fn checksum(&mut self, length: usize) -> Result<()> {
        check(unsafe { sys::datablock_write_checksum(self.producer.handle, &self.producer.slot, length) })
    }

    /// Publishes the first `length` bytes, atomically, and returns the id. After an error nothing
    /// was published, and the claim has ended. Errors: `Invalid` (a length above that of the slot,
    /// or below that of the schema), `Fenced`, `Superseded`.
    #[inline]
    pub fn commit(self, length: usize) -> Result<u64> {
        let status =
            unsafe { sys::datablock_write_commit(self.producer.handle, &self.producer.slot, length) };
        if status != sys::DATABLOCK_OK {
            let error = failed(status);
            drop(self); // a claim that is still open, after a wrong length, is aborted
            return Err(error);
        }
        Ok(std::mem::ManuallyDrop::new(self).producer.slot.id)
    }

    /// Writes a value to the beginning of the slot, and publishes it. Errors: as
    /// [`value_mut`](WriteSlot::value_mut) and [`commit`](WriteSlot::commit).
    pub fn commit_value<T: Plain>(mut self, value: &T) -> Result<u64> {
        *self.value_mut()? = *value;
        self.commit(std::mem::size_of::<T>())
    }

    /// Gives the slot back unpublished, and reports a failure. Errors: `Invalid` (a recovery has
    /// ended the claim).
    pub fn abort(self) -> Result<()> {
        let this = std::mem::ManuallyDrop::new(self);
        check(unsafe { sys::datablock_write_abort(this.producer.handle, &this.producer.slot) })
    }
}

impl Drop for WriteSlot<'_> {
    fn drop(&mut self) {
        unsafe { sys::datablock_write_abort(self.producer.handle, &self.producer.slot) };
    }
}

impl Deref for WriteSlot<'_> {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.data()
    }
}

impl DerefMut for WriteSlot<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        self.data_mut()
    }
}
