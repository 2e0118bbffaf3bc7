// host EXCEPT: a host in Rust over the C interface, for run.py, like host.c. It uses no crates.
//
// Rust gives its threads small alternate stacks of their own, which the library must not change.

use std::ffi::{c_char, c_int, c_ulong, CStr, CString};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

const SLOT: usize = 512;
const OK: c_int = 0;
const TIMEOUT: c_int = 1;
const NOT_FOUND: c_int = 3;
const CLOSED: c_int = 15;
const OVERRUN: c_int = 18;
const LOSSLESS: u32 = 1;
const ORDERED: u32 = 2;

#[derive(Clone, Copy)]
#[repr(C)]
struct Handle {
    handle: u64,
}

#[repr(C)]
struct WriteSlot {
    data: *mut u8,
    capacity: usize,
    id: u64,
    index: u32,
    reserved: u32,
}

#[repr(C)]
struct ReadSlot {
    data: *const u8,
    length: usize,
    id: u64,
    timestamp_ns: u64,
    missed: u64,
    index: u32,
    token: u32,
}

#[repr(C)]
struct Zone {
    data: *mut u64,
    size: usize,
    writes: u64,
    abandoned: bool,
    intact: bool,
}

#[repr(C)]
struct Observation {
    id: u64,
    length: u64,
    timestamp_ns: u64,
    next_id: u64,
    index: u32,
    reserved: u32,
}

// The first fields of datablock_config and datablock_consumer_options, and room for the others.
#[repr(C)]
struct Config {
    size: u32,
    flags: u32,
    policy: u32,
    slot_count: u32,
    spare_slots: u32,
    alignment: u32,
    slot_size: u64,
    consumer_limit: u32,
    min_consumers: u32,
    mode: u32,
    checksum: u32,
    others: [u64; 64],
}

#[repr(C)]
struct Options {
    size: u32,
    delivery: u32,
    others: [u64; 64],
}

#[repr(C, align(8))]
struct Room([u8; 4096]);

#[link(name = "datablock")]
extern "C" {
    fn datablock_error_detail() -> *const c_char;
    fn datablock_config_init(config: *mut Config, policy: c_int) -> c_int;
    fn datablock_producer_open(
        name: *const c_char,
        config: *const Config,
        out: *mut Handle,
    ) -> c_int;
    fn datablock_producer_close(producer: Handle) -> c_int;
    fn datablock_write_begin(producer: Handle, timeout: i64, out: *mut WriteSlot) -> c_int;
    fn datablock_write_commit(producer: Handle, slot: *const WriteSlot, length: usize) -> c_int;
    fn datablock_write_abort(producer: Handle, slot: *const WriteSlot) -> c_int;
    fn datablock_write(
        producer: Handle,
        timeout: i64,
        data: *const u8,
        length: usize,
        id: *mut u64,
    ) -> c_int;
    fn datablock_consumer_options_init(options: *mut Options) -> c_int;
    fn datablock_consumer_open(
        name: *const c_char,
        options: *const Options,
        out: *mut Handle,
    ) -> c_int;
    fn datablock_consumer_close(consumer: Handle) -> c_int;
    fn datablock_read_begin(consumer: Handle, timeout: i64, out: *mut ReadSlot) -> c_int;
    fn datablock_read_end(consumer: Handle, slot: *const ReadSlot) -> c_int;
    fn datablock_wait_any(
        consumers: *const Handle,
        count: usize,
        timeout: i64,
        ready: *mut bool,
    ) -> c_int;
    fn datablock_lock_acquire(
        participant: Handle,
        lock: u32,
        timeout: i64,
        abandoned: *mut bool,
    ) -> c_int;
    fn datablock_lock_release(participant: Handle, lock: u32) -> c_int;
    fn datablock_zone_begin(participant: Handle, flags: u32, timeout: i64, out: *mut Zone)
        -> c_int;
    fn datablock_zone_end(participant: Handle, spoilt: bool) -> c_int;
    fn datablock_counter_add(
        participant: Handle,
        counter: u32,
        amount: u64,
        before: *mut u64,
    ) -> c_int;
    fn datablock_observer_open(
        name: *const c_char,
        options: *const Options,
        out: *mut Handle,
    ) -> c_int;
    fn datablock_observer_close(observer: Handle) -> c_int;
    fn datablock_observe(
        observer: Handle,
        id: u64,
        buffer: *mut u8,
        capacity: usize,
        out: *mut Observation,
    ) -> c_int;
    fn datablock_diagnose_all_slots(
        name: *const c_char,
        out: *mut Room,
        capacity: usize,
        count: *mut usize,
    ) -> c_int;
    fn datablock_get_metrics(name: *const c_char, out: *mut Room) -> c_int;
    fn datablock_validate_integrity(name: *const c_char, out: *mut Room) -> c_int;
}

