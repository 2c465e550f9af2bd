//! Lines said and replies heard on one connection after another, each judged as it comes.

use std::{io, ops::RangeInclusive, time::Duration};

use tokio::time::{Instant, sleep};

use super::advice;
use super::finding::{Finding, Report};
use super::line::Line;
use super::peer::{Heard, Peer};
use super::reply::{End, Judged, Raw, judge};
use super::{CheckConfig, CheckError, door::Door};
use aether_bridge::text::show_bytes;
use aether_bridge::wire::advice::Advice;

/// The controller is no longer there to be asked; why is among the findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    Closed,
    Silent,
}

/// How lines are handed to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    AtOnce,
    ByteByByte,
}

/// A talk with the controller, over as many connections as it takes.
pub(super) struct Talk<'a> {
    pub config: &'a CheckConfig,
    pub report: Report,
    pub heard: HeardSoFar,
    say: &'a mut (dyn FnMut(&str) + Send),
    door: Door,
    peer: Option<Peer>,
    /// How many lines it says on connecting: as told, or as learned.
    greeting: u32,
    /// The lines of the last question.
    asked: Vec<String>,
}

/// What is told of all replies together.
#[derive(Debug, Default)]
pub(super) struct HeardSoFar {
    pub replies: u32,
    pub slowest: Duration,
    pub with_seq: u32,
    pub seq_asked: u32,
    pub positions: u32,
    /// More than one reply has come to a line, so nobody can say which is for which.
    pub too_many: bool,
}

