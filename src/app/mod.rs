//! Joins ROS, teleoperation and link; owns the clock.
//!
//! A [`Bridge`] is a handle to the two machines and the connection, behind one lock that is held for microseconds. The
//! thread that takes a message from ROS handles it and writes the command to the socket itself, without waking
//! another; [`drive`] owns what takes time: connecting, reading replies, and the timers.

mod connection;
mod driver;
pub mod joint;
mod opening;
mod reconfigure;

pub use driver::{drive, drive_over};
pub use reconfigure::ReconfigureRefused;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use crate::config::Config;
use crate::link::{LinkState, PeerId, Socket};
use crate::status::{Observer, SentCommand, Status};
use crate::teleop::{GripperInput, InputFault, Refused, Target};
use crate::wire::{CommandEncoder, ReportedState};
use joint::{Face, Joint, Sent};

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
    /// What is in force.
    config: Config,
    joint: Joint,
    encoder: CommandEncoder,
    /// Where lines go.
    outlets: Vec<(PeerId, Arc<dyn Socket>)>,
    /// What became of a line at each outlet; kept to spare an allocation a command.
    written: Vec<(PeerId, io::Result<usize>)>,
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
    Config(Box<Config>),
}

impl Bridge {
    /// A bridge that will connect as soon as it is [driven](drive).
    pub fn new(config: &Config, observer: impl Observer + 'static) -> Self {
        let now = now();
        let peer = config.transport.peer();
        let joint = Joint::new(config.teleop.clone(), config.link.clone(), peer, now, fastrand::u64(..));
        let inner = Inner {
            config: config.clone(),
            joint,
            encoder: config.wire.encoder(),
            outlets: Vec::new(),
            written: Vec::new(),
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

    /// Takes note of who publishes input on the same topic, in words, when it is more than one.
    pub fn handle_senders(&self, several: Option<Arc<str>>) {
        self.with(|joint, now| joint.handle_senders(now, several));
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

    /// Ends motion, then the link. Nothing is sent after the return, and the last status has been observed.
    pub fn shut_down(&self) {
        self.with(|joint, now| joint.handle_shutdown(now));
        self.with(|joint, now| joint.handle_end(now));
    }

    /// Tells the status though nothing has changed, and the diagnostics every second time.
    fn tick(&self, diagnostics: bool) {
        let now = now();
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

    /// Handles an event: lets the machines see it, writes what they want written, tells what changed.
    fn with<R>(&self, event: impl FnOnce(&mut Joint, Instant) -> R) -> R {
        self.with_inner(|inner, now| event(&mut inner.joint, now))
    }

    fn with_inner<R>(&self, event: impl FnOnce(&mut Inner, Instant) -> R) -> R {
        let (result, wants_driver) = self.handle(event);
        if wants_driver {
            self.0.wake.notify_one();
        }
        result
    }

    /// What the driver does itself, which looks at everything afterwards: waking it for that would have it look for ever.
    fn driven<R>(&self, event: impl FnOnce(&mut Inner, Instant) -> R) -> R {
        self.handle(event).0
    }

    /// Returns also whether the driver has to look.
    fn handle<R>(&self, event: impl FnOnce(&mut Inner, Instant) -> R) -> (R, bool) {
        let now = now();
        let (result, wants_driver, news) = {
            let mut inner = self.lock();
            let result = event(&mut inner, now);
            // Twice, since a first command may end the approach that the event began: both are to be seen.
            inner.note_changes(now);
            inner.transmit(now);
            inner.note_changes(now);
            (result, inner.wants_driver(now), !inner.outbox.is_empty())
        };
        if news {
            self.tell();
        }
        (result, wants_driver)
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
                Event::Config(config) => observer.handle_config(&config),
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
        while let Some(outgoing) = self.joint.poll_transmit(now) {
            // The driver has yet to drop those that the link has given up.
            self.outlets.retain(|(peer, _)| self.joint.has_peer(*peer));
            self.line.clear();
            #[allow(clippy::disallowed_methods)] // told to the controller; nothing here depends on it
            let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.encoder.encode_into(&self.joint.line(&outgoing, stamp), &mut self.line);
            self.written
                .extend(self.outlets.iter().map(|(peer, outlet)| (*peer, outlet.try_write(&self.line))));
            if self.written.is_empty() {
                self.written.push((PeerId::ONLY, Err(io::ErrorKind::NotConnected.into())));
            }
            let Self { line, written, .. } = self;
            tracing::trace!(line = %String::from_utf8_lossy(line).trim_end(), ?written, "sent");
            match self.joint.handle_transmitted(now, &outgoing, line.len(), written.drain(..)) {
                Some(Sent::Command(command)) => self.outbox.push(Event::Command(command)),
                Some(Sent::Stop | Sent::Heartbeat) => {}
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
                LinkState::Listening => {
                    tracing::info!(peer = status.peer, "listening for controllers");
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

/// The clock: that of the runtime, which a simulation may set.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
