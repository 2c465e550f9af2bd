//! The link's machine: when to connect, when to give up, and which reply answers which line.

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
    /// Resolving the name and opening the connection.
    Connecting,
    /// Connected; what was asked has been answered in time.
    Connected,
    /// Connected; an answer is overdue.
    Unresponsive,
    /// Waiting before the next attempt.
    Backoff,
    /// Waiting for controllers to connect: fewer than `link.min_clients` have.
    Listening,
}

/// How far an attempt to connect has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The name is resolved, the connection opened, encrypted where that is asked for; or the port opened.
    Opening,
    /// The controller has yet to say its greeting.
    Banner {
        /// How many lines of it have come.
        heard: u32,
        /// `link.banner_lines`.
        wanted: u32,
    },
    /// The controller has yet to answer the hello.
    Auth,
}

/// What the driver has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Drop what there was, open a connection or a port, and call [`Link::handle_connected`] or [`Link::handle_failed`].
    Connect,
    /// Drop all connections, or the attempt.
    Close,
    /// Drop this connection of several.
    Drop(PeerId),
}

/// The link machine. Events and `now` in by `handle_*`, [`Link::poll_action`] and [`Link::poll_timeout`] out.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    state: State,
    since: Instant,
    /// Failures since a connection that lived.
    failures: u32,
    /// Attempts since the last time the link was connected.
    attempts: u32,
    last_error: Option<(Instant, LinkError)>,
    /// The last connection was ended by its peer after the first reply.
    ended_after_first_reply: bool,
    action: Option<Action>,
    /// Connections to be dropped.
    drops: VecDeque<PeerId>,
    /// What has become of orders without a reply of their own.
    outcomes: VecDeque<Outcome>,
    /// The lines sent since start.
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

/// A connection, or a port that listens for some.
#[derive(Debug)]
struct Open {
    since: Instant,
    peers: Peers,
    in_flight: VecDeque<InFlight>,
    /// When the last line was sent; at first, when the connection was there.
    spoken: Instant,
    /// Since when the peer has taken no bytes.
    blocked_since: Option<Instant>,
    /// It is only the controller's program that does not read: its system takes bytes.
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
    /// Whether a peer has answered it.
    answered: bool,
    /// Whether a peer has refused it.
    refused: bool,
    /// Whether this is a stop that was given up, because it was not answered in time.
    expired: bool,
    /// Whether a controller has joined since, which was not sent this line.
    misses_one: bool,
}

impl Link {
    /// A link that wants to connect. `seed` picks the jitter of the back-off.
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

