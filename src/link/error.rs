//! Why an attempt to connect failed or a connection ended, and how to fix that.

use std::io;
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use super::tls::{self, TlsError};
use crate::wire::advice::{self, Advice};
use crate::wire::{Reply, ReplyStatus, TokenError, Unfinished, WireError};

/// Why an attempt to connect failed, or a connection ended. The texts of some errors include the
/// remedy. [`LinkError::advised`] adds the other known remedies.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts explain each value")]
pub enum LinkError {
    #[error("cannot resolve host '{host}': {source}")]
    Resolve { host: String, source: io::Error },
    #[error("cannot connect to {peer}: {source}{hint}", hint = refused_hint(source))]
    Connect { peer: String, source: io::Error },
    #[error("cannot connect to {peer}: no connection within link.connect_timeout {:.1} s", timeout.as_secs_f64())]
    ConnectTimeout { peer: String, timeout: Duration },
    /// TLS cannot be established.
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot read link.auth.token_file '{path}': {source}")]
    TokenFile { path: String, source: io::Error },
    /// The file holds no valid token.
    #[error("link.auth.token_file '{path}': {error}")]
    Token { path: String, error: TokenError },
    #[error("the controller rejected the token of link.auth.token_file: '{message}'")]
    AuthRejected { message: String },
    #[error(
        "the controller has not replied to the hello within link.connect_timeout {:.1} s; if it expects no hello, leave \
         link.auth.token_file empty",
        timeout.as_secs_f64()
    )]
    AuthTimeout { timeout: Duration },
    #[error("the controller closed the connection")]
    Closed,
    #[error("the connection broke: {0}{hint}{tls}", hint = cable_hint(.0), tls = tls::hint(.0))]
    Broken(io::Error),
    /// The input does not follow the protocol.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// The first input on this connection does not follow the protocol: it may be a greeting.
    #[error("{error}")]
    FirstWords {
        error: WireError,
        /// Whether a line had been sent before this input.
        asked: bool,
    },
    #[error(
        "{received} of {wanted} banner lines have come within link.banner_timeout {:.1} s{rest}; set link.banner_lines to the \
         number of lines that the controller sends on connecting, or increase link.banner_timeout if it starts slowly",
        timeout.as_secs_f64(),
        rest = instead(unfinished.as_ref())
    )]
    NotGreeted {
        received: u32,
        wanted: u32,
        timeout: Duration,
        /// The beginning of the next line, if it has been received.
        unfinished: Option<Unfinished>,
    },
    #[error(
        "the controller closed the connection after {received} of {wanted} banner lines (link.banner_lines)"
    )]
    ClosedInGreeting { received: u32, wanted: u32 },
    /// The controller ended the connection after its first reply, as on the previous connection.
    #[error("{0}, after its first reply, as on the previous connection")]
    AfterFirstReply(Box<LinkError>),
    /// An unsolicited reply. The following replies could be matched to the wrong lines.
    #[error("the controller sent a reply that no command was waiting for: '{message}'")]
    Unsolicited {
        message: String,
        /// Whether this is the first input on this connection.
        first: bool,
    },
    /// The controller's first reply was an error (unsolicited, or to the first line), and then it
    /// ended the connection.
    #[error("the controller rejected this connection: '{message}'; does it serve another client?")]
    ClientRefused { message: String },
    /// The oldest line has been without a reply for too long.
    #[error("no reply for link.timeout {:.1} s{}", timeout.as_secs_f64(), instead_of_reply(instead.as_deref()))]
    NoReply {
        timeout: Duration,
        /// A description of other input that has been received instead.
        instead: Option<String>,
    },
    #[error("the controller has not read for link.timeout {:.1} s: its receive window is full", timeout.as_secs_f64())]
    NotReading { timeout: Duration },
    /// The kernel of the controller's machine accepts the lines, but the controller's program does
    /// not read them.
    #[error(
        "the controller has not read for link.timeout {:.1} s, and the sent lines wait in its receive window; does it serve \
         another client?",
        timeout.as_secs_f64()
    )]
    Lags { timeout: Duration },
    /// Only a part of a line was sent. The connection is dropped, because the rest would be sent
    /// late.
    #[error("only {written} of a line's {length} bytes fitted into the controller's receive window")]
    PartialWrite { written: usize, length: usize },
    /// A controller that had connected to the bridge has left, or was dropped.
    #[error("{name}: {error}")]
    Client { name: String, error: Box<LinkError> },
    /// A controller that had connected to the bridge replies late. It is dropped, because the
    /// others must not wait for it.
    #[error(
        "dropped, because it has not replied for link.reply_timeout {:.1} s{}",
        timeout.as_secs_f64(),
        instead_of_reply(instead.as_deref())
    )]
    Late {
        timeout: Duration,
        /// A description of other input that has been received instead.
        instead: Option<String>,
    },
    /// A controller that had connected to the bridge does not read. It is dropped, because the
    /// others must not wait for it.
    #[error("dropped, because it does not read: its receive window is full")]
    Slow,
    /// A reply echoes the number of another line.
    #[error(
        "the controller replied to line {echoed}, but line {expected} was next: replies must come in order"
    )]
    OutOfOrder {
        /// The echoed number.
        echoed: u64,
        /// The number of the oldest line without a reply.
        expected: u64,
    },
    #[error("cannot listen on {address}: {source}{hint}", hint = listen_hint(source))]
    Listen { address: String, source: io::Error },
    /// The operator called `~/reconnect`.
    #[error("reconnecting on request")]
    Requested,
    /// The computer was suspended, so the data about the controller are out of date.
    #[error("reconnecting, because this computer slept for {:.1} s", slept.as_secs_f64())]
    ComputerSlept { slept: Duration },
    /// A parameter of the link has changed.
    #[error("reconnecting with new parameters")]
    Reconfigured,
}

