//! The test scenarios: what is sent, in which order, and the expected replies.

use super::advice;
use super::clients;
use super::config::{CheckConfig, CheckError};
use super::finding::{Check, Finding, Report};
use super::guide::{Guide, Unmoved, other_unit};
use super::line::{LONGEST_STEP, Line, Writer};
use super::operator::Operator;
use super::reply::CheckedReply;
use super::session::{Disconnected, Pace, Session, time_of};
use aether_bridge::arm::Gripper;
use aether_bridge::wire::advice::Advice;

/// A test scenario. Scenarios that may crash a controller come late.
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
    SecondClient,
    GoneClient,
    Reconnect,
}

/// Checks a controller, and passes each exchange and each finding to `print`, line by line, as it
/// happens. Asks the `operator` before the first motion.
///
/// # Errors
/// If the first connection fails, or the operator does not agree to the motion. Later problems
/// become findings.
pub async fn run(
    config: &CheckConfig,
    operator: Operator,
    mut print: impl FnMut(&str) + Send,
) -> Result<Report, CheckError> {
    let print: &mut (dyn FnMut(&str) + Send) = &mut print;
    announce(config, print);
    let writer = Writer::new(config.unit, config.seq);
    let mut checker =
        Checker { session: Session::new(config, print).await?, writer, operator, gripper: None };
    checker.session.begin().await?;
    let mut scenarios = checker.agree().await?.into_iter();
    while let Some(scenario) = scenarios.next() {
        let title = match scenario {
            Scenario::Reconnect if config.udp => "the next line, from another port",
            scenario => scenario.title(),
        };
        checker.session.print(&format!("\n{title}"));
        if scenario != Scenario::Reconnect
            && !checker.session.is_connected()
            && !checker.connect_again().await
        {
            checker.not_checked(scenario, scenarios.as_slice(), "there is no connection");
            break;
        }
        if matches!(scenario, Scenario::TwoLines | Scenario::Order) && checker.session.stats.too_many {
            checker.not_checked(scenario, &[], "replies cannot be matched to lines");
            continue;
        }
        let moved = checker.writer.place().is_some();
        let outcome = checker.play(scenario).await;
        match (scenario, outcome) {
            (Scenario::First, Err(Disconnected::Silent)) => {
                checker.not_checked(
                    scenarios.as_slice()[0],
                    &scenarios.as_slice()[1..],
                    "the controller does not reply",
                );
                break;
            }
            // The controller will close the next connection too, so continue with scenarios that
            // allow this.
            (Scenario::First | Scenario::Again, Err(Disconnected::Closed))
                if checker.writer.place().is_some() || !moved =>
            {
                let rest = scenarios.by_ref().take_while(|&scenario| scenario != Scenario::Reconnect);
                let rest: Vec<_> = rest.collect();
                if let Some((first, others)) = rest.split_first() {
                    checker.not_checked(*first, others, "the controller closes the connection");
                }
                scenarios = vec![Scenario::Reconnect].into_iter();
            }
            _ => {}
        }
        if moved && checker.writer.place().is_none() {
            scenarios =
                checker.without_motion(scenarios.as_slice(), "the arm is no longer moved").into_iter();
        }
    }
    checker.session.print("\nall replies together");
    checker.conclude();
    Ok(checker.session.report)
}

/// Prints in advance what will be sent.
fn announce(config: &CheckConfig, print: &mut (dyn FnMut(&str) + Send)) {
    print(match config.allowed {
        Some(_) => "Nothing moves before the position of the arm is known and the motion has been announced.",
        None => "Nothing that moves the arm is sent: only the lines that your options name.",
    });
}

/// Returns the scenarios for a controller whose arm may be moved, or may not.
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
        (Scenario::SecondClient, streams && !config.listen),
        (Scenario::GoneClient, streams && moves && !config.listen),
    ];
    all.into_iter().filter_map(|(scenario, wanted)| wanted.then_some(scenario)).collect()
}

impl Scenario {
    fn title(self) -> &'static str {
        match self {
            Self::First => "the first line, then silence for a while",
            Self::Directions => "along +x, +y and +z, and back",
            Self::Travel => "to the position of --at",
            Self::Queue => "back and forth, as fast as the controller replies",
            Self::Again => "the next line",
            Self::UnknownMember => "a member that the protocol does not define",
            Self::Heartbeat => "heartbeat",
            Self::Stop => "stop",
            Self::ByteByByte => "a line in many pieces",
            Self::TwoLines => "two lines in one piece",
            Self::Order => "four lines in one piece, the second of an unknown type",
            Self::BadLine => "a line that is not JSON",
            Self::SecondClient => "a second client while the first is served",
            Self::GoneClient => "a command whose client disconnects before it is read",
            Self::Reconnect => "a connection that is lost in the middle of a line, and the next connection",
        }
    }
}