    /// The connection is there; or the port that listens for some.
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
            spoken: now,
            blocked_since: None,
            lags: false,
            unresponsive: false,
            answered: false,
        };
        self.enter(now, State::Open(open));
    }

    /// The attempt has come so far.
    pub fn handle_stage(&mut self, stage: Stage) {
        if let State::Connecting(reached) = &mut self.state {
            *reached = stage;
        }
    }

    /// A controller that wanted to connect to the port that listens was not let in, for this reason.
    pub fn handle_refused(&mut self, now: Instant, name: String, error: LinkError) {
        if matches!(self.state, State::Open(_)) {
            self.last_error = Some((now, LinkError::Client { name, error: Box::new(error) }));
        }
    }

    /// What has come from this peer since its last reply, in words, if anything has. Tell it while a reply is overdue.
    pub fn handle_instead(&mut self, peer: PeerId, instead: Option<String>) {
        let State::Open(open) = &mut self.state else { return };
        if let Some(peer) = open.peers.get_mut(peer) {
            peer.instead = instead;
        }
    }

    /// A controller has connected to the port that listens.
    ///
    /// # Errors
    /// When there are as many as there can be.
    pub fn handle_joined(&mut self, now: Instant, name: String) -> Result<PeerId, Full> {
        let before = self.state();
        let State::Open(open) = &mut self.state else { return Err(Full) };
        let id = open.peers.join(name, self.lines)?;
        open.in_flight.iter_mut().for_each(|line| line.misses_one = true);
        if open.peers.all().len() == 1 {
            // The period of the heartbeat begins with the first controller.
            open.spoken = now;
        }
        self.note_change(now, before);
        Ok(id)
    }

    /// The attempt failed, or the connection ended, for this reason; or the port listens no more.
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

    /// The connection with this peer ended, or has to. Where controllers dial in, the others stay.
    pub fn handle_ended(&mut self, now: Instant, peer: PeerId, error: LinkError) {
        if !self.listens() {
            return self.handle_failed(now, error);
        }
        let before = self.state();
        let State::Open(open) = &mut self.state else { return };
        let Some(peer) = open.peers.leave(peer) else { return };
        let after_first_reply = ended_after_first_reply(&peer, &error);
        let Peer { id, name, first_refusal, .. } = peer;
        // What all others have answered is complete now; what went to no other is lost.
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

    /// Takes a reply of this peer. Unless its outcome [is an answer](Outcome::is_answer), believe nothing that it says.
    pub fn handle_reply(&mut self, now: Instant, id: PeerId, reply: &Reply) -> Outcome {
        let State::Open(open) = &mut self.state else { return Outcome::Unsolicited };
        let Some(peer) = open.peers.get_mut(id) else { return Outcome::Unsolicited };
        if !self.config.expect_reply {
            return Outcome::Ignored;
        }
        if self.config.role == Role::Udp {
            // Datagrams get lost and overtake each other: only the number tells which line this one answers.
            let Some(answered) = open.in_flight.iter().position(|line| Some(line.seq) == reply.seq) else {
                peer.late = Some(unawaited(reply.seq));
                return Outcome::Late;
            };
            for line in open.in_flight.drain(..answered) {
                self.counters.lost += 1;
                // An expired stop has been counted as lost already.
                self.outcomes.extend((!line.expired).then_some(Outcome::Lost(line.order)));
            }
        }
        let Some(line) = open.in_flight.iter_mut().find(|line| peer.owes(line.seq)) else {
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

    /// A line has been handed to every connection, whole.
    pub fn handle_sent(&mut self, now: Instant, order: Order) {
        let State::Open(open) = &mut self.state else { return };
        self.lines += 1;
        open.spoken = now;
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

    /// A line was offered to the connection, which took none of it: the peer does not read.
    pub fn handle_blocked(&mut self, now: Instant) {
        if let State::Open(open) = &mut self.state {
            open.blocked_since.get_or_insert(now);
            open.lags = false;
        }
    }

    /// A command waits, because the controller's program has yet to read those before it.
    pub fn handle_lagging(&mut self, now: Instant) {
        if let State::Open(open) = &mut self.state {
            open.lags |= open.blocked_since.is_none();
            open.blocked_since.get_or_insert(now);
        }
    }

    /// The peer takes bytes again.
    pub fn handle_writable(&mut self, now: Instant) {
        if let State::Open(open) = &mut self.state {
            (open.blocked_since, open.lags) = (None, false);
        }
        self.handle_timeout(now);
    }

    /// A person asks for a new connection, now.
    pub fn handle_reconnect(&mut self, now: Instant) {
        self.reconnect(now, LinkError::Requested);
    }

    /// The computer has slept for so long: the connection may be dead, or the controller another one.
    pub fn handle_slept(&mut self, now: Instant, slept: Duration) {
        self.reconnect(now, LinkError::ComputerSlept { slept });
    }

    /// Opens a new connection, now, for this reason.
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

    /// Takes new settings, and connects anew by them. What has been counted stays.
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

    /// The bridge ends.
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.enter(now, State::Disconnected);
        self.action = Some(Action::Close);
    }

    /// Lets time pass: the one place where time changes the state. Call it no later than [`Link::poll_timeout`] says.
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

    /// What the driver has to do, once.
    #[must_use]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.action.take().or_else(|| self.drops.pop_front().map(Action::Drop))
    }

    /// What has become of an order that has no reply of its own. Ask for it after each event.
    #[must_use]
    pub fn poll_outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    /// The number of the next line.
    pub fn next_seq(&self) -> u64 {
        self.lines + 1
    }

    /// When to call [`Link::handle_timeout`] at the latest.
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

    /// Whether a heartbeat is to be sent now, unless there is something else to say.
    #[must_use]
    pub fn poll_heartbeat(&self, now: Instant) -> bool {
        self.poll_heartbeat_at().is_some_and(|at| at <= now)
    }

    fn poll_heartbeat_at(&self) -> Option<Instant> {
        let (open, heartbeat) = (self.open()?, self.config.heartbeat?);
        // After a datagram was lost it is a heartbeat that finds out whether the controller is there.
        let may_go = self.has_capacity() || self.config.role == Role::Udp;
        let is_heard = open.blocked_since.is_none() && !open.peers.all().is_empty();
        (may_go && is_heard).then_some(open.spoken + heartbeat.period)
    }

    /// Whether a command may be handed to the connection now.
    pub fn can_send_command(&self) -> bool {
        self.has_capacity() && self.state() == LinkState::Connected
    }

    fn has_capacity(&self) -> bool {
        let has_room = |open: &Open| !open.unresponsive && open.in_flight.len() < self.config.max_in_flight;
        self.open().is_some_and(has_room)
    }

    /// Whether a stop may be handed to the connection now. It waits neither for room nor for late answers, because the
    /// controller may be reading; only, after [`Link::handle_blocked`], for [`Link::handle_writable`].
    pub fn can_send_stop(&self) -> bool {
        let takes_bytes = |open: &Open| open.blocked_since.is_none() || open.lags;
        self.open().is_some_and(|open| takes_bytes(open) && !open.peers.all().is_empty())
    }

    /// Whether the driver has to look: an action is pending, or the peer has stopped taking bytes.
    pub fn wants_driver(&self) -> bool {
        self.action.is_some() || !self.drops.is_empty() || self.is_write_blocked()
    }

    /// Whether the driver has yet to drop a connection or an attempt. What comes of it must not be taken for the next one,
    /// which may be with another controller.
    pub fn is_superseded(&self) -> bool {
        self.action.is_some()
    }

    /// Whether this connection is one that lines go to.
    pub fn has_peer(&self, id: PeerId) -> bool {
        self.peers().any(|peer| peer.id == id)
    }

    /// Whether this connection has yet to answer a line.
    pub fn has_pending_reply(&self, id: PeerId) -> bool {
        let Some(open) = self.open() else { return false };
        let newest = open.in_flight.back().map(|line| line.seq);
        open.peers.get(id).zip(newest).is_some_and(|(peer, seq)| peer.owes(seq))
    }

    /// Those that every line goes to.
    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.open().into_iter().flat_map(|open| open.peers.all().iter())
    }

    fn open(&self) -> Option<&Open> {
        if let State::Open(open) = &self.state { Some(open) } else { None }
    }

    fn listens(&self) -> bool {
        matches!(self.config.role, Role::TcpServer { .. })
    }

    /// Returns what the link is set to.
    pub fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Whether the peer refused to take bytes when last offered a line.
    pub fn is_write_blocked(&self) -> bool {
        self.open().is_some_and(|open| open.blocked_since.is_some())
    }

    /// The state, as published.
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

    /// How many controllers have connected, and how many are wanted, where they dial in.
    pub fn clients(&self) -> Option<(usize, usize)> {
        match self.config.role {
            Role::TcpServer { min_clients } => Some((self.peers().count(), min_clients)),
            Role::TcpClient | Role::Udp => None,
        }
    }

    /// When the state last changed.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Attempts since the link was last connected, the present one included.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Why the last connection, or attempt, ended, however long ago.
    pub fn last_error(&self) -> Option<&LinkError> {
        self.last_error_at().map(|(_, error)| error)
    }

    /// The same, and when that was.
    pub fn last_error_at(&self) -> Option<(Instant, &LinkError)> {
        self.last_error.as_ref().map(|(at, error)| (*at, error))
    }

    /// The same while it still says something of the present: until the link has been connected for `link.timeout` since.
    pub fn standing_error(&self, now: Instant) -> Option<&LinkError> {
        let (at, error) = self.last_error_at()?;
        let healthy = now.saturating_duration_since(self.since.max(at));
        let over = self.state() == LinkState::Connected && healthy >= self.config.link_timeout;
        (!over).then_some(error)
    }

    /// How far the present attempt to connect has come, if there is one.
    pub fn stage(&self) -> Option<Stage> {
        if let State::Connecting(stage) = self.state { Some(stage) } else { None }
    }

    /// Whether a reply is overdue. Then it matters what has come instead.
    pub fn is_overdue(&self, now: Instant) -> bool {
        let oldest = self.open().and_then(|open| open.in_flight.front());
        oldest.is_some_and(|line| line.has_waited(now, self.config.reply_timeout))
    }

    /// What has come instead of a reply that is overdue, in words.
    pub fn instead(&self) -> Option<&str> {
        self.peers().find_map(Peer::instead)
    }

    /// How long until the next attempt, while backing off.
    pub fn retry_in(&self, now: Instant) -> Option<Duration> {
        match self.state {
            State::Backoff { until } => Some(until.saturating_duration_since(now)),
            _ => None,
        }
    }

    /// What has been exchanged.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// How long replies take.
    pub fn round_trips(&self) -> RoundTrips {
        self.round_trips.summary()
    }

    /// Notes how a connection ended, and returns its error. A controller that is restarted may close after a first reply once,
    /// and one that closes after each reply does so twice in a row.
    /// `refusal` is what that reply said, if it was an error: that client is not wanted.
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
        // All connections go with what follows.
        self.drops.clear();
        self.outcomes.clear();
    }

    fn note_change(&mut self, now: Instant, before: LinkState) {
        if self.state() != before {
            self.since = now;
        }
    }

    /// When the oldest stop that waits for its reply was sent, where it may have got lost.
    fn unanswered_stop(&self, open: &Open) -> Option<Instant> {
        let stop = |line: &&InFlight| line.is_awaited_stop() && self.config.role == Role::Udp;
        open.in_flight.iter().find(stop).map(|line| line.sent_at)
    }

    /// Gives up each stop that is not answered in time, so that it is sent again. A late reply to it is a sign of life.
    fn give_up_stops(&mut self, now: Instant) {
        let (State::Open(open), Role::Udp) = (&mut self.state, self.config.role) else { return };
        let timeout = self.config.reply_timeout;
        let is_overdue = |line: &&mut InFlight| line.is_awaited_stop() && line.has_waited(now, timeout);
        for stop in open.in_flight.iter_mut().filter(is_overdue) {
            stop.expired = true;
            self.outcomes.push_back(Outcome::Lost(Order::Stop));
        }
    }

    /// Drops every controller that is late with a reply: the others do not wait for it any longer.
    fn drop_late(&mut self, now: Instant) {
        let timeout = self.config.reply_timeout;
        while let State::Open(open) = &self.state {
            let oldest = |peer: &Peer| open.in_flight.iter().find(|line| peer.owes(line.seq));
            let is_late = |peer: &&Peer| oldest(peer).is_some_and(|line| line.has_waited(now, timeout));
            let Some(peer) = open.peers.all().iter().find(is_late) else { return };
            let (id, instead) = (peer.id, peer.instead_of_silence());
            self.handle_ended(now, id, LinkError::Late { timeout, instead });
        }
    }
}

