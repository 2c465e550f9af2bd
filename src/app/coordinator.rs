//! The rules that cross the machines: a reply, a change of the link, a sent line, the end of a connection. Pure: `now` comes
//! in, and the bytes go out through the caller.
//!
//! Invariant: motion's view of the link is that of the link's state whenever a function returns. So call [`Coordinator`] for
//! each event that may change the link's state, and the machines themselves for all else.

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

/// Both machines, and what one of them has to know of the other.
#[derive(Debug)]
pub struct Coordinator {
    /// Motion.
    pub teleop: Teleop,
    /// The link. What changes its state comes through the coordinator.
    pub link: Link,
    /// What people are told of both.
    pub report: Report,
    /// What motion knows of the link.
    view: LinkView,
    /// Whether it has been logged that this controller refuses heartbeats.
    heartbeat_refusal_logged: bool,
    /// The commands sent since start.
    seq: u64,
    pub(super) log_lines: Vec<LogLine>,
}

/// A line that may go out now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outgoing {
    /// Stand still (`teleop.hold_behavior` stop).
    Stop,
    /// A command.
    Command(Planned),
    /// The bridge is there (`link.heartbeat.period`).
    Heartbeat,
    /// The same line, whose answer says where the arm is.
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

impl Coordinator {
    /// Starts both machines. `peer` is the controller's name for people, `seed` picks the jitter of the back-off.
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

    /// Opens a new connection, because a person asks.
    pub fn handle_reconnect(&mut self, now: Instant) {
        self.link.handle_reconnect(now);
        self.follow_link(now);
    }

    /// Takes that the computer has slept for so long and has just woken up. The steady clock stood still meanwhile: the hand
    /// may be gone, and the arm may have been moved.
    pub fn handle_slept(&mut self, now: Instant, slept: Duration) {
        self.log_lines.push(LogLine::warn(format!(
            "this computer slept for {:.1} s; what was known of the hand and of the arm is out of date",
            slept.as_secs_f64()
        )));
        self.teleop.handle_slept(now, slept);
        self.link.handle_slept(now, slept);
        self.follow_link(now);
    }

    /// Takes a connection, or a port that listens for some.
    pub fn handle_connected(&mut self, now: Instant) {
        self.unless_superseded(now, |link| link.handle_connected(now));
    }

    /// Notes how far the attempt to connect has come.
    pub fn handle_stage(&mut self, stage: Stage) {
        if !self.link.is_superseded() {
            self.link.handle_stage(stage);
        }
    }

    /// Notes that the attempt failed, or that the connection ended, for this reason.
    pub fn handle_failed(&mut self, now: Instant, error: LinkError) {
        self.unless_superseded(now, |link| link.handle_failed(now, error));
    }

    /// Takes a controller that has connected to the port that listens.
    ///
    /// # Errors
    /// When there are as many as there can be, or the port is about to be closed.
    pub fn handle_joined(&mut self, now: Instant, name: String) -> Result<PeerId, Full> {
        if self.link.is_superseded() {
            return Err(Full);
        }
        let joined = self.link.handle_joined(now, name)?;
        // Where its arm is, is not known: whatever was moving goes on by an approach.
        self.view = LinkView::Partial;
        self.teleop.handle_link(now, LinkView::Partial);
        self.follow_link(now);
        Ok(joined)
    }

    /// Notes that the connection with this peer ended, for this reason.
    pub fn handle_ended(&mut self, now: Instant, peer: PeerId, error: LinkError) {
        self.unless_superseded(now, |link| link.handle_ended(now, peer, error));
    }

    /// Lets the link handle an event, unless that is of a connection which the driver has yet to drop.
    fn unless_superseded(&mut self, now: Instant, event: impl FnOnce(&mut Link)) {
        if !self.link.is_superseded() {
            event(&mut self.link);
            self.handle_outcomes(now);
            self.follow_link(now);
        }
    }

    /// Notes that the peer takes bytes again.
    pub fn handle_writable(&mut self, now: Instant) {
        self.link.handle_writable(now);
        self.follow_link(now);
    }

    /// Takes a reply. Returns whether something waited for it; otherwise it is not known of when it speaks, and only a fault
    /// in it is believed.
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

    /// Takes how the arm is, which the controller says unasked. Returns whether that may be believed, other than a fault in it.
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

