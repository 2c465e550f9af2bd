//! Who may speak to whom, and who may listen in between.

use crate::config::Change::Disarmed;
use crate::config::parameter::Initial::{Boolean, Text};
use crate::config::parameter::{Parameter, Range, parameter};

pub(super) const SECURITY: &[Parameter] = &[
    parameter(
        "tls.enabled",
        Boolean(false),
        "",
        Range::Any,
        "Whether the connection is encrypted by TLS (1.2 or 1.3), and both sides show who they are by certificates. Not for udp.",
        Disarmed,
    ),
    parameter(
        "tls.ca_file",
        Text(""),
        "",
        Range::Any,
        "With tls.enabled: file (PEM) of the authorities that sign the controller's certificate; no others are trusted. For a tcp_server it may be empty: then controllers need no certificate.",
        Disarmed,
    ),
    parameter(
        "tls.server_name",
        Text(""),
        "",
        Range::Any,
        "With tls.enabled: the name or address that the controller's certificate must be for; empty: host.",
        Disarmed,
    ),
    parameter(
        "tls.certificate_file",
        Text(""),
        "",
        Range::Any,
        "With tls.enabled: file (PEM) of the bridge's own certificate, and those between it and its authority. Empty: the bridge shows none, which a tcp_server must.",
        Disarmed,
    ),
    parameter(
        "tls.key_file",
        Text(""),
        "",
        Range::Any,
        "With tls.certificate_file: file (PEM) of its private key.",
        Disarmed,
    ),
    parameter(
        "hello.token_file",
        Text(""),
        "",
        Range::Any,
        "File whose first line is a token that the controller wants to be told before it takes commands; read anew for every connection. It is told in a line {\"type\":\"hello\",\"token\":\"...\"}, or as it is where codec is text, and answered like any other line. Empty: nothing is told. Not for udp.",
        Disarmed,
    ),
];
