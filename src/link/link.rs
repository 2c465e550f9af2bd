//! The state machine of the link: when to connect, when to drop the connection, and which reply
//! belongs to which line.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use super::config::{LinkConfig, Role};
use super::error::LinkError;
use super::outcome::{Counters, Outcome};
use super::peers::{Full, Peer, PeerId, Peers};
use super::rtt::{RoundTrips, Window};
use crate::wire::{Order, Reply, ReplyStatus, advice};

/// The states of the link, as published in `LinkStatus.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Not started, or ended.
    Disconnected,
    /// Resolving the name, opening the connection, waiting for the greeting, or authenticating.
    Connecting,
    /// Connected; no reply is overdue.
    Connected,
    /// Connected; a reply is overdue.
    Unresponsive,
    /// Waiting before the next attempt.
    Backoff,
    /// Waiting for controllers: fewer than `link.min_clients` are connected.
    Listening,
}

/// The stage of an attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Resolving the name, opening the connection, and encrypting it if configured. Or opening the
    /// port on which the bridge listens.
    Opening,
    /// Waiting for the controller's greeting.
    Banner {
        /// The number of its lines that have been received.
        received: u32,
        /// `link.banner_lines`.
        wanted: u32,
    },
    /// Waiting for the controller's reply to the hello.
    Auth,
}

/// An action for the driver task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Drop all connections, open a connection or a port, and call [`Link::handle_connected`] or
    /// [`Link::handle_failed`].
    Connect,
    /// Drop all connections, or the attempt.
    Close,
    /// Drop this connection. The others stay.
    Drop(PeerId),
}

/// The state machine of the link. Events and `now` go in by `handle_*`; [`Link::poll_action`] and
/// [`Link::poll_timeout`] return what to do.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    state: State,
    since: Instant,
    /// Failures since the last connection that lasted.
    failures: u32,
    /// Attempts since the link was last connected.
    attempts: u32,
    last_error: Option<(Instant, LinkError)>,
    /// Whether the peer ended the last connection after the first reply.
    ended_after_first_reply: bool,
    action: Option<Action>,
    /// Connections to drop.
    drops: VecDeque<PeerId>,
    /// Outcomes of orders that will get no reply.
    outcomes: VecDeque<Outcome>,
    /// The number of lines sent since the start.
    lines: u64,
    counters: Counters,
    round_trips: Window,
    jitter: fastrand::Rng,
}

#[derive(Debug)]
enum State {
    Disconnected,
    Connecting(Stage),
    Open(Open),
    Backoff { until: Instant },
}

/// A connection, or a port that listens for controllers.
#[derive(Debug)]
struct Open {
    since: Instant,
    peers: Peers,
    in_flight: VecDeque<InFlight>,
    /// When the last line was sent; before the first line, when the connection was opened.
    last_sent: Instant,
    /// Since when the peer has accepted no bytes.
    blocked_since: Option<Instant>,
    /// Whether the controller's system accepts bytes, but its program does not read them.
    lags: bool,
    /// Whether the oldest wait has exceeded `link.reply_timeout`.
    unresponsive: bool,
    answered: bool,
}

#[derive(Debug)]
struct InFlight {
    seq: u64,
    sent_at: Instant,
    order: Order,
    /// Whether a peer has replied to it.
    answered: bool,
    /// Whether a peer has rejected it.
    refused: bool,
    /// Whether this is a stop that has expired, because its reply did not come in time.
    expired: bool,
    /// Whether a controller connected after this line was sent, and so did not receive it.
    misses_one: bool,
}

impl Link {
    /// Creates a link that starts to connect. `seed` sets the jitter of the back-off.
    pub fn new(config: LinkConfig, now: Instant, seed: u64) -> Self {
        let mut link = Self {
            config,
            state: State::Disconnected,
            since: now,
            failures: 0,
            attempts: 0,
            last_error: None,
            ended_after_first_reply: false,
            action: None,
            drops: VecDeque::new(),
            outcomes: VecDeque::new(),
            lines: 0,
            counters: Counters::default(),
            round_trips: Window::default(),
            jitter: fastrand::Rng::with_seed(seed),
        };
        link.connect(now);
        link
    }

    /// Handles an open connection, or an open port that listens for controllers.
    pub fn handle_connected(&mut self, now: Instant) {
        if !matches!(self.state, State::Connecting(_)) {
            return;
        }
        self.attempts = 0;
        let open = Open {
            since: now,
            peers: if self.listens() { Peers::default() } else { Peers::only(self.lines) },
            // One more, for a stop.
            in_flight: VecDeque::with_capacity(self.config.max_in_flight + 1),
            last_sent: now,
            blocked_since: None,
            lags: false,
            unresponsive: false,
            answered: false,
        };
        self.enter(now, State::Open(open));
    }

