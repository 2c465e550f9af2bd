//! The one place that knows both machines. Pure: `now` comes in, and the bytes go out through the caller.

use std::io;
use std::time::{Duration, Instant};

use crate::arm::ReportedState;
use crate::link::{Action, Full, Link, LinkConfig, LinkError, LinkState, Outcome, PeerId, Role, Stage};
use crate::status::{SentCommand, Status};
use crate::teleop::reason::{Obstacle, Reason};
use crate::teleop::{
    GraphNews, GripperInput, InputFault, LinkView, Motion, Planned, Refused, Target, Teleop, TeleopConfig,
};
use crate::wire::{Line, Order, Reply};

/// Teleoperation and link, joined: what the link does is told to the motion, and a command goes out only where both
/// agree.
#[derive(Debug)]
pub struct Joint {
    teleop: Teleop,
    link: Link,
    view: LinkView,
    peer: String,
    /// What the controller said of the last command that it refused.
    refusal: String,
    /// That this controller refuses heartbeats has been told.
    told_of_heartbeats: bool,
    /// How many controllers have dialled in and are not let in yet.
    arriving: usize,
    listens: bool,
    seq: u64,
}

/// A line that may go out now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outgoing {
    /// Stand still (`hold_line` stop).
    Stop,
    /// A command.
    Command(Planned),
    /// The bridge is there (`heartbeat_period`).
    Heartbeat,
}

/// A line that has gone out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sent {
    /// Stand still.
    Stop,
    /// A command, counted.
    Command(SentCommand),
    /// The bridge is there.
    Heartbeat,
}

/// What is compared to tell a change of status from the passing of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Face {
    /// The state of the link.
    pub link: LinkState,
    /// What the bridge does with targets.
    pub motion: Motion,
    /// A word for the reason.
    pub reason: &'static str,
    /// How far the present attempt to connect has come, if there is one.
    pub stage: Option<Stage>,
    /// How many controllers have dialled in and are not let in yet.
    pub arriving: usize,
}

impl Joint {
    /// Both machines at their start; the link wants to connect. `peer` is the controller's name for people, `seed`
    /// picks the jitter of the back-off.
    pub fn new(teleop: TeleopConfig, link: LinkConfig, peer: String, now: Instant, seed: u64) -> Self {
        let listens = matches!(link.role, Role::TcpServer { .. });
        Self {
            teleop: Teleop::new(teleop),
            link: Link::new(link, now, seed),
            view: LinkView::Down,
            peer,
            refusal: String::new(),
            told_of_heartbeats: false,
            arriving: 0,
            listens,
            seq: 0,
        }
    }

    /// A sample of the target, or why a message was none.
    pub fn handle_target(
        &mut self,
        now: Instant,
        target: Result<Target, InputFault>,
    ) -> Result<(), InputFault> {
        match target {
            Ok(target) => self.teleop.handle_target(now, target),
            Err(fault) => {
                self.teleop.handle_invalid_target(now, fault.clone());
                Err(fault)
            }
        }
    }

    /// A sample of the gripper's input.
    pub fn handle_gripper(&mut self, now: Instant, input: GripperInput) {
        self.teleop.handle_gripper(now, input);
    }

    /// What a publisher of the gripper's input kept from before, beside other publishers.
    pub fn handle_kept_gripper(&mut self, now: Instant, input: GripperInput) {
        self.teleop.handle_kept_gripper(now, input);
    }

    /// What the graph says of who publishes input.
    pub fn handle_graph(&mut self, now: Instant, news: GraphNews) {
        self.teleop.handle_graph(now, news);
    }

    /// A person allows or forbids motion. Returns a line for that person.
    ///
    /// # Errors
    /// When motion cannot be allowed now.
    pub fn handle_set_armed(&mut self, now: Instant, armed: bool) -> Result<String, Refused> {
        self.teleop.handle_set_armed(now, armed)
    }

    /// A person wants motion to end.
    pub fn handle_stop(&mut self) {
        self.teleop.handle_stop();
    }

    /// A person releases a stop, and disarms. Returns a line for that person.
    pub fn handle_reset(&mut self) -> String {
        self.teleop.handle_reset()
    }

    /// A person asks for a new connection.
    pub fn handle_reconnect(&mut self, now: Instant) {
        self.link.handle_reconnect(now);
        self.tell_teleop(now);
    }

