//! What takes time: connecting, listening, waiting for what controllers say, the timers.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::connection::Connection;
use super::log::Line;
use super::opening::{Protocol, Reached};
use super::{Bridge, Inner};
use crate::link::{Accepted, Action, ConnectFuture, Full, LinkError, Listener, Network, PeerId, System};

/// Owns the connections' lives, what is heard on them, and the timers, until `shutdown` completes. Then nothing is sent
/// any more, and the last status has been told.
pub async fn drive(bridge: Bridge, shutdown: impl Future<Output = ()>) {
    drive_over(bridge, System, shutdown).await;
}

/// As [`drive`], over another network.
pub async fn drive_over(bridge: Bridge, network: impl Network + 'static, shutdown: impl Future<Output = ()>) {
    let mut driver = Driver {
        bridge,
        network: Box::new(network),
        listener: None,
        deaf_until: None,
        turn: 0,
        attempt: None,
        joining: JoinSet::new(),
    };
    let mut shutdown = std::pin::pin!(shutdown);
    let mut ticks = tokio::time::interval(STATUS_PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut second = false;
    loop {
        // Not only when the timer wakes the driver: a controller that talks without end, or an event in the instant in which
        // a deadline passes, would have it forgotten.
        let now = driver.bridge.driven(|_, now| now);
        driver.deaf_until = driver.deaf_until.filter(|until| *until > now);
        driver.act();
        let (deadline, blocked) = driver.prepare_sleep(now);
        let Driver { bridge, listener, deaf_until, turn, attempt, joining, .. } = &mut driver;
        let listener = listener.as_mut().filter(|_| deaf_until.is_none());
        let deadline = [deadline, *deaf_until].into_iter().flatten().min();
        let woken = tokio::select! {
            biased;
            () = &mut shutdown => break,
            _ = ticks.tick() => Woken::Tick,
            result = next(attempt) => Woken::Opened(result),
            accepted = accept(listener) => Woken::Accepted(accepted),
            joined = next_joined(joining) => joined,
            // A controller may talk all the time; what comes after it is looked at above in any case.
            woken = poll_fn(|cx| poll_connections(&bridge.lock().connections, turn, blocked, cx)) => woken,
            () = bridge.0.wake.notified() => Woken::Asked,
            () = sleep_until(deadline) => Woken::Asked,
        };
        match woken {
            Woken::Opened(result) => driver.handle_attempt(result),
            Woken::Accepted(result) => driver.handle_accepted(result),
            Woken::Joined(address, result) => driver.handle_joined(address, result),
            Woken::Readable(peer) => driver.listen(peer),
            Woken::Writable => driver.bridge.driven(|inner, now| inner.joint.handle_writable(now)),
            Woken::Asked => {}
            Woken::Tick => {
                driver.bridge.tick(second);
                second = !second;
            }
        }
    }
    driver.bridge.shut_down();
    driver.bridge.lock().connections.clear();
}

enum Woken {
    Opened(Result<Reached, LinkError>),
    Accepted(io::Result<Accepted>),
    Joined(SocketAddr, Result<Connection, LinkError>),
    Readable(PeerId),
    Writable,
    Asked,
    Tick,
}

struct Driver {
    bridge: Bridge,
    network: Box<dyn Network>,
    listener: Option<Box<dyn Listener>>,
    /// The port cannot be listened on before: the process is out of descriptors, say.
    deaf_until: Option<Instant>,
    /// Which connection is looked at first, so that one that talks without end leaves the others their turn.
    turn: usize,
    attempt: Option<ConnectFuture<Reached>>,
    /// Those who have dialled in and are not yet let in.
    joining: JoinSet<Joined>,
}

type Joined = (SocketAddr, Result<Connection, LinkError>);

impl Driver {
    /// Does what the link wants done.
    fn act(&mut self) {
        loop {
            let mut inner = self.bridge.lock();
            let Some(action) = inner.joint.poll_action() else { return };
            if let Action::Drop(peer) = action {
                inner.connections.retain(|connection| connection.peer != peer);
                let Inner { joint, log, .. } = &mut *inner;
                let line =
                    joint.last_error().and_then(|error| log.failed(super::now(), "controller gone", error));
                drop(inner);
                line.iter().for_each(Line::write);
                continue;
            }
            inner.connections.clear();
            self.listener = None;
            self.joining = JoinSet::new();
            inner.joint.handle_arriving(0);
            self.attempt = (action == Action::Connect).then(|| {
                let (opening, bridge) =
                    (self.network.open(inner.config.link.role, &inner.config.transport), self.bridge.clone());
                let note = move |stage| bridge.with(|joint, _| joint.handle_stage(stage));
                Box::pin(Protocol::new(&inner.config, note).reach(opening)) as ConnectFuture<Reached>
            });
        }
    }

    /// Returns when to wake at the latest, given that what was due at `now` is done, and whether a line waits for room.
    fn prepare_sleep(&mut self, now: Instant) -> (Option<Instant>, bool) {
        let mut inner = self.bridge.lock();
        inner.sleeping_until = inner.joint.poll_timeout(now);
        (inner.sleeping_until, inner.joint.is_write_blocked())
    }

    fn handle_attempt(&mut self, result: Result<Reached, LinkError>) {
        self.attempt = None;
        match result {
            Ok(Reached::Listener(listener)) => {
                self.listener = Some(listener);
                self.bridge.driven(|inner, now| inner.joint.handle_connected(now));
            }
            Ok(Reached::Connection(connection)) => {
                let peer = connection.peer;
                self.bridge.driven(|inner, now| {
                    inner.connections.push(connection);
                    inner.joint.handle_connected(now);
                });
                self.listen(peer);
            }
            Err(error) => self.bridge.driven(|inner, now| inner.joint.handle_failed(now, error)),
        }
    }

    /// A controller has dialled in.
    fn handle_accepted(&mut self, result: io::Result<Accepted>) {
        match result {
            Ok((_, address)) if self.joining.len() >= MAX_JOINING => {
                self.refuse(address, &format!("{MAX_JOINING} others are on their way in"));
            }
            Ok((opening, address)) => {
                let protocol = Protocol::new(&self.bridge.lock().config, |_| ());
                self.joining.spawn(async move { (address, protocol.welcome(opening, address).await) });
                self.note_arriving();
            }
            Err(error) => {
                let text = format!("a controller could not connect: {error}");
                let line = self.bridge.driven(|inner, now| inner.log.shut(now, &text));
                line.iter().for_each(Line::write);
                self.deaf_until = Some(super::now() + DEAFNESS);
            }
        }
    }

    fn refuse(&self, address: SocketAddr, why: &str) {
        let text = format!("refused: {why} address={address}");
        let line = self.bridge.driven(|inner, now| inner.log.crowded(now, &text));
        line.iter().for_each(Line::write);
    }

    fn note_arriving(&self) {
        self.bridge.driven(|inner, _| inner.joint.handle_arriving(self.joining.len()));
    }

    /// A controller that has dialled in may be spoken to, or not.
    fn handle_joined(&mut self, address: SocketAddr, result: Result<Connection, LinkError>) {
        self.note_arriving();
        let mut connection = match result {
            Ok(connection) => connection,
            Err(error) => {
                let line = self.bridge.driven(|inner, now| {
                    inner.joint.handle_refused(now, address.to_string(), error);
                    let Inner { joint, log, .. } = inner;
                    joint.last_error().and_then(|error| log.failed(now, "refused", error))
                });
                return line.iter().for_each(Line::write);
            }
        };
        let joined = self.bridge.driven(|inner, now| {
            connection.peer = inner.joint.handle_joined(now, address.to_string())?;
            let peer = connection.peer;
            inner.connections.push(connection);
            Ok(peer)
        });
        match joined {
            Ok(peer) => {
                self.bridge.lock().log.joined(&address.to_string()).iter().for_each(Line::write);
                self.listen(peer);
            }
            Err(Full) => self.refuse(address, &Full.to_string()),
        }
    }

    /// Listens to what a controller says, at first to what came together with the answer to its hello.
    fn listen(&self, peer: PeerId) {
        self.bridge.driven(|inner, now| inner.listen(now, peer));
    }
}

async fn next(attempt: &mut Option<ConnectFuture<Reached>>) -> Result<Reached, LinkError> {
    match attempt {
        Some(attempt) => attempt.await,
        None => pending().await,
    }
}

async fn accept(listener: Option<&mut Box<dyn Listener>>) -> io::Result<Accepted> {
    match listener {
        Some(listener) => poll_fn(|cx| listener.poll_accept(cx)).await,
        None => pending().await,
    }
}

async fn next_joined(joining: &mut JoinSet<Joined>) -> Woken {
    match joining.join_next().await {
        Some(Ok((address, result))) => Woken::Joined(address, result),
        Some(Err(ended)) => std::panic::resume_unwind(ended.into_panic()),
        None => pending().await,
    }
}

fn poll_connections(
    connections: &[Connection],
    turn: &mut usize,
    blocked: bool,
    cx: &mut Context<'_>,
) -> Poll<Woken> {
    let count = connections.len();
    for place in (0..count).map(|offset| (*turn + offset) % count) {
        let Connection { peer, socket, .. } = &connections[place];
        if socket.poll_readable(cx).is_ready() {
            *turn = place + 1;
            return Poll::Ready(Woken::Readable(*peer));
        }
        if blocked && socket.poll_writable(cx).is_ready() {
            return Poll::Ready(Woken::Writable);
        }
    }
    Poll::Pending
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

/// `LinkStatus` at 2 Hz, diagnostics at half of that.
const STATUS_PERIOD: Duration = Duration::from_millis(500);
/// How long to leave those who want to connect where they are, when they cannot be let in.
const DEAFNESS: Duration = Duration::from_millis(500);
/// How many may be on their way in at a time.
const MAX_JOINING: usize = 32;
