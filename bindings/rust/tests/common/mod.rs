//! A directory with one block, which goes with the test.
#![allow(dead_code)]

use datablock::{Consumer, ConsumerOptions, Delivery, Policy, Producer, ProducerOptions, Start};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Long enough for a busy machine. A test that passes never waits for so long.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub struct Block {
    pub directory: PathBuf,
}

impl Block {
    pub fn new() -> Block {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory =
            PathBuf::from(format!("/dev/shm/datablock-test-rust-{}-{number}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        Block { directory }
    }

    /// The absolute path, which is a name too.
    pub fn path(&self) -> PathBuf {
        self.directory.join("x")
    }

    /// A ring of four messages of 256 bytes.
    pub fn options(&self) -> ProducerOptions {
        ProducerOptions::new(Policy::Ring).slot_count(4).slot_size(256).directory(&self.directory)
    }

    pub fn producer(&self) -> Producer {
        self.options().open("x").unwrap()
    }

    pub fn reading(&self, delivery: Delivery) -> ConsumerOptions {
        ConsumerOptions::new().delivery(delivery).start(Start::Oldest).directory(&self.directory)
    }

    pub fn consumer(&self) -> Consumer {
        self.reading(Delivery::Lossless).open("x").unwrap()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
