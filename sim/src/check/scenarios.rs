//! What is said, in which order, and what the replies should say.

use super::advice;
use super::config::{CheckConfig, CheckError};
use super::finding::{Check, Finding, Report};
use super::guide::{Guide, Unmoved, other_unit};
use super::line::{Line, Writer};
use super::person::Person;
use super::reply::CheckedReply;
use super::session::{Disconnected, Pace, Session, time_of};
use aether_bridge::arm::Gripper;
use aether_bridge::wire::advice::Advice;

/// One thing that is tried. What a controller may not live through comes late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    First,
    Directions,
    Travel,
    Again,
    Queue,
    UnknownMember,
    Heartbeat,
    Stop,
    ByteByByte,
    TwoLines,
    Order,
    BadLine,
    Reconnect,
}

/// Checks a controller, and passes each exchange and each finding to `say`, line by line, as it happens. Before the first
/// motion `person` is asked.
///
/// # Errors
/// The first connection could not be made, or nobody has agreed to motion. All that happens later is a finding.
pub async fn run(
    config: &CheckConfig,
    person: Person,
    mut say: impl FnMut(&str) + Send,
) -> Result<Report, CheckError> {
    let say: &mut (dyn FnMut(&str) + Send) = &mut say;
    announce(config, say);
    let writer = Writer::new(config.unit, config.seq);
    let mut checker = Checker { session: Session::new(config, say).await?, writer, person, gripper: None };
    checker.session.begin().await?;
    let mut scenarios = checker.agree().await?.into_iter();
    while let Some(scenario) = scenarios.next() {
        let title = match scenario {
            Scenario::Reconnect if config.udp => "the next line, from another port",
            scenario => scenario.title(),
        };
        checker.session.say(&format!("\n{title}"));
        if scenario != Scenario::Reconnect
            && !checker.session.is_connected()
            && !checker.connect_again().await
        {
            checker.not_checked(scenario, scenarios.as_slice(), "there is no connection");
            break;
        }
        if matches!(scenario, Scenario::TwoLines | Scenario::Order) && checker.session.stats.too_many {
            checker.not_checked(scenario, &[], "nobody can tell which reply is for which line");
            continue;
        }
        let moved = checker.writer.place().is_some();
        let outcome = checker.play(scenario).await;
        match (scenario, outcome) {
            (Scenario::First, Err(Disconnected::Silent)) => {
                checker.not_checked(
                    scenarios.as_slice()[0],
                    &scenarios.as_slice()[1..],
                    "it does not answer",
                );
                break;
            }
            // It will close after the next one too: go on where that does not matter.
            (Scenario::First | Scenario::Again, Err(Disconnected::Closed))
                if checker.writer.place().is_some() || !moved =>
            {
                let rest = scenarios.by_ref().take_while(|&scenario| scenario != Scenario::Reconnect);
                let rest: Vec<_> = rest.collect();
                if let Some((first, others)) = rest.split_first() {
                    checker.not_checked(*first, others, "it closes the connection");
                }
                scenarios = vec![Scenario::Reconnect].into_iter();
            }
            _ => {}
        }
        if moved && checker.writer.place().is_none() {
            scenarios =
                checker.without_motion(scenarios.as_slice(), "the arm is not moved any more").into_iter();
        }
    }
    checker.session.say("\nall replies together");
    checker.conclude();
    Ok(checker.session.report)
}

/// Says beforehand what will be sent.
fn announce(config: &CheckConfig, say: &mut (dyn FnMut(&str) + Send)) {
    say(match config.allowed {
        Some(_) => {
            "Nothing moves before it is known where the arm is, and before you have been told what will move."
        }
        None => "Nothing is sent that moves the arm: only the lines that you say the controller knows.",
    });
}

