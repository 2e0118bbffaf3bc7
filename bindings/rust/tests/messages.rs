//! Messages of one process: what is written is read, in each delivery.

mod common;

use common::{Block, PATIENCE};
use datablock::{
    wait_any, wait_any_or_wake, Consumer, Delivery, Error, Observer, ObserverOptions, Policy,
    ProducerOptions, Start, Timeout, Waker,
};

#[test]
fn a_sent_message_is_received() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    let mut bytes = Vec::new();
    for (id, length) in [0usize, 1, 17, 256].into_iter().enumerate() {
        let message = vec![id as u8 + 1; length];
        assert_eq!(producer.send(&message, Timeout::NONE), Ok(id as u64));
        let copied = consumer.receive(&mut bytes, PATIENCE).unwrap();
        assert_eq!((copied.id, copied.length, copied.missed), (id as u64, length as u64, 0));
        assert_eq!(bytes, message);
    }
    assert_eq!(producer.next_id(), Ok(4));
}

#[test]
fn messages_arrive_in_place() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    let mut slot = producer.claim(PATIENCE).unwrap();
    assert_eq!((slot.id(), slot.len()), (0, 256));
    slot.data_mut()[..5].copy_from_slice(b"hello");
    assert_eq!(slot.commit(5), Ok(0));
    let slot = consumer.read(PATIENCE).unwrap();
    assert_eq!((slot.id(), slot.missed(), slot.timestamp_ns(), &slot[..]), (0, 0, 0, &b"hello"[..]));
    assert_eq!(slot.release(), Ok(()));
}

#[test]
fn a_claim_that_is_not_committed_publishes_nothing() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    producer.claim(PATIENCE).unwrap().abort().unwrap();
    drop(producer.claim(PATIENCE).unwrap());
    let slot = producer.claim(PATIENCE).unwrap();
    assert!(matches!(slot.commit(257), Err(Error::Invalid(_))), "longer than a slot");
    let slot = producer.claim(PATIENCE).unwrap();
    assert_eq!(slot.commit(1), Ok(0), "the id is still the first one");
    assert_eq!(consumer.read(PATIENCE).unwrap().id(), 0);
    assert!(consumer.try_read().unwrap().is_none());
}

#[test]
fn lossless_holds_the_producer_up() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    for _ in 0..4 {
        producer.send(b"x", Timeout::NONE).unwrap();
    }
    assert!(producer.try_claim().unwrap().is_none());
    let error = producer.claim(Timeout::NONE).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)) && error.detail().contains("LOSSLESS"), "{error}");
    consumer.read(PATIENCE).unwrap().release().unwrap();
    assert!(producer.try_claim().unwrap().is_some());
}

#[test]
fn a_read_without_a_message_says_why() {
    let block = Block::new();
    let producer = block.producer();
    let consumer = block.consumer();
    let error = consumer.read(Timeout::NONE).unwrap_err();
    assert!(matches!(error, Error::Timeout(_)) && error.is_timeout(), "{error}");
    producer.close().unwrap();
    assert!(matches!(consumer.read(PATIENCE), Err(Error::Closed(_))));
    assert!(matches!(consumer.try_read(), Err(Error::Closed(_))));
}

#[test]
fn ordered_counts_what_it_missed_and_latest_skips() {
    let block = Block::new();
    let mut producer = block.options().spare_slots(6).open("x").unwrap();
    let ordered = block.reading(Delivery::Ordered).open("x").unwrap();
    let latest = block.reading(Delivery::Latest).open("x").unwrap();
    for id in 0..20u8 {
        producer.send(&[id], Timeout::NONE).unwrap();
    }
    let newest = latest.read(PATIENCE).unwrap();
    assert_eq!((newest.id(), newest.missed(), newest[0]), (19, 19, 19));
    let mut seen = 0;
    for _ in 0..4 {
        let slot = ordered.read(PATIENCE).unwrap();
        seen += 1 + slot.missed();
        assert_eq!(slot.id() + 1, seen);
    }
    assert_eq!(seen, 20);
}

