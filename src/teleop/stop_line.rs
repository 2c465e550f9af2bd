//! The stop line of `teleop.hold_behavior` stop: is one due, and has the controller obeyed the last one?
//!
//! Invariants:
//! - A stop line is due until it has been handed to the connection, or until the connection has ended.
//! - If the controller has not been told to stand still, or will not, people are told so until it is, or until motion
//!   begins again.

/// What is known of the stop line.
#[derive(Debug, Default)]
pub(super) struct StopLine {
    /// It is to be sent before anything else.
    due: bool,
    /// It has been sent, and not been answered yet.
    unanswered: bool,
    /// The present motion has sent a command.
    follows_commands: bool,
    trouble: Option<StopTrouble>,
}

/// Why the arm may not stand still, though a stop line was due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StopTrouble {
    /// The controller answered it with an error.
    #[error("the controller refused to stop")]
    Refused,
    /// The connection has not taken it, because the controller does not read.
    #[error("the stop line is not yet sent, because the controller does not read")]
    Unsent,
    /// There was no connection to send it on.
    #[error("there was no connection to send the stop line on")]
    NoConnection,
    /// It was lost, or its answer, or the connection ended before the answer, or the answer is late.
    #[error("the controller has not answered the stop line")]
    Unanswered,
}

impl StopLine {
    /// Asks for a stop line.
    pub(super) fn request(&mut self) {
        (self.due, self.trouble) = (true, None);
    }

    /// Takes back a stop line that has not been sent.
    pub(super) fn cancel(&mut self) {
        self.due = false;
    }

    /// Returns whether it is to be sent before anything else.
    pub(super) fn is_due(&self) -> bool {
        self.due
    }

    /// Returns whether there is a motion to be stopped: the arm stands already where one that has sent nothing was to begin.
    pub(super) fn follows_commands(&self) -> bool {
        self.follows_commands
    }

    /// Records that motion has sent a command.
    pub(super) fn handle_command(&mut self) {
        self.follows_commands = true;
    }

    /// Returns why the arm may not stand still.
    pub(super) fn trouble(&self) -> Option<StopTrouble> {
        self.trouble
    }

    /// Records that it has been handed to the connection.
    pub(super) fn handle_sent(&mut self) {
        (self.due, self.unanswered) = (false, true);
        self.trouble = self.trouble.filter(|trouble| *trouble != StopTrouble::Unsent);
    }

    /// Records that the controller has taken it.
    pub(super) fn handle_accepted(&mut self) {
        (self.unanswered, self.trouble) = (false, None);
    }

    /// Records that the controller has refused it.
    pub(super) fn handle_refused(&mut self) {
        (self.unanswered, self.trouble) = (false, Some(StopTrouble::Refused));
    }

    /// Records that it, or its answer, was lost, or that the answer is late.
    pub(super) fn handle_unanswered(&mut self) {
        if std::mem::take(&mut self.unanswered) {
            self.trouble = Some(StopTrouble::Unanswered);
        }
    }

    /// Records that the connection does not take it.
    pub(super) fn handle_unsent(&mut self) {
        if self.due {
            self.trouble = Some(StopTrouble::Unsent);
        }
    }

    /// Records that a person asked to stop while there was no connection.
    pub(super) fn handle_no_connection(&mut self) {
        self.trouble = Some(StopTrouble::NoConnection);
    }

    /// Records that the connection has ended. A stop line that was due on it is due no more.
    pub(super) fn handle_link_down(&mut self) {
        self.handle_unanswered();
        if std::mem::take(&mut self.due) {
            self.trouble = Some(StopTrouble::NoConnection);
        }
    }

    /// Records that motion begins: what the last stop line came to is of the past.
    pub(super) fn handle_motion(&mut self) {
        (self.trouble, self.follows_commands) = (None, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_lasts_until_the_next_stop_is_accepted() {
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
    fn connection_that_ends_takes_the_stop_line_along() {
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
