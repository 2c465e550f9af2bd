//! The socket of a connection: TCP, TLS or UDP.

use std::fmt::Debug;
use std::io::{self, Read};
use std::task::{Context, Poll};

use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::{TcpStream, UdpSocket};

/// A connection, or a UDP socket for datagrams to and from one controller. One task waits for it;
/// any thread reads and writes.
pub trait Socket: Debug + Send + Sync {
    /// Waits until bytes may be pending. Errors appear when reading.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Waits until the peer accepts bytes. Errors appear when reading.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Reads pending bytes into `room`, as many as fit. Returns 0 if the peer has ended the stream.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if no bytes are pending; other errors of the
    /// system.
    fn try_read(&self, room: &mut [u8]) -> io::Result<usize>;

    /// Writes a line, or the part of it that the system accepts now. Returns the number of bytes.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the system accepts no bytes; other errors of
    /// the system.
    fn try_write(&self, line: &[u8]) -> io::Result<usize>;

    /// Returns whether the controller's program has not yet read more than `limit` bytes, if the
    /// system knows this. If so, [`Socket::poll_writable`] waits until no more than `limit` bytes
    /// are unread.
    fn lags(&self, _limit: usize) -> bool {
        false
    }

    /// Returns whether each read gives one whole message.
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

/// Reads pending bytes, even if the runtime has not noticed yet that bytes are pending.
pub(super) fn read_stream(stream: &TcpStream, room: &mut [u8]) -> io::Result<usize> {
    let whole = room.len();
    let mut receive = || (&*SockRef::from(stream)).read(room);
    let mut received = None;
    let _ = stream.try_io(Interest::READABLE, || match received.insert(receive()) {
        // All pending bytes have been read, so no second read is needed.
        Ok(read) if 0 < *read && *read < whole => Err(io::ErrorKind::WouldBlock.into()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.kind().into()),
    });
    received.unwrap_or_else(receive)
}
