//! What a connection reads and writes with, whatever carries it.

use std::fmt::Debug;
use std::io::{self, Read};
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpStream, UdpSocket};

/// A connection, or the way of datagrams to and from one controller. One task waits for it; any thread reads and writes.
pub trait Socket: Debug + Send + Sync {
    /// Whether there may be something to be read. What is wrong shows itself on reading.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Whether the peer takes bytes. What is wrong shows itself on reading.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Reads what is there into `room`, as far as it fits. No bytes: the peer has ended the stream.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is there; other errors of the system.
    fn try_read(&self, room: &mut [u8]) -> io::Result<usize>;

    /// Hands over a line, or as much of it as is taken at once.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing is taken; other errors of the system.
    fn try_write(&self, line: &[u8]) -> io::Result<usize>;

    /// Whether the controller's program has yet to read more than `limit` bytes, as far as the system can tell. If so,
    /// [`Socket::poll_writable`] waits until it has not.
    fn lags(&self, _limit: usize) -> bool {
        false
    }

    /// Whether each read gives one message, whole.
    fn keeps_messages_apart(&self) -> bool {
        false
    }
}

impl Socket for TcpStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_read_ready(cx).map(drop)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_write_ready(cx).map(drop)
    }

    fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        read_stream(self, room)
    }

    fn try_write(&self, line: &[u8]) -> io::Result<usize> {
        Self::try_write(self, line)
    }
}

impl Socket for UdpSocket {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_recv_ready(cx).map(drop)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_send_ready(cx).map(drop)
    }

    fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        match self.try_recv(room) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => (&*SockRef::from(self)).read(room),
            received => received,
        }
    }

    fn try_write(&self, line: &[u8]) -> io::Result<usize> {
        self.try_send(line)
    }

    fn keeps_messages_apart(&self) -> bool {
        true
    }
}

/// Reads what is there, though the runtime may not have noticed yet that it is.
pub(super) fn read_stream(stream: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    let whole = room.len();
    let mut receive = || (&*SockRef::from(stream)).read(room);
    let mut received = None;
    let _ = stream.try_io(Interest::READABLE, || match received.insert(receive()) {
        // There was no more than that, which need not be asked for.
        Ok(read) if 0 < *read && *read < whole => Err(io::ErrorKind::WouldBlock.into()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.kind().into()),
    });
    received.unwrap_or_else(receive)
}
