//! The driver task: connects, listens, waits for input of the controllers, and runs the timers.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinSet};

use super::bridge::Bridge;
use super::connection::Connection;
use super::connector::{Connector, Established};
use super::log::{LogLine, What};
use super::state::{State, now};
use crate::link::{Accepted, Action, ConnectFuture, Full, LinkError, Listener, Network, PeerId, System};

/// Opens and drops connections, reads their input, and runs the timers, until `shutdown` completes.
/// After the return nothing is sent, and the last status has been published.
pub async fn drive(bridge: Bridge, shutdown: impl Future<Output = ()>) {
    drive_over(bridge, System, shutdown).await;
}

/// Does the same as [`drive`], but opens connections with `network`, which may be a simulation.
pub async fn drive_over(bridge: Bridge, network: impl Network + 'static, shutdown: impl Future<Output = ()>) {
    let mut driver = Driver {
        bridge,
        network: Box::new(network),
        listener: None,
        accept_paused_until: None,
        next_peer: 0,
        attempt: None,
        joining: JoinSet::new(),
    };
    let mut shutdown = std::pin::pin!(shutdown);
    let mut ticks = tokio::time::interval(STATUS_PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut second = false;
    loop {
        // Handle deadlines in every pass, not only after the timer. Otherwise a controller that
        // sends without pause, or an event at the moment of a deadline, could hide the deadline.
        let now = driver.bridge.apply_from_driver(|_, now| now);
        driver.accept_paused_until = driver.accept_paused_until.filter(|until| *until > now);
        driver.act(now);
        let (deadline, blocked) = driver.bridge.lock().prepare_sleep(now);
        let Driver { bridge, listener, accept_paused_until, next_peer, attempt, joining, .. } = &mut driver;
        let listener = listener.as_mut().filter(|_| accept_paused_until.is_none());
        let deadline = [deadline, *accept_paused_until].into_iter().flatten().min();
        tokio::select! {
            biased;
            () = &mut shutdown => break,
            _ = ticks.tick() => {
                driver.bridge.tick(second);
                second = !second;
            }
            Some(result) = maybe(attempt.as_mut()) => driver.handle_attempt(result),
            Some(result) = maybe(listener.map(|listener| poll_fn(|cx| listener.poll_accept(cx)))) => {
                driver.handle_accepted(result);
            }
            Some(joined) = joining.join_next() => driver.handle_joined(joined),
            // A controller may send without pause, so the branches after this one may never run.
            // The code at the top of the loop does the work of these branches.
            readable = poll_fn(|cx| poll_connections(&bridge.lock().connections, next_peer, blocked, cx)) => {
                match readable {
                    Some(peer) => driver.read_replies(peer),
                    None => driver.bridge.apply_from_driver(|state, now| state.coordinator.handle_writable(now)),
                }
            }
            () = bridge.woken() => {}
            Some(()) = maybe(deadline.map(|at| tokio::time::sleep_until(at.into()))) => {}
        }
    }
    driver.bridge.shut_down();
    driver.bridge.lock().connections.clear();
}

/// Waits for a future, if there is one. If `None`, `select!` drops the branch.
async fn maybe<F: Future>(future: Option<F>) -> Option<F::Output> {
    match future {
        Some(future) => Some(future.await),
        None => None,
    }
}

struct Driver {
    bridge: Bridge,
    network: Box<dyn Network>,
    listener: Option<Box<dyn Listener>>,
    /// No controller is accepted before this time, because `accept` failed, for example for lack of
    /// file descriptors.
    accept_paused_until: Option<Instant>,
    /// The index of the connection to check first. It rotates, so that a controller that sends
    /// without pause does not block the others.
    next_peer: usize,
    attempt: Option<ConnectFuture<Established>>,
    /// Controllers that have connected and are not ready for lines yet.
    joining: JoinSet<Joined>,
}

type Joined = (SocketAddr, Result<Connection, LinkError>);

impl Driver {
    /// Executes the actions of the link.
    fn act(&mut self, now: Instant) {
        while let Some(action) = self.bridge.poll_action(now) {
            if !matches!(action, Action::Drop(_)) {
                self.listener = None;
                self.joining = JoinSet::new();
                self.attempt = (action == Action::Connect).then(|| self.connect());
            }
        }
    }

    fn connect(&self) -> ConnectFuture<Established> {
        let bridge = self.bridge.clone();
        let note = move |stage| bridge.apply(|state, _| state.coordinator.handle_stage(stage));
        let config = self.bridge.lock().config.clone();
        let opening = self.network.open(config.link.role, &config.transport);
        Box::pin(Connector::new(config, note).connect(opening))
    }

    fn handle_attempt(&mut self, result: Result<Established, LinkError>) {
        self.attempt = None;
        match result {
            Ok(Established::Listener(listener)) => {
                self.listener = Some(listener);
                self.bridge.apply_from_driver(|state, now| state.coordinator.handle_connected(now));
            }
            Ok(Established::Connection(connection)) => {
                let peer = connection.peer;
                self.bridge.apply_from_driver(|state, now| {
                    state.connections.push(connection);
                    state.coordinator.handle_connected(now);
                });
                self.read_replies(peer);
            }
            Err(error) => {
                self.bridge.apply_from_driver(|state, now| state.coordinator.handle_failed(now, error));
            }
        }
    }

    /// Handles a controller that has connected to the port.
    fn handle_accepted(&mut self, result: io::Result<Accepted>) {
        match result {
            Ok((_, address)) if self.joining.len() >= MAX_JOINING => {
                self.refuse(address, &format!("{MAX_JOINING} other controllers are connecting"));
            }
            Ok(accepted) => {
                let connector = Connector::new(self.bridge.lock().config.clone(), |_| ());
                self.joining.spawn(async move { (accepted.1, connector.accept(accepted).await) });
                self.note_arriving();
            }
            Err(error) => {
                let text = format!("a controller could not connect: {error}");
                self.log(|state, now| state.log.repeated(now, What::AcceptFailed, &text));
                self.accept_paused_until = Some(now() + ACCEPT_RETRY_DELAY);
            }
        }
    }

    fn refuse(&self, address: SocketAddr, why: &str) {
        let text = format!("connection rejected: {why} address={address}");
        self.log(|state, now| state.log.repeated(now, What::TooManyJoining, &text));
    }

    fn log(&self, line: impl FnOnce(&mut State, Instant) -> Option<LogLine>) {
        self.bridge.apply_from_driver(|state, now| {
            let line = line(state, now);
            state.log(line);
        });
    }

    fn note_arriving(&self) {
        let arriving = self.joining.len();
        self.bridge.apply_from_driver(|state, _| state.coordinator.report.handle_arriving(arriving));
    }

    /// Handles the result of preparing the connection of a controller: ready for lines, or failed.
    fn handle_joined(&mut self, joined: Result<Joined, JoinError>) {
        let (address, result) =
            joined.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()));
        self.note_arriving();
        let bridge = &self.bridge;
        match result.map(|new| bridge.apply_from_driver(|state, now| state.handle_joined(now, address, new)))
        {
            Ok(Ok(peer)) => {
                self.log(|state, _| state.log.joined(&address.to_string()));
                self.read_replies(peer);
            }
            Ok(Err(Full)) => self.refuse(address, &Full.to_string()),
            Err(error) => bridge.apply_from_driver(|state, now| state.handle_refused(now, address, error)),
        }
    }

    /// Reads the input of a controller. The first input may have arrived together with the reply to
    /// its hello.
    fn read_replies(&self, peer: PeerId) {
        self.bridge.apply_from_driver(|state, now| state.read_replies(now, peer));
    }
}

/// Completes with the peer of a readable connection. If a line is `blocked`, completes with `None`
/// when a connection accepts bytes again.
fn poll_connections(
    connections: &[Connection],
    next_peer: &mut usize,
    blocked: bool,
    cx: &mut Context<'_>,
) -> Poll<Option<PeerId>> {
    let count = connections.len();
    for index in (0..count).map(|offset| (*next_peer + offset) % count) {
        let Connection { peer, socket, .. } = &connections[index];
        if socket.poll_readable(cx).is_ready() {
            *next_peer = index + 1;
            return Poll::Ready(Some(*peer));
        }
        if blocked && socket.poll_writable(cx).is_ready() {
            return Poll::Ready(None);
        }
    }
    Poll::Pending
}

/// The period of `LinkStatus` (2 Hz). Diagnostics have half of that rate.
const STATUS_PERIOD: Duration = Duration::from_millis(500);
/// The pause before accepting again after `accept` failed.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(500);
/// The most controllers that may be connecting at the same time.
const MAX_JOINING: usize = 32;
