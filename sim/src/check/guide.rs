//! Motion that a person has agreed to: where the arm is, what will move, small steps, and whether the arm did the same.
//!
//! - No command leaves before the place of the arm is known, from the controller or from a person, and before a person has
//!   said yes (or agreed beforehand).
//! - A report that cannot be a place (zero, another unit, a fault, an arm that moves) begins no motion.
//! - The first command leads to where the arm stands. A controller that reads numbers in its own way is found by it.
//! - The first ways are so short that an arm whose unit is 1000 times as large goes no farther than `--radius`.
//! - An arm that does something else than it is sent gets a stop line and no further command; so does one whose person has
//!   gone, without the stop line.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::advice;
use super::axes::{AXES, Direction, Went, explain_leap, judge, retarget};
use super::config::{Allowed, CheckError, check_place};
use super::finding::{Check, Finding};
use super::line::{LONGEST_STEP, Place, Writer};
use super::person::Person;
use super::session::{Disconnected, Pace, Session, time_of};
use crate::protocol;
use aether_bridge::arm::Gripper;
use aether_bridge::wire::PositionUnit;

/// Why the arm is not moved.
#[derive(Debug)]
pub(super) enum Unmoved {
    /// A finding says why; in a few words.
    Found(&'static str),
    /// There is no connection to move it on.
    Gone(Disconnected),
    /// Nothing was agreed on.
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

/// Who leads the arm: what is asked of the person, and what is sent.
pub(super) struct Guide<'g, 's> {
    pub session: &'g mut Session<'s>,
    pub writer: &'g mut Writer,
    pub person: &'g mut Person,
}

impl Guide<'_, '_> {
    /// Finds out where the arm is, tells what will move, and waits for the person's yes. After it motion is allowed.
    pub async fn agree(&mut self, allowed: &Allowed) -> Result<(), Unmoved> {
        for _ in 0..AGREEMENTS {
            let reported = self.reported_place(allowed).await?;
            let at = match (reported, self.person.is_asked()) {
                (Some(at), _) => at,
                (None, true) => self.asked_place(allowed).await?,
                (None, false) => allowed.at().ok_or(CheckError::NoPlace)?,
            };
            let is = self.session.arm.gripper;
            let gripper = match (allowed.gripper().or(is), self.person.is_asked()) {
                (Some(gripper), _) => gripper,
                (None, true) => self.asked_gripper().await?,
                (None, false) => return Err(CheckError::NoGripper.into()),
            };
            let place = Place { at, gripper };
            self.announce(allowed, place, reported.is_some(), is);
            if self.person.is_asked() {
                let question = "Is the way free, and may it move? Type yes";
                let answer = self.question(question).await?;
                if !is_yes(&answer) {
                    return Err(CheckError::Refused { answer }.into());
                }
            }
            // The person may have taken a while.
            let now = if reported.is_some() { self.reported_place(allowed).await? } else { None };
            if now.is_none_or(|now| self.distance(now, at) <= NEAR) && self.session.is_connected() {
                self.writer.allow(place, allowed.radius());
                return Ok(());
            }
            self.session.say("The arm is elsewhere now. Once more:");
        }
        Err(CheckError::Restless.into())
    }

    /// Whether the arm stays where it is, after the command that leads there.
    pub async fn stays(&mut self) -> Result<(), Disconnected> {
        let Some(place) = self.writer.place() else { return Ok(()) };
        if self.reports() {
            let Some(rest) = self.rest(place.at, self.session.config.settle, LEASH).await? else {
                return Ok(());
            };
            let moved = self.millimetres(rest.at, place.at);
            if length(moved) <= NEAR {
                let seen = "sent to where it stands, the arm stayed there";
                self.session.find(Finding::ok(Check::Stays, seen));
                return Ok(());
            }
            let cause = explain_leap(self.in_millimetres(place.at), moved);
            let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
            let (from, to) = (self.shown(place.at), self.shown(rest.at));
            let seen = format!("the arm stood at {from}, was sent there, and went to {to}{cause}");
            return self.give_up(Finding::wrong(Check::Stays, seen, advice::LEAPS)).await;
        }
        if self.person.is_asked() {
            let question = "The arm was sent to where it stands. Did it stay there? yes or no";
            match self.choice(question, yes_or_no).await {
                Some(true) => self.session.find(Finding::ok(Check::Stays, "it stayed where it stands")),
                Some(false) => {
                    let seen = "sent to where it stands, the arm went somewhere else";
                    return self.give_up(Finding::wrong(Check::Stays, seen, advice::LEAPS)).await;
                }
                None => self.left_alone(Check::Stays),
            }
        }
        Ok(())
    }

    /// Moves the arm along +x, +y and +z and back, and finds whether it did the same.
    pub async fn directions(&mut self, radius: f64) -> Result<(), Disconnected> {
        let Some(place) = self.writer.place() else { return Ok(()) };
        if !self.reports() && !self.person.is_asked() {
            let seen = "the controller does not say where the arm is, and with --yes nobody is asked";
            self.session.find(Finding::note(Check::Directions, format!("not checked: {seen}")));
            return Ok(());
        }
        if radius <= 0.0 {
            self.session.find(Finding::note(Check::Directions, "not checked: --radius is 0"));
            return Ok(());
        }
        let leash = LEASH + 2.0 * radius;
        let (mut ways, mut seen_by_person) = (Vec::new(), false);
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
                // An arm may begin late.
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
                            let seen = format!("sent {name}, the arm went {factor} times as far{unit}");
                            let finding = Finding::wrong(Check::Unit, seen, advice::UNIT_OF_COMMANDS);
                            return self.give_up(finding).await;
                        }
                        TooFar::Unknown => {
                            self.left_alone(Check::Directions);
                            return Ok(());
                        }
                    }
                }
                let by_report = reported.map(|moved| judge(sent, moved));
                let asked = match by_report {
                    // Whatever the person sees, it is not what the controller reports.
                    Some(went) if went != Went::Along(Direction::up(axis)) => None,
                    _ => self.asked_direction(&name, reported.is_some()).await,
                };
                let went = match (by_report, asked) {
                    (None, None) => {
                        self.left_alone(Check::Directions);
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
                seen_by_person |= asked.is_some();
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
        if seen_by_person && let Some((rpy, scale)) = retarget(ways) {
            let number = |value: f64| protocol::number(value, PositionUnit::Centimetres);
            let list = |values: [f64; 3]| values.map(number).join(", ");
            self.session.say(&format!(
                "      set:      retarget.rotation_rpy: [{}], retarget.scale: [{}]",
                list(rpy),
                list(scale)
            ));
        }
        Ok(())
    }

    /// Finds what a way along an axis became. `false`: the arm must not be sent farther.
    async fn judge_way(
        &mut self,
        axis: usize,
        name: &str,
        went: Went,
        moved: Option<[f64; 3]>,
    ) -> Result<bool, Disconnected> {
        let by_report = moved.is_some();
        let told = moved.map_or_else(String::new, |moved| {
            format!(" (\"position\" moved by {} mm)", moved.map(|way| format!("{way:.1}")).join(", "))
        });
        match went {
            Went::Along(way) if way == Direction::up(axis) => {
                self.session
                    .find(Finding::ok(Check::Directions, format!("sent {name}, the arm did the same")));
            }
            Went::Along(way) => {
                let kind = if way.axis == axis { "mirrored" } else { "swapped" };
                let seen = format!("sent {name}, the arm went along {way}{told}: {kind}");
                let advice = if by_report { advice::AXES_OF_REPORTS } else { advice::AXES };
                self.session.find(Finding::wrong(directions_of(axis), seen, advice));
            }
            Went::Nowhere => {
                let seen = format!("sent {name}, the arm did not move{told}");
                self.session.find(Finding::wrong(directions_of(axis), seen, advice::NO_MOTION));
            }
            Went::Scaled(factor) => {
                let unit = self.unit_for(factor);
                let seen = format!("sent {name}, the arm went {factor} times as far{told}{unit}");
                self.give_up(Finding::wrong(Check::Unit, seen, advice::UNIT_OF_COMMANDS)).await?;
                return Ok(false);
            }
            Went::Astray => {
                let seen = format!("sent {name}, the arm went another way{told}");
                self.give_up(Finding::wrong(directions_of(axis), seen, advice::ASTRAY)).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the arm stands still when all is acknowledged, or has a queue to work off.
    pub async fn queue(&mut self) -> Result<(), Disconnected> {
        let Some(place) = self.writer.place() else { return Ok(()) };
        // An arm that passes where it was sent is not at rest there.
        let (reports, settle) = (self.reports(), self.session.config.settle);
        if !reports && !self.person.is_asked() {
            let seen = "the controller does not say where the arm is, and with --yes nobody is asked";
            self.session.find(Finding::note(Check::Queue, format!("not checked: {seen}")));
            return Ok(());
        }
        let mut away = place.at;
        away[0] += LONGEST_STEP / 2.0 / 1000.0 * self.session.config.unit.per_metre();
        if !self.walk(place.at, away).await? {
            return Ok(());
        }
        // How long it goes on after one.
        let one = self.rest(away, settle, LEASH).await?.map_or(Duration::ZERO, |rest| rest.moved_for);
        if !self.walk(away, place.at).await? {
            return Ok(());
        }
        self.rest(place.at, settle, LEASH).await?;
        if !reports {
            let question =
                format!("Watch the arm: it is sent back and forth {BURST} times, at once. Ready? Enter");
            if self.optional_question(&question).await.is_none() {
                self.left_alone(Check::Queue);
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
        let seen = format!("{BURST} short ways were acknowledged within {}", time_of(began.elapsed()));
        if reports {
            let Some(rest) = self.rest(place.at, settle, LEASH).await? else { return Ok(()) };
            let (after, single) = (time_of(rest.moved_for), time_of(one));
            let seen = format!("{seen}; then the arm moved for {after} (after a single one for {single})");
            self.session.find(match rest.moved_for > 3 * one + AWHILE {
                true => Finding::wrong(Check::Queue, seen, advice::QUEUE),
                false => Finding::ok(Check::Queue, seen),
            });
            return Ok(());
        }
        let question = format!("{seen}. Did the arm go on moving for a second or more? yes or no");
        match self.choice(&question, yes_or_no).await {
            Some(true) => {
                let seen = format!("{seen}, and the arm went on moving");
                self.session.find(Finding::wrong(Check::Queue, seen, advice::QUEUE));
            }
            Some(false) => {
                self.session.find(Finding::ok(Check::Queue, format!("{seen}, and the arm stood still then")));
            }
            None => self.left_alone(Check::Queue),
        }
        Ok(())
    }

    /// Takes the arm to the place that was asked for, by small steps.
    pub async fn travel(&mut self, allowed: &Allowed) -> Result<(), Disconnected> {
        let (Some(place), Some(at)) = (self.writer.place(), allowed.at()) else { return Ok(()) };
        if self.walk(place.at, at).await? && self.writer.place().is_some() {
            self.rest(at, self.held(), FARTHEST_BEHIND).await?;
            self.writer.allow(Place { at, ..place }, allowed.radius());
        }
        Ok(())
    }

    /// Finds out, after a connection was lost, whether the arm is where it was. If it is not, it gets no further command.
    pub async fn is_still_there(&mut self) -> Result<(), Disconnected> {
        let Some(place) = self.writer.place().filter(|_| self.reports()) else { return Ok(()) };
        let Some(rest) = self.rest(place.at, self.held(), LEASH).await? else { return Ok(()) };
        if length(self.millimetres(rest.at, place.at)) > MOVED_BY_ITSELF {
            let (from, to) = (self.shown(place.at), self.shown(rest.at));
            let seen = format!("the arm was at {from} before the connection was lost, and is at {to} now");
            self.session.find(Finding::wrong(Check::Place, seen, advice::MOVED_BY_ITSELF));
            self.writer.forbid();
        }
        Ok(())
    }

    /// Asks the controller where the arm is. `None`: it does not say.
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
            match self.session.ask(check, &[line], Pace::AtOnce, advice::NO_REPLY).await {
                Ok(_) => {}
                Err(Disconnected::Silent) => return Err(Disconnected::Silent.into()),
                Err(_) if self.session.report.is_wrong(Check::StaysConnected) => {
                    return Err(Unmoved::Found("it closes the connection"));
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
                let seen = "the arm moves, and nobody here has sent it anywhere";
                self.session.find(Finding::wrong(Check::Place, seen, advice::MOVES_ALREADY));
                return Err(Unmoved::Found("the arm moves already"));
            }
            sleep(STEP_PERIOD).await;
        }
    }

    /// Judges a reported place.
    fn believed(&mut self, at: [f64; 3], allowed: &Allowed) -> Result<[f64; 3], Unmoved> {
        let unit = self.session.config.unit;
        let wrong = |this: &mut Self, check, seen: String, advice| {
            this.session.find(Finding::wrong(check, seen, advice));
            Err(Unmoved::Found("the place that is reported cannot be right"))
        };
        if at == [0.0; 3] {
            let seen = "\"position\" is exactly 0, 0, 0, the origin of the arm's base frame".to_owned();
            return wrong(self, Check::Place, seen, advice::NO_PLACE);
        }
        if let Some(other) = allowed.at().and_then(|asked| other_unit(at, asked)) {
            let seen =
                format!("\"position\" is {at:?}, which looks like {other} where commands are in {unit}");
            return wrong(self, Check::Unit, seen, advice::UNIT);
        }
        let far = length(self.in_millimetres(at));
        if check_place(at, unit).is_err() || !(NEAREST..=FARTHEST).contains(&far) && allowed.at().is_none() {
            let seen = format!(
                "\"position\" is {at:?}, which is {far:.1} mm from the base where the unit is {unit}"
            );
            return wrong(self, Check::Unit, seen, advice::UNIT);
        }
        let seen = format!("the controller says that the arm stands at {}", self.shown(at));
        self.session.find(Finding::ok(Check::Place, seen));
        Ok(at)
    }

    /// Asks the person where the arm is.
    async fn asked_place(&mut self, allowed: &Allowed) -> Result<[f64; 3], CheckError> {
        let unit = self.session.config.unit;
        let default = allowed.at().map_or_else(String::new, |at| format!(" (Enter: {})", self.shown(at)));
        let question = format!(
            "The controller does not say where the arm is. Where does its tool stand now, in {unit} and in the arm's base \
             frame? X Y Z{default}"
        );
        for _ in 0..TRIES {
            let answer = self.question(&question).await?;
            let numbers: Result<Vec<f64>, _> =
                answer.split([' ', ',']).filter(|word| !word.is_empty()).map(str::parse).collect();
            let place = match (numbers.ok().map(<[f64; 3]>::try_from), allowed.at()) {
                (Some(Ok(place)), _) => place,
                (_, Some(at)) if answer.is_empty() => at,
                _ => {
                    self.session.say("Three numbers are expected, such as 200 0 200");
                    continue;
                }
            };
            match check_place(place, unit) {
                Ok(place) => return Ok(place),
                Err(error) => self.session.say(&error.to_string()),
            }
        }
        Err(CheckError::Unclear { question })
    }

    /// Asks the person what the gripper is.
    async fn asked_gripper(&mut self) -> Result<Gripper, CheckError> {
        let question =
            "Every command says what the gripper is to be. Is it open or closed now? open or closed";
        for _ in 0..TRIES {
            let answer = self.question(question).await?.to_lowercase();
            let known = [Gripper::Open, Gripper::Closed].into_iter().find(|known| known.as_str() == answer);
            match known {
                Some(gripper) => return Ok(gripper),
                None => self.session.say("open or closed is expected"),
            }
        }
        Err(CheckError::Unclear { question: question.to_owned() })
    }

    /// Tells what will move, where to, how fast, and what the gripper does.
    fn announce(&mut self, allowed: &Allowed, place: Place, is_reported: bool, gripper: Option<Gripper>) {
        let (stands, radius) = (self.shown(place.at), allowed.radius());
        let speed = STEP / STEP_PERIOD.as_secs_f64();
        let mut lines = vec!["THE ARM WILL MOVE:".to_owned()];
        lines.push(match is_reported {
            true => format!("  from     {stands}, where the controller says that it stands"),
            false => format!("  from     {stands}, where it stands by your word. IF IT STANDS ELSEWHERE, IT GOES THERE FIRST, at"),
        });
        if !is_reported {
            lines.push(
                "           the controller's own speed; so it does if the controller reads another unit"
                    .to_owned(),
            );
        }
        lines.push(format!("  to       {radius} mm along +x, +y and +z, and back each time"));
        let way = allowed.at().map(|at| (at, self.distance(at, place.at)));
        if let Some((at, way)) = way.filter(|(_, way)| *way > 0.0) {
            lines.push(format!(
                "           then to {}, {way:.0} mm away, and back and forth there",
                self.shown(at)
            ));
        } else {
            lines.push(format!("           then back and forth within {LONGEST_STEP} mm",));
        }
        lines.push(format!("  by       steps of {LONGEST_STEP} mm at most; long ways at {speed:.0} mm/s"));
        let now = place.gripper.as_str();
        lines.push(match (allowed.gripper(), gripper) {
            (Some(asked), Some(is)) if asked != is => {
                format!("  gripper  IT MOVES: it is {}, and is told to be {now} (--gripper)", is.as_str())
            }
            (Some(_), None) => {
                format!("  gripper  told to be {now} (--gripper): IT MOVES if it is not so now")
            }
            _ => format!("  gripper  stays {now}"),
        });
        lines.push(
            "Keep the emergency stop within reach. Ctrl-C ends the check, and the arm with its last step."
                .to_owned(),
        );
        for line in lines {
            self.session.say(&line);
        }
    }

    /// Whether a short first way became a long one, by the report or by what the person sees.
    async fn too_far(&mut self, sent: f64, reported: Option<[f64; 3]>, share: f64) -> TooFar {
        if let Some(moved) = reported.map(length) {
            return match moved > (3.0 * sent).max(VISIBLE) {
                true => TooFar::Yes(10_f64.powf((moved / sent).log10().round())),
                false => TooFar::No,
            };
        }
        let question =
            format!("The arm was sent by {} mm, too little to see. Did it move? yes or no", rounded(sent));
        match self.choice(&question, yes_or_no).await {
            Some(true) => TooFar::Yes((1.0 / share).round()),
            Some(false) => TooFar::No,
            None => TooFar::Unknown,
        }
    }

    /// Asks the person which way the arm went. With a report of the same an empty answer is none.
    async fn asked_direction(&mut self, sent: &str, is_reported: bool) -> Option<Answered> {
        if !self.person.is_asked() {
            return None;
        }
        let question = match is_reported {
            true => format!(
                "The controller reports that the arm went {sent}. Did you see the same? yes, or which way it went: +x, -x, \
                 +y, -y, +z, -z and how many mm, 0 if it did not move (Enter: not looked)"
            ),
            false => format!(
                "The arm was sent {sent}. Did it go there? yes, or which way it went: +x, -x, +y, -y, +z, -z and how many \
                 mm, 0 if it did not move"
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

    /// Asks, and keeps the connection alive while the person thinks. `None`: there are no more answers.
    async fn optional_question(&mut self, question: &str) -> Option<String> {
        self.session.say(&format!("? {question}"));
        loop {
            if !(self.session.config.heartbeat && self.session.is_connected()) {
                return self.person.answer().await;
            }
            match timeout(KEEP_ALIVE, self.person.answer()).await {
                Ok(answer) => return answer,
                Err(_) => {
                    let line = self.writer.heartbeat();
                    self.session.muted = true;
                    // What is wrong with it is a finding, and the next command finds that the connection has ended.
                    let _ =
                        self.session.ask(Check::Heartbeat, &[line], Pace::AtOnce, advice::HEARTBEAT).await;
                    self.session.muted = false;
                }
            }
        }
    }

    async fn question(&mut self, question: &str) -> Result<String, CheckError> {
        let answer = self.optional_question(question).await;
        answer.ok_or_else(|| CheckError::Unanswered { question: question.to_owned() })
    }

    /// Asks until the answer is understood, three times at most.
    async fn choice<T>(&mut self, question: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        if !self.person.is_asked() {
            return None;
        }
        for _ in 0..TRIES {
            let answer = self.optional_question(question).await?;
            if let Some(read) = read(&answer.to_lowercase()) {
                return Some(read);
            }
            self.session.say(&format!("{answer:?} is not understood"));
        }
        None
    }

    /// Sends the arm along a straight way by small steps. `false`: it was refused, or does not follow.
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
            // A slow arm is waited for.
            if self.session.arm.position.is_some_and(|at| self.distance(at, point) > LEASH) {
                self.rest(point, self.held(), FARTHEST_BEHIND).await?;
            }
        }
        Ok(true)
    }

    /// Sends one command. `false`: it was refused, or the arm does not follow.
    async fn step(&mut self, to: [f64; 3]) -> Result<bool, Disconnected> {
        let Some(line) = self.writer.command_to(to) else { return Ok(false) };
        let known = self.session.arm.positions;
        let replies = self.session.ask(Check::Command, &[line], Pace::AtOnce, advice::NO_REPLY).await?;
        if let Some(reply) = replies.iter().find(|reply| reply.says_ok == Some(false)) {
            let seen = format!("a line that is good was refused: {:?}", reply.message);
            self.session.find(Finding::wrong(Check::Command, seen, advice::REFUSED));
            return Ok(false);
        }
        let fresh = self.session.arm.position.filter(|_| self.session.arm.positions > known);
        let behind = fresh.map_or(0.0, |at| self.distance(at, to));
        if behind > FARTHEST_BEHIND {
            let seen = format!("the arm is {behind:.0} mm from where it was sent by small steps");
            self.give_up(Finding::wrong(Check::Place, seen, advice::LAGS)).await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Waits until the arm rests, by what the controller reports: for `held` where it was sent, for longer elsewhere. An arm
    /// that is more than `leash` millimetres from where it was sent is not waited for. `None`: it does not report.
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
            self.session.say(&format!("  … asked {} times: it rests at {at} after {after}", rest.asked));
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
        // Late answers make no motion longer: it counts up to the last one that saw the arm elsewhere.
        let (mut moved_until, mut answered) = (began, began);
        loop {
            let known = self.session.arm.positions;
            let line = match self.session.arm.cannot_be_asked {
                true => self.writer.command_to(target),
                false => Some(self.writer.heartbeat()),
            };
            let Some(line) = line else { return Ok(None) };
            self.session.ask(Check::Command, &[line], Pace::AtOnce, advice::NO_REPLY).await?;
            asked += 1;
            let now = Instant::now();
            let Some(at) = self.session.arm.position.filter(|_| self.session.arm.positions > known) else {
                // A heartbeat may be answered without it, and a command with it.
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

    /// Takes what is wrong, asks the controller to stop, and allows no more motion.
    async fn give_up(&mut self, finding: Finding) -> Result<(), Disconnected> {
        self.writer.forbid();
        // A controller that knows no stops answers with an error.
        let line = self.writer.stop();
        let outcome = self.session.ask(Check::Stop, &[line], Pace::AtOnce, advice::NO_REPLY).await;
        self.session.find(finding);
        outcome.map(|_| ())
    }

    /// Allows no more motion, because the person who should see it does not answer any more.
    fn left_alone(&mut self, check: Check) {
        self.session.find(Finding::note(check, "not checked: nobody says what the arm did"));
        self.writer.forbid();
    }

    /// For how long an arm has to be still where it was sent.
    fn held(&self) -> Duration {
        self.session.config.settle / 5
    }

    /// Whether the controller says where the arm is.
    fn reports(&self) -> bool {
        self.session.arm.positions > 0
    }

    fn in_millimetres(&self, at: [f64; 3]) -> [f64; 3] {
        at.map(|value| value / self.session.config.unit.per_metre() * 1000.0)
    }

    /// From one place to another, in millimetres.
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

    /// The unit that the controller seems to read, if the wire can have it.
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
    /// In the wire's unit.
    at: [f64; 3],
    /// For how long it was seen to move before.
    moved_for: Duration,
    asked: u32,
}

/// What a person says of a motion.
#[derive(Debug, Clone, Copy)]
struct Answered {
    /// `None`: it did not move.
    direction: Option<Direction>,
    /// In millimetres; `None`: as far as it was sent.
    far: Option<f64>,
}

enum TooFar {
    Yes(f64),
    No,
    Unknown,
}

/// Whole micrometres.
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

/// Reads `+x`, `-y 20` or `0`.
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

/// The check of the way along an axis, so that each axis is told of.
fn directions_of(axis: usize) -> Check {
    [Check::DirectionX, Check::DirectionY, Check::DirectionZ][axis]
}

/// The unit in which a position would be where the arm is, if not in that of the wire.
pub(super) fn other_unit(position: [f64; 3], place: [f64; 3]) -> Option<&'static str> {
    let off = |factor: f64| {
        let difference = [0, 1, 2].map(|axis| position[axis] * factor - place[axis]);
        length(difference) / length(place)
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

/// How far one step of a way leads, in millimetres, and how long it takes.
const STEP: f64 = LONGEST_STEP / 2.0;
const STEP_PERIOD: Duration = Duration::from_millis(50);

/// How many ways a queue is looked for with.
const BURST: u32 = 20;

/// For how much longer than after three single ways an arm may move on after many.
const AWHILE: Duration = Duration::from_millis(200);

/// The longest that an arm is waited for.
const LONGEST_MOTION: Duration = Duration::from_secs(60);

/// Places that are nearer than this are the same, in millimetres: what an arm sags, and what its sensors tell.
const NEAR: f64 = 2.0;
const STEADY: f64 = 0.5;

/// A motion that can be seen, in millimetres.
const VISIBLE: f64 = 1.0;

/// How far off its way an arm is let, in millimetres.
const LEASH: f64 = 10.0;

/// How far an arm may be behind its command, in millimetres.
const FARTHEST_BEHIND: f64 = 50.0;

/// How far an arm may be from its last command when a connection was lost, in millimetres.
const MOVED_BY_ITSELF: f64 = 10.0;

/// Where the tool of an arm can be, in millimetres from its base. Outside it is another unit.
const NEAREST: f64 = 50.0;
const FARTHEST: f64 = 5000.0;

/// How many times it is asked until an answer is understood, and until the arm is where it was.
const TRIES: u32 = 3;
const AGREEMENTS: u32 = 3;

/// How often a heartbeat goes out while a person thinks.
const KEEP_ALIVE: Duration = Duration::from_millis(500);
