//! Types that are their bytes.

use crate::error::{Error, Result};
use std::any::type_name;
use std::mem::{align_of, size_of};

/// A type that other processes may read and write as bytes.
///
/// The macro [`record!`](crate::record) implements it for a struct, and checks all conditions.
///
/// # Safety
///
/// * The type is `#[repr(C)]` or a number, so that all programs have the same layout.
/// * Each bit pattern is a value: no `bool`, `char`, enum, reference or `NonZero`.
/// * The type has no padding, and at least one byte.
/// * The type has no interior mutability.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! plain {
    ($($number:ty = $name:literal,)*) => {
        $(
            // SAFETY: a number.
            unsafe impl Plain for $number {}
            impl crate::record::Field for $number {
                fn describe(text: &mut String, _: &mut Vec<usize>) {
                    text.push_str($name);
                }
            }
        )*
    };
}

plain! {
    u8 = "u8", u16 = "u16", u32 = "u32", u64 = "u64",
    i8 = "i8", i16 = "i16", i32 = "i32", i64 = "i64",
    f32 = "f32", f64 = "f64",
}

// SAFETY: items without padding, one after the other.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// The bytes of a value.
pub(crate) fn bytes_of<T: Plain>(value: &T) -> &[u8] {
    // SAFETY: a plain type has no padding.
    unsafe { std::slice::from_raw_parts((value as *const T).cast(), size_of::<T>()) }
}

pub(crate) fn value<T: Plain>(bytes: &[u8]) -> Result<&T> {
    fits::<T>(bytes)?;
    // SAFETY: long enough, aligned, and each bit pattern is a value.
    Ok(unsafe { &*bytes.as_ptr().cast() })
}

pub(crate) fn value_mut<T: Plain>(bytes: &mut [u8]) -> Result<&mut T> {
    fits::<T>(bytes)?;
    // SAFETY: as in `value`; and no padding, so that each byte stays initialized.
    Ok(unsafe { &mut *bytes.as_mut_ptr().cast() })
}

pub(crate) fn values<T: Plain>(bytes: &[u8]) -> Result<&[T]> {
    if bytes.is_empty() {
        return Ok(&[]);
    }
    fits::<T>(bytes)?;
    if bytes.len() % size_of::<T>() != 0 {
        return Err(Error::invalid(format!(
            "a message of {} bytes has no whole number of {} of {} bytes",
            bytes.len(),
            type_name::<T>(),
            size_of::<T>()
        )));
    }
    // SAFETY: as in `value`.
    Ok(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<T>()) })
}

/// As many values as there is room for.
pub(crate) fn values_mut<T: Plain>(bytes: &mut [u8]) -> Result<&mut [T]> {
    fits::<T>(bytes)?;
    // SAFETY: as in `value_mut`.
    Ok(unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len() / size_of::<T>()) })
}

fn fits<T: Plain>(bytes: &[u8]) -> Result<()> {
    if size_of::<T>() == 0 {
        return Err(Error::invalid(format!("{} has no bytes", type_name::<T>())));
    }
    if bytes.len() < size_of::<T>() {
        return Err(too_short::<T>(bytes.len()));
    }
    if bytes.as_ptr() as usize % align_of::<T>() != 0 {
        return Err(Error::invalid(format!(
            "{} needs an alignment of {}, which the memory does not have: see ProducerOptions::alignment",
            type_name::<T>(),
            align_of::<T>()
        )));
    }
    Ok(())
}

pub(crate) fn too_short<T>(length: usize) -> Error {
    Error::invalid(format!(
        "{length} bytes are too short for {} of {} bytes",
        type_name::<T>(),
        size_of::<T>()
    ))
}
