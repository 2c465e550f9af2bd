//! The messages between bridge and controller.

use std::{fmt, str::FromStr, time::Duration};

use crate::arm::{Command, ReportedState};
use crate::text::sanitize_short;

/// The unit of length on the wire. Inside the bridge all lengths are in metres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PositionUnit {
    /// `mm`, the usual unit of arm controllers.
    #[default]
    Millimetres,
    /// `cm`.
    Centimetres,
    /// `m`.
    Metres,
}

impl PositionUnit {
    /// Returns how many of this unit are one metre.
    pub fn per_metre(self) -> f64 {
        1e6 / self.micrometres() as f64
    }

    /// Returns how many micrometres are one of this unit.
    pub(super) fn micrometres(self) -> u64 {
        match self {
            Self::Millimetres => 1_000,
            Self::Centimetres => 10_000,
            Self::Metres => 1_000_000,
        }
    }

    /// Returns the symbol: `mm`, `cm` or `m`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Millimetres => "mm",
            Self::Centimetres => "cm",
            Self::Metres => "m",
        }
    }
}

impl fmt::Display for PositionUnit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The text is not the symbol of a unit of length. Has the text (sanitized).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a unit of length on the wire; set mm, cm or m")]
pub struct UnknownUnit(pub String);

impl FromStr for PositionUnit {
    type Err = UnknownUnit;

    /// Parses the symbol of a unit.
    ///
    /// # Errors
    /// The text is not exactly `mm`, `cm` or `m`.
    fn from_str(symbol: &str) -> Result<Self, UnknownUnit> {
        let known = [Self::Millimetres, Self::Centimetres, Self::Metres];
        let found = known.into_iter().find(|unit| unit.as_str() == symbol);
        found.ok_or_else(|| UnknownUnit(sanitize_short(symbol)))
    }
}

/// A request to the controller, sent as one line. The controller sends one reply to each order, in
/// the sequence of the orders.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    /// Move to a position.
    Command(Command),
    /// Stop at the present position and keep the gripper as it is. A controller that does not know
    /// this order sees a line with an unknown type.
    Stop,
    /// Do nothing. The line shows that the bridge is alive, and the reply shows that the controller
    /// is alive. A controller that does not know this order sees a line with an unknown type.
    Heartbeat,
}

/// A line to the controller: an order with its number and time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// The order.
    pub order: Order,
    /// The number of the line. The bridge counts its lines from 1.
    pub seq: u64,
    /// The send time since 1970, by the clock of this machine.
    pub stamp: Duration,
}

impl From<Order> for Line {
    /// Creates a line with number 0 and time 0.
    fn from(order: Order) -> Self {
        Self { order, seq: 0, stamp: Duration::ZERO }
    }
}

/// The content of one line from a controller.
#[derive(Debug, Clone, PartialEq)]
pub enum Incoming {
    /// The reply to an order.
    Reply(Reply),
    /// Unsolicited state of the arm (`wire.accept_state`).
    State(ReportedState),
}

/// Whether the controller accepts an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyStatus {
    /// The controller accepts the order.
    Ok,
    /// The controller rejects the order.
    Error,
}

impl ReplyStatus {
    /// Returns the word on the wire: `ok` or `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
        }
    }
}

/// The controller's reply to one [`Order`]. Replies arrive in the sequence of the orders.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// Whether the controller accepts the order.
    pub status: ReplyStatus,
    /// The controller's text, shortened by [`sanitize_short`]. It is empty if the reply has no
    /// text.
    pub message: String,
    /// The number of the line, if the reply echoes it.
    pub seq: Option<u64>,
    /// The state of the arm, if the reply reports any.
    pub state: Option<ReportedState>,
}

#[cfg(test)]
mod tests {
    use super::PositionUnit;

    #[test]
    fn only_the_symbols_of_units_are_accepted() {
        for unit in [PositionUnit::Millimetres, PositionUnit::Centimetres, PositionUnit::Metres] {
            assert_eq!(unit.as_str().parse(), Ok(unit));
        }
        assert_eq!(
            "MM".parse::<PositionUnit>().unwrap_err().to_string(),
            r#""MM" is not a unit of length on the wire; set mm, cm or m"#
        );
    }
}
