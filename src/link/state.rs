//! What the link tells of itself.

use std::time::Duration;

use crate::wire::WireError;

/// The states of the link, as published in `LinkStatus.state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Not started, or ended.
    Disconnected,
    /// Resolving the name and opening the connection.
    Connecting,
    /// Connected; what was asked has been answered in time.
    Connected,
    /// Connected; an answer is overdue.
    Unresponsive,
    /// Waiting before the next attempt.
    Backoff,
}

/// Why a connection did not come about, or ended. In plain words, with what to do where that is known.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The host's name has no address.
    #[error("cannot resolve host '{host}': {source}")]
    Resolve {
        /// The parameter `host`.
        host: String,
        /// What the resolver said.
        source: std::io::Error,
    },
    /// No address of the host took the connection.
    #[error("cannot connect to {peer}: {source}")]
    Connect {
        /// Address and port.
        peer: String,
        /// What the last attempt said.
        source: std::io::Error,
    },
    /// Neither taken nor refused in time.
    #[error("cannot connect to {peer}: no answer within connect_timeout {:.1} s", timeout.as_secs_f64())]
    ConnectTimeout {
        /// Host and port.
        peer: String,
        /// `connect_timeout`.
        timeout: Duration,
    },
    /// The controller closed the connection.
    #[error("the controller closed the connection")]
    Closed,
    /// The operating system reports the connection as broken.
    #[error("the connection broke: {0}{hint}", hint = cable_hint(.0))]
    Broken(std::io::Error),
    /// What came is not the protocol.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// A reply to nothing: its place in the stream is not known.
    #[error("the controller sent a reply that no command was waiting for: '{message}'")]
    Unsolicited {
        /// The reply's message.
        message: String,
    },
    /// The oldest command or stop has been unanswered for too long.
    #[error(
        "no reply for link_timeout {:.1} s; if this controller never replies, set expect_reply to false",
        timeout.as_secs_f64()
    )]
    NoReply {
        /// `link_timeout`.
        timeout: Duration,
    },
    /// The controller has not taken any byte for too long.
    #[error("the controller has not read for link_timeout {:.1} s: its receive window is full", timeout.as_secs_f64())]
    NotReading {
        /// `link_timeout`.
        timeout: Duration,
    },
    /// A line went out in part: the rest would be sent late, so the connection is given up.
    #[error("only {written} of a line's {length} bytes fitted into the controller's receive window")]
    PartialWrite {
        /// Bytes that were taken.
        written: usize,
        /// Bytes of the line.
        length: usize,
    },
    /// `~/reconnect`.
    #[error("reconnecting on request")]
    Requested,
    /// A parameter of the link has changed.
    #[error("reconnecting with new parameters")]
    Reconfigured,
}

/// The kernel's time-out on unacknowledged bytes is what a pulled cable looks like.
fn cable_hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::TimedOut => {
            "; its machine has acknowledged nothing for tcp_user_timeout: is the cable in?"
        }
        _ => "",
    }
}

/// What has been exchanged since start. Stops are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Commands handed to a connection.
    pub sent: u64,
    /// Commands answered with ok; without `expect_reply`, commands sent.
    pub acknowledged: u64,
    /// Commands answered with an error.
    pub rejected: u64,
}

/// Times from command or stop to reply, over the newest few hundred replies. All zero before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoundTrips {
    /// Of the newest reply.
    pub last: Duration,
    /// The mean.
    pub mean: Duration,
    /// The 99th percentile.
    pub p99: Duration,
}