#[test]
fn messages_iterate_to_the_end_of_the_stream() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    producer.send(b"0", Timeout::NONE).unwrap();
    producer.send(b"1", Timeout::NONE).unwrap();
    let mut messages = consumer.messages(Timeout::NONE);
    for id in 0..2 {
        assert_eq!(messages.next().unwrap().unwrap().id(), id);
    }
    assert!(matches!(messages.next(), Some(Err(Error::Timeout(_)))), "a timeout is an item");
    producer.send(b"2", Timeout::NONE).unwrap();
    producer.close().unwrap();
    assert_eq!(messages.next().unwrap().unwrap().id(), 2, "the iteration continues after a timeout");
    assert!(messages.next().is_none());
    assert!(messages.next().is_none());
}

#[test]
fn an_iteration_ends_with_an_error_that_does_not_pass() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    producer.send(b"0", Timeout::NONE).unwrap();
    producer.send(b"1", Timeout::NONE).unwrap();
    let mut messages = consumer.messages(Timeout::NONE);
    let _held = messages.next().unwrap().unwrap();
    assert!(matches!(messages.next(), Some(Err(Error::Busy(_)))), "max_pins is 1");
    assert!(messages.next().is_none());
}

#[test]
fn a_message_by_its_id() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    producer.send(b"zero", Timeout::NONE).unwrap();
    producer.send(b"one", Timeout::NONE).unwrap();
    assert_eq!(&consumer.read_at(1).unwrap()[..], b"one");
    assert!(matches!(consumer.read_at(2), Err(Error::NotFound(_))));
    assert!(matches!(consumer.read_id(2, Timeout::NONE), Err(Error::Timeout(_))));
    assert_eq!(&consumer.read_id(0, PATIENCE).unwrap()[..], b"zero");
    assert_eq!(consumer.read(PATIENCE).unwrap().id(), 0, "the cursor has not moved");
}

#[test]
fn batches() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    producer.send_many(&["a", "bb", "ccc"], PATIENCE).unwrap();
    let error = producer.send_many(&["d", "e"], Timeout::NONE).unwrap_err();
    assert_eq!(error.written, 1);
    assert!(matches!(error.error, Error::Timeout(_)));
    let mut batch = consumer.read_many(10, PATIENCE).unwrap();
    let lengths: Vec<_> = batch.iter().map(|message| (message.id, message.data.len())).collect();
    assert_eq!(lengths, [(0, 1), (1, 2), (2, 3), (3, 1)]);
    batch.release_first(2).unwrap();
    assert_eq!((batch.len(), batch.get(0).unwrap().id), (2, 2));
    producer.send_many(&["e", "f"], Timeout::NONE).unwrap();
    assert!(matches!(batch.release_first(3), Err(Error::Invalid(_))));
    batch.release().unwrap();
    drop(consumer.read_many(1, PATIENCE).unwrap());
    assert_eq!(consumer.read(PATIENCE).unwrap().id(), 5, "a batch that is dropped is released");
}

#[test]
fn an_observer_takes_no_part() {
    let block = Block::new();
    let mut producer = block.producer();
    let observer = ObserverOptions::new().directory(&block.directory).open("x").unwrap();
    let mut bytes = Vec::new();
    assert!(matches!(observer.newest(&mut bytes), Err(Error::NotFound(_))));
    for id in 0..9u8 {
        producer.send(&vec![id; 100 + usize::from(id)], Timeout::NONE).unwrap();
    }
    let seen = observer.newest(&mut bytes).unwrap();
    assert_eq!((seen.id, seen.next_id, seen.length, &bytes[..]), (8, 9, 108, &[8; 108][..]));
    assert_eq!(observer.read_at(6, &mut bytes).unwrap().id, 6);
    assert_eq!(bytes, [6; 106]);
    assert!(matches!(observer.read_at(0, &mut bytes), Err(Error::Overrun(_))));
    observer.close().unwrap();
    assert!(matches!(Observer::open(block.directory.join("y")), Err(Error::NotFound(_))));
}

