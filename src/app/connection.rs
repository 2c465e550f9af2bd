//! One connection: reads the bytes from the controller and decodes its replies.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio_util::codec::Decoder;
use tracing::Level;

use super::log::LogLine;
use crate::config::Config;
use crate::link::{LinkError, PeerId, Socket};
use crate::wire::{Hello, Incoming, Reply, ReplyDecoder, ReplyStatus, WireConfig, WireError};

/// A connection, or a UDP socket for datagrams to and from one controller.
pub(super) struct Connection {
    pub(super) peer: PeerId,
    pub(super) socket: Arc<dyn Socket>,
    /// Decoded messages that are not handled yet.
    pub(super) received: Vec<Incoming>,
    /// Log lines about these messages.
    pub(super) log_lines: Vec<LogLine>,
    /// Bytes that have been read and not decoded.
    buffer: BytesMut,
    /// The buffer for reading from the socket. It is reused, so that it is zeroed only once.
    room: Box<[u8]>,
    decoder: ReplyDecoder,
    /// Whether the partially received line is unsolicited: it began before the last line was sent,
    /// and no reply was missing at that time. It is then not the reply to the last sent line.
    begun_unasked: bool,
    /// Whether a line has been sent on this connection.
    asked: bool,
    /// Whether a valid message has been received on this connection.
    understood: bool,
    /// A description of the last input that was ignored; `None` after a valid message.
    ignored: Option<String>,
    /// The settings that this connection was opened with. A change of settings closes it.
    wire: WireConfig,
    expect_reply: bool,
}

impl Connection {
    pub(super) fn new(peer: PeerId, socket: Arc<dyn Socket>, config: &Config) -> Self {
        Self {
            peer,
            socket,
            received: Vec::new(),
            log_lines: Vec::new(),
            buffer: BytesMut::with_capacity(MOST_READ),
            room: vec![0; MOST_READ].into(),
            decoder: ReplyDecoder::new(&config.wire),
            begun_unasked: false,
            asked: false,
            understood: false,
            ignored: None,
            wire: config.wire.clone(),
            expect_reply: config.link.expect_reply,
        }
    }

    /// Waits for the greeting. After each read, calls `note` with the number of banner lines
    /// received so far. Fails if the connection has to end.
    pub(super) async fn greet(&mut self, note: impl Fn(u32)) -> Result<(), LinkError> {
        let wanted = self.wire.banner_lines;
        loop {
            let left = self.decoder.greet(&mut self.buffer)?;
            note(wanted - left);
            if left == 0 {
                return Ok(());
            }
            match self.read_more().await {
                Err(LinkError::Closed) => {
                    return Err(LinkError::ClosedInGreeting { received: wanted - left, wanted });
                }
                read => read?,
            }
        }
    }

    /// Returns the error of a greeting that was not received in time.
    pub(super) fn not_greeted(&mut self, timeout: Duration) -> LinkError {
        let wanted = self.wire.banner_lines;
        match self.decoder.greet(&mut self.buffer) {
            Ok(left) => {
                let unfinished = self.decoder.unfinished(&self.buffer);
                LinkError::NotGreeted { received: wanted - left, wanted, timeout, unfinished }
            }
            Err(error) => error.into(),
        }
    }

    /// Sends the hello. If replies are expected, waits until the controller accepts it. Fails if
    /// the connection has to end.
    pub(super) async fn authenticate(&mut self, hello: &Hello) -> Result<(), LinkError> {
        self.write(hello.line()).await.map_err(LinkError::Broken)?;
        self.asked = true;
        while self.expect_reply {
            match self.decoder.decode(&mut self.buffer).map_err(|error| self.no_reply(error))? {
                // The state in this reply is handled once the connection is open.
                Some(Incoming::Reply(Reply { status: ReplyStatus::Ok, state, .. })) => {
                    self.understood = true;
                    self.received.extend(state.map(Incoming::State));
                    break;
                }
                Some(Incoming::Reply(Reply { message, .. })) => {
                    return Err(LinkError::AuthRejected { message });
                }
                Some(Incoming::State(state)) => {
                    self.received.clear();
                    self.received.push(Incoming::State(state));
                }
                None => self.read_more().await?,
            }
        }
        Ok(())
    }

