//! exchange.c in Rust: exchange produce|consume NAME COUNT [STOP [CONSUMERS]].

use datablock::{Consumer, Delivery, Error, Policy, Producer, ReadSlot, Record, SchemaMode, Start};
use std::time::Duration;

const OWN: u32 = 5;
const WRITERS: usize = 6;
const PART: Duration = Duration::from_millis(100);
const PARTS: u32 = 600;

datablock::record! {
    "Message 1.0.0":
    #[derive(Debug, PartialEq)]
    pub struct Message {
        pub number: u64,
        pub half: f64,
        pub writer: u32,
        pub inverse: u32,
        pub words: [u64; 16],
    }
}

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn message_of(number: u64, writer: u32) -> Message {
    let words = std::array::from_fn(|i| number * 1024 + i as u64 * 8 + u64::from(writer));
    Message { number, half: number as f64 / 2.0, writer, inverse: !writer, words }
}

fn stopped(number: u64) -> ! {
    println!("stopped at {number}");
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    std::process::exit(1)
}

fn write(producer: &mut Producer, number: u64, stop: u64) -> Result<()> {
    for part in 0..PARTS {
        match producer.claim(PART) {
            Ok(mut slot) => {
                let whole = message_of(number, OWN);
                if number == stop {
                    let message = slot.value_mut::<Message>()?;
                    *message = Message { words: message.words, ..whole };
                    message.words[..7].copy_from_slice(&whole.words[..7]);
                    stopped(number);
                }
                slot.commit_value(&whole)?;
                return Ok(());
            }
            Err(Error::Timeout(_)) if part == 0 => println!("waiting at {number}"),
            Err(Error::Timeout(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err("no room for a minute".into())
}

fn produce(name: &str, count: u64, stop: u64, consumers: u32) -> Result<()> {
    let mut producer = Producer::options(Policy::Ring)
        .slot_count(64)
        .min_consumers(consumers)
        .unlink_on_close(true)
        .schema(&Message::schema()?)
        .open(name)?;
    let next = producer.next_id()?;
    println!("open at {next}");
    for number in next..count {
        write(&mut producer, number, stop)?;
    }
    Ok(producer.close()?)
}

fn checked(slot: &ReadSlot<'_>, number: u64) -> Result<usize> {
    let message: &Message = slot.value()?;
    let known = (1..=WRITERS as u32).contains(&message.writer) && slot.len() == size_of::<Message>();
    if !known || (slot.id(), slot.missed()) != (number, 0) || *message != message_of(number, message.writer) {
        return Err(format!("message {number} has other contents").into());
    }
    Ok(message.writer as usize)
}

fn consume(name: &str, count: u64, stop: u64) -> Result<()> {
    let consumer = Consumer::options()
        .delivery(Delivery::Lossless)
        .start(Start::Oldest)
        .wait(Duration::from_secs(30))
        .schema(&Message::schema()?)
        .schema_mode(SchemaMode::Exact)
        .open(name)?;
    println!("open at 0");
    let (mut read, mut part, mut from) = (0, 0, [0u64; WRITERS + 1]);
    while part < PARTS {
        part += 1;
        match consumer.read(PART) {
            Ok(slot) => {
                from[checked(&slot, read)?] += 1;
                if read == stop {
                    stopped(read);
                }
                (read, part) = (read + 1, 0);
                if read % 1000 == 0 {
                    println!("at {read}");
                }
                slot.release()?;
            }
            Err(Error::NoProducer(_)) => println!("gone at {read}"),
            Err(Error::Timeout(_)) => {}
            Err(Error::Closed(_)) => {
                let counts: Vec<String> = from[1..].iter().map(u64::to_string).collect();
                println!("from {}\nread {read} of {count}", counts.join(" "));
                return if count == 0 || read == count { Ok(()) } else { Err("messages are missing".into()) };
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err("nothing to read for a minute".into())
}

fn run(words: &[String]) -> Result<()> {
    let [role, name, count, rest @ ..] = words else {
        return Err("usage: exchange produce|consume NAME COUNT [STOP [CONSUMERS]]".into());
    };
    let count = count.parse()?;
    let stop = rest.first().map_or(Ok(count), |word| word.parse())?;
    if role == "produce" {
        produce(name, count, stop, rest.get(1).map_or(Ok(1), |word| word.parse())?)
    } else {
        consume(name, count, stop)
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Err(error) = run(&words) {
        eprintln!("exchange.rs: {error}");
        std::process::exit(1);
    }
}
