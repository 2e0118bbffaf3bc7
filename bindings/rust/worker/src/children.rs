//! The commands that start a child.

use crate::lines::say;
use crate::{status, Worker};
use core::ffi::{c_int, c_long, c_uint, c_ulong};
use datablock::recovery;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

extern "C" {
    fn _exit(code: c_int) -> !;
    fn fork() -> c_int;
    fn alarm(seconds: c_uint) -> c_uint;
    fn pause() -> c_int;
    fn close(descriptor: c_int) -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
}

#[cfg(target_arch = "x86_64")]
const SYS_CLONE: c_long = 56;
#[cfg(target_arch = "aarch64")]
const SYS_CLONE: c_long = 220;
const SIGCHLD: c_ulong = 17;

/// Ends the process without closing anything.
pub fn exit_now(code: i32) -> ! {
    unsafe { _exit(code) }
}

/// False: there is no such command.
pub fn command(word: &str, name: &str, worker: &mut dyn Worker) -> bool {
    match word {
        "fork" => forked(unsafe { fork() }),
        // The raw system call does not run the handlers of pthread_atfork.
        "clone" => forked(unsafe { syscall(SYS_CLONE, SIGCHLD, 0, 0, 0, 0) } as c_int),
        "spawn" => spawn(),
        "system" => system(),
        "call-in-child" => call_in_child(name, worker),
        _ => return false,
    }
    true
}

/// A child that keeps everything inherited but the test's pipes. It ends by itself if the test does
/// not end it.
fn forked(child: c_int) {
    if child == 0 {
        unsafe {
            for descriptor in 0..3 {
                close(descriptor);
            }
            alarm(60);
            loop {
                pause();
            }
        }
    }
    say(&format!("forked {child}"));
}

fn spawn() {
    let (none, out, err) = (Stdio::null(), Stdio::null(), Stdio::null());
    match Command::new("sleep").arg("60").stdin(none).stdout(out).stderr(err).arg0("sleep").spawn() {
        Ok(child) => say(&format!("forked {}", child.id())),
        Err(error) => say(&format!("error SYSTEM spawn: {error}")),
    }
}

fn system() {
    let script = "sleep 60 </dev/null >/dev/null 2>&1 & echo forked $!";
    if !Command::new("sh").args(["-c", script]).status().is_ok_and(|status| status.success()) {
        say("error SYSTEM system");
    }
}

/// Calls nearly every function in a forked child, whose line is the answer.
fn call_in_child(name: &str, worker: &mut dyn Worker) {
    let child = unsafe { fork() };
    if child == 0 {
        unsafe { alarm(10) };
        let mut calls = worker.call_everything();
        calls.push(datablock::list(None).map(drop));
        calls.push(datablock::unlink(name, true));
        let refused = recovery::diagnose_slot(name, 0).is_err()
            && recovery::cleanup_dead_consumers(name, Duration::ZERO).is_err()
            && recovery::release_zombie_readers(name, 0).is_err()
            && recovery::release_zombie_writer(name, 0).is_err();
        let statuses: Vec<_> = calls.iter().map(status).collect();
        say(&format!("child {} repairs={}", statuses.join(" "), if refused { "refused" } else { "done" }));
        exit_now(0);
    }
    let mut status = 0;
    if child < 0 || unsafe { waitpid(child, &mut status, 0) } < 0 || status != 0 {
        say(&format!("error SYSTEM child {child} ended with status {status:#x}"));
    }
}
