//! The status that the bridge publishes, independent of ROS: the content of its topics, and the
//! trait of its publisher.

use std::time::{Duration, Instant};

use crate::arm::ReportedState;
use crate::config::Config;
use crate::link::{LinkState, RoundTrips};
use crate::teleop::{Motion, Planned, ReasonKind};

/// The state of link and motion at one time. Published as `LinkStatus`.
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
    /// Why the last connection or attempt ended. Empty if no connection or attempt has ended yet,
    /// or if the link has been connected for `link.timeout`.
    pub last_error: String,
    /// The last error and its age. It stays after the link has been connected again.
    pub newest_error: Option<(String, Duration)>,
    /// The current motion state.
    pub motion: Motion,
    /// Why the arm moves or does not move, in one line.
    pub reason: String,
    /// The kind of reason.
    pub reason_kind: ReasonKind,
    /// Commands passed to a connection.
    pub sent: u64,
    /// Commands that the controller accepted.
    pub acknowledged: u64,
    /// Commands that the controller replied to with an error.
    pub rejected: u64,
    /// Datagrams that got no reply although a later datagram got one.
    pub lost: u64,
    /// Targets that a newer target replaced before a command was sent for them.
    pub coalesced: u64,
    /// Commands that a limit changed.
    pub limited: u64,
    /// Samples that were rejected.
    pub dropped_input: u64,
    /// The times from command to reply.
    pub round_trips: RoundTrips,
    /// The age of the newest good target. `None` before the first target, or after a rejected
    /// target.
    pub input_age: Option<Duration>,
    /// Why no target may currently move the arm. Considers only the input. Empty if a target may
    /// move the arm.
    pub input_fault: String,
    /// Why gripper messages may be missing, according to the graph. Empty if the graph shows no
    /// problem.
    pub gripper_note: String,
}

/// A command as sent. Published as `ArmCommand`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SentCommand {
    /// The number of the command since the start, from 1.
    pub seq: u64,
    /// The command, and what changed it.
    pub planned: Planned,
}

/// Publishes the state of the bridge.
///
/// The thread that handled an event calls the methods, one at a time and in the order of the
/// events. It does not hold the lock of the bridge during these calls.
pub trait Observer: Send {
    /// Handles a command that has been passed to the connection.
    fn handle_command(&mut self, _: &SentCommand) {}
    /// Handles a status that has changed. Also called every half second.
    fn handle_status(&mut self, _: &Status) {}
    /// Handles a state that the controller has reported.
    fn handle_arm_state(&mut self, _: &ReportedState) {}
    /// Handles the diagnostics. Called once a second.
    fn handle_diagnostics(&mut self, _: &Status) {}
    /// Handles changed parameters. They apply to everything that is published from now on.
    fn handle_config(&mut self, _: &Config) {}
}
