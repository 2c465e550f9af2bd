//! The texts of rcl's errors.

use std::ffi::{CStr, c_char};

use r2r_rcl::{rcutils_error_is_set, rcutils_get_error_string, rcutils_reset_error};

/// An error of rcl, with rcl's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RclError(String);

impl RclError {
    /// Takes the error that rcl has just set on this thread.
    pub(crate) fn take() -> Self {
        Self(take_error().unwrap_or_else(|| "rcl gives no reason".into()))
    }

    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Takes the text of the last error that rcl has set on this thread, if there is one.
///
/// Call it immediately after r2r has returned an error, on the same thread. r2r returns only the
/// code and does not take the text.
pub fn take_error() -> Option<String> {
    // SAFETY: the function takes no pointer. It reads a flag of this thread.
    if !unsafe { rcutils_error_is_set() } {
        return None;
    }
    // SAFETY: the function takes no pointer. It returns a copy of this thread's text by value.
    let error = unsafe { rcutils_get_error_string() };
    // SAFETY: the function takes no pointer. It frees this thread's text.
    unsafe { rcutils_reset_error() };
    let bytes: Vec<u8> = error.str_.iter().map(|&byte: &c_char| byte.cast_unsigned()).collect();
    let text = CStr::from_bytes_until_nul(&bytes).map(CStr::to_string_lossy).unwrap_or_default();
    Some(text.into_owned()).filter(|text| !text.is_empty())
}
