//! One repair.

use crate::lines::{say, usage, Options};
use datablock::recovery::{self, Recovered};
use datablock::Result;
use std::time::Duration;

pub fn recover(name: &str, options: Options) {
    let path = format!("{}/{name}", options.text("dir").unwrap_or_default());
    let slot = options.number("slot", 0) as u32;
    let older = Duration::from_nanos(options.number("older", 0));
    let action = options.text("do").unwrap_or_default();
    options.all_asked();
    let result = match action {
        "release-readers" => number(recovery::release_zombie_readers(&path, slot)),
        "release-writer" => number(recovery::release_zombie_writer(&path, slot)),
        "cleanup" => recovery::cleanup_dead_consumers(&path, older).map(|rows| rows as i32),
        "reset" | "reset-force" => number(recovery::force_reset_slot(&path, slot, action == "reset-force")),
        "evict-force" => number(recovery::evict_consumer(&path, slot, true)),
        "repair" => number(recovery::repair(&path, false)),
        "unlink" | "unlink-force" => datablock::unlink(&path, action == "unlink-force").map(|()| 0),
        _ => usage(&format!("--do={action} is unknown")),
    };
    match result {
        Ok(number) => say(&format!("result {number} ")),
        Err(error) => say(&format!("result {} {}", error.code(), error.detail())),
    }
}

/// The number of a `RecoveryResult`.
fn number(result: Result<Recovered>) -> Result<i32> {
    result.map(|recovered| match recovered {
        Recovered::Done => 0,
        Recovered::NotStuck => 3,
    })
}
