//! A producer or a consumer that a test starts, controls and kills. `tests/README.md` describes the
//! command line and the line protocol, which the workers of all languages share. This worker uses
//! the crate.

use datablock::{Error, LockGuard, Participant, Timeout};
use std::collections::HashMap;
use std::io::BufRead;
use std::process::exit;

mod children;
mod consume;
mod lines;
mod payload;
mod produce;
mod recover;

use consume::ConsumingWorker;
use lines::{say, say_error, Options, EXIT_OPEN_FAILED};
use produce::ProducingWorker;

/// What both roles do. A command that fails has said nothing; the answer is its error.
trait Worker {
    fn open(&mut self) -> datablock::Result<()>;
    fn close(&mut self) -> datablock::Result<()>;
    /// False: the role has no such command.
    fn command(&mut self, word: &str, n: u64) -> datablock::Result<bool>;
    /// Calls nearly every function. The child of a fork never returns from the caller.
    fn call_everything(&mut self) -> Vec<datablock::Result<()>>;
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(role), Some(name)) = (arguments.next(), arguments.next()) else {
        lines::usage("worker produce|consume|recover NAME [--key=value]...");
    };
    let options = Options::parse(arguments);
    match role.as_str() {
        "recover" => recover::recover(&name, options),
        "produce" => run(&name, &options, &mut ProducingWorker::new(&name, &options)),
        "consume" => run(&name, &options, &mut ConsumingWorker::new(&name, &options)),
        other => lines::usage(&format!("{other:?} is neither produce, consume nor recover")),
    }
}

fn run(name: &str, options: &Options, worker: &mut dyn Worker) {
    let wait = options.given("wait");
    let attempts = options.number("attempts", 0);
    options.all_asked();
    if attempts > 0 {
        return repeat_opening(worker, attempts);
    }
    let mut input = std::io::stdin().lock();
    let mut line = String::new();
    if wait {
        say("ready");
        if input.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
    }
    if let Err(error) = worker.open() {
        say(&format!("failed {} {}", error.name(), error.detail()));
        exit(EXIT_OPEN_FAILED);
    }
    say("attached");
    serve(name, worker, &mut input);
}

/// Answers one command for each line until the input ends, then closes.
fn serve(name: &str, worker: &mut dyn Worker, input: &mut dyn BufRead) {
    let mut line = String::new();
    loop {
        line.clear();
        if input.read_line(&mut line).unwrap_or(0) == 0 {
            break;
        }
        let (word, argument) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
        let n = argument.parse().unwrap_or(0);
        let answered = match word {
            "close" => worker.close().map(|()| {
                say("closed");
                true
            }),
            "exit" => children::exit_now(0),
            "descriptors" => {
                say(&format!("descriptors {}", descriptors()));
                Ok(true)
            }
            _ if children::command(word, name, worker) => Ok(true),
            _ => worker.command(word, n),
        };
        match answered {
            Ok(true) => {}
            Ok(false) => say(&format!("error UNSUPPORTED {word}")),
            Err(error) => say_error(&error),
        }
    }
    let _ = worker.close();
}

/// Opens and closes this many times, and reports whether descriptors are left.
fn repeat_opening(worker: &mut dyn Worker, attempts: u64) {
    let (mut before, mut last) = (0, "OK");
    for i in 0..=attempts {
        let result = worker.open();
        if result.is_ok() {
            let _ = worker.close();
        }
        last = status(&result);
        if i == 0 {
            before = descriptors(); // the runtime has opened its own descriptors by now
        }
    }
    say(&format!("attempts={attempts} status={last} before={before} after={}", descriptors()));
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() - 1)
}

/// The name of a status of C, without its prefix.
fn status<T>(result: &datablock::Result<T>) -> &'static str {
    result.as_ref().err().map_or("OK", Error::name)
}

/// The error of a command after `close`.
fn closed() -> Error {
    Error::Handle("the worker has closed the block".into())
}

/// Repeats a call that does not wait until it has a result. After each 200 failed polls in a row
/// the worker sleeps for 50 microseconds: a program that computes would get a whole time slice from
/// a yield.
fn poll<T>(mut call: impl FnMut() -> datablock::Result<Option<T>>) -> datablock::Result<T> {
    for failed in 1u64.. {
        if let Some(result) = call()? {
            return Ok(result);
        }
        if failed % 200 == 0 {
            std::thread::sleep(std::time::Duration::from_micros(50));
        }
    }
    unreachable!()
}

/// The locks of a worker. A worker keeps a lock from one command to another.
#[derive(Default)]
struct Locks(HashMap<u64, Vec<LockGuard<'static>>>);

impl Locks {
    /// Handles the commands of both roles.
    fn command<P: Participant>(
        &mut self,
        participant: &'static P,
        timeout: Timeout,
        word: &str,
        n: u64,
    ) -> datablock::Result<bool> {
        match word {
            "lock" => {
                let lock = participant.lock(n as u32, timeout)?;
                say(&format!("locked {n} {}", if lock.abandoned() { "abandoned" } else { "free" }));
                self.0.entry(n).or_default().push(lock);
            }
            "unlock" => {
                let lock = self.0.get_mut(&n).and_then(Vec::pop);
                lock.ok_or_else(|| Error::Invalid("not locked".into()))?.release()?;
                say(&format!("unlocked {n}"));
            }
            "zone" => {
                // Adds n to the first word.
                let mut zone = participant.zone(timeout)?;
                let word: &mut u64 = zone.value_mut()?;
                *word = word.wrapping_add(n);
                let sum = *word;
                zone.leave()?;
                say(&format!("zone {sum}"));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Leaves all locks to the close.
    fn forget(&mut self) {
        std::mem::forget(std::mem::take(self));
    }
}
