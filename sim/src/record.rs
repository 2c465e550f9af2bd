//! What a controller has seen, from its own point of view.

use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::fault::Fault;
use super::monitor::Violation;
use aether_bridge::arm::Command;
use aether_bridge::wire::Order;

/// Everything since the start. A snapshot: it does not change in your hands.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Whether the controller listens; false between a crash and the restart.
    pub listening: bool,
    /// How often things happened.
    pub counts: Counts,
    /// The clients taken, in order; [`Received::connection`] is an index into it. Empty unless
    /// [`ArmSimConfig::keep_record`](crate::ArmSimConfig::keep_record).
    pub connections: Vec<ConnectionRecord>,
    /// The lines of all clients, in order of arrival. Empty unless [`ArmSimConfig::keep_record`](crate::ArmSimConfig::keep_record).
    pub received: Vec<Received>,
}

/// How often things happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Clients taken.
    pub connections: u64,
    /// Clients gone again.
    pub disconnections: u64,
    /// Clients closed at once, because there was one already.
    pub refused_connections: u64,
    /// Commands the protocol allows, whatever a fault made of them.
    pub commands: u64,
    /// Stops, likewise.
    pub stops: u64,
    /// Heartbeats, likewise.
    pub heartbeats: u64,
    /// Lines it does not allow; stops and heartbeats too, where they are not known.
    pub bad_lines: u64,
    /// Replies written whole.
    pub replies: u64,
    /// Those of them that said "error".
    pub error_replies: u64,
    /// How often the arm halted by itself, since nothing came for as long as the last line had said (`ttl`).
    pub expiries: u64,
    /// Crashes.
    pub crashes: u64,
    /// The violations that the monitor has found.
    pub violations: u64,
}

/// One client.
#[derive(Debug, Clone)]
pub struct ConnectionRecord {
    /// The client's address.
    pub peer: SocketAddr,
    /// When it was taken.
    pub connected_at: Instant,
    /// When and why it went; `None` while it is there.
    pub ended: Option<(Instant, Ended)>,
    /// The most lines it had sent without an answer at the time of an answer, that answer's own included: 1 for a
    /// client that waits for every reply.
    pub most_unanswered: usize,
}

/// One line as it arrived.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// Which client sent it: an index into [`Record::connections`], counted from 0 since the start.
    pub connection: usize,
    /// The client's address.
    pub peer: SocketAddr,
    /// When it was read.
    pub at: Instant,
    /// The line, without its newline; printable only, when it is no order.
    pub line: String,
    /// What it asks for, or why it is refused.
    pub order: Result<Order, String>,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// The client closed it.
    ByPeer,
    /// The client's bytes could not be followed, and why.
    MalformedMessage(String),
    /// The transport failed, and how.
    Failed(String),
    /// The client did not show the token.
    Stranger,
    /// A fault wanted it.
    Fault(Fault),
    /// The controller crashed.
    Crash,
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByPeer => formatter.write_str("closed by the client"),
            Self::MalformedMessage(why) => write!(formatter, "closed: {why}"),
            Self::Failed(why) => write!(formatter, "lost: {why}"),
            Self::Stranger => formatter.write_str("closed: the client did not show the token"),
            Self::Fault(fault) => write!(formatter, "ended by the fault {fault}"),
            Self::Crash => formatter.write_str("reset by the crash"),
        }
    }
}

/// Something that happened, as it happens. The [`Record`] already has it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The controller listens there.
    Listening(SocketAddr),
    /// It cannot listen or take a client, and why; it tries again by itself.
    CannotListen(String),
    /// It crashed: nobody is connected and nobody can be.
    Crashed,
    /// A client came.
    Connected {
        /// Its number, from 0.
        connection: usize,
        /// Its address.
        peer: SocketAddr,
    },
    /// A client came and was closed at once, because there was one already.
    ArmingError {
        /// Its address.
        peer: SocketAddr,
    },
    /// A client went.
    Disconnected {
        /// Its number, from 0.
        connection: usize,
        /// Its address.
        peer: SocketAddr,
        /// Why.
        why: Ended,
    },
    /// A client has said nothing for as long as its last line had said, and the arm has halted by itself.
    Expired {
        /// Its number, from 0.
        connection: usize,
        /// Its address.
        peer: SocketAddr,
        /// For how long.
        ttl: Duration,
    },
    /// A line came.
    Received(Received),
    /// The monitor has found a violation.
    Violation(Violation),
    /// Bytes were written.
    Replied {
        /// To which client, from 0.
        connection: usize,
        /// Its address.
        peer: SocketAddr,
        /// What was written, newlines included; half a line, if a fault wanted that.
        text: String,
    },
}

impl Record {
    /// The commands that one client sent, in order; other orders and refused lines are passed over.
    pub fn commands_on(&self, connection: usize) -> impl Iterator<Item = Command> {
        self.orders_on(connection).filter_map(|order| match order {
            Order::Command(command) => Some(command),
            Order::Stop | Order::Heartbeat => None,
        })
    }

    /// The orders that one client sent, in order; refused lines are passed over.
    pub fn orders_on(&self, connection: usize) -> impl Iterator<Item = Order> {
        let lines = self.received.iter().filter(move |received| received.connection == connection);
        lines.filter_map(|received| received.order.as_ref().ok().copied())
    }

    /// How many clients are connected.
    pub fn connected(&self) -> u64 {
        self.counts.connections - self.counts.disconnections
    }
}
