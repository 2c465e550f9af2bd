//! What a connection reads and writes with, whatever carries it.

use std::fmt::Debug;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::net::{TcpStream, UdpSocket};

/// A connection, or the way of datagrams to and from one controller; one thread reads it while any writes.
pub trait Socket: Debug + Send + Sync {
    /// Reads what is there to the end of `buffer`. No bytes: the peer has ended the stream.
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>>;

    /// Whether the peer takes bytes. What is wrong shows itself on reading.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Hands over a line, or as much of it as is taken at once.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) where nothing is taken; whatever else the system says.
    fn try_write(&self, line: &[u8]) -> io::Result<usize>;

    /// Whether each read gives one message, whole.
    fn keeps_messages_apart(&self) -> bool {
        false
    }
}

impl Socket for TcpStream {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_read_ready(cx))?;
            if let Some(read) = unless_blocked(self.try_read_buf(buffer)) {
                return Poll::Ready(read);
            }
        }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_write_ready(cx).map(drop)
    }

    fn try_write(&self, line: &[u8]) -> io::Result<usize> {
        Self::try_write(self, line)
    }
}

impl Socket for UdpSocket {
    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut BytesMut) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_recv_ready(cx))?;
            if let Some(read) = unless_blocked(self.try_recv_buf(buffer)) {
                return Poll::Ready(read);
            }
        }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_send_ready(cx).map(drop)
    }

    fn try_write(&self, line: &[u8]) -> io::Result<usize> {
        self.try_send(line)
    }

    fn keeps_messages_apart(&self) -> bool {
        true
    }
}

/// Nothing where the socket was not ready after all, and says so from now on.
pub(super) fn unless_blocked<T>(result: io::Result<T>) -> Option<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        result => Some(result),
    }
}
