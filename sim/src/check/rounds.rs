//! What is said, in which order, and what the replies should say.

use super::advice;
use super::finding::{Finding, Report};
use super::line::{Line, Writer, number};
use super::reply::Judged;
use super::talk::{Gone, Pace, Talk, time_of};
use super::{Allowed, CheckConfig, CheckError};
use aether_bridge::wire::advice::Advice;

/// One thing that is tried. What a controller may not live through comes late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    First,
    Again,
    UnknownMember,
    Heartbeat,
    Stop,
    ByteByByte,
    TwoLines,
    Order,
    BadLine,
    Reconnect,
}

/// Checks a controller; see [`super::run`].
pub(super) async fn run(
    config: &CheckConfig,
    say: &mut (dyn FnMut(&str) + Send),
) -> Result<Report, CheckError> {
    announce(config, say);
    let writer = Writer::new(config.unit, config.allowed, config.seq);
    let mut check = Check { talk: Talk::new(config, say).await?, writer };
    check.talk.begin().await?;
    let mut rounds = rounds(config).into_iter();
    while let Some(round) = rounds.next() {
        let title = match round {
            Round::Reconnect if config.udp => "the next line, from another port",
            round => round.title(),
        };
        check.talk.say(&format!("\n{title}"));
        if round != Round::Reconnect && !check.talk.is_connected() && !check.talk.connect_again().await {
            check.not_checked(round, rounds.as_slice(), "there is no connection");
            break;
        }
        if matches!(round, Round::TwoLines | Round::Order) && check.talk.heard.too_many {
            check.not_checked(round, &[], "nobody can tell which reply is for which line");
            continue;
        }
        let outcome = check.play(round).await;
        match (round, outcome) {
            (Round::First, Err(Gone::Silent)) => {
                check.not_checked(rounds.as_slice()[0], &rounds.as_slice()[1..], "it does not answer");
                break;
            }
            // It will close after the next one too: go on where that does not matter.
            (Round::First | Round::Again, Err(Gone::Closed)) => {
                let rest = rounds.by_ref().take_while(|&round| round != Round::Reconnect);
                let rest: Vec<_> = rest.collect();
                if let Some((first, others)) = rest.split_first() {
                    check.not_checked(*first, others, "it closes the connection");
                }
                rounds = vec![Round::Reconnect].into_iter();
            }
            _ => {}
        }
    }
    check.talk.say("\nall replies together");
    check.conclude();
    Ok(check.talk.report)
}

/// Says beforehand what will be sent, above all where the arm will go.
fn announce(config: &CheckConfig, say: &mut (dyn FnMut(&str) + Send)) {
    match config.allowed {
        Some(allowed) => {
            let [x, y, z] = allowed.at().map(|value| number(value, config.unit));
            let (unit, radius, gripper) = (config.unit, allowed.radius(), allowed.gripper().as_str());
            say(&format!(
                "THE ARM WILL MOVE: first to x={x} y={y} z={z} {unit}, from wherever it is, at the"
            ));
            say(&format!(
                "controller's own speed; then back and forth within {radius} mm of it. Every command says"
            ));
            say(&format!("gripper {gripper}. Ctrl-C ends the check; it does not stop the arm."));
        }
        None => say("Nothing is sent that moves the arm: only the lines that you say the controller knows."),
    }
}

fn rounds(config: &CheckConfig) -> Vec<Round> {
    let asks = config.allowed.is_some() || config.heartbeat;
    let streams = asks && !config.udp;
    let all = [
        (Round::First, asks),
        (Round::Again, asks),
        (Round::UnknownMember, config.allowed.is_some()),
        (Round::Heartbeat, config.heartbeat && config.allowed.is_some()),
        (Round::Stop, config.stop),
        (Round::ByteByByte, streams),
        (Round::TwoLines, streams),
        (Round::Order, streams && config.allowed.is_some()),
        (Round::BadLine, config.allowed.is_some()),
        (Round::Reconnect, true),
    ];
    all.into_iter().filter_map(|(round, wanted)| wanted.then_some(round)).collect()
}