/// What is tried of a controller, if the arm may be moved or not.
fn scenarios(config: &CheckConfig, moves: bool) -> Vec<Scenario> {
    let asks = moves || config.heartbeat;
    let streams = asks && !config.udp;
    let travels = config.allowed.is_some_and(|allowed| allowed.at().is_some());
    let all = [
        (Scenario::First, asks),
        (Scenario::Directions, moves),
        (Scenario::Travel, moves && travels),
        (Scenario::Again, asks),
        (Scenario::Queue, moves),
        (Scenario::UnknownMember, moves),
        (Scenario::Heartbeat, config.heartbeat && moves),
        (Scenario::Stop, config.stop),
        (Scenario::ByteByByte, streams),
        (Scenario::TwoLines, streams),
        (Scenario::Order, streams && moves),
        (Scenario::BadLine, moves),
        (Scenario::Reconnect, true),
    ];
    all.into_iter().filter_map(|(scenario, wanted)| wanted.then_some(scenario)).collect()
}

impl Scenario {
    fn title(self) -> &'static str {
        match self {
            Self::First => "the first line, and a while of silence",
            Self::Directions => "along +x, +y and +z, and back",
            Self::Travel => "to the place that was asked for",
            Self::Queue => "back and forth, as fast as it answers",
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

struct Checker<'a> {
    session: Session<'a>,
    writer: Writer,
    person: Person,
    /// What every command has told the gripper to be.
    gripper: Option<Gripper>,
}

impl<'a> Checker<'a> {
    fn guide(&mut self) -> Guide<'_, 'a> {
        Guide { session: &mut self.session, writer: &mut self.writer, person: &mut self.person }
    }

    /// Agrees on motion, where it is wanted, and returns what can be tried.
    async fn agree(&mut self) -> Result<Vec<Scenario>, CheckError> {
        let config = self.session.config;
        let Some(allowed) = config.allowed else { return Ok(scenarios(config, false)) };
        self.session.say("\nwhere the arm is");
        let all = scenarios(config, true);
        match self.guide().agree(&allowed).await {
            Ok(()) => self.gripper = self.writer.place().map(|place| place.gripper),
            Err(Unmoved::Error(error)) => return Err(error),
            Err(Unmoved::Found(why)) => return Ok(self.without_motion(&all, why)),
            Err(Unmoved::Gone(gone)) => {
                let why = match gone {
                    Disconnected::Silent => "it does not answer",
                    Disconnected::Closed => "there is no connection",
                };
                self.not_checked(all[0], &all[1..], why);
                return Ok(Vec::new());
            }
        }
        Ok(all)
    }

    /// What can be tried without motion; the rest is not checked.
    fn without_motion(&mut self, rest: &[Scenario], why: &str) -> Vec<Scenario> {
        let harmless = scenarios(self.session.config, false);
        let (kept, left_out): (Vec<_>, Vec<_>) =
            rest.iter().partition(|scenario| harmless.contains(scenario));
        if let Some((first, others)) = left_out.split_first() {
            self.not_checked(*first, others, why);
        }
        kept
    }

    async fn connect_again(&mut self) -> bool {
        // A failure of what follows is found there.
        self.session.connect_again().await
            && (self.session.arm.cannot_be_asked || self.guide().is_still_there().await.is_ok())
    }

    async fn play(&mut self, scenario: Scenario) -> Result<(), Disconnected> {
        match scenario {
            Scenario::First => self.first().await,
            Scenario::Directions => match self.session.config.allowed {
                Some(allowed) => self.guide().directions(allowed.radius()).await,
                None => Ok(()),
            },
            Scenario::Travel => match self.session.config.allowed {
                Some(allowed) => self.guide().travel(&allowed).await,
                None => Ok(()),
            },
            Scenario::Queue => self.guide().queue().await,
            Scenario::Again => self.again().await,
            Scenario::UnknownMember => self.unknown_member().await,
            Scenario::Heartbeat => self.heartbeat().await,
            Scenario::Stop => self.stop().await,
            Scenario::ByteByByte => self.byte_by_byte().await,
            Scenario::TwoLines => self.two_lines().await,
            Scenario::Order => self.order().await,
            Scenario::BadLine => self.bad_line().await,
            Scenario::Reconnect => self.reconnect().await,
        }
    }

