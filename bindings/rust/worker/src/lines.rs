//! The input and output of a worker: `--key=value` arguments, and lines of text.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::process::exit;

pub const EXIT_USAGE: i32 = 2;
pub const EXIT_OPEN_FAILED: i32 = 3;

pub fn usage(why: &str) -> ! {
    eprintln!("worker: {why}");
    exit(EXIT_USAGE)
}

/// Writes one line in one system call, so that a kill never leaves half of it.
pub fn say(line: &str) {
    // SAFETY: the standard output is open, and not closed here.
    let mut output = ManuallyDrop::new(unsafe { File::from_raw_fd(1) });
    if output.write_all(format!("{line}\n").as_bytes()).is_err() {
        exit(EXIT_USAGE); // the test has ended
    }
}

pub fn say_error(error: &datablock::Error) {
    say(&format!("error {} {}", error.name(), error.detail()));
}

/// The arguments. A key that no code asks for is an error, because a misspelt key would change the
/// test.
pub struct Options {
    values: HashMap<String, String>,
    asked: RefCell<HashSet<String>>,
}

impl Options {
    pub fn parse(arguments: impl Iterator<Item = String>) -> Options {
        let mut values = HashMap::new();
        for argument in arguments {
            let Some(option) = argument.strip_prefix("--") else {
                usage(&format!("{argument:?} is not --key=value"));
            };
            let (key, value) = option.split_once('=').unwrap_or((option, ""));
            values.insert(key.to_string(), value.to_string());
        }
        Options { values, asked: RefCell::default() }
    }

    pub fn given(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// The value; `None` if the key is not given, or has no value.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.value(key).filter(|value| !value.is_empty())
    }

    pub fn number(&self, key: &str, otherwise: u64) -> u64 {
        let Some(text) = self.text(key) else { return otherwise };
        let parsed = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None if text.len() > 1 && text.starts_with('0') => u64::from_str_radix(text, 8),
            None => text.parse(),
        };
        parsed.unwrap_or_else(|_| usage(&format!("--{key}={text} is not a number")))
    }

    pub fn choice<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> T {
        let text = self.text(key).unwrap_or_default();
        let found = words.iter().find(|(word, _)| *word == text);
        found.unwrap_or_else(|| usage(&format!("--{key}={text} is unknown"))).1
    }

    pub fn timeout(&self) -> datablock::Timeout {
        match self.text("timeout").map(str::parse::<i64>) {
            None | Some(Ok(-1)) => datablock::Timeout::FOREVER,
            Some(Ok(ms)) if ms >= 0 => std::time::Duration::from_millis(ms as u64).into(),
            Some(_) => usage("--timeout is not a number of milliseconds"),
        }
    }

    pub fn all_asked(&self) {
        let asked = self.asked.borrow();
        if let Some(key) = self.values.keys().find(|key| !asked.contains(*key)) {
            usage(&format!("--{key} is unknown here"));
        }
    }

    fn value(&self, key: &str) -> Option<&str> {
        self.asked.borrow_mut().insert(key.to_string());
        self.values.get(key).map(String::as_str)
    }
}
