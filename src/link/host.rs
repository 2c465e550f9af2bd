//! Checks that a text is a valid host: a name or an address. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Why a text is not a host, and what to write instead if that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The text is empty.
    #[error("it is empty: write a name or an address, like '192.168.1.50'")]
    Empty,
    /// There are blanks or control characters before or after the host.
    #[error("it has blanks or control characters around it: write '{0}'")]
    Blanks(String),
    /// The text contains a port.
    #[error("it has a port: set link.host to '{host}' and link.port to {port}")]
    #[expect(missing_docs, reason = "the text explains each value")]
    Port { host: String, port: u16 },
    /// The text contains a port that is not valid.
    #[error(
        "it has a port that is not valid: set link.host to '{0}', and link.port to a number from 1 to 65535"
    )]
    NoPort(String),
    /// The text has brackets, which are used only with a port.
    #[error("it has brackets: write '{0}'")]
    Brackets(String),
    /// The text is a URL, or a part of one.
    #[error("it is a URL, or a part of one: write '{0}'{port}", port = with_port(*.1))]
    Url(String, Option<u16>),
    /// The text is a path, or a URL without a host.
    #[error("it has no name and no address of a machine: write one, like '192.168.1.50'")]
    NoHost,
    /// `*`, which means all addresses in other programs.
    #[error("it is not an address: write '0.0.0.0' for every IPv4 address of this machine")]
    Every,
    /// The text ends like an IPv4 address, and is not one.
    #[error(
        "it is not an IPv4 address (four numbers from 0 to 255 without leading zeros), like '192.168.1.50'"
    )]
    NotIpv4,
    /// The text has colons like an IPv6 address, and is not one.
    #[error("it is not an IPv6 address, like '::1' or 'fe80::1%eth0', and a name has no colon")]
    NotIpv6,
    /// The text has a character that is not allowed in names and addresses.
    #[error("a name or an address has no {0:?}: write a name or an address, like '192.168.1.50'")]
    Character(char),
    /// A part between dots is empty or too long, or the whole name is too long.
    #[error("each part of a name between dots has 1 to 63 characters, and the name 253 at most")]
    Length,
}

fn with_port(port: Option<u16>) -> String {
    port.map(|port| format!(", and set link.port to {port}")).unwrap_or_default()
}

/// Checks that a text is the name or the address of a machine.
///
/// # Errors
/// What is wrong, and what to write instead.
pub fn check_host(text: &str) -> Result<(), HostError> {
    let is_around = |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}';
    let host = text.trim_matches(is_around);
    match host {
        "" => return Err(HostError::Empty),
        "*" => return Err(HostError::Every),
        _ if host.len() < text.len() => return Err(HostError::Blanks(host.to_owned())),
        _ if is_address(host) => return Ok(()),
        _ => {}
    }
    let is_host = |text: &str| check_host(text).is_ok();
    if let Some((host, port)) = without_url(host) {
        return Err(if is_host(&host) { HostError::Url(host, port) } else { HostError::NoHost });
    }
    match without_port(host) {
        Some((host, Some(port))) if is_host(&host) => return Err(HostError::Port { host, port }),
        Some((host, None)) if is_host(&host) => return Err(HostError::NoPort(host)),
        _ => {}
    }
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Err(HostError::Brackets(address.to_owned()));
    }
    check_name(host)
}

/// Returns whether the text is an IPv4 address, or an IPv6 address with or without a zone.
fn is_address(host: &str) -> bool {
    let zoned = host.split_once('%').filter(|(_, zone)| {
        !zone.is_empty() && !zone.chars().any(|c| c.is_whitespace() || c.is_control() || "/[]%".contains(c))
    });
    match zoned {
        Some((address, _)) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<IpAddr>().is_ok(),
    }
}