/// The kind of a failure: the error and its cause, without the values, which may differ each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureKind(Discriminant<LinkError>, Option<Cause>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Wire(Discriminant<WireError>, Option<Advice>),
    Tls(Discriminant<TlsError>),
    Io(io::ErrorKind),
}

impl LinkError {
    /// Creates the error of an unsolicited reply. `first` shows that it was the first input on the
    /// connection.
    pub fn unsolicited(reply: &Reply, first: bool) -> Self {
        let message = reply.message.clone();
        match reply.status {
            ReplyStatus::Error if first => Self::ClientRefused { message },
            ReplyStatus::Error | ReplyStatus::Ok => Self::Unsolicited { message, first },
        }
    }

    /// Returns the error text, with the remedy if it is known.
    pub fn advised(&self) -> String {
        match self.remedy() {
            Some(remedy) => format!("{self}; {remedy}"),
            None => self.to_string(),
        }
    }

    /// Returns the remedy, in the words of `arm_check`.
    fn remedy(&self) -> Option<String> {
        let advice = match self {
            Self::Client { error, .. } => return error.remedy(),
            // A greeting may arrive late, after a line has been sent.
            Self::FirstWords { error, asked: true } if error.may_be_greeting() => {
                let other = error.advice().map(|advice| format!("; if not: {}", advice.remedy));
                let words = "if the controller sends this on connecting, set link.banner_lines to the number of lines";
                return Some(format!("{words}{}", other.unwrap_or_default()));
            }
            Self::FirstWords { error, .. } if error.may_be_greeting() => Some(advice::GREETING),
            Self::Wire(error) | Self::FirstWords { error, .. } => error.advice(),
            Self::Unsolicited { first: true, .. } => Some(advice::GREETING),
            Self::AfterFirstReply(_) => Some(advice::STAYS),
            Self::Unsolicited { first: false, .. } => Some(advice::ONE_REPLY),
            _ => None,
        };
        advice.map(|advice| advice.remedy.to_owned())
    }

    /// Returns the kind of this failure.
    pub fn kind(&self) -> FailureKind {
        let cause = match self {
            Self::Client { error, .. } => return error.kind(),
            Self::Wire(error) | Self::FirstWords { error, .. } => {
                Some(Cause::Wire(discriminant(error), error.advice()))
            }
            Self::Tls(error) => Some(Cause::Tls(discriminant(error))),
            Self::Resolve { source, .. }
            | Self::Connect { source, .. }
            | Self::TokenFile { source, .. }
            | Self::Listen { source, .. }
            | Self::Broken(source) => Some(Cause::Io(source.kind())),
            _ => None,
        };
        FailureKind(discriminant(self), cause)
    }

    /// Returns whether the replies of the controller, or missing replies, caused the error. A new
    /// connection is then likely to end in the same way.
    pub fn is_likely_to_repeat(&self) -> bool {
        match self {
            Self::Client { error, .. } => error.is_likely_to_repeat(),
            Self::Wire(_)
            | Self::FirstWords { .. }
            | Self::NotGreeted { .. }
            | Self::ClosedInGreeting { .. }
            | Self::AfterFirstReply(_)
            | Self::Unsolicited { .. }
            | Self::ClientRefused { .. }
            | Self::NoReply { .. }
            | Self::Late { .. }
            | Self::OutOfOrder { .. }
            | Self::AuthRejected { .. }
            | Self::AuthTimeout { .. } => true,
            _ => false,
        }
    }
}

fn instead(unfinished: Option<&Unfinished>) -> String {
    unfinished.map(|unfinished| format!("; {unfinished}")).unwrap_or_default()
}

/// The advice about missing replies is given only if there was no other input.
fn instead_of_reply(instead: Option<&str>) -> String {
    match instead {
        Some(instead) => format!(": {instead}"),
        None => {
            "; does it serve another client? If this controller never replies, set link.expect_reply to false"
                .to_owned()
        }
    }
}

/// Returns what to do about a port that no program listens on.
fn refused_hint(error: &io::Error) -> &'static str {
    let hint = "; nothing listens there: start the controller, or set link.host and link.port to its address";
    if error.kind() == io::ErrorKind::ConnectionRefused { hint } else { "" }
}

/// If a cable is pulled, the kernel reports a time-out of unacknowledged bytes.
fn cable_hint(error: &io::Error) -> &'static str {
    let hint = "; its machine has acknowledged nothing for link.tcp_user_timeout: is the cable in, and does the controller read?";
    if error.kind() == io::ErrorKind::TimedOut { hint } else { "" }
}

fn listen_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; something else listens there: another bridge?",
        io::ErrorKind::AddrNotAvailable => "; link.host must be an address of this machine",
        _ => "",
    }
}
