//! The system's sockets. Names are resolved again at every attempt, and options are set before the
//! connection opens.

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket, lookup_host};

use super::config::{Role, TransportConfig};
use super::error::LinkError;
use super::socket::Socket;
use super::unread::WatchedStream;

/// A boxed future that resolves to `T`, or to the reason of the failure.
pub type ConnectFuture<T> = Pin<Box<dyn Future<Output = Result<T, LinkError>> + Send>>;

/// Opens connections: the system's sockets, or a simulation of them.
pub trait Network: Send + Sync {
    /// Opens a connection, or a port that listens for controllers.
    fn open(&self, role: Role, config: &TransportConfig) -> ConnectFuture<Endpoint>;
}

/// The result of [`Network::open`].
#[derive(Debug)]
pub enum Endpoint {
    /// A connection, or a UDP socket.
    Socket(Arc<dyn Socket>),
    /// A port that controllers connect to.
    Listener(Box<dyn Listener>),
}

/// A controller that has connected: a future that makes its socket ready, and its address.
pub type Accepted = (ConnectFuture<Arc<dyn Socket>>, SocketAddr);

/// A port that controllers connect to.
pub trait Listener: Debug + Send {
    /// Returns the next controller that has connected.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>>;
}

/// The system's sockets.
#[derive(Debug, Clone, Copy)]
pub struct System;

impl Network for System {
    fn open(&self, role: Role, config: &TransportConfig) -> ConnectFuture<Endpoint> {
        let transport = Transport { role, config: config.clone() };
        Box::pin(async move { transport.open().await })
    }
}

#[derive(Debug, Clone)]
struct Transport {
    role: Role,
    config: TransportConfig,
}

impl Transport {
    async fn open(&self) -> Result<Endpoint, LinkError> {
        Ok(match self.role {
            Role::TcpClient => {
                let stream = self.at_first_address(Self::connect).await?;
                Endpoint::Socket(match &self.config.tls {
                    None => Arc::new(WatchedStream::new(stream)),
                    Some(tls) => Arc::new(tls.connect(stream).await?),
                })
            }
            Role::TcpServer { .. } => {
                Endpoint::Listener(Box::new(self.at_first_address(Self::listen).await?))
            }
            Role::Udp => Endpoint::Socket(Arc::new(self.at_first_address(Self::datagrams).await?)),
        })
    }

    /// Resolves the host, and calls `open` for each of its addresses until it succeeds.
    async fn at_first_address<T>(
        &self,
        open: impl AsyncFn(&Self, SocketAddr) -> io::Result<T>,
    ) -> Result<T, LinkError> {
        let host = self.config.host.as_str();
        let resolve_error = |source| LinkError::Resolve { host: host.to_owned(), source };
        let addresses = lookup_host((host, self.config.port)).await.map_err(resolve_error)?;
        let mut last = None;
        for address in addresses {
            match open(self, address).await {
                Ok(opened) => return Ok(opened),
                Err(source) => last = Some(self.refused(address, source)),
            }
        }
        Err(last.unwrap_or_else(|| {
            resolve_error(io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
        }))
    }

    fn refused(&self, address: SocketAddr, source: io::Error) -> LinkError {
        let address = address.to_string();
        match self.role {
            Role::TcpServer { .. } => LinkError::Listen { address, source },
            Role::TcpClient | Role::Udp => LinkError::Connect { peer: address, source },
        }
    }

    /// Opens a UDP socket that receives only from the controller.
    async fn datagrams(&self, address: SocketAddr) -> io::Result<UdpSocket> {
        let any = if address.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0; 16]) };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(address).await?;
        Ok(socket)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = tcp_socket(address)?;
        self.set_options(&SockRef::from(&socket))?;
        let stream = socket.connect(address).await?;
        if stream.local_addr()? == stream.peer_addr()? {
            // A loopback port in the ephemeral range without a listener can connect to itself.
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "no program listens there"));
        }
        Ok(stream)
    }

    /// Listens at this address only.
    async fn listen(&self, address: SocketAddr) -> io::Result<Port> {
        let socket = tcp_socket(address)?;
        // Old connections of a bridge that has just ended must not prevent the next one from
        // listening.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        Ok(Port { listener: socket.listen(BACKLOG)?, transport: self.clone() })
    }

    fn set_options(&self, socket: &SockRef<'_>) -> io::Result<()> {
        socket.set_tcp_nodelay(true)?;
        let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE);
        #[cfg(target_os = "linux")]
        let keepalive = keepalive.with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_RETRIES);
        socket.set_tcp_keepalive(&keepalive)?;
        #[cfg(target_os = "linux")]
        socket.set_tcp_user_timeout(Some(self.config.tcp_user_timeout))?;
        // Commands that wait in a buffer become old. So the buffer has space for about a hundred
        // lines, not for a minute of lines.
        socket.set_send_buffer_size(SEND_BUFFER)
    }
}

