//! What the lock guards: the coordinator, the connections, and the events that are to be published or logged.

use std::io;
use std::net::SocketAddr;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tracing::Level;

use super::arming_request::LastForbidden;
use super::connection::Connection;
use super::coordinator::{Coordinator, Outgoing, Sent};
use super::log::{Log, LogLine};
use super::notifier::Event;
use super::report::StatusKey;
use super::sleep::SleepWatch;
use crate::config::{ChangeError, Config};
use crate::link::{Action, Full, LinkError, PeerId, Role};
use crate::teleop::{InputFault, Motion, StopCause, Target, TeleopConfigError};
use crate::wire::{CommandEncoder, Incoming};

/// The state of the running bridge.
pub(super) struct State {
    /// What is in force.
    pub config: Config,
    pub coordinator: Coordinator,
    pub connections: Vec<Connection>,
    pub log: Log,
    sleep: SleepWatch,
    /// When motion was forbidden last.
    pub last_forbidden: LastForbidden,
    /// What is to be published and logged when the lock is free.
    pub pending_events: Vec<Event>,
    /// Until when [`drive`](super::drive) sleeps.
    sleeping_until: Option<Instant>,
    encoder: CommandEncoder,
    status_key: Option<StatusKey>,
    /// What became of a line at each connection; kept, like the next, to spare an allocation a command.
    written: Vec<(PeerId, io::Result<usize>)>,
    line: Vec<u8>,
}

impl State {
    pub fn new(config: &Config, now: Instant, sleep: SleepWatch) -> Self {
        let (teleop, link, peer) = (config.teleop.clone(), config.link.clone(), config.transport.peer());
        Self {
            config: config.clone(),
            coordinator: Coordinator::new(teleop, link, peer, now, fastrand::u64(..)),
            connections: Vec::new(),
            log: Log::new(config.link.link_timeout),
            sleep,
            last_forbidden: LastForbidden::default(),
            pending_events: Vec::new(),
            sleeping_until: None,
            encoder: CommandEncoder::new(&config.wire),
            status_key: None,
            written: Vec::new(),
            line: Vec::with_capacity(128),
        }
    }

    /// Handles an event: lets the machines see it, and writes what they want written. Returns also the time by then.
    pub fn apply<R>(&mut self, event: impl FnOnce(&mut Self, Instant) -> R) -> (R, Instant) {
        // Not before the lock, because the machines would go back in time after a wait for it.
        let now = now();
        if let Some(slept) = self.sleep.poll() {
            self.coordinator.handle_slept(now, slept);
        }
        // What was due before the event comes before it, whichever thread is late.
        self.pass_time(now);
        let result = event(self, now);
        // A first command may end the approach that the event began: both changes are to be seen.
        self.note_changes(now);
        (result, self.transmit(now))
    }

    /// Takes a sample of the target, or why a message was none.
    pub fn handle_target(&mut self, now: Instant, target: Result<Target, InputFault>) {
        if !self.coordinator.link.can_send_command() {
            // The driver may not have come to the reply that makes room.
            for index in 0..self.connections.len() {
                self.read_at(now, index);
            }
        }
        let teleop = &mut self.coordinator.teleop;
        let taken = match target {
            Ok(target) => teleop.handle_target(now, target),
            Err(fault) => {
                teleop.handle_invalid_target(now, fault.clone());
                Err(fault)
            }
        };
        if let Err(fault) = taken {
            self.log(LogLine::detail(Level::DEBUG, || format!("input refused fault={fault}")));
        }
    }

