//! Reads bytes from the controller and cuts them into replies, with or without a newline at their
//! end. The bytes come from a stream, or from datagrams of one line each.

use std::{io, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout_at},
};

use super::reply::{End, Raw};
use aether_bridge::wire::MAX_LINE;

/// One connection with a controller.
#[derive(Debug)]
pub(super) struct Peer {
    socket: Socket,
    buffer: Vec<u8>,
    /// When the last bytes arrived.
    last_read: Instant,
    /// Earlier replies came without a newline, so a complete object ends a reply immediately.
    unterminated: bool,
    /// The last reply had no newline, but the newline may still arrive.
    owes_newline: bool,
}

#[derive(Debug)]
enum Socket {
    Stream(TcpStream),
    Datagrams(UdpSocket),
}

/// The result of waiting for a reply.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A reply, or whatever came instead, and when its last byte arrived.
    Reply(Raw, Instant),
    /// Nothing more came in time.
    Nothing,
    /// The connection ended, by a close or an error. The text describes it.
    End(String),
}

impl Peer {
    pub fn stream(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::new(Socket::Stream(stream)))
    }

    /// Wraps a UDP socket that is connected to the controller.
    pub fn datagrams(socket: UdpSocket) -> Self {
        Self::new(Socket::Datagrams(socket))
    }

    fn new(socket: Socket) -> Self {
        let (last_read, buffer) = (Instant::now(), Vec::new());
        Self { socket, buffer, last_read, unterminated: false, owes_newline: false }
    }

    /// Records that this controller leaves out newlines.
    pub fn without_newlines(&mut self) {
        self.unterminated = true;
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.socket {
            Socket::Stream(stream) => stream.write_all(bytes).await,
            Socket::Datagrams(socket) => {
                for line in bytes.split_inclusive(|&byte| byte == b'\n') {
                    socket.send(line).await?;
                }
                Ok(())
            }
        }
    }

    /// Sends bytes and the end of the stream, on Linux in one segment, so that the controller
    /// receives both together.
    pub async fn send_and_leave(self, bytes: &[u8]) -> io::Result<()> {
        let Socket::Stream(mut stream) = self.socket else { return Ok(()) };
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&stream).set_tcp_cork(true)?;
        stream.write_all(bytes).await?;
        stream.shutdown().await
    }

    /// Appends the next bytes to the buffer and returns their number. A datagram counts as a line,
    /// with or without a newline.
    async fn read(&mut self) -> io::Result<usize> {
        match &mut self.socket {
            Socket::Stream(stream) => stream.read_buf(&mut self.buffer).await,
            Socket::Datagrams(socket) => {
                // recv_buf drops the part of a datagram that does not fit.
                self.buffer.reserve(MOST);
                let size = socket.recv_buf(&mut self.buffer).await?;
                if !self.buffer.ends_with(b"\n") {
                    self.buffer.push(b'\n');
                }
                Ok(size.max(1))
            }
        }
    }

    /// Waits for the next reply until `deadline`. A complete object without a newline counts as a
    /// reply after `settle` without further bytes.
    pub async fn next(&mut self, deadline: Instant, settle: Duration) -> Incoming {
        loop {
            self.pass_late_newline();
            if let Some(raw) = cut(&mut self.buffer, self.unterminated) {
                return self.reply(raw);
            }
            let (waits, complete) = (!self.buffer.is_empty(), !is_begun(&self.buffer));
            let until = if waits && complete { deadline.min(self.last_read + settle) } else { deadline };
            match timeout_at(until, self.read()).await {
                Ok(Ok(0)) => return self.end("the controller closed the connection".to_owned()),
                Ok(Ok(_)) => self.last_read = Instant::now(),
                Ok(Err(error)) => return self.end(self.broken(&error)),
                Err(_) => {
                    return match cut(&mut self.buffer, true).or_else(|| self.rest()) {
                        Some(raw) => self.reply(raw),
                        None => Incoming::Nothing,
                    };
                }
            }
        }
    }

    /// Describes an error of the socket.
    pub fn broken(&self, error: &io::Error) -> String {
        match (&self.socket, error.kind()) {
            (Socket::Datagrams(_), io::ErrorKind::ConnectionRefused) => {
                format!("no program receives datagrams there: {error}")
            }
            _ => format!("the connection broke: {error}"),
        }
    }

    /// Returns the remaining bytes as a reply before it reports the end. The next read finds the
    /// end again.
    fn end(&mut self, why: String) -> Incoming {
        match cut(&mut self.buffer, true).or_else(|| self.rest()) {
            Some(raw) => self.reply(raw),
            None => Incoming::End(why),
        }
    }

    fn reply(&mut self, raw: Raw) -> Incoming {
        self.owes_newline = raw.end == End::Missing;
        Incoming::Reply(raw, self.last_read)
    }

    fn pass_late_newline(&mut self) {
        let newline = [&b"\r\n"[..], b"\n"].into_iter().find(|newline| self.buffer.starts_with(newline));
        if let Some(newline) = newline.filter(|_| self.owes_newline) {
            self.buffer.drain(..newline.len());
        }
        self.owes_newline &= self.buffer.is_empty() && newline.is_none();
    }

    fn rest(&mut self) -> Option<Raw> {
        let rest = std::mem::take(&mut self.buffer);
        (!rest.is_empty()).then_some(Raw { bytes: rest, end: End::Missing })
    }
}

