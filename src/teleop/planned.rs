//! A command on its way: what is sent, and why it is not the target itself.

use std::time::Duration;

use super::command::Command;
use super::limiter::Step;

/// A command that may be sent now, and what altered it on its way from the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Planned {
    /// The command.
    pub command: Command,
    /// The target lay outside the workspace and was taken to its edge.
    pub clamped: bool,
    /// The speed limit kept the command from the target.
    pub speed_limited: bool,
    /// The command is part of an approach.
    pub approach: bool,
    /// How old the target was when the command was planned.
    pub input_age: Duration,
    pub(super) step: Step,
}

impl Planned {
    /// The names of what altered the command, for `ArmCommand.altered_by`.
    pub fn altered_by(&self) -> impl Iterator<Item = &'static str> {
        [(self.clamped, "clamped"), (self.speed_limited, "speed_limited"), (self.approach, "approach")]
            .into_iter()
            .filter_map(|(altered, name)| altered.then_some(name))
    }
}