    /// Waits until the socket is readable, and reads into the buffer.
    async fn read_more(&mut self) -> Result<(), LinkError> {
        poll_fn(|cx| self.socket.poll_readable(cx)).await;
        match self.read() {
            Some(Ok(0)) => Err(LinkError::Closed),
            Some(Err(error)) => Err(LinkError::Broken(error)),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Returns the error for input that is not a reply.
    fn no_reply(&self, error: WireError) -> LinkError {
        if self.understood { error.into() } else { LinkError::FirstWords { error, asked: self.asked } }
    }

    /// Returns a description of the input since the last reply, if it is not a reply: the beginning
    /// of a line, or an ignored datagram.
    pub(super) fn instead(&self) -> Option<String> {
        let unfinished = self.decoder.unfinished(&self.buffer).map(|unfinished| unfinished.to_string());
        unfinished.or_else(|| self.ignored.clone())
    }

    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.socket.try_write(bytes) {
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll_fn(|cx| self.socket.poll_writable(cx)).await;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads and decodes some of the pending input. Returns whether more input may be pending, or
    /// the error that ends this connection.
    pub(super) fn read_replies(&mut self) -> Result<bool, LinkError> {
        match self.read() {
            Some(read) => self.process(read).map(|()| true),
            None if self.buffer.is_empty() => Ok(false),
            None => self.process(Ok(self.buffer.len())).map(|()| false),
        }
    }

    /// Records that a line is about to be sent while no reply is missing. If the controller has
    /// already begun to send a line, the controller's line is not the reply to the new line.
    pub(super) fn note_asked(&mut self) {
        self.asked = true;
        self.begun_unasked = self.expect_reply && self.decoder.has_begun(&self.buffer);
    }

    /// Reads once. Returns `None` if no bytes are pending.
    fn read(&mut self) -> Option<io::Result<usize>> {
        match self.socket.try_read(&mut self.room) {
            Ok(length) => {
                self.buffer.extend_from_slice(&self.room[..length]);
                Some(Ok(length))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Decodes the bytes that have been read. Returns the error that ends this connection, if there
    /// is one.
    fn process(&mut self, read: io::Result<usize>) -> Result<(), LinkError> {
        if self.socket.keeps_messages_apart() {
            read.map_err(LinkError::Broken)?;
            self.process_datagram();
            return Ok(());
        }
        let ended = matches!(read, Ok(0));
        let end = match read {
            Ok(0) => self.decode(ReplyDecoder::decode_eof).and(Err(LinkError::Closed)),
            Ok(_) => self.decode(ReplyDecoder::decode),
            Err(error) => Err(LinkError::Broken(error)),
        };
        match end {
            // Without expected replies, input cannot be matched to the wrong line.
            Err(LinkError::Wire(error) | LinkError::FirstWords { error, .. }) if !self.expect_reply => {
                self.ignore(&error);
                if ended { Err(LinkError::Closed) } else { Ok(()) }
            }
            end => end,
        }
    }

    /// Decodes one datagram. A datagram is a whole line, with or without a newline at its end. A
    /// fault in one datagram does not affect the next datagram.
    fn process_datagram(&mut self) {
        if !self.buffer.ends_with(b"\n") {
            self.buffer.extend_from_slice(b"\n");
        }
        if let Err(fault) = self.decode(ReplyDecoder::decode) {
            self.ignored = Some(format!("a datagram was ignored: {}", fault.advised()));
            if let LinkError::Wire(error) | LinkError::FirstWords { error, .. } = fault {
                self.ignore(&error);
            }
        }
    }

    fn ignore(&mut self, error: &WireError) {
        self.log_lines.extend(LogLine::detail(Level::DEBUG, || format!("ignored error={error}")));
        self.buffer.clear();
        self.decoder = ReplyDecoder::new(&WireConfig { banner_lines: 0, ..self.wire.clone() });
    }

    fn decode(
        &mut self,
        decode: fn(&mut ReplyDecoder, &mut BytesMut) -> Result<Option<Incoming>, WireError>,
    ) -> Result<(), LinkError> {
        while let Some(next) =
            decode(&mut self.decoder, &mut self.buffer).map_err(|error| self.no_reply(error))?
        {
            self.log_lines.extend(LogLine::detail(Level::TRACE, || format!("received message={next:?}")));
            let first = !std::mem::replace(&mut self.understood, true);
            self.ignored = None;
            let unasked = std::mem::take(&mut self.begun_unasked);
            if let (Incoming::Reply(reply), true) = (&next, unasked) {
                return Err(LinkError::unsolicited(reply, first));
            }
            self.received.push(next);
        }
        Ok(())
    }
}

/// The most bytes of one read.
const MOST_READ: usize = 4096;
