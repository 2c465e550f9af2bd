//! What the link is set to. `crate::config` validates the values.

use std::time::Duration;

use super::backoff::Backoff;
use super::tls::TlsConfig;

/// When the link connects, sends and gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkConfig {
    /// Who opens the connection.
    pub role: Role,
    /// Whether every line is answered.
    pub expect_reply: bool,
    /// Lines that may be unanswered at a time, at least 1. Stops do not wait for others, and others wait for them too.
    pub max_in_flight: usize,
    /// When there is nothing else to say, how often to say that the bridge is there; none: never.
    pub heartbeat: Option<Heartbeat>,
    /// Without a reply for this long the controller counts as unresponsive; one that dialled in is dropped.
    pub reply_timeout: Duration,
    /// Without a reply for this long the connection is given up.
    pub link_timeout: Duration,
    /// The waits between attempts.
    pub backoff: Backoff,
}

/// Who opens the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The bridge connects to one controller.
    TcpClient,
    /// Controllers connect to the bridge. Each gets every line; the next line waits for all, and who is late is dropped.
    TcpServer {
        /// With fewer there is no link, at least 1.
        min_clients: usize,
    },
    /// Datagrams to one controller: there is no connection to be opened, and a line that is lost stays lost.
    Udp,
}

/// What is said when there is nothing else to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// The longest silence towards the controller.
    pub period: Duration,
    /// Whether it is answered, where lines are.
    pub expects_reply: bool,
}

/// Where to connect, and how long that may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportConfig {
    /// Name or address of the controller; of this machine, where controllers dial in.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// For resolving the name and connecting, together.
    pub connect_timeout: Duration,
    /// For the controller's greeting, where it has one, after connecting.
    pub banner_timeout: Duration,
    /// `TCP_USER_TIMEOUT`: unacknowledged bytes older than this break the connection (Linux). The kernel watches it, so that
    /// a pulled cable is noticed even where the controller never replies.
    pub tcp_user_timeout: Duration,
    /// How to encrypt what is said; none: not at all.
    pub tls: Option<TlsConfig>,
}

impl TransportConfig {
    /// `host:port`, as a person would write it.
    pub fn peer(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}
