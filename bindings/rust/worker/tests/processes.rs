//! Processes that share a block survive the deaths of each other. The scenarios have the names of
//! those in `tests/go/process`, where workers of other languages take part.

mod common;

use common::{value, Block, Worker, RING};
use datablock::recovery::{self, Recovered};
use datablock::{Error, RecoveryFailure};
use std::time::Duration;

const DELIVERIES: [&str; 3] = ["lossless", "ordered", "latest"];

/// Every message of a LOSSLESS consumer is whole, and the ids have no gap.
fn has_everything(consumer: &Worker, first: u64) {
    for (i, message) in consumer.messages.iter().enumerate() {
        assert!(message.good, "message {} is torn", message.id);
        assert_eq!((message.id, message.missed), (first + i as u64, 0));
    }
}

#[test]
fn exchange() {
    let block = Block::new();
    let mut producer = block.producer(&[]);
    let mut consumer = block.consumer("lossless", &[]);
    consumer.send("read 0");
    assert_eq!(producer.write(20_000), 0);
    producer.close();
    let line = consumer.expect("read=");
    assert_eq!(
        (value(&line, "read"), value(&line, "bad"), value(&line, "end")),
        ("20000", "0", "CLOSED"),
        "{line}"
    );
    consumer.close();
    block.leaves_nothing();
}

#[test]
fn exchange_by_polling() {
    let block = Block::new();
    let mut producer = block.producer(&["--poll"]);
    let mut consumer = block.consumer("lossless", &["--poll"]);
    let mut other = block.consumer("lossless", &["--any"]);
    consumer.send("read 0");
    other.send("read 0");
    producer.write(5_000);
    producer.close();
    for mut consumer in [consumer, other] {
        let line = consumer.expect("read=");
        assert_eq!((value(&line, "read"), value(&line, "bad")), ("5000", "0"), "{line}");
        consumer.close();
    }
    block.leaves_nothing();
}

#[test]
fn three_deliveries_on_one_block() {
    let block = Block::new();
    let mut producer = block.producer(&[]);
    let mut consumers = DELIVERIES.map(|delivery| block.consumer(delivery, &[]));
    consumers.iter_mut().for_each(|consumer| consumer.send("read 0"));
    producer.write(20_000);
    producer.close();
    for mut consumer in consumers {
        let line = consumer.expect("read=");
        let number = |key| value(&line, key).parse::<u64>().unwrap();
        assert_eq!((number("bad"), number("last")), (0, 19_999), "{line}");
        assert_eq!(number("read") + number("missed"), 20_000, "{line}");
        consumer.close();
    }
    block.leaves_nothing();
}

#[test]
fn producer_killed_with_a_claim_open() {
    let block = Block::new();
    let mut victim = block.producer(&[]);
    let mut witness = block.consumer("lossless", &["--echo"]);
    witness.send("read 0");
    victim.write(20);
    victim.ask("claim", "claimed 20"); // half written by now
    victim.kill();
    let mut successor = block.producer(&[]);
    assert_eq!(successor.write(2 * RING), 20, "the ids continue");
    successor.close();
    witness.expect("read=36 missed=0 first=0 last=35 bad=0");
    has_everything(&witness, 0);
    block.is_healthy();
    witness.close();
    block.leaves_nothing();
}

#[test]
fn producer_killed_while_writing() {
    let block = Block::new();
    let mut first = block.producer(&[]);
    let mut witness = block.consumer("lossless", &["--echo"]);
    witness.send("read 0");
    let mut committed = (0..first.write(1) + 1).collect::<Vec<_>>();
    first.kill();
    for round in 1..=10u64 {
        let mut victim = block.producer(&["--echo"]);
        victim.send("write 1000000");
        let goal = committed.len() as u64 + 37 * round;
        block.eventually("the victim writes", |block| {
            recovery::metrics(block.path()).unwrap().next_id >= goal
        });
        victim.kill();
        committed.append(&mut victim.committed);
    }
    let mut last = block.producer(&[]);
    let next = last.write(RING);
    last.close();
    let line = witness.expect("read=");
    assert_eq!((value(&line, "bad"), value(&line, "end")), ("0", "CLOSED"), "{line}");
    assert_eq!(value(&line, "last"), (next + RING - 1).to_string(), "{line}");
    has_everything(&witness, 0);
    let most = *committed.last().unwrap();
    assert!(most < next, "message {most} was committed, and its id was used again");
    block.is_healthy();
    witness.close();
    block.leaves_nothing();
}

#[test]
fn producer_killed_while_held_up() {
    let block = Block::new();
    let mut victim = block.producer(&[]);
    let mut witness = block.consumer("lossless", &["--echo"]);
    victim.send("write 20");
    block.eventually("the ring is full", |block| recovery::metrics(block.path()).unwrap().next_id == RING);
    victim.falls_asleep();
    victim.kill();
    let mut successor = block.producer(&[]);
    witness.send("read 0");
    assert_eq!(successor.write(20), RING);
    successor.close();
    witness.expect("read=28 missed=0 first=0 last=27 bad=0");
    has_everything(&witness, 0);
    witness.close();
    block.leaves_nothing();
}

#[test]
fn held_message_survives_the_producer() {
    for delivery in ["ordered", "latest"] {
        let block = Block::new();
        let mut victim = block.producer(&[]);
        let mut holder = block.consumer(delivery, &["--pins=3"]);
        for _ in 0..3 {
            victim.write(1);
            holder.ask("hold", "holding");
        }
        victim.write(2 * RING); // out of the ring
        victim.kill();
        let mut successor = block.producer(&[]);
        successor.write(10 * RING);
        for id in 0..3 {
            let line = holder.ask("check", &format!("checked {id}"));
            assert!(line.ends_with("true"), "{line}");
            holder.ask("release", "released");
        }
        holder.close();
        successor.close();
        block.leaves_nothing();
    }
}

