//! The rules that involve both state machines: a reply, a change of the link, a sent line, the end
//! of a connection. Pure: `now` comes in, and the caller sends the bytes.
//!
//! Invariant: whenever a function returns, motion's [`LinkView`] matches the state of the link. So
//! call [`Coordinator`] for each event that may change the state of the link. For all other events
//! call the state machines directly.

use std::io;
use std::time::{Duration, Instant};

use tracing::Level;

use super::log::LogLine;
use super::report::{Report, StatusKey};
use crate::arm::ReportedState;
use crate::link::{Full, Link, LinkConfig, LinkError, LinkState, Outcome, PeerId, Stage};
use crate::status::{SentCommand, Status};
use crate::teleop::{LinkView, Planned, ReportAbout, Teleop, TeleopConfig};
use crate::wire::{Line, Order, Reply};

/// Both state machines, and the data that one needs from the other.
#[derive(Debug)]
pub struct Coordinator {
    /// The state machine of motion.
    pub teleop: Teleop,
    /// The state machine of the link. Events that change its state must go through the coordinator.
    pub link: Link,
    /// The texts and notes about both machines for the status topics.
    pub report: Report,
    /// Motion's view of the link.
    view: LinkView,
    /// Whether a rejected heartbeat has been logged for this controller.
    heartbeat_refusal_logged: bool,
    /// The number of commands sent since the start.
    seq: u64,
    pub(super) log_lines: Vec<LogLine>,
}

/// A line that may be sent now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outgoing {
    /// The stop line (`teleop.hold_behavior` stop).
    Stop,
    /// A command.
    Command(Planned),
    /// A heartbeat, which shows that the bridge is alive (`link.heartbeat.period`).
    Heartbeat,
    /// A heartbeat that asks for the position of the arm. The reply contains the position.
    Question,
}

impl Outgoing {
    fn order(&self) -> Order {
        match self {
            Self::Stop => Order::Stop,
            Self::Command(planned) => Order::Command(planned.command),
            Self::Heartbeat | Self::Question => Order::Heartbeat,
        }
    }
}

/// A line that has been sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sent {
    /// The stop line.
    Stop,
    /// A command, with its number.
    Command(SentCommand),
    /// A heartbeat.
    Heartbeat,
}

impl Coordinator {
    /// Creates both state machines. `peer` is the name of the controller in texts. `seed` sets the
    /// jitter of the back-off.
    pub fn new(teleop: TeleopConfig, link: LinkConfig, peer: String, now: Instant, seed: u64) -> Self {
        Self {
            teleop: Teleop::new(teleop),
            link: Link::new(link, now, seed),
            report: Report::new(peer),
            view: LinkView::Down,
            heartbeat_refusal_logged: false,
            seq: 0,
            log_lines: Vec::new(),
        }
    }

    /// Opens a new connection, because the operator asked for it.
    pub fn handle_reconnect(&mut self, now: Instant) {
        self.link.handle_reconnect(now);
        self.follow_link(now);
    }

    /// Handles the end of a sleep of this computer. The steady clock stopped during the sleep. The
    /// hand may be gone, and the arm may have been moved.
    pub fn handle_slept(&mut self, now: Instant, slept: Duration) {
        self.log_lines.push(LogLine::warn(format!(
            "this computer slept for {:.1} s; its data about the hand and the arm are out of date",
            slept.as_secs_f64()
        )));
        self.teleop.handle_slept(now, slept);
        self.link.handle_slept(now, slept);
        self.follow_link(now);
    }

    /// Handles an open connection, or an open port that listens for controllers.
    pub fn handle_connected(&mut self, now: Instant) {
        self.unless_superseded(now, |link| link.handle_connected(now));
    }

    /// Records the stage of the attempt to connect.
    pub fn handle_stage(&mut self, stage: Stage) {
        if !self.link.is_superseded() {
            self.link.handle_stage(stage);
        }
    }

