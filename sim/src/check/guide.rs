//! Moves the arm after the operator has agreed: finds its position, announces the motion, sends
//! small steps, and compares what the arm did.
//!
//! - No command is sent before the position of the arm is known, from the controller or the
//!   operator, and before the operator has typed yes (or agreed in advance).
//! - No motion begins if the reported position cannot be right (zero, another unit), the controller
//!   reports a fault, or the arm moves.
//! - The first command goes to the present position of the arm. This command reveals a controller
//!   that reads the numbers differently.
//! - The first motions are so short that the arm stays within `--radius` even if the controller
//!   reads a unit that is 1000 times as large.
//! - If the arm does something else than commanded, it gets a stop line and no further command. If
//!   the operator no longer answers, it gets no further command, and no stop line.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::advice;
use super::axes::{AXES, Direction, Went, explain_jump, judge, retarget};
use super::config::{Allowed, CheckError, check_place};
use super::finding::{Check, Finding};
use super::line::{LONGEST_STEP, Place, Writer};
use super::operator::Operator;
use super::session::{Disconnected, Pace, Session, time_of};
use crate::protocol;
use aether_bridge::arm::Gripper;
use aether_bridge::wire::PositionUnit;

/// The reason why the arm is not moved.
#[derive(Debug)]
pub(super) enum Unmoved {
    /// A finding gives the reason; this text is a summary.
    Found(&'static str),
    /// There is no connection for the motion.
    Gone(Disconnected),
    /// The operator did not agree to a motion, or arm_check did not get the data that it needs.
    Error(CheckError),
}

impl From<Disconnected> for Unmoved {
    fn from(gone: Disconnected) -> Self {
        Self::Gone(gone)
    }
}

impl From<CheckError> for Unmoved {
    fn from(error: CheckError) -> Self {
        Self::Error(error)
    }
}

/// Guides the arm: asks the operator and sends the commands.
pub(super) struct Guide<'g, 's> {
    pub session: &'g mut Session<'s>,
    pub writer: &'g mut Writer,
    pub operator: &'g mut Operator,
}

impl Guide<'_, '_> {
    /// Finds the position of the arm, announces the motion, and waits for the operator's yes.
    /// Motion is allowed after `Ok`.
    pub async fn agree(&mut self, allowed: &Allowed) -> Result<(), Unmoved> {
        for _ in 0..AGREEMENTS {
            let reported = self.reported_place(allowed).await?;
            let at = match (reported, self.operator.is_asked()) {
                (Some(at), _) => at,
                (None, true) => self.asked_place(allowed).await?,
                (None, false) => allowed.at().ok_or(CheckError::NoPlace)?,
            };
            let is = self.session.arm.gripper;
            let gripper = match (allowed.gripper().or(is), self.operator.is_asked()) {
                (Some(gripper), _) => gripper,
                (None, true) => self.asked_gripper().await?,
                (None, false) => return Err(CheckError::NoGripper.into()),
            };
            let place = Place { at, gripper };
            self.announce(allowed, place, reported.is_some(), is);
            if self.operator.is_asked() {
                let question = "Is the way free, and may it move? Type yes";
                let answer = self.question(question).await?;
                if !is_yes(&answer) {
                    return Err(CheckError::Refused { answer }.into());
                }
            }
            // The arm may have moved while the operator thought.
            let now = if reported.is_some() { self.reported_place(allowed).await? } else { None };
            if now.is_none_or(|now| self.distance(now, at) <= NEAR) && self.session.is_connected() {
                self.writer.allow(place, allowed.radius());
                return Ok(());
            }
            self.session.print("The arm has moved. Its new position:");
        }
        Err(CheckError::Restless.into())
    }

    /// Checks that the arm stays at its position after a command to that position.
    pub async fn stays(&mut self) -> Result<(), Disconnected> {
        let Some(place) = self.writer.place() else { return Ok(()) };
        if self.reports() {
            // The reply to the command reported this position. The arm had no time to move before
            // this reply.
            let stood = self.session.arm.position.filter(|at| self.distance(*at, place.at) > LEASH);
            if let Some(stood) = stood {
                let (stood, sent) = (self.shown(stood), self.shown(place.at));
                let seen =
                    format!("the arm is at {stood}, not at {sent}: the first command was far from the arm");
                return self.give_up(Finding::wrong(Check::Stays, seen, advice::JUMPS)).await;
            }
            let Some(rest) = self.rest(place.at, self.session.config.settle, LEASH).await? else {
                return Ok(());
            };
            let moved = self.millimetres(rest.at, place.at);
            if length(moved) <= NEAR {
                let seen = "the arm stayed at its position after a command to that position";
                self.session.find(Finding::ok(Check::Stays, seen));
                return Ok(());
            }
            let cause = explain_jump(self.in_millimetres(place.at), moved);
            let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            let (from, to) = (self.shown(place.at), self.shown(rest.at));
            let seen =
                format!("the arm was at {from}, got a command to that position, and went to {to}{cause}");
            return self.give_up(Finding::wrong(Check::Stays, seen, advice::JUMPS)).await;
        }
        if self.operator.is_asked() {
            let question = "The arm got a command to its own position. Did it stay there? Type yes or no";
            match self.choice(question, yes_or_no).await {
                Some(true) => self.session.find(Finding::ok(Check::Stays, "the arm stayed at its position")),
                Some(false) => {
                    let seen = "after a command to its own position, the arm went somewhere else";
                    return self.give_up(Finding::wrong(Check::Stays, seen, advice::JUMPS)).await;
                }
                None => self.operator_left(Check::Stays),
            }
        }
        Ok(())
    }