#[test]
fn consumer_killed_while_holding() {
    for delivery in DELIVERIES {
        let block = Block::new();
        let mut producer = block.producer(&[]);
        let mut victim = block.consumer(delivery, &[]);
        producer.write(4);
        victim.ask("hold", "holding");
        victim.kill();
        assert_eq!(producer.write(5 * RING), 4, "nobody releases the dead consumer but the producer");
        block.is_healthy();
        producer.close();
        block.leaves_nothing();
    }
}

#[test]
fn consumer_killed_while_asleep() {
    for delivery in DELIVERIES {
        let block = Block::new();
        let mut producer = block.producer(&[]);
        let mut victim = block.consumer(delivery, &[]);
        victim.send("read 0");
        victim.falls_asleep();
        victim.kill();
        producer.write(5 * RING);
        producer.close();
        block.leaves_nothing();
    }
}

#[test]
fn a_durable_consumer_that_was_killed_continues() {
    let block = Block::new();
    let mut producer = block.producer(&[]);
    let durable = ["--durable", "--name=log", "--echo"];
    let mut victim = block.consumer("lossless", &durable);
    producer.write(4);
    victim.ask("read 2", "read=2 missed=0 first=0 last=1 bad=0");
    victim.ask("hold", "holding 2");
    victim.kill();
    let mut successor = block.consumer("lossless", &durable);
    successor.ask("read 2", "read=2 missed=0 first=2 last=3 bad=0");
    has_everything(&successor, 2);
    successor.close();
    producer.close();
    assert_eq!(recovery::cleanup_dead_consumers(block.path(), Duration::ZERO), Ok(1), "its row stays");
    block.leaves_nothing();
}

#[test]
fn the_dead_are_diagnosed_and_released() {
    let block = Block::new();
    let mut producer = block.producer(&[]);
    let mut reader = block.consumer("ordered", &[]);
    let mut durable = block.consumer("lossless", &["--durable", "--name=log"]);
    producer.write(1);
    reader.ask("hold", "holding 0");
    durable.ask("read 1", "read=1");
    producer.ask("claim", "claimed 1");
    let slots = recovery::diagnose_all_slots(block.path()).unwrap();
    let held = slots.iter().find(|slot| slot.readers > 0 && slot.id == 0).unwrap().index;
    let claimed = slots.iter().find(|slot| slot.writer_pid == producer.pid()).unwrap().index;
    assert!(!slots.iter().any(|slot| slot.stuck));
    match recovery::release_zombie_writer(block.path(), claimed) {
        Err(Error::Recovery(RecoveryFailure::Unsafe, _)) => {}
        other => panic!("the producer lives: {other:?}"),
    }
    for victim in [&mut producer, &mut reader, &mut durable] {
        victim.kill();
    }
    assert!(!recovery::is_process_alive(producer.pid()));
    assert!(recovery::diagnose_slot(block.path(), held).unwrap().stuck);
    assert!(recovery::diagnose_slot(block.path(), claimed).unwrap().stuck);
    assert_eq!(recovery::release_zombie_readers(block.path(), held), Ok(Recovered::Done));
    assert_eq!(recovery::release_zombie_readers(block.path(), held), Ok(Recovered::NotStuck));
    assert_eq!(recovery::release_zombie_writer(block.path(), claimed), Ok(Recovered::Done));
    assert_eq!(recovery::cleanup_dead_consumers(block.path(), Duration::ZERO), Ok(1), "the durable one");
    assert!(!recovery::recovery_log(block.path()).unwrap().is_empty());
    let mut successor = block.producer(&[]);
    assert_eq!(successor.write(1), 1);
    successor.close();
    block.is_healthy();
    block.leaves_nothing();
}

#[test]
fn storm() {
    let block = Block::new();
    let mut witness = block.consumer_of_a_new_block();
    let mut producer = block.producer(&["--rate=5000"]);
    producer.send("write 1000000");
    witness.send("read 0");
    for strike in 0..30usize {
        let seen = recovery::metrics(block.path()).unwrap().next_id;
        let delivery = DELIVERIES[strike % 3];
        let mut reader = block.consumer(delivery, &[]);
        reader.send("read 0");
        block.eventually("messages are written", |block| {
            recovery::metrics(block.path()).unwrap().next_id >= seen + 1 + strike as u64
        });
        if strike % 2 == 0 {
            reader.kill();
        } else {
            producer.kill();
            producer = block.producer(&["--rate=5000"]);
            producer.send("write 1000000");
            reader.kill();
        }
    }
    producer.kill();
    let mut last = block.producer(&[]);
    let end = last.write(RING) + RING;
    last.close();
    let line = witness.expect("read=");
    assert_eq!((value(&line, "bad"), value(&line, "end")), ("0", "CLOSED"), "{line}");
    assert_eq!(value(&line, "read"), end.to_string(), "every message, whoever died: {line}");
    has_everything(&witness, 0);
    block.is_healthy();
    witness.close();
    block.leaves_nothing();
}

impl Block {
    /// A LOSSLESS consumer that is there from the first message on.
    fn consumer_of_a_new_block(&self) -> Worker {
        self.producer(&[]).close();
        self.consumer("lossless", &["--echo"])
    }
}
