//! The example runs, and prints what it says.

mod common;

use common::{Block, PATIENCE};
use datablock::ProducerOptions;
use std::process::{Command, Stdio};
use std::time::Instant;

#[test]
fn the_average_of_a_hundred_readings() {
    let block = Block::new();
    let program = std::env::current_exe().unwrap().parent().unwrap().join("../examples/average");
    let path = block.directory.join("temperature");
    let options = ProducerOptions::new(datablock::Policy::Ring).slot_count(256).slot_size(16);
    let mut producer = options.open(&path).unwrap();
    let mut consumer = Command::new(program)
        .arg("100")
        .env("DATABLOCK_DIR", &block.directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It begins at any reading.
    let deadline = Instant::now() + PATIENCE;
    let mut readings = 0u32..;
    while consumer.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the example does not end");
        let i = f64::from(readings.next().unwrap());
        producer.send_value(&[i / 100.0, 20.0 + i / 100.0], PATIENCE).unwrap();
    }
    let out = consumer.wait_with_output().unwrap();
    let begin = String::from_utf8_lossy(&out.stderr).into_owned();
    let first: f64 = begin.trim_start_matches("average: from reading ").trim_end().parse().unwrap();
    let (until, average) = ((first + 99.0) / 100.0, 20.0 + (first + 49.5) / 100.0);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(said.starts_with(&format!("100 readings up to {until:.2} s, ")), "{begin}{said}");
    let words: Vec<&str> = said.split(' ').collect();
    let given: f64 = words[6].parse().unwrap();
    assert!((given - average).abs() < 0.06, "{begin}{said}");
}
