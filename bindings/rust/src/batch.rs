//! Several messages with one hold.

use crate::consumer::{bytes, Consumer, NO_SLOT};
use crate::error::{check, Error, Result};
use crate::sys;
use crate::timeout::Timeout;

/// Messages that were read together, in place: see [`Consumer::read_many`]. Dropping the batch
/// releases them.
#[derive(Debug)]
pub struct ReadBatch<'c> {
    consumer: &'c Consumer,
    slots: Vec<sys::datablock_read_slot>,
    first: usize, // the messages before it are released
}

/// One message of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchMessage<'b> {
    /// The number of the message.
    pub id: u64,
    /// The bytes, in place.
    pub data: &'b [u8],
    /// Messages skipped before this message.
    pub missed: u64,
    /// The time of the commit, in nanoseconds since 1970; 0: the block has no timestamps.
    pub timestamp_ns: u64,
}

impl<'c> ReadBatch<'c> {
    pub(crate) fn read(consumer: &'c Consumer, limit: usize, timeout: Timeout) -> Result<ReadBatch<'c>> {
        let mut slots = vec![NO_SLOT; limit];
        let mut count = 0;
        // SAFETY: the library writes at most `limit` slots.
        let status = unsafe {
            sys::datablock_read_batch(consumer.handle, timeout.0, slots.as_mut_ptr(), limit, &mut count)
        };
        check(status)?;
        slots.truncate(count);
        Ok(ReadBatch { consumer, slots, first: 0 })
    }

    /// How many messages are held.
    pub fn len(&self) -> usize {
        self.slots.len() - self.first
    }

    /// Whether no message is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Message `i` of those that are held.
    pub fn get(&self, i: usize) -> Option<BatchMessage<'_>> {
        let slot = self.slots.get(self.first..)?.get(i)?;
        Some(BatchMessage {
            id: slot.id,
            // SAFETY: the batch holds the message, and the result borrows the batch.
            data: unsafe { bytes(slot) },
            missed: slot.missed,
            timestamp_ns: slot.timestamp_ns,
        })
    }

    /// The messages that are held, in order.
    pub fn iter(&self) -> impl Iterator<Item = BatchMessage<'_>> {
        (0..self.len()).filter_map(|i| self.get(i))
    }

    /// Releases the first `count` messages. The others stay held. Errors: `Invalid` (more messages
    /// than are held), and as [`release`](ReadBatch::release).
    pub fn release_first(&mut self, count: usize) -> Result<()> {
        if count > self.len() {
            return Err(Error::invalid(format!("{count} messages to release, of {}", self.len())));
        }
        if count == 0 {
            return Ok(());
        }
        let first = self.first;
        self.first += count;
        // SAFETY: these messages are held, and nothing borrows them.
        let status = unsafe {
            sys::datablock_read_batch_end(self.consumer.handle, self.slots[first..].as_ptr(), count)
        };
        self.consumer.release_late();
        check(status)
    }

    /// Releases all messages, and reports a failure. Errors: [`Error::Overrun`] and
    /// [`Error::Fenced`]: discard what was computed from the messages.
    pub fn release(mut self) -> Result<()> {
        self.release_first(self.len())
    }
}

impl Drop for ReadBatch<'_> {
    fn drop(&mut self) {
        let _ = self.release_first(self.len());
    }
}