    /// The connection is there.
    pub fn handle_connected(&mut self, now: Instant) {
        if self.link.is_superseded() {
            return;
        }
        self.link.handle_connected(now);
        self.tell_teleop(now);
    }

    /// The attempt to connect has come so far.
    pub fn handle_stage(&mut self, stage: Stage) {
        if !self.link.is_superseded() {
            self.link.handle_stage(stage);
        }
    }

    /// So many controllers have dialled in and are not let in yet.
    pub fn handle_arriving(&mut self, arriving: usize) {
        self.arriving = arriving;
    }

    /// A controller that has dialled in is not let in, for this reason.
    pub fn handle_refused(&mut self, now: Instant, name: String, error: LinkError) {
        self.link.handle_refused(now, name, error);
    }

    /// What has come from this controller since its last reply, in words. Tell it while [`Joint::is_overdue`].
    pub fn handle_instead(&mut self, peer: PeerId, instead: Option<String>) {
        self.link.handle_instead(peer, instead);
    }

    /// The attempt failed, or the connection ended.
    pub fn handle_failed(&mut self, now: Instant, error: LinkError) {
        if self.link.is_superseded() {
            return;
        }
        self.link.handle_failed(now, error);
        self.tell_teleop(now);
    }

    /// A controller has connected to the port that listens.
    ///
    /// # Errors
    /// When there are as many as there can be, or the port is about to be closed.
    pub fn handle_joined(&mut self, now: Instant, name: String) -> Result<PeerId, Full> {
        if self.link.is_superseded() {
            return Err(Full);
        }
        let joined = self.link.handle_joined(now, name)?;
        // Nobody knows where its arm is: whatever was moving goes on by an approach.
        self.view = LinkView::Partial;
        self.teleop.handle_link(now, LinkView::Partial);
        self.tell_teleop(now);
        Ok(joined)
    }

    /// The connection with this peer ended.
    pub fn handle_ended(&mut self, now: Instant, peer: PeerId, error: LinkError) {
        if self.link.is_superseded() {
            return;
        }
        self.link.handle_ended(now, peer, error);
        self.handle_settled(now);
        self.tell_teleop(now);
    }

    /// The peer takes bytes again.
    pub fn handle_writable(&mut self, now: Instant) {
        self.link.handle_writable(now);
        self.tell_teleop(now);
    }

    /// A reply came. Returns whether something waited for it; otherwise nobody knows what it tells of.
    pub fn handle_reply(&mut self, now: Instant, peer: PeerId, reply: &Reply) -> bool {
        if self.link.is_superseded() {
            return false;
        }
        let outcome = self.link.handle_reply(now, peer, reply);
        let expected = outcome.is_answer();
        self.handle_settled(now);
        if expected {
            self.handle_outcome(now, outcome, Some(reply));
        }
        self.tell_teleop(now);
        expected
    }

    /// The controller tells, unasked, how the arm is. Returns whether that may be believed.
    pub fn handle_state(&mut self, peer: PeerId, state: &ReportedState) -> bool {
        let known = !self.link.is_superseded() && self.link.has_peer(peer);
        if let Some(position) = state.position.filter(|_| known) {
            self.teleop.handle_sighted(position, state.moving);
        }
        if let Some(gripper) = state.gripper.filter(|_| known) {
            self.teleop.handle_reported_gripper(gripper);
        }
        known
    }

    /// What has become of orders without a reply of their own.
    fn handle_settled(&mut self, now: Instant) {
        while let Some(outcome) = self.link.poll_outcome() {
            self.handle_outcome(now, outcome, None);
        }
    }