    /// Records the stage of the attempt to connect.
    pub fn handle_stage(&mut self, stage: Stage) {
        if let State::Connecting(reached) = &mut self.state {
            *reached = stage;
        }
    }

    /// Records the error of a controller whose connection to the bridge was rejected.
    pub fn handle_refused(&mut self, now: Instant, name: String, error: LinkError) {
        if matches!(self.state, State::Open(_)) {
            self.last_error = Some((now, LinkError::Client { name, error: Box::new(error) }));
        }
    }

    /// Records a description of the input from this peer since its last reply, if there was any.
    /// Call this while a reply is overdue.
    pub fn handle_instead(&mut self, peer: PeerId, instead: Option<String>) {
        let State::Open(open) = &mut self.state else { return };
        if let Some(peer) = open.peers.get_mut(peer) {
            peer.instead = instead;
        }
    }

    /// Handles a controller that has connected to the port. Returns the identifier of its
    /// connection.
    ///
    /// # Errors
    /// The maximum number of controllers is connected, or the port is not open.
    pub fn handle_joined(&mut self, now: Instant, name: String) -> Result<PeerId, Full> {
        let before = self.state();
        let State::Open(open) = &mut self.state else { return Err(Full) };
        let id = open.peers.join(name, self.lines)?;
        open.in_flight.iter_mut().for_each(|line| line.misses_one = true);
        if open.peers.all().len() == 1 {
            // The heartbeat period starts with the first controller.
            open.last_sent = now;
        }
        self.note_change(now, before);
        Ok(id)
    }

    /// Handles a failed attempt, the end of the connection, or the end of the port, with its
    /// reason.
    pub fn handle_failed(&mut self, now: Instant, mut error: LinkError) {
        match &self.state {
            State::Disconnected | State::Backoff { .. } => return,
            State::Connecting(_) => self.failures = self.failures.saturating_add(1),
            State::Open(open) => {
                let lived =
                    open.answered || now.saturating_duration_since(open.since) >= self.config.link_timeout;
                self.failures = if lived { 1 } else { self.failures.saturating_add(1) };
                self.action = Some(Action::Close);
                let peer = open.peers.get(PeerId::ONLY);
                let after_first_reply = peer.is_some_and(|peer| ended_after_first_reply(peer, &error));
                let refusal = peer.and_then(|peer| peer.first_refusal.clone());
                error = self.note_ending(after_first_reply, refusal, error);
            }
        }
        self.last_error = Some((now, error));
        let until = now + self.config.backoff.delay(self.failures, self.jitter.f64());
        self.enter(now, State::Backoff { until });
    }

    /// Handles the end of the connection with this peer, or a reason to drop it. If controllers
    /// connect to the bridge, the other connections stay.
    pub fn handle_ended(&mut self, now: Instant, peer: PeerId, error: LinkError) {
        if !self.listens() {
            return self.handle_failed(now, error);
        }
        let before = self.state();
        let State::Open(open) = &mut self.state else { return };
        let Some(peer) = open.peers.leave(peer) else { return };
        let after_first_reply = ended_after_first_reply(&peer, &error);
        let Peer { id, name, first_refusal, .. } = peer;
        // A line that all other peers have replied to is complete now. A line that no other peer
        // received is lost.
        let others = !open.peers.all().is_empty();
        while let Some(line) = open.take_complete() {
            if line.answered && others {
                self.outcomes.push_back(line.outcome(&mut self.counters));
            } else if others {
                self.outcomes.push_back(Outcome::Lost(line.order));
            }
        }
        self.drops.push_back(id);
        let error = Box::new(self.note_ending(after_first_reply, first_refusal, error));
        self.last_error = Some((now, LinkError::Client { name, error }));
        self.note_change(now, before);
    }

