//! Lines sent and replies read on one connection after another, each judged as it comes.

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

/// The controller is no longer there to be asked; why is among the findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disconnected {
    Closed,
    Silent,
}

/// How lines are handed to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    AtOnce,
    ByteByByte,
}

/// A session with the controller, over as many connections as it takes.
pub(super) struct Session<'a> {
    pub config: &'a CheckConfig,
    pub report: Report,
    pub stats: ReplyStats,
    say: &'a mut (dyn FnMut(&str) + Send),
    connector: Connector,
    peer: Option<Peer>,
    /// How many lines it says on connecting: as told, or as learned.
    greeting: u32,
    /// The lines of the last question.
    asked: Vec<String>,
    /// What the controller has last said of its arm, in a reply or unasked.
    pub arm: ArmReport,
    /// Lines and replies are not shown, because there are many of them.
    pub muted: bool,
}

/// What a controller says of its arm.
#[derive(Debug, Clone, Default)]
pub(super) struct ArmReport {
    /// How many times it has said where the arm is.
    pub positions: u32,
    /// In the wire's unit.
    pub position: Option<[f64; 3]>,
    pub gripper: Option<Gripper>,
    pub moving: bool,
    pub fault: Option<String>,
    /// A heartbeat does not say where the arm is, or ends the connection: only a command does.
    pub cannot_be_asked: bool,
}

impl ArmReport {
    fn take(&mut self, reply: &CheckedReply) {
        self.positions += u32::from(reply.position.is_some());
        self.position = reply.position.or(self.position);
        self.gripper = reply.gripper.or(self.gripper);
        // What is left out of a later line does not hold any more.
        (self.moving, self.fault) =
            (reply.moving.unwrap_or(false), reply.fault.clone().filter(|fault| !fault.is_empty()));
    }
}

/// What is told of all replies together.
#[derive(Debug, Default)]
pub(super) struct ReplyStats {
    pub replies: u32,
    pub slowest: Duration,
    pub with_seq: u32,
    pub seq_asked: u32,
    pub positions: u32,
    /// More than one reply has come to a line, so nobody can say which is for which.
    pub too_many: bool,
}

impl<'a> Session<'a> {
    pub async fn new(
        config: &'a CheckConfig,
        say: &'a mut (dyn FnMut(&str) + Send),
    ) -> Result<Self, CheckError> {
        let (connector, report, stats) =
            (Connector::new(config).await?, Report::default(), ReplyStats::default());
        if let Some(address) = connector.listening_on() {
            say(&format!("listening on {address}, until a controller dials in"));
        }
        Ok(Self {
            config,
            report,
            stats,
            say,
            connector,
            peer: None,
            greeting: config.greeting,
            asked: Vec::new(),
            arm: ArmReport::default(),
            muted: false,
        })
    }

    pub fn say(&mut self, line: &str) {
        (self.say)(line);
    }

    /// Takes a finding, and tells it if it is new.
    pub fn find(&mut self, finding: Finding) {
        let text = finding.to_string();
        if self.report.add(finding) {
            self.say(&text);
        }
    }

    pub fn is_connected(&self) -> bool {
        self.peer.is_some()
    }

    /// The first connection, and what is said on it unasked.
    pub async fn begin(&mut self) -> Result<(), CheckError> {
        let began = Instant::now();
        let time = if self.config.listen { UNTIL_SOMEBODY_DIALS } else { self.config.patience };
        let peer = self.connector.open(began + time).await.map_err(|source| CheckError::Connect {
            peer: format!("{}:{}", self.config.host, self.config.port),
            source,
        })?;
        self.peer = Some(peer);
        let verb = if self.config.listen { "it dialled in" } else { "it took the connection" };
        if !self.config.udp {
            self.find(Finding::ok(Check::Connect, format!("{verb} after {}", time_of(began.elapsed()))));
        }
        let greeted = self.greet(true).await;
        if greeted.is_ok() && !self.report.is_wrong(Check::Greeting) {
            let seen = match self.config.greeting {
                0 => "it says nothing before the first line".to_owned(),
                lines => format!("{lines} on connecting, as told, and nothing more"),
            };
            self.find(Finding::ok(Check::Greeting, seen));
        }
        Ok(())
    }

