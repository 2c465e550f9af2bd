//! How much of what was sent the controller's program has yet to read, where it runs on this machine.
//!
//! TCP tells a sender what the other system has taken, not what the program there has read: a receive buffer of Linux holds
//! thousands of lines, and its window does not shrink by them. But of a connection within this machine the system also knows the
//! other end, and tells it (`sock_diag`, what `ss` shows as Recv-Q). For a controller elsewhere nothing is known.

use std::future::Future;
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::{Domain, Protocol, Type};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::socket::Socket;

/// A stream whose other end may be asked for what it has not read.
#[derive(Debug)]
pub(super) struct WatchedStream {
    stream: TcpStream,
    watch: Mutex<Watch>,
}

/// What is known of the other end, and when to look again.
#[derive(Debug, Default)]
struct Watch {
    /// Nothing before the first question, because most connections are never asked.
    other_end: Option<OtherEnd>,
    /// How many bytes it can have left unread at most: what it had when it was last asked, and what was sent since. So it is
    /// asked once for some lines.
    unread_at_most: usize,
    /// How many bytes it may leave unread, if it had left more when it was last asked.
    lags_by: Option<usize>,
    /// Nothing tells that a program has read.
    look_again: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum OtherEnd {
    Here {
        diagnosis: socket2::Socket,
        question: [u8; QUESTION],
    },
    /// On another machine, or the system does not say.
    Unknown,
}

impl WatchedStream {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, watch: Mutex::default() }
    }

    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Socket for WatchedStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.stream.poll_readable(cx)
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut watch = self.watch();
        while let Some(limit) = watch.lags_by {
            ready!(watch.look_again.get_or_insert_with(|| Box::pin(sleep(BETWEEN_LOOKS))).as_mut().poll(cx));
            watch.look_again = None;
            watch.lags_by = watch.lags(&self.stream, limit).then_some(limit);
        }
        self.stream.poll_writable(cx)
    }

    fn try_read(&self, room: &mut [u8]) -> io::Result<usize> {
        Socket::try_read(&self.stream, room)
    }

    fn try_write(&self, line: &[u8]) -> io::Result<usize> {
        let written = Socket::try_write(&self.stream, line)?;
        let mut watch = self.watch();
        watch.unread_at_most = watch.unread_at_most.saturating_add(written);
        Ok(written)
    }

    fn lags(&self, limit: usize) -> bool {
        let mut watch = self.watch();
        let lags = watch.unread_at_most > limit && watch.lags(&self.stream, limit);
        watch.lags_by = lags.then_some(limit);
        lags
    }
}

impl Watch {
    /// Asks whether more than this is unread at the other end, as far as that is known.
    fn lags(&mut self, stream: &TcpStream, limit: usize) -> bool {
        let other_end = self.other_end.get_or_insert_with(|| OtherEnd::of(stream));
        match other_end.unread() {
            Ok(unread) => self.unread_at_most = unread,
            Err(_) => (self.other_end, self.unread_at_most) = (Some(OtherEnd::Unknown), 0),
        }
        self.unread_at_most > limit
    }
}

impl OtherEnd {
    fn of(stream: &TcpStream) -> Self {
        let ends = stream.peer_addr().and_then(|peer| Ok((peer, stream.local_addr()?)));
        let found = ends.and_then(|(peer, ours)| {
            let netlink = Protocol::from(NETLINK_SOCK_DIAG);
            let diagnosis = socket2::Socket::new(Domain::from(AF_NETLINK), Type::DGRAM, Some(netlink))?;
            // The answer is there when the question has been sent, if there is one.
            diagnosis.set_nonblocking(true)?;
            Ok(Self::Here { diagnosis, question: question(peer, ours) })
        });
        found.unwrap_or(Self::Unknown)
    }

    /// How many bytes the program has yet to read; none where that is not known.
    fn unread(&self) -> io::Result<usize> {
        let Self::Here { diagnosis, question } = self else { return Ok(0) };
        diagnosis.send(question)?;
        let mut answer = [0; 512];
        let length = (&*diagnosis).read(&mut answer)?;
        unread_in(&answer[..length]).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Asks for the TCP socket at `end` whose other end is `other`: a `nlmsghdr` and an `inet_diag_req_v2`.
fn question(end: SocketAddr, other: SocketAddr) -> [u8; QUESTION] {
    let mut question = [0; QUESTION];
    let mut put = |at: usize, bytes: &[u8]| question[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &(QUESTION as u32).to_ne_bytes());
    put(4, &SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    put(6, &NLM_F_REQUEST.to_ne_bytes());
    put(16, &[if end.is_ipv4() { AF_INET } else { AF_INET6 }, IPPROTO_TCP]);
    put(20, &u32::MAX.to_ne_bytes()); // in any state
    put(24, &end.port().to_be_bytes());
    put(26, &other.port().to_be_bytes());
    for (at, address) in [(28, end.ip()), (44, other.ip())] {
        match address {
            IpAddr::V4(address) => put(at, &address.octets()),
            IpAddr::V6(address) => put(at, &address.octets()),
        }
    }
    put(64, &[0xff; 8]); // no cookie
    question
}

/// Finds the receive queue in an answer: a `nlmsghdr` and an `inet_diag_msg`. Returns `None` for an error, and for a socket
/// that listens, which the system finds where the connection is not one of this machine.
fn unread_in(answer: &[u8]) -> Option<usize> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let state = *answer.get(17)?;
    let queue = u32::from_ne_bytes(answer.get(72..76)?.try_into().ok()?);
    (kind == SOCK_DIAG_BY_FAMILY && state != TCP_LISTEN).then_some(queue as usize)
}

/// How often a program that has not read is looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

const QUESTION: usize = 72;
const AF_NETLINK: i32 = 16;
const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const TCP_LISTEN: u8 = 10;

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_a_program_has_not_read_is_known_on_this_machine() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let stream = WatchedStream::new(stream);
            // In the backlog too: a program that serves another client does not read either.
            assert_eq!(Socket::try_write(&stream, &[b'x'; 100]).unwrap(), 100);
            assert!(stream.lags(99) && !stream.lags(100), "{address}");
            let (mut program, _) = listener.accept().unwrap();
            assert!(stream.lags(99) && !stream.lags(100), "{address}");
            program.read_exact(&mut [0; 60]).unwrap();
            assert!(stream.lags(39) && !stream.lags(40), "{address}");
            // What goes the other way does not count.
            program.write_all(&[b'y'; 5]).unwrap();
            assert!(stream.lags(39) && !stream.lags(40), "{address}");
        }
    }

    #[test]
    fn what_is_no_answer_says_nothing() {
        let mut answer = [0; 88];
        answer[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        (answer[17], answer[72]) = (1, 7);
        assert_eq!(unread_in(&answer), Some(7));
        assert_eq!(unread_in(&answer[..75]), None);
        answer[17] = TCP_LISTEN;
        assert_eq!(unread_in(&answer), None);
        (answer[17], answer[4]) = (1, 2);
        assert_eq!(unread_in(&answer), None, "an error");
    }
}
