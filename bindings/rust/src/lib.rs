//! DataBlock in Rust: a crash-safe, zero-copy channel in shared memory.
//!
//! A *block* is a named channel. One [`Producer`] writes messages, numbered 0, 1, 2 ... without
//! gaps, and any number of [`Consumer`]s in other processes read them in place. SIGKILL may end any
//! of these processes at any instruction: the others continue, no committed message is lost, and no
//! consumer reads half a message.
//!
//! ```
//! # fn main() -> datablock::Result<()> {
//! use datablock::{Consumer, Policy, Producer, Start, Timeout};
//!
//! let name = format!("doc-crate-{}", std::process::id());
//! let options = Producer::options(Policy::Ring).slot_size(64).unlink_on_close(true);
//! let mut producer = options.open(&name)?;
//! producer.send(b"hello", Timeout::FOREVER)?;
//! let mut slot = producer.claim(Timeout::FOREVER)?; // in shared memory
//! slot[..5].copy_from_slice(b"world");
//! slot.commit(5)?;
//!
//! let consumer = Consumer::options().start(Start::Oldest).open(&name)?;
//! producer.close()?;
//! for message in consumer.messages(Timeout::FOREVER) {
//!     let message = message?; // in place, released when it is dropped
//!     println!("message {}: {}", message.id(), String::from_utf8_lossy(&message));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Lifetimes
//!
//! A [`WriteSlot`] or [`ReadSlot`] is memory of the block. The compiler refuses a program that uses
//! the memory after the commit or the release, or after the participant is gone. A slot that is
//! dropped is aborted or released.
//!
//! # Threads
//!
//! [`Producer`], [`Consumer`] and [`Observer`] are [`Send`] and not [`Sync`]: one thread at a time
//! uses a handle, and everything that was obtained from it. [`Schema`] and [`Waker`] are both. The
//! functions of [`recovery`], [`list`] and [`unlink`] may be called by every thread.
//!
//! # Waiting
//!
//! A function that takes a [`Timeout`] waits at most so long. Every other function waits for no
//! message, no free slot and no lock of the block.
//!
//! # Errors
//!
//! The documentation of a function lists the variants of [`Error`] that it returns. Every function
//! may also return [`Error::Forked`] in a forked child, [`Error::Busy`] in a signal handler that
//! interrupts a call, [`Error::System`] after the descriptors of a handle were closed, and
//! [`Error::Panic`]. A function without errors of its own returns only these.
//!
//! # What the crate does not hide
//!
//! * If another process truncates a block's file, the next access through a slot raises SIGBUS.
//!   [`Consumer::receive`] and [`Producer::send`] return [`Error::Corrupt`] instead.
//! * After `fork` the child gets [`Error::Forked`] until it calls `exec`, as
//!   [`std::process::Command`] does.
//! * No signal ends a wait: wait with a finite timeout, or with a [`Waker`].
//!
//! The C header `datablock.h` is the full manual. [`sys`] has the C interface itself.
#![warn(missing_docs)]

mod batch;
mod blocks;
mod consumer;
mod error;
mod observer;
mod options;
mod plain;
mod producer;
mod record;
pub mod recovery;
mod schema;
mod shared;
pub mod sys;
mod text;
mod timeout;
mod wait;

pub use batch::{BatchMessage, ReadBatch};
pub use blocks::{list, unlink, version, BlockInfo, BlockState};
pub use consumer::{Consumer, Message, Messages, ReadSlot};
pub use error::{Error, RecoveryFailure, Result};
pub use observer::{Observation, Observer};
pub use options::{
    Algorithm, Checksum, ConsumerOptions, Delivery, ObserverOptions, Policy, ProducerOptions, Start,
};
pub use plain::Plain;
pub use producer::{BatchError, Producer, WriteSlot};
#[doc(hidden)]
pub use record::field;
pub use record::{Field, Record};
pub use schema::{Schema, SchemaMode};
pub use shared::{Counter, LockGuard, Participant, Zone};
pub use timeout::Timeout;
pub use wait::{wait_any, wait_any_or_wake, Waker};

/// The examples of the README are tests too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