#[test]
fn waiting_for_several_blocks_names_the_ready_ones() {
    let (one, two) = (Block::new(), Block::new());
    let (_first, mut second) = (one.producer(), two.producer());
    let (a, b) = (one.consumer(), two.consumer());
    assert!(matches!(wait_any(&[&a, &b], Timeout::NONE), Err(Error::Timeout(_))));
    second.send(b"x", Timeout::NONE).unwrap();
    assert_eq!(wait_any(&[&a, &b], PATIENCE), Ok(vec![1]));
    assert!(matches!(wait_any(&[], PATIENCE), Err(Error::Invalid(_))));
}

#[test]
fn a_waker_ends_a_wait() {
    let block = Block::new();
    let _producer = block.producer();
    let (consumer, waker) = (block.consumer(), Waker::new());
    std::thread::scope(|threads| {
        let waker = &waker;
        let waiting = threads.spawn(move || wait_any_or_wake(&[&consumer], Timeout::FOREVER, waker));
        waker.wake();
        assert_eq!(waiting.join().unwrap(), Ok(vec![]));
    });
}

#[test]
fn one_wait_at_a_time_uses_a_waker() {
    let waker = Waker::new();
    std::thread::scope(|threads| {
        let waits: Vec<_> =
            (0..2).map(|_| threads.spawn(|| wait_any_or_wake(&[], PATIENCE, &waker))).collect();
        // The refused wait ends by itself. Only then is the other one woken.
        while !waits.iter().any(|wait| wait.is_finished()) {
            std::thread::yield_now();
        }
        waker.wake();
        let results: Vec<_> = waits.into_iter().map(|wait| wait.join().unwrap()).collect();
        assert_eq!(results.iter().filter(|result| matches!(result, Err(Error::Busy(_)))).count(), 1);
        assert_eq!(results.iter().filter(|result| **result == Ok(vec![])).count(), 1);
    });
}

#[test]
fn participants_move_between_threads() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    let writing = std::thread::spawn(move || {
        for id in 0..1000u64 {
            producer.send(&id.to_ne_bytes(), PATIENCE).unwrap();
        }
        producer
    });
    let reading = std::thread::spawn(move || {
        for id in 0..1000u64 {
            assert_eq!(consumer.read(PATIENCE).unwrap()[..], id.to_ne_bytes());
        }
        consumer
    });
    let (producer, consumer) = (writing.join().unwrap(), reading.join().unwrap());
    assert_eq!(producer.next_id(), Ok(1000));
    producer.close().unwrap();
    assert!(matches!(consumer.read(PATIENCE), Err(Error::Closed(_))));
}

#[test]
fn another_thread_fills_a_claimed_slot() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    let mut slot = producer.claim(PATIENCE).unwrap();
    std::thread::scope(|threads| {
        threads.spawn(move || {
            slot.fill(7);
            slot.commit(256).unwrap();
        });
    });
    assert_eq!(consumer.read(PATIENCE).unwrap()[..], [7; 256]);
}

#[test]
fn a_durable_consumer_continues() {
    let block = Block::new();
    let mut producer = block.producer();
    let options = block.reading(Delivery::Lossless).durable("log");
    let consumer = options.open("x").unwrap();
    assert_eq!(consumer.resumed(), Ok(false));
    producer.send_many(&["0", "1"], PATIENCE).unwrap();
    consumer.read(PATIENCE).unwrap().release().unwrap();
    assert!(matches!(options.open("x"), Err(Error::Busy(_))), "the name is attached");
    consumer.close().unwrap();
    let consumer = options.open("x").unwrap();
    assert_eq!(consumer.resumed(), Ok(true));
    assert_eq!(consumer.read(PATIENCE).unwrap().id(), 1);
}