    /// A line that has to be obeyed: a command, or where nothing may move a heartbeat.
    fn probe(&mut self) -> Line {
        self.writer.command().unwrap_or_else(|| self.writer.heartbeat())
    }

    fn probe_check(&self) -> Check {
        if self.writer.place().is_some() { Check::Command } else { Check::Heartbeat }
    }

    async fn first(&mut self) -> Result<(), Disconnected> {
        let (line, check) = (self.probe(), self.probe_check());
        let replies = self.session.ask(check, &[line], Pace::AtOnce, advice::NO_REPLY).await?;
        self.obeyed(check, &replies, "it was answered with ok", self.refused());
        self.guide().stays().await?;
        self.session.stay_quiet(self.session.config.silence, None).await
    }

    async fn again(&mut self) -> Result<(), Disconnected> {
        let line = self.probe();
        let replies =
            self.session.ask(Check::StaysConnected, &[line], Pace::AtOnce, advice::NO_REPLY).await?;
        self.obeyed(Check::StaysConnected, &replies, "the next line was answered too", self.refused());
        Ok(())
    }

    async fn unknown_member(&mut self) -> Result<(), Disconnected> {
        let Some(line) = self.writer.command_with_unknown_member() else { return Ok(()) };
        let replies =
            self.session.ask(Check::UnknownMembers, &[line], Pace::AtOnce, advice::NO_REPLY).await?;
        match replies[0].says_ok {
            Some(true) => self.session.find(Finding::ok(Check::UnknownMembers, "they are ignored")),
            Some(false) => {
                let seen = format!(
                    "\"arm_check\":true was refused ({:?}); a strict controller may, but wire.extra_fields and \
                     wire.json.constant cannot be used with it",
                    replies[0].message
                );
                self.session.find(Finding::note(Check::UnknownMembers, seen));
            }
            None => {}
        }
        Ok(())
    }

    async fn heartbeat(&mut self) -> Result<(), Disconnected> {
        let line = self.writer.heartbeat();
        let replies = self.session.ask(Check::Heartbeat, &[line], Pace::AtOnce, advice::NO_REPLY).await?;
        self.obeyed(Check::Heartbeat, &replies, "it is known, and answered with ok", advice::HEARTBEAT);
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), Disconnected> {
        let mut lines: Vec<Line> = self.writer.command().into_iter().collect();
        lines.push(self.writer.stop());
        let replies = self.session.ask(Check::Stop, &lines, Pace::AtOnce, advice::FRAMING).await?;
        let behind = if lines.len() > 1 { ", right behind a command" } else { "" };
        let last = &replies[replies.len() - 1..];
        self.obeyed(Check::Stop, last, &format!("it is known, and answered with ok{behind}"), advice::STOP);
        if let Some(line) = self.writer.command() {
            let replies =
                self.session.ask(Check::AfterAStop, &[line], Pace::AtOnce, advice::NO_REPLY).await?;
            self.obeyed(Check::AfterAStop, &replies, "the next command is obeyed", advice::AFTER_STOP);
        }
        Ok(())
    }

    async fn byte_by_byte(&mut self) -> Result<(), Disconnected> {
        let line = self.probe();
        let replies = self.session.ask(Check::ByteByByte, &[line], Pace::ByteByByte, advice::FRAMING).await?;
        self.obeyed(Check::ByteByByte, &replies, "it is one line, and was answered once", advice::FRAMING);
        Ok(())
    }

    async fn two_lines(&mut self) -> Result<(), Disconnected> {
        let lines = [self.probe(), self.probe()];
        let replies = self.session.ask(Check::TwoLines, &lines, Pace::AtOnce, advice::FRAMING).await?;
        self.obeyed(Check::TwoLines, &replies, "both were answered", advice::FRAMING);
        Ok(())
    }

