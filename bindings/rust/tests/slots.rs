//! Held messages: release, undo, types, checksums. What both sides share.

mod common;

use common::{Block, PATIENCE};
use datablock::{Checksum, Delivery, Error, Participant, Record, Schema, SchemaMode, Timeout};
use std::os::unix::fs::FileExt;

datablock::record! {
    #[derive(Debug, PartialEq)]
    struct Pair { a: u32, b: u32 }

    "Sample 1.2.0":
    #[derive(Debug, PartialEq)]
    struct Sample { time: u64, value: [f64; 2], pair: Pair }
}

const SAMPLE: Sample = Sample { time: 5, value: [0.5, 1.5], pair: Pair { a: 1, b: 2 } };

#[test]
fn messages_that_are_dropped_in_any_order_are_all_released() {
    let block = Block::new();
    let mut producer = block.options().spare_slots(12).open("x").unwrap();
    let consumer = block.reading(Delivery::Lossless).max_pins(3).open("x").unwrap();
    for round in 0..20u64 {
        producer.send_many(&["0", "1", "2"], PATIENCE).unwrap();
        let mut held: Vec<_> = (0..3).map(|_| Some(consumer.read(PATIENCE).unwrap())).collect();
        for i in [[2, 1, 0], [1, 0, 2], [0, 2, 1], [1, 2, 0]][round as usize % 4] {
            assert_eq!(held[i].as_ref().unwrap().id(), round * 3 + i as u64);
            held[i] = None;
        }
    }
}

#[test]
fn a_late_release_says_so_and_is_made_up_for() {
    let block = Block::new();
    let mut producer = block.options().spare_slots(12).open("x").unwrap();
    let consumer = block.reading(Delivery::Lossless).max_pins(2).open("x").unwrap();
    producer.send_many(&["0", "1", "2", "3"], PATIENCE).unwrap();
    let (first, second) = (consumer.read(PATIENCE).unwrap(), consumer.read(PATIENCE).unwrap());
    assert!(matches!(second.release(), Err(Error::Invalid(_))));
    assert!(producer.try_claim().unwrap().is_none(), "message 0 is held");
    assert!(matches!(consumer.read(PATIENCE), Err(Error::Busy(_))), "and message 1 too");
    first.release().unwrap();
    producer.send_many(&["4", "5"], Timeout::NONE).unwrap();
    assert_eq!(consumer.read(PATIENCE).unwrap().id(), 2);
}

#[test]
fn a_forgotten_message_is_released_by_the_close() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    producer.send_many(&["0", "1", "2", "3"], PATIENCE).unwrap();
    std::mem::forget(consumer.read(PATIENCE).unwrap());
    assert!(matches!(consumer.read(PATIENCE), Err(Error::Busy(_))));
    consumer.close().unwrap();
    producer.send(b"4", Timeout::NONE).unwrap();
}

#[test]
fn a_read_is_undone() {
    let block = Block::new();
    let mut producer = block.producer();
    let consumer = block.reading(Delivery::Lossless).max_pins(2).open("x").unwrap();
    producer.send_many(&["0", "1"], PATIENCE).unwrap();
    consumer.read(PATIENCE).unwrap().undo().unwrap();
    let first = consumer.read(PATIENCE).unwrap();
    assert_eq!(first.id(), 0);
    let second = consumer.read(PATIENCE).unwrap();
    assert!(matches!(first.undo(), Err(Error::Invalid(_))), "a later message was read");
    assert_eq!(second.id(), 1);
}

