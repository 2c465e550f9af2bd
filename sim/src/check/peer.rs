//! The controller as bytes, cut into replies however they are ended: a stream, or datagrams that are a line each.

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
    /// When the last bytes came.
    last_read: Instant,
    /// Replies have come without a newline: a complete object is waited for no longer.
    unterminated: bool,
    /// The last reply had no newline, which may yet come.
    owes_newline: bool,
}

#[derive(Debug)]
enum Socket {
    Stream(TcpStream),
    Datagrams(UdpSocket),
}

/// What came of waiting.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A reply, or whatever stands where one should, and when its last byte came.
    Reply(Raw, Instant),
    /// Nothing more in that time.
    Nothing,
    /// The end: by a close, or by an error in words.
    End(String),
}

impl Peer {
    pub fn stream(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::new(Socket::Stream(stream)))
    }

    /// A socket that is connected to the controller.
    pub fn datagrams(socket: UdpSocket) -> Self {
        Self::new(Socket::Datagrams(socket))
    }

    fn new(socket: Socket) -> Self {
        let (last_read, buffer) = (Instant::now(), Vec::new());
        Self { socket, buffer, last_read, unterminated: false, owes_newline: false }
    }

    /// Says that this controller is known to leave out newlines.
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

    /// Sends bytes and the end of the stream, where the system can do it in one segment: then the controller finds both at once.
    pub async fn send_and_leave(self, bytes: &[u8]) -> io::Result<()> {
        let Socket::Stream(mut stream) = self.socket else { return Ok(()) };
        #[cfg(target_os = "linux")]
        socket2::SockRef::from(&stream).set_tcp_cork(true)?;
        stream.write_all(bytes).await?;
        stream.shutdown().await
    }

    /// Appends what comes next to the buffer; how much it was. A datagram is a line, whether it says so or not.
    async fn read(&mut self) -> io::Result<usize> {
        match &mut self.socket {
            Socket::Stream(stream) => stream.read_buf(&mut self.buffer).await,
            Socket::Datagrams(socket) => {
                // What has no room is lost.
                self.buffer.reserve(MOST);
                let size = socket.recv_buf(&mut self.buffer).await?;
                if !self.buffer.ends_with(b"\n") {
                    self.buffer.push(b'\n');
                }
                Ok(size.max(1))
            }
        }
    }

    /// The next reply, waited for until `deadline`. A complete object that has no newline is taken when it has been alone
    /// for `settle`.
    pub async fn next(&mut self, deadline: Instant, settle: Duration) -> Incoming {
        loop {
            self.pass_late_newline();
            if let Some(raw) = cut(&mut self.buffer, self.unterminated) {
                return self.reply(raw);
            }
            let (waits, complete) = (!self.buffer.is_empty(), !is_begun(&self.buffer));
            let until = if waits && complete { deadline.min(self.last_read + settle) } else { deadline };
            match timeout_at(until, self.read()).await {
                Ok(Ok(0)) => return self.end("it closed the connection".to_owned()),
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

    /// What an error of the socket means.
    pub fn broken(&self, error: &io::Error) -> String {
        match (&self.socket, error.kind()) {
            (Socket::Datagrams(_), io::ErrorKind::ConnectionRefused) => {
                format!("nobody takes datagrams there: {error}")
            }
            _ => format!("the connection broke: {error}"),
        }
    }

    /// What is left before the end is told; the end is found again by the next read.
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

/// Cuts the next reply off the front; `None` if it is not known yet where it ends. With `unterminated` a complete object
/// needs no newline.
fn cut(buffer: &mut Vec<u8>, unterminated: bool) -> Option<Raw> {
    let newline = buffer.iter().position(|&byte| byte == b'\n');
    let object = complete_object(buffer);
    match (newline, object) {
        // Spread over several lines, or followed by another on the same line.
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

/// Takes `end` bytes and the end of the line behind them, if it is there.
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

/// Where the JSON object ends with which the bytes begin, if it is complete.
fn complete_object(bytes: &[u8]) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    match values.next()? {
        Ok(Value::Object(_)) => Some(values.byte_offset()),
        _ => None,
    }
}

/// Whether the bytes are the beginning of a JSON object that goes on.
fn is_begun(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
        && serde_json::from_slice::<Value>(bytes).is_err_and(|error| error.is_eof())
}

/// How much is kept of a line that does not end, to tell how long it is.
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
    fn a_line_that_does_not_end_is_taken_in_the_end() {
        let (replies, rest) = all(&"x".repeat(70_000), false);
        assert_eq!((replies[0].0.len(), rest.as_str()), (70_000, ""));
    }
}
