//! Framing for both sides of the connection: splits a stream of bytes into lines of limited length,
//! and defines the errors of a broken stream.

use bytes::{Buf, BytesMut};

use super::advice::{self, Advice};
use crate::text::{sanitize_short, show_bytes};

/// The longest accepted line, in bytes, without the newline. A `\r` before the newline counts.
pub const MAX_LINE: usize = 4096;

/// Why the bytes of a peer cannot be read. After each of these errors close the connection, because
/// the start of the next line, or the meaning of the reply, is unknown.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// More than [`MAX_LINE`] bytes arrived without a newline. Has the start of the line
    /// (sanitized).
    #[error("a line is longer than {MAX_LINE} bytes; it begins {0:?}")]
    LineTooLong(String),
    /// The bytes are not UTF-8.
    #[error("a line is not UTF-8 from its byte {valid_up_to} on: {line:?}")]
    NotUtf8 {
        /// The number of valid bytes before the fault.
        valid_up_to: usize,
        /// The line (sanitized).
        line: String,
        /// What to do.
        advice: Advice,
    },
    /// The line is not a reply and contains a NUL.
    #[error("a line has NUL (byte 0) at its byte {at}, but a reply must not have a NUL: \"{line}\"")]
    Nul {
        /// The number of bytes before the NUL.
        at: usize,
        /// The line, as [`show_bytes`](crate::text::show_bytes) prints it.
        line: String,
        /// What to do.
        advice: Advice,
    },
    /// The line is not a JSON object with the members of a reply. Or it is a text reply that does
    /// not begin with OK or ERROR.
    #[error("a line is not a reply ({why}): {line:?}; expected {expected}")]
    NotAReply {
        /// The line (sanitized).
        line: String,
        /// The fault of the line (sanitized).
        why: String,
        /// An example of a reply.
        expected: &'static str,
        /// What to do.
        advice: Advice,
    },
    /// The status of a reply (sanitized) is neither `ok` nor `error`.
    #[error("a reply has the status {0:?}; expected \"ok\" or \"error\"")]
    UnknownStatus(String),
    /// The stream ended inside a line, after these bytes (sanitized).
    #[error("the stream ended in the middle of a line, after {0:?}")]
    Truncated(String),
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl WireError {
    /// Returns what to do about the error, if that is known.
    pub fn advice(&self) -> Option<Advice> {
        match self {
            Self::LineTooLong(_) => Some(advice::LENGTH),
            Self::NotUtf8 { advice, .. } | Self::Nul { advice, .. } | Self::NotAReply { advice, .. } => {
                Some(*advice)
            }
            Self::UnknownStatus(_) => Some(advice::STATUS),
            // A JSON object that was cut off needs its rest, not only a newline.
            Self::Truncated(rest) => (!rest.starts_with('{')).then_some(advice::NEWLINE),
            Self::Io(_) => None,
        }
    }

    /// Returns whether the line may be a line of a greeting, and not a faulty reply.
    pub fn may_be_greeting(&self) -> bool {
        match self {
            Self::NotAReply { line, advice, .. } | Self::NotUtf8 { line, advice, .. } => {
                let known = [advice::OBJECT, advice::BLANK, advice::UTF8, advice::WORDS];
                !line.trim_start().starts_with('{') && known.contains(advice)
            }
            _ => false,
        }
    }
}

/// Splits a stream of bytes into lines of limited length. Remembers how far it has searched, so
/// that a line that arrives byte by byte costs linear time.
///
/// Call [`Lines::next`] after each read until it returns `None`, always with the same buffer.
#[derive(Debug, Default)]
pub struct Lines {
    searched: usize,
}

impl Lines {
    /// Removes the next complete line from `bytes` and passes it, without its `\n` or `\r\n`, to
    /// `parse`.
    ///
    /// # Errors
    /// The line is too long or not UTF-8, or `parse` fails. Close the connection after an error.
    pub fn next<T>(
        &mut self,
        bytes: &mut BytesMut,
        parse: impl FnOnce(&str) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        self.next_bytes(bytes, |line| {
            let text = std::str::from_utf8(line).map_err(|error| not_utf8(line, error.valid_up_to()))?;
            let nul = || line.iter().position(|byte| *byte == 0);
            parse(text).map_err(|error| nul().map_or(error, |at| has_nul(line, at)))
        })
    }

    /// Removes the next complete line, even if it is not UTF-8. Returns whether there was a line.
    pub(super) fn skip(&mut self, bytes: &mut BytesMut) -> Result<bool, WireError> {
        self.next_bytes(bytes, |_| Ok(())).map(|line| line.is_some())
    }

    fn next_bytes<T>(
        &mut self,
        bytes: &mut BytesMut,
        parse: impl FnOnce(&[u8]) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        // If the buffer is now shorter, it is a different buffer.
        self.searched = if self.searched <= bytes.len() { self.searched } else { 0 };
        let newline = bytes[self.searched..].iter().position(|&byte| byte == b'\n');
        let length = newline.map_or(bytes.len(), |offset| self.searched + offset);
        if length > MAX_LINE {
            let start = sanitize_short(&String::from_utf8_lossy(&bytes[..MAX_LINE]));
            // Discard the rest, because the start of the next line is unknown.
            bytes.clear();
            self.searched = 0;
            return Err(WireError::LineTooLong(start));
        }
        if newline.is_none() {
            self.searched = length;
            return Ok(None);
        }
        let parsed = parse(bytes[..length].strip_suffix(b"\r").unwrap_or(&bytes[..length]));
        bytes.advance(length + 1);
        self.searched = 0;
        parsed.map(Some)
    }

    /// Removes all bytes if they end with `}` and `parse` accepts them without a newline. This is
    /// for controllers that send no newline after a JSON object.
    pub(super) fn next_unterminated<T>(
        &mut self,
        bytes: &mut BytesMut,
        parse: impl FnOnce(&str) -> Result<T, WireError>,
    ) -> Option<T> {
        if !bytes.ends_with(b"}") {
            return None;
        }
        let parsed = parse(std::str::from_utf8(bytes).ok()?).ok()?;
        bytes.clear();
        self.searched = 0;
        Some(parsed)
    }

    /// Checks that the stream did not end inside a line. Call it at the end of the stream, when no
    /// complete line is left.
    ///
    /// # Errors
    /// [`WireError::Truncated`] if the stream ended inside a line.
    pub fn end(&mut self, bytes: &mut BytesMut) -> Result<(), WireError> {
        self.searched = 0;
        let rest = bytes.split();
        if rest.is_empty() {
            return Ok(());
        }
        Err(WireError::Truncated(sanitize_short(&String::from_utf8_lossy(&rest))))
    }
}

fn not_utf8(line: &[u8], valid_up_to: usize) -> WireError {
    let advice = match line {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => advice::UTF16,
        _ if line.windows(2).any(|pair| pair[0] == TELNET_COMMAND && pair[1] >= TELNET_LOWEST) => {
            advice::TELNET
        }
        _ => advice::UTF8,
    };
    WireError::NotUtf8 { valid_up_to, line: sanitize_short(&String::from_utf8_lossy(line)), advice }
}

fn has_nul(line: &[u8], at: usize) -> WireError {
    let nuls = line.iter().filter(|byte| **byte == 0).count();
    let advice = if nuls > 1 && nuls * 2 + 1 >= line.len() { advice::UTF16 } else { advice::NUL };
    WireError::Nul { at, line: show_bytes(line), advice }
}

/// The first byte of every telnet command, and the lowest value of the second byte.
const TELNET_COMMAND: u8 = 0xff;
const TELNET_LOWEST: u8 = 0xf0;
