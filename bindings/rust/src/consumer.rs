//! Reading.

use crate::batch::ReadBatch;
use crate::error::{check, failed, Error, Result};
use crate::options::ConsumerOptions;
use crate::plain::{self, Plain};
use crate::schema::Schema;
use crate::sys;
use crate::timeout::Timeout;
use std::cell::{Cell, UnsafeCell};
use std::ops::Deref;
use std::path::Path;

/// A reader of a block. Dropping the consumer detaches it.
///
/// A consumer may move to another thread, and one thread at a time may use it: it is [`Send`] and
/// not [`Sync`]. No signal ends a wait. To end a wait from another thread, wait with
/// [`wait_any_or_wake`](crate::wait_any_or_wake), or with a finite timeout in a loop.
///
/// ```
/// # fn main() -> datablock::Result<()> {
/// # use datablock::{Policy, ProducerOptions};
/// # let name = format!("doc-consumer-{}", std::process::id());
/// # let options = ProducerOptions::new(Policy::Ring).slot_size(64).unlink_on_close(true);
/// # let mut producer = options.open(&name)?;
/// use datablock::{Consumer, Timeout};
///
/// let consumer = Consumer::open(&name)?;
/// producer.send(b"hello", Timeout::FOREVER)?;
/// let slot = consumer.read(Timeout::FOREVER)?;
/// assert_eq!(&slot[..], b"hello");
/// slot.release()?;
/// # Ok(())
/// # }
/// ```
///
/// The bytes are not accessible after the release, and not after the consumer is gone:
///
/// ```compile_fail,E0505
/// # fn released(consumer: datablock::Consumer) -> datablock::Result<()> {
/// let slot = consumer.read(datablock::Timeout::FOREVER)?;
/// let bytes: &[u8] = slot.data();
/// slot.release()?;
/// println!("{}", bytes[0]);
/// # Ok(())
/// # }
/// ```
///
/// ```compile_fail,E0505
/// # fn dropped(consumer: datablock::Consumer) -> datablock::Result<()> {
/// let slot = consumer.read(datablock::Timeout::FOREVER)?;
/// drop(consumer);
/// println!("{}", slot[0]);
/// # Ok(())
/// # }
/// ```
///
/// ```compile_fail,E0277
/// fn shared_between_threads<T: Sync>() {}
/// shared_between_threads::<datablock::Consumer>();
/// ```
///
/// ```compile_fail,E0277
/// fn moves_between_threads<T: Send>() {}
/// moves_between_threads::<datablock::ReadSlot<'static>>();
/// ```
#[derive(Debug)]
pub struct Consumer {
    pub(crate) handle: sys::datablock_consumer,
    held: Held,
}

// SAFETY: a handle may move to another thread. A `ReadSlot`, which uses the pointers of `held`,
// borrows the consumer and does not move.
unsafe impl Send for Consumer {}

impl Consumer {
    pub(crate) fn of(handle: sys::datablock_consumer) -> Consumer {
        Consumer { handle, held: Held::new() }
    }

    /// Attaches with the default options. Errors: as [`ConsumerOptions::open`].
    pub fn open(name: impl AsRef<Path>) -> Result<Consumer> {
        ConsumerOptions::new().open(name)
    }

    /// The settings of a consumer: `Consumer::options().start(Start::Oldest).open("name")`.
    pub fn options() -> ConsumerOptions {
        ConsumerOptions::new()
    }