    async fn order(&mut self) -> Result<(), Disconnected> {
        let lines =
            [self.writer.command(), self.writer.unknown_type(), self.writer.command(), self.writer.command()];
        let lines: Vec<Line> = lines.into_iter().flatten().collect();
        let replies = self.session.ask(Check::TwoLines, &lines, Pace::AtOnce, advice::FRAMING).await?;
        let verdicts: Option<Vec<bool>> = replies.iter().map(|reply| reply.says_ok).collect();
        let Some(verdicts) = verdicts else { return Ok(()) };
        let said: Vec<_> = verdicts.iter().map(|&ok| if ok { "ok" } else { "error" }).collect();
        let said = said.join(", ");
        let finding = match (verdicts.iter().filter(|&&ok| !ok).count(), verdicts[1]) {
            (1, false) => {
                self.session.find(Finding::ok(Check::UnknownType, "it was refused"));
                Finding::ok(Check::Order, format!("as sent: {said}"))
            }
            (0, _) => {
                let seen = "\"type\":\"no_such_type\" was answered with ok";
                Finding::wrong(Check::UnknownType, seen, advice::UNKNOWN_TYPE)
            }
            (1, true) => {
                let seen = format!("the replies to a good line, a bad one and two good ones were {said}");
                Finding::wrong(Check::Order, seen, advice::ORDER)
            }
            _ => {
                let refused = replies.iter().find(|reply| reply.says_ok == Some(false));
                let why = refused.map(|reply| reply.message.clone()).unwrap_or_default();
                let seen = format!("good lines behind others were refused ({said}): {why:?}");
                Finding::wrong(Check::TwoLines, seen, advice::FRAMING)
            }
        };
        self.session.find(finding);
        Ok(())
    }

