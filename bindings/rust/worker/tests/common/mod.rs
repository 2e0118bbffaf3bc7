//! Real processes that share a block: `worker`, started, controlled and killed.

use datablock::recovery;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The usual length of the ring.
pub const RING: u64 = 8;

/// The limit of each step, which takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory with one block.
pub struct Block {
    pub directory: PathBuf,
}

impl Block {
    pub fn new() -> Block {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory =
            PathBuf::from(format!("/dev/shm/datablock-test-rust-{}-{number}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        Block { directory }
    }

    /// The absolute path, which is a name too.
    pub fn path(&self) -> PathBuf {
        self.directory.join("x")
    }

    pub fn producer(&self, arguments: &[&str]) -> Worker {
        self.start("produce", &[&["--slots=8", "--slot-size=256"], arguments].concat())
    }

    pub fn consumer(&self, delivery: &str, arguments: &[&str]) -> Worker {
        let delivery = format!("--delivery={delivery}");
        self.start("consume", &[&["--slot-size=256", &delivery], arguments].concat())
    }

    fn start(&self, role: &str, arguments: &[&str]) -> Worker {
        let mut worker = Worker::start(
            Command::new(env!("CARGO_BIN_EXE_worker"))
                .args([role, "x", &format!("--dir={}", self.directory.display())])
                .args(arguments),
        );
        worker.expect("attached");
        worker
    }

    /// Checks every byte of the block.
    pub fn is_healthy(&self) {
        let check = recovery::validate_integrity(self.path()).unwrap();
        assert!(check.is_healthy(), "{check:?}");
    }

    /// Waits until a condition of the block holds.
    pub fn eventually(&self, what: &str, condition: impl Fn(&Block) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Removes the block after all participants have ended. Nothing else is left.
    pub fn leaves_nothing(self) {
        datablock::unlink(self.path(), false).unwrap();
        let left: Vec<_> =
            std::fs::read_dir(&self.directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(left.is_empty(), "{left:?} is left");
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A message that a worker reported.
#[derive(Debug)]
pub struct Reported {
    pub id: u64,
    pub missed: u64,
    pub good: bool,
}

/// A process. Dropping it ends the process.
pub struct Worker {
    child: Child,
    lines: Receiver<String>,
    /// The messages that a consumer with `--echo` has reported.
    pub messages: Vec<Reported>,
    /// The ids that a producer with `--echo` has reported.
    pub committed: Vec<u64>,
}

impl Worker {
    fn start(command: &mut Command) -> Worker {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (says, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = says.send(line);
            }
        });
        Worker { child, lines, messages: Vec::new(), committed: Vec::new() }
    }

    pub fn pid(&self) -> u64 {
        u64::from(self.child.id())
    }

    /// A dead worker is noticed by the missing answer.
    pub fn send(&mut self, command: &str) {
        let _ = writeln!(self.child.stdin.as_mut().unwrap(), "{command}");
    }

    /// The next line that is not an echo, or none at the end.
    fn next(&mut self) -> Option<String> {
        loop {
            let line = match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("the worker says nothing for {PATIENCE:?}"),
            };
            let words: Vec<_> = line.split(' ').collect();
            match words[..] {
                ["message", id, _, missed, good] => self.messages.push(Reported {
                    id: id.parse().unwrap(),
                    missed: missed.parse().unwrap(),
                    good: good == "true",
                }),
                ["committed", id, _] => self.committed.push(id.parse().unwrap()),
                _ => return Some(line),
            }
        }
    }

    /// The next line, which begins with this word.
    pub fn expect(&mut self, word: &str) -> String {
        let line = self.next().unwrap_or_else(|| panic!("the worker ended; expected {word}"));
        assert!(line.starts_with(word), "the worker said {line:?}; expected {word}");
        line
    }

    pub fn ask(&mut self, command: &str, word: &str) -> String {
        self.send(command);
        self.expect(word)
    }

    /// Writes n messages, and returns the id of the first one.
    pub fn write(&mut self, n: u64) -> u64 {
        let line = self.ask(&format!("write {n}"), "wrote=");
        assert_eq!(value(&line, "end"), "OK", "{line}");
        assert_eq!(value(&line, "wrote"), n.to_string(), "{line}");
        value(&line, "first").parse().unwrap()
    }

    /// SIGKILL. Returns when the system has released everything of the process.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
        while self.next().is_some() {} // its last words
    }

    /// Waits until all threads of the process sleep.
    pub fn falls_asleep(&self) {
        let deadline = Instant::now() + PATIENCE;
        let tasks = format!("/proc/{}/task", self.pid());
        let runs = || {
            std::fs::read_dir(&tasks).unwrap().flatten().any(|task| {
                let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
                stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('R'))
            })
        };
        while runs() {
            assert!(Instant::now() < deadline, "the worker does not sleep within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn close(mut self) {
        self.ask("close", "closed");
        self.send("exit");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The value of a key in a line of key=value pairs.
pub fn value<'a>(line: &'a str, key: &str) -> &'a str {
    let pairs = line.split(' ').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(name, _)| *name == key).unwrap_or_else(|| panic!("no {key} in {line:?}")).1
}
