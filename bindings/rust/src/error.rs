//! Errors: one variant for each status of `docs/errors.md`, with the library's sentence.

use crate::sys;
use core::ffi::{c_char, c_int, CStr};
use std::fmt;

/// The result of every call that can fail.
pub type Result<T> = std::result::Result<T, Error>;

macro_rules! errors {
    ($($(#[$doc:meta])* $variant:ident = $status:ident,)*) => {
        /// What went wrong. A program decides by the variant.
        ///
        /// The text of a variant, [`Error::detail`], says what exactly was wrong, with the values,
        /// and what to do. The text is informational: show it, and do not parse it.
        /// `docs/errors.md` describes each status in full.
        #[non_exhaustive]
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Error {
            $($(#[$doc])* $variant(String),)*
            /// A recovery was not done. [`RecoveryFailure`] says why.
            Recovery(RecoveryFailure, String),
            /// A function of diagnosis failed with this negative number: -1 bad argument, -2 cannot
            /// open, -3 index out of range, -4 failed while running, -5 unexpected.
            Diagnosis(i32, String),
            /// A status that this version of the crate does not know.
            Unknown(i32, String),
        }

        impl Error {
            pub(crate) fn new(status: sys::datablock_status, detail: String) -> Error {
                match status {
                    $(sys::$status => Error::$variant(detail),)*
                    other => Error::Unknown(other, detail),
                }
            }

            /// The library's sentence about this error. It may be empty.
            pub fn detail(&self) -> &str {
                match self {
                    $(Error::$variant(detail))|* => detail,
                    Error::Recovery(_, detail) | Error::Diagnosis(_, detail) | Error::Unknown(_, detail) => detail,
                }
            }

            /// The number in C: a `datablock_status`, a `RecoveryResult`, or the negative number of
            /// a function of diagnosis.
            pub fn code(&self) -> i32 {
                match self {
                    $(Error::$variant(_) => sys::$status,)*
                    Error::Recovery(failure, _) => *failure as i32,
                    Error::Diagnosis(code, _) | Error::Unknown(code, _) => *code,
                }
            }

            /// The name of the status in C without its prefix, such as `TIMEOUT`.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Error::$variant(_) => stringify!($status).trim_start_matches("DATABLOCK_E_"),)*
                    Error::Recovery(..) => "RECOVERY",
                    Error::Diagnosis(..) => "DIAGNOSIS",
                    Error::Unknown(..) => "UNKNOWN",
                }
            }

            /// Every status that has a variant, as its number in C. For tests.
            #[doc(hidden)]
            pub const STATUSES: &'static [i32] = &[$(sys::$status,)*];
        }
    };
}

errors! {
    /// The time ran out. Call again.
    Timeout = DATABLOCK_E_TIMEOUT,
    /// An argument, a setting or the order of calls is wrong.
    Invalid = DATABLOCK_E_INVALID,
    /// No block of this name, no such directory, no such registered schema, or no such message yet.
    NotFound = DATABLOCK_E_NOT_FOUND,
    /// A file of this name exists already. Cannot occur yet.
    Exists = DATABLOCK_E_EXISTS,
    /// Another producer writes the block.
    ProducerActive = DATABLOCK_E_PRODUCER_ACTIVE,
    /// The system refuses access to a file or directory.
    Access = DATABLOCK_E_ACCESS,
    /// The block was created with another secret.
    Secret = DATABLOCK_E_SECRET,
    /// The file is not a block, or is damaged.
    Corrupt = DATABLOCK_E_CORRUPT,
    /// An incompatible library created the block.
    Version = DATABLOCK_E_VERSION,
    /// The block exists with other settings.
    Geometry = DATABLOCK_E_GEOMETRY,
    /// The two sides describe the message, or the zone, differently.
    Schema = DATABLOCK_E_SCHEMA,
    /// The file system of the directory has no room for the block.
    NoSpace = DATABLOCK_E_NO_SPACE,
    /// The block's limit of attached consumers is reached.
    Full = DATABLOCK_E_FULL,
    /// The handle, the holds, the durable name or the block is in use.
    Busy = DATABLOCK_E_BUSY,
    /// The stream has ended and was read.
    Closed = DATABLOCK_E_CLOSED,
    /// Another block has the name now, or the block was removed: close and open again.
    Superseded = DATABLOCK_E_SUPERSEDED,
    /// A forced recovery took the claim or the row away.
    Fenced = DATABLOCK_E_FENCED,
    /// The message was overwritten. After a release: discard what was computed from the message.
    Overrun = DATABLOCK_E_OVERRUN,
    /// An operator discarded the message. The next call continues after it.
    Lost = DATABLOCK_E_LOST,
    /// The time ran out, and no producer has the block open.
    NoProducer = DATABLOCK_E_NO_PRODUCER,
    /// All consumers together could hold too many slots.
    NoSpare = DATABLOCK_E_NO_SPARE,
    /// The payload differs from the bytes that were written.
    Checksum = DATABLOCK_E_CHECKSUM,
    /// This process is a forked child: call exec first.
    Forked = DATABLOCK_E_FORKED,
    /// The handle is closed or unknown.
    Handle = DATABLOCK_E_HANDLE,
    /// An error of the operating system.
    System = DATABLOCK_E_SYSTEM,
    /// A fault in the library.
    Panic = DATABLOCK_E_PANIC,
}

/// Why a recovery was not done, with the numbers of `RecoveryResult`.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecoveryFailure {
    /// Not possible.
    Failed = sys::RECOVERY_FAILED as isize,
    /// A living participant holds the slot, the row or the block.
    Unsafe = sys::RECOVERY_UNSAFE as isize,
    /// No such slot or row.
    InvalidSlot = sys::RECOVERY_INVALID_SLOT as isize,
}

impl Error {
    /// An argument that the crate itself refuses.
    pub(crate) fn invalid(why: impl Into<String>) -> Error {
        Error::Invalid(why.into())
    }

    /// Whether the time ran out: [`Error::Timeout`] or [`Error::NoProducer`].
    pub fn is_timeout(&self) -> bool {
        matches!(self, Error::Timeout(_) | Error::NoProducer(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.detail()) {
            (Error::Recovery(..) | Error::Diagnosis(..), "") => write!(f, "{} {}", self.name(), self.code()),
            (Error::Recovery(..) | Error::Diagnosis(..), detail) => f.write_str(detail),
            (_, "") => f.write_str(&text(unsafe { sys::datablock_strerror(self.code()) })),
            (_, detail) => f.write_str(detail),
        }
    }
}

impl std::error::Error for Error {}

/// Turns a status into a result. Must be called on the thread of the call, before its next call.
#[inline]
pub(crate) fn check(status: sys::datablock_status) -> Result<()> {
    if status == sys::DATABLOCK_OK {
        Ok(())
    } else {
        Err(failed(status))
    }
}

/// The error of this thread's last call.
#[cold]
pub(crate) fn failed(status: sys::datablock_status) -> Error {
    Error::new(status, detail())
}

/// The sentence about this thread's last call.
pub(crate) fn detail() -> String {
    text(unsafe { sys::datablock_error_detail() })
}

fn text(of: *const c_char) -> String {
    // SAFETY: the library returns zero-terminated text, valid until this thread's next call.
    unsafe { CStr::from_ptr(of) }.to_string_lossy().into_owned()
}

/// Turns the number of a function of diagnosis into a count.
pub(crate) fn count(number: c_int) -> Result<usize> {
    usize::try_from(number).map_err(|_| Error::Diagnosis(number, detail()))
}
