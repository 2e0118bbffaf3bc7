//! Waiting for several blocks.

use crate::error::{check, Error, Result};
use crate::timeout::Timeout;
use crate::{sys, Consumer};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

/// Waits until at least one of the consumers can be read without waiting, and returns the indices
/// of those that can. Reports readiness only, and reads nothing.
///
/// A consumer whose stream has ended stays ready: leave it out of the next wait. No consumer may
/// hold the attention for ever: serve each ready consumer once before the next wait.
///
/// Errors: `Timeout` (none is ready, with or without producers), `Invalid` (no consumers, or more
/// than 1024).
pub fn wait_any(consumers: &[&Consumer], timeout: impl Into<Timeout>) -> Result<Vec<usize>> {
    let handles: Vec<_> = consumers.iter().map(|consumer| consumer.handle).collect();
    let mut ready = vec![false; handles.len()];
    // SAFETY: both arrays have so many items.
    check(unsafe {
        sys::datablock_wait_any(handles.as_ptr(), handles.len(), timeout.into().0, ready.as_mut_ptr())
    })?;
    Ok(indices(&ready))
}

/// As [`wait_any`], until [`Waker::wake`] is called: then the result is empty. `consumers` may be
/// empty. Errors: as [`wait_any`]; also `Busy` (another thread waits with this waker).
pub fn wait_any_or_wake(
    consumers: &[&Consumer],
    timeout: impl Into<Timeout>,
    waker: &Waker,
) -> Result<Vec<usize>> {
    let handles: Vec<_> = consumers.iter().map(|consumer| consumer.handle).collect();
    let mut ready = vec![false; handles.len()];
    let _only = waker.enter()?;
    // SAFETY: both arrays have so many items; the library uses the waker atomically.
    check(unsafe {
        sys::datablock_wait_any_or_wake(
            handles.as_ptr(),
            handles.len(),
            timeout.into().0,
            ready.as_mut_ptr(),
            waker.woken.get(),
        )
    })?;
    Ok(indices(&ready))
}

fn indices(ready: &[bool]) -> Vec<usize> {
    ready.iter().enumerate().filter_map(|(i, ready)| ready.then_some(i)).collect()
}

/// Ends a wait from another thread, or from a signal handler: see [`wait_any_or_wake`].
///
/// ```
/// use datablock::{wait_any_or_wake, Timeout, Waker};
///
/// let waker = Waker::new();
/// std::thread::scope(|threads| {
///     let waiting = threads.spawn(|| wait_any_or_wake(&[], Timeout::FOREVER, &waker));
///     waker.wake();
///     assert_eq!(waiting.join().unwrap(), Ok(vec![]));
/// });
/// ```
#[derive(Debug)]
pub struct Waker {
    woken: UnsafeCell<sys::datablock_waker>,
    waiting: AtomicBool,
}

// SAFETY: the library reads and writes the word atomically.
unsafe impl Sync for Waker {}

impl Waker {
    /// A waker that no wake has reached yet.
    pub const fn new() -> Waker {
        Waker { woken: UnsafeCell::new(sys::datablock_waker { woken: 0 }), waiting: AtomicBool::new(false) }
    }

    /// Ends the wait of this waker, the present one or the next one. Never waits.
    pub fn wake(&self) {
        unsafe { sys::datablock_wake(self.woken.get()) };
    }

    /// Excludes a second wait.
    fn enter(&self) -> Result<Waiting<'_>> {
        if self.waiting.swap(true, Ordering::Acquire) {
            return Err(Error::Busy("another thread waits with this waker".into()));
        }
        Ok(Waiting(self))
    }
}

impl Default for Waker {
    fn default() -> Waker {
        Waker::new()
    }
}

struct Waiting<'w>(&'w Waker);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.store(false, Ordering::Release);
    }
}
