//! The record of a controller: what it received and sent.

use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

use super::fault::Fault;
use super::monitor::Violation;
use aether_bridge::arm::Command;
use aether_bridge::wire::Order;

/// Everything since the start. A snapshot: later events do not change it.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Whether the controller listens; false between a crash and the restart.
    pub listening: bool,
    /// The number of events of each kind.
    pub counts: Counts,
    /// The accepted clients, in order; [`Received::connection`] is an index into it. Empty unless
    /// [`ArmSimConfig::keep_record`](crate::ArmSimConfig::keep_record).
    pub connections: Vec<ConnectionRecord>,
    /// The lines of all clients, in order of arrival. Empty unless
    /// [`ArmSimConfig::keep_record`](crate::ArmSimConfig::keep_record).
    pub received: Vec<Received>,
}

/// The number of events of each kind since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted clients.
    pub connections: u64,
    /// Disconnected clients.
    pub disconnections: u64,
    /// Clients whose connection was closed immediately, because another client was connected.
    pub refused_connections: u64,
    /// Commands that the protocol allows, also if a fault prevented their execution.
    pub commands: u64,
    /// Stops that the protocol allows.
    pub stops: u64,
    /// Heartbeats that the protocol allows.
    pub heartbeats: u64,
    /// Refused lines; also stops and heartbeats, if the controller does not know them.
    pub bad_lines: u64,
    /// Replies that were written completely.
    pub replies: u64,
    /// How many of these replies were errors.
    pub error_replies: u64,
    /// How often the arm halted by itself, because no line came within the `ttl` of the last line.
    pub expiries: u64,
    /// Crashes.
    pub crashes: u64,
    /// The violations that the monitor has found.
    pub violations: u64,
}

/// The record of one client.
#[derive(Debug, Clone)]
pub struct ConnectionRecord {
    /// The client's address.
    pub peer: SocketAddr,
    /// When its connection was accepted.
    pub connected_at: Instant,
    /// When and why the connection ended; `None` while it is open.
    pub ended: Option<(Instant, Ended)>,
    /// The largest number of lines without a reply at the time of a reply, including the line of
    /// that reply. It is 1 for a client that waits for every reply.
    pub most_unanswered: usize,
}

/// A received line.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The client that sent it: an index into [`Record::connections`], counted from 0 since the
    /// start.
    pub connection: usize,
    /// The client's address.
    pub peer: SocketAddr,
    /// When it was read.
    pub at: Instant,
    /// The line without its newline; only printable characters, if it is not a valid order.
    pub line: String,
    /// The order, or the reason why the line is refused.
    pub order: Result<Order, String>,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// The client closed the connection.
    ByPeer,
    /// The client's bytes could not be decoded, for this reason.
    MalformedMessage(String),
    /// The transport failed, with this error.
    Failed(String),
    /// The client did not send the token.
    Stranger,
    /// A fault ended it.
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
            Self::Stranger => formatter.write_str("closed: the client did not send the token"),
            Self::Fault(fault) => write!(formatter, "ended by the fault {fault}"),
            Self::Crash => formatter.write_str("reset by the crash"),
        }
    }
}

/// An event. The [`Record`] already contains it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The controller listens on this address.
    Listening(SocketAddr),
    /// The controller cannot listen or accept a client, for this reason. It retries by itself.
    CannotListen(String),
    /// The controller crashed: all connections are reset, and new connections are refused.
    Crashed,
    /// A client connected.
    Connected {
        /// Its number, from 0.
        connection: usize,
        /// Its address.
        peer: SocketAddr,
    },
    /// A client connected, but its connection was closed immediately, because another client was
    /// connected.
    ConnectionRefused {
        /// Its address.
        peer: SocketAddr,
    },
    /// A client disconnected.
    Disconnected {
        /// Its number, from 0.
        connection: usize,
        /// Its address.
        peer: SocketAddr,
        /// The reason.
        why: Ended,
    },
    /// A client sent no line within the `ttl` of its last line, and the arm has halted by itself.
    Expired {
        /// Its number, from 0.
        connection: usize,
        /// Its address.
        peer: SocketAddr,
        /// The `ttl`.
        ttl: Duration,
    },
    /// A line was received.
    Received(Received),
    /// The monitor has found a violation.
    Violation(Violation),
    /// Bytes were written.
    Replied {
        /// The number of the client, from 0.
        connection: usize,
        /// Its address.
        peer: SocketAddr,
        /// The written text with its newlines; half a line, if a fault requires it.
        text: String,
    },
}

impl Record {
    /// Returns the commands of one client, in order. Skips other orders and refused lines.
    pub fn commands_on(&self, connection: usize) -> impl Iterator<Item = Command> {
        self.orders_on(connection).filter_map(|order| match order {
            Order::Command(command) => Some(command),
            Order::Stop | Order::Heartbeat => None,
        })
    }

    /// Returns the orders of one client, in order. Skips refused lines.
    pub fn orders_on(&self, connection: usize) -> impl Iterator<Item = Order> {
        let lines = self.received.iter().filter(move |received| received.connection == connection);
        lines.filter_map(|received| received.order.as_ref().ok().copied())
    }

    /// Returns the number of connected clients.
    pub fn connected(&self) -> u64 {
        self.counts.connections - self.counts.disconnections
    }
}