fn tcp_socket(address: SocketAddr) -> io::Result<TcpSocket> {
    if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }
}

#[derive(Debug)]
struct Port {
    listener: TcpListener,
    transport: Transport,
}

impl Listener for Port {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        self.listener.poll_accept(cx).map_ok(|(stream, address)| {
            // An option cannot be set if the connection is already closed. The next read reports
            // that.
            let _ = self.transport.set_options(&SockRef::from(&stream));
            let tls = self.transport.config.tls.clone();
            let opening = async move {
                let socket: Arc<dyn Socket> = match tls {
                    None => Arc::new(stream),
                    Some(tls) => Arc::new(tls.accept(stream).await?),
                };
                Ok(socket)
            };
            (Box::pin(opening) as ConnectFuture<_>, address)
        })
    }
}

const BACKLOG: u32 = 16;
const KEEPALIVE_IDLE: Duration = Duration::from_secs(1);
#[cfg(target_os = "linux")]
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
#[cfg(target_os = "linux")]
const KEEPALIVE_RETRIES: u32 = 3;
/// The kernel doubles this value and includes its own overhead in it.
const SEND_BUFFER: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn transport(host: &str, port: u16) -> Transport {
        with_role(Role::TcpClient, host, port)
    }

    fn with_role(role: Role, host: &str, port: u16) -> Transport {
        let config = TransportConfig {
            host: host.into(),
            port,
            connect_timeout: Duration::from_secs(3),
            banner_timeout: Duration::from_secs(5),
            tcp_user_timeout: Duration::from_millis(500),
            tls: None,
        };
        Transport { role, config }
    }

    async fn connected(transport: &Transport) -> TcpStream {
        transport.at_first_address(Transport::connect).await.unwrap()
    }

    #[tokio::test]
    async fn port_listens_only_at_its_address_and_once() {
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let server = with_role(Role::TcpServer { min_clients: 1 }, "127.0.0.1", free.port());
        let port = server.at_first_address(Transport::listen).await.unwrap();
        assert_eq!(port.listener.local_addr().unwrap(), free);
        let error = server.open().await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot listen on {free}: ")), "{error}");
        assert!(error.ends_with("; something else listens there: another bridge?"), "{error}");
        let elsewhere = with_role(Role::TcpServer { min_clients: 1 }, "192.0.2.1", free.port());
        let error = elsewhere.open().await.unwrap_err().to_string();
        assert!(error.ends_with("; link.host must be an address of this machine"), "{error}");
    }

    #[tokio::test]
    async fn datagrams_come_from_the_controller_only() {
        let controller = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = controller.local_addr().unwrap().port();
        let transport = with_role(Role::Udp, "localhost", port);
        let socket = transport.at_first_address(Transport::datagrams).await.unwrap();
        let ours = socket.local_addr().unwrap();
        let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        stranger.send_to(b"I am the arm", ours).await.unwrap();
        controller.send_to(b"no, I am", ours).await.unwrap();
        let mut received = [0; 64];
        let length = socket.recv(&mut received).await.unwrap();
        assert_eq!(&received[..length], b"no, I am");
    }

    #[tokio::test]
    async fn socket_options_are_set() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connected(&transport("127.0.0.1", listener.local_addr().unwrap().port())).await;
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
    async fn all_addresses_of_a_name_are_tried() {
        // localhost may be ::1 first, where no program listens
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = connected(&transport("localhost", listener.local_addr().unwrap().port())).await;
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
    }

    #[tokio::test]
    async fn error_names_the_unknown_host_or_closed_port() {
        let error = transport("no-such-host.invalid", 5000).open().await.unwrap_err();
        assert!(error.to_string().contains("'no-such-host.invalid'"), "{error}");
        let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let error = transport("127.0.0.1", free.port()).open().await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("cannot connect to {free}: ")), "{error}");
    }

    #[test]
    fn an_ipv6_peer_is_written_in_brackets() {
        assert_eq!(transport("::1", 5000).config.peer(), "[::1]:5000");
    }
}
