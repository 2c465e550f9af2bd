//! The stop line of `teleop.hold_behavior: stop`. Knows whether a stop line is due and what
//! happened to the last one.
//!
//! Invariants:
//! - A stop line is due until it has been passed to the connection, or until the connection has
//!   ended.
//! - If the controller has not received the stop line or rejects it, the trouble is reported until
//!   the controller accepts a stop line, or until motion begins again.

/// The state of the stop line.
#[derive(Debug, Default)]
pub(super) struct StopLine {
    /// A stop line is to be sent before any other line.
    due: bool,
    /// A stop line has been sent, but the controller has not replied yet.
    unanswered: bool,
    /// The current motion has sent a command.
    follows_commands: bool,
    trouble: Option<StopTrouble>,
}

/// Why the arm may still move although a stop line was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StopTrouble {
    /// The controller replied to the stop line with an error.
    #[error("the controller rejected the stop line")]
    Refused,
    /// The connection cannot send the stop line, because the controller does not read.
    #[error("the stop line is not yet sent, because the controller does not read")]
    Unsent,
    /// There was no connection for the stop line.
    #[error("there was no connection to send the stop line on")]
    NoConnection,
    /// The stop line or its reply was lost, the connection ended before the reply, or the reply is
    /// late.
    #[error("the controller has not replied to the stop line")]
    Unanswered,
}

impl StopLine {
    /// Makes a stop line due.
    pub(super) fn request(&mut self) {
        (self.due, self.trouble) = (true, None);
    }

    /// Cancels a stop line that has not been sent.
    pub(super) fn cancel(&mut self) {
        self.due = false;
    }

    /// Returns whether a stop line is to be sent before any other line.
    pub(super) fn is_due(&self) -> bool {
        self.due
    }

    /// Returns whether the current motion has sent a command. Without a command the arm has not
    /// moved, so no stop is needed.
    pub(super) fn follows_commands(&self) -> bool {
        self.follows_commands
    }

    /// Records that motion has sent a command.
    pub(super) fn handle_command(&mut self) {
        self.follows_commands = true;
    }

    /// Returns why the arm may still move.
    pub(super) fn trouble(&self) -> Option<StopTrouble> {
        self.trouble
    }

    /// Records that the stop line has been passed to the connection.
    pub(super) fn handle_sent(&mut self) {
        (self.due, self.unanswered) = (false, true);
        self.trouble = self.trouble.filter(|trouble| *trouble != StopTrouble::Unsent);
    }

    /// Records that the controller has accepted the stop line.
    pub(super) fn handle_accepted(&mut self) {
        (self.unanswered, self.trouble) = (false, None);
    }

    /// Records that the controller has rejected the stop line.
    pub(super) fn handle_refused(&mut self) {
        (self.unanswered, self.trouble) = (false, Some(StopTrouble::Refused));
    }

    /// Records that the stop line or its reply was lost, or that the reply is late.
    pub(super) fn handle_unanswered(&mut self) {
        if std::mem::take(&mut self.unanswered) {
            self.trouble = Some(StopTrouble::Unanswered);
        }
    }

    /// Records that the connection cannot send the stop line.
    pub(super) fn handle_unsent(&mut self) {
        if self.due {
            self.trouble = Some(StopTrouble::Unsent);
        }
    }

    /// Records that an operator requested a stop while there was no connection.
    pub(super) fn handle_no_connection(&mut self) {
        self.trouble = Some(StopTrouble::NoConnection);
    }

    /// Records that the connection has ended. A due stop line is no longer due.
    pub(super) fn handle_link_down(&mut self) {
        self.handle_unanswered();
        if std::mem::take(&mut self.due) {
            self.trouble = Some(StopTrouble::NoConnection);
        }
    }

    /// Records that a motion begins. The result of the last stop line no longer matters.
    pub(super) fn handle_motion(&mut self) {
        (self.trouble, self.follows_commands) = (None, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_lasts_until_next_stop_is_accepted() {
        let mut line = StopLine::default();
        line.request();
        line.handle_sent();
        line.handle_refused();
        assert_eq!(line.trouble(), Some(StopTrouble::Refused));
        line.request();
        line.handle_unsent();
        assert_eq!((line.is_due(), line.trouble()), (true, Some(StopTrouble::Unsent)));
        line.handle_sent();
        assert_eq!((line.is_due(), line.trouble()), (false, None));
        line.handle_unanswered();
        assert_eq!(line.trouble(), Some(StopTrouble::Unanswered));
        line.handle_accepted();
        assert_eq!(line.trouble(), None);
    }

    #[test]
    fn end_of_connection_cancels_due_stop_line() {
        let mut line = StopLine::default();
        line.handle_link_down();
        assert_eq!(line.trouble(), None, "nothing was due");
        line.request();
        line.handle_link_down();
        assert_eq!((line.is_due(), line.trouble()), (false, Some(StopTrouble::NoConnection)));
        line.request();
        line.handle_sent();
        line.handle_link_down();
        assert_eq!(line.trouble(), Some(StopTrouble::Unanswered));
        line.handle_motion();
        assert_eq!(line.trouble(), None);
    }
}