    /// Handles a failed attempt, or the end of the connection, with its reason.
    pub fn handle_failed(&mut self, now: Instant, error: LinkError) {
        self.unless_superseded(now, |link| link.handle_failed(now, error));
    }

    /// Handles a controller that has connected to the bridge's port. Returns the name of its
    /// connection.
    ///
    /// # Errors
    /// The maximum number of controllers is connected, or the port is about to be closed.
    pub fn handle_joined(&mut self, now: Instant, name: String) -> Result<PeerId, Full> {
        if self.link.is_superseded() {
            return Err(Full);
        }
        let joined = self.link.handle_joined(now, name)?;
        // The position of the new arm is unknown, so any motion continues with an approach.
        self.view = LinkView::Partial;
        self.teleop.handle_link(now, LinkView::Partial);
        self.follow_link(now);
        Ok(joined)
    }

    /// Handles the end of the connection with this peer, with its reason.
    pub fn handle_ended(&mut self, now: Instant, peer: PeerId, error: LinkError) {
        self.unless_superseded(now, |link| link.handle_ended(now, peer, error));
    }

    /// Lets the link handle an event, unless the event belongs to a connection that the driver task
    /// must still drop.
    fn unless_superseded(&mut self, now: Instant, event: impl FnOnce(&mut Link)) {
        if !self.link.is_superseded() {
            event(&mut self.link);
            self.handle_outcomes(now);
            self.follow_link(now);
        }
    }

    /// Handles a peer that accepts bytes again.
    pub fn handle_writable(&mut self, now: Instant) {
        self.link.handle_writable(now);
        self.follow_link(now);
    }

    /// Handles a reply. Returns whether a line was waiting for it, or no replies are expected.
    /// Otherwise the age of the reply is unknown, and only a fault of the arm in the reply is used.
    pub fn handle_reply(&mut self, now: Instant, peer: PeerId, reply: &Reply) -> bool {
        if self.link.is_superseded() {
            self.handle_unexpected(reply.state.as_ref());
            return false;
        }
        let outcome = self.link.handle_reply(now, peer, reply);
        let expected = outcome.is_answer();
        self.handle_outcomes(now);
        if expected {
            self.handle_reported(now, peer, &outcome, reply);
            self.handle_outcome(now, outcome, Some(reply));
        } else {
            self.handle_unexpected(reply.state.as_ref());
        }
        self.follow_link(now);
        expected
    }

    /// Handles an unsolicited state of the controller. Returns whether the connection is in use, so
    /// that the state is current. A fault of the arm in the state is used in any case.
    pub fn handle_state(&mut self, now: Instant, peer: PeerId, state: &ReportedState) -> bool {
        let known = !self.link.is_superseded() && self.link.has_peer(peer);
        if known {
            self.teleop.handle_report(now, peer.number(), ReportAbout::Unasked, Some(state));
            if self.link.peers().count() == 1 {
                self.teleop.handle_answered(now);
            }
        } else {
            self.handle_unexpected(Some(state));
        }
        known
    }

    /// Handles a fault of the arm in a report that may be out of date. If the fault no longer
    /// exists, the operator needs one more call of `~/set_armed`.
    fn handle_unexpected(&mut self, state: Option<&ReportedState>) {
        let fault = state.and_then(|state| state.fault.as_deref());
        if fault.is_some() {
            self.teleop.handle_fault(fault);
        }
    }

    /// Handles the outcomes of lines that will get no reply, for example of lost lines.
    fn handle_outcomes(&mut self, now: Instant) {
        while let Some(outcome) = self.link.poll_outcome() {
            self.handle_outcome(now, outcome, None);
        }
    }

    /// Passes the state in a reply to motion.
    fn handle_reported(&mut self, now: Instant, peer: PeerId, outcome: &Outcome, reply: &Reply) {
        let about = match outcome {
            Outcome::HeartbeatAcknowledged
            | Outcome::HeartbeatRejected
            | Outcome::Partial(Order::Heartbeat)
            | Outcome::LateStop
            | Outcome::StopRejected => ReportAbout::Observed,
            Outcome::Rejected(_) => ReportAbout::Refused,
            Outcome::StopAcknowledged | Outcome::Partial(Order::Stop) => ReportAbout::Stopped,
            _ => ReportAbout::Accepted,
        };
        self.teleop.handle_report(now, peer.number(), about, reply.state.as_ref());
    }