impl Open {
    /// Since when something has been awaited from the peer.
    fn waiting_since(&self) -> Option<Instant> {
        let unanswered = self.in_flight.front().map(|oldest| oldest.sent_at);
        [unanswered, self.blocked_since].into_iter().flatten().min()
    }

    /// Takes the oldest line, if every peer has answered it.
    fn take_complete(&mut self) -> Option<InFlight> {
        let oldest = self.in_flight.front()?;
        let is_complete = !self.peers.all().iter().any(|peer| peer.owes(oldest.seq));
        if is_complete { self.in_flight.pop_front() } else { None }
    }
}

impl InFlight {
    fn new(seq: u64, sent_at: Instant, order: Order) -> Self {
        Self { seq, sent_at, order, answered: false, refused: false, expired: false, misses_one: false }
    }

    /// Counts it, because all who were sent it have answered, and returns what that means. If a controller has joined since, a
    /// heartbeat says nothing of where all arms are.
    fn outcome(&self, counters: &mut Counters) -> Outcome {
        match self.order {
            Order::Heartbeat if self.misses_one => Outcome::Partial(Order::Heartbeat),
            _ => counters.record(self.order, !self.refused),
        }
    }

    /// Whether it was sent this long ago, or longer.
    fn has_waited(&self, now: Instant, limit: Duration) -> bool {
        now.saturating_duration_since(self.sent_at) >= limit
    }

    fn is_awaited_stop(&self) -> bool {
        self.order == Order::Stop && !self.expired
    }
}

/// Whether a peer has ended its connection when it had answered one line.
fn ended_after_first_reply(peer: &Peer, error: &LinkError) -> bool {
    let by_peer = match error {
        LinkError::Closed => true,
        LinkError::Broken(error) => error.kind() == io::ErrorKind::ConnectionReset,
        _ => false,
    };
    by_peer && peer.replies == 1
}

/// A datagram with this number answers no line.
fn unawaited(seq: Option<u64>) -> String {
    match seq {
        None => format!("a reply has come without \"seq\"; {}", advice::SEQ_OF_DATAGRAMS.remedy),
        Some(seq) => format!("a reply has come with \"seq\" {seq}, which no line waits for"),
    }
}
