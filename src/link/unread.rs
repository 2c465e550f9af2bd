//! Measures how many sent bytes the controller's program has not read yet, if it runs on this
//! machine.
//!
//! TCP shows a sender which bytes the other system has acknowledged, not which bytes the program
//! there has read. A receive buffer of Linux holds thousands of lines, and these lines do not
//! shrink its window. If both ends of a connection are on this machine, the system also reports the
//! receive queue of the other end (`sock_diag`; `ss` shows it as Recv-Q). For a controller on
//! another machine, the number of unread bytes is unknown.

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

/// A stream that can ask the system for the unread bytes at its other end.
#[derive(Debug)]
pub(super) struct WatchedStream {
    stream: TcpStream,
    watch: Mutex<Watch>,
}

/// The known state of the other end, and when to ask the system again.
#[derive(Debug, Default)]
struct Watch {
    /// `None` before the first question to the system, because most connections need no question.
    other_end: Option<OtherEnd>,
    /// The most bytes that can be unread: the unread bytes at the last question, and the bytes sent
    /// since. So one question is enough for several lines.
    unread_at_most: usize,
    /// The limit of unread bytes, if it was exceeded at the last question.
    lags_by: Option<usize>,
    /// The timer of the next question. It is needed because no event shows that a program has read.
    next_poll: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum OtherEnd {
    Here {
        diagnosis: socket2::Socket,
        question: [u8; QUESTION],
    },
    /// The other end is on another machine, or the system does not report it.
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
            ready!(watch.next_poll.get_or_insert_with(|| Box::pin(sleep(POLL_PERIOD))).as_mut().poll(cx));
            watch.next_poll = None;
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
    /// Asks whether more than `limit` bytes are unread at the other end. Returns false if that is
    /// unknown.
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
            // If there is an answer, it is available as soon as the question has been sent.
            diagnosis.set_nonblocking(true)?;
            Ok(Self::Here { diagnosis, question: question(peer, ours) })
        });
        found.unwrap_or(Self::Unknown)
    }

    /// Returns how many bytes the program has not read; 0 if that is unknown.
    fn unread(&self) -> io::Result<usize> {
        let Self::Here { diagnosis, question } = self else { return Ok(0) };
        diagnosis.send(question)?;
        let mut answer = [0; 512];
        let length = (&*diagnosis).read(&mut answer)?;
        unread_in(&answer[..length]).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Builds the question for the TCP socket at `end` whose other end is `other`: a `nlmsghdr` and an
/// `inet_diag_req_v2`.
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

/// Finds the receive queue in an answer: a `nlmsghdr` and an `inet_diag_msg`. Returns `None` for an
/// error. Also returns `None` for a listening socket. The system reports a listening socket if the
/// connection is not within this machine.
fn unread_in(answer: &[u8]) -> Option<usize> {
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let state = *answer.get(17)?;
    let queue = u32::from_ne_bytes(answer.get(72..76)?.try_into().ok()?);
    (kind == SOCK_DIAG_BY_FAMILY && state != TCP_LISTEN).then_some(queue as usize)
}

/// How often to ask again about a program that has not read.
const POLL_PERIOD: Duration = Duration::from_millis(10);

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
    async fn unread_bytes_are_known_on_this_machine() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
            let stream = WatchedStream::new(stream);
            // The backlog counts, too: a program that serves another client does not read either.
            assert_eq!(Socket::try_write(&stream, &[b'x'; 100]).unwrap(), 100);
            assert!(stream.lags(99) && !stream.lags(100), "{address}");
            let (mut program, _) = listener.accept().unwrap();
            assert!(stream.lags(99) && !stream.lags(100), "{address}");
            program.read_exact(&mut [0; 60]).unwrap();
            assert!(stream.lags(39) && !stream.lags(40), "{address}");
            // Bytes in the other direction do not count.
            program.write_all(&[b'y'; 5]).unwrap();
            assert!(stream.lags(39) && !stream.lags(40), "{address}");
        }
    }

    #[test]
    fn invalid_answer_has_no_unread_bytes() {
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