    /// Handles a reply of this peer. If its outcome [is not an answer](Outcome::is_answer), the
    /// state in the reply must not be used.
    pub fn handle_reply(&mut self, now: Instant, id: PeerId, reply: &Reply) -> Outcome {
        let State::Open(open) = &mut self.state else { return Outcome::Unsolicited };
        let Some(peer) = open.peers.get_mut(id) else { return Outcome::Unsolicited };
        if !self.config.expect_reply {
            return Outcome::Ignored;
        }
        if self.config.role == Role::Udp {
            // Datagrams can be lost or change their order. Only the number shows which line this
            // reply belongs to.
            let Some(answered) = open.in_flight.iter().position(|line| Some(line.seq) == reply.seq) else {
                peer.late = Some(unawaited(reply.seq));
                return Outcome::Late;
            };
            for line in open.in_flight.drain(..answered) {
                self.counters.lost += 1;
                // An expired stop has already been counted as lost.
                self.outcomes.extend((!line.expired).then_some(Outcome::Lost(line.order)));
            }
        }
        let Some(line) = open.in_flight.iter_mut().find(|line| peer.lacks_reply_to(line.seq)) else {
            let error = LinkError::unsolicited(reply, peer.replies == 0);
            self.handle_ended(now, id, error);
            return Outcome::Unsolicited;
        };
        if let Some(echoed) = reply.seq.filter(|echoed| *echoed != line.seq) {
            let expected = line.seq;
            self.handle_ended(now, id, LinkError::OutOfOrder { echoed, expected });
            return Outcome::Unsolicited;
        }
        line.answered = true;
        line.refused |= reply.status == ReplyStatus::Error;
        open.answered = true;
        if peer.replies == 0 && reply.status == ReplyStatus::Error {
            peer.first_refusal = Some(reply.message.clone());
        }
        peer.note_reply(line.seq);
        let order = line.order;
        let outcome = open.take_complete().map_or(Outcome::Partial(order), |line| {
            self.round_trips.push(now.saturating_duration_since(line.sent_at));
            if line.expired { Outcome::LateStop } else { line.outcome(&mut self.counters) }
        });
        self.handle_timeout(now);
        outcome
    }

    /// Handles a line that was written to every connection as a whole.
    pub fn handle_sent(&mut self, now: Instant, order: Order) {
        let State::Open(open) = &mut self.state else { return };
        self.lines += 1;
        open.last_sent = now;
        (open.blocked_since, open.lags) = (None, false);
        let answers_heartbeat = self.config.heartbeat.is_some_and(|heartbeat| heartbeat.expects_reply);
        if self.config.expect_reply && (order != Order::Heartbeat || answers_heartbeat) {
            open.in_flight.push_back(InFlight::new(self.lines, now, order));
        }
        if matches!(order, Order::Command(_)) {
            self.counters.sent += 1;
            self.counters.acknowledged += u64::from(!self.config.expect_reply);
        }
        self.handle_timeout(now);
    }

    /// Handles a write that sent no bytes: the peer does not read.
    pub fn handle_blocked(&mut self, now: Instant) {
        if let State::Open(open) = &mut self.state {
            open.blocked_since.get_or_insert(now);
            open.lags = false;
        }
    }

    /// Handles a command that waits, because the controller's program has not read the commands
    /// before it.
    pub fn handle_lagging(&mut self, now: Instant) {
        if let State::Open(open) = &mut self.state {
            open.lags |= open.blocked_since.is_none();
            open.blocked_since.get_or_insert(now);
        }
    }

    /// Handles a peer that accepts bytes again.
    pub fn handle_writable(&mut self, now: Instant) {
        if let State::Open(open) = &mut self.state {
            (open.blocked_since, open.lags) = (None, false);
        }
        self.handle_timeout(now);
    }

    /// Opens a new connection now, because the operator asked for it.
    pub fn handle_reconnect(&mut self, now: Instant) {
        self.reconnect(now, LinkError::Requested);
    }

    /// Handles the end of a sleep of this computer: the connection may be dead, or the controller
    /// may be a different one.
    pub fn handle_slept(&mut self, now: Instant, slept: Duration) {
        self.reconnect(now, LinkError::ComputerSlept { slept });
    }

    /// Opens a new connection now, for this reason.
    fn reconnect(&mut self, now: Instant, reason: LinkError) {
        match self.state {
            State::Disconnected | State::Connecting(_) => {}
            State::Backoff { .. } => self.connect(now),
            State::Open(_) => {
                self.last_error = Some((now, reason));
                self.failures = 0;
                self.enter(now, State::Backoff { until: now });
                self.action = Some(Action::Close);
            }
        }
    }

    /// Takes new settings, and connects again with them. The counters keep their values.
    pub fn handle_config(&mut self, now: Instant, config: LinkConfig) {
        self.config = config;
        if matches!(self.state, State::Disconnected) {
            return;
        }
        self.last_error = Some((now, LinkError::Reconfigured));
        self.failures = 0;
        self.round_trips = Window::default();
        self.connect(now);
    }

