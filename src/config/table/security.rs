//! Who may speak to whom, and who may listen in between.

use crate::params::{boolean, text};

crate::parameters! {
    /// Who may speak to whom, and who may listen in between.
    pub static SECURITY;

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