    fn handle_outcome(&mut self, now: Instant, outcome: Outcome, reply: Option<&Reply>) {
        let state = reply.and_then(|reply| reply.state.as_ref());
        let (position, moving) = state.map_or((None, None), |state| (state.position, state.moving));
        let message = reply.map_or("", |reply| &reply.message);
        if let Some(gripper) = state.and_then(|state| state.gripper) {
            self.teleop.handle_reported_gripper(gripper);
        }
        match (&outcome, position) {
            (
                Outcome::HeartbeatAcknowledged | Outcome::HeartbeatRejected | Outcome::LateStop,
                Some(position),
            ) => self.teleop.handle_sighted(position, moving),
            (_, Some(position)) => self.teleop.handle_reported(position),
            (_, None) => {}
        }
        match outcome {
            Outcome::Acknowledged(command) => self.teleop.handle_acknowledged(now, &command),
            Outcome::Rejected(_) => {
                tracing::debug!(message, "command refused by the controller");
                message.clone_into(&mut self.refusal);
                self.teleop.handle_rejected(now);
            }
            Outcome::StopAcknowledged => self.teleop.handle_stop_answered(position),
            Outcome::StopRejected => {
                tracing::warn!(
                    message,
                    "the controller refused the stop line; does it know it? hold_line 'nothing' sends none"
                );
                self.teleop.handle_stop_answered(None);
            }
            Outcome::HeartbeatRejected if !std::mem::replace(&mut self.told_of_heartbeats, true) => {
                tracing::warn!(
                    message,
                    "the controller refused a heartbeat; does it know the line? heartbeat_period 0.0 sends none"
                )
            }
            Outcome::Lost(Order::Command(_)) => self.teleop.handle_lost(),
            Outcome::Lost(Order::Stop) => self.teleop.handle_stop_lost(),
            Outcome::Lost(Order::Heartbeat)
            | Outcome::HeartbeatAcknowledged
            | Outcome::HeartbeatRejected
            | Outcome::LateStop
            | Outcome::Ignored
            | Outcome::Late
            | Outcome::Unsolicited => {}
        }
    }

    /// Takes new settings of motion. Ask [`Teleop::check_config`] first, by [`Joint::teleop`].
    pub fn handle_config(&mut self, now: Instant, config: TeleopConfig) {
        self.teleop.handle_config(now, config);
    }

    /// Takes new settings of the link, and connects anew by them. With `other_arm` what is known of the arm's position
    /// is of another arm, or in another unit. Only while disarmed.
    pub fn handle_link_config(&mut self, now: Instant, config: LinkConfig, peer: String, other_arm: bool) {
        self.peer = peer;
        self.refusal.clear();
        self.listens = matches!(config.role, Role::TcpServer { .. });
        self.link.handle_config(now, config);
        self.tell_teleop(now);
        if other_arm {
            self.teleop.handle_other_arm();
        }
    }