    /// Closes all connections because the bridge ends.
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.enter(now, State::Disconnected);
        self.action = Some(Action::Close);
    }

    /// Runs expired timeouts. Only this function changes the state because of time. Call it no
    /// later than [`Link::poll_timeout`] returns.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.give_up_stops(now);
        let listens = self.listens();
        match &mut self.state {
            State::Backoff { until } if *until <= now => self.connect(now),
            State::Open(_) if listens => self.drop_late(now),
            State::Open(open) => {
                let waited = open.waiting_since().map(|since| now.saturating_duration_since(since));
                let over = |limit| waited.is_some_and(|waited| waited >= limit);
                let timeout = self.config.link_timeout;
                if over(timeout) {
                    let error = if open.lags {
                        LinkError::Lags { timeout }
                    } else if open.blocked_since.is_some() {
                        LinkError::NotReading { timeout }
                    } else {
                        let instead = open.peers.all().iter().find_map(Peer::instead_of_silence);
                        LinkError::NoReply { timeout, instead }
                    };
                    self.handle_failed(now, error);
                } else if open.unresponsive != over(self.config.reply_timeout) {
                    open.unresponsive = !open.unresponsive;
                    self.since = now;
                }
            }
            State::Disconnected | State::Connecting(_) | State::Backoff { .. } => {}
        }
    }

    /// Returns the next action for the driver task, once.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.action.take().or_else(|| self.drops.pop_front().map(Action::Drop))
    }

    /// Returns the next outcome of an order that will get no reply. Call this after each event.
    #[must_use]
    pub fn poll_outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    /// Returns the number of the next line.
    pub fn next_seq(&self) -> u64 {
        self.lines + 1
    }

    /// Returns when to call [`Link::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Disconnected | State::Connecting(_) => None,
            State::Backoff { until } => Some(*until),
            State::Open(open) => {
                let patience =
                    if open.unresponsive { self.config.link_timeout } else { self.config.reply_timeout };
                let overdue = open.waiting_since().map(|since| since + patience);
                let stop = self.unanswered_stop(open).map(|sent_at| sent_at + self.config.reply_timeout);
                [overdue, stop, self.poll_heartbeat_at()].into_iter().flatten().min()
            }
        }
    }

    /// Returns whether to send a heartbeat now, if there is no other line to send.
    #[must_use]
    pub fn poll_heartbeat(&self, now: Instant) -> bool {
        self.poll_heartbeat_at().is_some_and(|at| at <= now)
    }

    fn poll_heartbeat_at(&self) -> Option<Instant> {
        let (open, heartbeat) = (self.open()?, self.config.heartbeat?);
        // After a lost datagram, a heartbeat shows whether the controller is alive.
        let may_go = self.has_capacity() || self.config.role == Role::Udp;
        let can_receive = open.blocked_since.is_none() && !open.peers.all().is_empty();
        (may_go && can_receive).then_some(open.last_sent + heartbeat.period)
    }

    /// Returns whether a command may be sent now.
    pub fn can_send_command(&self) -> bool {
        self.has_capacity() && self.state() == LinkState::Connected
    }

    fn has_capacity(&self) -> bool {
        let has_room = |open: &Open| !open.unresponsive && open.in_flight.len() < self.config.max_in_flight;
        self.open().is_some_and(has_room)
    }

    /// Returns whether a stop may be sent now. A stop does not wait for late replies or for the
    /// limit of lines in flight, because the controller may still read lines. If
    /// [`Link::handle_blocked`] was called, a stop waits for [`Link::handle_writable`].
    pub fn can_send_stop(&self) -> bool {
        let takes_bytes = |open: &Open| open.blocked_since.is_none() || open.lags;
        self.open().is_some_and(|open| takes_bytes(open) && !open.peers.all().is_empty())
    }

    /// Returns whether the driver task must run: an action is pending, or the peer has stopped
    /// accepting bytes.
    pub fn wants_driver(&self) -> bool {
        self.action.is_some() || !self.drops.is_empty() || self.is_write_blocked()
    }

    /// Returns whether the driver task must still drop a connection or an attempt. Its events must
    /// not be used for the next connection, which may be with a different controller.
    pub fn is_superseded(&self) -> bool {
        self.action.is_some()
    }

    /// Returns whether lines are sent to this connection.
    pub fn has_peer(&self, id: PeerId) -> bool {
        self.peers().any(|peer| peer.id == id)
    }

    /// Returns whether a reply of this connection is missing.
    pub fn has_pending_reply(&self, id: PeerId) -> bool {
        let Some(open) = self.open() else { return false };
        let newest = open.in_flight.back().map(|line| line.seq);
        open.peers.get(id).zip(newest).is_some_and(|(peer, seq)| peer.lacks_reply_to(seq))
    }

    /// Returns the controllers that every line is sent to.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.open().into_iter().flat_map(|open| open.peers.all().iter())
    }

    fn open(&self) -> Option<&Open> {
        if let State::Open(open) = &self.state { Some(open) } else { None }
    }

    fn listens(&self) -> bool {
        matches!(self.config.role, Role::TcpServer { .. })
    }

    /// Returns the settings of the link.
    pub fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Returns whether the peer accepted no bytes at the last write, or its program lags.
    pub fn is_write_blocked(&self) -> bool {
        self.open().is_some_and(|open| open.blocked_since.is_some())
    }

    /// Returns the state, as published.
    pub fn state(&self) -> LinkState {
        match &self.state {
            State::Disconnected => LinkState::Disconnected,
            State::Connecting(_) => LinkState::Connecting,
            State::Open(open) if open.unresponsive => LinkState::Unresponsive,
            State::Open(_) if self.clients().is_some_and(|(have, wanted)| have < wanted) => {
                LinkState::Listening
            }
            State::Open(_) => LinkState::Connected,
            State::Backoff { .. } => LinkState::Backoff,
        }
    }

    /// Returns how many controllers are connected and how many are needed; `None` if the bridge
    /// connects to its controller.
    pub fn clients(&self) -> Option<(usize, usize)> {
        match self.config.role {
            Role::TcpServer { min_clients } => Some((self.peers().count(), min_clients)),
            Role::TcpClient | Role::Udp => None,
        }
    }

    /// Returns when the state last changed.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Returns the number of attempts since the link was last connected, the present one included.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the reason why the last connection or attempt ended, however long ago.
    pub fn last_error(&self) -> Option<&LinkError> {
        self.last_error_at().map(|(_, error)| error)
    }

    /// Returns the last error and its time.
    pub fn last_error_at(&self) -> Option<(Instant, &LinkError)> {
        self.last_error.as_ref().map(|(at, error)| (*at, error))
    }

    /// Returns the last error while it is still relevant. It is no longer relevant when the link
    /// has been connected for `link.timeout` after the error.
    pub fn standing_error(&self, now: Instant) -> Option<&LinkError> {
        let (at, error) = self.last_error_at()?;
        let healthy = now.saturating_duration_since(self.since.max(at));
        let over = self.state() == LinkState::Connected && healthy >= self.config.link_timeout;
        (!over).then_some(error)
    }

    /// Returns the stage of the present attempt to connect, if there is one.
    pub fn stage(&self) -> Option<Stage> {
        if let State::Connecting(stage) = self.state { Some(stage) } else { None }
    }

    /// Returns whether a reply is overdue. In this case a description of other input is useful.
    pub fn is_overdue(&self, now: Instant) -> bool {
        let oldest = self.open().and_then(|open| open.in_flight.front());
        oldest.is_some_and(|line| line.has_waited(now, self.config.reply_timeout))
    }

    /// Returns a description of the input that arrived instead of an overdue reply.
    pub fn instead(&self) -> Option<&str> {
        self.peers().find_map(Peer::instead)
    }

    /// Returns the time until the next attempt, during back-off.
    pub fn retry_in(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Backoff { until } => Some(until.saturating_duration_since(now)),
            _ => None,
        }
    }

    /// Returns the counts of lines and replies.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Returns the round-trip times.
    pub fn round_trips(&self) -> RoundTrips {
        self.round_trips.summary()
    }

    /// Records how a connection ended, and returns its error. If the controller ends one connection
    /// after the first reply, it may only have restarted. If it does so twice in a row, it probably
    /// closes the connection after every reply. `refusal` is the message of the first reply, if the
    /// reply was an error. In this case the controller rejects this client.
    fn note_ending(
        &mut self,
        after_first_reply: bool,
        refusal: Option<String>,
        error: LinkError,
    ) -> LinkError {
        if let Some(message) = refusal.filter(|_| after_first_reply) {
            self.ended_after_first_reply = false;
            return LinkError::ClientRefused { message };
        }
        let before = std::mem::replace(&mut self.ended_after_first_reply, after_first_reply);
        if before && after_first_reply { LinkError::AfterFirstReply(Box::new(error)) } else { error }
    }

    fn connect(&mut self, now: Instant) {
        self.attempts = self.attempts.saturating_add(1);
        self.enter(now, State::Connecting(Stage::Opening));
        self.action = Some(Action::Connect);
    }

    fn enter(&mut self, now: Instant, state: State) {
        self.state = state;
        self.since = now;
        // All connections end with this change.
        self.drops.clear();
        self.outcomes.clear();
    }

    fn note_change(&mut self, now: Instant, before: LinkState) {
        if self.state() != before {
            self.since = now;
        }
    }

    /// Returns when the oldest stop that waits for its reply was sent, if it may have been lost.
    fn unanswered_stop(&self, open: &Open) -> Option<Instant> {
        let stop = |line: &&InFlight| line.is_awaited_stop() && self.config.role == Role::Udp;
        open.in_flight.iter().find(stop).map(|line| line.sent_at)
    }

    /// Expires each stop whose reply did not come in time, so that the stop is sent again. A late
    /// reply to it only shows that the controller is alive.
    fn give_up_stops(&mut self, now: Instant) {
        let (State::Open(open), Role::Udp) = (&mut self.state, self.config.role) else { return };
        let timeout = self.config.reply_timeout;
        let is_overdue = |line: &&mut InFlight| line.is_awaited_stop() && line.has_waited(now, timeout);
        for stop in open.in_flight.iter_mut().filter(is_overdue) {
            stop.expired = true;
            self.outcomes.push_back(Outcome::Lost(Order::Stop));
        }
    }

    /// Drops every controller that is late with a reply, because the others must not wait for it
    /// any longer.
    fn drop_late(&mut self, now: Instant) {
        let timeout = self.config.reply_timeout;
        while let State::Open(open) = &self.state {
            let oldest = |peer: &Peer| open.in_flight.iter().find(|line| peer.lacks_reply_to(line.seq));
            let is_late = |peer: &&Peer| oldest(peer).is_some_and(|line| line.has_waited(now, timeout));
            let Some(peer) = open.peers.all().iter().find(is_late) else { return };
            let (id, instead) = (peer.id, peer.instead_of_silence());
            self.handle_ended(now, id, LinkError::Late { timeout, instead });
        }
    }
}

