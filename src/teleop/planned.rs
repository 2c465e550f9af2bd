//! A command on its way: what is sent, and why it is not the target itself.

use std::time::Duration;

use super::limiter::{Limit, Step};
use crate::arm::Command;

/// A command that may be sent now, and what altered it on its way from the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Planned {
    /// The command.
    pub command: Command,
    /// The target lay outside the workspace and was taken to its edge.
    pub clamped: bool,
    /// The filter moved the target.
    pub filtered: bool,
    /// What kept the command from getting to the target at once.
    pub limited: Option<Limit>,
    /// The tool is still on its way to how the hand is turned.
    pub turning: bool,
    /// What the command is part of.
    pub kind: Kind,
    /// How old the target was when the command was planned.
    pub input_age: Duration,
    /// The step of the walk; none when the command is a repetition.
    pub(super) step: Option<Step>,
}

/// What a command is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The slow ramp to a live target.
    Approach,
    /// Following the target.
    Tracking,
    /// A hold: the last command once more (`hold_line` repeat).
    Repetition,
}

impl Planned {
    pub(super) fn repetition(command: Command, input_age: Duration) -> Self {
        let kind = Kind::Repetition;
        let (clamped, filtered, turning) = (false, false, false);
        Self { command, clamped, filtered, limited: None, turning, kind, input_age, step: None }
    }

    /// The names of what altered the command, for `ArmCommand.altered_by`.
    pub fn altered_by(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.filtered, "filtered"),
            (self.clamped, "clamped"),
            (self.limited == Some(Limit::Speed), "speed_limited"),
            (self.limited == Some(Limit::Acceleration), "acceleration_limited"),
            (self.turning, "turn_limited"),
            (self.kind == Kind::Approach, "approach"),
            (self.kind == Kind::Repetition, "repeated"),
        ]
        .into_iter()
        .filter_map(|(altered, name)| altered.then_some(name))
    }
}