    /// The bridge ends: no further command. What the controller is to hear of it is due now.
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.teleop.handle_shutdown(now);
    }

    /// The connection is to be closed, for good.
    pub fn handle_end(&mut self, now: Instant) {
        self.link.handle_shutdown(now);
        self.tell_teleop(now);
    }

    /// Lets time pass. Call it no later than [`Joint::poll_timeout`] says.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
        self.handle_settled(now);
        self.teleop.handle_timeout(now);
        self.tell_teleop(now);
    }

    /// When to call [`Joint::handle_timeout`] at the latest. A command that is due and has room counts too: poll it.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let command = self
            .teleop
            .poll_command_at(now)
            .filter(|_| self.link.can_send_command() && !self.link.is_write_blocked());
        [self.link.poll_timeout(), self.teleop.poll_timeout(now), command].into_iter().flatten().min()
    }

    /// The line to hand to the connection now. Tell [`Joint::handle_transmitted`] what became of it.
    #[must_use]
    pub fn poll_transmit(&self, now: Instant) -> Option<Outgoing> {
        if self.teleop.poll_stop_line() {
            return self.link.can_send_stop().then_some(Outgoing::Stop);
        }
        let command = self.teleop.poll_command(now).filter(|_| self.link.can_send_command());
        let heartbeat = || self.link.poll_heartbeat(now).then_some(Outgoing::Heartbeat);
        command.map(Outgoing::Command).or_else(heartbeat)
    }

    /// A line of `length` bytes, polled at `begun`, has been offered to the connections by `now`, each with this result.
    /// Returns what has been sent, if it has been.
    ///
    /// When in between it went nobody knows. The way to the next command is reckoned from `now` and the time for a reply
    /// from `begun`, so that neither is ever too generous.
    pub fn handle_transmitted(
        &mut self,
        begun: Instant,
        now: Instant,
        line: &Outgoing,
        length: usize,
        written: impl IntoIterator<Item = (PeerId, io::Result<usize>)>,
    ) -> Option<Sent> {
        let mut taken = false;
        for (peer, written) in written {
            // Given up, and its socket not closed yet.
            if !self.has_peer(peer) {
                continue;
            }
            let failure = match written {
                Ok(written) if written == length => {
                    taken = true;
                    continue;
                }
                Ok(0) => LinkError::Closed,
                Ok(written) => LinkError::PartialWrite { written, length },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.link.clients().is_none() {
                        self.link.handle_blocked(now);
                        return None;
                    }
                    LinkError::Slow
                }
                Err(error) => LinkError::Broken(error),
            };
            self.link.handle_ended(now, peer, failure);
        }
        // A connection that failed takes its orders with it; those that are left got the line whole.
        let sent = taken.then(|| self.handle_sent(begun, now, line));
        self.handle_settled(now);
        self.tell_teleop(now);
        sent
    }

    fn handle_sent(&mut self, begun: Instant, now: Instant, line: &Outgoing) -> Sent {
        match line {
            Outgoing::Stop => {
                self.teleop.handle_stop_sent();
                self.link.handle_sent(begun, Order::Stop);
                if !self.link.expects_reply() {
                    self.teleop.handle_stop_answered(None);
                }
                Sent::Stop
            }
            Outgoing::Heartbeat => {
                self.link.handle_sent(begun, Order::Heartbeat);
                Sent::Heartbeat
            }
            Outgoing::Command(planned) => {
                self.seq += 1;
                self.teleop.handle_sent(now, planned);
                self.link.handle_sent(begun, Order::Command(planned.command));
                if !self.link.expects_reply() {
                    self.teleop.handle_acknowledged(now, &planned.command);
                }
                Sent::Command(SentCommand { seq: self.seq, planned: *planned })
            }
        }
    }

    /// What the driver has to do, once.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.link.poll_action()
    }

    /// Whether the driver has to look: an action is pending, or the peer has stopped taking bytes.
    pub fn wants_driver(&self) -> bool {
        self.link.has_action() || self.link.is_write_blocked()
    }

    /// Whether lines go to this connection. One that has been given up gets none, though its socket may still be there.
    pub fn has_peer(&self, peer: PeerId) -> bool {
        self.link.has_peer(peer)
    }

    /// Whether this connection has yet to answer a line.
    pub fn has_pending_reply(&self, peer: PeerId) -> bool {
        self.link.has_pending_reply(peer)
    }

    /// Whether a command may go: the link is there, and no reply is owed that it would have to wait for.
    pub fn can_send_command(&self) -> bool {
        self.link.can_send_command()
    }

    /// Whether the peer has stopped taking bytes; then watch for [`Joint::handle_writable`].
    pub fn is_write_blocked(&self) -> bool {
        self.link.is_write_blocked()
    }

    /// The motion machine, to be asked.
    pub fn teleop(&self) -> &Teleop {
        &self.teleop
    }

    /// What is handed to the connections for an outgoing line, next of all.
    pub fn line(&self, outgoing: &Outgoing, stamp: Duration) -> Line {
        let order = match outgoing {
            Outgoing::Stop => Order::Stop,
            Outgoing::Heartbeat => Order::Heartbeat,
            Outgoing::Command(planned) => Order::Command(planned.command),
        };
        Line { order, seq: self.link.next_seq(), stamp }
    }

    /// Whether a reply is overdue.
    pub fn is_overdue(&self, now: Instant) -> bool {
        self.link.is_overdue(now)
    }

    /// Why the last connection, or attempt, ended, however long ago.
    pub fn last_error(&self) -> Option<&LinkError> {
        self.link.last_error()
    }

    /// What to compare to tell a change of status.
    pub fn face(&self, now: Instant) -> Face {
        Face {
            link: self.link.state(),
            motion: self.teleop.motion(),
            reason: self.teleop.reason(now).kind(),
            stage: self.link.stage(),
            arriving: self.arriving,
        }
    }

    /// Everything there is to tell.
    pub fn status(&self, now: Instant) -> Status {
        let reason = self.teleop.reason(now);
        let link = self.link.counters();
        let teleop = self.teleop.counters();
        Status {
            state: self.link.state(),
            peer: self.peer(),
            since: self.link.since(),
            attempts: self.link.attempts(),
            last_error: self.link.standing_error(now).map(LinkError::advised).unwrap_or_default(),
            newest_error: self
                .link
                .last_error_at()
                .map(|(at, error)| (error.advised(), now.saturating_duration_since(at))),
            motion: self.teleop.motion(),
            reason: self.explain(now, &reason),
            reason_kind: reason.kind(),
            sent: link.sent,
            acknowledged: link.acknowledged,
            rejected: link.rejected,
            lost: link.lost,
            coalesced: teleop.coalesced,
            limited: teleop.limited,
            dropped_input: teleop.dropped_input,
            round_trips: self.link.round_trips(),
            input_age: self.teleop.input_age(now),
            input_fault: self.teleop.input_obstacle(now).map(|fault| fault.to_string()).unwrap_or_default(),
        }
    }

    /// The controller's address; where controllers dial in, that of the port, and theirs.
    fn peer(&self) -> String {
        let names: Vec<_> = self.link.peers().map(|peer| peer.name.as_str()).collect();
        match self.link.clients() {
            Some(_) if !names.is_empty() => format!("{} from {}", self.peer, names.join(", ")),
            _ => self.peer.clone(),
        }
    }

    fn explain(&self, now: Instant, reason: &Reason) -> String {
        let obstacle = match reason {
            Reason::Holding(obstacle) | Reason::WaitingToArm(obstacle) => Some(obstacle),
            _ => None,
        };
        let error =
            self.link.last_error().filter(|_| obstacle == Some(&Obstacle::LinkDown)).map(LinkError::advised);
        if let (Some(Obstacle::LinkDown), LinkState::Listening, Some((clients, wanted))) =
            (obstacle, self.link.state(), self.link.clients())
        {
            let arriving = match self.arriving {
                0 => String::new(),
                count => format!(", {count} more on the way in"),
            };
            let last = error.as_ref().map(|error| format!("; lastly {error}")).unwrap_or_default();
            return format!("{reason}: {clients} of {wanted} connected to {}{arriving}{last}", self.peer);
        }
        match (obstacle, error, self.link.retry_in(now)) {
            (Some(Obstacle::LinkDown), Some(error), Some(wait)) => {
                format!("{reason}: {error}; next attempt in {:.1} s", wait.as_secs_f64())
            }
            (Some(Obstacle::LinkDown), error, None) => match (self.explain_stage(), error) {
                (Some(stage), None) => format!("{reason}: {stage}"),
                (Some(stage), Some(error)) if self.link.stage() != Some(Stage::Opening) => {
                    format!("{reason}: {stage}; lastly {error}")
                }
                (_, Some(error)) => format!("{reason}: {error}; trying again"),
                (None, None) => reason.to_string(),
            },
            (Some(Obstacle::Unresponsive), ..) => match self.link.instead() {
                Some(instead) => format!("{reason}: {instead}"),
                None => format!(
                    "{reason}: no reply for reply_timeout {} s",
                    self.link.reply_timeout().as_secs_f64()
                ),
            },
            (Some(Obstacle::ErrorReplies(_)), ..) if !self.refusal.is_empty() => {
                format!("{reason}, lastly with '{}'", self.refusal)
            }
            _ => reason.to_string(),
        }
    }

    /// What an attempt to connect waits for.
    fn explain_stage(&self) -> Option<String> {
        let peer = &self.peer;
        Some(match self.link.stage()? {
            Stage::Opening if self.listens => format!("opening the port {peer}"),
            Stage::Opening => format!("connecting to {peer}"),
            Stage::Greeting { heard, wanted } => {
                let lines = if wanted == 1 { "line" } else { "lines" };
                format!("waiting for {wanted} greeting {lines} of {peer} (greeting_lines), {heard} so far")
            }
            Stage::Hello => format!("waiting for the answer of {peer} to the hello (hello.token_file)"),
        })
    }

    fn tell_teleop(&mut self, now: Instant) {
        let view = match self.link.state() {
            LinkState::Connected => LinkView::Ready,
            LinkState::Unresponsive => LinkView::Unresponsive,
            LinkState::Listening if self.link.peers().next().is_some() => LinkView::Partial,
            LinkState::Disconnected | LinkState::Connecting | LinkState::Backoff | LinkState::Listening => {
                LinkView::Down
            }
        };
        if view != self.view {
            self.view = view;
            self.told_of_heartbeats &= !view.is_down();
            self.teleop.handle_link(now, view);
        }
    }
}
