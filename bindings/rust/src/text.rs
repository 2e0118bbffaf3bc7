//! Text for C, and from C.

use crate::error::{Error, Result};
use core::ffi::c_char;
use std::ffi::{CStr, CString};
use std::path::Path;

/// A name or a path, as the library wants it: bytes on Unix, UTF-8 on Windows.
pub(crate) fn path(name: &Path) -> Result<CString> {
    #[cfg(unix)]
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(name.as_os_str());
    #[cfg(not(unix))]
    let bytes = name
        .to_str()
        .ok_or_else(|| Error::invalid(format!("{}: a path must be UTF-8", name.display())))?
        .as_bytes();
    text(bytes)
}

pub(crate) fn text(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|error| {
        Error::invalid(format!(
            "{:?}: a text for the library must not contain a zero byte (byte {})",
            String::from_utf8_lossy(bytes),
            error.nul_position()
        ))
    })
}

pub(crate) fn optional(value: Option<&str>) -> Result<Option<CString>> {
    value.map(|value| text(value.as_bytes())).transpose()
}

pub(crate) fn optional_path(value: Option<&Path>) -> Result<Option<CString>> {
    value.map(path).transpose()
}

/// The pointer of an optional text; null for none.
pub(crate) fn pointer(value: &Option<CString>) -> *const c_char {
    value.as_ref().map_or(std::ptr::null(), |value| value.as_ptr())
}

/// The text of an array that C ended with a zero.
pub(crate) fn of_array(array: &[c_char]) -> String {
    // SAFETY: c_char and u8 have the same size and alignment, and each bit pattern is valid.
    let bytes = unsafe { std::slice::from_raw_parts(array.as_ptr().cast::<u8>(), array.len()) };
    match CStr::from_bytes_until_nul(bytes) {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}
