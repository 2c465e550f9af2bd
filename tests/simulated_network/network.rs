//! turmoil's TCP instead of the system's sockets.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use aether_bridge::link::{ConnectFuture, Endpoint, LinkError, Network, Role, Socket, TransportConfig};
use tokio::io::{AsyncRead, ReadBuf};
use turmoil::net::TcpStream;

/// The network of the simulation that this code runs in, for bridges that connect.
pub struct Simulated;

impl Network for Simulated {
    fn open(&self, _: Role, config: &TransportConfig) -> ConnectFuture<Endpoint> {
        let (host, port, peer) = (config.host.clone(), config.port, config.peer());
        Box::pin(async move {
            let connected = TcpStream::connect((host.as_str(), port)).await;
            let stream = connected.map_err(|source| LinkError::Connect { peer, source })?;
            let shared = Shared { stream, waiting: Waker::noop().clone() };
            Ok(Endpoint::Socket(Arc::new(Stream(Mutex::new(shared)))))
        })
    }
}

struct Stream(Mutex<Shared>);

struct Shared {
    stream: TcpStream,
    /// The waker of the task that waits until the stream is readable. turmoil forgets it if another
    /// task tries to read.
    waiting: Waker,
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Stream")
    }
}

impl Socket for Stream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.0.lock().unwrap();
        shared.waiting.clone_from(cx.waker());
        shared.stream.poll_peek(cx, &mut ReadBuf::new(&mut [0; 1])).map(drop)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let shared = self.0.lock().unwrap();
        pin!(shared.stream.writable()).poll(cx).map(drop)
    }

    fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        let mut shared = self.0.lock().unwrap();
        let Shared { stream, waiting } = &mut *shared;
        let mut read = ReadBuf::new(room);
        match Pin::new(stream).poll_read(&mut Context::from_waker(waiting), &mut read) {
            Poll::Ready(result) => result?,
            Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
        }
        Ok(read.filled().len())
    }

    fn try_write(&self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().stream.try_write(line)
    }
}
