//! The connection to the controller: is it open, and does the controller reply?
//!
//! [`Link`] is a state machine without a clock or a socket. A [`Network`] makes the [`Socket`]s.
//! `app` drives both.
//!
//! ```text
//!                    connected                     no reply for link.reply_timeout
//!   CONNECTING ───────────────▶ CONNECTED ───────────────────────────────────▶ UNRESPONSIVE
//!      ▲   │ failed, timed out    │  ▲ ◀────────────── reply ───────────────────── │
//!      │   ▼                      │ closed, broken      no reply for link.timeout  │
//!      └─ BACKOFF ◀───────────────┴────────────────────────────────────────────────┘
//! ```
//!
//! If controllers connect to the bridge, LISTENING comes before CONNECTED until enough of them are
//! connected. A controller that replies late is dropped, and the others stay. Over UDP there is no
//! connection, so only missing replies show that the controller is gone. The bridge never keeps a
//! command of one connection for the next connection.
//!
//! Uses `arm`, `geometry`, `text` and `wire`. Does not know whether the arm may move.

pub mod backoff;
mod config;
mod error;
mod host;
#[expect(clippy::module_inception, reason = "the module is named after its state machine")]
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
