//! What is said on the wire, and how to show it safely.

use std::{fmt, str::FromStr, time::Duration};

use crate::arm::{Command, ReportedState};
use crate::text::sanitize_short;

/// The unit of length in which the controller counts. Inside the bridge everything is in metres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PositionUnit {
    /// `mm`, what arm controllers usually speak.
    #[default]
    Millimetres,
    /// `cm`.
    Centimetres,
    /// `m`.
    Metres,
}

impl PositionUnit {
    /// How many of this unit make a metre.
    pub fn per_metre(self) -> f64 {
        1e6 / self.micrometres() as f64
    }

    /// How many micrometres make one of this unit.
    pub(super) fn micrometres(self) -> u64 {
        match self {
            Self::Millimetres => 1_000,
            Self::Centimetres => 10_000,
            Self::Metres => 1_000_000,
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

impl fmt::Display for PositionUnit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A word that names no unit of the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no unit of the wire; it is one of mm, cm, m")]
pub struct UnknownUnit(pub String);

impl FromStr for PositionUnit {
    type Err = UnknownUnit;

    /// # Errors
    /// Anything but exactly `mm`, `cm` or `m`.
    fn from_str(symbol: &str) -> Result<Self, UnknownUnit> {
        let known = [Self::Millimetres, Self::Centimetres, Self::Metres];
        let found = known.into_iter().find(|unit| unit.as_str() == symbol);
        found.ok_or_else(|| UnknownUnit(sanitize_short(symbol)))
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
pub enum Incoming {
    /// The answer to an order.
    Reply(Reply),
    /// How the arm is, unasked (`wire.accept_state`).
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
    /// The controller's words, [`sanitize_short`]; empty when it gave none.
    pub message: String,
    /// The number of the line that it answers, when it echoes that.
    pub seq: Option<u64>,
    /// What the controller reports beyond ok or error, when it reports anything.
    pub state: Option<ReportedState>,
}

#[cfg(test)]
mod tests {
    use super::PositionUnit;

    #[test]
    fn a_unit_reads_back_from_its_symbol_and_others_are_refused_by_name() {
        for unit in [PositionUnit::Millimetres, PositionUnit::Centimetres, PositionUnit::Metres] {
            assert_eq!(unit.as_str().parse(), Ok(unit));
        }
        assert_eq!(
            "MM".parse::<PositionUnit>().unwrap_err().to_string(),
            r#""MM" is no unit of the wire; it is one of mm, cm, m"#
        );
    }
}
