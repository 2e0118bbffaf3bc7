//! The protocol with the runner, the clock and the samples: measure.h, for Rust.

use std::io::{BufRead, Write};

pub struct Options(Vec<String>);

impl Options {
    pub fn given() -> (String, Options) {
        let mut arguments = std::env::args().skip(1);
        let role = arguments.next().unwrap_or_else(|| die("usage: peer ROLE key=value..."));
        (role, Options(arguments.collect()))
    }

    pub fn text(&self, key: &str) -> &str {
        let given = self.0.iter().filter_map(|argument| argument.split_once('='));
        match given.into_iter().find(|(name, _)| *name == key) {
            Some((_, value)) => value,
            None => die(&format!("the argument {key}=... is missing")),
        }
    }

    pub fn real(&self, key: &str) -> f64 {
        self.text(key).parse().unwrap_or_else(|_| die(&format!("{key} is not a number")))
    }

    pub fn whole(&self, key: &str) -> u64 {
        self.real(key) as u64
    }
}

pub fn die(text: &str) -> ! {
    eprintln!("{text}");
    std::process::exit(1);
}

pub fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().ok();
}

fn next_line() -> bool {
    let mut line = String::new();
    matches!(std::io::stdin().lock().read_line(&mut line), Ok(n) if n > 0)
}

/// Prints that everything is prepared, and waits for the start.
pub fn rendezvous() {
    say("ready");
    if !next_line() {
        std::process::exit(1);
    }
}

/// The channel stays open until the other side has read everything.
pub fn wait_for_end() {
    while next_line() {}
}

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

pub fn monotonic_ns() -> u64 {
    let mut now = Timespec { seconds: 0, nanoseconds: 0 };
    unsafe { clock_gettime(1, &mut now) };
    now.seconds as u64 * 1_000_000_000 + now.nanoseconds as u64
}

/// The cheapest clock. Only differences on one core are used.
#[inline(always)]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    return unsafe { core::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    return monotonic_ns();
}

/// The time of a measurement, and what was measured.
pub struct Clock {
    tick_ns: f64,
    warm: u64,
    seconds: u64,
    rest: u64,
}

impl Clock {
    pub fn of(options: &Options) -> Clock {
        let (begun, first) = (monotonic_ns(), ticks());
        let mut now = begun;
        while now < begun + 5_000_000 {
            now = monotonic_ns();
        }
        let tick_ns = (now - begun) as f64 / (ticks() - first) as f64;
        let ticks_in = |key: &str| (options.real(key) * 1e9 / tick_ns) as u64;
        Clock { tick_ns, warm: ticks_in("warm"), seconds: ticks_in("seconds"), rest: ticks_in("rest") }
    }

    /// Pauses in a busy loop, so that the other side has fallen asleep.
    pub fn rest(&self, now: u64) -> u64 {
        let mut later = now;
        while later < now + self.rest {
            later = ticks();
        }
        later
    }

    pub fn rests(&self) -> bool {
        self.rest != 0
    }

    /// Times round trips over the window, without the other side's pause.
    pub fn round_trips(&self, options: &Options, mut once: impl FnMut()) {
        let room = (options.real("seconds") * 25e6) as usize + 1000;
        let mut samples: Vec<u32> = vec![1; room];
        samples.clear();
        rendezvous();
        let mut last = ticks();
        let (from, until) = (last + self.warm, last + self.warm + self.seconds);
        while last < until {
            once();
            let now = ticks();
            if last >= from && samples.len() < room {
                samples.push((now - last).saturating_sub(self.rest).min(u32::MAX as u64) as u32);
            }
            last = self.rest(now);
        }
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_ne_bytes()).collect();
        if let Err(error) = std::fs::write(options.text("samples"), bytes) {
            die(&format!("cannot write the samples: {error}"));
        }
    }

    pub fn answer_samples(&self) {
        say(&format!("{{\"unit_ns\": {:.9}}}", self.tick_ns / 2.0));
    }

    pub fn answer_rate(&self, messages: u64, duration: u64) {
        let seconds = duration as f64 * self.tick_ns * 1e-9;
        say(&format!("{{\"messages\": {messages}, \"seconds\": {seconds:.9}}}"));
    }

    pub fn end(&self, now: u64) -> u64 {
        now + self.warm + self.seconds
    }
}

/// The consumer's side of a stream: the rate between the first and the last look after the warm-up.
#[derive(Default)]
pub struct Rate {
    pub messages: u64,
    from: u64,
    first: (u64, u64),
    last: (u64, u64),
}

impl Rate {
    pub fn look(&mut self, clock: &Clock) {
        let now = ticks();
        if self.from == 0 {
            self.from = now + clock.warm;
        } else if self.first.0 != 0 {
            self.last = (now, self.messages);
        } else if now >= self.from {
            self.first = (now, self.messages);
            self.last = self.first;
        }
    }

    pub fn answer(&self, clock: &Clock) {
        clock.answer_rate(self.last.1 - self.first.1, self.last.0 - self.first.0);
    }
}

pub fn batch_of(size: usize) -> u64 {
    if size < 4096 { 64 } else { 1 }
}

pub fn log_event(what: &str, number: u64) {
    say(&format!("{what} {number} {}", monotonic_ns()));
}
