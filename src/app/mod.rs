#![allow(clippy::disallowed_methods)] // this is where the clock is owned
//! Joins ROS, teleoperation and link; owns the clock.
//!
//! A [`Bridge`] is a handle to the two machines and the connection, behind one lock that is held for microseconds. The
//! thread that takes a message from ROS handles it and writes the command to the socket itself, without waking
//! another; [`drive`] owns what takes time: connecting, reading replies, and the timers.

pub mod joint;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio_util::codec::Decoder;

use crate::config::Config;
use crate::link::{Action, LinkError, LinkState, Transport};
use crate::status::{Observer, SentCommand, Status};
use crate::teleop::{GripperInput, InputFault, Refused, Target};
use crate::wire::{CommandEncoder, Reply, ReplyDecoder, ReportedState, WireError, WireUnit};
use joint::{Face, Joint};

/// A handle to the running bridge. Cheap to clone; every method may be called from any thread.
#[derive(Clone)]
pub struct Bridge(Arc<Shared>);

struct Shared {
    inner: Mutex<Inner>,
    audience: Mutex<Audience>,
    /// Tells [`drive`] to look at deadlines and actions anew.
    wake: Notify,
}

struct Inner {
    joint: Joint,
    encoder: CommandEncoder,
    outlet: Option<Arc<OwnedWriteHalf>>,
    line: Vec<u8>,
    face: Option<Face>,
    last_error: String,
    outbox: Vec<Event>,
    /// Until when [`drive`] sleeps.
    sleeping_until: Option<Instant>,
}

/// Who is told, and the events that are being told; the vector goes back and forth to spare an allocation a command.
struct Audience {
    observer: Box<dyn Observer>,
    events: Vec<Event>,
}

enum Event {
    Command(SentCommand),
    Status(Status),
    Diagnostics(Status),
    ArmState(ReportedState),
}

impl Bridge {
    /// A bridge that will connect as soon as it is [driven](drive).
    pub fn new(config: &Config, observer: impl Observer + 'static) -> Self {
        let now = Instant::now();
        let peer = Transport::new(config.transport.clone()).peer();
        let joint = Joint::new(config.teleop.clone(), config.link.clone(), peer, now, fastrand::u64(..));
        let inner = Inner {
            joint,
            encoder: CommandEncoder::new(config.wire_unit),
            outlet: None,
            line: Vec::with_capacity(128),
            face: None,
            last_error: String::new(),
            outbox: Vec::new(),
            sleeping_until: None,
        };
        let audience = Audience { observer: Box::new(observer), events: Vec::new() };
        Self(Arc::new(Shared {
            inner: Mutex::new(inner),
            audience: Mutex::new(audience),
            wake: Notify::new(),
        }))
    }

    /// Takes a sample of the target, or why a message was none. A command that follows from it has been written to the
    /// socket on return.
    pub fn handle_target(&self, target: Result<Target, InputFault>) {
        if let Err(fault) = self.with(|joint, now| joint.handle_target(now, target)) {
            tracing::debug!(%fault, "input refused");
        }
    }

    /// Takes a sample of the gripper's input.
    pub fn handle_gripper(&self, input: GripperInput) {
        self.with(|joint, now| joint.handle_gripper(now, input));
    }

    /// A person allows or forbids motion. Returns a line for that person.
    ///
    /// # Errors
    /// When motion cannot be allowed now.
    pub fn set_armed(&self, armed: bool) -> Result<String, Refused> {
        self.with(|joint, now| joint.handle_set_armed(now, armed))
    }

    /// A person wants motion to end, until [`Bridge::reset`]. Nothing is sent after the return.
    pub fn stop(&self) {
        self.with(|joint, _| joint.handle_stop());
    }

    /// A person releases a stop. Returns whether one was latched.
    pub fn reset(&self) -> bool {
        self.with(|joint, _| joint.handle_reset())
    }

    /// A person asks for a new connection.
    pub fn reconnect(&self) {
        self.with(|joint, now| joint.handle_reconnect(now));
    }

    /// Ends motion and the link. Nothing is sent after the return, and the last status has been observed.
    pub fn shut_down(&self) {
        self.with(|joint, now| joint.handle_shutdown(now));
    }

    /// Handles an event: lets the machines see it, writes what they want written, tells what changed.
    fn with<R>(&self, event: impl FnOnce(&mut Joint, Instant) -> R) -> R {
        let now = Instant::now();
        let (result, wake, news) = {
            let mut inner = self.lock();
            let result = event(&mut inner.joint, now);
            // Twice, since a first command may end the approach that the event began: both are to be seen.
            inner.note_changes(now);
            inner.transmit(now);
            inner.note_changes(now);
            (result, inner.wants_driver(now), !inner.outbox.is_empty())
        };
        if wake {
            self.0.wake.notify_one();
        }
        if news {
            self.tell();
        }
        result
    }