    fn handle_outcome(&mut self, now: Instant, outcome: Outcome, reply: Option<&Reply>) {
        let message = reply.map_or("", |reply| &reply.message);
        let position = reply.and_then(|reply| reply.state.as_ref()).and_then(|state| state.position);
        match outcome {
            Outcome::Acknowledged(command) => self.teleop.handle_acknowledged(now, &command),
            Outcome::Rejected(_) => {
                let detail = || format!("command rejected by the controller message={message}");
                self.log_lines.extend(LogLine::detail(Level::DEBUG, detail));
                self.report.handle_rejected(message);
                self.teleop.handle_rejected(now);
            }
            Outcome::StopAcknowledged => self.teleop.handle_stop_answered(position.is_some()),
            Outcome::StopRejected => {
                self.log_lines.push(LogLine::warn(format!(
                    "the controller rejected the stop line; if it does not support it, set teleop.hold_behavior to 'silent' \
                     message={message}"
                )));
                self.teleop.handle_stop_refused();
            }
            Outcome::HeartbeatAcknowledged | Outcome::LateStop => self.teleop.handle_answered(now),
            Outcome::HeartbeatRejected => {
                self.teleop.handle_answered(now);
                if !std::mem::replace(&mut self.heartbeat_refusal_logged, true) {
                    self.log_lines.push(LogLine::warn(format!(
                        "the controller rejected a heartbeat; if it does not support it, set link.heartbeat.period to 0.0 \
                         message={message}"
                    )));
                }
            }
            Outcome::Lost(Order::Command(_)) => self.teleop.handle_lost(),
            Outcome::Lost(Order::Stop) => self.teleop.handle_stop_lost(),
            Outcome::Lost(Order::Heartbeat) => self.teleop.handle_question_lost(now),
            Outcome::Partial(_) | Outcome::Ignored | Outcome::Late | Outcome::Unsolicited => {}
        }
    }

    /// Connects with new settings of the link, while disarmed. If `other_arm` is set, forgets the
    /// position of the previous arm.
    pub fn handle_link_config(&mut self, now: Instant, config: LinkConfig, peer: String, other_arm: bool) {
        self.report = Report::new(peer);
        self.link.handle_config(now, config);
        self.follow_link(now);
        if other_arm {
            self.teleop.handle_other_arm();
        }
    }

    /// Closes the connection because the bridge ends.
    pub fn handle_end(&mut self, now: Instant) {
        self.link.handle_shutdown(now);
        self.follow_link(now);
    }

