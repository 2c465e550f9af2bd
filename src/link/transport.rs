//! The sockets: names resolved anew at every attempt, options set before the connection opens.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpSocket, TcpStream, lookup_host};

use super::state::LinkError;

/// Where to connect, and how long that may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportConfig {
    /// Name or address of the controller.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// For resolving the name and connecting, together.
    pub connect_timeout: Duration,
    /// `TCP_USER_TIMEOUT`: unacknowledged bytes older than this break the connection (Linux). Found by the kernel, so
    /// a pulled cable is noticed even where the controller never replies.
    pub tcp_user_timeout: Duration,
}

/// Opens connections to the controller.
#[derive(Debug, Clone)]
pub struct Transport {
    config: TransportConfig,
}

impl Transport {
    /// A transport that opens connections as configured.
    pub fn new(config: TransportConfig) -> Self {
        Self { config }
    }

    /// `host:port`, as a person would write it.
    pub fn peer(&self) -> String {
        let TransportConfig { host, port, .. } = &self.config;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// Resolves the host and connects to the first of its addresses that takes the connection.
    ///
    /// # Errors
    /// The last address's error, or that `connect_timeout` has passed.
    pub async fn connect(&self) -> Result<TcpStream, LinkError> {
        let timeout = self.config.connect_timeout;
        tokio::time::timeout(timeout, self.resolve_and_connect())
            .await
            .unwrap_or_else(|_| Err(LinkError::ConnectTimeout { peer: self.peer(), timeout }))
    }

    async fn resolve_and_connect(&self) -> Result<TcpStream, LinkError> {
        let host = self.config.host.as_str();
        let resolve_error = |source| LinkError::Resolve { host: host.to_owned(), source };
        let addresses = lookup_host((host, self.config.port)).await.map_err(resolve_error)?;
        let mut last = None;
        for address in addresses {
            match self.open(address).await {
                Ok(stream) => return Ok(stream),
                Err(source) => last = Some(LinkError::Connect { peer: address.to_string(), source }),
            }
        }
        Err(last.unwrap_or_else(|| {
            resolve_error(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
        }))
    }

    async fn open(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        self.set_options(&SockRef::from(&socket))?;
        let stream = TcpSocket::from_std_stream(socket.into()).connect(address).await?;
        if stream.local_addr()? == stream.peer_addr()? {
            // A loopback port in the ephemeral range that nobody listens on can connect to itself.
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "nobody listens there"));
        }
        Ok(stream)
    }

    fn set_options(&self, socket: &SockRef<'_>) -> io::Result<()> {
        socket.set_tcp_nodelay(true)?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE);
        #[cfg(target_os = "linux")]
        let keepalive = keepalive.with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_RETRIES);
        socket.set_tcp_keepalive(&keepalive)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(self.config.tcp_user_timeout))?;
        // Commands that wait in a buffer are stale commands: keep room for a few dozen lines, not for a minute of them.
        socket.set_send_buffer_size(SEND_BUFFER)
    }
}

const KEEPALIVE_IDLE: Duration = Duration::from_secs(1);
#[cfg(target_os = "linux")]
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
#[cfg(target_os = "linux")]
const KEEPALIVE_RETRIES: u32 = 3;
/// The kernel doubles this and accounts its own overhead in it.
const SEND_BUFFER: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn transport(host: &str, port: u16) -> Transport {
        Transport::new(TransportConfig {
            host: host.into(),
            port,
            connect_timeout: Duration::from_secs(3),
            tcp_user_timeout: Duration::from_millis(500),
        })
    }

    #[tokio::test]
    async fn the_socket_options_of_the_design_are_set() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = transport("127.0.0.1", listener.local_addr().unwrap().port()).connect().await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert!(socket.keepalive().unwrap());
        assert!(socket.send_buffer_size().unwrap() < 64 * 1024);
        #[cfg(target_os = "linux")]
        {
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(500)));
            assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_IDLE);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_INTERVAL);
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_RETRIES);
        }
    }

    #[tokio::test]
    async fn a_name_is_resolved_and_all_its_addresses_are_tried() {
        // localhost may be ::1 first, where nobody listens
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = transport("localhost", listener.local_addr().unwrap().port()).connect().await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    }

    #[tokio::test]
    async fn a_name_without_address_and_a_port_without_listener_are_named() {
        let error = transport("no-such-host.invalid", 5000).connect().await.unwrap_err();
        assert!(error.to_string().contains("'no-such-host.invalid'"), "{error}");
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = transport("127.0.0.1", free.port()).connect().await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot connect to {free}: ")), "{error}");
    }

    #[test]
    fn an_ipv6_peer_is_written_in_brackets() {
        assert_eq!(transport("::1", 5000).peer(), "[::1]:5000");
    }
}