    /// Reads the next message in place, and holds it until the slot is released or dropped. A
    /// consumer may hold up to `max_pins` messages. Waits for a message that is not there yet.
    ///
    /// Errors: `Timeout`, `NoProducer`, `Closed` (the end of the stream), `Superseded`, `Lost` and
    /// `Checksum` (the next call continues behind the message), `Overrun` (this LOSSLESS consumer
    /// was evicted: attach again), `Fenced` (attach again), `Busy` (`max_pins` messages are held),
    /// `Corrupt`.
    #[inline]
    pub fn read(&self, timeout: impl Into<Timeout>) -> Result<ReadSlot<'_>> {
        let timeout = timeout.into().0;
        self.hold(|out| unsafe { sys::datablock_read_begin(self.handle, timeout, out) }).map_err(failed)
    }

    /// Reads the next message in place if it is there. `None`: there is no message now, with or
    /// without a producer. Other errors: as [`read`](Consumer::read).
    #[inline]
    pub fn try_read(&self) -> Result<Option<ReadSlot<'_>>> {
        match self.hold(|out| unsafe { sys::datablock_read_begin(self.handle, 0, out) }) {
            Ok(slot) => Ok(Some(slot)),
            Err(sys::DATABLOCK_E_TIMEOUT | sys::DATABLOCK_E_NO_PRODUCER) => Ok(None),
            Err(status) => Err(failed(status)),
        }
    }

    /// Reads message `id` if it is there. The cursor does not move. Errors: `NotFound` (not yet
    /// written), `Overrun` (overwritten), `Lost`, `Checksum`, `Fenced`, `Busy` (`max_pins` messages
    /// are held), `Corrupt`.
    pub fn read_at(&self, id: u64) -> Result<ReadSlot<'_>> {
        self.hold(|out| unsafe { sys::datablock_read_at(self.handle, id, out) }).map_err(failed)
    }

    /// Reads message `id`, and waits for it if it is not written yet. The cursor does not move.
    ///
    /// Errors: as [`read`](Consumer::read); also `Overrun` (overwritten), `Closed` and `Superseded`
    /// (the message will never come), `Invalid` (without a limit this LOSSLESS consumer would wait
    /// for ever for itself).
    pub fn read_id(&self, id: u64, timeout: impl Into<Timeout>) -> Result<ReadSlot<'_>> {
        let timeout = timeout.into().0;
        self.hold(|out| unsafe { sys::datablock_read_id(self.handle, id, timeout, out) }).map_err(failed)
    }

    /// Reads into a free entry of `held`.
    #[inline]
    fn hold(
        &self,
        read: impl FnOnce(*mut sys::datablock_read_slot) -> sys::datablock_status,
    ) -> std::result::Result<ReadSlot<'_>, sys::datablock_status> {
        let Some(entry) = self.held.free() else { return Err(self.no_entry(read)) };
        match read(self.held.entry(entry)) {
            sys::DATABLOCK_OK => {
                self.held.take(entry);
                Ok(ReadSlot { consumer: self, entry })
            }
            status => Err(status),
        }
    }

    /// As many messages are held as can be, which the library reports. Where slots were forgotten
    /// whose holds have ended in another way, the library reads a message, and the read is undone.
    #[cold]
    fn no_entry(
        &self,
        read: impl FnOnce(*mut sys::datablock_read_slot) -> sys::datablock_status,
    ) -> sys::datablock_status {
        let mut slot = NO_SLOT;
        let status = read(&mut slot);
        if status != sys::DATABLOCK_OK {
            return status;
        }
        // The second call releases a message that was read by its id.
        unsafe {
            if sys::datablock_read_undo(self.handle, &slot) != sys::DATABLOCK_OK {
                sys::datablock_read_end(self.handle, &slot);
            }
        }
        sys::DATABLOCK_E_BUSY
    }

    /// Copies the next message into `bytes`, which gets the length of the message, and releases it.
    /// The copy is no hold: the call may be made while messages are held, of fewer than `max_pins`.
    /// After an error the contents of `bytes` are arbitrary. Waits and errors: as
    /// [`read`](Consumer::read) and [`ReadSlot::release`].
    pub fn receive(&self, bytes: &mut Vec<u8>, timeout: impl Into<Timeout>) -> Result<Message> {
        let timeout = timeout.into().0;
        bytes.clear();
        loop {
            let mut copied = sys::datablock_copied::default();
            let room = bytes.capacity();
            // SAFETY: the library writes at most `room` bytes.
            let status = unsafe {
                sys::datablock_read_copy(
                    self.handle,
                    timeout,
                    0,
                    bytes.as_mut_ptr().cast(),
                    room,
                    &mut copied,
                )
            };
            let length = usize::try_from(copied.length).unwrap_or(usize::MAX);
            match status {
                sys::DATABLOCK_OK => {
                    // SAFETY: the library has copied so many bytes, all of the message.
                    unsafe { bytes.set_len(length) };
                    return Ok(Message::of(&copied));
                }
                // The message is too long for the buffer, and counts as unread.
                sys::DATABLOCK_E_INVALID if length > room => bytes.reserve_exact(length),
                status => return Err(failed(status)),
            }
        }
    }

    /// Copies the next message as a value. [`Error::Invalid`]: the message is shorter than the
    /// type. Then the message counts as read. Waits and errors otherwise: as
    /// [`receive`](Consumer::receive).
    pub fn receive_value<T: Plain>(&self, timeout: impl Into<Timeout>) -> Result<(T, Message)> {
        let mut value = std::mem::MaybeUninit::<T>::uninit();
        let mut copied = sys::datablock_copied::default();
        let size = std::mem::size_of::<T>();
        // SAFETY: the library writes at most `size` bytes.
        let status = unsafe {
            sys::datablock_read_copy(
                self.handle,
                timeout.into().0,
                sys::DATABLOCK_COPY_CUT,
                value.as_mut_ptr().cast(),
                size,
                &mut copied,
            )
        };
        check(status)?;
        if copied.length < size as u64 {
            return Err(plain::too_short::<T>(copied.length as usize));
        }
        // SAFETY: all bytes are written, and each bit pattern is a value of a plain type.
        Ok((unsafe { value.assume_init() }, Message::of(&copied)))
    }

    /// Reads the messages that are there, up to `limit`, in place. Waits for the first one only.
    /// One hold of a LOSSLESS consumer covers the whole batch. Errors: as
    /// [`read`](Consumer::read); also `Invalid` (a limit of 0).
    pub fn read_many(&self, limit: usize, timeout: impl Into<Timeout>) -> Result<ReadBatch<'_>> {
        ReadBatch::read(self, limit, timeout.into())
    }

    /// Iterates over the messages in place. Each wait is at most `timeout`.
    ///
    /// The iteration ends with the stream ([`Error::Closed`]). An error is an item. After an error
    /// that concerns one message or one wait (a timeout, `Lost`, `Checksum`) the iteration can
    /// continue; after any other error it ends. Release each message before the next one, unless
    /// `max_pins` allows more.
    ///
    /// ```no_run
    /// # fn main() -> datablock::Result<()> {
    /// use datablock::{Consumer, Error, Timeout};
    ///
    /// for slot in Consumer::open("camera")?.messages(Timeout::FOREVER) {
    ///     let slot = slot?;
    ///     println!("message {} has {} bytes", slot.id(), slot.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn messages(&self, timeout: impl Into<Timeout>) -> Messages<'_> {
        Messages { consumer: self, timeout: timeout.into(), ended: false }
    }

    /// Whether a durable consumer continues at the cursor that was kept. No errors of its own.
    pub fn resumed(&self) -> Result<bool> {
        let mut resumed = false;
        check(unsafe { sys::datablock_consumer_resumed(self.handle, &mut resumed) })?;
        Ok(resumed)
    }

    /// The schema of the block. Errors: `Schema` (the block has none), `Corrupt`.
    pub fn schema(&self) -> Result<Schema> {
        Schema::made(|out| unsafe { sys::datablock_schema_of_consumer(self.handle, out) })
    }

    /// The schema of the flexible zone. Errors: as [`schema`](Consumer::schema).
    pub fn zone_schema(&self) -> Result<Schema> {
        Schema::made(|out| unsafe { sys::datablock_zone_schema_of_consumer(self.handle, out) })
    }

    /// Detaches, and reports a failure. The row of a durable consumer stays. No errors of its own.
    pub fn close(self) -> Result<()> {
        let handle = std::mem::ManuallyDrop::new(self).handle;
        check(unsafe { sys::datablock_consumer_close(handle) })
    }

    /// Releases a message. A message that must wait for earlier ones is released after them.
    #[inline]
    fn release(&self, entry: u8) -> sys::datablock_status {
        let status = unsafe { sys::datablock_read_end(self.handle, self.held.entry(entry)) };
        if status == sys::DATABLOCK_E_INVALID {
            self.held.is_late(entry);
        } else {
            self.held.give_back(entry);
        }
        if self.held.late.get() != 0 {
            self.release_late();
        }
        status
    }

    /// Releases late messages in the order of their ids, as far as it goes.
    #[cold]
    pub(crate) fn release_late(&self) {
        let mut late: Vec<u8> = self.held.late_entries().collect();
        late.sort_by_key(|entry| self.held.slot(*entry).id);
        for entry in late {
            let status = unsafe { sys::datablock_read_end(self.handle, self.held.entry(entry)) };
            if status != sys::DATABLOCK_E_INVALID {
                self.held.give_back(entry);
            }
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        unsafe { sys::datablock_consumer_close(self.handle) };
    }
}

