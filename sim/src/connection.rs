//! Serves one client of the controller.

// This module reads the clock, because the monitor needs the times of writes.
#![allow(clippy::disallowed_methods)]

use std::{
    io::{self, Read},
    mem::MaybeUninit,
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use futures_util::future::OptionFuture;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    select,
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tokio_util::{codec::Decoder, sync::CancellationToken};

use super::controller::{CommandDecoder, CommandFault, HelloDecoder, ReceivedOrder, ReplyEncoder};
use super::fault::Fault;
use super::fault_schedule::{Answer, Delivery, FaultSchedule};
use super::record::Ended;
use super::shared::{Control, Shared};
use aether_bridge::wire::{Order, Reply, ReplyStatus, WireError};

/// Serves a client until the client or the controller ends the connection. Then closes the socket
/// and records the end.
pub(super) async fn serve(
    number: usize,
    stream: TcpStream,
    peer: SocketAddr,
    shared: Arc<Shared>,
    control: mpsc::UnboundedSender<Control>,
    crash: CancellationToken,
) {
    let decoder = CommandDecoder::new(shared.config.unit);
    let mut connection = Connection {
        number,
        peer,
        stream,
        decoder: if shared.config.commands_only { decoder.commands_only() } else { decoder },
        buffer: BytesMut::with_capacity(READ_AHEAD),
        owed: 0,
        gone: false,
        held: HeldReplies::default(),
        expiry: None,
        shared: Arc::clone(&shared),
        control,
    };
    let why = match crash.run_until_cancelled(connection.run()).await {
        Some(Ok(why)) => why,
        Some(Err(WireError::Io(error))) => Ended::Failed(error.to_string()),
        Some(Err(error)) => Ended::MalformedMessage(error.to_string()),
        None => Ended::Crash,
    };
    let socket = SockRef::from(&connection.stream);
    // If the socket is already closed, both calls fail without harm.
    if matches!(why, Ended::Crash | Ended::Fault(Fault::ResetMidLine)) {
        let _ = socket.set_linger(Some(Duration::ZERO));
    } else {
        let _ = socket.shutdown(std::net::Shutdown::Write);
    }
    drop(connection);
    shared.disconnected(number, peer, why);
}

struct Connection {
    number: usize,
    peer: SocketAddr,
    stream: TcpStream,
    decoder: CommandDecoder,
    buffer: BytesMut,
    /// Lines that were read but got no reply yet.
    owed: usize,
    held: HeldReplies,
    /// The client has disconnected, but some of its lines are still unread. Their commands are not
    /// executed.
    gone: bool,
    /// The time at which the arm halts by itself if no further line comes, and the `ttl` of the
    /// last line.
    expiry: Option<(Instant, Duration)>,
    shared: Arc<Shared>,
    control: mpsc::UnboundedSender<Control>,
}

/// Replies that wait until they are sent together in one write.
#[derive(Default)]
struct HeldReplies {
    text: Vec<u8>,
    replies: u64,
    errors: u64,
}

impl Connection {
    async fn run(&mut self) -> Result<Ended, WireError> {
        self.stream.set_nodelay(true)?;
        for line in &self.shared.config.greeting {
            self.stream.write_all(format!("{line}\n").as_bytes()).await?;
        }
        if let Some(stranger) = self.admit().await? {
            return Ok(stranger);
        }
        let mut schedule = self.shared.schedule.subscribe();
        let mut quiet_check = interval(BETWEEN_LOOKS);
        quiet_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            while let Some(line) = self.next_line(&mut schedule).await? {
                if let Some(ended) = self.answer(line, &mut schedule).await? {
                    return Ok(ended);
                }
            }
            let merging = self.shared.schedule.borrow().merging();
            if !merging {
                self.send_held().await?;
            }
            select! {
                read = self.stream.read_buf(&mut self.buffer) => if read? == 0 {
                    self.decoder.decode_eof(&mut self.buffer)?;
                    return Ok(Ended::ByPeer);
                } else {
                    self.read_to_end();
                },
                Some(()) = OptionFuture::from(self.expiry.map(|(at, _)| sleep_until(at))) => {
                    if let Some((_, ttl)) = self.expiry.take() {
                        self.shared.expired(self.number, self.peer, ttl);
                    }
                }
                _ = quiet_check.tick(), if self.shared.has_monitor() => self.check_quiet(),
                // The change may have released held replies, or stopped the reading.
                _ = schedule.changed() => {}
            }
        }
    }

    /// Reads all received bytes, so that the controller detects a disconnect before it executes the
    /// first line. The end of the connection comes after the client's lines.
    fn read_to_end(&mut self) {
        let mut bytes = [0; 4096];
        while !self.gone && self.buffer.len() < READ_AHEAD {
            // Ask the system, because tokio's information may be older than the disconnect.
            match (&*SockRef::from(&self.stream)).read(&mut bytes) {
                Ok(0) => self.gone = true,
                Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => self.gone = true,
            }
        }
    }

    /// If a token is needed, accepts the client only if it sends the token.
    async fn admit(&mut self) -> Result<Option<Ended>, WireError> {
        let Some(token) = &self.shared.config.token else { return Ok(None) };
        let mut hello = HelloDecoder::default();
        let shown = loop {
            match hello.decode(&mut self.buffer)? {
                Some(shown) => break shown,
                None if self.stream.read_buf(&mut self.buffer).await? == 0 => return Ok(Some(Ended::ByPeer)),
                None => {}
            }
        };
        let (status, message) = match shown {
            Ok(shown) if shown == *token => (ReplyStatus::Ok, "Welcome".to_owned()),
            Ok(_) => (ReplyStatus::Error, "the token is wrong".to_owned()),
            Err(fault) => (ReplyStatus::Error, fault.why),
        };
        let mut text = Vec::new();
        let reply = Reply { status, message, seq: None, state: None };
        ReplyEncoder::new(self.shared.config.unit).encode_into(&reply, &mut text);
        self.stream.write_all(&text).await?;
        Ok((status == ReplyStatus::Error).then_some(Ended::Stranger))
    }

    /// Waits until no fault keeps the controller from reading. Then returns the next received line.
    async fn next_line(
        &mut self,
        schedule: &mut watch::Receiver<FaultSchedule>,
    ) -> Result<Option<Result<ReceivedOrder, CommandFault>>, WireError> {
        // This cannot fail, because `shared` holds the sender of `schedule`.
        let _ = schedule.wait_for(|schedule| !schedule.reads_nothing()).await;
        self.decoder.decode(&mut self.buffer)
    }

    /// Informs the monitor if nothing can be read. Asks the system, because tokio's information is
    /// out of date if the process was stopped for a while.
    fn check_quiet(&self) {
        let now = Instant::now();
        self.shared.judge_arm();
        if !self.buffer.is_empty() {
            return;
        }
        let unread = SockRef::from(&self.stream).peek(&mut [MaybeUninit::uninit()]);
        if unread.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
            self.shared.quiet(self.number, now.into_std());
        }
    }

    /// Replies to a line, or does what a fault requires. If this ends the connection, returns the
    /// reason.
    async fn answer(
        &mut self,
        line: Result<ReceivedOrder, CommandFault>,
        schedule: &mut watch::Receiver<FaultSchedule>,
    ) -> Result<Option<Ended>, WireError> {
        schedule.mark_unchanged();
        let received = line.as_ref().ok();
        let text_of_line = received.map_or_else(String::new, |line| line.line.clone());
        let seq = received.and_then(|line| line.seq);
        self.expiry = received.and_then(|line| line.ttl).map(|ttl| (Instant::now() + ttl, ttl));
        let (order, treatment) = self.shared.received(self.number, self.peer, line);
        self.owed += 1;
        match treatment.delivery {
            Delivery::HalfOpen => {
                let _ = schedule.changed().await;
                return Ok(None);
            }
            Delivery::Crash(restart_after) => {
                // Wait here: at the crash the controller ends this task.
                let _ = self.control.send(Control::Crash { restart_after, done: None });
                std::future::pending::<()>().await;
            }
            _ => {}
        }
        let (text, is_error) = self.obey(&text_of_line, order, treatment.answer, seq);
        match treatment.delivery {
            Delivery::Never => return Ok(None),
            Delivery::Drip => return self.drip(schedule).await,
            _ => {}
        }
        if !treatment.delay.is_zero() {
            sleep(treatment.delay).await;
        }
        self.note_unanswered();
        let errors = u64::from(is_error);
        match treatment.delivery {
            Delivery::Merge(count) => {
                self.hold(&text, 1, errors);
                if self.held.replies >= count as u64 {
                    self.send_held().await?;
                }
            }
            Delivery::Twice => {
                self.hold(&text, 1, errors);
                self.hold(&text, 1, errors);
                self.send_held().await?;
            }
            Delivery::Split => {
                self.send_held().await?;
                let begun = Instant::now();
                for byte in &text {
                    self.stream.write_all(&[*byte]).await?;
                    sleep(BETWEEN_BYTES).await;
                }
                self.replied(begun, &text, 1, errors);
            }
            Delivery::CloseMidLine | Delivery::ResetMidLine => {
                self.hold(&text[..text.len() / 2], 0, 0);
                self.send_held().await?;
                let reset = treatment.delivery == Delivery::ResetMidLine;
                let fault = if reset { Fault::ResetMidLine } else { Fault::CloseMidLine };
                return Ok(Some(Ended::Fault(fault)));
            }
            _ => {
                self.hold(&text, 1, errors);
                self.send_held().await?;
            }
        }
        Ok(None)
    }

    /// Sends one byte at intervals until the faults change or the client ends the connection.
    async fn drip(
        &mut self,
        schedule: &mut watch::Receiver<FaultSchedule>,
    ) -> Result<Option<Ended>, WireError> {
        let drip = async {
            loop {
                self.stream.write_all(b".").await?;
                sleep(BETWEEN_DRIPS).await;
            }
        };
        select! {
            dripped = drip => dripped,
            _ = schedule.changed() => Ok(None),
        }
    }

    /// Executes an order. Returns the message for the reply, and whether it is an error.
    fn obey(
        &mut self,
        line: &str,
        order: Result<Order, String>,
        answer: Answer,
        seq: Option<u64>,
    ) -> (Vec<u8>, bool) {
        let verdict = match (order, answer) {
            (Ok(_), Answer::Error(message)) => Err(message),
            (order, Answer::Bytes(bytes)) => {
                if let Ok(order) = order {
                    let _ = self.carry_out(line, order);
                }
                return (bytes, false);
            }
            (order, _) => order,
        };
        let reply = match verdict {
            Ok(order) => {
                let (obeyed, state) = self.carry_out(line, order);
                let message = match order {
                    Order::Command(_) => "Command received",
                    Order::Stop => "Stop received",
                    Order::Heartbeat => "Heartbeat received",
                };
                match obeyed {
                    Ok(()) => Reply { status: ReplyStatus::Ok, message: message.to_owned(), seq, state },
                    Err(message) => Reply { status: ReplyStatus::Error, message, seq, state },
                }
            }
            Err(message) => Reply { status: ReplyStatus::Error, message, seq, state: None },
        };
        let mut text = Vec::new();
        ReplyEncoder::new(self.shared.config.unit).encode_into(&reply, &mut text);
        (text, reply.status == ReplyStatus::Error)
    }

    /// Lets the arm execute an order, except a command of a client that has disconnected.
    fn carry_out(
        &mut self,
        line: &str,
        order: Order,
    ) -> (Result<(), String>, Option<aether_bridge::arm::ReportedState>) {
        if self.gone && matches!(order, Order::Command(_)) {
            return (Ok(()), None);
        }
        let gone = self.has_gone();
        self.shared.obey(self.number, line, order, gone)
    }

    /// Returns whether the client has closed its end after its last line. Checked only if a monitor
    /// checks a physical arm.
    fn has_gone(&mut self) -> bool {
        if self.shared.config.physical.is_none() || !self.shared.has_monitor() {
            return false;
        }
        loop {
            match self.stream.try_read_buf(&mut self.buffer) {
                Ok(0) => return true,
                Ok(_) if self.buffer.len() < READ_AHEAD => {}
                Ok(_) | Err(_) => return false,
            }
        }
    }

    /// Counts the lines that the client has sent before the next reply.
    fn note_unanswered(&mut self) {
        while self.buffer.len() < READ_AHEAD {
            match self.stream.try_read_buf(&mut self.buffer) {
                // The next read finds the end or the error again.
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        let ahead = self.buffer.iter().filter(|&&byte| byte == b'\n').count();
        self.shared.unanswered(self.number, self.owed + ahead, &self.buffer);
    }

    fn hold(&mut self, text: &[u8], replies: u64, errors: u64) {
        self.held.text.extend_from_slice(text);
        self.held.replies += replies;
        self.held.errors += errors;
    }

    /// Sends the held replies in one write.
    async fn send_held(&mut self) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        if !held.text.is_empty() {
            let begun = Instant::now();
            self.stream.write_all(&held.text).await?;
            self.replied(begun, &held.text, held.replies, held.errors);
        }
        Ok(())
    }

    fn replied(&mut self, begun: Instant, text: &[u8], replies: u64, errors: u64) {
        self.owed = self.owed.saturating_sub(replies as usize);
        self.shared.replied(self.number, self.peer, begun.into_std(), text, replies, errors);
    }
}

/// How many unread bytes the controller reads in advance, before it sends the next reply.
const READ_AHEAD: usize = 8192;

/// The pause after every byte of a split reply, long enough that the client reads the byte.
const BETWEEN_BYTES: Duration = Duration::from_millis(1);

const BETWEEN_DRIPS: Duration = Duration::from_millis(50);

/// The period at which the controller informs the monitor that nothing has come.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);