impl Open {
    /// Returns since when the link has waited for the peer.
    fn waiting_since(&self) -> Option<Instant> {
        let unanswered = self.in_flight.front().map(|oldest| oldest.sent_at);
        [unanswered, self.blocked_since].into_iter().flatten().min()
    }

    /// Takes the oldest line, if every peer has replied to it.
    fn take_complete(&mut self) -> Option<InFlight> {
        let oldest = self.in_flight.front()?;
        let is_complete = !self.peers.all().iter().any(|peer| peer.lacks_reply_to(oldest.seq));
        if is_complete { self.in_flight.pop_front() } else { None }
    }
}

impl InFlight {
    fn new(seq: u64, sent_at: Instant, order: Order) -> Self {
        Self { seq, sent_at, order, answered: false, refused: false, expired: false, misses_one: false }
    }

    /// Counts a line that all its receivers have replied to, and returns its outcome. If a
    /// controller has joined since, the replies to a heartbeat do not show the positions of all
    /// arms.
    fn outcome(&self, counters: &mut Counters) -> Outcome {
        match self.order {
            Order::Heartbeat if self.misses_one => Outcome::Partial(Order::Heartbeat),
            _ => counters.record(self.order, !self.refused),
        }
    }

    /// Returns whether the line was sent at least `limit` ago.
    fn has_waited(&self, now: Instant, limit: Duration) -> bool {
        now.saturating_duration_since(self.sent_at) >= limit
    }

    fn is_awaited_stop(&self) -> bool {
        self.order == Order::Stop && !self.expired
    }
}

/// Returns whether a peer ended its connection after exactly one reply.
fn ended_after_first_reply(peer: &Peer, error: &LinkError) -> bool {
    let by_peer = match error {
        LinkError::Closed => true,
        LinkError::Broken(error) => error.kind() == io::ErrorKind::ConnectionReset,
        _ => false,
    };
    by_peer && peer.replies == 1
}

/// Describes a datagram that replies to no line in flight.
fn unawaited(seq: Option<u64>) -> String {
    match seq {
        None => format!("a reply has come without \"seq\"; {}", advice::SEQ_OF_DATAGRAMS.remedy),
        Some(seq) => format!("a reply has come with \"seq\" {seq}, which no line waits for"),
    }
}
