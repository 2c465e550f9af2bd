//! A planned command: what is sent, and why it is not the target itself.

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
    /// The tool is still on its way to the orientation of the hand.
    pub turning: bool,
    /// What the command is part of.
    pub kind: CommandKind,
    /// How old the target was when the command was planned.
    pub input_age: Duration,
    /// The step of the ramp. `None` if the command is a repetition.
    step: Option<Step>,
}

/// What a command is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandKind {
    /// The slow ramp to a live target.
    Approach,
    /// Following the target.
    Tracking,
    /// A hold: the last command once more (`teleop.hold_behavior` repeat).
    Repetition,
}

impl Planned {
    /// Plans a command that a step of the ramp alters, and nothing else.
    pub(in crate::teleop) fn new(kind: CommandKind, command: Command, step: Option<Step>) -> Self {
        let (limited, input_age) = (step.and_then(|step| step.limit), Duration::ZERO);
        Self { command, clamped: false, filtered: false, limited, turning: false, kind, input_age, step }
    }

    /// Returns the step of the ramp that the command takes.
    pub(super) fn step(&self) -> Option<&Step> {
        self.step.as_ref()
    }

    /// Returns the names of what altered the command, for `ArmCommand.altered_by`.
    pub fn altered_by(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.filtered, "filtered"),
            (self.clamped, "clamped"),
            (self.limited == Some(Limit::Speed), "speed_limited"),
            (self.limited == Some(Limit::Acceleration), "acceleration_limited"),
            (self.turning, "turn_limited"),
            (self.kind == CommandKind::Approach, "approach"),
            (self.kind == CommandKind::Repetition, "repeated"),
        ]
        .into_iter()
        .filter_map(|(altered, name)| altered.then_some(name))
    }
}
