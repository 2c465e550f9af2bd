//! What is wrong with a line, and how it is printed.

use std::fmt;

use aether_bridge::text::sanitize_short;

/// What a controller may rely on, and could not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A line is an order, byte for byte as the protocol has it, and whole.
    Form,
    /// Stops, heartbeats and members come where a parameter asks for them.
    Asked,
    /// `seq` grows with every line, over connections too.
    Numbering,
    /// No more than `link.max_in_flight` lines are unanswered, but for a stop.
    Pace,
    /// Every command is inside the workspace, and so is the straight way from one to the next.
    Workspace,
    /// No two commands of a connection are farther apart than `limits.speed` allows for the time between them, and no step is
    /// longer than `limits.step`.
    Speed,
    /// Motion begins near where the arm stands, at `limits.approach_speed`.
    Approach,
    /// Nothing of a dead connection is sent on the next.
    Replay,
    /// The gripper changes only by a wish that has stood for its debounce.
    Gripper,
    /// One line leads the arm no farther than one step from where it is, or is going.
    Leap,
    /// A line that says nothing new does not move an arm that others have moved.
    Repeat,
    /// The arm stands still after a stop that the controller has taken.
    Stop,
    /// The arm moves for no longer than the last line of a bridge that is there needs.
    Alone,
}

/// A line that breaks a rule. Shown as one line of JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// Which client sent it, counted from 0.
    pub connection: usize,
    /// By how much, in words.
    pub why: String,
    /// The line.
    pub line: String,
    /// The line before that it does not go with, if it is that.
    pub before: Option<String>,
}

/// What is wrong with a line, whatever the line is.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) rule: Rule,
    pub(super) why: String,
    pub(super) before: Option<String>,
}

impl Fault {
    pub(super) fn new(rule: Rule, why: String) -> Self {
        Self { rule, why, before: None }
    }

    /// The violation that a line with this fault is.
    pub(super) fn on(self, connection: usize, line: &str) -> Violation {
        let Self { rule, why, before } = self;
        Violation { rule, connection, why, line: sanitize_short(line), before }
    }
}

impl Rule {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Asked => "asked",
            Self::Numbering => "numbering",
            Self::Pace => "pace",
            Self::Workspace => "workspace",
            Self::Speed => "speed",
            Self::Approach => "approach",
            Self::Replay => "replay",
            Self::Gripper => "gripper",
            Self::Leap => "leap",
            Self::Repeat => "repeat",
            Self::Stop => "stop",
            Self::Alone => "alone",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, connection, why, line, before } = self;
        let told = serde_json::json!({
            "violation": rule.as_str(), "connection": connection, "why": why, "line": line, "before": before,
        });
        write!(formatter, "{told}")
    }
}
