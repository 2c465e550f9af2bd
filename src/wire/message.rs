//! What is said on the wire, and how to show it safely.

use std::{fmt, str::FromStr, time::Duration};

use crate::teleop::command::{Command, Gripper, Position};

/// The unit of length in which the controller counts. Inside the bridge everything is in metres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WireUnit {
    /// `mm`, what arm controllers usually speak.
    #[default]
    Millimetres,
    /// `cm`.
    Centimetres,
    /// `m`.
    Metres,
}

impl WireUnit {
    /// How many of this unit make a metre.
    pub fn per_metre(self) -> f64 {
        match self {
            Self::Millimetres => 1000.0,
            Self::Centimetres => 100.0,
            Self::Metres => 1.0,
        }
    }

    /// The symbol: `mm`, `cm` or `m`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Millimetres => "mm",
            Self::Centimetres => "cm",
            Self::Metres => "m",
        }
    }
}

impl fmt::Display for WireUnit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A word that names no unit of the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no unit of the wire; it is one of mm, cm, m")]
pub struct UnknownUnit(pub String);

impl FromStr for WireUnit {
    type Err = UnknownUnit;

    /// # Errors
    /// Anything but exactly `mm`, `cm` or `m`.
    fn from_str(symbol: &str) -> Result<Self, UnknownUnit> {
        match symbol {
            "mm" => Ok(Self::Millimetres),
            "cm" => Ok(Self::Centimetres),
            "m" => Ok(Self::Metres),
            _ => Err(UnknownUnit(printable(symbol))),
        }
    }
}

/// What the bridge asks of the controller with one line. Every order is answered by one reply, in order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    /// Go there.
    Command(Command),
    /// Stand still where you are, and keep the gripper as it is. For controllers that know it; to others it is a line
    /// with an unknown type.
    Stop,
    /// Nothing: the bridge is there, and wants to know whether the controller is. For controllers that know it, too.
    Heartbeat,
}

/// A line that is sent: an order, and what may be told with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// What is asked.
    pub order: Order,
    /// Counts the lines of this bridge, from 1.
    pub seq: u64,
    /// When it is sent, since 1970 by the clock of this machine.
    pub stamp: Duration,
}

impl From<Order> for Line {
    /// A line of which nobody has to know its number or its time.
    fn from(order: Order) -> Self {
        Self { order, seq: 0, stamp: Duration::ZERO }
    }
}

/// What a controller says with one line.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// The answer to an order.
    Reply(Reply),
    /// How the arm is, unasked (`accept_state`).
    State(ReportedState),
}

/// The controller's verdict on an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyStatus {
    /// Taken.
    Ok,
    /// Refused.
    Error,
}

impl ReplyStatus {
    /// The word used on the wire: `ok` or `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// The controller's line for one [`Order`]; replies come in the order of the orders.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Taken or refused.
    pub status: ReplyStatus,
    /// The controller's words, [`printable`]; empty when it gave none.
    pub message: String,
    /// The number of the line that it answers, when it echoes that.
    pub seq: Option<u64>,
    /// What the controller reports beyond ok or error, when it reports anything.
    pub state: Option<ReportedState>,
}

/// What a talkative controller adds to its replies. Every part is optional; `null` counts as absent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ReportedState {
    /// Where the tool centre point is, in the arm's base frame. On the wire `"position"`, in the wire's unit, as
    /// `{"x":…,"y":…,"z":…}` or `[x,y,z]`.
    pub position: Option<Position>,
    /// What the gripper is. On the wire `"gripper"`, `"open"` or `"closed"`.
    pub gripper: Option<Gripper>,
    /// Whether the arm is in motion. On the wire `"moving"`.
    pub moving: Option<bool>,
    /// The controller's fault, [`printable`]. On the wire `"fault"`.
    pub fault: Option<String>,
    /// The positions of the arm's joints, in radians, base first. On the wire `"joints"`, an array.
    pub joints: Option<Vec<f64>>,
    /// The whole line as it came, [`printable`].
    pub raw: String,
}

