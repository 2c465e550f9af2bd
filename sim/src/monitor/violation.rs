//! The rules, the violations, and their text.

use std::fmt;

use aether_bridge::text::sanitize_short;

/// A rule that a controller may rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// A line is a complete order, byte for byte as in the protocol.
    Form,
    /// Stops, heartbeats and members come only if a parameter enables them.
    Asked,
    /// `seq` grows with every line, also over connections.
    Numbering,
    /// At most `link.max_in_flight` lines have no reply, except that a stop may be sent at any
    /// time.
    Pace,
    /// Every command is inside the workspace, and so is the straight path from one command to the
    /// next.
    Workspace,
    /// The distance of any two commands of a connection is within `limits.speed` for the time
    /// between them, and no step is longer than `limits.step`.
    Speed,
    /// Motion begins near the present position of the arm, at `limits.approach_speed`.
    Approach,
    /// No command of an ended connection is sent on the next one.
    Replay,
    /// The gripper changes only after the new state was requested for its debounce time.
    Gripper,
    /// One line moves the arm at most one step away from its position or its goal.
    Jump,
    /// A repeated line does not move an arm that a hand or another program has moved.
    Repeat,
    /// The arm stands still after the controller has accepted a stop.
    Stop,
    /// The arm does not move longer than the last line of a connected bridge requires.
    Alone,
}

/// A line that breaks a rule. Displayed as one line of JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// The client that sent it, counted from 0.
    pub connection: usize,
    /// What is wrong, with values.
    pub why: String,
    /// The line.
    pub line: String,
    /// The earlier line that conflicts with it, if there is one.
    pub before: Option<String>,
}

/// A broken rule, without the line.
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

    /// Returns the violation for a line with this fault.
    pub(super) fn on(self, connection: usize, line: &str) -> Violation {
        let Self { rule, why, before } = self;
        Violation { rule, connection, why, line: sanitize_short(line), before }
    }
}

impl Rule {
    /// Returns the name of the rule.
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
            Self::Jump => "leap",
            Self::Repeat => "repeat",
            Self::Stop => "stop",
            Self::Alone => "alone",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, connection, why, line, before } = self;
        let json = serde_json::json!({
            "violation": rule.as_str(), "connection": connection, "why": why, "line": line, "before": before,
        });
        write!(formatter, "{json}")
    }
}