    /// Handles expired timeouts. Call it no later than [`Coordinator::poll_timeout`] returns.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
        self.handle_outcomes(now);
        self.teleop.handle_timeout(now);
        self.follow_link(now);
    }

    /// Returns when to call [`Coordinator::handle_timeout`] at the latest. If the link can send a
    /// command, this includes the time of the next command or position request. Call
    /// [`Coordinator::poll_transmit`] at this time.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let has_room = self.link.can_send_command() && !self.link.is_write_blocked();
        let line =
            || self.teleop.poll_command_at(now).into_iter().chain(self.teleop.poll_question_at(now)).min();
        let line = if has_room { line() } else { None };
        [self.link.poll_timeout(), self.teleop.poll_timeout(now), line].into_iter().flatten().min()
    }

    /// Returns the line to send now. Pass the result of the write to
    /// [`Coordinator::handle_transmitted`].
    #[must_use]
    pub fn poll_transmit(&self, now: Instant) -> Option<Outgoing> {
        if self.teleop.poll_stop_line() {
            return self.link.can_send_stop().then_some(Outgoing::Stop);
        }
        if self.link.can_send_command() {
            if self.teleop.poll_question_at(now).is_some_and(|due| due <= now) {
                return Some(Outgoing::Question);
            }
            if let Some(command) = self.teleop.poll_command(now) {
                return Some(Outgoing::Command(command));
            }
        }
        self.link.poll_heartbeat(now).then_some(Outgoing::Heartbeat)
    }

    /// Handles the result of writing a line of `length` bytes to each connection. Returns what was
    /// sent, if the line was sent.
    ///
    /// The line was sent between `begun` and `now`; the exact time is unknown. The step of the next
    /// command counts from `now`, and the reply timeout from `begun`, because both are the safe
    /// choice.
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
            // The link has dropped this peer, and its socket is not closed yet.
            let failure = match written {
                _ if !self.link.has_peer(peer) => continue,
                Ok(written) if written == length => {
                    taken = true;
                    continue;
                }
                Ok(0) => LinkError::Closed,
                Ok(written) => LinkError::PartialWrite { written, length },
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => LinkError::Broken(error),
                Err(_) if self.link.clients().is_some() => LinkError::Slow,
                Err(_) => {
                    self.link.handle_blocked(now);
                    return None;
                }
            };
            self.link.handle_ended(now, peer, failure);
        }
        // The lines of a failed connection are dropped with it. All other connections got the whole
        // line.
        let sent = taken.then(|| self.handle_sent(begun, now, line));
        self.handle_outcomes(now);
        self.follow_link(now);
        sent
    }

    fn handle_sent(&mut self, begun: Instant, now: Instant, line: &Outgoing) -> Sent {
        self.link.handle_sent(begun, line.order());
        let expects_reply = self.link.config().expect_reply;
        match line {
            Outgoing::Stop => {
                self.teleop.handle_stop_sent();
                if !expects_reply {
                    self.teleop.handle_stop_answered(false);
                }
                Sent::Stop
            }
            Outgoing::Heartbeat => Sent::Heartbeat,
            Outgoing::Question => {
                self.teleop.handle_asked(now);
                Sent::Heartbeat
            }
            Outgoing::Command(planned) => {
                self.seq += 1;
                self.teleop.handle_sent(now, planned);
                if !expects_reply {
                    self.teleop.handle_acknowledged(now, &planned.command);
                }
                Sent::Command(SentCommand { seq: self.seq, planned: *planned })
            }
        }
    }

    /// Handles the end of sending: no more lines can be sent now. A stop line that is still due
    /// waits until the controller accepts bytes. Returns whether a stop line is waiting.
    pub fn handle_transmit_end(&mut self) -> bool {
        let waits = self.teleop.poll_stop_line();
        if waits {
            self.teleop.handle_stop_unsent();
        }
        waits
    }

    /// Returns the line to write to the connections. It has the number of the next line.
    pub fn line(&self, outgoing: &Outgoing, stamp: Duration) -> Line {
        Line { order: outgoing.order(), seq: self.link.next_seq(), stamp }
    }

    /// Returns the fields of the status that trigger a publication when they change.
    pub fn status_key(&self, now: Instant) -> StatusKey {
        self.report.status_key(now, &self.teleop, &self.link)
    }

    /// Returns the status of both machines.
    pub fn status(&self, now: Instant) -> Status {
        self.report.status(now, &self.teleop, &self.link)
    }

    /// Updates motion's view of the link from the link's state.
    fn follow_link(&mut self, now: Instant) {
        use LinkState::{Backoff, Connected, Connecting, Disconnected, Listening, Unresponsive};
        let view = match self.link.state() {
            Connected => LinkView::Ready,
            Unresponsive => LinkView::Unresponsive,
            Listening if self.link.peers().next().is_some() => LinkView::Partial,
            Disconnected | Connecting | Backoff | Listening => LinkView::Down,
        };
        if view != self.view {
            self.view = view;
            self.heartbeat_refusal_logged &= !view.is_down();
            self.teleop.handle_link(now, view);
        }
    }
}
