//! Why a connection did not come about or ended, and how to mend it.

use std::io;
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use super::tls::{self, TlsError};
use crate::wire::advice::{self, Advice};
use crate::wire::{Reply, ReplyStatus, TokenError, Unfinished, WireError};

/// Why a connection did not come about, or ended. In plain words, with what to do where that is known.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the texts say what happened and what each value is")]
pub enum LinkError {
    #[error("cannot resolve host '{host}': {source}")]
    Resolve { host: String, source: io::Error },
    #[error("cannot connect to {peer}: {source}{hint}", hint = refused_hint(source))]
    Connect { peer: String, source: io::Error },
    #[error("cannot connect to {peer}: no answer within link.connect_timeout {:.1} s", timeout.as_secs_f64())]
    ConnectTimeout { peer: String, timeout: Duration },
    /// The connection cannot be encrypted.
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("cannot read link.auth.token_file '{path}': {source}")]
    TokenFile { path: String, source: io::Error },
    /// What there is to be read is no token.
    #[error("link.auth.token_file '{path}': {error}")]
    Token { path: String, error: TokenError },
    #[error("the controller refused the token of link.auth.token_file: '{message}'")]
    AuthRejected { message: String },
    #[error(
        "the controller has not answered the hello within link.connect_timeout {:.1} s; if it wants none, leave \
         link.auth.token_file empty",
        timeout.as_secs_f64()
    )]
    AuthTimeout { timeout: Duration },
    #[error("the controller closed the connection")]
    Closed,
    #[error("the connection broke: {0}{hint}{tls}", hint = cable_hint(.0), tls = tls::hint(.0))]
    Broken(io::Error),
    /// What came is not the protocol.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// What came is not the protocol, and nothing else has come on this connection: it may be a greeting.
    #[error("{error}")]
    FirstWords {
        error: WireError,
        /// Whether a line had been sent by then.
        asked: bool,
    },
    #[error(
        "{heard} of {wanted} greeting lines have come within link.banner_timeout {:.1} s{rest}; set link.banner_lines to the \
         number of lines that the controller says on connecting, or link.banner_timeout to more than it takes to start",
        timeout.as_secs_f64(),
        rest = instead(unfinished.as_ref())
    )]
    NotGreeted {
        heard: u32,
        wanted: u32,
        timeout: Duration,
        /// What has come of the next.
        unfinished: Option<Unfinished>,
    },
    #[error(
        "the controller closed the connection after {heard} of {wanted} greeting lines (link.banner_lines)"
    )]
    ClosedInGreeting { heard: u32, wanted: u32 },
    /// The controller ended the connection when it had answered one line, and the one before it too.
    #[error("{0}, after its first reply, as on the connection before")]
    AfterFirstReply(Box<LinkError>),
    /// A reply to nothing: its place in the stream is not known.
    #[error("the controller sent a reply that no command was waiting for: '{message}'")]
    Unsolicited {
        message: String,
        /// Whether nothing else has come on this connection.
        first: bool,
    },
    /// The first thing that came was an error, to no line or to the first, and then the end.
    #[error("the controller refused this client: '{message}'; does it serve another client?")]
    ClientRefused { message: String },
    /// The oldest command or stop has been unanswered for too long.
    #[error("no reply for link.timeout {:.1} s{}", timeout.as_secs_f64(), instead_of_reply(instead.as_deref()))]
    NoReply {
        timeout: Duration,
        /// What has come instead, in words.
        instead: Option<String>,
    },
    #[error("the controller has not read for link.timeout {:.1} s: its receive window is full", timeout.as_secs_f64())]
    NotReading { timeout: Duration },
    /// The kernel of the controller's machine takes what is sent, and its program does not.
    #[error(
        "the controller has not read for link.timeout {:.1} s, and what was sent waits in its receive window; does it serve \
         another client?",
        timeout.as_secs_f64()
    )]
    Lags { timeout: Duration },
    /// A line went out in part: the rest would be sent late, so the connection is given up.
    #[error("only {written} of a line's {length} bytes fitted into the controller's receive window")]
    PartialWrite { written: usize, length: usize },
    /// A controller that dialled in is gone, or had to go.
    #[error("{name}: {error}")]
    Client { name: String, error: Box<LinkError> },
    /// A controller that dialled in is late with a reply: the others are not to wait for it.
    #[error(
        "dropped, since it has not replied for link.reply_timeout {:.1} s{}",
        timeout.as_secs_f64(),
        instead_of_reply(instead.as_deref())
    )]
    Late {
        timeout: Duration,
        /// What has come instead, in words.
        instead: Option<String>,
    },
    /// A controller that dialled in does not read: the others are not to wait for it.
    #[error("dropped, since it does not read: its receive window is full")]
    Slow,
    /// A reply that says itself that it answers another line.
    #[error("the controller replied to line {echoed}, and line {expected} was next: replies come in order")]
    OutOfOrder {
        /// The number that it echoed.
        echoed: u64,
        /// The number of the oldest line without a reply.
        expected: u64,
    },
    #[error("cannot listen on {address}: {source}{hint}", hint = listen_hint(source))]
    Listen { address: String, source: io::Error },
    /// `~/reconnect`.
    #[error("reconnecting on request")]
    Requested,
    /// The computer was suspended: what was known of the controller is of before.
    #[error("reconnecting, because this computer slept for {:.1} s", slept.as_secs_f64())]
    ComputerSlept { slept: Duration },
    /// A parameter of the link has changed.
    #[error("reconnecting with new parameters")]
    Reconfigured,
}

