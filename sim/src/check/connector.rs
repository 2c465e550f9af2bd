//! Opens connections with the controller: the check connects, or the controller does.

use std::io;

use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    time::{Duration, Instant, sleep, timeout_at},
};

use super::config::{CheckConfig, CheckError};
use super::peer::Peer;

/// The way to the controller.
#[derive(Debug)]
pub(super) enum Connector {
    Dial { host: String, port: u16 },
    Listen(TcpListener),
    Datagrams { host: String, port: u16 },
}

impl Connector {
    pub async fn new(config: &CheckConfig) -> Result<Self, CheckError> {
        let (host, port) = (config.host.clone(), config.port);
        if config.udp {
            return Ok(Self::Datagrams { host, port });
        }
        if !config.listen {
            return Ok(Self::Dial { host, port });
        }
        let failed = |source| CheckError::Listen { peer: format!("{}:{}", config.host, config.port), source };
        TcpListener::bind((host, port)).await.map(Self::Listen).map_err(failed)
    }

    /// Tries once to open a connection. With `listen`, waits for the controller to connect.
    pub async fn open(&self, deadline: Instant) -> io::Result<Peer> {
        let stream = match self {
            Self::Dial { host, port } => timeout_at(deadline, TcpStream::connect((host.as_str(), *port)))
                .await
                .unwrap_or_else(timed_out)?,
            Self::Listen(listener) => {
                timeout_at(deadline, listener.accept()).await.unwrap_or_else(timed_out)?.0
            }
            // Each socket has a new port, as a restarted bridge has.
            Self::Datagrams { host, port } => {
                let socket = UdpSocket::bind("0.0.0.0:0").await?;
                socket.connect((host.as_str(), *port)).await?;
                return Ok(Peer::datagrams(socket));
            }
        };
        Peer::stream(stream)
    }

    /// Tries until the deadline. Returns the error of the last attempt.
    pub async fn open_again(&self, deadline: Instant) -> io::Result<Peer> {
        loop {
            match self.open(deadline).await {
                Err(_) if Instant::now() + BETWEEN_ATTEMPTS < deadline => sleep(BETWEEN_ATTEMPTS).await,
                opened => return opened,
            }
        }
    }

    /// Returns the address on which we listen for a controller.
    pub fn listening_on(&self) -> Option<String> {
        match self {
            Self::Dial { .. } | Self::Datagrams { .. } => None,
            Self::Listen(listener) => listener.local_addr().ok().map(|address| address.to_string()),
        }
    }
}

fn timed_out<T, E>(_: E) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::TimedOut, "no connection within the time limit"))
}

/// The wait between two attempts. It is as long as the bridge's first wait.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);
