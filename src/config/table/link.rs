//! Parameters of the connection to the controller: transport, timeouts, TLS and token.

use std::time::Duration;

use crate::params::{boolean, integer, one_of, seconds, text};

/// Which side opens the connection, and over which protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// The bridge connects to the controller.
    TcpClient,
    /// Controllers connect to the bridge.
    TcpServer,
    /// The bridge sends datagrams to the controller.
    Udp,
}

impl Transport {
    /// Returns whether each line is a datagram, which can be lost.
    pub fn is_udp(self) -> bool {
        match self {
            Self::TcpClient | Self::TcpServer => false,
            Self::Udp => true,
        }
    }
}

crate::parameters! {
    /// The connection to the controller: transport, timeouts, heartbeat, TLS and token.
    pub static LINK;

    /// How the bridge and the controller connect. tcp_client: the bridge connects to the controller
    /// at link.host:link.port. tcp_server: controllers connect to the bridge, which listens only on
    /// link.host:link.port. udp: the bridge sends each line as one datagram to link.host:link.port.
    /// A lost datagram is not sent again.
    LINK_TRANSPORT: Transport = one_of("link.transport", &[
        ("tcp_client", Transport::TcpClient),
        ("tcp_server", Transport::TcpServer),
        ("udp", Transport::Udp),
    ]).while_disarmed().identifies_arm();
    /// Name or address of the arm's controller. For tcp_server: the address of this machine on
    /// which the bridge listens. 0.0.0.0 then accepts every client that can reach this machine. The
    /// bridge resolves a name again at every attempt to connect.
    LINK_HOST: String = text("link.host", "127.0.0.1").not_empty().while_disarmed().identifies_arm();
    /// TCP or UDP port of the arm's controller. For tcp_server: the port on which the bridge
    /// listens.
    LINK_PORT: u16 = integer("link.port", 5000, 1..=65535).while_disarmed().identifies_arm();
    /// Only for tcp_server: number of controllers that must be connected before the arm moves. The
    /// bridge sends every line to every connected controller. It sends the next command after all
    /// controllers have replied.
    LINK_MIN_CLIENTS: usize = integer("link.min_clients", 1, 1..=32).while_disarmed();
    /// Time limit for resolving the name and connecting, together. If link.auth.token_file is set,
    /// the reply to the token has a separate time limit of the same length.
    LINK_CONNECT_TIMEOUT: Duration = seconds("link.connect_timeout", 3.0, 0.01..=60.0).while_disarmed();
    /// The connection is closed if the controller's machine does not acknowledge sent bytes for
    /// this long (socket option TCP_USER_TIMEOUT). This detects an unplugged cable.
    LINK_TCP_USER_TIMEOUT: Duration = seconds("link.tcp_user_timeout", 0.5, 0.01..=60.0).while_disarmed();
    /// true: the controller sends one reply for every line (for heartbeats, see
    /// link.heartbeat.expect_reply). false: the controller sends no replies. Then only
    /// teleop.command_rate limits the rate of commands, and a command counts as accepted when it is
    /// sent.
    LINK_EXPECT_REPLY: bool = boolean("link.expect_reply", true).while_disarmed();
    /// Maximum number of commands that wait for a reply at the same time. With 1 the bridge waits
    /// for the reply to a command before it sends the next command.
    LINK_MAX_IN_FLIGHT: usize = integer("link.max_in_flight", 1, 1..=64).while_disarmed();
    /// If a reply does not arrive within this time, the link becomes UNRESPONSIVE and motion holds.
    LINK_REPLY_TIMEOUT: Duration = seconds("link.reply_timeout", 0.5, 0.01..=60.0).while_disarmed();
    /// If a reply does not arrive within this time, the bridge closes the connection and connects
    /// again.
    LINK_TIMEOUT: Duration = seconds("link.timeout", 3.0, 0.01..=600.0).while_disarmed();
    /// Time from a lost or refused connection to the first new attempt to connect. The time doubles
    /// after each failed attempt. The bridge shortens each time by a random part, up to a quarter.
    LINK_BACKOFF_INITIAL: Duration = seconds("link.backoff.initial", 0.1, 0.01..=60.0).while_disarmed();
    /// Longest time between two attempts to connect.
    LINK_BACKOFF_MAX: Duration = seconds("link.backoff.max", 4.0, 0.01..=600.0).while_disarmed();
    /// If the bridge has sent no other line for this long, it sends {"type":"heartbeat"}. Use
    /// heartbeats only if the controller knows this line. While the arm rests, the controller can
    /// then detect a stopped bridge, and the bridge can detect a silent controller. 0: no
    /// heartbeats.
    LINK_HEARTBEAT_PERIOD: Duration = seconds("link.heartbeat.period", 0.0, 0.0..=60.0).while_disarmed();
    /// true: the controller replies to every line, also to heartbeats. false: the controller
    /// replies to every line except heartbeats.
    LINK_HEARTBEAT_EXPECT_REPLY: bool = boolean("link.heartbeat.expect_reply", true).while_disarmed();
    /// Number of banner lines: lines that the controller sends after connecting, before its first
    /// reply. The bridge ignores their content. It sends nothing before these lines have arrived.
    LINK_BANNER_LINES: u32 = integer("link.banner_lines", 0, 0..=100).while_disarmed();
    /// Time limit for the banner lines (link.banner_lines) after connecting. A board that restarts
    /// on every connection needs some seconds. If the lines do not arrive in time, the bridge
    /// closes the connection and connects again.
    LINK_BANNER_TIMEOUT: Duration = seconds("link.banner_timeout", 5.0, 0.01..=600.0).while_disarmed();
    /// true: TLS 1.2 or 1.3 encrypts the connection, and certificates prove the identity of the
    /// controller and of the bridge. Not for udp.
    LINK_TLS_ENABLED: bool = boolean("link.tls.enabled", false).while_disarmed();
    /// With link.tls.enabled: PEM file with the certificates of the trusted authorities. The bridge
    /// trusts no other authority. For tcp_server this text may be empty. Clients then need no
    /// certificate.
    LINK_TLS_CA_FILE: String = text("link.tls.ca_file", "").while_disarmed();
    /// With link.tls.enabled: the name or address that the controller's certificate must contain.
    /// Empty: the value of link.host.
    LINK_TLS_SERVER_NAME: String = text("link.tls.server_name", "").while_disarmed();
    /// With link.tls.enabled: PEM file with the bridge's own certificate, followed by the
    /// intermediate certificates. Empty: the bridge has no certificate. tcp_server requires one.
    LINK_TLS_CERTIFICATE_FILE: String = text("link.tls.certificate_file", "").while_disarmed();
    /// With link.tls.certificate_file: PEM file with the private key of the certificate.
    LINK_TLS_KEY_FILE: String = text("link.tls.key_file", "").while_disarmed();
    /// Path of a file whose first line is a token. The bridge reads the file at every connection
    /// and sends the token as the first line. If wire.format is json, this line is
    /// {"type":"hello","token":"..."}. If it is text, the line is only the token. The controller
    /// replies to this line as to any other line. Empty: no token. Not for udp.
    LINK_AUTH_TOKEN_FILE: String = text("link.auth.token_file", "").while_disarmed();
}
