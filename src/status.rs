//! What the bridge says of itself, free of ROS: the content of its topics, and who publishes it.

use std::time::{Duration, Instant};

use crate::arm::ReportedState;
use crate::config::Config;
use crate::link::{LinkState, RoundTrips};
use crate::teleop::{Motion, Planned, ReasonKind};

/// The state of link and motion at one moment; becomes `LinkStatus`.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The state of the link.
    pub state: LinkState,
    /// `host:port` of the controller.
    pub peer: String,
    /// When `state` last changed.
    pub since: Instant,
    /// Attempts since the link was last connected.
    pub attempts: u32,
    /// Why the last connection or attempt ended; empty if none has, or once the link has been connected for `link.timeout`.
    pub last_error: String,
    /// The same whether it is over or not, and how long ago it was.
    pub newest_error: Option<(String, Duration)>,
    /// What the bridge does with targets.
    pub motion: Motion,
    /// Why the arm does or does not move, in one line.
    pub reason: String,
    /// The kind of reason.
    pub reason_kind: ReasonKind,
    /// Commands handed to a connection.
    pub sent: u64,
    /// Commands answered with ok.
    pub acknowledged: u64,
    /// Commands answered with an error.
    pub rejected: u64,
    /// Lines, sent as datagrams, that were not answered though a later one was.
    pub lost: u64,
    /// Targets replaced by a newer one before a command was sent for them.
    pub coalesced: u64,
    /// Commands that a limit altered.
    pub limited: u64,
    /// Samples refused.
    pub dropped_input: u64,
    /// From command to reply.
    pub round_trips: RoundTrips,
    /// Age of the newest good target; `None` before the first, or after a refused one.
    pub input_age: Option<Duration>,
    /// Why no target may move the arm at present, whatever else stands in the way; empty if one may.
    pub input_fault: String,
    /// What the graph says of why no word for the gripper comes; empty if it says nothing against it.
    pub gripper_note: String,
}

/// A command as sent; becomes `ArmCommand`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SentCommand {
    /// Counts the commands since start, from 1.
    pub seq: u64,
    /// The command and what altered it.
    pub planned: Planned,
}

/// Publishes what the bridge says of itself. Called from the thread that handled the event, one call at a time and in the
/// order of the events, never while the bridge is locked.
pub trait Observer: Send {
    /// A command has been handed to the connection.
    fn handle_command(&mut self, _: &SentCommand) {}
    /// The status has changed, or half a second has passed.
    fn handle_status(&mut self, _: &Status) {}
    /// The controller has said something of its state.
    fn handle_arm_state(&mut self, _: &ReportedState) {}
    /// A second has passed.
    fn handle_diagnostics(&mut self, _: &Status) {}
    /// Parameters have changed; what is published from now on is by these.
    fn handle_config(&mut self, _: &Config) {}
}
