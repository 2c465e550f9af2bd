//! The connection to the controller: who opens it, how it is kept, and who may speak on it.

use std::time::Duration;

use crate::params::{boolean, integer, one_of, seconds, text};

/// Who opens the connection, and what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The bridge connects to the controller.
    TcpClient,
    /// Controllers connect to the bridge.
    TcpServer,
    /// Datagrams to the controller.
    Udp,
}

impl Transport {
    /// Returns whether lines are datagrams, each of which can be lost.
    pub fn is_udp(self) -> bool {
        match self {
            Self::TcpClient | Self::TcpServer => false,
            Self::Udp => true,
        }
    }
}

crate::parameters! {
    /// The connection to the controller: who opens it, how it is kept, and who may speak on it.
    pub static LINK;

    /// Who opens the connection. tcp_client: the bridge connects to the controller at link.host:link.port. tcp_server:
    /// controllers connect to the bridge, which listens on link.host:link.port and nowhere else. udp: a datagram to
    /// link.host:link.port for every line; what is lost is lost.
    LINK_TRANSPORT: Transport = one_of("link.transport", &[
        ("tcp_client", Transport::TcpClient),
        ("tcp_server", Transport::TcpServer),
        ("udp", Transport::Udp),
    ]).while_disarmed().identifies_arm();
    /// Name or address of the arm's controller; for a tcp_server, of this machine, where 0.0.0.0 lets in whoever
    /// reaches it. A name is resolved anew at every attempt.
    LINK_HOST: String = text("link.host", "127.0.0.1").not_empty().while_disarmed().identifies_arm();
    /// TCP or UDP port of the arm's controller; for a tcp_server, of the bridge.
    LINK_PORT: u16 = integer("link.port", 5000, 1..=65535).while_disarmed().identifies_arm();
    /// With a tcp_server: how many controllers must be connected for the arm to move. Every one gets every line; the
    /// next command waits for the replies of all.
    LINK_MIN_CLIENTS: usize = integer("link.min_clients", 1, 1..=32).while_disarmed();
    /// Time allowed for resolving the name and connecting, together; with link.auth.token_file as much again for the
    /// answer to the hello.
    LINK_CONNECT_TIMEOUT: Duration = seconds("link.connect_timeout", 3.0, 0.01..=60.0).while_disarmed();
    /// Bytes that the controller's machine has not acknowledged for this long break the connection (TCP_USER_TIMEOUT).
    /// Finds a pulled cable.
    LINK_TCP_USER_TIMEOUT: Duration = seconds("link.tcp_user_timeout", 0.5, 0.01..=60.0).while_disarmed();
    /// Whether the controller answers every command with a line. Without replies nothing paces the commands but
    /// teleop.command_rate, and commands count as acknowledged when sent.
    LINK_EXPECT_REPLY: bool = boolean("link.expect_reply", true).while_disarmed();
    /// Commands that may be unanswered at a time. With 1 the controller's own pace is the pace.
    LINK_MAX_IN_FLIGHT: usize = integer("link.max_in_flight", 1, 1..=64).while_disarmed();
    /// Without a reply for this long the link is UNRESPONSIVE and motion holds.
    LINK_REPLY_TIMEOUT: Duration = seconds("link.reply_timeout", 0.5, 0.01..=60.0).while_disarmed();
    /// Without a reply for this long the connection is closed and opened anew.
    LINK_TIMEOUT: Duration = seconds("link.timeout", 3.0, 0.01..=600.0).while_disarmed();
    /// Wait before the first new attempt after a connection was lost or refused; doubles with each failure, less up to
    /// a quarter at random.
    LINK_BACKOFF_INITIAL: Duration = seconds("link.backoff.initial", 0.1, 0.01..=60.0).while_disarmed();
    /// Longest wait between attempts.
    LINK_BACKOFF_MAX: Duration = seconds("link.backoff.max", 4.0, 0.01..=600.0).while_disarmed();
    /// When nothing else has been said to the controller for this long, a line {"type":"heartbeat"} is, for a
    /// controller that knows it: its own watchdog then tells a resting arm from a dead laptop, and its silence is
    /// noticed at rest too. 0: never.
    LINK_HEARTBEAT_PERIOD: Duration = seconds("link.heartbeat.period", 0.0, 0.0..=60.0).while_disarmed();
    /// Whether the controller answers a heartbeat like any other line; false if it answers all but heartbeats.
    LINK_HEARTBEAT_EXPECT_REPLY: bool = boolean("link.heartbeat.expect_reply", true).while_disarmed();
    /// How many lines the controller says on connecting, before its first reply. They are passed over, whatever their
    /// bytes are, and nothing is sent before they have come.
    LINK_BANNER_LINES: u32 = integer("link.banner_lines", 0, 0..=100).while_disarmed();
    /// With link.banner_lines: time allowed for them after connecting. A board that starts when it is connected to
    /// needs some seconds. If they do not come in time, the connection is closed and opened again.
    LINK_BANNER_TIMEOUT: Duration = seconds("link.banner_timeout", 5.0, 0.01..=600.0).while_disarmed();
    /// Whether the connection is encrypted by TLS (1.2 or 1.3), and both sides show who they are by certificates. Not
    /// for udp.
    LINK_TLS_ENABLED: bool = boolean("link.tls.enabled", false).while_disarmed();
    /// With link.tls.enabled: file (PEM) of the authorities that sign the controller's certificate; no others are
    /// trusted. For a tcp_server it may be empty: then controllers need no certificate.
    LINK_TLS_CA_FILE: String = text("link.tls.ca_file", "").while_disarmed();
    /// With link.tls.enabled: the name or address that the controller's certificate must be for; empty: link.host.
    LINK_TLS_SERVER_NAME: String = text("link.tls.server_name", "").while_disarmed();
    /// With link.tls.enabled: file (PEM) of the bridge's own certificate, and those between it and its authority.
    /// Empty: the bridge shows none, which a tcp_server must.
    LINK_TLS_CERTIFICATE_FILE: String = text("link.tls.certificate_file", "").while_disarmed();
    /// With link.tls.certificate_file: file (PEM) of its private key.
    LINK_TLS_KEY_FILE: String = text("link.tls.key_file", "").while_disarmed();
    /// File whose first line is a token that the controller wants to be told before it takes commands; read anew for
    /// every connection. It is told in a line {"type":"hello","token":"..."}, or as it is where wire.format is text,
    /// and answered like any other line. Empty: nothing is told. Not for udp.
    LINK_AUTH_TOKEN_FILE: String = text("link.auth.token_file", "").while_disarmed();
}