#[test]
fn a_value_is_written_and_read_in_place() {
    let block = Block::new();
    let schema = Sample::schema().unwrap();
    let mut producer = block.options().schema(&schema).open("x").unwrap();
    let consumer = block.reading(Delivery::Lossless).schema(&schema).open("x").unwrap();
    assert_eq!(consumer.schema().unwrap(), schema);
    assert_eq!(Schema::of_block(block.path()).unwrap().hash(), schema.hash());

    let mut slot = producer.claim(PATIENCE).unwrap();
    let sample: &mut Sample = slot.value_mut().unwrap();
    *sample = SAMPLE;
    slot.commit(std::mem::size_of::<Sample>()).unwrap();
    producer.claim(PATIENCE).unwrap().commit_value(&SAMPLE).unwrap();
    producer.send_value(&SAMPLE, PATIENCE).unwrap();
    assert!(matches!(producer.send(b"short", PATIENCE), Err(Error::Invalid(_))), "shorter than the schema");

    let slot = consumer.read(PATIENCE).unwrap();
    assert_eq!(slot.value::<Sample>(), Ok(&SAMPLE));
    assert_eq!(slot.values::<Pair>().unwrap()[3], SAMPLE.pair);
    assert!(matches!(slot.value::<[u8; 33]>(), Err(Error::Invalid(_))), "longer than the message");
    assert!(matches!(slot.values::<[u8; 5]>(), Err(Error::Invalid(_))), "no whole number of items");
    drop(slot);
    assert_eq!(consumer.receive_value::<Sample>(PATIENCE).unwrap().0, SAMPLE);
    assert!(matches!(consumer.receive_value::<[u64; 5]>(PATIENCE), Err(Error::Invalid(_))));
    assert!(consumer.try_read().unwrap().is_none(), "a message that was too short counts as read");
}

#[test]
fn many_values_in_one_message() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    let mut slot = producer.claim(PATIENCE).unwrap();
    let values: &mut [u64] = slot.values_mut().unwrap();
    assert_eq!(values.len(), 32);
    values[..3].copy_from_slice(&[1, 2, 3]);
    slot.commit(24).unwrap();
    assert_eq!(consumer.read(PATIENCE).unwrap().values::<u64>(), Ok(&[1, 2, 3][..]));
    producer.send(b"", PATIENCE).unwrap();
    assert_eq!(consumer.read(PATIENCE).unwrap().values::<u64>(), Ok(&[][..]));
}

#[test]
fn another_schema_is_refused_at_attach() {
    let block = Block::new();
    let _producer = block.options().schema(&Sample::schema().unwrap()).open("x").unwrap();
    let older = "schema Sample 1.0.0 { time: u64; }";
    assert!(block.reading(Delivery::Lossless).schema_text(older).open("x").is_ok());
    let exact = block.reading(Delivery::Lossless).schema_text(older).schema_mode(SchemaMode::Exact).open("x");
    assert!(matches!(exact, Err(Error::Schema(_))));
    let moved = block.reading(Delivery::Lossless).schema_text("schema Sample 1.2.0 { time: u32; }").open("x");
    let error = moved.unwrap_err();
    assert!(matches!(error, Error::Schema(_)) && error.detail().contains("\"time\" retyped"), "{error}");
    let fault = block.reading(Delivery::Lossless).schema_text("schema Sample {").open("x");
    assert!(matches!(fault, Err(Error::Invalid(_))));
}

#[test]
fn a_registered_schema_is_found() {
    let block = Block::new();
    let registry = block.directory.join("registry");
    let schema = Sample::schema().unwrap();
    schema.register(Some(&registry)).unwrap();
    assert_eq!(Schema::lookup("Sample@1", Some(&registry)).unwrap(), schema);
    assert!(matches!(Schema::lookup("Sample@2", Some(&registry)), Err(Error::NotFound(_))));
    let _producer = block.options().registered("Sample@1.2").registry(&registry).open("x").unwrap();
    assert_eq!(Schema::of_block(block.path()).unwrap(), schema);
    let other = Schema::parse("schema Other 1.0.0 { a: u8; }").unwrap();
    assert!(matches!(schema.check(&other, SchemaMode::Compatible), Err(Error::Schema(_))));
    assert!(matches!(Schema::of_zone(block.path()), Err(Error::Schema(_))));
}

