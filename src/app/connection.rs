//! One connection: what comes in on it, and what that says.

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

/// A connection, or the way of datagrams to and from one controller.
pub(super) struct Connection {
    pub(super) peer: PeerId,
    pub(super) socket: Arc<dyn Socket>,
    /// What has been read and is to be handled.
    pub(super) heard: Vec<Incoming>,
    /// What is to be logged of it.
    pub(super) log_lines: Vec<LogLine>,
    /// What has been read and not decoded.
    buffer: BytesMut,
    /// Where a read puts its bytes; kept, so that it is cleared only once.
    room: Box<[u8]>,
    decoder: ReplyDecoder,
    /// The line that is coming in was begun before anything was asked that it could answer.
    begun_unasked: bool,
    /// A line has been sent on this connection.
    asked: bool,
    /// Something has come on this connection that was understood.
    understood: bool,
    /// What has come last and was passed over, in words; nothing once something has come that was understood.
    passed_over: Option<String>,
    /// By what it was made: it ends before other settings hold.
    wire: WireConfig,
    expect_reply: bool,
}

impl Connection {
    pub(super) fn new(peer: PeerId, socket: Arc<dyn Socket>, config: &Config) -> Self {
        Self {
            peer,
            socket,
            heard: Vec::new(),
            log_lines: Vec::new(),
            buffer: BytesMut::with_capacity(MOST_READ),
            room: vec![0; MOST_READ].into(),
            decoder: ReplyDecoder::new(&config.wire),
            begun_unasked: false,
            asked: false,
            understood: false,
            passed_over: None,
            wire: config.wire.clone(),
            expect_reply: config.link.expect_reply,
        }
    }

    /// Waits for the greeting, and tells `heard` how many of its lines have come each time. Fails if the connection has to end.
    pub(super) async fn greet(&mut self, heard: impl Fn(u32)) -> Result<(), LinkError> {
        let wanted = self.wire.banner_lines;
        loop {
            let left = self.decoder.greet(&mut self.buffer)?;
            heard(wanted - left);
            if left == 0 {
                return Ok(());
            }
            match self.read_more().await {
                Err(LinkError::Closed) => {
                    return Err(LinkError::ClosedInGreeting { heard: wanted - left, wanted });
                }
                read => read?,
            }
        }
    }

    /// Why this connection has to end when the greeting has not come in time.
    pub(super) fn not_greeted(&mut self, timeout: Duration) -> LinkError {
        let wanted = self.wire.banner_lines;
        match self.decoder.greet(&mut self.buffer) {
            Ok(left) => {
                let unfinished = self.decoder.unfinished(&self.buffer);
                LinkError::NotGreeted { heard: wanted - left, wanted, timeout, unfinished }
            }
            Err(error) => error.into(),
        }
    }

    /// Sends the hello and, where lines are answered, waits until it is accepted. Fails if the connection has to end.
    pub(super) async fn authenticate(&mut self, hello: &Hello) -> Result<(), LinkError> {
        self.write(hello.line()).await.map_err(LinkError::Broken)?;
        self.asked = true;
        while self.expect_reply {
            match self.decoder.decode(&mut self.buffer).map_err(|error| self.no_reply(error))? {
                // What it says of the arm is handled once the connection is open.
                Some(Incoming::Reply(Reply { status: ReplyStatus::Ok, state, .. })) => {
                    self.understood = true;
                    self.heard.extend(state.map(Incoming::State));
                    break;
                }
                Some(Incoming::Reply(Reply { message, .. })) => {
                    return Err(LinkError::AuthRejected { message });
                }
                Some(Incoming::State(state)) => {
                    self.heard.clear();
                    self.heard.push(Incoming::State(state));
                }
                None => self.read_more().await?,
            }
        }
        Ok(())
    }

    /// Waits until there may be more in the buffer.
    async fn read_more(&mut self) -> Result<(), LinkError> {
        poll_fn(|cx| self.socket.poll_readable(cx)).await;
        match self.read() {
            Some(Ok(0)) => Err(LinkError::Closed),
            Some(Err(error)) => Err(LinkError::Broken(error)),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// Why this connection has to end: what has come is no reply.
    fn no_reply(&self, error: WireError) -> LinkError {
        if self.understood { error.into() } else { LinkError::FirstWords { error, asked: self.asked } }
    }

    /// What has come since the last reply and is none, in words: the beginning of a line, or a datagram passed over.
    pub(super) fn instead(&self) -> Option<String> {
        let unfinished = self.decoder.unfinished(&self.buffer).map(|unfinished| unfinished.to_string());
        unfinished.or_else(|| self.passed_over.clone())
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

    /// Reads and processes some of what is there. Returns whether there may be more, or why this connection has to end.
    pub(super) fn read_replies(&mut self) -> Result<bool, LinkError> {
        match self.read() {
            Some(read) => self.process(read).map(|()| true),
            None if self.buffer.is_empty() => Ok(false),
            None => self.process(Ok(self.buffer.len())).map(|()| false),
        }
    }

    /// A line is about to go to this controller, which owes no reply: what it has begun to say is none to that line.
    pub(super) fn note_asked(&mut self) {
        self.asked = true;
        self.begun_unasked = self.expect_reply && self.decoder.has_begun(&self.buffer);
    }

    /// Nothing where nothing is there.
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

    /// Decodes what has been read, or says why this connection has to end.
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
            // What nothing waits for cannot be misunderstood.
            Err(LinkError::Wire(error) | LinkError::FirstWords { error, .. }) if !self.expect_reply => {
                self.pass_over(&error);
                if ended { Err(LinkError::Closed) } else { Ok(()) }
            }
            end => end,
        }
    }

    /// A datagram is whole, with a newline at its end or not, and what is wrong with it says nothing of the next.
    fn process_datagram(&mut self) {
        if !self.buffer.ends_with(b"\n") {
            self.buffer.extend_from_slice(b"\n");
        }
        if let Err(fault) = self.decode(ReplyDecoder::decode) {
            self.passed_over = Some(format!("a datagram was passed over: {}", fault.advised()));
            if let LinkError::Wire(error) | LinkError::FirstWords { error, .. } = fault {
                self.pass_over(&error);
            }
        }
    }

    fn pass_over(&mut self, error: &WireError) {
        self.log_lines.extend(LogLine::detail(Level::DEBUG, || format!("passed over error={error}")));
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
            self.log_lines.extend(LogLine::detail(Level::TRACE, || format!("received heard={next:?}")));
            let first = !std::mem::replace(&mut self.understood, true);
            self.passed_over = None;
            let unasked = std::mem::take(&mut self.begun_unasked);
            if let (Incoming::Reply(reply), true) = (&next, unasked) {
                return Err(LinkError::unsolicited(reply, first));
            }
            self.heard.push(next);
        }
        Ok(())
    }
}

/// How many bytes are read at once, at most.
const MOST_READ: usize = 4096;
