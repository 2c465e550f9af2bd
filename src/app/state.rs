//! The data behind the lock: the coordinator, the connections, and the events to publish or log.

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
    /// The configuration in force.
    pub config: Config,
    pub coordinator: Coordinator,
    pub connections: Vec<Connection>,
    pub log: Log,
    sleep: SleepWatch,
    /// The last event that forbade motion.
    pub last_forbidden: LastForbidden,
    /// The events to publish and log when the lock is free.
    pub pending_events: Vec<Event>,
    /// Until when [`drive`](super::drive) sleeps.
    sleeping_until: Option<Instant>,
    encoder: CommandEncoder,
    status_key: Option<StatusKey>,
    /// The results of writing a line to each connection. Kept, like `line`, to save one allocation
    /// for each command.
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

    /// Applies an event: passes it to the state machines, and writes the lines that result. Also
    /// returns the time after the writes.
    pub fn apply<R>(&mut self, event: impl FnOnce(&mut Self, Instant) -> R) -> (R, Instant) {
        // Read the clock after taking the lock, so that time never goes back for the state
        // machines.
        let now = now();
        if let Some(slept) = self.sleep.poll() {
            self.coordinator.handle_slept(now, slept);
        }
        // Run expired timeouts before the event, because the ROS thread or the driver's thread may
        // be late.
        self.pass_time(now);
        let result = event(self, now);
        // Record this change now. The first command may end the approach that the event started,
        // and both changes must be published.
        self.note_changes(now);
        (result, self.transmit(now))
    }

    /// Handles a target, or the fault of a message without a valid target.
    pub fn handle_target(&mut self, now: Instant, target: Result<Target, InputFault>) {
        if !self.coordinator.link.can_send_command() {
            // The reply that allows the next command may have arrived, but the driver task may not
            // have read it yet.
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
            self.log(LogLine::detail(Level::DEBUG, || format!("input rejected fault={fault}")));
        }
    }

    /// Returns the next action for the driver task, once. This function has already removed the
    /// connections that the action drops.
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

    /// Records that the connection of a controller was rejected, with the reason.
    pub fn handle_refused(&mut self, now: Instant, address: SocketAddr, error: LinkError) {
        self.coordinator.link.handle_refused(now, address.to_string(), error);
        self.log_last_error(now, "refused");
    }

    /// Adds the connection of a controller that has connected to the bridge's port.
    ///
    /// # Errors
    /// The maximum number of controllers is connected, or the port is about to be closed.
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

    /// Applies new parameters, all or none, between two commands.
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
        // Start a new log, so that a fault is logged again even if the last connection had the same
        // fault.
        self.log = Log::new(link.link_timeout);
        self.coordinator.handle_link_config(now, link.clone(), transport.peer(), other_arm);
        // Publish the name of the new peer immediately.
        self.pending_events.push(Event::Status(self.coordinator.status(now)));
    }

    /// Publishes the status even if nothing has changed, and the diagnostics if `diagnostics` is
    /// set.
    pub fn tick(&mut self, now: Instant, diagnostics: bool) {
        let status = self.coordinator.status(now);
        let line = self.log.settle(now, &status);
        self.log(line);
        if diagnostics {
            self.pending_events.push(Event::Diagnostics(status.clone()));
        }
        self.pending_events.push(Event::Status(status));
    }

    /// Adds lines to the log events.
    pub fn log(&mut self, lines: impl IntoIterator<Item = LogLine>) {
        self.pending_events.extend(lines.into_iter().map(Event::Log));
    }

    fn log_last_error(&mut self, now: Instant, what: &str) {
        let error = self.coordinator.link.last_error();
        let line = error.and_then(|error| self.log.failed(now, what, error));
        self.log(line);
    }

    /// Runs expired timeouts. A reply or a target that is read after its timeout counts as late.
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

    /// Reads and handles the pending input of this controller.
    pub fn read_replies(&mut self, now: Instant, peer: PeerId) {
        if let Some(index) = self.connections.iter().position(|connection| connection.peer == peer) {
            self.read_at(now, index);
        }
    }

    /// Reads and handles the pending input of this connection.
    fn read_at(&mut self, now: Instant, index: usize) -> Read {
        let Self { connections, coordinator, pending_events, .. } = self;
        let connection = &mut connections[index];
        let (peer, read) = (connection.peer, connection.read_replies());
        if matches!(read, Ok(false)) && connection.received.is_empty() && connection.log_lines.is_empty() {
            return Read::Nothing;
        }
        pending_events.extend(connection.log_lines.drain(..).map(Event::Log));
        for message in connection.received.drain(..) {
            let (known, state) = match message {
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

    /// Sends all lines that can be sent now. Returns the time after that.
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

    /// Reads all pending replies, and returns the line to send now. After a reply, this may be
    /// another line than `outgoing`, or no line. The function reads first, so that an unsolicited
    /// reply is not matched to a later line. If a controller sends without pause, some input is
    /// still unread. Then only a stop line is sent, or any line if no replies are expected.
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

    /// Writes a line to every connection, and sets `now` to the time after that. Returns whether
    /// the line was sent.
    fn write(&mut self, now: &mut Instant, outgoing: &Outgoing) -> bool {
        // Close the connections that the link has dropped and the driver task has not closed yet.
        let link = &self.coordinator.link;
        self.connections.retain(|connection| link.has_peer(connection.peer));
        if self.connections.is_empty() {
            self.coordinator.handle_failed(*now, LinkError::Broken(io::ErrorKind::NotConnected.into()));
            return false;
        }
        let has_all_replies = |connection: &&mut Connection| !link.has_pending_reply(connection.peer);
        self.connections.iter_mut().filter(has_all_replies).for_each(Connection::note_asked);
        self.line.clear();
        #[allow(clippy::disallowed_methods)] // sent to the controller; nothing here depends on it
        let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let content = self.coordinator.line(outgoing, stamp);
        self.encoder.encode_into(&content, &mut self.line);
        if self.waits_for_reader(outgoing) {
            self.coordinator.link.handle_lagging(*now);
            return false;
        }
        let write = |connection: &Connection| (connection.peer, connection.socket.try_write(&self.line));
        self.written.extend(self.connections.iter().map(write));
        // The system may have suspended this thread during the write. With the new time, the next
        // line keeps its distance from this one.
        let begun = std::mem::replace(now, self::now());
        let Self { line, written, .. } = self;
        let trace = LogLine::detail(Level::TRACE, || {
            format!("sent line={} written={written:?}", String::from_utf8_lossy(line).trim_end())
        });
        let length = line.len();
        let sent = self.coordinator.handle_transmitted(begun, *now, outgoing, length, written.drain(..));
        self.log(trace);
        if let Some(Sent::Command(command)) = sent {
            self.encoder.note_sent(&content);
            self.pending_events.push(Event::Command(command));
        }
        sent.is_some()
    }

    /// Returns whether a command must wait until the controller's program has read the commands
    /// before it. This applies only to one controller over TCP without expected replies. Expected
    /// replies pace the commands by themselves. If controllers connect to the bridge, no controller
    /// waits for another one.
    fn waits_for_reader(&self, outgoing: &Outgoing) -> bool {
        let (link, limit) = (&self.config.link, UNREAD_LINES * self.line.len());
        let unpaced = !link.expect_reply && link.role == Role::TcpClient;
        let is_command = matches!(outgoing, Outgoing::Command(_));
        unpaced && is_command && self.connections.iter().any(|connection| connection.socket.lags(limit))
    }

    /// Publishes and logs the status if its key ([`StatusKey`]) has changed.
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

    /// Records the other effects of a change of the motion state: on earlier requests, and on the
    /// state file.
    fn note_motion(&mut self, now: Instant, before: Option<Motion>, motion: Motion) {
        self.last_forbidden.handle_motion(now, before, motion);
        let cause = self.coordinator.teleop.stop_cause();
        // A stop from the last run is already recorded.
        let is_news = !matches!(cause, Some(StopCause::Before(_)));
        if is_news && cause.is_some() != (before == Some(Motion::Stopped)) {
            self.pending_events.push(Event::Latched(cause.map(ToString::to_string)));
        }
    }

    /// Returns when [`drive`](super::drive) must wake. Also returns whether a line waits for space
    /// in a send buffer or for the controller's program. Call this after all due work is done.
    pub fn prepare_sleep(&mut self, now: Instant) -> (Option<Instant>, bool) {
        self.sleeping_until = self.coordinator.poll_timeout(now);
        (self.sleeping_until, self.coordinator.link.is_write_blocked())
    }

    /// Returns whether [`drive`](super::drive) must run before its own wake time.
    pub fn wants_driver(&self, now: Instant) -> bool {
        let earlier = match (self.coordinator.poll_timeout(now), self.sleeping_until) {
            (Some(next), Some(until)) => next < until,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        };
        earlier || self.coordinator.link.wants_driver()
    }
}

/// The result of reading a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    /// No input.
    Nothing,
    /// Some input, and more may be pending.
    More,
    /// The last pending input, or the end of the connection.
    Rest,
}

/// Returns the time by the clock of the runtime, which a simulation may set.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Why a new configuration cannot be applied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReconfigureError {
    /// A parameter can never change, or cannot change now.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The state of the arm does not allow the change.
    #[error("cannot set {wanted}: {refused}")]
    Motion {
        /// The parameters to change, with their new values.
        wanted: String,
        /// The reason of the rejection.
        refused: TeleopConfigError,
    },
}

/// How many times a connection is read before a line is sent, up to 4096 bytes each time.
const MAX_READS: usize = 16;
/// How many lines may be unread before a command waits, if no replies pace the commands.
const UNREAD_LINES: usize = 4;