/// Returns host and port of a URL, or of a part of one: a scheme, a user, a path.
fn without_url(text: &str) -> Option<(String, Option<u16>)> {
    let (_, rest) = text
        .split_once("//")
        .filter(|(scheme, _)| scheme.is_empty() || scheme.ends_with(':'))
        .unwrap_or(("", text));
    let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let rest = rest.rsplit('@').next().unwrap_or_default();
    if rest == text {
        return None;
    }
    // If the text in front of a path ends with a colon, it is a scheme and not a host.
    let (host, port) = match without_port(rest) {
        Some(_) if rest.ends_with(':') => (String::new(), None),
        Some(host_and_port) => host_and_port,
        None => (rest.to_owned(), None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
    Some((bare.to_owned(), port))
}

/// Returns the text in front of a port, without brackets, and the port if it is valid. A colon
/// without digits counts as a port, too.
fn without_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = text.rsplit_once(':')?;
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = bare.is_some_and(is_address) || !host.is_empty() && !host.contains([':', '[', ']']);
    let port = port.parse().ok().filter(|port| *port > 0);
    is_host.then(|| (bare.unwrap_or(host).to_owned(), port))
}

fn check_name(name: &str) -> Result<(), HostError> {
    if name.contains(':') && !name.contains(['[', ']']) {
        return Err(HostError::NotIpv6);
    }
    let unknown = |c: &char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
    if let Some(c) = name.chars().find(unknown) {
        return Err(HostError::Character(c));
    }
    let labels = name.strip_suffix('.').unwrap_or(name);
    let is_number = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit());
    if labels.rsplit('.').next().is_some_and(is_number) && labels.parse::<Ipv4Addr>().is_err() {
        return Err(HostError::NotIpv4);
    }
    let fits = |label: &str| (1..=63).contains(&label.len());
    if labels.len() > 253 || !labels.split('.').all(fits) {
        return Err(HostError::Length);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_host;

    #[test]
    fn names_and_addresses_are_hosts() {
        for host in [
            "127.0.0.1",
            "0.0.0.0",
            "192.168.1.50",
            "::",
            "::1",
            "::ffff:192.168.1.50",
            "fe80::1%eth0",
            "fe80::1%3",
            "fe80::1%enp0s31f6.100",
            "localhost",
            "arm",
            "arm.lab",
            "arm.lab.",
            "arm-1.lab",
            "lab_arm_controller_1",
            "_arm._tcp.lab",
            "4f5e6a7b8c9d",
            "3com",
            "xn--rbter-jua.lab",
            "röbter.lab",
        ] {
            assert_eq!(check_host(host), Ok(()), "{host}");
        }
    }

    #[test]
    fn invalid_host_is_rejected_with_a_remedy() {
        for (host, words) in [
            ("", "it is empty"),
            (" \t", "it is empty"),
            ("[::1]", "it has brackets: write '::1'"),
            ("[fe80::1%eth0]", "it has brackets: write 'fe80::1%eth0'"),
            ("[arm]", "it has brackets: write 'arm'"),
            ("192.168.1.50:5000", "set link.host to '192.168.1.50' and link.port to 5000"),
            ("[::1]:5000", "set link.host to '::1' and link.port to 5000"),
            ("[fe80::1%eth0]:5000", "set link.host to 'fe80::1%eth0' and link.port to 5000"),
            ("arm.lab:5000", "set link.host to 'arm.lab' and link.port to 5000"),
            (" arm", "write 'arm'"),
            ("arm ", "write 'arm'"),
            ("arm\n", "write 'arm'"),
            ("\u{a0}192.168.1.50\r\n", "write '192.168.1.50'"),
            ("\u{feff}arm", "write 'arm'"),
            ("arm\0", "write 'arm'"),
            ("http://arm.lab", "write 'arm.lab'"),
            ("http://arm.lab/", "write 'arm.lab'"),
            ("tcp://192.168.1.50:5000", "write '192.168.1.50', and set link.port to 5000"),
            ("tcp://[::1]:5000/x", "write '::1', and set link.port to 5000"),
            ("//arm", "write 'arm'"),
            ("arm/path", "write 'arm'"),
            ("192.168.1.50/24", "write '192.168.1.50'"),
            ("robot@arm", "write 'arm'"),
            ("ssh://robot:secret@arm:22", "write 'arm', and set link.port to 22"),
            ("*", "write '0.0.0.0'"),
            ("192.168.1", "not an IPv4 address"),
            ("192.168.1.500", "not an IPv4 address"),
            ("192.168.001.050", "not an IPv4 address"),
            ("5000", "not an IPv4 address"),
            ("::1::", "not an IPv6 address"),
            ("fe80::1%", "not an IPv6 address"),
            ("arm:", "set link.host to 'arm', and link.port to a number"),
            ("arm:0", "set link.host to 'arm', and link.port to a number"),
            ("arm:99999", "set link.host to 'arm', and link.port to a number"),
            ("[::1]:99999", "set link.host to '::1', and link.port to a number"),
            ("tcp://arm:99999", "write 'arm'"),
            ("10:30", "not an IPv6 address"),
            ("/dev/ttyUSB0", "it has no name and no address"),
            ("serial:/dev/ttyUSB0", "it has no name and no address"),
            ("http://", "it has no name and no address"),
            ("http://arm lab/", "it has no name and no address"),
            ("arm:5000:1", "not an IPv6 address"),
            ("arm lab", "has no ' '"),
            ("arm,lab", "has no ','"),
            ("\"arm\"", "has no '\"'"),
            ("a\u{1b}[2Jb", "has no '\\u{1b}'"),
            ("[::1", "has no '['"),
            ("$ARM", "has no '$'"),
            ("arm..lab", "between dots"),
            (".arm", "between dots"),
        ] {
            let error = check_host(host).map(|()| host.to_owned()).unwrap_err().to_string();
            assert!(error.contains(words), "{host:?}: {error}");
        }
        let long = "a".repeat(64);
        assert!(check_host(&long).is_err() && check_host(&long[1..]).is_ok());
    }
}