#[link(name = "handlers")]
extern "C" {
    fn handlers_begin(except: *const c_char, how: c_int);
    fn handlers_thread() -> c_int;
    fn handlers_end(strangers: c_int) -> c_int;
    fn handlers_count() -> c_ulong;
}

extern "C" {
    fn _exit(code: c_int) -> !;
    fn usleep(microseconds: u32) -> c_int;
}

static STOP: AtomicBool = AtomicBool::new(false);
static END_OF_STREAM: AtomicBool = AtomicBool::new(false);
static THREADS: AtomicUsize = AtomicUsize::new(0);
static SHARERS: AtomicUsize = AtomicUsize::new(0);
static IN_LOCK: AtomicUsize = AtomicUsize::new(0);
static ENTERED: AtomicU64 = AtomicU64::new(0);

fn fail(what: &str) -> ! {
    let detail = unsafe { CStr::from_ptr(datablock_error_detail()) }.to_string_lossy();
    let _ = writeln!(std::io::stderr(), "host.rs: {what}; detail \"{detail}\"");
    unsafe { _exit(1) }
}

fn check(right: bool, what: &str) {
    if !right {
        fail(what);
    }
}

/// True for OK. Every other status must be one of `others`.
fn ok(what: &str, status: c_int, others: &[c_int]) -> bool {
    if status != OK && !others.contains(&status) {
        fail(&format!("{what}: status {status}"));
    }
    status == OK
}

fn name(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn payload(id: u64) -> Vec<u8> {
    (0..1 + id * 37 % SLOT as u64)
        .map(|i| (id.wrapping_mul(31).wrapping_add(i)) as u8)
        .collect()
}

fn right(data: *const u8, length: usize, id: u64) -> bool {
    length <= SLOT && unsafe { std::slice::from_raw_parts(data, length) } == payload(id)
}

fn say_thread() {
    let id = unsafe { handlers_thread() };
    println!("thread {id}");
    THREADS.fetch_add(1, SeqCst);
}

fn make(block: &str) -> Handle {
    let mut producer = Handle { handle: 0 };
    unsafe {
        let mut config: Config = std::mem::zeroed();
        ok("config", datablock_config_init(&mut config, 3), &[]);
        config.slot_count = 4;
        config.slot_size = SLOT as u64;
        config.checksum = 2;
        config.flags |= 8; // UNLINK_ON_CLOSE
        ok(
            "producer_open",
            datablock_producer_open(name(block).as_ptr(), &config, &mut producer),
            &[],
        );
    }
    producer
}

fn attach(block: &str, delivery: u32) -> Handle {
    let mut consumer = Handle { handle: 0 };
    unsafe {
        let mut options: Options = std::mem::zeroed();
        ok(
            "options",
            datablock_consumer_options_init(&mut options),
            &[],
        );
        options.delivery = delivery;
        ok(
            "consumer_open",
            datablock_consumer_open(name(block).as_ptr(), &options, &mut consumer),
            &[],
        );
    }
    consumer
}

/// Uses what participants share: lock 1 with one owner at a time, the zone, a counter.
fn share(participant: Handle) {
    SHARERS.fetch_add(1, SeqCst);
    if !STOP.load(SeqCst) {
        unsafe {
            if ok(
                "lock_acquire",
                datablock_lock_acquire(participant, 1, 20, std::ptr::null_mut()),
                &[TIMEOUT],
            ) {
                check(IN_LOCK.fetch_add(1, SeqCst) == 0, "two have the lock");
                usleep(100);
                IN_LOCK.fetch_sub(1, SeqCst);
                ok("lock_release", datablock_lock_release(participant, 1), &[]);
            }
            let mut zone: Zone = std::mem::zeroed();
            if ok(
                "zone_begin",
                datablock_zone_begin(participant, 0, 20, &mut zone),
                &[TIMEOUT],
            ) {
                *zone.data += 1;
                ok("zone_end", datablock_zone_end(participant, false), &[]);
                ENTERED.fetch_add(1, SeqCst);
            }
            ok(
                "counter_add",
                datablock_counter_add(participant, 2, 1, std::ptr::null_mut()),
                &[],
            );
        }
    }
    SHARERS.fetch_sub(1, SeqCst);
}

fn publish(producer: Handle, written: u64, turn: u64) -> bool {
    let bytes = payload(written);
    unsafe {
        if turn % 2 == 0 {
            let mut id = 0;
            if !ok(
                "write",
                datablock_write(producer, 10, bytes.as_ptr(), bytes.len(), &mut id),
                &[TIMEOUT],
            ) {
                return false;
            }
            check(id == written, "the id of a message");
            return true;
        }
        let mut slot: WriteSlot = std::mem::zeroed();
        if !ok(
            "write_begin",
            datablock_write_begin(producer, 10, &mut slot),
            &[TIMEOUT],
        ) {
            return false;
        }
        check(slot.id == written && slot.capacity == SLOT, "the claim");
        if turn % 7 == 0 {
            ok("write_abort", datablock_write_abort(producer, &slot), &[]);
            return false;
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), slot.data, bytes.len());
        ok(
            "write_commit",
            datablock_write_commit(producer, &slot, bytes.len()),
            &[],
        )
    }
}

