//! What takes time: connecting, listening, waiting for what controllers say, the timers.

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

/// Opens and drops connections, reads what comes on them, and minds the timers, until `shutdown` completes. Then nothing
/// more is sent, and the last status has been published.
pub async fn drive(bridge: Bridge, shutdown: impl Future<Output = ()>) {
    drive_over(bridge, System, shutdown).await;
}

/// As [`drive`], over another network.
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
        // Not only when the timer wakes the driver: a controller that talks without end, or an event in the instant in which
        // a deadline passes, would have it forgotten.
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
            // A controller may talk all the time; what comes after it is looked at above in any case.
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

/// Waits for a future, if there is one: `select!` drops a branch that completes with `None`.
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
    /// No controller is accepted before: the process is out of descriptors, say.
    accept_paused_until: Option<Instant>,
    /// The index of the connection that is looked at first, so that one that talks without end leaves the others their turn.
    next_peer: usize,
    attempt: Option<ConnectFuture<Established>>,
    /// Those who have dialled in and are not yet let in.
    joining: JoinSet<Joined>,
}

type Joined = (SocketAddr, Result<Connection, LinkError>);

impl Driver {
    /// Does what the link wants done.
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

    /// Takes a controller that has dialled in.
    fn handle_accepted(&mut self, result: io::Result<Accepted>) {
        match result {
            Ok((_, address)) if self.joining.len() >= MAX_JOINING => {
                self.refuse(address, &format!("{MAX_JOINING} others are on their way in"));
            }
            Ok(accepted) => {
                let connector = Connector::new(self.bridge.lock().config.clone(), |_| ());
                self.joining.spawn(async move { (accepted.1, connector.accept(accepted).await) });
                self.note_arriving();
            }
            Err(error) => {
                let text = format!("a controller could not connect: {error}");
                self.log(|state, now| state.log.repeated(now, What::Door, &text));
                self.accept_paused_until = Some(now() + ACCEPT_RETRY_DELAY);
            }
        }
    }

    fn refuse(&self, address: SocketAddr, why: &str) {
        let text = format!("refused: {why} address={address}");
        self.log(|state, now| state.log.repeated(now, What::Crowd, &text));
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

    /// Takes a controller that has dialled in and may be spoken to, or why it may not.
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

    /// Reads what a controller says, at first what came together with the answer to its hello.
    fn read_replies(&self, peer: PeerId) {
        self.bridge.apply_from_driver(|state, now| state.read_replies(now, peer));
    }
}

/// Completes with a connection that can be read, or with none when one takes bytes again, if a line is `blocked`.
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

/// `LinkStatus` at 2 Hz, diagnostics at half of that.
const STATUS_PERIOD: Duration = Duration::from_millis(500);
/// How long to leave those who want to connect where they are, when they cannot be let in.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(500);
/// How many may be on their way in at a time.
const MAX_JOINING: usize = 32;
