#![allow(clippy::disallowed_methods)] // this is where the clock is owned
//! What takes time: connecting, reading replies, the timers.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_util::codec::Decoder;

use super::{Bridge, Event};
use crate::link::{Action, LinkError, Transport};
use crate::wire::{Reply, ReplyDecoder, WireError, WireUnit};

/// Owns the connection's life, its replies and the timers, until `shutdown` completes. Then nothing is sent any more,
/// and the last status has been told.
pub async fn drive(bridge: Bridge, shutdown: impl Future<Output = ()>) {
    let mut driver = Driver { bridge, connection: None, attempt: None };
    let mut shutdown = std::pin::pin!(shutdown);
    let mut ticks = tokio::time::interval(STATUS_PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut second = false;
    loop {
        driver.act();
        let (deadline, blocked) = driver.prepare_sleep();
        let Driver { bridge, connection, attempt, .. } = &mut driver;
        let woken = tokio::select! {
            biased;
            () = &mut shutdown => break,
            result = next(attempt) => Woken::Connected(result),
            woken = socket(connection, blocked) => woken,
            () = bridge.0.wake.notified() => Woken::Asked,
            () = sleep_until(deadline) => Woken::Timeout,
            _ = ticks.tick() => Woken::Tick,
        };
        match woken {
            Woken::Connected(result) => driver.handle_attempt(result),
            Woken::Read(result) => driver.handle_read(result),
            Woken::Writable => driver.bridge.with(|joint, now| joint.handle_writable(now)),
            Woken::Timeout => driver.bridge.with(|joint, now| joint.handle_timeout(now)),
            Woken::Asked => {}
            Woken::Tick => {
                driver.bridge.tick(second);
                second = !second;
            }
        }
    }
    driver.bridge.shut_down();
    driver.bridge.lock().outlet = None;
}

enum Woken {
    Connected(Result<TcpStream, LinkError>),
    Read(io::Result<usize>),
    Writable,
    Asked,
    Timeout,
    Tick,
}

struct Driver {
    bridge: Bridge,
    connection: Option<Connection>,
    attempt: Option<Attempt>,
}

type Attempt = Pin<Box<dyn Future<Output = Result<TcpStream, LinkError>> + Send>>;

struct Connection {
    reader: OwnedReadHalf,
    writer: Arc<OwnedWriteHalf>,
    buffer: BytesMut,
    decoder: ReplyDecoder,
    /// By what it was made: it ends before other settings hold.
    unit: WireUnit,
    expect_reply: bool,
}

impl Driver {
    /// Does what the link wants done.
    fn act(&mut self) {
        loop {
            let mut inner = self.bridge.lock();
            let Some(action) = inner.joint.poll_action() else { return };
            inner.outlet = None;
            self.connection = None;
            self.attempt = match action {
                Action::Connect => {
                    let transport = Transport::new(inner.config.transport.clone());
                    Some(Box::pin(async move { transport.connect().await }))
                }
                Action::Close => None,
            };
        }
    }

    fn prepare_sleep(&mut self) -> (Option<Instant>, bool) {
        let mut inner = self.bridge.lock();
        inner.sleeping_until = inner.joint.poll_timeout(Instant::now());
        (inner.sleeping_until, inner.joint.is_blocked())
    }

    fn handle_attempt(&mut self, result: Result<TcpStream, LinkError>) {
        self.attempt = None;
        match result {
            Ok(stream) => {
                let (reader, writer) = stream.into_split();
                let writer = Arc::new(writer);
                self.connection = Some(self.bridge.with_inner(|inner, now| {
                    inner.outlet = Some(Arc::clone(&writer));
                    inner.joint.handle_connected(now);
                    Connection {
                        reader,
                        writer,
                        buffer: BytesMut::with_capacity(READ_BUFFER),
                        decoder: ReplyDecoder::new(inner.config.wire_unit)
                            .after_greeting(inner.config.greeting_lines),
                        unit: inner.config.wire_unit,
                        expect_reply: inner.config.link.expect_reply,
                    }
                }));
            }
            Err(error) => self.bridge.with(|joint, now| joint.handle_failed(now, error)),
        }
    }

    /// Handles the replies in what has been read.
    fn handle_read(&mut self, result: io::Result<usize>) {
        let Some(connection) = &mut self.connection else { return };
        let mut replies = Vec::new();
        let ended = matches!(result, Ok(0));
        let end = match result {
            Ok(0) => connection.decode(&mut replies, ReplyDecoder::decode_eof).and(Err(LinkError::Closed)),
            Ok(_) => connection.decode(&mut replies, ReplyDecoder::decode),
            Err(error) => Err(LinkError::Broken(error)),
        };
        let end = match end {
            // What nobody waits for cannot be misunderstood.
            Err(LinkError::Wire(error)) if !connection.expect_reply => {
                tracing::debug!(%error, "passed over");
                connection.buffer.clear();
                connection.decoder = ReplyDecoder::new(connection.unit);
                if ended { Err(LinkError::Closed) } else { Ok(()) }
            }
            end => end,
        };
        let mut reported = Vec::new();
        self.bridge.with(|joint, now| {
            for reply in replies {
                if joint.handle_reply(now, &reply) {
                    reported.extend(reply.state.map(Event::ArmState));
                }
            }
            if let Err(error) = end {
                joint.handle_failed(now, error);
            }
        });
        if !reported.is_empty() {
            self.bridge.lock().outbox.append(&mut reported);
            self.bridge.tell();
        }
    }
}

impl Connection {
    fn decode(
        &mut self,
        replies: &mut Vec<Reply>,
        decode: fn(&mut ReplyDecoder, &mut BytesMut) -> Result<Option<Reply>, WireError>,
    ) -> Result<(), LinkError> {
        while let Some(reply) = decode(&mut self.decoder, &mut self.buffer)? {
            tracing::trace!(?reply, "received");
            replies.push(reply);
        }
        Ok(())
    }
}

async fn next(attempt: &mut Option<Attempt>) -> Result<TcpStream, LinkError> {
    match attempt {
        Some(attempt) => attempt.await,
        None => std::future::pending().await,
    }
}

async fn socket(connection: &mut Option<Connection>, blocked: bool) -> Woken {
    let Some(Connection { reader, writer, buffer, .. }) = connection else {
        return std::future::pending().await;
    };
    buffer.reserve(READ_BUFFER);
    tokio::select! {
        biased;
        result = reader.read_buf(buffer) => Woken::Read(result),
        // An error shows itself on reading.
        _ = writer.writable(), if blocked => Woken::Writable,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// `LinkStatus` at 2 Hz, diagnostics at half of that.
const STATUS_PERIOD: Duration = Duration::from_millis(500);
const READ_BUFFER: usize = 4096;
