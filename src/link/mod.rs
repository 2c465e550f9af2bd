//! Am I connected, and does the controller answer?
//!
//! [`Link`] is a state machine without a clock or a socket; a [`Network`] makes the [`Socket`]s. `app` drives both.
//!
//! ```text
//!                    connected                     no reply for link.reply_timeout
//!   CONNECTING ───────────────────▶ CONNECTED ───────────────────────────────▶ UNRESPONSIVE
//!      ▲   │ failed, timed out        │  ▲ ◀────────── reply ──────────────────── │
//!      │   ▼                          │ closed, broken                            │ no reply for link.timeout
//!      └─ BACKOFF ◀───────────────────┴───────────────────────────────────────────┘
//! ```
//!
//! Where controllers dial in, LISTENING comes before CONNECTED until enough of them have; one that is late is dropped, and
//! the others stay. Datagrams have no connection to lose: only silence tells. No command is queued across connections.
//!
//! Names `arm`, `geometry`, `text` and `wire`. Never knows whether the arm may move.

pub mod backoff;
mod config;
mod error;
mod host;
#[expect(clippy::module_inception, reason = "the room is named after its machine")]
mod link;
mod outcome;
mod peers;
mod rtt;
mod socket;
mod tls;
mod transport;
mod unread;

pub use config::{Heartbeat, LinkConfig, Role, TransportConfig};
pub use error::{FailureKind, LinkError};
pub use host::{HostError, check_host};
pub use link::{Action, Link, LinkState, Stage};
pub use outcome::{Counters, Outcome};
pub use peers::{Full, Peer, PeerId};
pub use rtt::RoundTrips;
pub use socket::Socket;
pub use tls::{Identity, TlsConfig, TlsError};
pub use transport::{Accepted, ConnectFuture, Endpoint, Listener, Network, System};