fn produce(producer: Handle) -> u64 {
    let mut written = 0;
    let mut turn = 0;
    say_thread();
    while !END_OF_STREAM.load(SeqCst) {
        written += u64::from(publish(producer, written, turn));
        turn += 1;
        if turn % 8 == 0 {
            share(producer);
        }
    }
    while SHARERS.load(SeqCst) != 0 {
        thread::sleep(Duration::from_millis(1));
    }
    unsafe {
        let mut zone: Zone = std::mem::zeroed();
        ok(
            "zone_begin",
            datablock_zone_begin(producer, 0, 1000, &mut zone),
            &[],
        );
        check(
            zone.intact && *zone.data == ENTERED.load(SeqCst),
            "the zone",
        );
        ok("zone_end", datablock_zone_end(producer, false), &[]);
        ok("producer_close", datablock_producer_close(producer), &[]);
    }
    written
}

/// Reads the next message of `consumer`, which must be `id`. Returns Some(true), Some(false) after
/// a timeout, or None at the end of the stream.
fn read(consumer: Handle, timeout: i64, id: u64, pause: u32) -> Option<bool> {
    unsafe {
        let mut slot: ReadSlot = std::mem::zeroed();
        let status = datablock_read_begin(consumer, timeout, &mut slot);
        if status == CLOSED {
            return None;
        }
        if !ok("read_begin", status, &[TIMEOUT]) {
            return Some(false);
        }
        check(
            slot.id == id && slot.missed == 0 && right(slot.data, slot.length, id),
            "a message",
        );
        usleep(pause);
        Some(ok("read_end", datablock_read_end(consumer, &slot), &[]))
    }
}

fn read_slowly(consumer: Handle) -> u64 {
    let mut following = 0;
    say_thread();
    while let Some(got) = read(consumer, 5, following, (following % 4 * 100) as u32) {
        following += u64::from(got);
        if got && following % 16 == 0 {
            share(consumer);
        }
    }
    ok(
        "consumer_close",
        unsafe { datablock_consumer_close(consumer) },
        &[],
    );
    following
}

