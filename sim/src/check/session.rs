//! Sends lines and reads replies, over several connections, and checks each reply as it arrives.

use std::{io, ops::RangeInclusive, time::Duration};

use tokio::time::{Instant, sleep};

use super::advice;
use super::config::{CheckConfig, CheckError};
use super::connector::Connector;
use super::finding::{Check, Finding, Report};
use super::line::Line;
use super::peer::{Incoming, Peer};
use super::reply::{self, CheckedReply, End, Raw};
use aether_bridge::arm::Gripper;
use aether_bridge::text::show_bytes;
use aether_bridge::wire::advice::Advice;

/// The controller no longer replies. The findings give the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disconnected {
    Closed,
    Silent,
}

/// How the bytes of the lines are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    OnePiece,
    ByteByByte,
}

/// A session with the controller, over as many connections as needed.
pub(super) struct Session<'a> {
    pub config: &'a CheckConfig,
    pub report: Report,
    pub stats: ReplyStats,
    print: &'a mut (dyn FnMut(&str) + Send),
    connector: Connector,
    peer: Option<Peer>,
    /// The number of lines that the controller sends on connecting, as configured or as observed.
    greeting: u32,
    /// The lines that were sent last.
    asked: Vec<String>,
    /// The last state of the arm that the controller reported, in a reply or unsolicited.
    pub arm: ArmReport,
    /// Whether lines and replies are hidden, because there are many.
    pub muted: bool,
}

/// The state of the arm that a controller reports.
#[derive(Debug, Clone, Default)]
pub(super) struct ArmReport {
    /// The number of reported positions.
    pub positions: u32,
    /// The last position, in the wire's unit.
    pub position: Option<[f64; 3]>,
    pub gripper: Option<Gripper>,
    pub moving: bool,
    pub fault: Option<String>,
    /// Whether only the replies to commands report a position: the reply to a heartbeat has no
    /// position, or a heartbeat ends the connection.
    pub cannot_be_asked: bool,
}

impl ArmReport {
    fn take(&mut self, reply: &CheckedReply) {
        self.positions += u32::from(reply.position.is_some());
        self.position = reply.position.or(self.position);
        self.gripper = reply.gripper.or(self.gripper);
        // A field that a later line leaves out is no longer valid.
        (self.moving, self.fault) = (reply.moving.unwrap_or(false), reply.fault.clone());
    }
}

/// Statistics of all replies.
#[derive(Debug, Default)]
pub(super) struct ReplyStats {
    pub replies: u32,
    pub slowest: Duration,
    /// The time until the last reply.
    pub last: Duration,
    pub with_seq: u32,
    pub seq_asked: u32,
    pub positions: u32,
    /// Whether a line got more than one reply, so that replies cannot be matched to lines.
    pub too_many: bool,
}

impl<'a> Session<'a> {
    pub async fn new(
        config: &'a CheckConfig,
        print: &'a mut (dyn FnMut(&str) + Send),
    ) -> Result<Self, CheckError> {
        let (connector, report, stats) =
            (Connector::new(config).await?, Report::default(), ReplyStats::default());
        if let Some(address) = connector.listening_on() {
            print(&format!("listening on {address}, until a controller connects"));
        }
        Ok(Self {
            config,
            report,
            stats,
            print,
            connector,
            peer: None,
            greeting: config.greeting,
            asked: Vec::new(),
            arm: ArmReport::default(),
            muted: false,
        })
    }

    pub fn print(&mut self, line: &str) {
        (self.print)(line);
    }

    /// Records a finding, and prints it if it is new.
    pub fn find(&mut self, finding: Finding) {
        let text = finding.to_string();
        if self.report.add(finding) {
            self.print(&text);
        }
    }

    pub fn is_connected(&self) -> bool {
        self.peer.is_some()
    }