#[test]
fn a_consumer_waits_for_its_block() {
    let block = Block::new();
    let options = block.reading(Delivery::Lossless);
    assert!(matches!(options.open("x"), Err(Error::NotFound(_))));
    assert!(matches!(
        options.clone().wait(std::time::Duration::from_millis(1)).open("x"),
        Err(Error::Timeout(_))
    ));
    std::thread::scope(|threads| {
        let attached = threads.spawn(|| options.clone().wait(PATIENCE).open("x").unwrap());
        let mut producer = block.producer();
        producer.send(b"x", PATIENCE).unwrap();
        assert_eq!(attached.join().unwrap().read(PATIENCE).unwrap().id(), 0);
    });
}

#[test]
fn a_second_open_of_a_block() {
    let block = Block::new();
    let producer = block.options().secret("s").open("x").unwrap();
    assert!(matches!(block.options().secret("s").open("x"), Err(Error::ProducerActive(_))));
    let mistaken = block.reading(Delivery::Lossless).secret("t").open("x");
    assert!(matches!(mistaken, Err(Error::Secret(_))));
    producer.close().unwrap();
    let error = block.options().secret("s").slot_count(8).open("x").unwrap_err();
    assert!(matches!(error, Error::Geometry(_)) && error.detail().contains("slot_count"), "{error}");
    let mut producer = block.options().secret("s").slot_count(8).replace(true).open("x").unwrap();
    assert_eq!(producer.send(b"x", PATIENCE), Ok(0), "another block");
}

#[test]
fn settings_reach_the_block() {
    let block = Block::new();
    let mut producer = ProducerOptions::new(Policy::DoubleBuffer)
        .slot_size(1000)
        .alignment(4096)
        .timestamps(true)
        .min_consumers(1)
        .consumer_limit(3)
        .spare_slots(5)
        .retention(std::time::Duration::from_secs(5))
        .zone_size(64)
        .open(block.path())
        .unwrap();
    assert!(matches!(block.reading(Delivery::Lossless).open("x"), Err(Error::Invalid(_))), "forbidden");
    let consumer = Consumer::options().start(Start::Oldest).name("reader").open(block.path()).unwrap();
    producer.send(b"x", PATIENCE).unwrap();
    let slot = consumer.read(PATIENCE).unwrap();
    assert_eq!(slot.as_ptr() as usize % 4096, 0);
    assert!(slot.timestamp_ns() > 1_600_000_000_000_000_000);
    let info = &datablock::list(Some(&block.directory)).unwrap()[0];
    assert_eq!(
        (
            info.name.as_str(),
            info.slot_count,
            info.spare_slots,
            info.slot_size,
            info.consumer_limit,
            info.consumers
        ),
        ("x", 2, 5, 1000, 3, 1)
    );
    assert_eq!((info.policy, info.state), (Policy::DoubleBuffer as u32, datablock::BlockState::Ready));
    assert_eq!(datablock::recovery::list_participants(block.path()).unwrap()[1].name, "reader");
    assert!(matches!(datablock::unlink(block.path(), false), Err(Error::ProducerActive(_))));
    datablock::unlink(block.path(), true).unwrap();
    assert!(matches!(producer.send(b"x", PATIENCE), Err(Error::Superseded(_))));
}

#[test]
fn a_name_with_a_zero_byte_is_refused() {
    let error = Consumer::open("a\0b").unwrap_err();
    assert!(matches!(error, Error::Invalid(_)) && error.detail().contains("zero byte"), "{error}");
}

#[test]
fn an_error_has_name_number_and_text() {
    let error = Consumer::open("/nowhere/at/all").unwrap_err();
    assert_eq!((error.name(), error.code()), ("NOT_FOUND", 3));
    assert!(error.to_string().contains("\"all\" in /nowhere/at"), "{error}");
    assert_eq!(Error::Timeout(String::new()).to_string(), "timed out", "without a text, that of the status");
    assert_eq!(datablock::version() / 1_000_000, 1);
}
