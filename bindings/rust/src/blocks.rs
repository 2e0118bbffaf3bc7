//! Housekeeping: the blocks of a directory.

use crate::error::{check, Result};
use crate::{sys, text};
use std::path::Path;

/// The version of the loaded library: `(major * 1000 + minor) * 1000 + patch`.
pub fn version() -> u32 {
    unsafe { sys::datablock_version() }
}

/// A block, as [`list`] shows it.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// The name.
    pub name: String,
    /// The bytes of both files.
    pub total_bytes: u64,
    /// The largest message, in bytes.
    pub slot_size: u64,
    /// How many messages were written.
    pub next_id: u64,
    /// The process of the producer; 0: no living producer.
    pub producer_pid: u64,
    /// How many messages the ring keeps.
    pub slot_count: u32,
    /// Slots in addition to the slots of the ring.
    pub spare_slots: u32,
    /// The number of the [`Policy`](crate::Policy).
    pub policy: u32,
    /// The number of the checksum policy; 0: none.
    pub checksum: u16,
    /// The number of the [`Algorithm`](crate::Algorithm) of the checksums; 0: no checksums.
    pub algorithm: u16,
    /// Living consumers.
    pub consumers: u32,
    /// How many consumers can be attached at once.
    pub consumer_limit: u32,
    /// The state.
    pub state: BlockState,
}

/// The state of a block.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockState {
    /// The file is not a readable block, and only its name is known.
    Unreadable,
    /// In use, or ready for use.
    Ready,
    /// The producer has ended the stream.
    Closed,
    /// Another block has the name.
    Superseded,
    /// Another block is about to get the name.
    Replacing,
    /// A state of a later version.
    Unknown(u32),
}

/// Lists the blocks of a directory by name; `None` is the default directory. Changes nothing.
/// Errors: `NotFound` (the directory), `Access`, `Invalid`, `System`.
pub fn list(directory: Option<&Path>) -> Result<Vec<BlockInfo>> {
    let directory = text::optional_path(directory)?;
    let mut room = 64;
    loop {
        // SAFETY: numbers of a struct of C, for which zero is valid.
        let mut infos: Vec<sys::datablock_block_info> = vec![unsafe { std::mem::zeroed() }; room];
        let mut count = 0;
        // SAFETY: the library writes at most `room` items.
        check(unsafe {
            sys::datablock_list(text::pointer(&directory), infos.as_mut_ptr(), room, &mut count)
        })?;
        if count <= room {
            return Ok(infos[..count].iter().map(info).collect());
        }
        room = count + 16; // blocks may be made meanwhile
    }
}

fn info(of: &sys::datablock_block_info) -> BlockInfo {
    BlockInfo {
        name: text::of_array(&of.name),
        total_bytes: of.total_bytes,
        slot_size: of.slot_size,
        next_id: of.next_id,
        producer_pid: of.producer_pid,
        slot_count: of.slot_count,
        spare_slots: of.spare_slots,
        policy: of.policy,
        checksum: of.checksum,
        algorithm: of.algorithm,
        consumers: of.consumers,
        consumer_limit: of.consumer_limit,
        state: match of.state {
            0 => BlockState::Unreadable,
            2 => BlockState::Ready,
            3 => BlockState::Closed,
            4 => BlockState::Superseded,
            5 => BlockState::Replacing,
            other => BlockState::Unknown(other),
        },
    }
}

/// Removes a block. While participants live the call is refused, unless `force` is set: then the
/// participants get [`Error::Superseded`](crate::Error::Superseded).
///
/// Errors: `NotFound`, `ProducerActive`, `Busy`, `Access`, `Corrupt` (not a block: remove the file
/// by hand), `Invalid`, `System`.
pub fn unlink(name: impl AsRef<Path>, force: bool) -> Result<()> {
    let name = text::path(name.as_ref())?;
    let flags = if force { sys::DATABLOCK_FLAG_FORCE } else { 0 };
    check(unsafe { sys::datablock_unlink(name.as_ptr(), flags) })
}