impl<'a> Talk<'a> {
    pub async fn new(
        config: &'a CheckConfig,
        say: &'a mut (dyn FnMut(&str) + Send),
    ) -> Result<Self, CheckError> {
        let (door, report, heard) = (Door::new(config).await?, Report::default(), HeardSoFar::default());
        if let Some(address) = door.listening_on() {
            say(&format!("listening on {address}, until a controller dials in"));
        }
        Ok(Self {
            config,
            report,
            heard,
            say,
            door,
            peer: None,
            greeting: config.greeting,
            asked: Vec::new(),
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
        let peer = self.door.open(began + time).await.map_err(|source| CheckError::Connect {
            peer: format!("{}:{}", self.config.host, self.config.port),
            source,
        })?;
        self.peer = Some(peer);
        let verb = if self.config.listen { "it dialled in" } else { "it took the connection" };
        if !self.config.udp {
            self.find(Finding::ok("connect", format!("{verb} after {}", time_of(began.elapsed()))));
        }
        let greeted = self.greet(true).await;
        if greeted.is_ok() && !self.report.is_wrong("greeting") {
            let seen = match self.config.greeting {
                0 => "it says nothing before the first line".to_owned(),
                lines => format!("{lines} on connecting, as told, and nothing more"),
            };
            self.find(Finding::ok("greeting", seen));
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
        match self.door.open_again(deadline).await {
            Ok(peer) => self.peer = Some(peer),
            Err(error) => {
                self.find(Finding::wrong(
                    "reconnect",
                    format!("no new connection: {error}"),
                    advice::RECONNECT,
                ));
                return false;
            }
        }
        self.greet(false).await.is_ok()
    }

    /// Hears the lines that are said on connecting, and that no others are.
    async fn greet(&mut self, first: bool) -> Result<(), Gone> {
        let silence = self.config.silence;
        let deadline = Instant::now() + self.config.greeting_timeout;
        for nth in 0..self.greeting {
            match self.hear(deadline).await? {
                Some((raw, at)) => self.show(&raw, at.elapsed(), "(greeting)"),
                None => {
                    let seen = format!("{nth} of {} lines came on connecting", self.greeting);
                    self.find(Finding::wrong("greeting", seen, advice::FEWER_LINES));
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
                true => self.find(Finding::wrong("greeting", seen, advice::GREETING)),
                false => self.find(Finding::wrong("reconnect", seen, advice::LEFT_OVER)),
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
        check: &'static str,
        lines: &[Line],
        pace: Pace,
        missing: Advice,
    ) -> Result<Vec<Judged>, Gone> {
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
                self.find(Finding::wrong(if lines.len() == 1 { "reply" } else { check }, seen, missing));
                self.hang_up();
                return Err(Gone::Silent);
            };
            let took = at.saturating_duration_since(since);
            self.show(&raw, took, "");
            let judged = judge(&raw);
            if self.is_aside(&raw, &judged) {
                continue;
            }
            self.judge_place(line, lines, &judged, took);
            if !replies.is_empty() {
                self.judge_delay(took);
            }
            judged.findings.iter().cloned().for_each(|finding| self.find(finding));
            since = since.max(at);
            replies.push(judged);
        }
        let quiet = if self.heard.too_many { self.config.silence } else { A_MOMENT };
        let in_pieces = (missing == advice::FRAMING && !self.heard.too_many).then_some(check);
        self.stay_quiet(quiet.min(self.config.silence), in_pieces).await?;
        Ok(replies)
    }

    /// Hears that nothing more comes for a while, not even the end. With `in_pieces`, the check that has found out whether
    /// lines are told from pieces, what comes nevertheless is laid to that.
    pub async fn stay_quiet(&mut self, time: Duration, in_pieces: Option<&'static str>) -> Result<(), Gone> {
        let (deadline, mut extra) = (Instant::now() + time, 0);
        while let Some((raw, _)) = self.hear_or_end("stays connected", deadline, advice::STAYS).await? {
            extra += 1;
            if extra <= SHOWN_AT_MOST {
                self.show(&raw, Duration::ZERO, "(one more)");
            }
            if raw.bytes.trim_ascii().is_empty() {
                self.find(Finding::wrong("one reply", "a blank line came", advice::BLANK));
            } else if !self.is_aside(&raw, &judge(&raw)) {
                let seen = format!("a line was answered more than once: {} came too", raw.shown());
                self.heard.too_many |= in_pieces.is_none();
                self.find(match in_pieces {
                    Some(check) => Finding::wrong(check, seen, advice::FRAMING),
                    None => Finding::wrong("one reply", seen, advice::ONE_REPLY),
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
        for (nth, line) in lines.iter().enumerate() {
            let how = match pace {
                Pace::ByteByByte => "   (byte by byte)",
                Pace::AtOnce if nth + 1 < lines.len() && !self.config.udp => "   (and in the same piece)",
                Pace::AtOnce => "",
            };
            self.say(&format!("→ {}{how}", show_bytes(&line.bytes())));
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

    async fn hear(&mut self, deadline: Instant) -> Result<Option<(Raw, Instant)>, Gone> {
        self.hear_or_end("connect", deadline, advice::STAYS).await
    }

    async fn hear_or_end(
        &mut self,
        check: &'static str,
        deadline: Instant,
        ended: Advice,
    ) -> Result<Option<(Raw, Instant)>, Gone> {
        let Some(peer) = &mut self.peer else { return Err(Gone::Closed) };
        match peer.next(deadline, self.config.silence).await {
            Heard::Reply(raw, at) => {
                if raw.end == End::Missing {
                    peer.without_newlines();
                }
                Ok(Some((raw, at)))
            }
            Heard::Nothing => Ok(None),
            Heard::End(why) => Err(self.gone(check, &why, ended)),
        }
    }

    fn gone(&mut self, check: &'static str, why: &str, advice: Advice) -> Gone {
        self.say(&format!("× {why}"));
        self.find(Finding::wrong(check, why, advice));
        self.hang_up();
        Gone::Closed
    }

    fn show(&mut self, raw: &Raw, took: Duration, remark: &str) {
        let remark = if remark.is_empty() { time_of(took) } else { remark.to_owned() };
        self.say(&format!("← {}   {remark}", raw.shown()));
    }

    /// What comes between the replies: the echo of a line, state that nobody has asked for.
    fn is_aside(&mut self, raw: &Raw, judged: &Judged) -> bool {
        let text = String::from_utf8_lossy(&raw.bytes);
        if self.asked.iter().any(|asked| asked == text.trim()) {
            self.find(Finding::wrong(
                "echo",
                format!("it sent the line back: {}", raw.shown()),
                advice::ECHO,
            ));
            return true;
        }
        if judged.unsolicited_state {
            let seen =
                format!("{} came unasked: the bridge has to be run with accept_state: true", raw.shown());
            self.find(Finding::note("unsolicited state", seen));
        }
        judged.unsolicited_state
    }

    /// Whether it comes in time and answers the line whose turn it is.
    fn judge_place(&mut self, line: &Line, together: &[Line], judged: &Judged, took: Duration) {
        self.heard.replies += 1;
        self.heard.slowest = self.heard.slowest.max(took);
        self.heard.positions += u32::from(judged.position.is_some());
        self.heard.seq_asked += u32::from(line.seq.is_some());
        if took > self.config.timeout {
            let allowed = time_of(self.config.timeout);
            let seen = format!("a reply came after {}, later than {allowed}", time_of(took));
            self.find(Finding::wrong("in time", seen, advice::IN_TIME));
        }
        let (Some(expected), Some(seq)) = (line.seq, &judged.seq) else { return };
        if seq.as_u64() == Some(expected) {
            self.heard.with_seq += 1;
        } else if together.iter().any(|line| line.seq.is_some() && line.seq == seq.as_u64()) {
            let seen = format!("the reply to line {expected} was due, and that to line {seq} came");
            self.find(Finding::wrong("order", seen, advice::ORDER));
        } else {
            let seen = format!("a reply has \"seq\" {seq}, the line that it answers had {expected}");
            self.find(Finding::wrong("seq", seen, advice::SEQ));
        }
    }

    /// Whether a reply right behind another was held back by the controller's own network stack.
    fn judge_delay(&mut self, took: Duration) {
        if HELD_BACK.contains(&took) {
            let seen = format!(
                "a reply came {} after the one before it, which looks like Nagle's algorithm: set TCP_NODELAY",
                time_of(took)
            );
            self.find(Finding::note("delay", seen));
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