    /// Opens the first connection and reads the lines that the controller sends unasked.
    pub async fn begin(&mut self) -> Result<(), CheckError> {
        let began = Instant::now();
        let time = if self.config.listen { DIAL_IN_TIMEOUT } else { self.config.patience };
        let peer = self.connector.open(began + time).await.map_err(|source| CheckError::Connect {
            peer: format!("{}:{}", self.config.host, self.config.port),
            source,
        })?;
        self.peer = Some(peer);
        let verb =
            if self.config.listen { "the controller connected" } else { "the connection was accepted" };
        if !self.config.udp {
            self.find(Finding::ok(Check::Connect, format!("{verb} after {}", time_of(began.elapsed()))));
        }
        let greeted = self.greet(true).await;
        if greeted.is_ok() && !self.report.is_wrong(Check::Greeting) {
            let seen = match self.config.greeting {
                0 => "the controller sends nothing before the first line".to_owned(),
                lines => format!("{lines} lines on connecting, as configured, and nothing more"),
            };
            self.find(Finding::ok(Check::Greeting, seen));
        }
        Ok(())
    }

    /// Closes the connection immediately, if there is one, also if bytes are on their way.
    pub fn hang_up(&mut self) {
        self.peer = None;
    }

    /// Opens a second connection beside the present one.
    pub async fn open_another(&mut self) -> io::Result<Peer> {
        self.connector.open(Instant::now() + self.config.patience).await
    }

    /// Opens a new connection, and retries until the bridge would give up. A failure becomes a
    /// finding.
    pub async fn connect_again(&mut self) -> bool {
        self.hang_up();
        let deadline = Instant::now() + self.config.patience;
        match self.connector.open_again(deadline).await {
            Ok(peer) => self.peer = Some(peer),
            Err(error) => {
                self.find(Finding::wrong(
                    Check::Reconnect,
                    format!("no new connection: {error}"),
                    advice::RECONNECT,
                ));
                return false;
            }
        }
        self.greet(false).await.is_ok()
    }

    /// Reads the lines that the controller sends on connecting, and checks that it sends no others.
    async fn greet(&mut self, first: bool) -> Result<(), Disconnected> {
        let silence = self.config.silence;
        let deadline = Instant::now() + self.config.banner_timeout;
        for nth in 0..self.greeting {
            match self.receive(deadline).await? {
                Some((raw, at)) => self.show(&raw, at.elapsed(), "(greeting)"),
                None => {
                    let seen = format!("only {nth} of {} lines came on connecting", self.greeting);
                    self.find(Finding::wrong(Check::Greeting, seen, advice::FEWER_LINES));
                    self.greeting = nth;
                    break;
                }
            }
        }
        let mut extra = 0;
        while let Some((raw, _)) = self.receive(Instant::now() + silence).await? {
            self.show(&raw, Duration::ZERO, "(unsolicited)");
            let seen = format!("{} came before the first line was sent", raw.shown());
            match first {
                true => self.find(Finding::wrong(Check::Greeting, seen, advice::GREETING)),
                false => self.find(Finding::wrong(Check::Reconnect, seen, advice::LEFT_OVER)),
            }
            extra += 1;
            if extra == 100 {
                break;
            }
        }
        if first {
            self.greeting += extra;
        }
        Ok(())
    }

    /// Sends lines and receives one reply to each. A malformed reply becomes a finding; the caller
    /// checks the contents. `missing` is the advice if a reply does not come.
    pub async fn ask(
        &mut self,
        check: Check,
        lines: &[Line],
        pace: Pace,
        missing: Advice,
    ) -> Result<Vec<CheckedReply>, Disconnected> {
        if let Err(error) = self.send(lines, pace).await {
            let why = self.peer.as_ref().map_or_else(|| error.to_string(), |peer| peer.broken(&error));
            return Err(self.gone(check, &why, missing));
        }
        let (mut since, mut replies) = (Instant::now(), Vec::new());
        while let Some(line) = lines.get(replies.len()) {
            let Some((raw, at)) = self.receive_or_end(check, since + self.config.patience, missing).await?
            else {
                let waited = time_of(self.config.patience);
                let seen = match (replies.len(), lines.len()) {
                    (_, 1) => format!("no reply within {waited}"),
                    (received, all) => {
                        format!("{received} of {all} lines got a reply, then nothing came for {waited}")
                    }
                };
                self.find(Finding::wrong(if lines.len() == 1 { Check::Reply } else { check }, seen, missing));
                self.hang_up();
                return Err(Disconnected::Silent);
            };
            let took = at.saturating_duration_since(since);
            self.show(&raw, took, "");
            let reply = reply::check(&raw);
            if self.is_unsolicited(&raw, &reply) {
                continue;
            }
            self.arm.take(&reply);
            self.check_place(line, lines, &reply, took);
            if !replies.is_empty() {
                self.check_delay(took);
            }
            reply.findings.iter().cloned().for_each(|finding| self.find(finding));
            since = since.max(at);
            replies.push(reply);
        }
        let quiet = if self.stats.too_many { self.config.silence } else { A_MOMENT };
        let in_pieces = (missing == advice::FRAMING && !self.stats.too_many).then_some(check);
        self.stay_quiet(quiet.min(self.config.silence), in_pieces).await?;
        Ok(replies)
    }