    /// Moves the arm along +x, +y and +z and back, and compares its motion with the commands.
    pub async fn directions(&mut self, radius: f64) -> Result<(), Disconnected> {
        let Some(place) = self.writer.place() else { return Ok(()) };
        if !self.reports() && !self.operator.is_asked() {
            let seen = "the controller does not report a position, and with --yes the operator is not asked";
            self.session.find(Finding::note(Check::Directions, format!("not checked: {seen}")));
            return Ok(());
        }
        if radius <= 0.0 {
            self.session.find(Finding::note(Check::Directions, "not checked: --radius is 0"));
            return Ok(());
        }
        let leash = LEASH + 2.0 * radius;
        let (mut ways, mut seen_by_operator) = (Vec::new(), false);
        for axis in 0..3 {
            let lengths: &[f64] = if axis == 0 { &[0.001, 0.01, 0.1, 1.0] } else { &[1.0] };
            for share in lengths {
                let sent = radius * share;
                let mut to = place.at;
                to[axis] += sent / 1000.0 * self.session.config.unit.per_metre();
                let from = self.rest(place.at, self.held(), leash).await?.map(|rest| rest.at);
                if !self.walk(place.at, to).await? {
                    return Ok(());
                }
                // An arm may start late, so a short motion is observed for longer.
                let held = if *share < 1.0 { self.session.config.settle } else { self.held() };
                let reported = match (from, self.rest(to, held, leash).await?) {
                    (Some(from), Some(rest)) => Some(self.millimetres(rest.at, from)),
                    _ => None,
                };
                let name = format!("{} mm along +{}", rounded(sent), AXES[axis]);
                if *share < 1.0 {
                    match self.too_far(sent, reported, *share).await {
                        TooFar::No if self.walk(to, place.at).await? => continue,
                        TooFar::No => return Ok(()),
                        TooFar::Yes(factor) => {
                            let unit = self.unit_for(factor);
                            let seen = format!("commanded {name}, the arm went {factor} times as far{unit}");
                            let finding = Finding::wrong(Check::Unit, seen, advice::UNIT_OF_COMMANDS);
                            return self.give_up(finding).await;
                        }
                        TooFar::Unknown => {
                            self.operator_left(Check::Directions);
                            return Ok(());
                        }
                    }
                }
                let by_report = reported.map(|moved| judge(sent, moved));
                let asked = match by_report {
                    // The controller reports a wrong motion; the operator's observation cannot make
                    // the report right.
                    Some(went) if went != Went::Along(Direction::up(axis)) => None,
                    _ => self.asked_direction(&name, reported.is_some()).await,
                };
                let went = match (by_report, asked) {
                    (None, None) => {
                        self.operator_left(Check::Directions);
                        return Ok(());
                    }
                    (_, Some(Answered { direction: None, .. })) => Went::Nowhere,
                    (_, Some(Answered { direction: Some(direction), far })) => {
                        let mut moved = [0.0; 3];
                        moved[direction.axis] =
                            if direction.backwards { -1.0 } else { 1.0 } * far.unwrap_or(sent);
                        judge(sent, moved)
                    }
                    (Some(went), None) => went,
                };
                seen_by_operator |= asked.is_some();
                let moved = reported.filter(|_| asked.is_none());
                if !self.judge_way(axis, &name, went, moved).await? {
                    return Ok(());
                }
                if let Went::Along(direction) = went {
                    ways.push(direction);
                }
                if !self.walk(to, place.at).await? {
                    return Ok(());
                }
            }
        }
        let Ok(ways) = <[Direction; 3]>::try_from(ways) else { return Ok(()) };
        if seen_by_operator && let Some((rpy, scale)) = retarget(ways) {
            let number = |value: f64| protocol::number(value, PositionUnit::Centimetres);
            let list = |values: [f64; 3]| values.map(number).join(", ");
            self.session.print(&format!(
                "      set:      retarget.rotation_rpy: [{}], retarget.scale: [{}]",
                list(rpy),
                list(scale)
            ));
        }
        Ok(())
    }