    fn tell(&self) {
        let mut audience = self.0.audience.lock().unwrap_or_else(PoisonError::into_inner);
        let Audience { observer, events } = &mut *audience;
        // Taken under the audience's lock, so that events are told in their order.
        std::mem::swap(events, &mut self.lock().outbox);
        for event in events.drain(..) {
            match event {
                Event::Command(command) => observer.handle_command(&command),
                Event::Status(status) => observer.handle_status(&status),
                Event::Diagnostics(status) => observer.handle_diagnostics(&status),
                Event::ArmState(state) => observer.handle_arm_state(&state),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic elsewhere must not keep a stop request from being heard.
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn transmit(&mut self, now: Instant) {
        while let Some(planned) = self.joint.poll_transmit(now) {
            self.line.clear();
            self.encoder.encode_into(&planned.command, &mut self.line);
            let written = match &self.outlet {
                Some(outlet) => outlet.try_write(&self.line),
                None => Err(std::io::ErrorKind::NotConnected.into()),
            };
            tracing::trace!(line = %String::from_utf8_lossy(&self.line).trim_end(), ?written, "sent");
            match self.joint.handle_transmitted(now, &planned, self.line.len(), written) {
                Some(command) => self.outbox.push(Event::Command(command)),
                None => break,
            }
        }
    }

    fn note_changes(&mut self, now: Instant) {
        let face = self.joint.face(now);
        let before = self.face.replace(face);
        if before == Some(face) {
            return;
        }
        let status = self.joint.status(now);
        self.log_change(before, &status);
        self.outbox.push(Event::Status(status));
    }

    /// One line a change; a controller that stays away is told of once.
    fn log_change(&mut self, before: Option<Face>, status: &Status) {
        if before.map(|face| face.link) != Some(status.state) {
            let repeated = status.last_error == self.last_error;
            match status.state {
                LinkState::Connected => {
                    self.last_error.clear();
                    tracing::info!(peer = status.peer, "link up");
                }
                LinkState::Unresponsive => {
                    tracing::warn!(peer = status.peer, "link up, but the controller does not answer")
                }
                LinkState::Backoff if !repeated => {
                    self.last_error.clone_from(&status.last_error);
                    tracing::warn!(peer = status.peer, "link down: {}", status.last_error);
                }
                LinkState::Connecting if before.is_none() => tracing::info!(peer = status.peer, "connecting"),
                state => tracing::debug!(peer = status.peer, ?state, "link"),
            }
        }
        let motion = (status.motion, status.reason_kind);
        if before.map(|face| (face.motion, face.reason)) != Some(motion) {
            tracing::info!(motion = ?status.motion, "{}", status.reason);
        }
    }

    /// Whether [`drive`] has to look before it wakes by itself.
    fn wants_driver(&self, now: Instant) -> bool {
        let earlier = match (self.joint.poll_timeout(now), self.sleeping_until) {
            (Some(next), Some(until)) => next < until,
            (next, None) => next.is_some(),
            (None, Some(_)) => false,
        };
        earlier || self.joint.wants_driver()
    }
}

/// Owns the connection's life, its replies and the timers, until `shutdown` completes. Then nothing is sent any more,
/// and the last status has been told.
pub async fn drive(bridge: Bridge, config: &Config, shutdown: impl Future<Output = ()>) {
    let transport = Transport::new(config.transport.clone());
    let mut driver = Driver {
        bridge,
        unit: config.wire_unit,
        expect_reply: config.link.expect_reply,
        connection: None,
        attempt: None,
    };
    let mut shutdown = std::pin::pin!(shutdown);
    let mut ticks = tokio::time::interval(STATUS_PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut second = false;
    loop {
        driver.act(&transport);
        let (deadline, blocked) = driver.prepare_sleep();
        let Driver { bridge, connection, attempt, .. } = &mut driver;
        let woken = tokio::select! {
            biased;
            () = &mut shutdown => break,
            result = next(attempt) => Woken::Connected(result),
            woken = socket(connection, blocked) => woken,
            () = bridge.0.wake.notified() => Woken::Asked,
            () = sleep_until(deadline) => Woken::Timeout,
            _ = ticks.tick() => Woken::Tick,
        };
        match woken {
            Woken::Connected(result) => driver.handle_attempt(result),
            Woken::Read(result) => driver.handle_read(result),
            Woken::Writable => driver.bridge.with(|joint, now| joint.handle_writable(now)),
            Woken::Timeout => driver.bridge.with(|joint, now| joint.handle_timeout(now)),
            Woken::Asked => {}
            Woken::Tick => {
                driver.bridge.tick(second);
                second = !second;
            }
        }
    }
    driver.bridge.shut_down();
    driver.bridge.lock().outlet = None;
}

enum Woken {
    Connected(Result<TcpStream, LinkError>),
    Read(std::io::Result<usize>),
    Writable,
    Asked,
    Timeout,
    Tick,
}

struct Driver {
    bridge: Bridge,
    unit: WireUnit,
    expect_reply: bool,
    connection: Option<Connection>,
    attempt: Option<Attempt>,
}

type Attempt = Pin<Box<dyn Future<Output = Result<TcpStream, LinkError>> + Send>>;

struct Connection {
    reader: OwnedReadHalf,
    writer: Arc<OwnedWriteHalf>,
    buffer: BytesMut,
    decoder: ReplyDecoder,
}

impl Driver {
    /// Does what the link wants done.
    fn act(&mut self, transport: &Transport) {
        loop {
            let mut inner = self.bridge.lock();
            let Some(action) = inner.joint.poll_action() else { return };
            inner.outlet = None;
            self.connection = None;
            self.attempt = match action {
                Action::Connect => {
                    let transport = transport.clone();
                    Some(Box::pin(async move { transport.connect().await }))
                }
                Action::Close => None,
            };
        }
    }

    fn prepare_sleep(&mut self) -> (Option<Instant>, bool) {
        let mut inner = self.bridge.lock();
        inner.sleeping_until = inner.joint.poll_timeout(Instant::now());
        (inner.sleeping_until, inner.joint.is_blocked())
    }

    fn handle_attempt(&mut self, result: Result<TcpStream, LinkError>) {
        self.attempt = None;
        match result {
            Ok(stream) => {
                let (reader, writer) = stream.into_split();
                let writer = Arc::new(writer);
                self.connection = Some(Connection {
                    reader,
                    writer: Arc::clone(&writer),
                    buffer: BytesMut::with_capacity(READ_BUFFER),
                    decoder: ReplyDecoder::new(self.unit),
                });
                self.bridge.lock().outlet = Some(writer);
                self.bridge.with(|joint, now| joint.handle_connected(now));
            }
            Err(error) => self.bridge.with(|joint, now| joint.handle_failed(now, error)),
        }
    }

    /// Handles the replies in what has been read.
    fn handle_read(&mut self, result: std::io::Result<usize>) {
        let Some(connection) = &mut self.connection else { return };
        let mut replies = Vec::new();
        let ended = matches!(result, Ok(0));
        let end = match result {
            Ok(0) => connection.decode(&mut replies, ReplyDecoder::decode_eof).and(Err(LinkError::Closed)),
            Ok(_) => connection.decode(&mut replies, ReplyDecoder::decode),
            Err(error) => Err(LinkError::Broken(error)),
        };
        let end = match end {
            // What nobody waits for cannot be misunderstood.
            Err(LinkError::Wire(error)) if !self.expect_reply => {
                tracing::debug!(%error, "passed over");
                connection.buffer.clear();
                connection.decoder = ReplyDecoder::new(self.unit);
                if ended { Err(LinkError::Closed) } else { Ok(()) }
            }
            end => end,
        };
        let reported = replies.iter().filter_map(|reply| reply.state.clone()).map(Event::ArmState);
        self.bridge.lock().outbox.extend(reported);
        self.bridge.with(|joint, now| {
            for reply in &replies {
                joint.handle_reply(now, reply);
            }
            if let Err(error) = end {
                joint.handle_failed(now, error);
            }
        });
    }
}

impl Connection {
    fn decode(
        &mut self,
        replies: &mut Vec<Reply>,
        decode: fn(&mut ReplyDecoder, &mut BytesMut) -> Result<Option<Reply>, WireError>,
    ) -> Result<(), LinkError> {
        while let Some(reply) = decode(&mut self.decoder, &mut self.buffer)? {
            tracing::trace!(?reply, "received");
            replies.push(reply);
        }
        Ok(())
    }
}

impl Bridge {
    /// Tells the status though nothing has changed, and the diagnostics every second time.
    fn tick(&self, diagnostics: bool) {
        let now = Instant::now();
        {
            let mut inner = self.lock();
            let status = inner.joint.status(now);
            if diagnostics {
                inner.outbox.push(Event::Diagnostics(status.clone()));
            }
            inner.outbox.push(Event::Status(status));
        }
        self.tell();
    }
}

async fn next(attempt: &mut Option<Attempt>) -> Result<TcpStream, LinkError> {
    match attempt {
        Some(attempt) => attempt.await,
        None => std::future::pending().await,
    }
}

async fn socket(connection: &mut Option<Connection>, blocked: bool) -> Woken {
    let Some(Connection { reader, writer, buffer, .. }) = connection else {
        return std::future::pending().await;
    };
    buffer.reserve(READ_BUFFER);
    tokio::select! {
        biased;
        result = reader.read_buf(buffer) => Woken::Read(result),
        // An error shows itself on reading.
        _ = writer.writable(), if blocked => Woken::Writable,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// `LinkStatus` at 2 Hz, diagnostics at half of that.
const STATUS_PERIOD: Duration = Duration::from_millis(500);
const READ_BUFFER: usize = 4096;
