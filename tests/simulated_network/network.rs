//! turmoil's TCP in the place of the system's.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use aether_bridge::link::{LinkError, Network, Opened, Opening, Socket, TransportConfig};
use bytes::BytesMut;
use tokio::io::{AsyncRead, ReadBuf};
use turmoil::net::TcpStream;

/// The network of the simulation that this runs in; for bridges that connect.
pub struct Simulated;

impl Network for Simulated {
    fn open(&self, config: &TransportConfig) -> Opening<Opened> {
        let (host, port, peer) = (config.host.clone(), config.port, config.peer());
        Box::pin(async move {
            let connected = TcpStream::connect((host.as_str(), port)).await;
            let stream = connected.map_err(|source| LinkError::Connect { peer, source })?;
            Ok(Opened::Socket(Arc::new(Stream(Mutex::new(stream)))))
        })
    }
}

struct Stream(Mutex<TcpStream>);

impl Stream {
    fn lock(&self) -> MutexGuard<'_, TcpStream> {
        self.0.lock().unwrap()
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Stream")
    }
}

impl Socket for Stream {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        let mut bytes = [0; 1024];
        let mut read = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut *self.lock()).poll_read(cx, &mut read))?;
        buffer.extend_from_slice(read.filled());
        Poll::Ready(Ok(read.filled().len()))
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let stream = self.lock();
        pin!(stream.writable()).poll(cx).map(drop)
    }

    fn try_write(&self, line: &[u8]) -> io::Result<usize> {
        self.lock().try_write(line)
    }
}
