//! A consumer.

use crate::lines::{say, Options};
use crate::{closed, payload, poll, status, Locks, Worker};
use datablock::{
    wait_any, Consumer, ConsumerOptions, Delivery, Error, Policy, ProducerOptions, ReadSlot, Result,
    SchemaMode, Start, Timeout,
};
use std::collections::VecDeque;

pub struct ConsumingWorker {
    name: String,
    options: ConsumerOptions,
    timeout: Timeout,
    poll: bool,
    any: bool,
    echo: bool,
    capacity: usize,
    /// Null when closed. The held messages and the locks borrow the consumer, which `close` frees.
    consumer: *mut Consumer,
    held: VecDeque<ReadSlot<'static>>,
    locks: Locks,
}

impl ConsumingWorker {
    pub fn new(name: &str, options: &Options) -> ConsumingWorker {
        ConsumingWorker {
            name: name.into(),
            options: configured(options),
            timeout: options.timeout(),
            poll: options.given("poll"),
            any: options.given("any"),
            echo: options.given("echo"),
            capacity: options.number("slot-size", 0) as usize,
            consumer: std::ptr::null_mut(),
            held: VecDeque::new(),
            locks: Locks::default(),
        }
    }

    fn consumer(&self) -> Result<&'static Consumer> {
        // SAFETY: the consumer lives until `close`, which forgets everything that borrows it.
        unsafe { self.consumer.as_ref() }.ok_or_else(closed)
    }

    fn next(&self) -> Result<ReadSlot<'static>> {
        let consumer = self.consumer()?;
        if !self.poll && !self.any {
            return consumer.read(self.timeout);
        }
        poll(|| {
            if self.any {
                wait_any(&[consumer], self.timeout)?;
            }
            consumer.try_read()
        })
    }

    fn verify(&self, slot: &ReadSlot<'_>) -> (u64, bool) {
        let (salt, right) = payload::verify(slot, slot.id());
        (salt, right && (self.capacity == 0 || slot.len() == payload::length(slot.id(), self.capacity)))
    }

    /// Reads n messages, or all messages of the stream if n is 0. A message is bad if a byte is
    /// wrong, or if the id does not follow from the number of missed messages.
    fn read(&self, n: u64) {
        let (mut read, mut missed, mut bad, mut sum) = (payload::Range::default(), 0, 0, 0u64);
        let mut end = "OK";
        while n == 0 || read.count < n {
            let slot = match self.next() {
                Ok(slot) => slot,
                Err(error) => {
                    end = error.name();
                    break;
                }
            };
            let (salt, right) = self.verify(&slot);
            if !right || (read.count > 0 && slot.id() != read.last + 1 + slot.missed()) {
                bad += 1;
            }
            if self.echo {
                say(&format!("message {} {salt} {} {right}", slot.id(), slot.missed()));
            }
            read.add(slot.id());
            missed += slot.missed();
            sum = sum.wrapping_add(payload::mix(slot.id() ^ payload::mix(salt)));
            let released = slot.release();
            if released.is_err() {
                end = status(&released);
                break;
            }
        }
        let (count, range) = (read.count, read.text());
        say(&format!("read={count} missed={missed} {range} bad={bad} sum={sum:x} end={end}"));
    }

    fn hold(&mut self, slot: ReadSlot<'static>) {
        say(&format!("holding {}", slot.id()));
        self.held.push_back(slot);
    }

    fn with_held(&mut self, word: &str) -> Result<()> {
        let slot = self.held.pop_front().ok_or_else(|| Error::Invalid("nothing is held".into()))?;
        let id = slot.id();
        match word {
            "check" => {
                let (salt, right) = self.verify(&slot);
                say(&format!("checked {id} {salt} {right}"));
                self.held.push_front(slot);
            }
            "smash" => {
                let at = slot.data().as_ptr().cast_mut();
                // SAFETY: none. Only such code can write to a message, and the kernel ends the
                // process.
                unsafe { at.write_volatile(at.read_volatile() ^ 0xff) };
                say(&format!("smashed {id}"));
            }
            _ => {
                slot.release()?;
                say(&format!("released {id}"));
            }
        }
        Ok(())
    }
}

fn configured(options: &Options) -> ConsumerOptions {
    let delivery = options.choice(
        "delivery",
        &[
            ("", Delivery::ByPolicy),
            ("lossless", Delivery::Lossless),
            ("ordered", Delivery::Ordered),
            ("latest", Delivery::Latest),
        ],
    );
    let start =
        options.choice("start", &[("", Start::Latest), ("latest", Start::Latest), ("oldest", Start::Oldest)]);
    let mut consumer = ConsumerOptions::new()
        .delivery(delivery)
        .start(start)
        .max_pins(options.number("pins", 0) as u32)
        .secret(options.text("secret").unwrap_or_default());
    if let Some(name) = options.text("name") {
        consumer = consumer.name(name);
    }
    if options.given("durable") {
        consumer = consumer.durable(options.text("name").unwrap_or_default());
    }
    if options.given("exact") {
        consumer = consumer.schema_mode(SchemaMode::Exact);
    }
    if let Some(directory) = options.text("dir") {
        consumer = consumer.directory(directory);
    }
    if let Some(text) = options.text("schema") {
        consumer = consumer.schema_text(text);
    }
    if let Some(text) = options.text("zone-schema") {
        consumer = consumer.zone_schema_text(text);
    }
    if let Some(reference) = options.text("registered") {
        consumer = consumer.registered(reference);
    }
    if let Some(directory) = options.text("registry") {
        consumer = consumer.registry(directory);
    }
    consumer
}

impl Worker for ConsumingWorker {
    fn open(&mut self) -> Result<()> {
        self.consumer = Box::into_raw(Box::new(self.options.open(&self.name)?));
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        self.held.drain(..).for_each(std::mem::forget); // the close releases them
        self.locks.forget();
        let consumer = std::mem::replace(&mut self.consumer, std::ptr::null_mut());
        if consumer.is_null() {
            return Err(closed());
        }
        // SAFETY: `open` has made the box, and nothing borrows it any more.
        unsafe { Box::from_raw(consumer) }.close()
    }

    fn command(&mut self, word: &str, n: u64) -> Result<bool> {
        match word {
            "read" => self.read(n),
            "hold" => {
                let slot = self.next()?;
                self.hold(slot);
            }
            "hold-at" => {
                let slot = self.consumer()?.read_at(n)?;
                self.hold(slot);
            }
            "check" | "smash" | "release" => self.with_held(word)?,
            _ => return self.locks.command(self.consumer()?, self.timeout, word, n),
        }
        Ok(true)
    }

    fn call_everything(&mut self) -> Vec<Result<()>> {
        let open = ProducerOptions::new(Policy::Ring).slot_size(1).open(&self.name).map(drop);
        let attach = self.options.open(&self.name).map(drop);
        let read = self.next().map(std::mem::forget);
        let at = self.consumer().and_then(|consumer| consumer.read_at(0)).map(std::mem::forget);
        let copy = self.consumer().and_then(|consumer| consumer.receive(&mut Vec::new(), Timeout::NONE));
        let release = self.held.pop_front().map_or(Ok(()), ReadSlot::release);
        vec![open, attach, read, at, copy.map(drop), release, self.close()]
    }
}