/// The messages that a consumer holds. They stay here, so that a `ReadSlot` is two words: a copy of
/// these structs right after the library has stored them takes longer than the message.
#[derive(Debug)]
struct Held {
    slots: [UnsafeCell<sys::datablock_read_slot>; MAX_HELD],
    /// The bits of the entries that are in use.
    taken: Cell<u8>,
    /// The bits of messages that were dropped before messages that were read earlier. A LOSSLESS
    /// consumer releases in order, so the release of an earlier message releases these.
    late: Cell<u8>,
}

/// The most messages that a consumer holds: the greatest `max_pins`.
const MAX_HELD: usize = 8;

impl Held {
    fn new() -> Held {
        Held {
            slots: [const { UnsafeCell::new(NO_SLOT) }; MAX_HELD],
            taken: Cell::new(0),
            late: Cell::new(0),
        }
    }

    /// An entry that is not in use.
    #[inline]
    fn free(&self) -> Option<u8> {
        let entry = self.taken.get().trailing_ones();
        (entry < MAX_HELD as u32).then_some(entry as u8)
    }

    #[inline]
    fn take(&self, entry: u8) {
        self.taken.set(self.taken.get() | 1 << entry);
    }

    #[inline]
    fn give_back(&self, entry: u8) {
        self.taken.set(self.taken.get() & !(1 << entry));
        self.late.set(self.late.get() & !(1 << entry));
    }

