//! The status of link and motion together, and the reason why the arm moves or does not move.

use std::time::Instant;

use crate::link::{Link, LinkError, LinkState, Stage};
use crate::status::Status;
use crate::teleop::{Motion, Obstacle, Reason, ReasonKind, Teleop};

/// The status data that neither state machine has.
#[derive(Debug)]
pub struct Report {
    /// The name of the controller in texts.
    peer: String,
    /// The controller's message in its newest rejection of a command.
    refusal: String,
    /// How many controllers have connected and are not ready for lines yet.
    arriving: usize,
    notes: InputNotes,
}

/// The reasons why no input arrives, from the ROS graph. Empty if the graph shows no cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InputNotes {
    /// Why no targets arrive.
    pub targets: String,
    /// The nodes that publish targets but have not sent any yet, as text.
    pub quiet: String,
    /// Why no gripper messages arrive.
    pub gripper: String,
}

/// The fields of the status that trigger a publication when they change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusKey {
    /// The state of the link.
    pub link: LinkState,
    /// The motion state.
    pub motion: Motion,
    /// The kind of the reason.
    pub reason: ReasonKind,
    /// The stage of the present attempt to connect, if there is one.
    pub stage: Option<Stage>,
    /// How many controllers have connected and are not ready for lines yet.
    pub arriving: usize,
}

impl Report {
    pub(super) fn new(peer: String) -> Self {
        Self { peer, refusal: String::new(), arriving: 0, notes: InputNotes::default() }
    }

    /// Records how many controllers have connected and are not ready for lines yet.
    pub fn handle_arriving(&mut self, arriving: usize) {
        self.arriving = arriving;
    }

    /// Stores the reasons why no input arrives, from the ROS graph.
    pub(super) fn handle_input_notes(&mut self, notes: InputNotes) {
        self.notes = notes;
    }

    /// Records the controller's message in its rejection of a command.
    pub(super) fn handle_rejected(&mut self, message: &str) {
        message.clone_into(&mut self.refusal);
    }

    pub(super) fn status_key(&self, now: Instant, teleop: &Teleop, link: &Link) -> StatusKey {
        StatusKey {
            link: link.state(),
            motion: teleop.motion(),
            reason: teleop.reason(now).kind(),
            stage: link.stage(),
            arriving: self.arriving,
        }
    }

    /// Returns the whole status.
    pub(super) fn status(&self, now: Instant, teleop: &Teleop, link: &Link) -> Status {
        let (reason, newest) = (teleop.reason(now), link.last_error_at());
        let (sent, altered) = (link.counters(), teleop.counters());
        Status {
            state: link.state(),
            peer: self.peer(link),
            since: link.since(),
            attempts: link.attempts(),
            last_error: link.standing_error(now).map(LinkError::advised).unwrap_or_default(),
            newest_error: newest.map(|(at, error)| (error.advised(), now.saturating_duration_since(at))),
            motion: teleop.motion(),
            reason: self.explain(now, link, &reason),
            reason_kind: reason.kind(),
            sent: sent.sent,
            acknowledged: sent.acknowledged,
            rejected: sent.rejected,
            lost: sent.lost,
            coalesced: altered.coalesced,
            limited: altered.limited,
            dropped_input: altered.dropped_input,
            round_trips: link.round_trips(),
            input_age: teleop.input_age(now),
            input_fault: teleop
                .input_obstacle(now)
                .map(|fault| self.explain_input(&fault, fault.to_string()))
                .unwrap_or_default(),
            gripper_note: self.notes.gripper.clone(),
        }
    }

    /// Returns the address of the controller. If controllers connect to the bridge, returns the
    /// address of the bridge's port and the addresses of the controllers.
    fn peer(&self, link: &Link) -> String {
        let names: Vec<_> = link.peers().map(|peer| peer.name.as_str()).collect();
        match link.clients() {
            Some(_) if !names.is_empty() => format!("{} from {}", self.peer, names.join(", ")),
            _ => self.peer.clone(),
        }
    }

    /// Returns the reason with all known details.
    fn explain(&self, now: Instant, link: &Link, reason: &Reason) -> String {
        let obstacle = match reason {
            Reason::Holding(obstacle) | Reason::WaitingToArm(obstacle) => obstacle,
            Reason::StopTrouble(trouble, reason) => {
                return trouble.insert_into(&self.explain(now, link, reason));
            }
            _ => return reason.to_string(),
        };
        match obstacle {
            Obstacle::LinkDown => format!("{reason}{}", self.explain_link_down(now, link)),
            Obstacle::Unresponsive => match link.instead() {
                Some(instead) => format!("{reason}: {instead}"),
                None => {
                    let timeout = link.config().reply_timeout.as_secs_f64();
                    format!("{reason}: no reply for link.reply_timeout {timeout} s")
                }
            },
            Obstacle::ErrorReplies(_) if !self.refusal.is_empty() => {
                format!("{reason}, last reply: '{}'", self.refusal)
            }
            _ => self.explain_input(obstacle, reason.to_string()),
        }
    }

    /// Adds the explanation from the ROS graph to the text of an obstacle.
    fn explain_input(&self, obstacle: &Obstacle, words: String) -> String {
        match (obstacle, self.notes.targets.as_str()) {
            (Obstacle::NoInput, "") if !self.notes.quiet.is_empty() => {
                format!("{words}: {}", self.notes.quiet)
            }
            (_, "") => words,
            (Obstacle::NoInput, note) => format!("{words}: {note}"),
            (Obstacle::Stale { .. }, note) => format!("{words}; {note}"),
            _ => words,
        }
    }

    fn explain_link_down(&self, now: Instant, link: &Link) -> String {
        let error = link.last_error().map(LinkError::advised);
        if let (LinkState::Listening, Some((clients, wanted))) = (link.state(), link.clients()) {
            let arriving = match self.arriving {
                0 => String::new(),
                count => format!(", {count} more connecting"),
            };
            let last = error.map(|error| format!("; last error: {error}")).unwrap_or_default();
            return format!(": {clients} of {wanted} connected to {}{arriving}{last}", self.peer);
        }
        match (link.retry_in(now), self.explain_stage(link), error) {
            (_, None, None) => String::new(),
            (_, Some(stage), None) => format!(": {stage}"),
            (Some(wait), _, Some(error)) => {
                format!(": {error}; next attempt in {:.1} s", wait.as_secs_f64())
            }
            (None, Some(stage), Some(error)) if link.stage() != Some(Stage::Opening) => {
                format!(": {stage}; last error: {error}")
            }
            (None, _, Some(error)) => format!(": {error}; trying again"),
        }
    }

    /// Returns what an attempt to connect is waiting for.
    fn explain_stage(&self, link: &Link) -> Option<String> {
        let peer = &self.peer;
        Some(match link.stage()? {
            Stage::Opening if link.clients().is_some() => format!("opening the port {peer}"),
            Stage::Opening => format!("connecting to {peer}"),
            Stage::Banner { received, wanted } => {
                let lines = if wanted == 1 { "line" } else { "lines" };
                format!(
                    "waiting for {wanted} banner {lines} of {peer} (link.banner_lines), {received} so far"
                )
            }
            Stage::Auth => format!("waiting for the reply of {peer} to the hello (link.auth.token_file)"),
        })
    }
}