    /// Takes what the driver has to do, once. What belongs to this state is done already.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        let action = self.coordinator.link.poll_action()?;
        match action {
            Action::Drop(peer) => {
                self.connections.retain(|connection| connection.peer != peer);
                self.log_last_error(now, "controller gone");
            }
            Action::Connect | Action::Close => {
                self.connections.clear();
                self.encoder.forget_sent();
                self.coordinator.report.handle_arriving(0);
            }
        }
        Some(action)
    }

    /// Notes that a controller that has dialled in is not let in, for this reason.
    pub fn handle_refused(&mut self, now: Instant, address: SocketAddr, error: LinkError) {
        self.coordinator.link.handle_refused(now, address.to_string(), error);
        self.log_last_error(now, "refused");
    }

    /// Takes the connection of a controller that has dialled in.
    ///
    /// # Errors
    /// When there are as many as there can be, or the port is about to be closed.
    pub fn handle_joined(
        &mut self,
        now: Instant,
        address: SocketAddr,
        mut connection: Connection,
    ) -> Result<PeerId, Full> {
        connection.peer = self.coordinator.handle_joined(now, address.to_string())?;
        let peer = connection.peer;
        if self.connections.is_empty() {
            self.encoder.forget_sent();
        }
        self.connections.push(connection);
        Ok(peer)
    }

    /// Takes new parameters: all of them or none, between one command and the next.
    pub fn reconfigure(&mut self, now: Instant, config: &Config) -> Result<(), ReconfigureError> {
        let teleop = &self.coordinator.teleop;
        config.check_changes(&self.config, teleop.is_armed())?;
        let other_arm = config.may_be_another_arm(&self.config);
        if !other_arm {
            teleop.check_config(&config.teleop).map_err(|refused| {
                let changes = config.changes(&self.config);
                let wanted: Vec<_> = changes
                    .map(|changed| format!("'{}' to {}", changed.parameter.name, changed.after))
                    .collect();
                ReconfigureError::Motion { wanted: wanted.join(" and "), refused }
            })?;
        }
        let before = std::mem::replace(&mut self.config, config.clone());
        self.pending_events.push(Event::Config(Box::new(config.clone())));
        if config.needs_new_link(&before) {
            self.relink(now, other_arm);
        }
        self.coordinator.teleop.handle_config(now, config.teleop.clone());
        Ok(())
    }

    fn relink(&mut self, now: Instant, other_arm: bool) {
        let Config { transport, link, wire, .. } = &self.config;
        self.encoder = CommandEncoder::new(wire);
        self.connections.clear();
        // A new log, because a fault is logged again though the last connection had the same.
        self.log = Log::new(link.link_timeout);
        self.coordinator.handle_link_config(now, link.clone(), transport.peer(), other_arm);
        // Its name is published at once.
        self.pending_events.push(Event::Status(self.coordinator.status(now)));
    }

    /// Notes the status though nothing has changed, and the diagnostics if wanted.
    pub fn tick(&mut self, now: Instant, diagnostics: bool) {
        let status = self.coordinator.status(now);
        let line = self.log.settle(now, &status);
        self.log(line);
        if diagnostics {
            self.pending_events.push(Event::Diagnostics(status.clone()));
        }
        self.pending_events.push(Event::Status(status));
    }

    /// Adds lines to what is to be logged.
    pub fn log(&mut self, lines: impl IntoIterator<Item = LogLine>) {
        self.pending_events.extend(lines.into_iter().map(Event::Log));
    }

    fn log_last_error(&mut self, now: Instant, what: &str) {
        let error = self.coordinator.link.last_error();
        let line = error.and_then(|error| self.log.failed(now, what, error));
        self.log(line);
    }

    /// Lets time pass. What is found too late is too late: a reply, a target.
    fn pass_time(&mut self, now: Instant) {
        let link = &mut self.coordinator.link;
        if link.is_overdue(now) {
            for connection in &self.connections {
                link.handle_instead(connection.peer, connection.instead());
            }
        }
        self.coordinator.handle_timeout(now);
        self.note_changes(now);
    }

    /// Handles what this controller says, if it says anything.
    pub fn read_replies(&mut self, now: Instant, peer: PeerId) {
        if let Some(index) = self.connections.iter().position(|connection| connection.peer == peer) {
            self.read_at(now, index);
        }
    }

    /// Handles what this connection has brought.
    fn read_at(&mut self, now: Instant, index: usize) -> Read {
        let Self { connections, coordinator, pending_events, .. } = self;
        let connection = &mut connections[index];
        let (peer, read) = (connection.peer, connection.read_replies());
        if matches!(read, Ok(false)) && connection.heard.is_empty() && connection.log_lines.is_empty() {
            return Read::Nothing;
        }
        pending_events.extend(connection.log_lines.drain(..).map(Event::Log));
        for heard in connection.heard.drain(..) {
            let (known, state) = match heard {
                Incoming::Reply(reply) => (coordinator.handle_reply(now, peer, &reply), reply.state),
                Incoming::State(state) => (coordinator.handle_state(now, peer, &state), Some(state)),
            };
            pending_events.extend(state.filter(|_| known).map(Event::ArmState));
        }
        match read {
            Ok(true) => Read::More,
            Ok(false) => Read::Rest,
            Err(error) => {
                coordinator.handle_ended(now, peer, error);
                Read::Rest
            }
        }
    }

    /// Sends what is to be sent. Returns the time by then.
    fn transmit(&mut self, mut now: Instant) -> Instant {
        while let Some(outgoing) = self.coordinator.poll_transmit(now) {
            let outgoing = self.poll_after_reading(now, outgoing);
            if !outgoing.is_some_and(|outgoing| self.write(&mut now, &outgoing)) {
                self.note_changes(now);
                break;
            }
            self.pass_time(now);
        }
        if self.coordinator.handle_transmit_end() {
            self.note_changes(now);
        }
        now
    }

    /// Returns the line to send now, instead of `outgoing` if a controller has said something. Reads before, because an unasked
    /// answer must not pass for that to a later line. If a controller talks without end, only a stop does not wait, and what
    /// needs no answer.
    fn poll_after_reading(&mut self, now: Instant, outgoing: Outgoing) -> Option<Outgoing> {
        let mut came = false;
        let read_all = (0..self.connections.len()).all(|index| {
            (0..MAX_READS).any(|_| {
                let read = self.read_at(now, index);
                came |= read != Read::Nothing;
                read != Read::More
            })
        });
        let may_go =
            |outgoing: &Outgoing| read_all || !self.config.link.expect_reply || *outgoing == Outgoing::Stop;
        let outgoing = if came { self.coordinator.poll_transmit(now) } else { Some(outgoing) };
        outgoing.filter(may_go)
    }

    /// Writes a line to every connection, and moves `now` on to the time by then. Returns whether it was sent.
    fn write(&mut self, now: &mut Instant, outgoing: &Outgoing) -> bool {
        // The driver has yet to drop those that the link has given up.
        let link = &self.coordinator.link;
        self.connections.retain(|connection| link.has_peer(connection.peer));
        if self.connections.is_empty() {
            self.coordinator.handle_failed(*now, LinkError::Broken(io::ErrorKind::NotConnected.into()));
            return false;
        }
        let owes_nothing = |connection: &&mut Connection| !link.has_pending_reply(connection.peer);
        self.connections.iter_mut().filter(owes_nothing).for_each(Connection::note_asked);
        self.line.clear();
        #[allow(clippy::disallowed_methods)] // told to the controller; nothing here depends on it
        let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let told = self.coordinator.line(outgoing, stamp);
        self.encoder.encode_into(&told, &mut self.line);
        if self.waits_for_reader(outgoing) {
            self.coordinator.link.handle_lagging(*now);
            return false;
        }
        let write = |connection: &Connection| (connection.peer, connection.socket.try_write(&self.line));
        self.written.extend(self.connections.iter().map(write));
        // The system may have let it wait on its way; the next must not follow as if this one had gone at once.
        let begun = std::mem::replace(now, self::now());
        let Self { line, written, .. } = self;
        let trace = LogLine::detail(Level::TRACE, || {
            format!("sent line={} written={written:?}", String::from_utf8_lossy(line).trim_end())
        });
        let length = line.len();
        let sent = self.coordinator.handle_transmitted(begun, *now, outgoing, length, written.drain(..));
        self.log(trace);
        if let Some(Sent::Command(command)) = sent {
            self.encoder.note_sent(&told);
            self.pending_events.push(Event::Command(command));
        }
        sent.is_some()
    }

    /// Whether a command has to wait until the controller's program has read those before it. Where replies pace the
    /// commands they say so, and where several controllers take them one does not wait for the other.
    fn waits_for_reader(&self, outgoing: &Outgoing) -> bool {
        let (link, limit) = (&self.config.link, UNREAD_LINES * self.line.len());
        let unpaced = !link.expect_reply && link.role == Role::TcpClient;
        let is_command = matches!(outgoing, Outgoing::Command(_));
        unpaced && is_command && self.connections.iter().any(|connection| connection.socket.lags(limit))
    }

    /// Notes a status if it says more than that time has passed.
    fn note_changes(&mut self, now: Instant) {
        if !self.coordinator.log_lines.is_empty() {
            let lines = std::mem::take(&mut self.coordinator.log_lines);
            self.log(lines);
        }
        let key = self.coordinator.status_key(now);
        let before = self.status_key.replace(key);
        if before == Some(key) {
            return;
        }
        self.note_motion(now, before.map(|key| key.motion), key.motion);
        let status = self.coordinator.status(now);
        let lines = self.log.change(now, before, &status, self.coordinator.link.last_error());
        self.log(lines);
        self.pending_events.push(Event::Status(status));
    }

    /// Notes what follows from a change of what the bridge does with targets, beside what is published.
    fn note_motion(&mut self, now: Instant, before: Option<Motion>, motion: Motion) {
        self.last_forbidden.handle_motion(now, before, motion);
        let cause = self.coordinator.teleop.stop_cause();
        // What the last run has left is noted already.
        let is_news = !matches!(cause, Some(StopCause::Before(_)));
        if is_news && cause.is_some() != (before == Some(Motion::Stopped)) {
            self.pending_events.push(Event::Latched(cause.map(ToString::to_string)));
        }
    }

    /// Returns when [`drive`](super::drive) has to wake, once all is done that was due, and whether a line waits for room.
    pub fn prepare_sleep(&mut self, now: Instant) -> (Option<Instant>, bool) {
        self.sleeping_until = self.coordinator.poll_timeout(now);
        (self.sleeping_until, self.coordinator.link.is_write_blocked())
    }

    /// Whether [`drive`](super::drive) has to look before it wakes by itself.
    pub fn wants_driver(&self, now: Instant) -> bool {
        let earlier = match (self.coordinator.poll_timeout(now), self.sleeping_until) {
            (Some(next), Some(until)) => next < until,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        };
        earlier || self.coordinator.link.wants_driver()
    }
}

/// What a connection has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// Nothing.
    Nothing,
    /// Something, and there may be more.
    More,
    /// The rest, or the end of the connection.
    Rest,
}

/// Returns the time by the clock of the runtime, which a simulation may set.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Why a configuration cannot take the place of the one in force.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReconfigureError {
    /// A parameter may not change, or not now.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The arm stands against it.
    #[error("cannot set {wanted}: {refused}")]
    Motion {
        /// What was to change, with the new values.
        wanted: String,
        /// Why it cannot.
        refused: TeleopConfigError,
    },
}

/// How often a connection is read for a line that is to go out, some kilobytes at a time.
const MAX_READS: usize = 16;
/// How many lines may be unread before a command waits, where no reply paces them.
const UNREAD_LINES: usize = 4;