impl Round {
    fn title(self) -> &'static str {
        match self {
            Self::First => "the first line, and a while of silence",
            Self::Again => "the next line",
            Self::UnknownMember => "a member that the protocol does not have",
            Self::Heartbeat => "heartbeat",
            Self::Stop => "stop",
            Self::ByteByByte => "a line in many pieces",
            Self::TwoLines => "two lines in one piece",
            Self::Order => "four lines in one piece, the second of an unknown type",
            Self::BadLine => "a line that is no JSON",
            Self::Reconnect => "a connection lost in the middle of a line, and the next one",
        }
    }
}

struct Check<'a> {
    talk: Talk<'a>,
    writer: Writer,
}

impl Check<'_> {
    async fn play(&mut self, round: Round) -> Result<(), Gone> {
        match round {
            Round::First => self.first().await,
            Round::Again => self.again().await,
            Round::UnknownMember => self.unknown_member().await,
            Round::Heartbeat => self.heartbeat().await,
            Round::Stop => self.stop().await,
            Round::ByteByByte => self.byte_by_byte().await,
            Round::TwoLines => self.two_lines().await,
            Round::Order => self.order().await,
            Round::BadLine => self.bad_line().await,
            Round::Reconnect => self.reconnect().await,
        }
    }

    /// A line that has to be obeyed: a command, or where nothing may move a heartbeat.
    fn probe(&mut self) -> Line {
        self.writer.command().unwrap_or_else(|| self.writer.heartbeat())
    }

    fn probe_name(&self) -> &'static str {
        if self.talk.config.allowed.is_some() { "command" } else { "heartbeat" }
    }

    async fn first(&mut self) -> Result<(), Gone> {
        let (line, name) = (self.probe(), self.probe_name());
        let replies = self.talk.ask(name, &[line], Pace::AtOnce, advice::NO_REPLY).await?;
        self.obeyed(name, &replies, "it was answered with ok", self.refused());
        self.talk.stay_quiet(self.talk.config.silence, None).await
    }

    async fn again(&mut self) -> Result<(), Gone> {
        let line = self.probe();
        let replies = self.talk.ask("stays connected", &[line], Pace::AtOnce, advice::NO_REPLY).await?;
        self.obeyed("stays connected", &replies, "the next line was answered too", self.refused());
        Ok(())
    }

    async fn unknown_member(&mut self) -> Result<(), Gone> {
        let Some(line) = self.writer.command_with_unknown_member() else { return Ok(()) };
        let replies = self.talk.ask("unknown members", &[line], Pace::AtOnce, advice::NO_REPLY).await?;
        match replies[0].says_ok {
            Some(true) => self.talk.find(Finding::ok("unknown members", "they are ignored")),
            Some(false) => {
                let seen = format!(
                    "\"arm_check\":true was refused ({:?}); a strict controller may, but wire_extras and \
                     json_fields.constant cannot be used with it",
                    replies[0].message
                );
                self.talk.find(Finding::note("unknown members", seen));
            }
            None => {}
        }
        Ok(())
    }

    async fn heartbeat(&mut self) -> Result<(), Gone> {
        let line = self.writer.heartbeat();
        let replies = self.talk.ask("heartbeat", &[line], Pace::AtOnce, advice::NO_REPLY).await?;
        self.obeyed("heartbeat", &replies, "it is known, and answered with ok", advice::HEARTBEAT);
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), Gone> {
        let mut lines: Vec<Line> = self.writer.command().into_iter().collect();
        lines.push(self.writer.stop());
        let replies = self.talk.ask("stop", &lines, Pace::AtOnce, advice::FRAMING).await?;
        let behind = if lines.len() > 1 { ", right behind a command" } else { "" };
        let last = &replies[replies.len() - 1..];
        self.obeyed("stop", last, &format!("it is known, and answered with ok{behind}"), advice::STOP);
        if let Some(line) = self.writer.command() {
            let replies = self.talk.ask("after a stop", &[line], Pace::AtOnce, advice::NO_REPLY).await?;
            self.obeyed("after a stop", &replies, "the next command is obeyed", advice::AFTER_STOP);
        }
        Ok(())
    }

    async fn byte_by_byte(&mut self) -> Result<(), Gone> {
        let line = self.probe();
        let replies = self.talk.ask("byte by byte", &[line], Pace::ByteByByte, advice::FRAMING).await?;
        self.obeyed("byte by byte", &replies, "it is one line, and was answered once", advice::FRAMING);
        Ok(())
    }

    async fn two_lines(&mut self) -> Result<(), Gone> {
        let lines = [self.probe(), self.probe()];
        let replies = self.talk.ask("two lines", &lines, Pace::AtOnce, advice::FRAMING).await?;
        self.obeyed("two lines", &replies, "both were answered", advice::FRAMING);
        Ok(())
    }

    async fn order(&mut self) -> Result<(), Gone> {
        let lines =
            [self.writer.command(), self.writer.unknown_type(), self.writer.command(), self.writer.command()];
        let lines: Vec<Line> = lines.into_iter().flatten().collect();
        let replies = self.talk.ask("two lines", &lines, Pace::AtOnce, advice::FRAMING).await?;
        let verdicts: Option<Vec<bool>> = replies.iter().map(|reply| reply.says_ok).collect();
        let Some(verdicts) = verdicts else { return Ok(()) };
        let said: Vec<_> = verdicts.iter().map(|&ok| if ok { "ok" } else { "error" }).collect();
        let said = said.join(", ");
        let finding = match (verdicts.iter().filter(|&&ok| !ok).count(), verdicts[1]) {
            (1, false) => {
                self.talk.find(Finding::ok("unknown type", "it was refused"));
                Finding::ok("order", format!("as sent: {said}"))
            }
            (0, _) => {
                let seen = "\"type\":\"no_such_type\" was answered with ok";
                Finding::wrong("unknown type", seen, advice::UNKNOWN_TYPE)
            }
            (1, true) => {
                let seen = format!("the replies to a good line, a bad one and two good ones were {said}");
                Finding::wrong("order", seen, advice::ORDER)
            }
            _ => {
                let refused = replies.iter().find(|reply| reply.says_ok == Some(false));
                let why = refused.map(|reply| reply.message.clone()).unwrap_or_default();
                let seen = format!("good lines behind others were refused ({said}): {why:?}");
                Finding::wrong("two lines", seen, advice::FRAMING)
            }
        };
        self.talk.find(finding);
        Ok(())
    }

    async fn bad_line(&mut self) -> Result<(), Gone> {
        let lines = [self.writer.no_json()];
        let replies = self.talk.ask("bad line", &lines, Pace::AtOnce, advice::BAD_LINE).await?;
        if replies[0].says_ok == Some(true) {
            let seen = format!("{:?} was answered with ok", lines[0].text);
            self.talk.find(Finding::wrong("bad line", seen, advice::BAD_LINE));
        }
        let line = self.probe();
        let replies = self.talk.ask("bad line", &[line], Pace::AtOnce, advice::BAD_LINE).await?;
        self.obeyed("bad line", &replies, "it was refused, and the next line obeyed", advice::BAD_LINE);
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<(), Gone> {
        let asks = self.talk.config.allowed.is_some() || self.talk.config.heartbeat;
        if asks && self.talk.is_connected() && !self.talk.config.udp {
            let (whole, broken) = (self.probe().bytes(), self.probe().bytes());
            self.talk.send_unheard(&[&whole[..], &broken[..broken.len() / 2]].concat()).await;
        }
        if !self.talk.connect_again().await {
            return Err(Gone::Closed);
        }
        if !asks {
            self.talk.find(Finding::ok("reconnect", "a new connection was taken"));
            return Ok(());
        }
        let (seen, missing) = match self.talk.config.udp {
            true => ("the new sender was answered", advice::SENDER),
            false => ("a new connection was taken, and starts fresh", advice::FRESH),
        };
        let line = self.probe();
        let replies = self.talk.ask("reconnect", &[line], Pace::AtOnce, missing).await?;
        self.obeyed("reconnect", &replies, seen, missing);
        Ok(())
    }

    /// Finds whether all replies say ok. Where one says nothing that is understood, that has been found already.
    fn obeyed(&mut self, check: &'static str, replies: &[Judged], seen: &str, refused: Advice) {
        if let Some(reply) = replies.iter().find(|reply| reply.says_ok == Some(false)) {
            let seen = format!("a line that is good was refused: {:?}", reply.message);
            self.talk.find(Finding::wrong(check, seen, refused));
        } else if replies.iter().all(|reply| reply.clear) && !self.talk.report.is_wrong(check) {
            self.talk.find(Finding::ok(check, seen));
        }
        for position in replies.iter().filter_map(|reply| reply.position) {
            if let Some(unit) = self.talk.config.allowed.and_then(|allowed| other_unit(position, &allowed)) {
                let seen = format!(
                    "\"position\" is {position:?}, which looks like {unit} where commands are in {}",
                    self.talk.config.unit
                );
                self.talk.find(Finding::wrong("unit", seen, advice::UNIT));
            }
        }
    }

    fn refused(&self) -> Advice {
        if self.talk.config.allowed.is_some() { advice::REFUSED } else { advice::HEARTBEAT }
    }

    fn not_checked(&mut self, first: Round, others: &[Round], why: &str) {
        let titles: Vec<_> = std::iter::once(&first).chain(others).map(|round| round.title()).collect();
        self.talk.find(Finding::note("not checked", format!("{why}: {}", titles.join("; "))));
    }

    /// What holds for all replies.
    fn conclude(&mut self) {
        let (config, heard) = (self.talk.config, &self.talk.heard);
        if heard.replies == 0 {
            self.talk.find(Finding::note("replies", "none came, so nothing is known of them"));
            return;
        }
        let all = heard.replies;
        let unread = self.talk.report.is_wrong("JSON") || self.talk.report.is_wrong("UTF-8");
        let in_time = format!("the slowest of {all} replies took {}", time_of(heard.slowest));
        let (echoed, asked, positions) = (heard.with_seq, heard.seq_asked, heard.positions);
        for (check, seen) in [
            ("newline", "every reply ended with it"),
            ("one line", "every reply was one line"),
            ("one reply", "no line was answered twice"),
            ("length", "no reply was longer than 4096 bytes"),
            ("UTF-8", "every reply was"),
            ("JSON", "every reply was an object"),
            ("members", "none of the protocol's was there twice"),
            ("numbers", "all were finite"),
            ("status", "every reply had one, \"ok\" or \"error\""),
            ("message", "it was a string wherever it was there"),
            ("in time", &in_time),
        ] {
            let of_objects = ["JSON", "members", "numbers", "status", "message"].contains(&check);
            let answered_twice = check == "one reply" && self.talk.report.is_wrong("byte by byte");
            if !(self.talk.report.is_wrong(check) || of_objects && unread || answered_twice) {
                self.talk.find(Finding::ok(check, seen));
            }
        }
        if config.seq {
            let seen = format!("{echoed} of {asked} replies had that of their line");
            self.talk.find(match (echoed == asked, config.udp) {
                (true, _) => Finding::ok("seq", seen),
                (false, true) => Finding::wrong("seq", seen, advice::SEQ_OF_DATAGRAMS),
                (false, false) => Finding::note("seq", format!("{seen}; over TCP it may be left out")),
            });
        }
        if config.state {
            let seen = format!("{positions} of {all} replies said where the arm is");
            match positions {
                0 => self.talk.find(Finding::wrong("state", seen, advice::NO_STATE)),
                _ => self.talk.find(Finding::ok("state", seen)),
            }
        }
        if let Some(allowed) = config.allowed {
            let word = allowed.gripper().as_str();
            let seen = format!("only {word:?} was tried; --gripper tries the other word");
            self.talk.find(Finding::note("gripper", seen));
        }
    }
}

/// The unit in which a position would be where the arm was sent, if not in that of the wire.
fn other_unit(position: [f64; 3], allowed: &Allowed) -> Option<&'static str> {
    let sent = allowed.at();
    let size = |[x, y, z]: [f64; 3]| (x * x + y * y + z * z).sqrt();
    let off = |factor: f64| {
        let difference = [0, 1, 2].map(|axis| position[axis] * factor - sent[axis]);
        size(difference) / size(sent)
    };
    let factors = [
        (1000.0, "a unit 1000 times as large"),
        (100.0, "a unit 100 times as large"),
        (10.0, "a unit ten times as large"),
        (0.1, "a unit a tenth of it"),
        (0.01, "a unit a hundredth of it"),
        (0.001, "a unit a thousandth of it"),
    ];
    factors.into_iter().find(|(factor, _)| off(*factor) < 0.05 && off(1.0) > 0.5).map(|(_, unit)| unit)
}
