//! How long a call waits.

use std::time::Duration;

/// How long a call waits: not at all, for a time, or without a limit.
///
/// A [`Duration`] is a timeout too. The library counts milliseconds: a fraction is rounded up, so
/// that a short wait is no poll.
///
/// ```
/// use datablock::Timeout;
/// use std::time::Duration;
///
/// assert_eq!(Timeout::from(Duration::from_micros(10)), Timeout::from(Duration::from_millis(1)));
/// assert_eq!(Timeout::from(Duration::ZERO), Timeout::NONE);
/// assert_eq!(Timeout::from(Duration::MAX), Timeout::FOREVER);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(pub(crate) i64);

impl Timeout {
    /// The call does not wait.
    pub const NONE: Timeout = Timeout(0);
    /// The call waits until there is a result. No signal ends such a wait.
    pub const FOREVER: Timeout = Timeout(-1);
    /// From this number of milliseconds on, some thirty years, the wait has no limit. Greater
    /// numbers could be mistaken for a `DATABLOCK_WAIT_PART`.
    const LONGEST: u128 = 1_000_000_000_000;
}

impl From<Duration> for Timeout {
    fn from(time: Duration) -> Timeout {
        match time.as_nanos().div_ceil(1_000_000) {
            ms if ms >= Timeout::LONGEST => Timeout::FOREVER,
            ms => Timeout(ms as i64),
        }
    }
}