/// Cuts the next reply off the front. Returns `None` if its end is not known yet. If
/// `unterminated`, a complete object needs no newline.
fn cut(buffer: &mut Vec<u8>, unterminated: bool) -> Option<Raw> {
    let newline = buffer.iter().position(|&byte| byte == b'\n');
    let object = complete_object(buffer);
    match (newline, object) {
        // The object spans several lines, or another object follows on the same line.
        (Some(newline), Some(end)) if newline < end => Some(take(buffer, end)),
        (Some(newline), Some(end)) if !buffer[end..newline].trim_ascii().is_empty() => {
            Some(take(buffer, end))
        }
        (Some(_), None) if is_begun(buffer) && !unterminated && buffer.len() <= MOST => None,
        (Some(newline), _) => Some(take(buffer, newline)),
        (None, Some(end)) if unterminated => Some(take(buffer, end)),
        (None, _) if buffer.len() > MOST => Some(take(buffer, buffer.len())),
        (None, _) => None,
    }
}

/// Takes `end` bytes and the following newline, if there is one.
fn take(buffer: &mut Vec<u8>, end: usize) -> Raw {
    let mut bytes: Vec<u8> = buffer.drain(..end).collect();
    let blank = buffer.iter().take_while(|byte| b" \t\r".contains(byte)).count();
    if buffer.get(blank) != Some(&b'\n') {
        return Raw { bytes, end: End::Missing };
    }
    bytes.extend(buffer.drain(..=blank).take(blank));
    match bytes.strip_suffix(b"\r") {
        Some(line) => Raw { bytes: line.to_vec(), end: End::CrLf },
        None => Raw { bytes, end: End::Newline },
    }
}

/// Returns where the JSON object at the start of the bytes ends, if it is complete.
fn complete_object(bytes: &[u8]) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    match values.next()? {
        Ok(Value::Object(_)) => Some(values.byte_offset()),
        _ => None,
    }
}

/// Returns whether the bytes begin a JSON object that is incomplete.
fn is_begun(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<Value>(bytes).is_err_and(|error| error.is_eof())
}

/// The largest part of an unterminated line that is kept, to measure its length.
const MOST: usize = 16 * MAX_LINE;

#[cfg(test)]
mod tests {
    use super::{End, cut};

    fn all(stream: &str, unterminated: bool) -> (Vec<(String, End)>, String) {
        let mut buffer = stream.as_bytes().to_vec();
        let mut replies = Vec::new();
        while let Some(raw) = cut(&mut buffer, unterminated) {
            replies.push((String::from_utf8(raw.bytes).unwrap(), raw.end));
        }
        (replies, String::from_utf8(buffer).unwrap())
    }

    fn cuts(stream: &str, unterminated: bool, expected: &[(&str, End)], rest: &str) {
        let expected: Vec<_> = expected.iter().map(|(line, end)| ((*line).to_owned(), *end)).collect();
        assert_eq!(all(stream, unterminated), (expected, rest.to_owned()), "{stream:?}");
    }

    #[test]
    fn lines_are_cut_at_their_newlines() {
        cuts("{\"a\":1}\n{\"b\":", false, &[("{\"a\":1}", End::Newline)], "{\"b\":");
        cuts("OK\r\n\nno\n", false, &[("OK", End::CrLf), ("", End::Newline), ("no", End::Newline)], "");
        cuts("{\"a\":1} \r\n", false, &[("{\"a\":1} ", End::CrLf)], "");
        cuts("{]\nx\n", false, &[("{]", End::Newline), ("x", End::Newline)], "");
        cuts("{\"a\":1}", false, &[], "{\"a\":1}");
    }

    #[test]
    fn objects_without_newlines_are_cut_where_they_end() {
        cuts("{\"a\":1}{\"b\":2}", true, &[("{\"a\":1}", End::Missing), ("{\"b\":2}", End::Missing)], "");
        cuts("{\"a\":1}{\"b\":2}\n", false, &[("{\"a\":1}", End::Missing), ("{\"b\":2}", End::Newline)], "");
        cuts("{\"a\":", true, &[], "{\"a\":");
    }

    #[test]
    fn an_object_over_several_lines_is_one_reply() {
        cuts(
            "{\n \"a\": 1\n}\nnext\n",
            false,
            &[("{\n \"a\": 1\n}", End::Newline), ("next", End::Newline)],
            "",
        );
        cuts("{\n \"a\": 1\n", false, &[], "{\n \"a\": 1\n");
    }

    #[test]
    fn unterminated_line_is_cut_at_the_limit() {
        let (replies, rest) = all(&"x".repeat(70_000), false);
        assert_eq!((replies[0].0.len(), rest.as_str()), (70_000, ""));
    }
}
