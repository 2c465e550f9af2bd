//! Framing, the same on both sides of the wire: a stream of bytes cut into bounded lines, and the errors of a broken stream.

use bytes::{Buf, BytesMut};

use super::advice::{self, Advice};
use crate::text::{sanitize_short, show_bytes};

/// The longest line that is taken, in bytes, the newline excluded (a `\r` before it counts).
pub const MAX_LINE: usize = 4096;

/// Why the bytes of a peer cannot be followed any further. After any of these the place in the stream, or what the
/// peer means, is unknown: close the connection.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// More than [`MAX_LINE`] bytes without a newline: the first of them, printable.
    #[error("a line is longer than {MAX_LINE} bytes; it begins {0:?}")]
    LineTooLong(String),
    /// Bytes that are no text.
    #[error("a line is not UTF-8 from its byte {valid_up_to} on: {line:?}")]
    NotUtf8 {
        /// How many bytes of the line are good.
        valid_up_to: usize,
        /// The line, printable.
        line: String,
        /// What to do.
        advice: Advice,
    },
    /// A line that is no reply, and has a NUL in it.
    #[error("a line has NUL (byte 0) at its byte {at}, which no reply has: \"{line}\"")]
    Nul {
        /// How many bytes come before it.
        at: usize,
        /// The line, as [`show_bytes`](crate::text::show_bytes).
        line: String,
        /// What to do.
        advice: Advice,
    },
    /// A line that is not a JSON object with the members of a reply, or does not begin with its word.
    #[error("a line is no reply ({why}): {line:?}; expected {expected}")]
    NotAReply {
        /// The line, printable.
        line: String,
        /// What is wrong with it, printable.
        why: String,
        /// What a reply looks like.
        expected: &'static str,
        /// What to do.
        advice: Advice,
    },
    /// A reply whose verdict, printable, is neither word of the protocol.
    #[error("a reply has the status {0:?}; expected \"ok\" or \"error\"")]
    UnknownStatus(String),
    /// The stream ended inside a line, after these bytes, printable.
    #[error("the stream ended in the middle of a line, after {0:?}")]
    Truncated(String),
    /// The transport failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl WireError {
    /// What to do about it, if that is known.
    pub fn advice(&self) -> Option<Advice> {
        match self {
            Self::LineTooLong(_) => Some(advice::LENGTH),
            Self::NotUtf8 { advice, .. } | Self::Nul { advice, .. } | Self::NotAReply { advice, .. } => {
                Some(*advice)
            }
            Self::UnknownStatus(_) => Some(advice::STATUS),
            // A half object has no newline because the rest is missing too.
            Self::Truncated(rest) => (!rest.starts_with('{')).then_some(advice::NEWLINE),
            Self::Io(_) => None,
        }
    }

    /// Whether this may be a line of a greeting, and not a reply with a fault.
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

/// Cuts a stream of bytes into bounded lines. Remembers how far it has searched, so that a line that comes byte by
/// byte costs linear time.
///
/// Call [`Lines::next`] after each read until it returns nothing, always with the same buffer.
#[derive(Debug, Default)]
pub struct Lines {
    searched: usize,
}

impl Lines {
    /// Takes the next whole line off `bytes` and hands it, without its `\n` or `\r\n`, to `parse`.
    ///
    /// # Errors
    /// A line that is too long or not UTF-8, or what `parse` returns. Close the connection then.
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

    /// Passes over the next whole line, whatever its bytes are. Returns whether there was one.
    pub(super) fn skip(&mut self, bytes: &mut BytesMut) -> Result<bool, WireError> {
        self.next_bytes(bytes, |_| Ok(())).map(|line| line.is_some())
    }

    fn next_bytes<T>(
        &mut self,
        bytes: &mut BytesMut,
        parse: impl FnOnce(&[u8]) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        // A buffer that got shorter is another buffer.
        self.searched = if self.searched <= bytes.len() { self.searched } else { 0 };
        let newline = bytes[self.searched..].iter().position(|&byte| byte == b'\n');
        let length = newline.map_or(bytes.len(), |offset| self.searched + offset);
        if length > MAX_LINE {
            let start = sanitize_short(&String::from_utf8_lossy(&bytes[..MAX_LINE]));
            // What follows cannot be understood; keep none of it.
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

    /// Takes what there is without a newline, if `parse` accepts it as it stands. For senders that end a JSON object by
    /// its last brace and nothing else.
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

    /// Checks at the end of the stream, when no whole line is left, that it did not end inside one.
    ///
    /// # Errors
    /// [`WireError::Truncated`] if it did.
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

/// What commands of telnet begin with, and the lowest of those commands.
const TELNET_COMMAND: u8 = 0xff;
const TELNET_LOWEST: u8 = 0xf0;
