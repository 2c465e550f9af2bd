#![allow(clippy::disallowed_methods)] // this is where the clock is owned
//! What takes time: connecting, listening, reading what controllers say, the timers.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};

use super::connection::{Connection, Readable};
use super::{Bridge, Event, Outlet};
use crate::link::{Action, LinkError, Opened, PeerId, Transport};
use crate::wire::Heard;

/// Owns the connections' lives, what is heard on them, and the timers, until `shutdown` completes. Then nothing is sent
/// any more, and the last status has been told.
pub async fn drive(bridge: Bridge, shutdown: impl Future<Output = ()>) {
    let mut driver =
        Driver { bridge, listener: None, deaf_until: None, connections: Vec::new(), turn: 0, attempt: None };
    let mut shutdown = std::pin::pin!(shutdown);
    let mut ticks = tokio::time::interval(STATUS_PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut second = false;
    loop {
        // Not only when the timer wakes the driver: a controller that talks without end, or an event in the instant in which
        // a deadline passes, would have it forgotten.
        let now = driver.bridge.with(|joint, now| {
            joint.handle_timeout(now);
            now
        });
        driver.act();
        let (deadline, blocked) = driver.prepare_sleep(now);
        let Driver { bridge, listener, deaf_until, connections, turn, attempt } = &mut driver;
        let listener = listener.as_ref().filter(|_| deaf_until.is_none());
        let deadline = [deadline, *deaf_until].into_iter().flatten().min();
        let woken = tokio::select! {
            biased;
            () = &mut shutdown => break,
            // What is due comes before what never ends: a controller may talk all the time.
            () = sleep_until(deadline) => Woken::Timeout,
            _ = ticks.tick() => Woken::Tick,
            () = bridge.0.wake.notified() => Woken::Asked,
            result = next(attempt) => Woken::Opened(result),
            joined = accept(listener) => Woken::Joined(joined),
            woken = poll_fn(|cx| poll_connections(connections, turn, blocked, cx)) => woken,
        };
        match woken {
            Woken::Opened(result) => driver.handle_attempt(result),
            Woken::Joined(result) => driver.handle_joined(result),
            Woken::Read(peer, result) => driver.handle_read(peer, result),
            Woken::Writable => driver.bridge.with(|joint, now| joint.handle_writable(now)),
            Woken::Timeout => {
                driver.deaf_until = driver.deaf_until.filter(|until| *until > Instant::now());
            }
            Woken::Asked => {}
            Woken::Tick => {
                driver.bridge.tick(second);
                second = !second;
            }
        }
    }
    driver.bridge.shut_down();
    driver.bridge.lock().outlets.clear();
}

enum Woken {
    Opened(Result<Opened, LinkError>),
    Joined(io::Result<(TcpStream, SocketAddr)>),
    Read(PeerId, io::Result<usize>),
    Writable,
    Asked,
    Timeout,
    Tick,
}

struct Driver {
    bridge: Bridge,
    listener: Option<TcpListener>,
    /// The port cannot be listened on before: the process is out of descriptors, say.
    deaf_until: Option<Instant>,
    connections: Vec<Connection>,
    /// Which connection is looked at first, so that one that talks without end leaves the others their turn.
    turn: usize,
    attempt: Option<Attempt>,
}

type Attempt = Pin<Box<dyn Future<Output = Result<Opened, LinkError>> + Send>>;

impl Driver {
    /// Does what the link wants done.
    fn act(&mut self) {
        loop {
            let mut inner = self.bridge.lock();
            let Some(action) = inner.joint.poll_action() else { return };
            if let Action::Drop(peer) = action {
                inner.outlets.retain(|(other, _)| *other != peer);
                self.connections.retain(|connection| connection.peer != peer);
                if let Some(error) = inner.joint.last_error() {
                    tracing::warn!("controller gone: {error}");
                }
                continue;
            }
            inner.outlets.clear();
            self.connections.clear();
            self.listener = None;
            self.attempt = (action == Action::Connect).then(|| {
                let transport = Transport::new(inner.config.transport.clone());
                Box::pin(async move { transport.open().await }) as Attempt
            });
        }
    }

    /// Returns when to wake at the latest, given that what was due at `now` is done, and whether a line waits for room.
    fn prepare_sleep(&mut self, now: Instant) -> (Option<Instant>, bool) {
        let mut inner = self.bridge.lock();
        inner.sleeping_until = inner.joint.poll_timeout(now);
        (inner.sleeping_until, inner.joint.is_blocked())
    }

    fn handle_attempt(&mut self, result: Result<Opened, LinkError>) {
        self.attempt = None;
        let outlet = match result {
            Ok(Opened::Listener(listener)) => {
                self.listener = Some(listener);
                return self.bridge.with(|joint, now| joint.handle_connected(now));
            }
            Ok(Opened::Stream(stream)) => Outlet::Stream(Arc::new(stream)),
            Ok(Opened::Datagrams(socket)) => Outlet::Datagrams(Arc::new(socket)),
            Err(error) => return self.bridge.with(|joint, now| joint.handle_failed(now, error)),
        };
        let connection = self.bridge.with_inner(|inner, now| {
            inner.outlets.push((PeerId::ONLY, outlet.clone()));
            inner.joint.handle_connected(now);
            Connection::new(PeerId::ONLY, outlet, &inner.config)
        });
        self.connections.push(connection);
    }

    /// A controller has dialled in.
    fn handle_joined(&mut self, result: io::Result<(TcpStream, SocketAddr)>) {
        let (stream, address) = match result {
            Ok(joined) => joined,
            Err(error) => {
                tracing::warn!(%error, "a controller could not connect");
                self.deaf_until = Some(Instant::now() + DEAFNESS);
                return;
            }
        };
        let joined = self.bridge.with_inner(|inner, now| {
            // What cannot be set is of a connection that is gone already, which reading will tell.
            let _ = Transport::new(inner.config.transport.clone()).adopt(&stream);
            let outlet = Outlet::Stream(Arc::new(stream));
            let peer = inner.joint.handle_joined(now, address.to_string())?;
            inner.outlets.push((peer, outlet.clone()));
            Ok(Connection::new(peer, outlet, &inner.config))
        });
        match joined {
            Ok(connection) => {
                tracing::info!(%address, "controller connected");
                self.connections.push(connection);
            }
            Err(crate::link::Full) => tracing::warn!(%address, "refused: {}", crate::link::Full),
        }
    }

    /// Handles what the controller says in what has been read.
    fn handle_read(&mut self, peer: PeerId, result: io::Result<usize>) {
        let Some(connection) = self.connections.iter_mut().find(|connection| connection.peer == peer) else {
            return;
        };
        let mut heard = Vec::new();
        let end = connection.hear(result, &mut heard);
        let mut reported = Vec::new();
        self.bridge.with(|joint, now| {
            for heard in heard {
                let (known, state) = match heard {
                    Heard::Reply(reply) => (joint.handle_reply(now, peer, &reply), reply.state),
                    Heard::State(state) => (joint.handle_state(peer, &state), Some(state)),
                };
                reported.extend(state.filter(|_| known).map(Event::ArmState));
            }
            if let Err(error) = end {
                joint.handle_ended(now, peer, error);
            }
        });
        if !reported.is_empty() {
            self.bridge.lock().outbox.append(&mut reported);
            self.bridge.tell();
        }
    }
}

async fn next(attempt: &mut Option<Attempt>) -> Result<Opened, LinkError> {
    match attempt {
        Some(attempt) => attempt.await,
        None => pending().await,
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => pending().await,
    }
}

fn poll_connections(
    connections: &mut [Connection],
    turn: &mut usize,
    blocked: bool,
    cx: &mut Context<'_>,
) -> Poll<Woken> {
    let count = connections.len();
    for place in (0..count).map(|offset| (*turn + offset) % count) {
        let connection = &mut connections[place];
        match connection.poll(blocked, cx) {
            Poll::Ready(Readable::Read(result)) => {
                *turn = place + 1;
                return Poll::Ready(Woken::Read(connection.peer, result));
            }
            Poll::Ready(Readable::Writable) => return Poll::Ready(Woken::Writable),
            Poll::Pending => {}
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