    /// Ends the connection, if there is one, at once and whatever is on its way.
    pub fn hang_up(&mut self) {
        self.peer = None;
    }

    /// A new connection, tried for as long as the bridge's patience; in vain that is a finding.
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

    /// Hears the lines that are said on connecting, and that no others are.
    async fn greet(&mut self, first: bool) -> Result<(), Disconnected> {
        let silence = self.config.silence;
        let deadline = Instant::now() + self.config.banner_timeout;
        for nth in 0..self.greeting {
            match self.hear(deadline).await? {
                Some((raw, at)) => self.show(&raw, at.elapsed(), "(greeting)"),
                None => {
                    let seen = format!("{nth} of {} lines came on connecting", self.greeting);
                    self.find(Finding::wrong(Check::Greeting, seen, advice::FEWER_LINES));
                    self.greeting = nth;
                    break;
                }
            }
        }
        let mut extra = 0;
        while let Some((raw, _)) = self.hear(Instant::now() + silence).await? {
            self.show(&raw, Duration::ZERO, "(unasked)");
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

    /// Sends lines and hears one reply to each. What is wrong with the replies is found; whether they say what they
    /// should is the caller's question. `missing` is the advice when one does not come.
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
            let Some((raw, at)) = self.hear_or_end(check, since + self.config.patience, missing).await?
            else {
                let waited = time_of(self.config.patience);
                let seen = match (replies.len(), lines.len()) {
                    (_, 1) => format!("no reply within {waited}"),
                    (heard, all) => {
                        format!("{heard} of {all} lines were answered, then nothing for {waited}")
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

    /// Hears that nothing more comes for a while, not even the end. With `in_pieces`, the check that has found out whether
    /// lines are told from pieces, what comes nevertheless is laid to that.
    pub async fn stay_quiet(&mut self, time: Duration, in_pieces: Option<Check>) -> Result<(), Disconnected> {
        let (deadline, mut extra) = (Instant::now() + time, 0);
        while let Some((raw, _)) = self.hear_or_end(Check::StaysConnected, deadline, advice::STAYS).await? {
            extra += 1;
            if extra <= SHOWN_AT_MOST {
                self.show(&raw, Duration::ZERO, "(one more)");
            }
            if raw.bytes.trim_ascii().is_empty() {
                self.find(Finding::wrong(Check::OneReply, "a blank line came", advice::BLANK));
            } else if !self.is_unsolicited(&raw, &reply::check(&raw)) {
                let seen = format!("a line was answered more than once: {} came too", raw.shown());
                self.stats.too_many |= in_pieces.is_none();
                self.find(match in_pieces {
                    Some(check) => Finding::wrong(check, seen, advice::FRAMING),
                    None => Finding::wrong(Check::OneReply, seen, advice::ONE_REPLY),
                });
            }
        }
        if extra > SHOWN_AT_MOST {
            self.say(&format!("← … and {} more", extra - SHOWN_AT_MOST));
        }
        Ok(())
    }

    /// Sends bytes that nobody waits for an answer to.
    pub async fn send_unheard(&mut self, bytes: &[u8]) {
        self.say(&format!("→ {}   (and hung up)", show_bytes(bytes)));
        if let Some(peer) = &mut self.peer {
            // If it fails the connection is gone, which is what is wanted next.
            let _ = peer.send(bytes).await;
        }
    }

    async fn send(&mut self, lines: &[Line], pace: Pace) -> io::Result<()> {
        self.asked = lines.iter().map(|line| line.text.clone()).collect();
        for (nth, line) in lines.iter().enumerate().filter(|_| !self.muted) {
            let how = match pace {
                Pace::ByteByByte => "   (byte by byte)",
                Pace::AtOnce if nth + 1 < lines.len() && !self.config.udp => "   (and in the same piece)",
                Pace::AtOnce => "",
            };
            (self.say)(&format!("→ {}{how}", show_bytes(&line.bytes())));
        }
        let bytes: Vec<u8> = lines.iter().flat_map(Line::bytes).collect();
        let peer = self.peer.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        match pace {
            Pace::AtOnce => peer.send(&bytes).await,
            Pace::ByteByByte => {
                for byte in bytes {
                    peer.send(&[byte]).await?;
                    sleep(BETWEEN_BYTES).await;
                }
                Ok(())
            }
        }
    }

    async fn hear(&mut self, deadline: Instant) -> Result<Option<(Raw, Instant)>, Disconnected> {
        self.hear_or_end(Check::Connect, deadline, advice::STAYS).await
    }

    async fn hear_or_end(
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
        self.say(&format!("× {why}"));
        self.find(Finding::wrong(check, why, advice));
        self.hang_up();
        Disconnected::Closed
    }

    fn show(&mut self, raw: &Raw, took: Duration, remark: &str) {
        if self.muted {
            return;
        }
        let remark = if remark.is_empty() { time_of(took) } else { remark.to_owned() };
        self.say(&format!("← {}   {remark}", raw.shown()));
    }

    /// What comes between the replies: the echo of a line, state that nobody has asked for.
    fn is_unsolicited(&mut self, raw: &Raw, reply: &CheckedReply) -> bool {
        let text = String::from_utf8_lossy(&raw.bytes);
        if self.asked.iter().any(|asked| asked == text.trim()) {
            self.find(Finding::wrong(
                Check::Echo,
                format!("it sent the line back: {}", raw.shown()),
                advice::ECHO,
            ));
            return true;
        }
        if reply.unsolicited_state {
            self.arm.take(reply);
            let seen = format!(
                "{} came unasked: the bridge has to be run with wire.accept_state: true",
                raw.shown()
            );
            self.find(Finding::note(Check::UnsolicitedState, seen));
        }
        reply.unsolicited_state
    }

    /// Whether it comes in time and answers the line whose turn it is.
    fn check_place(&mut self, line: &Line, together: &[Line], reply: &CheckedReply, took: Duration) {
        self.stats.replies += 1;
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
            let seen = format!("the reply to line {expected} was due, and that to line {seq} came");
            self.find(Finding::wrong(Check::Order, seen, advice::ORDER));
        } else {
            let seen = format!("a reply has \"seq\" {seq}, the line that it answers had {expected}");
            self.find(Finding::wrong(Check::Seq, seen, advice::SEQ));
        }
    }

    /// Whether a reply right behind another was held back by the controller's own network stack.
    fn check_delay(&mut self, took: Duration) {
        if HELD_BACK.contains(&took) {
            let seen = format!(
                "a reply came {} after the one before it, which looks like Nagle's algorithm: set TCP_NODELAY",
                time_of(took)
            );
            self.find(Finding::note(Check::Delay, seen));
        }
    }
}

/// A duration for people.
pub(super) fn time_of(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.1} s"),
        seconds if seconds >= 0.01 => format!("{:.0} ms", seconds * 1000.0),
        seconds => format!("{:.1} ms", seconds * 1000.0),
    }
}

/// Between two bytes of a line: long enough that they come in segments of their own.
const BETWEEN_BYTES: Duration = Duration::from_millis(1);

/// How long a second reply is waited for after each line, where the first line has shown none.
const A_MOMENT: Duration = Duration::from_millis(20);

/// How many replies too many are shown after a line.
const SHOWN_AT_MOST: u32 = 3;

/// What a delayed acknowledgement takes on Linux: a small segment waits for that of the one before it.
const HELD_BACK: RangeInclusive<Duration> = Duration::from_millis(38)..=Duration::from_millis(48);

/// A controller that dials in is started by a person.
const UNTIL_SOMEBODY_DIALS: Duration = Duration::from_secs(24 * 3600);