    #[cold]
    fn is_late(&self, entry: u8) {
        self.late.set(self.late.get() | 1 << entry);
    }

    fn late_entries(&self) -> impl Iterator<Item = u8> + '_ {
        let late = self.late.get();
        (0..MAX_HELD as u8).filter(move |entry| late >> entry & 1 != 0)
    }

    /// The memory of an entry, which the library fills.
    #[inline]
    fn entry(&self, entry: u8) -> *mut sys::datablock_read_slot {
        self.slots[usize::from(entry)].get()
    }

    /// The message of an entry that is in use.
    #[inline]
    fn slot(&self, entry: u8) -> &sys::datablock_read_slot {
        // SAFETY: the library fills free entries only, and no other thread uses the consumer.
        unsafe { &*self.entry(entry) }
    }
}

pub(crate) const NO_SLOT: sys::datablock_read_slot = sys::datablock_read_slot {
    data: std::ptr::null(),
    length: 0,
    id: 0,
    timestamp_ns: 0,
    missed: 0,
    index: 0,
    token: 0,
};

/// The bytes of a message that is held.
///
/// # Safety
/// The message is held for as long as the result lives.
#[inline]
pub(crate) unsafe fn bytes<'a>(slot: &sys::datablock_read_slot) -> &'a [u8] {
    if slot.length == 0 {
        return &[];
    }
    // SAFETY: the library points to so many bytes, which no process changes during the hold.
    unsafe { std::slice::from_raw_parts(slot.data.cast(), slot.length) }
}

/// What a copy is a copy of.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// The number of the message.
    pub id: u64,
    /// The length of the message in bytes, also where the copy is shorter.
    pub length: u64,
    /// Messages skipped before this message.
    pub missed: u64,
    /// The time of the commit, in nanoseconds since 1970; 0: the block has no timestamps.
    pub timestamp_ns: u64,
    /// The number of the slot, as in the diagnosis.
    pub index: u32,
}

impl Message {
    fn of(copied: &sys::datablock_copied) -> Message {
        Message {
            id: copied.id,
            length: copied.length,
            missed: copied.missed,
            timestamp_ns: copied.timestamp_ns,
            index: copied.index,
        }
    }
}

