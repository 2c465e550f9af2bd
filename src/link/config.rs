//! The settings of the link. `crate::config` validates the values.

use std::time::Duration;

use super::backoff::Backoff;
use super::tls::TlsConfig;

/// When the link connects, sends, and drops a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkConfig {
    /// Which side opens the connection.
    pub role: Role,
    /// Whether the controller replies to every line.
    pub expect_reply: bool,
    /// The most lines in flight, at least 1. A line is in flight until its reply arrives. A stop
    /// line does not wait for other lines, but other lines wait for it.
    pub max_in_flight: usize,
    /// The settings of the heartbeat; `None` sends no heartbeat.
    pub heartbeat: Option<Heartbeat>,
    /// After this time without a reply the controller counts as unresponsive. A controller that has
    /// connected to the bridge is dropped.
    pub reply_timeout: Duration,
    /// After this time without a reply the connection is dropped.
    pub link_timeout: Duration,
    /// The waits between attempts to connect.
    pub backoff: Backoff,
}

/// Which side opens the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The bridge connects to one controller.
    TcpClient,
    /// Controllers connect to the bridge. Each receives every line. The next line waits for all
    /// replies, and a controller that is late is dropped.
    TcpServer {
        /// The link is down while fewer controllers than this are connected; at least 1.
        min_clients: usize,
    },
    /// Datagrams to one controller. There is no connection to open, and a lost line is not sent
    /// again.
    Udp,
}

/// Settings of the heartbeat, which is sent if there is no other line to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// The longest time without a line to the controller.
    pub period: Duration,
    /// Whether the controller replies to a heartbeat. Only used if replies are expected.
    pub expects_reply: bool,
}

/// Where to connect, and how long that may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportConfig {
    /// The name or address of the controller. If controllers connect to the bridge, the name or
    /// address of this machine.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The time limit for resolving the name and connecting, together.
    pub connect_timeout: Duration,
    /// The time limit for the controller's greeting after connecting, if it sends one.
    pub banner_timeout: Duration,
    /// `TCP_USER_TIMEOUT`: if bytes stay unacknowledged for longer than this, the connection breaks
    /// (Linux). The kernel checks this, so that a pulled cable is detected even if the controller
    /// never replies.
    pub tcp_user_timeout: Duration,
    /// The settings of TLS; `None` sends unencrypted.
    pub tls: Option<TlsConfig>,
}

impl TransportConfig {
    /// Returns `host:port`, with brackets around an IPv6 address.
    pub fn peer(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}