/// What tells one way to fail from another: the error and its cause, without the values, which may differ every time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureKind(Discriminant<LinkError>, Option<Cause>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Wire(Discriminant<WireError>, Option<Advice>),
    Tls(Discriminant<TlsError>),
    Io(io::ErrorKind),
}

impl LinkError {
    /// Makes the error of a reply that no line waited for; `first` if nothing else had come on the connection.
    pub fn unsolicited(reply: &Reply, first: bool) -> Self {
        let message = reply.message.clone();
        match reply.status {
            ReplyStatus::Error if first => Self::ClientRefused { message },
            ReplyStatus::Error | ReplyStatus::Ok => Self::Unsolicited { message, first },
        }
    }

    /// The error, and how to mend it where that is known.
    pub fn advised(&self) -> String {
        match self.remedy() {
            Some(mend) => format!("{self}; {mend}"),
            None => self.to_string(),
        }
    }

    /// How to mend it, in the words of `arm_check`.
    fn remedy(&self) -> Option<String> {
        let advice = match self {
            Self::Client { error, .. } => return error.remedy(),
            // A greeting may come late, when a line has been sent already.
            Self::FirstWords { error, asked: true } if error.may_be_greeting() => {
                let other = error.advice().map(|advice| format!("; if not: {}", advice.remedy));
                let words =
                    "if the controller says this on connecting, set link.banner_lines to the number of lines";
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

    /// Which way to fail this is.
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

    /// Whether it follows from what the controller says, or does not say, so that a new connection ends in the same way.
    pub fn is_of_words(&self) -> bool {
        match self {
            Self::Client { error, .. } => error.is_of_words(),
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

/// Silence is advised on only where it was silence.
fn instead_of_reply(instead: Option<&str>) -> String {
    match instead {
        Some(instead) => format!(": {instead}"),
        None => {
            "; does it serve another client? If this controller never replies, set link.expect_reply to false"
                .to_owned()
        }
    }
}

/// What to do about a port that no program listens at.
fn refused_hint(error: &io::Error) -> &'static str {
    let hint = "; nothing listens there: start the controller, or set link.host and link.port to its address";
    if error.kind() == io::ErrorKind::ConnectionRefused { hint } else { "" }
}

/// The kernel's time-out on unacknowledged bytes is what a pulled cable looks like.
fn cable_hint(error: &io::Error) -> &'static str {
    let hint = "; its machine has taken nothing for link.tcp_user_timeout: is the cable in, and does the controller read?";
    if error.kind() == io::ErrorKind::TimedOut { hint } else { "" }
}

fn listen_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; something else listens there: another bridge?",
        io::ErrorKind::AddrNotAvailable => "; link.host must be an address of this machine",
        _ => "",
    }
}