/// Changes the first byte of a message in the file of the block.
fn damage(block: &Block, message: &[u8]) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(block.path()).unwrap();
    let bytes = std::fs::read(block.path()).unwrap();
    let at = bytes.windows(message.len()).position(|window| window == message).unwrap();
    file.write_all_at(&[!message[0]], at as u64).unwrap();
}

#[test]
fn a_changed_message_fails_its_checksum() {
    let block = Block::new();
    let mut producer = block.options().checksum(Checksum::Enforced).open("x").unwrap();
    let consumer = block.consumer();
    producer.send_many(&["the first message", "the second"], PATIENCE).unwrap();
    damage(&block, b"the first message");
    assert!(matches!(consumer.read(PATIENCE), Err(Error::Checksum(_))));
    assert_eq!(&consumer.read(PATIENCE).unwrap()[..], b"the second");
}

#[test]
fn a_manual_checksum_is_made_and_compared_on_demand() {
    let block = Block::new();
    let mut producer = block.options().checksum(Checksum::Manual).open("x").unwrap();
    let consumer = block.consumer();
    let mut slot = producer.claim(PATIENCE).unwrap();
    slot[..17].copy_from_slice(b"a guarded message");
    slot.checksum(17).unwrap();
    slot.commit(17).unwrap();
    let slot = consumer.read(PATIENCE).unwrap();
    assert_eq!(slot.verify(), Ok(()));
    damage(&block, b"a guarded message");
    assert!(matches!(slot.verify(), Err(Error::Checksum(_))));
}

#[test]
fn a_lock_excludes_other_participants() {
    let block = Block::new();
    let (producer, consumer) = (block.producer(), block.consumer());
    let lock = producer.lock(3, PATIENCE).unwrap();
    assert!(!lock.abandoned());
    let again = producer.lock(3, PATIENCE).unwrap();
    again.release().unwrap();
    assert!(matches!(consumer.lock(3, Timeout::NONE), Err(Error::Timeout(_))), "recursive: still held once");
    drop(lock);
    consumer.lock(3, Timeout::NONE).unwrap().release().unwrap();
    assert!(matches!(consumer.lock(8, Timeout::NONE), Err(Error::Invalid(_))));
}

#[test]
fn a_panic_leaves_the_zone_spoilt() {
    let block = Block::new();
    let (producer, consumer) = (block.producer(), block.consumer());
    let mut zone = producer.zone(PATIENCE).unwrap();
    *zone.value_mut::<u64>().unwrap() = 7;
    zone.leave().unwrap();
    let panicking = std::thread::spawn(move || {
        let mut zone = consumer.zone(PATIENCE).unwrap();
        assert_eq!(*zone.value_mut::<u64>().unwrap(), 7);
        zone[0] = 8;
        panic!("in the zone, on purpose");
    });
    assert!(panicking.join().is_err());
    assert!(matches!(producer.zone(PATIENCE), Err(Error::Checksum(_))));
    let zone = producer.zone_anyway(PATIENCE).unwrap();
    assert!(!zone.intact() && zone.writes() > 0);
    zone.leave().unwrap();
    assert!(producer.zone(PATIENCE).unwrap().intact());
    let mut zone = producer.zone(PATIENCE).unwrap();
    zone[0] = 9;
    zone.leave_spoilt().unwrap();
    assert!(matches!(producer.zone(PATIENCE), Err(Error::Checksum(_))));
}

#[test]
fn counters_are_shared() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    assert_eq!(producer.counter(1).add(5), Ok(0));
    assert_eq!(consumer.counter(1).set(9), Ok(5));
    assert_eq!(producer.counter(1).compare_exchange(9, 1), Ok(9));
    assert_eq!(producer.counter(1).compare_exchange(9, 2), Ok(1));
    let slot = producer.claim(PATIENCE).unwrap();
    assert_eq!(slot.producer().counter(1).get(), Ok(1), "also during a claim");
    assert!(matches!(consumer.counter(8).get(), Err(Error::Invalid(_))));
}