struct Checker<'a> {
    session: Session<'a>,
    writer: Writer,
    operator: Operator,
    /// The state of the gripper in every command.
    gripper: Option<Gripper>,
}

impl<'a> Checker<'a> {
    fn guide(&mut self) -> Guide<'_, 'a> {
        Guide { session: &mut self.session, writer: &mut self.writer, operator: &mut self.operator }
    }

    /// Asks the operator to agree to motion, if motion is configured, and returns the possible
    /// scenarios.
    async fn agree(&mut self) -> Result<Vec<Scenario>, CheckError> {
        let config = self.session.config;
        let Some(allowed) = config.allowed else { return Ok(scenarios(config, false)) };
        self.session.print("\nwhere the arm is");
        let all = scenarios(config, true);
        match self.guide().agree(&allowed).await {
            Ok(()) => self.gripper = self.writer.place().map(|place| place.gripper),
            Err(Unmoved::Error(error)) => return Err(error),
            Err(Unmoved::Found(why)) => return Ok(self.without_motion(&all, why)),
            Err(Unmoved::Gone(gone)) => {
                let why = match gone {
                    Disconnected::Silent => "the controller does not reply",
                    Disconnected::Closed => "there is no connection",
                };
                self.not_checked(all[0], &all[1..], why);
                return Ok(Vec::new());
            }
        }
        Ok(all)
    }

