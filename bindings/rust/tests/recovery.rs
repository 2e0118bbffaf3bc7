//! Diagnosis and recovery of a block whose participants live. `worker/tests` has dead ones.

mod common;

use common::{Block, PATIENCE};
use datablock::recovery::{self, Recovered, SlotState, StepKind};
use datablock::{Delivery, Error, RecoveryFailure, Timeout};
use std::os::unix::fs::FileExt;
use std::time::Duration;

#[test]
fn the_slots_of_a_block() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    producer.send_many(&["0", "1"], PATIENCE).unwrap();
    let held = consumer.read(PATIENCE).unwrap();
    let claim = producer.claim(PATIENCE).unwrap();
    let all = recovery::diagnose_all_slots(block.path()).unwrap();
    assert_eq!(all.len(), 4 + 25);
    assert_eq!(all[held.index() as usize].state, SlotState::Committed);
    assert_eq!(all[held.index() as usize].id, 0);
    assert!(all[held.index() as usize].readers > 0);
    let claimed = recovery::diagnose_slot(block.path(), claim.index()).unwrap();
    assert_eq!((claimed.state, claimed.writer_pid), (SlotState::Writing, u64::from(std::process::id())));
    assert!(!claimed.stuck && claimed.stuck_ms == 0);
    let error = recovery::diagnose_slot(block.path(), 1000).unwrap_err();
    assert!(matches!(error, Error::Diagnosis(-3, _)), "{error:?}");
    let error = recovery::diagnose_all_slots(block.directory.join("y")).unwrap_err();
    assert!(matches!(error, Error::Diagnosis(-2, _)), "{error:?}");
}

#[test]
fn the_living_keep_what_they_hold() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    producer.send(b"0", PATIENCE).unwrap();
    let held = consumer.read(PATIENCE).unwrap();
    let claim = producer.claim(PATIENCE).unwrap();
    let refused = |result: datablock::Result<Recovered>, failure| match result {
        Err(Error::Recovery(why, _)) => assert_eq!(why, failure),
        other => panic!("{other:?}"),
    };
    assert_eq!(recovery::release_zombie_readers(block.path(), held.index()), Ok(Recovered::NotStuck));
    refused(recovery::release_zombie_writer(block.path(), claim.index()), RecoveryFailure::Unsafe);
    refused(recovery::force_reset_slot(block.path(), claim.index(), false), RecoveryFailure::Unsafe);
    refused(recovery::force_reset_slot(block.path(), 1000, false), RecoveryFailure::InvalidSlot);
    refused(recovery::force_reset_all_slots(block.path(), false), RecoveryFailure::Unsafe);
    refused(recovery::evict_consumer(block.path(), 1, false), RecoveryFailure::Unsafe);
    refused(recovery::evict_consumer(block.path(), 99, true), RecoveryFailure::InvalidSlot);
    refused(recovery::repair(block.directory.join("y"), false), RecoveryFailure::Failed);
    assert_eq!(recovery::cleanup_dead_consumers(block.path(), Duration::ZERO), Ok(0));
    assert_eq!(recovery::repair(block.path(), false), Ok(Recovered::NotStuck));
    assert_eq!(claim.commit(1), Ok(1));
    assert_eq!(held.release(), Ok(()));
}

#[test]
fn force_fences_the_living() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    let claim = producer.claim(PATIENCE).unwrap();
    assert_eq!(recovery::force_reset_slot(block.path(), claim.index(), true), Ok(Recovered::Done));
    assert!(matches!(claim.commit(1), Err(Error::Fenced(_))));
    assert_eq!(producer.send(b"0", PATIENCE), Ok(0), "the next claim has the same id");
    let held = consumer.read(PATIENCE).unwrap();
    assert_eq!(recovery::evict_consumer(block.path(), 1, true), Ok(Recovered::Done));
    assert!(matches!(held.release(), Err(Error::Fenced(_))));
    let log = recovery::recovery_log(block.path()).unwrap();
    assert_eq!(log.len(), 2);
    assert_eq!((log[1].number, log[1].pid), (1, u64::from(std::process::id())));
    assert!(log[1].time_ns > 1_600_000_000_000_000_000 && !log[1].text.is_empty());
}

#[test]
fn figures_and_participants() {
    let block = Block::new();
    let (mut producer, consumer) = (block.producer(), block.consumer());
    let latest = block.reading(Delivery::Latest).name("dial").open("x").unwrap();
    producer.send_many(&["00", "11", "22"], PATIENCE).unwrap();
    consumer.read(PATIENCE).unwrap().release().unwrap();
    assert_eq!(latest.read(PATIENCE).unwrap().id(), 2);
    let figures = recovery::metrics(block.path()).unwrap();
    assert_eq!((figures.next_id, figures.written, figures.bytes, figures.consumers), (3, 3, 6, 2));
    assert_eq!((figures.read, figures.max_lag, figures.lost), (2, 2, 0));
    let rows = recovery::list_participants(block.path()).unwrap();
    let shown: Vec<_> = rows.iter().map(|row| (row.row, row.alive, row.cursor, row.delivery)).collect();
    assert_eq!(shown, [(0, true, 3, 0), (1, true, 1, 1), (2, true, 3, 3)]);
    assert_eq!((rows[2].name.as_str(), rows[2].pid), ("dial", u64::from(std::process::id())));
    assert!(recovery::is_process_alive(rows[2].pid));
    assert!(matches!(recovery::metrics(block.directory.join("y")), Err(Error::NotFound(_))));
}

/// Flips a bit of a word that the control file repeats.
fn damage(block: &Block) {
    let file = std::fs::OpenOptions::new().read(true).write(true).open(block.path()).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, 64).unwrap();
    file.write_all_at(&[byte[0] ^ 1], 64).unwrap();
}

#[test]
fn damage_is_found_and_repaired() {
    let block = Block::new();
    let mut producer = block.producer();
    producer.send(b"0", PATIENCE).unwrap();
    producer.close().unwrap();
    let check = recovery::validate_integrity(block.path()).unwrap();
    assert!(check.is_healthy() && check.error_message.is_empty(), "{check:?}");
    damage(&block);
    let check = recovery::validate_integrity(block.path()).unwrap();
    assert!(!check.is_healthy() && !check.error_message.is_empty(), "{check:?}");
    let steps = recovery::auto_recover(block.path(), true).unwrap();
    assert_eq!((steps[0].kind, steps[0].done), (StepKind::Repair, false));
    assert!(!recovery::validate_integrity(block.path()).unwrap().is_healthy(), "a dry run changes nothing");
    assert_eq!(recovery::repair(block.path(), false), Ok(Recovered::Done));
    assert!(recovery::validate_integrity(block.path()).unwrap().is_healthy());
}

#[test]
fn a_panic_of_a_callback_is_continued_behind_the_library() {
    let block = Block::new();
    let mut producer = block.producer();
    producer.send(b"0", PATIENCE).unwrap();
    producer.close().unwrap();
    damage(&block);
    let panicked = std::panic::catch_unwind(|| {
        recovery::auto_recover_with(block.path(), false, |step| panic!("{:?} on purpose", step.kind))
    });
    let why = panicked.unwrap_err();
    assert_eq!(why.downcast_ref::<String>().map(String::as_str), Some("Repair on purpose"));
    assert!(recovery::validate_integrity(block.path()).unwrap().is_healthy(), "the steps were done before");
    let mut producer = block.producer();
    assert_eq!(producer.send(b"1", Timeout::NONE), Ok(1), "the library continues");
}
