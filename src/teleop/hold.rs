//! What the controller gets to hear while motion is held.

use std::time::Instant;

/// What is sent when motion is held, by whatever: an input or a link that fails, a disarm, a stop request, the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldLine {
    /// Nothing: silence is a hold, for a controller that goes to the last command and stays there.
    Nothing,
    /// The last command of the connection, again and again, for a controller that takes silence for a failure: while
    /// held or stopped, from one that it has accepted until it refuses one. Not while disarmed, nor after that: then
    /// people may move the arm by other means.
    Repeat,
    /// One line that says stop, for a controller that knows it.
    Stop,
}

/// A run of commands that the controller refused.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ErrorRun {
    pub(super) count: u32,
    /// After a run that reached the limit: when the next attempt may be made.
    pub(super) pause_until: Option<Instant>,
}

impl ErrorRun {
    pub(super) fn is_pausing(&self, now: Instant) -> bool {
        self.pause_until.is_some_and(|until| now < until)
    }
}