    /// Checks that nothing more comes for a while, and that the connection stays open. With
    /// `in_pieces`, extra replies are reported as a framing fault under that check.
    pub async fn stay_quiet(&mut self, time: Duration, in_pieces: Option<Check>) -> Result<(), Disconnected> {
        let (deadline, mut extra) = (Instant::now() + time, 0);
        while let Some((raw, _)) = self.receive_or_end(Check::StaysConnected, deadline, advice::STAYS).await?
        {
            extra += 1;
            if extra <= SHOWN_AT_MOST {
                self.show(&raw, Duration::ZERO, "(extra reply)");
            }
            if raw.bytes.trim_ascii().is_empty() {
                self.find(Finding::wrong(Check::OneReply, "a blank line came", advice::BLANK));
            } else if !self.is_unsolicited(&raw, &reply::check(&raw)) {
                let seen = format!("a line got more than one reply: {} came too", raw.shown());
                self.stats.too_many |= in_pieces.is_none();
                self.find(match in_pieces {
                    Some(check) => Finding::wrong(check, seen, advice::FRAMING),
                    None => Finding::wrong(Check::OneReply, seen, advice::ONE_REPLY),
                });
            }
        }
        if extra > SHOWN_AT_MOST {
            self.print(&format!("← … and {} more", extra - SHOWN_AT_MOST));
        }
        Ok(())
    }

    /// Sends bytes without waiting for a reply.
    pub async fn send_without_reply(&mut self, bytes: &[u8]) {
        self.print(&format!("→ {}   (then closed the connection)", show_bytes(bytes)));
        if let Some(peer) = &mut self.peer {
            // If sending fails, the connection is gone, and the caller closes it next anyway.
            let _ = peer.send(bytes).await;
        }
    }

    async fn send(&mut self, lines: &[Line], pace: Pace) -> io::Result<()> {
        self.asked = lines.iter().map(|line| line.text.clone()).collect();
        for (nth, line) in lines.iter().enumerate().filter(|_| !self.muted) {
            let how = match pace {
                Pace::ByteByByte => "   (byte by byte)",
                Pace::OnePiece if nth + 1 < lines.len() && !self.config.udp => {
                    "   (in one piece with the next)"
                }
                Pace::OnePiece => "",
            };
            (self.print)(&format!("→ {}{how}", show_bytes(&line.bytes())));
        }
        let bytes: Vec<u8> = lines.iter().flat_map(Line::bytes).collect();
        let peer = self.peer.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        match pace {
            Pace::OnePiece => peer.send(&bytes).await,
            Pace::ByteByByte => {
                for byte in bytes {
                    peer.send(&[byte]).await?;
                    sleep(BETWEEN_BYTES).await;
                }
                Ok(())
            }
        }
    }

    async fn receive(&mut self, deadline: Instant) -> Result<Option<(Raw, Instant)>, Disconnected> {
        self.receive_or_end(Check::Connect, deadline, advice::STAYS).await
    }

    async fn receive_or_end(
        &mut self,
        check: Check,
        deadline: Instant,
        ended: Advice,
    ) -> Result<Option<(Raw, Instant)>, Disconnected> {
        let Some(peer) = &mut self.peer else { return Err(Disconnected::Closed) };
        match peer.next(deadline, self.config.silence).await {
            Incoming::Reply(raw, at) => {
                if raw.end == End::Missing {
                    peer.without_newlines();
                }
                Ok(Some((raw, at)))
            }
            Incoming::Nothing => Ok(None),
            Incoming::End(why) => Err(self.gone(check, &why, ended)),
        }
    }

