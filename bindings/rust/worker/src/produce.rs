//! A producer.

use crate::lines::{say, usage, Options};
use crate::{closed, payload, poll, status, Locks, Worker};
use datablock::{
    Algorithm, Checksum, ConsumerOptions, Error, Policy, Producer, ProducerOptions, Result, Timeout,
    WriteSlot,
};
use std::time::{Duration, Instant};

pub struct ProducingWorker {
    name: String,
    options: ProducerOptions,
    timeout: Timeout,
    poll: bool,
    echo: bool,
    rate: u64,
    salt: u64,
    /// Null when closed. The claim and the locks borrow the producer, which `close` frees.
    producer: *mut Producer,
    claim: Option<WriteSlot<'static>>,
    locks: Locks,
}

impl ProducingWorker {
    pub fn new(name: &str, options: &Options) -> ProducingWorker {
        ProducingWorker {
            name: name.into(),
            options: configured(options),
            timeout: options.timeout(),
            poll: options.given("poll"),
            echo: options.given("echo"),
            rate: options.number("rate", 0),
            salt: options.number("salt", 0),
            producer: std::ptr::null_mut(),
            claim: None,
            locks: Locks::default(),
        }
    }

    fn producer(&self) -> Result<&'static mut Producer> {
        // SAFETY: the producer lives until `close`, which forgets everything that borrows it. The
        // claim is ended before the producer is used for another one.
        unsafe { self.producer.as_mut() }.ok_or_else(closed)
    }

    fn begin(&self) -> Result<WriteSlot<'static>> {
        if !self.poll {
            return self.producer()?.claim(self.timeout);
        }
        poll(|| self.producer()?.try_claim())
    }

    fn finish(&self, mut slot: WriteSlot<'_>) -> Result<u64> {
        let (id, length) = (slot.id(), payload::length(slot.id(), slot.len()));
        payload::fill(&mut slot[..length], id, self.salt);
        slot.commit(length)
    }

    fn write(&self, n: u64) {
        let (start, mut written, mut end) = (Instant::now(), payload::Range::default(), "OK");
        while written.count < n {
            let result = self.begin().and_then(|slot| self.finish(slot));
            end = status(&result);
            let Ok(id) = result else { break };
            if self.echo {
                say(&format!("committed {id} {}", self.salt));
            }
            written.add(id);
            if let Some(nanoseconds) = (written.count * 1_000_000_000).checked_div(self.rate) {
                let turn = start + Duration::from_nanos(nanoseconds);
                std::thread::sleep(turn.saturating_duration_since(Instant::now()));
            }
        }
        say(&format!("wrote={} {} end={end}", written.count, written.text()));
    }
}

fn configured(options: &Options) -> ProducerOptions {
    let policy = options.choice(
        "policy",
        &[
            ("", Policy::Ring),
            ("ring", Policy::Ring),
            ("single", Policy::Single),
            ("double", Policy::DoubleBuffer),
        ],
    );
    let checksum = match options.number("checksum", 0) {
        0 => Checksum::None,
        1 => Checksum::Manual,
        _ => Checksum::Enforced,
    };
    let algorithm = match options.number("algorithm", 0) {
        0 => Algorithm::ByBlock,
        1 => Algorithm::Crc32c,
        _ => Algorithm::Blake2b,
    };
    let mut producer = ProducerOptions::new(policy)
        .slot_count(options.number("slots", 0) as u32)
        .slot_size(options.number("slot-size", 256))
        .spare_slots(options.number("spare", 0) as u32)
        .consumer_limit(options.number("limit", 0) as u32)
        .min_consumers(options.number("min-consumers", 0) as u32)
        .mode(options.number("mode", 0) as u32)
        .checksum(checksum)
        .algorithm(algorithm)
        .secret(options.text("secret").unwrap_or_default());
    for flag in options.text("flags").unwrap_or_default().split(',').filter(|flag| !flag.is_empty()) {
        producer = match flag {
            "lossless" => producer.allow_lossless(true),
            "replace" => producer.replace(true),
            "force" => producer.force(true),
            "unlink" => producer.unlink_on_close(true),
            "timestamp" => producer.timestamps(true),
            "reclaim" => producer.reclaim(true),
            _ => usage(&format!("--flags={flag} is unknown")),
        };
    }
    if let Some(directory) = options.text("dir") {
        producer = producer.directory(directory);
    }
    if let Some(text) = options.text("schema") {
        producer = producer.schema_text(text);
    }
    if let Some(text) = options.text("zone-schema") {
        producer = producer.zone_schema_text(text);
    }
    if let Some(reference) = options.text("registered") {
        producer = producer.registered(reference);
    }
    if let Some(directory) = options.text("registry") {
        producer = producer.registry(directory);
    }
    producer
}

impl Worker for ProducingWorker {
    fn open(&mut self) -> Result<()> {
        self.producer = Box::into_raw(Box::new(self.options.open(&self.name)?));
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        std::mem::forget(self.claim.take()); // the close aborts it
        self.locks.forget();
        let producer = std::mem::replace(&mut self.producer, std::ptr::null_mut());
        if producer.is_null() {
            return Err(closed());
        }
        // SAFETY: `open` has made the box, and nothing borrows it any more.
        unsafe { Box::from_raw(producer) }.close()
    }

    fn command(&mut self, word: &str, n: u64) -> Result<bool> {
        let unclaimed = || Error::Invalid("nothing is claimed".into());
        match word {
            "write" => self.write(n),
            "claim" => {
                let mut slot = self.begin()?;
                let half = slot.len() / 2;
                slot[..half].fill(0); // a kill from here on leaves a half-written message
                say(&format!("claimed {}", slot.id()));
                self.claim = Some(slot);
            }
            "commit" => {
                let slot = self.claim.take().ok_or_else(unclaimed)?;
                say(&format!("committed {}", self.finish(slot)?));
            }
            "abort" => {
                let slot = self.claim.take().ok_or_else(unclaimed)?;
                let id = slot.id();
                slot.abort()?;
                say(&format!("aborted {id}"));
            }
            _ => {
                let producer: &'static Producer = self.producer()?;
                return self.locks.command(producer, self.timeout, word, n);
            }
        }
        Ok(true)
    }

    fn call_everything(&mut self) -> Vec<Result<()>> {
        let open = self.options.open(&self.name).map(drop);
        let attach = ConsumerOptions::new().open(&self.name).map(drop);
        let claim = self.begin().map(std::mem::forget);
        let send = self.producer().and_then(|producer| producer.send(b"", Timeout::NONE)).map(drop);
        let next = self.producer().and_then(|producer| producer.next_id()).map(drop);
        vec![open, attach, claim, send, next, self.close()]
    }
}