    /// Returns the scenarios that are possible without motion. Records the others as not checked.
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
        // If the next scenario fails, it records the finding.
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
            Scenario::SecondClient => {
                let may_be_asked = !self.session.arm.cannot_be_asked;
                let line = may_be_asked.then(|| self.writer.heartbeat());
                clients::second(&mut self.session, line).await;
                Ok(())
            }
            Scenario::GoneClient => {
                let config = self.session.config;
                let radius = config.allowed.map_or(0.0, |allowed| allowed.radius());
                let step = (radius / 2.0).min(LONGEST_STEP / 2.0) / 1000.0 * config.unit.per_metre();
                clients::gone(&mut self.session, &mut self.writer, step).await?;
                self.guide().is_still_there().await
            }
            Scenario::Reconnect => self.reconnect().await,
        }
    }

    /// Returns a line that must be executed: a command, or a heartbeat if nothing may move.
    fn probe(&mut self) -> Line {
        self.writer.command().unwrap_or_else(|| self.writer.heartbeat())
    }

    fn probe_check(&self) -> Check {
        if self.writer.place().is_some() { Check::Command } else { Check::Heartbeat }
    }

    async fn first(&mut self) -> Result<(), Disconnected> {
        let (line, check) = (self.probe(), self.probe_check());
        let replies = self.session.ask(check, &[line], Pace::OnePiece, advice::NO_REPLY).await?;
        self.obeyed(check, &replies, "the reply was ok", self.refused());
        self.guide().stays().await?;
        self.session.stay_quiet(self.session.config.silence, None).await
    }

    async fn again(&mut self) -> Result<(), Disconnected> {
        let line = self.probe();
        let replies =
            self.session.ask(Check::StaysConnected, &[line], Pace::OnePiece, advice::NO_REPLY).await?;
        self.obeyed(Check::StaysConnected, &replies, "the next line got a reply too", self.refused());
        Ok(())
    }

    async fn unknown_member(&mut self) -> Result<(), Disconnected> {
        let Some(line) = self.writer.command_with_unknown_member() else { return Ok(()) };
        let replies =
            self.session.ask(Check::UnknownMembers, &[line], Pace::OnePiece, advice::NO_REPLY).await?;
        match replies[0].is_ok {
            Some(true) => {
                self.session.find(Finding::ok(Check::UnknownMembers, "unknown members are ignored"))
            }
            Some(false) => {
                let seen = format!(
                    "\"arm_check\":true was refused ({:?}); a strict controller may do so, but then wire.extra_fields and \
                     wire.json.constant cannot be used",
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
        let replies = self.session.ask(Check::Heartbeat, &[line], Pace::OnePiece, advice::NO_REPLY).await?;
        self.obeyed(
            Check::Heartbeat,
            &replies,
            "the heartbeat is known, the reply was ok",
            advice::HEARTBEAT,
        );
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), Disconnected> {
        let mut lines: Vec<Line> = self.writer.command().into_iter().collect();
        lines.push(self.writer.stop());
        let replies = self.session.ask(Check::Stop, &lines, Pace::OnePiece, advice::FRAMING).await?;
        let behind = if lines.len() > 1 { " (sent directly after a command)" } else { "" };
        let last = &replies[replies.len() - 1..];
        self.obeyed(Check::Stop, last, &format!("the stop is known, the reply was ok{behind}"), advice::STOP);
        if let Some(line) = self.writer.command() {
            let replies =
                self.session.ask(Check::AfterAStop, &[line], Pace::OnePiece, advice::NO_REPLY).await?;
            self.obeyed(Check::AfterAStop, &replies, "the next command is executed", advice::AFTER_STOP);
        }
        Ok(())
    }

    async fn byte_by_byte(&mut self) -> Result<(), Disconnected> {
        let line = self.probe();
        let replies = self.session.ask(Check::ByteByByte, &[line], Pace::ByteByByte, advice::FRAMING).await?;
        self.obeyed(
            Check::ByteByByte,
            &replies,
            "the pieces were read as one line and got one reply",
            advice::FRAMING,
        );
        Ok(())
    }

    async fn two_lines(&mut self) -> Result<(), Disconnected> {
        let lines = [self.probe(), self.probe()];
        let replies = self.session.ask(Check::TwoLines, &lines, Pace::OnePiece, advice::FRAMING).await?;
        self.obeyed(Check::TwoLines, &replies, "both lines got a reply", advice::FRAMING);
        Ok(())
    }

    async fn order(&mut self) -> Result<(), Disconnected> {
        let lines =
            [self.writer.command(), self.writer.unknown_type(), self.writer.command(), self.writer.command()];
        let lines: Vec<Line> = lines.into_iter().flatten().collect();
        let replies = self.session.ask(Check::TwoLines, &lines, Pace::OnePiece, advice::FRAMING).await?;
        let verdicts: Option<Vec<bool>> = replies.iter().map(|reply| reply.is_ok).collect();
        let Some(verdicts) = verdicts else { return Ok(()) };
        let statuses: Vec<_> = verdicts.iter().map(|&ok| if ok { "ok" } else { "error" }).collect();
        let statuses = statuses.join(", ");
        let finding = match (verdicts.iter().filter(|&&ok| !ok).count(), verdicts[1]) {
            (1, false) => {
                self.session.find(Finding::ok(Check::UnknownType, "the line was refused"));
                Finding::ok(Check::Order, format!("as sent: {statuses}"))
            }
            (0, _) => {
                let seen = "the reply to \"type\":\"no_such_type\" was ok";
                Finding::wrong(Check::UnknownType, seen, advice::UNKNOWN_TYPE)
            }
            (1, true) => {
                let seen = format!(
                    "the replies to a valid line, an invalid line and two valid lines were {statuses}"
                );
                Finding::wrong(Check::Order, seen, advice::ORDER)
            }
            _ => {
                let refused = replies.iter().find(|reply| reply.is_ok == Some(false));
                let why = refused.map(|reply| reply.message.clone()).unwrap_or_default();
                let seen = format!("valid lines behind others were refused ({statuses}): {why:?}");
                Finding::wrong(Check::TwoLines, seen, advice::FRAMING)
            }
        };
        self.session.find(finding);
        Ok(())
    }

    async fn bad_line(&mut self) -> Result<(), Disconnected> {
        let lines = [self.writer.no_json()];
        let replies = self.session.ask(Check::BadLine, &lines, Pace::OnePiece, advice::BAD_LINE).await?;
        if replies[0].is_ok == Some(true) {
            let seen = format!("the reply to {:?} was ok", lines[0].text);
            self.session.find(Finding::wrong(Check::BadLine, seen, advice::BAD_LINE));
        }
        let line = self.probe();
        let replies = self.session.ask(Check::BadLine, &[line], Pace::OnePiece, advice::BAD_LINE).await?;
        self.obeyed(
            Check::BadLine,
            &replies,
            "the line was refused, and the next line accepted",
            advice::BAD_LINE,
        );
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<(), Disconnected> {
        let moves = self.writer.place().is_some();
        let asks = moves || self.session.config.heartbeat;
        if asks && self.session.is_connected() && !self.session.config.udp {
            let (whole, broken) = (self.probe().bytes(), self.probe().bytes());
            self.session.send_without_reply(&[&whole[..], &broken[..broken.len() / 2]].concat()).await;
        }
        if !self.session.connect_again().await {
            return Err(Disconnected::Closed);
        }
        if !asks {
            self.session.find(Finding::ok(Check::Reconnect, "a new connection was accepted"));
            return Ok(());
        }
        let (seen, missing) = match self.session.config.udp {
            true => ("the new sender got a reply", advice::SENDER),
            false => ("a new connection was accepted, and starts fresh", advice::FRESH),
        };
        // If the controller reports positions, check the position of the arm first.
        let asked_first = self.session.arm.positions > 0 && !self.session.arm.cannot_be_asked;
        let line = if asked_first { self.writer.heartbeat() } else { self.probe() };
        let replies = self.session.ask(Check::Reconnect, &[line], Pace::OnePiece, missing).await?;
        self.obeyed(Check::Reconnect, &replies, seen, missing);
        if moves && asked_first {
            self.guide().is_still_there().await?;
            if let Some(line) = self.writer.command() {
                let replies = self.session.ask(Check::Reconnect, &[line], Pace::OnePiece, missing).await?;
                self.obeyed(Check::Reconnect, &replies, seen, missing);
            }
        }
        Ok(())
    }

    /// Checks that all replies are ok. A reply without a valid status has its own finding already.
    fn obeyed(&mut self, check: Check, replies: &[CheckedReply], seen: &str, refused: Advice) {
        if let Some(reply) = replies.iter().find(|reply| reply.is_ok == Some(false)) {
            let seen = format!("a valid line was refused: {:?}", reply.message);
            self.session.find(Finding::wrong(check, seen, refused));
        } else if replies.iter().all(|reply| reply.clear) && !self.session.report.is_wrong(check) {
            self.session.find(Finding::ok(check, seen));
        }
        for position in replies.iter().filter_map(|reply| reply.position) {
            if let Some(unit) = self.writer.place().and_then(|place| other_unit(position, place.at)) {
                let seen = format!(
                    "\"position\" is {position:?}, which looks like {unit}, while commands are in {}",
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

    /// Records the findings that cover all replies.
    fn conclude(&mut self) {
        let (config, stats) = (self.session.config, &self.session.stats);
        if stats.replies == 0 {
            self.session.find(Finding::note(Check::Replies, "no reply came, so none could be checked"));
            return;
        }
        let all = stats.replies;
        let unread = self.session.report.is_wrong(Check::Json) || self.session.report.is_wrong(Check::Utf8);
        let in_time = format!("the slowest of {all} replies took {}", time_of(stats.slowest));
        let (echoed, asked, positions) = (stats.with_seq, stats.seq_asked, stats.positions);
        for (check, seen) in [
            (Check::Newline, "every reply ended with a newline"),
            (Check::OneLine, "every reply was one line"),
            (Check::OneReply, "no line got two replies"),
            (Check::Length, "no reply was longer than 4096 bytes"),
            (Check::Utf8, "every reply was UTF-8"),
            (Check::Json, "every reply was a JSON object"),
            (Check::Members, "no reply had a member of the protocol twice"),
            (Check::Numbers, "all numbers were finite"),
            (Check::Status, "every reply had a status, \"ok\" or \"error\""),
            (Check::Message, "every message was a string"),
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
            let seen = format!("{echoed} of {asked} replies had the \"seq\" of their line");
            self.session.find(match (echoed == asked, config.udp) {
                (true, _) => Finding::ok(Check::Seq, seen),
                (false, true) => Finding::wrong(Check::Seq, seen, advice::SEQ_OF_DATAGRAMS),
                (false, false) => Finding::note(Check::Seq, format!("{seen}; over TCP it may be left out")),
            });
        }
        if config.state {
            let seen = format!("{positions} of {all} replies reported the position of the arm");
            match positions {
                0 => self.session.find(Finding::wrong(Check::State, seen, advice::NO_STATE)),
                _ => self.session.find(Finding::ok(Check::State, seen)),
            }
        }
        if let Some(gripper) = self.gripper {
            let word = gripper.as_str();
            let seen = format!("only {word:?} was tested; --gripper tests the other state");
            self.session.find(Finding::note(Check::Gripper, seen));
        }
    }
}