    fn gone(&mut self, check: Check, why: &str, advice: Advice) -> Disconnected {
        self.print(&format!("× {why}"));
        self.find(Finding::wrong(check, why, advice));
        self.hang_up();
        Disconnected::Closed
    }

    fn show(&mut self, raw: &Raw, took: Duration, remark: &str) {
        if self.muted {
            return;
        }
        let remark = if remark.is_empty() { time_of(took) } else { remark.to_owned() };
        self.print(&format!("← {}   {remark}", raw.shown()));
    }

    /// Returns whether a received line is an echo of our line or unsolicited state instead of a
    /// reply.
    fn is_unsolicited(&mut self, raw: &Raw, reply: &CheckedReply) -> bool {
        let text = String::from_utf8_lossy(&raw.bytes);
        if self.asked.iter().any(|asked| asked == text.trim()) {
            self.find(Finding::wrong(
                Check::Echo,
                format!("the controller sent our line back: {}", raw.shown()),
                advice::ECHO,
            ));
            return true;
        }
        if reply.unsolicited_state {
            self.arm.take(reply);
            let seen = format!("{} came unsolicited: set wire.accept_state: true in the bridge", raw.shown());
            self.find(Finding::note(Check::UnsolicitedState, seen));
        }
        reply.unsolicited_state
    }

    /// Checks that a reply is in time and belongs to the next line in order.
    fn check_place(&mut self, line: &Line, together: &[Line], reply: &CheckedReply, took: Duration) {
        self.stats.replies += 1;
        self.stats.last = took;
        self.stats.slowest = self.stats.slowest.max(took);
        self.stats.positions += u32::from(reply.position.is_some());
        self.stats.seq_asked += u32::from(line.seq.is_some());
        if took > self.config.timeout {
            let allowed = time_of(self.config.timeout);
            let seen = format!("a reply came after {}, later than {allowed}", time_of(took));
            self.find(Finding::wrong(Check::InTime, seen, advice::IN_TIME));
        }
        let (Some(expected), Some(seq)) = (line.seq, &reply.seq) else { return };
        if seq.as_u64() == Some(expected) {
            self.stats.with_seq += 1;
        } else if together.iter().any(|line| line.seq.is_some() && line.seq == seq.as_u64()) {
            let seen = format!("the reply to line {expected} was due, but the reply to line {seq} came");
            self.find(Finding::wrong(Check::Order, seen, advice::ORDER));
        } else {
            let seen = format!("a reply has \"seq\" {seq}, but its line had {expected}");
            self.find(Finding::wrong(Check::Seq, seen, advice::SEQ));
        }
    }

    /// Checks whether the controller's network stack held back a reply that follows another.
    fn check_delay(&mut self, took: Duration) {
        if HELD_BACK.contains(&took) {
            let seen = format!(
                "a reply came {} after the previous one, which looks like Nagle's algorithm: set TCP_NODELAY",
                time_of(took)
            );
            self.find(Finding::note(Check::Delay, seen));
        }
    }
}

/// Formats a duration for display.
pub(super) fn time_of(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.1} s"),
        seconds if seconds >= 0.01 => format!("{:.0} ms", seconds * 1000.0),
        seconds => format!("{:.1} ms", seconds * 1000.0),
    }
}

/// The pause between two bytes of a line, long enough that each byte has its own segment.
const BETWEEN_BYTES: Duration = Duration::from_millis(1);

/// How long to wait for a second reply after each line, if the first line got only one reply.
const A_MOMENT: Duration = Duration::from_millis(20);

/// The largest number of extra replies that are shown after a line.
const SHOWN_AT_MOST: u32 = 3;

/// The delay of a delayed acknowledgement on Linux: a small segment waits for the acknowledgement
/// of the previous one.
const HELD_BACK: RangeInclusive<Duration> = Duration::from_millis(38)..=Duration::from_millis(48);

/// How long to wait for a controller that connects to us. It is long, because the operator starts
/// the controller.
const DIAL_IN_TIMEOUT: Duration = Duration::from_secs(24 * 3600);