fn read_either(stream: Handle, side: Handle) -> u64 {
    let both = [stream, side];
    let mut following = [0, 0];
    say_thread();
    loop {
        let mut ready = [false, false];
        if !ok(
            "wait_any",
            unsafe { datablock_wait_any(both.as_ptr(), 2, 20, ready.as_mut_ptr()) },
            &[TIMEOUT],
        ) {
            continue;
        }
        for i in 0..2 {
            if !ready[i] {
                continue;
            }
            match read(both[i], 0, following[i], 0) {
                Some(got) => following[i] += u64::from(got),
                None => {
                    check(i == 0, "the side block is closed later");
                    for one in both {
                        ok(
                            "consumer_close",
                            unsafe { datablock_consumer_close(one) },
                            &[],
                        );
                    }
                    return following[0];
                }
            }
        }
        if following[0] % 16 == 0 {
            share(stream);
        }
    }
}

fn look(block: &CStr, room: &mut Room) {
    let mut count = 0;
    unsafe {
        check(
            datablock_diagnose_all_slots(block.as_ptr(), room, 16, &mut count) == 0 && count > 4,
            "diagnose_all_slots",
        );
        room.0[..4].copy_from_slice(&168u32.to_ne_bytes());
        ok(
            "get_metrics",
            datablock_get_metrics(block.as_ptr(), room),
            &[],
        );
        check(
            datablock_validate_integrity(block.as_ptr(), room) == 0 && room.0[..3] == [1, 1, 1],
            "validate_integrity",
        );
        let mut observer = Handle { handle: 0 };
        let mut seen: Observation = std::mem::zeroed();
        let mut bytes = [0u8; SLOT];
        ok(
            "observer_open",
            datablock_observer_open(block.as_ptr(), std::ptr::null(), &mut observer),
            &[],
        );
        let status = datablock_observe(observer, u64::MAX, bytes.as_mut_ptr(), SLOT, &mut seen);
        if ok("observe", status, &[NOT_FOUND, OVERRUN]) {
            check(
                right(bytes.as_ptr(), seen.length as usize, seen.id),
                "an observed message",
            );
        }
        ok("observer_close", datablock_observer_close(observer), &[]);
    }
}

fn look_about(side: Handle) {
    let block = name("stream");
    let mut room = Box::new(Room([0; 4096]));
    let mut id = 0;
    say_thread();
    while !STOP.load(SeqCst) {
        let bytes = payload(id);
        id += u64::from(ok(
            "write",
            unsafe { datablock_write(side, 5, bytes.as_ptr(), bytes.len(), std::ptr::null_mut()) },
            &[TIMEOUT],
        ));
        look(&block, &mut room);
        let another = attach("stream", ORDERED);
        ok(
            "consumer_close",
            unsafe { datablock_consumer_close(another) },
            &[],
        );
        let brief = make("brief");
        ok(
            "producer_close",
            unsafe { datablock_producer_close(brief) },
            &[],
        );
    }
}

fn main() {
    let except = name(&std::env::args().nth(1).unwrap_or_default());
    let (producer, side) = (make("stream"), make("side"));
    let (slow, stream, of_side) = (
        attach("stream", LOSSLESS),
        attach("stream", LOSSLESS),
        attach("side", LOSSLESS),
    );
    say_thread();
    unsafe { handlers_begin(except.as_ptr(), 0) };
    let producing = thread::spawn(move || produce(producer));
    let reading = thread::spawn(move || read_slowly(slow));
    let waiting = thread::spawn(move || read_either(stream, of_side));
    let looking = thread::spawn(move || look_about(side));
    while THREADS.load(SeqCst) < 5 {
        thread::sleep(Duration::from_millis(1));
    }
    println!("ready");
    let mut line = [0u8; 8];
    while let Err(error) = std::io::stdin().read(&mut line) {
        check(
            error.kind() == std::io::ErrorKind::Interrupted,
            "standard input",
        );
    }
    STOP.store(true, SeqCst);
    looking.join().unwrap();
    END_OF_STREAM.store(true, SeqCst);
    let written = producing.join().unwrap();
    check(
        reading.join().unwrap() == written && waiting.join().unwrap() == written && written > 0,
        "not every message was read",
    );
    ok(
        "producer_close",
        unsafe { datablock_producer_close(side) },
        &[],
    );
    if unsafe { handlers_end(0) } == 0 {
        unsafe { _exit(1) }
    }
    println!(
        "ok {written} messages, {} times in the zone, {} handlers",
        ENTERED.load(SeqCst),
        unsafe { handlers_count() }
    );
}