    /// Takes a fault from what may be of another time. To believe it costs no more than a call of `~/set_armed`.
    fn handle_unexpected(&mut self, state: Option<&ReportedState>) {
        let fault = state.and_then(|state| state.fault.as_deref());
        if fault.is_some() {
            self.teleop.handle_fault(fault);
        }
    }

    /// Takes what has become of orders without a reply of their own.
    fn handle_outcomes(&mut self, now: Instant) {
        while let Some(outcome) = self.link.poll_outcome() {
            self.handle_outcome(now, outcome, None);
        }
    }

    /// Takes what the controller reports in a reply.
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
                let detail = || format!("command refused by the controller message={message}");
                self.log_lines.extend(LogLine::detail(Level::DEBUG, detail));
                self.report.handle_rejected(message);
                self.teleop.handle_rejected(now);
            }
            Outcome::StopAcknowledged => self.teleop.handle_stop_answered(position.is_some()),
            Outcome::StopRejected => {
                self.log_lines.push(LogLine::warn(format!(
                    "the controller refused the stop line; does it know it? teleop.hold_behavior 'silent' sends none \
                     message={message}"
                )));
                self.teleop.handle_stop_refused();
            }
            Outcome::HeartbeatAcknowledged | Outcome::LateStop => self.teleop.handle_answered(now),
            Outcome::HeartbeatRejected => {
                self.teleop.handle_answered(now);
                if !std::mem::replace(&mut self.heartbeat_refusal_logged, true) {
                    self.log_lines.push(LogLine::warn(format!(
                        "the controller refused a heartbeat; does it know the line? link.heartbeat.period 0.0 sends none \
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

    /// Connects by new settings of the link, while disarmed. With `other_arm`, forgets the position of the arm before.
    pub fn handle_link_config(&mut self, now: Instant, config: LinkConfig, peer: String, other_arm: bool) {
        self.report = Report::new(peer);
        self.link.handle_config(now, config);
        self.follow_link(now);
        if other_arm {
            self.teleop.handle_other_arm();
        }
    }

    /// Closes the connection, for good.
    pub fn handle_end(&mut self, now: Instant) {
        self.link.handle_shutdown(now);
        self.follow_link(now);
    }

    /// Lets time pass. Call it no later than [`Coordinator::poll_timeout`] says.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.link.handle_timeout(now);
        self.handle_outcomes(now);
        self.teleop.handle_timeout(now);
        self.follow_link(now);
    }

    /// When to call [`Coordinator::handle_timeout`] at the latest. A command that is due and has room counts too: poll it.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let has_room = self.link.can_send_command() && !self.link.is_write_blocked();
        let line =
            || self.teleop.poll_command_at(now).into_iter().chain(self.teleop.poll_question_at(now)).min();
        let line = if has_room { line() } else { None };
        [self.link.poll_timeout(), self.teleop.poll_timeout(now), line].into_iter().flatten().min()
    }

    /// The line to hand to the connection now. Tell [`Coordinator::handle_transmitted`] what became of it.
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

    /// Takes what became of a line of `length` bytes at each connection, and returns what has been sent, if it has been.
    ///
    /// The line went between `begun` and `now`. The way to the next command is reckoned from `now` and the time for a reply
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
        // A connection that failed takes its orders with it; those that are left got the line whole.
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

    /// Takes that all has been sent that can be sent now: a stop line that is still due waits for the controller. Returns
    /// whether one is.
    pub fn handle_transmit_end(&mut self) -> bool {
        let waits = self.teleop.poll_stop_line();
        if waits {
            self.teleop.handle_stop_unsent();
        }
        waits
    }

    /// What is handed to the connections for an outgoing line, next of all.
    pub fn line(&self, outgoing: &Outgoing, stamp: Duration) -> Line {
        Line { order: outgoing.order(), seq: self.link.next_seq(), stamp }
    }

    /// What to compare to tell a change of status from the passing of time.
    pub fn status_key(&self, now: Instant) -> StatusKey {
        self.report.status_key(now, &self.teleop, &self.link)
    }

    /// Everything that is published of both machines.
    pub fn status(&self, now: Instant) -> Status {
        self.report.status(now, &self.teleop, &self.link)
    }

    /// Takes the link's state over into motion's view of it.
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