/// Makes text that came from the wire safe for terminals, logs and ROS strings: it is [`inert`], and what is longer than
/// [`PRINTABLE_CHARS`] is cut, ending in `…`. Applying it twice changes nothing.
pub fn printable(text: &str) -> String {
    if text.len() <= PRINTABLE_CHARS {
        return inert(text);
    }
    match text.char_indices().nth(PRINTABLE_CHARS - 1) {
        Some((cut, last)) if cut + last.len_utf8() < text.len() => inert(&text[..cut]) + "…",
        _ => inert(text),
    }
}

/// Text of any length in which nothing acts instead of showing: controls with NUL and ESC, C1, line separators, and
/// invisible and direction-changing characters become U+FFFD.
pub fn inert(text: &str) -> String {
    // As nearly all text is; the way below costs ten times as much.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.to_owned();
    }
    text.chars().map(|c| if acts(c) { '\u{fffd}' } else { c }).collect()
}

/// Bytes as they came, [`printable`]: NUL, tabs and what ends a line are visible.
pub fn shown(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| match c {
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            '\0' => "\\0".to_owned(),
            c => c.to_string(),
        })
        .collect();
    printable(&text)
}

/// The most characters [`printable`] leaves.
pub const PRINTABLE_CHARS: usize = 200;

/// Whether a character does something to a terminal or a reader instead of being seen.
pub(super) fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}'     // zero-width characters and direction marks
            | '\u{2028}'..='\u{202e}'     // line and paragraph separators, embeddings and overrides
            | '\u{2060}'..='\u{206f}'     // invisible operators and isolates
            | '\u{fff9}'..='\u{fffb}'     // interlinear annotation
            | '\u{e0000}'..='\u{e007f}'   // tags
        )
}

#[cfg(test)]
mod tests {
    use super::{PRINTABLE_CHARS, WireUnit, printable, shown};

    #[test]
    fn a_unit_reads_back_from_its_symbol_and_others_are_refused_by_name() {
        for unit in [WireUnit::Millimetres, WireUnit::Centimetres, WireUnit::Metres] {
            assert_eq!(unit.as_str().parse(), Ok(unit));
        }
        assert_eq!(
            "MM".parse::<WireUnit>().unwrap_err().to_string(),
            r#""MM" is no unit of the wire; it is one of mm, cm, m"#
        );
    }

    #[test]
    fn what_acts_on_a_terminal_or_a_reader_is_made_visible() {
        assert_eq!(printable("a\0b\x1b[31m\u{9b}2J\r\n\t\x7f"), "a�b�[31m�2J����");
        assert_eq!(printable("x\u{202e}y\u{2066}z\u{2028}\u{feff}\u{200b}"), "x�y�z���");
        assert_eq!(printable("Kommando empfangen: 好 ✓"), "Kommando empfangen: 好 ✓");
        assert_eq!(printable("\0a\x1b[31m\r\n\t\x1f"), "�a�[31m����");
        assert_eq!(printable("del\x7f"), "del�");
        assert_eq!(printable("Command received ~"), "Command received ~");
    }

    #[test]
    fn shown_bytes_have_visible_ends_and_do_not_act() {
        assert_eq!(shown(b"{\"a\":1}\t\0\r\n\x1b[2J\xff"), "{\"a\":1}\\t\\0\\r\\n\u{fffd}[2J\u{fffd}");
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let fits = "é".repeat(PRINTABLE_CHARS);
        assert_eq!(printable(&fits), fits);
        let cut = printable(&"é".repeat(PRINTABLE_CHARS + 1));
        assert_eq!(cut.chars().count(), PRINTABLE_CHARS);
        assert!(cut.ends_with("é…"));
        assert!(printable(&"x".repeat(PRINTABLE_CHARS + 1)).ends_with("x…"));
    }
}
