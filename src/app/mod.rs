//! Joins ROS, teleoperation and link; owns the clock.
//!
//! A [`Bridge`] is a handle to the two machines and the connections, behind one lock that is held for microseconds. The
//! thread that takes a message from ROS handles it and writes the command to the socket itself, without waking
//! another, once it has heard what the controller has said by then; [`drive`] owns what takes time: connecting, waiting
//! for what controllers say, and the timers. Either thread may be late, so time passes for the machines before each event.

mod connection;
mod driver;
pub mod joint;
mod log;
mod opening;
mod reconfigure;
mod repeats;

pub use driver::{drive, drive_over};
pub use reconfigure::ReconfigureRefused;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

use crate::arm::ReportedState;
use crate::config::Config;
use crate::link::PeerId;
use crate::status::{Observer, SentCommand, Status};
use crate::teleop::{GraphNews, GripperInput, InputFault, Refused, Target};
use crate::wire::{CommandEncoder, Heard};
use connection::Connection;
use joint::{Face, Joint, Outgoing, Sent};
use log::{Line, Log};

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
    connections: Vec<Connection>,
    /// What has been heard and not yet handled; kept, like the next two, to spare an allocation a command.
    heard: Vec<Heard>,
    /// What became of a line at each connection.
    written: Vec<(PeerId, io::Result<usize>)>,
    line: Vec<u8>,
    face: Option<Face>,
    log: Log,
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
            connections: Vec::new(),
            heard: Vec::new(),
            written: Vec::new(),
            line: Vec::with_capacity(128),
            face: None,
            log: Log::new(config.link.link_timeout),
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
        let taken = self.with_inner(|inner, now| {
            if !inner.joint.can_send_command() {
                inner.listen_to_all(now);
            }
            inner.joint.handle_target(now, target)
        });
        if let Err(fault) = taken {
            tracing::debug!(%fault, "input refused");
        }
    }

    /// Takes a sample of the gripper's input.
    pub fn handle_gripper(&self, input: GripperInput) {
        self.with(|joint, now| joint.handle_gripper(now, input));
    }

    /// Takes what a publisher of the gripper's input kept from before, beside other publishers.
    pub fn handle_kept_gripper(&self, input: GripperInput) {
        self.with(|joint, now| joint.handle_kept_gripper(now, input));
    }

    /// Takes what the graph says of who publishes input.
    pub fn handle_graph(&self, news: GraphNews) {
        self.with(|joint, now| joint.handle_graph(now, news));
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

    /// A person releases a stop, and disarms. Returns a line for that person.
    pub fn reset(&self) -> String {
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
        {
            let mut inner = self.lock();
            let now = now();
            let status = inner.joint.status(now);
            inner.log.settle(now, &status).iter().for_each(Line::write);
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
        let (result, wants_driver, news) = {
            let mut inner = self.lock();
            // Not before, or whoever waits for the lock would come back to the machines from their past.
            let now = now();
            // What was due before the event comes before it, whichever thread is late.
            inner.pass_time(now);
            let result = event(&mut inner, now);
            // Twice, since a first command may end the approach that the event began: both are to be seen.
            inner.note_changes(now);
            let now = inner.transmit(now);
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
    /// What is found too late is too late: a reply, a target.
    fn pass_time(&mut self, now: Instant) {
        if self.joint.is_overdue(now) {
            for connection in &self.connections {
                self.joint.handle_instead(connection.peer, connection.instead());
            }
        }
        self.joint.handle_timeout(now);
        self.note_changes(now);
    }

    /// Handles what controllers have said lately and the driver has not come to.
    fn listen_to_all(&mut self, now: Instant) {
        for place in 0..self.connections.len() {
            self.listen_at(now, place);
        }
    }

    /// Handles what this controller says, if it says anything.
    fn listen(&mut self, now: Instant, peer: PeerId) {
        if let Some(place) = self.connections.iter().position(|connection| connection.peer == peer) {
            self.listen_at(now, place);
        }
    }

    /// Returns whether there may be more.
    fn listen_at(&mut self, now: Instant, place: usize) -> bool {
        let Self { connections, heard, joint, outbox, .. } = self;
        let peer = connections[place].peer;
        let listened = connections[place].listen(heard);
        for heard in heard.drain(..) {
            let (known, state) = match heard {
                Heard::Reply(reply) => (joint.handle_reply(now, peer, &reply), reply.state),
                Heard::State(state) => (joint.handle_state(peer, &state), Some(state)),
            };
            outbox.extend(state.filter(|_| known).map(Event::ArmState));
        }
        listened.unwrap_or_else(|error| {
            joint.handle_ended(now, peer, error);
            false
        })
    }

    /// The line to send now. What controllers have said by now is heard before: an answer that nobody asked for must not
    /// pass for that to a line which comes after it. For who talks without end only a stop does not wait, and what needs no
    /// answer.
    fn poll_transmit(&mut self, now: Instant) -> Option<Outgoing> {
        self.joint.poll_transmit(now)?;
        let heard_all =
            (0..self.connections.len()).all(|place| (0..MAX_READS).any(|_| !self.listen_at(now, place)));
        let may_go =
            |outgoing: &Outgoing| heard_all || !self.config.link.expect_reply || *outgoing == Outgoing::Stop;
        self.joint.poll_transmit(now).filter(may_go)
    }

    /// Sends what is to be sent. Returns the time by then.
    fn transmit(&mut self, mut now: Instant) -> Instant {
        while let Some(outgoing) = self.poll_transmit(now) {
            // The driver has yet to drop those that the link has given up.
            self.connections.retain(|connection| self.joint.has_peer(connection.peer));
            self.connections
                .iter_mut()
                .filter(|connection| !self.joint.has_pending_reply(connection.peer))
                .for_each(Connection::note_asked);
            self.line.clear();
            #[allow(clippy::disallowed_methods)] // told to the controller; nothing here depends on it
            let stamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            self.encoder.encode_into(&self.joint.line(&outgoing, stamp), &mut self.line);
            let write = |connection: &Connection| (connection.peer, connection.socket.try_write(&self.line));
            self.written.extend(self.connections.iter().map(write));
            if self.written.is_empty() {
                self.written.push((PeerId::ONLY, Err(io::ErrorKind::NotConnected.into())));
            }
            // The system may have let it wait on its way; the next must not follow as if this one had gone at once.
            let begun = std::mem::replace(&mut now, self::now());
            let Self { line, written, .. } = self;
            tracing::trace!(line = %String::from_utf8_lossy(line).trim_end(), ?written, "sent");
            match self.joint.handle_transmitted(begun, now, &outgoing, line.len(), written.drain(..)) {
                Some(Sent::Command(command)) => self.outbox.push(Event::Command(command)),
                Some(Sent::Stop | Sent::Heartbeat) => {}
                None => break,
            }
            self.pass_time(now);
        }
        now
    }

    fn note_changes(&mut self, now: Instant) {
        let face = self.joint.face(now);
        let before = self.face.replace(face);
        if before == Some(face) {
            return;
        }
        let status = self.joint.status(now);
        self.log.change(now, before, &status, self.joint.last_error()).iter().for_each(Line::write);
        self.outbox.push(Event::Status(status));
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

/// How often a connection is read for a line that is to go out, some kilobytes at a time.
const MAX_READS: usize = 16;

/// The clock: that of the runtime, which a simulation may set.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;
    use crate::config::Parameters;

    struct Nobody;

    impl Observer for Nobody {
        fn handle_command(&mut self, _: &SentCommand) {}
        fn handle_status(&mut self, _: &Status) {}
        fn handle_diagnostics(&mut self, _: &Status) {}
        fn handle_arm_state(&mut self, _: &ReportedState) {}
        fn handle_config(&mut self, _: &Config) {}
    }

    #[test]
    fn time_never_goes_back_for_the_machines() {
        let bridge = Bridge::new(&Config::new(&Parameters::default()).unwrap(), Nobody);
        for _ in 0..100 {
            let (tell, told) = channel();
            thread::scope(|scope| {
                let inner = bridge.lock();
                let other = scope.spawn(|| {
                    tell.send(()).unwrap();
                    bridge.with(|_, now| now)
                });
                told.recv().unwrap();
                let before = now();
                drop(inner);
                assert!(other.join().unwrap() >= before);
            });
        }
    }
}