    /// Records a finding about the motion along an axis. Returns false if arm_check must not send
    /// the arm farther.
    async fn judge_way(
        &mut self,
        axis: usize,
        name: &str,
        went: Went,
        moved: Option<[f64; 3]>,
    ) -> Result<bool, Disconnected> {
        let by_report = moved.is_some();
        let report = moved.map_or_else(String::new, |moved| {
            format!(" (\"position\" moved by {} mm)", moved.map(|way| format!("{way:.1}")).join(", "))
        });
        match went {
            Went::Along(way) if way == Direction::up(axis) => {
                self.session.find(Finding::ok(
                    Check::Directions,
                    format!("commanded {name}, the arm moved the same"),
                ));
            }
            Went::Along(way) => {
                let kind = if way.axis == axis { "mirrored" } else { "swapped" };
                let seen = format!("commanded {name}, the arm went along {way}{report}: {kind}");
                let advice = if by_report { advice::AXES_OF_REPORTS } else { advice::AXES };
                self.session.find(Finding::wrong(directions_of(axis), seen, advice));
            }
            Went::Nowhere => {
                let seen = format!("commanded {name}, the arm did not move{report}");
                self.session.find(Finding::wrong(directions_of(axis), seen, advice::NO_MOTION));
            }
            Went::Scaled(factor) => {
                let unit = self.unit_for(factor);
                let seen = format!("commanded {name}, the arm went {factor} times as far{report}{unit}");
                self.give_up(Finding::wrong(Check::Unit, seen, advice::UNIT_OF_COMMANDS)).await?;
                return Ok(false);
            }
            Went::Astray => {
                let seen = format!("commanded {name}, the arm went another way{report}");
                self.give_up(Finding::wrong(directions_of(axis), seen, advice::ASTRAY)).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Checks whether the arm rests after all commands are acknowledged, or still works through a
    /// queue.
    pub async fn queue(&mut self) -> Result<(), Disconnected> {
        let Some(place) = self.writer.place() else { return Ok(()) };
        // An arm that passes its target is not at rest there, so the position must settle.
        let (reports, settle) = (self.reports(), self.session.config.settle);
        if !reports && !self.operator.is_asked() {
            let seen = "the controller does not report a position, and with --yes the operator is not asked";
            self.session.find(Finding::note(Check::Queue, format!("not checked: {seen}")));
            return Ok(());
        }
        let mut away = place.at;
        away[0] += LONGEST_STEP / 2.0 / 1000.0 * self.session.config.unit.per_metre();
        if !self.walk(place.at, away).await? {
            return Ok(());
        }
        // How long the arm moves after a single motion.
        let one = self.rest(away, settle, LEASH).await?.map_or(Duration::ZERO, |rest| rest.moved_for);
        if !self.walk(away, place.at).await? {
            return Ok(());
        }
        self.rest(place.at, settle, LEASH).await?;
        if !reports {
            let question = format!(
                "Watch the arm: it is sent back and forth {BURST} times, without pause. Ready? Press Enter"
            );
            if self.optional_question(&question).await.is_none() {
                self.operator_left(Check::Queue);
                return Ok(());
            }
        }
        let began = Instant::now();
        for nth in 0..BURST {
            let to = if nth % 2 == 0 { away } else { place.at };
            if !self.step(to).await? {
                return Ok(());
            }
        }
        let seen = format!("{BURST} short motions were acknowledged within {}", time_of(began.elapsed()));
        if reports {
            let Some(rest) = self.rest(place.at, settle, LEASH).await? else { return Ok(()) };
            let (after, single) = (time_of(rest.moved_for), time_of(one));
            let seen = format!("{seen}; then the arm moved for {after} (after a single motion for {single})");
            self.session.find(match rest.moved_for > 3 * one + AWHILE {
                true => Finding::wrong(Check::Queue, seen, advice::QUEUE),
                false => Finding::ok(Check::Queue, seen),
            });
            return Ok(());
        }
        let question = format!("{seen}. Did the arm go on moving for a second or more? Type yes or no");
        match self.choice(&question, yes_or_no).await {
            Some(true) => {
                let seen = format!("{seen}, and the arm went on moving");
                self.session.find(Finding::wrong(Check::Queue, seen, advice::QUEUE));
            }
            Some(false) => {
                self.session.find(Finding::ok(Check::Queue, format!("{seen}, and the arm then stood still")));
            }
            None => self.operator_left(Check::Queue),
        }
        Ok(())
    }

    /// Moves the arm to the requested position in small steps.
    pub async fn travel(&mut self, allowed: &Allowed) -> Result<(), Disconnected> {
        let (Some(place), Some(at)) = (self.writer.place(), allowed.at()) else { return Ok(()) };
        if self.walk(place.at, at).await? && self.writer.place().is_some() {
            self.rest(at, self.held(), FARTHEST_BEHIND).await?;
            self.writer.allow(Place { at, ..place }, allowed.radius());
        }
        Ok(())
    }

    /// Checks that the arm is still at its position after the connection was lost. If not, sends it
    /// no further command.
    pub async fn is_still_there(&mut self) -> Result<(), Disconnected> {
        let Some(place) = self.writer.place().filter(|_| self.reports()) else { return Ok(()) };
        let Some(rest) = self.rest(place.at, self.held(), LEASH).await? else { return Ok(()) };
        if length(self.millimetres(rest.at, place.at)) > MOVED_BY_ITSELF {
            let (from, to) = (self.shown(place.at), self.shown(rest.at));
            let seen = format!("the arm was at {from} before the connection was lost, and is now at {to}");
            self.session.find(Finding::wrong(Check::Place, seen, advice::MOVED_BY_ITSELF));
            self.writer.forbid();
        }
        Ok(())
    }

    /// Asks the controller for the position of the arm. Returns `None` if the controller does not
    /// report it.
    async fn reported_place(&mut self, allowed: &Allowed) -> Result<Option<[f64; 3]>, Unmoved> {
        if !self.session.is_connected() && !self.session.connect_again().await {
            return Err(Unmoved::Gone(Disconnected::Closed));
        }
        let deadline = Instant::now() + self.session.config.patience;
        loop {
            if self.session.arm.cannot_be_asked {
                return Ok(None);
            }
            let known = self.session.arm.positions;
            let check = if self.session.config.heartbeat { Check::Heartbeat } else { Check::BadLine };
            let line = self.writer.heartbeat();
            match self.session.ask(check, &[line], Pace::OnePiece, advice::NO_REPLY).await {
                Ok(_) => {}
                Err(Disconnected::Silent) => return Err(Disconnected::Silent.into()),
                Err(_) if self.session.report.is_wrong(Check::StaysConnected) => {
                    return Err(Unmoved::Found("the controller closes the connection"));
                }
                Err(gone) => {
                    self.session.arm.cannot_be_asked = true;
                    return if self.session.connect_again().await { Ok(None) } else { Err(gone.into()) };
                }
            }
            if let Some(fault) = self.session.arm.fault.clone() {
                let seen = format!("the controller reports a fault: {fault:?}");
                self.session.find(Finding::wrong(Check::Place, seen, advice::FAULT));
                return Err(Unmoved::Found("the controller reports a fault"));
            }
            let Some(at) = self.session.arm.position.filter(|_| self.session.arm.positions > known) else {
                return Ok(None);
            };
            if !self.session.arm.moving {
                return self.believed(at, allowed).map(Some);
            }
            if Instant::now() > deadline {
                let seen = "the arm moves, although arm_check has sent no command";
                self.session.find(Finding::wrong(Check::Place, seen, advice::MOVES_ALREADY));
                return Err(Unmoved::Found("the arm already moves"));
            }
            sleep(STEP_PERIOD).await;
        }
    }

    /// Checks whether a reported position is plausible.
    fn believed(&mut self, at: [f64; 3], allowed: &Allowed) -> Result<[f64; 3], Unmoved> {
        let unit = self.session.config.unit;
        let wrong = |this: &mut Self, check, seen: String, advice| {
            this.session.find(Finding::wrong(check, seen, advice));
            Err(Unmoved::Found("the reported position cannot be right"))
        };
        if at == [0.0; 3] {
            let seen = "\"position\" is exactly 0, 0, 0, the origin of the arm's base frame".to_owned();
            return wrong(self, Check::Place, seen, advice::NO_PLACE);
        }
        if let Some(other) = allowed.at().and_then(|asked| other_unit(at, asked)) {
            let seen =
                format!("\"position\" is {at:?}, which looks like {other}, while commands are in {unit}");
            return wrong(self, Check::Unit, seen, advice::UNIT);
        }
        let far = length(self.in_millimetres(at));
        if check_place(at, unit).is_err() || !(NEAREST..=FARTHEST).contains(&far) && allowed.at().is_none() {
            let seen =
                format!("\"position\" is {at:?}, which is {far:.1} mm from the base if the unit is {unit}");
            return wrong(self, Check::Unit, seen, advice::UNIT);
        }
        let seen = format!("the controller reports that the arm is at {}", self.shown(at));
        self.session.find(Finding::ok(Check::Place, seen));
        Ok(at)
    }

    /// Asks the operator for the position of the arm.
    async fn asked_place(&mut self, allowed: &Allowed) -> Result<[f64; 3], CheckError> {
        let unit = self.session.config.unit;
        let default = allowed.at().map_or_else(String::new, |at| format!(" (Enter: {})", self.shown(at)));
        let question = format!(
            "The controller does not report where the arm is. What is the present position of its tool, \
             in {unit} and in the arm's base frame? Type X Y Z{default}"
        );
        for _ in 0..TRIES {
            let answer = self.question(&question).await?;
            let numbers: Result<Vec<f64>, _> =
                answer.split([' ', ',']).filter(|word| !word.is_empty()).map(str::parse).collect();
            let place = match (numbers.ok().map(<[f64; 3]>::try_from), allowed.at()) {
                (Some(Ok(place)), _) => place,
                (_, Some(at)) if answer.is_empty() => at,
                _ => {
                    self.session.print("Enter three numbers, such as 200 0 200");
                    continue;
                }
            };
            match check_place(place, unit) {
                Ok(place) => return Ok(place),
                Err(error) => self.session.print(&error.to_string()),
            }
        }
        Err(CheckError::Unclear { question })
    }

    /// Asks the operator for the state of the gripper.
    async fn asked_gripper(&mut self) -> Result<Gripper, CheckError> {
        let question = "Every command includes a state of the gripper. Is the gripper open or closed now? \
                        Type open or closed";
        for _ in 0..TRIES {
            let answer = self.question(question).await?.to_lowercase();
            let known = [Gripper::Open, Gripper::Closed].into_iter().find(|known| known.as_str() == answer);
            match known {
                Some(gripper) => return Ok(gripper),
                None => self.session.print("Enter open or closed"),
            }
        }
        Err(CheckError::Unclear { question: question.to_owned() })
    }

    /// Prints what will move, where to, how fast, and what the gripper does.
    fn announce(&mut self, allowed: &Allowed, place: Place, is_reported: bool, gripper: Option<Gripper>) {
        let (stands, radius) = (self.shown(place.at), allowed.radius());
        let speed = STEP / STEP_PERIOD.as_secs_f64();
        let mut lines = vec!["THE ARM WILL MOVE:".to_owned()];
        lines.push(match is_reported {
            true => format!("  from     {stands}, the position that the controller reports"),
            false => format!(
                "  from     {stands}, the position that you gave. IF THE ARM IS ELSEWHERE, IT FIRST GOES TO \
                 THIS POSITION, at"
            ),
        });
        if !is_reported {
            lines.push(
                "           the controller's own speed. The same happens if the controller reads another \
                 unit"
                    .to_owned(),
            );
        }
        lines.push(format!("  to       {radius} mm along +x, +y and +z, and back each time"));
        let way = allowed.at().map(|at| (at, self.distance(at, place.at)));
        if let Some((at, way)) = way.filter(|(_, way)| *way > 0.0) {
            lines.push(format!(
                "           then to {}, {way:.0} mm away, and back and forth around it",
                self.shown(at)
            ));
        } else {
            lines.push(format!("           then back and forth within {LONGEST_STEP} mm",));
        }
        lines.push(format!(
            "  by       steps of {LONGEST_STEP} mm at most; long distances at {speed:.0} mm/s"
        ));
        let now = place.gripper.as_str();
        lines.push(match (allowed.gripper(), gripper) {
            (Some(asked), Some(is)) if asked != is => {
                format!("  gripper  IT MOVES: it is {}, and is commanded {now} (--gripper)", is.as_str())
            }
            (Some(_), None) => {
                format!("  gripper  is commanded {now} (--gripper): IT MOVES unless it is {now} already")
            }
            _ => format!("  gripper  stays {now}"),
        });
        lines.push(
            "Keep the emergency stop within reach. Ctrl-C ends the check; the arm stops after its last step."
                .to_owned(),
        );
        for line in lines {
            self.session.print(&line);
        }
    }

    /// Returns whether a short first motion was much too long, from the report or from what the
    /// operator sees.
    async fn too_far(&mut self, sent: f64, reported: Option<[f64; 3]>, share: f64) -> TooFar {
        if let Some(moved) = reported.map(length) {
            return match moved > (3.0 * sent).max(VISIBLE) {
                true => TooFar::Yes(10_f64.powf((moved / sent).log10().round())),
                false => TooFar::No,
            };
        }
        let question = format!(
            "The arm got a command to move by {} mm, too little to see. Did it move? Type yes or no",
            rounded(sent)
        );
        match self.choice(&question, yes_or_no).await {
            Some(true) => TooFar::Yes((1.0 / share).round()),
            Some(false) => TooFar::No,
            None => TooFar::Unknown,
        }
    }

    /// Asks the operator which way the arm went. If the report agrees with the command, an empty
    /// answer means "not observed".
    async fn asked_direction(&mut self, sent: &str, is_reported: bool) -> Option<Answered> {
        if !self.operator.is_asked() {
            return None;
        }
        let question = match is_reported {
            true => format!(
                "The controller reports that the arm went {sent}. Did you see the same? Type yes, or the \
                 direction that you saw (+x, -x, +y, -y, +z or -z) and how many mm, or 0 if it did not move \
                 (Enter: not observed)"
            ),
            false => format!(
                "The command was {sent}. Did the arm go there? Type yes, or the direction that you saw \
                 (+x, -x, +y, -y, +z or -z) and how many mm, or 0 if it did not move"
            ),
        };
        let up = AXES.iter().position(|axis| sent.ends_with(axis)).unwrap_or_default();
        let answer = self.choice(&question, |answer| match answer {
            "" if is_reported => Some(None),
            answer if is_yes(answer) => {
                Some(Some(Answered { direction: Some(Direction::up(up)), far: None }))
            }
            answer => direction(answer).map(Some),
        });
        answer.await.flatten()
    }

    /// Asks a question, and keeps the connection alive until the operator answers. Returns `None`
    /// if there are no more answers.
    async fn optional_question(&mut self, question: &str) -> Option<String> {
        self.session.print(&format!("? {question}"));
        loop {
            if !(self.session.config.heartbeat && self.session.is_connected()) {
                return self.operator.answer().await;
            }
            match timeout(KEEP_ALIVE, self.operator.answer()).await {
                Ok(answer) => return answer,
                Err(_) => {
                    let line = self.writer.heartbeat();
                    self.session.muted = true;
                    // An invalid reply becomes a finding. If the connection has ended, the next
                    // command finds it.
                    let _ =
                        self.session.ask(Check::Heartbeat, &[line], Pace::OnePiece, advice::HEARTBEAT).await;
                    self.session.muted = false;
                }
            }
        }
    }

    async fn question(&mut self, question: &str) -> Result<String, CheckError> {
        let answer = self.optional_question(question).await;
        answer.ok_or_else(|| CheckError::Unanswered { question: question.to_owned() })
    }

    /// Asks until the answer is valid, at most three times.
    async fn choice<T>(&mut self, question: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        if !self.operator.is_asked() {
            return None;
        }
        for _ in 0..TRIES {
            let answer = self.optional_question(question).await?;
            if let Some(read) = read(&answer.to_lowercase()) {
                return Some(read);
            }
            self.session.print(&format!("{answer:?} is not a valid answer"));
        }
        None
    }

    /// Sends the arm along a straight line in small steps. Returns false if a step was refused or
    /// the arm does not follow.
    async fn walk(&mut self, from: [f64; 3], to: [f64; 3]) -> Result<bool, Disconnected> {
        let steps = (self.distance(from, to) / STEP).ceil();
        let mut nth = 0.0;
        while nth < steps {
            nth += 1.0;
            let point = [0, 1, 2].map(|axis| from[axis] + (to[axis] - from[axis]) * (nth / steps));
            if !self.step(point).await? {
                return Ok(false);
            }
            sleep(STEP_PERIOD).await;
            // Wait for a slow arm.
            if self.session.arm.position.is_some_and(|at| self.distance(at, point) > LEASH) {
                self.rest(point, self.held(), FARTHEST_BEHIND).await?;
            }
        }
        Ok(true)
    }

    /// Sends one command. Returns false if it was refused or the arm does not follow.
    async fn step(&mut self, to: [f64; 3]) -> Result<bool, Disconnected> {
        let Some(line) = self.writer.command_to(to) else { return Ok(false) };
        let (known, before) = (self.session.arm.positions, self.session.arm.position);
        let replies = self.session.ask(Check::Command, &[line], Pace::OnePiece, advice::NO_REPLY).await?;
        if let Some(reply) = replies.iter().find(|reply| reply.is_ok == Some(false)) {
            let seen = format!("a valid line was refused: {:?}", reply.message);
            self.session.find(Finding::wrong(Check::Command, seen, advice::REFUSED));
            return Ok(false);
        }
        let fresh = self.session.arm.position.filter(|_| self.session.arm.positions > known);
        if let (Some(before), Some(at)) = (before, fresh) {
            // No arm moves this far in this time, so the report repeats the command.
            let jumped = self.distance(before, at) >= VISIBLE && self.session.stats.last < INSTANT;
            if jumped && self.distance(at, to) < EXACTLY {
                self.session.find(Finding::note(Check::Measured, ECHOES));
            }
        }
        let behind = fresh.map_or(0.0, |at| self.distance(at, to));
        if behind > FARTHEST_BEHIND {
            let seen = format!("the arm is {behind:.0} mm from its command, although the steps are small");
            self.give_up(Finding::wrong(Check::Place, seen, advice::LAGS)).await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Waits until the reports show that the arm rests. At its target it must rest for `held`, at
    /// another position for longer. If the arm is more than `leash` millimetres from its target,
    /// the wait ends.
    /// Returns `None` if the controller does not report a position.
    async fn rest(
        &mut self,
        target: [f64; 3],
        held: Duration,
        leash: f64,
    ) -> Result<Option<Rest>, Disconnected> {
        if !self.reports() {
            return Ok(None);
        }
        self.session.muted = true;
        let rest = self.rest_unseen(target, held, leash).await;
        self.session.muted = false;
        if let Ok(Some(rest)) = &rest {
            let (at, after) = (self.shown(rest.at), time_of(rest.moved_for));
            self.session
                .print(&format!("  … asked {} times: the arm rests at {at} after {after}", rest.asked));
        }
        rest
    }

    async fn rest_unseen(
        &mut self,
        target: [f64; 3],
        held: Duration,
        leash: f64,
    ) -> Result<Option<Rest>, Disconnected> {
        let (began, settle) = (Instant::now(), self.session.config.settle);
        let (mut asked, mut seen, mut since) = (0, None, began);
        // A late reply must not make the measured motion longer. If a report shows only a new
        // position and not "moving", the motion ends at the reply before this report.
        let (mut moved_until, mut answered) = (began, began);
        loop {
            let known = self.session.arm.positions;
            let line = match self.session.arm.cannot_be_asked {
                true => self.writer.command_to(target),
                false => Some(self.writer.heartbeat()),
            };
            let Some(line) = line else { return Ok(None) };
            self.session.ask(Check::Command, &[line], Pace::OnePiece, advice::NO_REPLY).await?;
            asked += 1;
            let now = Instant::now();
            let Some(at) = self.session.arm.position.filter(|_| self.session.arm.positions > known) else {
                // The reply to a heartbeat may lack a position that the reply to a command has.
                self.session.arm.cannot_be_asked |= asked > 1;
                if now > began + 2 * settle {
                    return Ok(None);
                }
                continue;
            };
            let moves = self.session.arm.moving || seen.is_none_or(|seen| self.distance(at, seen) > STEADY);
            if moves {
                moved_until = if self.session.arm.moving { now } else { answered };
                (seen, since) = (Some(at), now);
            }
            answered = now;
            let off = self.distance(at, target);
            let needed = if off <= STEADY { held } else { settle };
            if off > leash || now >= since + needed || now > began + LONGEST_MOTION {
                return Ok(Some(Rest { at, moved_for: moved_until - began, asked }));
            }
        }
    }

    /// Records a wrong finding, asks the controller to stop, and allows no more motion.
    async fn give_up(&mut self, finding: Finding) -> Result<(), Disconnected> {
        self.writer.forbid();
        // A controller that does not know stops replies with an error.
        let line = self.writer.stop();
        let outcome = self.session.ask(Check::Stop, &[line], Pace::OnePiece, advice::NO_REPLY).await;
        self.session.find(finding);
        outcome.map(|_| ())
    }

    /// Allows no more motion, because the operator who must watch it no longer answers.
    fn operator_left(&mut self, check: Check) {
        self.session.find(Finding::note(check, "not checked: the operator did not report what the arm did"));
        self.writer.forbid();
    }

    /// Returns how long an arm must be still at its target.
    fn held(&self) -> Duration {
        self.session.config.settle / 5
    }

    /// Returns whether the controller reports the position of the arm.
    fn reports(&self) -> bool {
        self.session.arm.positions > 0
    }

    fn in_millimetres(&self, at: [f64; 3]) -> [f64; 3] {
        at.map(|value| value / self.session.config.unit.per_metre() * 1000.0)
    }

    /// Returns the vector between two positions, in millimetres.
    fn millimetres(&self, to: [f64; 3], from: [f64; 3]) -> [f64; 3] {
        self.in_millimetres([0, 1, 2].map(|axis| to[axis] - from[axis]))
    }

    fn distance(&self, one: [f64; 3], other: [f64; 3]) -> f64 {
        length(self.millimetres(one, other))
    }

    fn shown(&self, at: [f64; 3]) -> String {
        let unit = self.session.config.unit;
        let [x, y, z] = at.map(|value| protocol::number(value, unit));
        format!("x={x} y={y} z={z} {unit}")
    }

    /// Returns a hint with the unit that the controller seems to read, if the wire supports that
    /// unit.
    fn unit_for(&self, factor: f64) -> String {
        let wanted = self.session.config.unit.per_metre() / factor;
        let units = [PositionUnit::Millimetres, PositionUnit::Centimetres, PositionUnit::Metres];
        let unit = units.into_iter().find(|unit| (unit.per_metre() / wanted - 1.0).abs() < 0.01);
        unit.map_or_else(String::new, |unit| format!(": set wire.position_unit: {unit} (here --unit {unit})"))
    }
}

/// An arm at rest.
#[derive(Debug)]
struct Rest {
    /// The position, in the wire's unit.
    at: [f64; 3],
    /// How long the arm was seen to move before.
    moved_for: Duration,
    asked: u32,
}

/// The operator's answer about a motion.
#[derive(Debug, Clone, Copy)]
struct Answered {
    /// The direction; `None` if the arm did not move.
    direction: Option<Direction>,
    /// The distance in millimetres; `None` for the commanded distance.
    far: Option<f64>,
}

enum TooFar {
    Yes(f64),
    No,
    Unknown,
}

/// Rounds to whole micrometres.
fn rounded(millimetres: f64) -> f64 {
    (millimetres * 1000.0).round() / 1000.0
}

fn length(way: [f64; 3]) -> f64 {
    way.iter().map(|part| part * part).sum::<f64>().sqrt()
}

fn is_yes(answer: &str) -> bool {
    ["yes", "y"].contains(&answer.to_lowercase().as_str())
}

fn yes_or_no(answer: &str) -> Option<bool> {
    match answer {
        "yes" | "y" => Some(true),
        "no" | "n" => Some(false),
        _ => None,
    }
}

/// Parses `+x`, `-y 20` or `0`.
fn direction(answer: &str) -> Option<Answered> {
    let mut words = answer.split_whitespace();
    let (way, far) = (words.next()?, words.next());
    if way == "0" || way == "no" {
        return Some(Answered { direction: None, far: None });
    }
    let far = match far {
        None => None,
        Some(far) => Some(far.parse().ok().filter(|far: &f64| far.is_finite() && *far > 0.0)?),
    };
    let sign = way.chars().next().filter(|sign| "+-".contains(*sign))?;
    let axis = AXES.iter().position(|axis| way[1..] == **axis)?;
    Some(Answered { direction: Some(Direction { axis, backwards: sign == '-' }), far })
}

/// Returns the check of one axis, so that each axis has its own finding.
fn directions_of(axis: usize) -> Check {
    [Check::DirectionX, Check::DirectionY, Check::DirectionZ][axis]
}

/// Finds another unit in which `position` would be near `place`. Returns `None` if there is no such
/// unit, or if the position is already near.
pub(super) fn other_unit(position: [f64; 3], place: [f64; 3]) -> Option<&'static str> {
    let off = |factor: f64| {
        let difference = [0, 1, 2].map(|axis| position[axis] * factor - place[axis]);
        length(difference) / length(place)
    };
    let factors = [
        (1000.0, "a unit 1000 times as large"),
        (100.0, "a unit 100 times as large"),
        (10.0, "a unit 10 times as large"),
        (0.1, "a unit 10 times as small"),
        (0.01, "a unit 100 times as small"),
        (0.001, "a unit 1000 times as small"),
    ];
    factors.into_iter().find(|(factor, _)| off(*factor) < 0.05 && off(1.0) > 0.5).map(|(_, unit)| unit)
}

/// The length of one step in millimetres, and the time between steps.
const STEP: f64 = LONGEST_STEP / 2.0;
const STEP_PERIOD: Duration = Duration::from_millis(50);

/// The number of motions that are sent to detect a queue.
const BURST: u32 = 20;

/// After many motions, an arm without a queue may move for three times the duration of a single
/// motion, plus this time.
const AWHILE: Duration = Duration::from_millis(200);

/// The longest wait for an arm to rest.
const LONGEST_MOTION: Duration = Duration::from_secs(60);

/// Positions nearer than this count as the same, in millimetres. It allows for sag and sensor
/// noise.
const NEAR: f64 = 2.0;
const STEADY: f64 = 0.5;

/// The shortest visible motion, in millimetres.
const VISIBLE: f64 = 1.0;

/// The largest distance of an arm from its path, in millimetres.
const LEASH: f64 = 10.0;

/// The largest distance of an arm behind its command, in millimetres.
const FARTHEST_BEHIND: f64 = 50.0;

/// The largest distance of an arm from its last command after a lost connection, in millimetres.
const MOVED_BY_ITSELF: f64 = 10.0;

/// Range of plausible distances of the tool from the base, in millimetres. Outside, the unit must
/// be different.
const NEAREST: f64 = 50.0;
const FARTHEST: f64 = 5000.0;

/// A time too short for any visible motion, and a difference from the command (in mm) too small for
/// a measured position.
const INSTANT: Duration = Duration::from_millis(4);
const EXACTLY: f64 = 0.001;

const ECHOES: &str = "\"position\" equals the command within 4 ms, but no arm moves that fast. If \"position\" \
                      is not measured, the bridge cannot know where an arm is that was moved by hand or \
                      switched off; then leave it out";

/// The largest number of times that a question is asked until the answer is valid, and that the
/// operator is asked to agree because the arm has moved meanwhile.
const TRIES: u32 = 3;
const AGREEMENTS: u32 = 3;

/// The time between heartbeats while the operator thinks.
const KEEP_ALIVE: Duration = Duration::from_millis(500);