/// A message that is held in place. Dropping the slot releases it.
///
/// The bytes do not change while the message is held. There are two exceptions, and both need
/// force: an operator evicts this consumer, or another program of the same user damages the block.
/// Then [`release`](ReadSlot::release) returns [`Error::Overrun`] or [`Error::Fenced`]: discard
/// what was computed from the message. A program that must not see such a change copies:
/// [`Consumer::receive`].
#[derive(Debug)]
pub struct ReadSlot<'c> {
    consumer: &'c Consumer,
    entry: u8,
}

impl ReadSlot<'_> {
    #[inline]
    fn slot(&self) -> &sys::datablock_read_slot {
        self.consumer.held.slot(self.entry)
    }

    /// The bytes, in place.
    #[inline]
    pub fn data(&self) -> &[u8] {
        // SAFETY: this slot holds the message, and the result borrows the slot.
        unsafe { bytes(self.slot()) }
    }

    /// The number of the message.
    pub fn id(&self) -> u64 {
        self.slot().id
    }

    /// Messages skipped since the previous read, or since this consumer's start.
    pub fn missed(&self) -> u64 {
        self.slot().missed
    }

    /// The time of the commit, in nanoseconds since 1970; 0: the block has no timestamps.
    pub fn timestamp_ns(&self) -> u64 {
        self.slot().timestamp_ns
    }

    /// The number of the slot, as in the diagnosis.
    pub fn index(&self) -> u32 {
        self.slot().index
    }

    /// The beginning of the message as a value, in place. [`Error::Invalid`]: the message is too
    /// short for the type, or not aligned for it.
    pub fn value<T: Plain>(&self) -> Result<&T> {
        plain::value(self.data())
    }

    /// The message as values of one type, in place. [`Error::Invalid`]: the length is no multiple
    /// of the size of the type.
    pub fn values<T: Plain>(&self) -> Result<&[T]> {
        plain::values(self.data())
    }

    /// Compares the message with its checksum. Errors: `Checksum` (discard what was computed from
    /// the message; it is still held), `Invalid` (the message has no checksum).
    pub fn verify(&self) -> Result<()> {
        check(unsafe { sys::datablock_read_verify(self.consumer.handle, self.slot()) })
    }

    /// Releases the message, and reports a failure. Errors: [`Error::Overrun`] and
    /// [`Error::Fenced`]: discard what was computed from the message.
    ///
    /// LOSSLESS messages are released in the order of their reads. [`Error::Invalid`]: an earlier
    /// message is still held. The release of that message then releases this one too.
    #[inline]
    pub fn release(self) -> Result<()> {
        let this = std::mem::ManuallyDrop::new(self);
        check(this.consumer.release(this.entry))
    }

    /// Releases the message as if it had not been read: the next read returns it again. Only the
    /// message that was read last can be undone.
    ///
    /// Errors: `Invalid` (a later message was read, or this one was read by its id: then the
    /// message is released), `Fenced` (nothing is redelivered).
    pub fn undo(self) -> Result<()> {
        let status = unsafe { sys::datablock_read_undo(self.consumer.handle, self.slot()) };
        if status == sys::DATABLOCK_E_INVALID {
            return Err(failed(status)); // the slot is still held, and released by its drop
        }
        let this = std::mem::ManuallyDrop::new(self);
        this.consumer.held.give_back(this.entry);
        check(status)
    }
}

impl Drop for ReadSlot<'_> {
    #[inline]
    fn drop(&mut self) {
        self.consumer.release(self.entry);
    }
}

impl Deref for ReadSlot<'_> {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        self.data()
    }
}

/// The messages of a consumer, in place: see [`Consumer::messages`].
#[derive(Debug)]
pub struct Messages<'c> {
    consumer: &'c Consumer,
    timeout: Timeout,
    ended: bool,
}

impl<'c> Iterator for Messages<'c> {
    type Item = Result<ReadSlot<'c>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.consumer.read(self.timeout) {
            Err(Error::Closed(_)) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = !(error.is_timeout() || matches!(error, Error::Lost(_) | Error::Checksum(_)));
                Some(Err(error))
            }
            slot => Some(slot),
        }
    }
}

impl std::iter::FusedIterator for Messages<'_> {}