    async fn bad_line(&mut self) -> Result<(), Disconnected> {
        let lines = [self.writer.no_json()];
        let replies = self.session.ask(Check::BadLine, &lines, Pace::AtOnce, advice::BAD_LINE).await?;
        if replies[0].says_ok == Some(true) {
            let seen = format!("{:?} was answered with ok", lines[0].text);
            self.session.find(Finding::wrong(Check::BadLine, seen, advice::BAD_LINE));
        }
        let line = self.probe();
        let replies = self.session.ask(Check::BadLine, &[line], Pace::AtOnce, advice::BAD_LINE).await?;
        self.obeyed(Check::BadLine, &replies, "it was refused, and the next line obeyed", advice::BAD_LINE);
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<(), Disconnected> {
        let moves = self.writer.place().is_some();
        let asks = moves || self.session.config.heartbeat;
        if asks && self.session.is_connected() && !self.session.config.udp {
            let (whole, broken) = (self.probe().bytes(), self.probe().bytes());
            self.session.send_unheard(&[&whole[..], &broken[..broken.len() / 2]].concat()).await;
        }
        if !self.session.connect_again().await {
            return Err(Disconnected::Closed);
        }
        if !asks {
            self.session.find(Finding::ok(Check::Reconnect, "a new connection was taken"));
            return Ok(());
        }
        let (seen, missing) = match self.session.config.udp {
            true => ("the new sender was answered", advice::SENDER),
            false => ("a new connection was taken, and starts fresh", advice::FRESH),
        };
        // Where the controller says where its arm is, that comes first.
        let asked_first = self.session.arm.positions > 0 && !self.session.arm.cannot_be_asked;
        let line = if asked_first { self.writer.heartbeat() } else { self.probe() };
        let replies = self.session.ask(Check::Reconnect, &[line], Pace::AtOnce, missing).await?;
        self.obeyed(Check::Reconnect, &replies, seen, missing);
        if moves && asked_first {
            self.guide().is_still_there().await?;
            if let Some(line) = self.writer.command() {
                let replies = self.session.ask(Check::Reconnect, &[line], Pace::AtOnce, missing).await?;
                self.obeyed(Check::Reconnect, &replies, seen, missing);
            }
        }
        Ok(())
    }

    /// Finds whether all replies say ok. Where one says nothing that is understood, that has been found already.
    fn obeyed(&mut self, check: Check, replies: &[CheckedReply], seen: &str, refused: Advice) {
        if let Some(reply) = replies.iter().find(|reply| reply.says_ok == Some(false)) {
            let seen = format!("a line that is good was refused: {:?}", reply.message);
            self.session.find(Finding::wrong(check, seen, refused));
        } else if replies.iter().all(|reply| reply.clear) && !self.session.report.is_wrong(check) {
            self.session.find(Finding::ok(check, seen));
        }
        for position in replies.iter().filter_map(|reply| reply.position) {
            if let Some(unit) = self.writer.place().and_then(|place| other_unit(position, place.at)) {
                let seen = format!(
                    "\"position\" is {position:?}, which looks like {unit} where commands are in {}",
                    self.session.config.unit
                );
                self.session.find(Finding::wrong(Check::Unit, seen, advice::UNIT));
            }
        }
    }

    fn refused(&self) -> Advice {
        if self.writer.place().is_some() { advice::REFUSED } else { advice::HEARTBEAT }
    }

    fn not_checked(&mut self, first: Scenario, others: &[Scenario], why: &str) {
        let titles: Vec<_> = std::iter::once(&first).chain(others).map(|scenario| scenario.title()).collect();
        self.session.find(Finding::note(Check::NotChecked, format!("{why}: {}", titles.join("; "))));
    }

    /// What holds for all replies.
    fn conclude(&mut self) {
        let (config, heard) = (self.session.config, &self.session.stats);
        if heard.replies == 0 {
            self.session.find(Finding::note(Check::Replies, "none came, so nothing is known of them"));
            return;
        }
        let all = heard.replies;
        let unread = self.session.report.is_wrong(Check::Json) || self.session.report.is_wrong(Check::Utf8);
        let in_time = format!("the slowest of {all} replies took {}", time_of(heard.slowest));
        let (echoed, asked, positions) = (heard.with_seq, heard.seq_asked, heard.positions);
        for (check, seen) in [
            (Check::Newline, "every reply ended with it"),
            (Check::OneLine, "every reply was one line"),
            (Check::OneReply, "no line was answered twice"),
            (Check::Length, "no reply was longer than 4096 bytes"),
            (Check::Utf8, "every reply was"),
            (Check::Json, "every reply was an object"),
            (Check::Members, "none of the protocol's was there twice"),
            (Check::Numbers, "all were finite"),
            (Check::Status, "every reply had one, \"ok\" or \"error\""),
            (Check::Message, "it was a string wherever it was there"),
            (Check::InTime, &in_time),
        ] {
            let of_objects =
                [Check::Json, Check::Members, Check::Numbers, Check::Status, Check::Message].contains(&check);
            let answered_twice = check == Check::OneReply && self.session.report.is_wrong(Check::ByteByByte);
            if !(self.session.report.is_wrong(check) || of_objects && unread || answered_twice) {
                self.session.find(Finding::ok(check, seen));
            }
        }
        if config.seq {
            let seen = format!("{echoed} of {asked} replies had that of their line");
            self.session.find(match (echoed == asked, config.udp) {
                (true, _) => Finding::ok(Check::Seq, seen),
                (false, true) => Finding::wrong(Check::Seq, seen, advice::SEQ_OF_DATAGRAMS),
                (false, false) => Finding::note(Check::Seq, format!("{seen}; over TCP it may be left out")),
            });
        }
        if config.state {
            let seen = format!("{positions} of {all} replies said where the arm is");
            match positions {
                0 => self.session.find(Finding::wrong(Check::State, seen, advice::NO_STATE)),
                _ => self.session.find(Finding::ok(Check::State, seen)),
            }
        }
        if let Some(gripper) = self.gripper {
            let word = gripper.as_str();
            let seen = format!("only {word:?} was tried; --gripper tries the other word");
            self.session.find(Finding::note(Check::Gripper, seen));
        }
    }
}
