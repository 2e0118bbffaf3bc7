//! The example runs, and prints what it says.

mod common;

use common::{Block, PATIENCE};
use datablock::{recovery, ProducerOptions};
use std::process::{Command, Stdio};
use std::time::Instant;

#[test]
fn the_average_of_a_hundred_readings() {
    let block = Block::new();
    let program = std::env::current_exe().unwrap().parent().unwrap().join("../examples/average");
    let path = block.directory.join("temperature");
    let options = ProducerOptions::new(datablock::Policy::Ring).slot_count(256).slot_size(16);
    let mut producer = options.open(&path).unwrap();
    let consumer = Command::new(program)
        .arg("100")
        .env("DATABLOCK_DIR", &block.directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + PATIENCE;
    while recovery::metrics(&path).unwrap().consumers == 0 {
        assert!(Instant::now() < deadline, "the example does not attach");
        std::thread::yield_now();
    }
    for i in 0..100u32 {
        let (seconds, celsius) = (f64::from(i) / 100.0, 20.0 + f64::from(i) / 100.0);
        producer.send_value(&[seconds, celsius], PATIENCE).unwrap();
    }
    let out = consumer.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&out.stderr), "average: from reading 0\n");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(said, "100 readings up to 0.99 s, 20.5 degrees on average\n");
}
