//! The estimate of the arm: the only place that decides where the arm is, and whether that is known.
//!
//! A *session* is the time in which the place can be known from what was said before: one connection, or an unbroken run of
//! answers. A connection that breaks ends it, and so do a controller that joins, a disarm, another arm and a sleep of the
//! machine, because the arm may have been moved, homed or exchanged since.
//!
//! Invariants:
//! - The place is *known* if the controller has reported it in this session, or has accepted a command in this session, no longer
//!   ago than `arm.position_timeout`. It is *assumed* if a person says so, by `arm.assume_position` or by two calls of
//!   `~/set_armed`. Otherwise it is unknown.
//! - No motion begins while the place is unknown. If the controller can be asked, it is asked before each motion, and the motion
//!   waits for the answer.
//! - A reported place that is no farther than `arm.position_tolerance` from the last accepted command is that command. If it is
//!   farther away the arm has been moved by others, and no motion begins before reports show that the arm rests.
//! - A report that is in [doubt](Doubt) begins no motion. It is forgotten with the next good one of the same arm, or when a person
//!   assumes a place.
//! - No motion begins while a line is unanswered, nor before the arm can be back from a refused command.
//! - After a refusal a motion goes on from the last accepted command, unless a report shows the arm at rest elsewhere, or too far
//!   away to follow.
//! - A controller that reports unasked all the time, and is silent, has to report again before a motion begins.
//! - Only the last command may be repeated, if the controller has accepted it, nothing has come between, and no report shows the arm
//!   elsewhere or moving. A controller that can be asked is asked before.

use std::time::{Duration, Instant};

use super::config::{AssumedPosition, OrientationConfig, TeleopConfig};
use super::doubt::Doubt;
use super::following::FollowingError;
use crate::arm::Command;
use crate::geometry::{Orientation, Position};

/// What has been sent on this connection, and what is known of the arm.
#[derive(Debug, Default)]
pub(super) struct ArmEstimate {
    last_sent: Option<(Instant, Command)>,
    /// When the first command to where the last one leads was sent.
    aimed_at: Option<Instant>,
    /// How many lines, stop lines too, have not been answered.
    unanswered: u32,
    /// The last command that was answered, if the controller has accepted it.
    accepted: Option<Command>,
    /// The motion has ended, or begins again after a refusal, and no command has been sent since.
    is_interrupted: bool,
    /// Nothing has happened since the last command that would make it unsafe to repeat.
    undisturbed: bool,
    session: Session,
    following: FollowingError,
    /// Where the arm was when the last session ended, if that was known.
    former: Option<Place>,
    /// The arm may have left the place at which it stood when the bridge was started.
    left_start: bool,
    /// The controller has reported unasked where the arm is. After a lost connection its next report is awaited.
    reports_unasked: bool,
}

/// What is known of the arm in this session.
#[derive(Debug, Default)]
struct Session {
    /// Where the last accepted command leads, and when it was accepted.
    commanded: Option<(Instant, Place)>,
    /// The newest good report of each arm. Several controllers that dial in have an arm each.
    reports: Vec<Report>,
    /// Which arms have reported last what is not believed.
    doubts: Vec<(u64, Doubt)>,
    assumed: Option<Place>,
    /// When the controller last answered a question, or said unasked where the arm is, with nothing unanswered.
    answered_at: Option<Instant>,
    /// When the controller last answered a question, or reported where the arm is, whatever was unanswered.
    told_at: Option<Instant>,
    /// When the last question went out.
    asked_at: Option<Instant>,
    is_asking: bool,
    /// Why the arm may not be where commands lead, until it is seen at rest.
    deviation: Option<Deviation>,
    /// How many of the unanswered lines were sent in an earlier session. They are answered first.
    earlier: u32,
}

/// Where the tool centre point is, and how the tool is turned if that is known.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Place {
    position: Position,
    orientation: Option<Orientation>,
}

#[derive(Debug, Clone, Copy)]
struct Report {
    /// Whose arm it is.
    arm: u64,
    at: Instant,
    place: Place,
    moving: Option<bool>,
    /// Since when reports have shown the arm here.
    here_since: Instant,
    here: Position,
    /// The report shows where the arm rests, or is moved by others: it is no reply that accepts a command.
    observed: bool,
    /// It came after the last command was accepted.
    is_newer: bool,
    /// It came with the reply that accepts a command, maybe before the arm has begun to move.
    of_command: bool,
    /// The controller has said so unasked.
    unasked: bool,
    /// How often in a row it has said the same again unasked, and how long that took last, once it is clear that it reports all
    /// the time. A controller that reports only changes does not.
    again: u32,
    period: Option<Duration>,
    rests: bool,
}

/// What a report is judged by.
#[derive(Debug, Clone, Copy)]
struct ReportBasis {
    /// The arm follows accepted commands.
    follows: bool,
    /// A command of this session has sent the arm on its way.
    is_sent: bool,
    /// The place is farther from the last accepted command than the arm may be behind.
    is_far: bool,
}

/// What a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportAbout {
    /// The controller accepts a command: the arm is on its way.
    Accepted,
    /// The controller has stopped the arm.
    Stopped,
    /// The controller refuses a command. The arm may still be on its way to the one that was accepted before.
    Refused,
    /// A reply to anything else: a heartbeat, or a stop line that is refused.
    Observed,
    /// Nothing: the controller says it unasked, and will say a change.
    Unasked,
}

/// A position that a controller reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reported {
    pub arm: u64,
    pub about: ReportAbout,
    pub position: Position,
    pub orientation: Option<Orientation>,
    pub moving: Option<bool>,
}

/// How the arm deviates from its commands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Deviation {
    /// It is this far behind, in metres.
    Lags(f64),
    /// It is elsewhere, or moves without a command.
    Moved(Position),
}

/// Why the place of the arm is not known.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PositionUnknown {
    /// The answer to the question has not come yet.
    #[error("waiting for the controller to report where the arm is")]
    Awaited,
    /// The controller has neither reported a position nor accepted a command in this session.
    #[error("this controller has not reported where the arm is")]
    NotReported,
    /// The last command was accepted, or the last position reported, too long ago.
    #[error(
        "this controller has neither reported where the arm is nor accepted a command for {:.0} s, more than \
         arm.position_timeout {:.0} s", age.as_secs_f64(), timeout.as_secs_f64()
    )]
    #[allow(missing_docs)]
    Outdated { age: Duration, timeout: Duration },
    /// Commands carry an orientation, and the controller does not report one.
    #[error("this controller does not report how the tool is turned")]
    TurningNotReported,
    /// The newest report is not believed.
    #[error("{0}")]
    Doubtful(Doubt),
    /// Two arms that get the same commands are at different places.
    #[error("the controllers report places {0:.3} m apart; move the arms to the same place")]
    Apart(f64),
    /// Outside the workspace.
    #[error("the arm is at {0} m, outside the workspace; move it inside, or widen workspace.*")]
    Outside(Position),
    /// The arm is behind its commands by so many metres.
    #[error(
        "the arm is {0:.3} m behind its commands, more than limits.following_error; is it blocked, or slower than limits.speed?"
    )]
    Lags(f64),
    /// The arm is not where it was sent, and has not been seen at rest.
    #[error("the arm is moved by others: it is at {0} m, and not where it was sent; waiting until it rests")]
    Moved(Position),
}

impl Report {
    /// Starts with the first report of an arm, which [`Report::handle`] takes next.
    fn new(now: Instant, reported: &Reported) -> Self {
        let Reported { arm, position, orientation, moving, .. } = *reported;
        Self {
            arm,
            at: now,
            place: Place { position, orientation },
            moving,
            here_since: now,
            here: position,
            observed: false,
            is_newer: false,
            of_command: false,
            unasked: false,
            again: 0,
            period: None,
            rests: false,
        }
    }

    /// Takes the next report of the same arm.
    fn handle(&mut self, now: Instant, reported: &Reported, basis: ReportBasis) {
        let Reported { about, position, orientation, moving, .. } = *reported;
        let stays = about != ReportAbout::Accepted
            && (self.observed || about == ReportAbout::Refused)
            && moving != Some(true)
            && self.here.distance(position) <= STILL;
        if !stays {
            (self.here, self.here_since) = (position, now);
        }
        self.rests = match (about, moving) {
            (ReportAbout::Accepted, _) | (_, Some(true)) => false,
            (_, Some(false)) | (ReportAbout::Stopped, None) => true,
            (ReportAbout::Refused, None) if !basis.is_sent => true,
            (ReportAbout::Refused | ReportAbout::Observed | ReportAbout::Unasked, None) => {
                now.saturating_duration_since(self.here_since) >= REST_TIME
            }
        };
        self.observed = match about {
            ReportAbout::Accepted => false,
            // A refusal ends the motion. The arm may rest, or still follow what was accepted before.
            ReportAbout::Refused => self.rests || (moving == Some(true) && !basis.follows) || basis.is_far,
            ReportAbout::Stopped | ReportAbout::Observed | ReportAbout::Unasked => !basis.follows,
        };
        if about == ReportAbout::Unasked {
            self.handle_unasked(now, position, moving);
        }
        let orientation = orientation.or(self.place.orientation.filter(|_| self.rests));
        (self.at, self.place, self.moving) = (now, Place { position, orientation }, moving);
        self.unasked = about == ReportAbout::Unasked;
        self.of_command = about == ReportAbout::Accepted;
        self.is_newer = !self.of_command;
    }

    /// Learns whether the controller reports all the time, and how often, from the report that comes next.
    fn handle_unasked(&mut self, now: Instant, position: Position, moving: Option<bool>) {
        let since = now.saturating_duration_since(self.at);
        let is_same = self.unasked && (self.place.position, self.moving) == (position, moving);
        self.again = if is_same && since <= LONGEST_PERIOD { self.again + 1 } else { 0 };
        if self.again >= AGAIN {
            self.period = Some(since);
        }
    }

    /// Returns whether the controller reports again and again, and has not for longer than it usually takes.
    fn is_overdue(&self, now: Instant) -> bool {
        let limit = self.period.map(|period| FRESH.max(OVERDUE * period));
        self.unasked && limit.is_some_and(|limit| now.saturating_duration_since(self.at) > limit)
    }
}

impl PositionUnknown {
    /// Returns whether only a person can end this. `reports`: the controller reports where the arm is, asked or unasked.
    pub(super) fn needs_person(&self, reports: bool) -> bool {
        match self {
            Self::Awaited => false,
            Self::NotReported | Self::Outdated { .. } | Self::TurningNotReported => true,
            Self::Doubtful(_) | Self::Apart(_) | Self::Outside(_) => true,
            Self::Lags(_) | Self::Moved(_) => !reports,
        }
    }
}

impl ArmEstimate {
    /// Starts without a connection.
    pub(super) fn new(config: &TeleopConfig) -> Self {
        let mut estimate = Self::default();
        estimate.renew_session(config);
        estimate
    }

    /// Records a command that has been sent.
    pub(super) fn handle_sent(&mut self, now: Instant, command: Command) {
        self.unanswered += 1;
        if self.last_sent.is_none_or(|(_, last)| last.position != command.position) {
            self.aimed_at = Some(now);
        }
        self.last_sent = Some((now, command));
        (self.undisturbed, self.left_start, self.is_interrupted) = (true, true, false);
        self.session.answered_at = None;
    }

    /// Records a stop line that has been sent.
    pub(super) fn handle_stop_sent(&mut self) {
        self.unanswered += 1;
        self.session.answered_at = None;
        self.forbid_repetition();
    }

    /// Records that the controller has accepted a command.
    pub(super) fn handle_acknowledged(&mut self, now: Instant, command: &Command) {
        self.accepted = Some(*command);
        if self.handle_answered_line() {
            // It says where the arm was when that session ended.
            let Command { position, orientation, .. } = *command;
            let former = self.former.replace(Place { position, orientation });
            if self.session.assumed.is_some() && self.session.assumed == former {
                self.session.assumed = self.former;
            }
            return;
        }
        let orientation = command.orientation.or(self.best().and_then(|place| place.orientation));
        self.session.commanded = Some((now, Place { position: command.position, orientation }));
        for report in &mut self.session.reports {
            (report.observed, report.is_newer) = (false, false);
        }
    }

    /// Counts an answer. Returns whether its line was sent in an earlier session, so that it says nothing of this one.
    fn handle_answered_line(&mut self) -> bool {
        self.unanswered = self.unanswered.saturating_sub(1);
        let is_earlier = self.session.earlier > 0;
        self.session.earlier = self.session.earlier.saturating_sub(1);
        is_earlier
    }

    /// Records that the controller has refused a command, or that the command or its reply was lost.
    pub(super) fn handle_rejected(&mut self) {
        self.handle_answered_line();
        self.accepted = None;
        self.handle_interrupted();
    }

    /// Records that a motion ends, or begins again. An arm that has been seen at rest since it accepted a command does not follow
    /// that command.
    pub(super) fn handle_interrupted(&mut self) {
        self.is_interrupted = true;
        for report in &mut self.session.reports {
            report.observed |= report.rests && report.is_newer;
        }
    }

    /// Records the end of a stop line, and whether the reply has reported where the arm has stopped on its way.
    pub(super) fn handle_stop_answered(&mut self, reported: bool) {
        self.handle_answered_line();
        if reported {
            self.session.commanded = None;
        }
    }

    /// Takes the position that a controller reports, and whether the bridge is in `motion`.
    pub(super) fn handle_report(
        &mut self,
        now: Instant,
        reported: Reported,
        in_motion: bool,
        config: &TeleopConfig,
    ) {
        let Reported { arm, about, position, .. } = reported;
        self.reports_unasked |= about == ReportAbout::Unasked;
        self.session.told_at = Some(now);
        let known = self.best().or(self.former).map(|place| place.position);
        if let Err(doubt) = Doubt::judge(position, known, config.position_tolerance, &config.workspace) {
            return self.handle_doubt(arm, doubt);
        }
        self.session.doubts.retain(|(doubtful, _)| *doubtful != arm);
        // What the controller says of the arm takes the place of what a person has said of it at the start.
        self.left_start = true;
        // In motion the arm is behind its commands, and the next one does not go back to where it is.
        let follows = in_motion && self.session.commanded.is_some() && !self.is_interrupted;
        let basis = ReportBasis {
            follows,
            is_sent: self.session.commanded.is_some(),
            is_far: self.is_far(position, config),
        };
        let reports = &mut self.session.reports;
        let report = match reports.iter_mut().position(|report| report.arm == arm) {
            Some(index) => &mut reports[index],
            None => {
                reports.push(Report::new(now, &reported));
                reports.last_mut().expect("it has just been pushed")
            }
        };
        report.handle(now, &reported, basis);
        let rests = report.rests;
        self.judge_motion(now, &reported, in_motion, config);
        if rests && self.session.reports.iter().all(|report| report.rests) && !in_motion {
            self.session.deviation = None;
        }
    }

    /// Returns whether `position` is farther from the last accepted command than the arm may be behind.
    fn is_far(&self, position: Position, config: &TeleopConfig) -> bool {
        let limit = config.following.distance;
        let distance = self.session.commanded.map(|(_, place)| place.position.distance(position));
        limit > 0.0 && distance.is_some_and(|distance| distance > limit)
    }

    /// Compares a report with what the arm was told.
    fn judge_motion(&mut self, now: Instant, reported: &Reported, in_motion: bool, config: &TeleopConfig) {
        let Reported { about, position, moving, .. } = *reported;
        let Some((_, sent)) = self.last_sent else { return };
        let distance = sent.position.distance(position);
        if in_motion
            && let Some(lag) = self.following.handle_report(now, sent.position, position, &config.following)
        {
            self.session.deviation = Some(Deviation::Lags(lag));
        }
        let travel = config.following.travel_time(config.limits.speed);
        // An arm that stands is on no way, wherever it was sent.
        let stands = moving == Some(false) && !in_motion;
        let has_arrived = stands || self.aimed_at.is_none_or(|at| now.saturating_duration_since(at) > travel);
        let is_away = distance > config.position_tolerance || (moving == Some(true) && !in_motion);
        // The reply to a repetition shows whether the arm has stayed where the command before it led.
        let is_answered = match about {
            ReportAbout::Observed | ReportAbout::Unasked => self.unanswered == 0,
            ReportAbout::Accepted => self.unanswered <= 1 && !in_motion,
            ReportAbout::Stopped | ReportAbout::Refused => false,
        };
        let is_elsewhere = is_answered && has_arrived && is_away;
        if is_elsewhere {
            self.undisturbed = false;
            if self.session.deviation.is_none() && self.session.commanded.is_some() {
                self.session.deviation = Some(Deviation::Moved(position));
            }
        }
    }

    /// Takes a report that is not believed, unless a person has assumed a place since and nothing has been accepted.
    pub(super) fn handle_doubt(&mut self, arm: u64, doubt: Doubt) {
        if self.session.assumed.is_none() || self.session.commanded.is_some() {
            self.session.doubts.retain(|(doubtful, _)| *doubtful != arm);
            self.session.doubts.push((arm, doubt));
        }
    }

    /// Records that a question has gone out.
    pub(super) fn handle_asked(&mut self, now: Instant) {
        (self.session.asked_at, self.session.is_asking) = (Some(now), true);
    }

    /// Records an answer that is no reply to a command, with a position or without one; or that none will come.
    pub(super) fn handle_answer(&mut self, now: Instant, came: bool) {
        self.session.is_asking = false;
        if came {
            self.session.told_at = Some(now);
        }
        if came && self.unanswered == 0 {
            self.session.answered_at = Some(now);
        }
    }

    /// Forbids to repeat the last command, because the arm may be moved by other means from now on.
    pub(super) fn forbid_repetition(&mut self) {
        self.undisturbed = false;
    }

    /// Keeps where the arm is for the time after this session.
    fn keep_place(&mut self, config: &TeleopConfig) {
        // An arm that others move does not stay where it was seen last, and one that lags is not where it was sent.
        let is_on_a_way = |report: &Report| {
            let told =
                self.session.commanded.map(|(_, place)| place.position.distance(report.place.position));
            let is_there = told.is_some_and(|distance| distance <= config.position_tolerance);
            report.observed && (report.moving == Some(true) || !report.rests && !is_there)
        };
        let is_moved = self.session.deviation.is_some() || self.session.reports.iter().any(is_on_a_way);
        // What was only assumed was not known.
        let assumed = self.session.assumed.take();
        self.former = self.best_within(config.position_tolerance).or(self.former).filter(|_| !is_moved);
        self.session.assumed = assumed;
    }

    /// Ends the session: what was known of the arm is known no longer.
    pub(super) fn renew_session(&mut self, config: &TeleopConfig) {
        self.keep_place(config);
        let assumed = match config.assume_position {
            AssumedPosition::None => None,
            AssumedPosition::Home => Some(home(config)).filter(|_| !self.left_start),
            AssumedPosition::Last => self.former.filter(|_| !self.reports_unasked),
        };
        self.session = Session { assumed, earlier: self.unanswered, ..Session::default() };
        self.following.reset();
        self.forbid_repetition();
    }

    /// Ends the session, and forgets what was sent on the connection that has ended.
    pub(super) fn handle_link_down(&mut self, config: &TeleopConfig) {
        self.renew_session(config);
        (self.last_sent, self.aimed_at, self.unanswered, self.accepted) = (None, None, 0, None);
        self.session.earlier = 0;
    }

    /// Forgets what was reported before a silence of the controller, because it says nothing of the time after it.
    pub(super) fn handle_silence(&mut self, config: &TeleopConfig) {
        // A command away from which the arm has been seen does not count again.
        self.handle_start(config);
        self.keep_place(config);
        if self.reports_unasked {
            self.session.assumed = None;
        }
        self.session.reports.clear();
        self.session.answered_at = None;
    }

    /// Forgets all, because the arm or what positions mean is another.
    pub(super) fn handle_other_arm(&mut self) {
        *self = Self { left_start: true, ..Self::default() };
    }

    /// Forgets that the arm may stand where it stood at the start, because the last process did not end by itself.
    pub(super) fn forget_start(&mut self) {
        (self.left_start, self.session.assumed) = (true, None);
    }

    /// Assumes that the arm is at home, or goes there by the first command, because a person says so.
    pub(super) fn assume_home(&mut self, config: &TeleopConfig) {
        let Session { answered_at, asked_at, is_asking, earlier, .. } = self.session;
        let assumed = Some(home(config));
        self.session = Session { assumed, answered_at, asked_at, is_asking, earlier, ..Session::default() };
        self.forbid_repetition();
    }

    /// Begins to watch a motion.
    pub(super) fn handle_motion_begun(&mut self) {
        self.following.reset();
    }

    /// Records that the first command of a motion is about to be sent. If the motion begins where the arm has been seen, what was
    /// accepted before says nothing of the arm any more.
    pub(super) fn handle_start(&mut self, config: &TeleopConfig) {
        let start = self.best_position_within(config.position_tolerance);
        let is_there = |place: &Place| {
            start.is_some_and(|start| start.distance(place.position) <= config.position_tolerance)
        };
        self.session.commanded = self.session.commanded.filter(|(_, place)| is_there(place));
    }

    fn best_position_within(&self, tolerance: f64) -> Option<Position> {
        self.best_within(tolerance).map(|place| place.position)
    }

    /// Returns where the arm is, as far as that is known or assumed.
    pub(super) fn best_position(&self) -> Option<Position> {
        self.best().map(|place| place.position)
    }

    /// Returns where a motion begins. It is at `arm.home` if nothing is known.
    pub(super) fn position(&self, config: &TeleopConfig) -> Position {
        let Some(Place { position, .. }) = self.best_within(config.position_tolerance) else {
            return config.home;
        };
        let inside = || {
            config
                .workspace
                .nearest(position)
                .filter(|inside| inside.distance(position) <= config.position_tolerance)
        };
        if config.workspace.contains(position) { position } else { inside().unwrap_or(position) }
    }

    /// Returns how the tool is turned, or as it is at home if that is not known.
    pub(super) fn orientation(&self, config: &OrientationConfig) -> Orientation {
        self.best().and_then(|place| place.orientation).unwrap_or(config.home)
    }

    fn best(&self) -> Option<Place> {
        self.best_within(f64::EPSILON)
    }

    /// Returns where the arm is. An arm that is seen within `tolerance` of where it was sent is there.
    fn best_within(&self, tolerance: f64) -> Option<Place> {
        let Session { commanded, reports, assumed, .. } = &self.session;
        let seen = reports.iter().find(|report| report.observed).map(|report| report.place);
        // Though the session is a new one, because an arm that sags would sink with each session.
        let is_near =
            |former: &Place| seen.is_some_and(|seen| seen.position.distance(former.position) <= tolerance);
        let former = || self.former.filter(is_near).map(|former| Place { orientation: None, ..former });
        let commanded = commanded.map(|(_, place)| place).or_else(former);
        let place = match (commanded, seen) {
            (Some(commanded), Some(seen)) if commanded.position.distance(seen.position) <= tolerance => {
                commanded
            }
            (_, Some(seen)) => seen,
            (Some(commanded), None) => commanded,
            (None, None) => (*assumed)?,
        };
        let orientation = place
            .orientation
            .or(commanded.and_then(|place| place.orientation))
            .or(seen.and_then(|seen| seen.orientation))
            .or(assumed.and_then(|place| place.orientation));
        Some(Place { orientation, ..place })
    }

    /// Judges whether a motion may begin from where the arm is.
    pub(super) fn check(&self, now: Instant, config: &TeleopConfig) -> Result<(), PositionUnknown> {
        if config.can_ask && !self.is_answered(now) {
            return Err(PositionUnknown::Awaited);
        }
        self.check_known(now, config)
    }

    /// Judges whether the place is known, whether or not it has just been asked for.
    pub(super) fn check_known(&self, now: Instant, config: &TeleopConfig) -> Result<(), PositionUnknown> {
        use PositionUnknown::*;
        let Session { commanded, reports, doubts, assumed, deviation, .. } = &self.session;
        if let Some((_, doubt)) = doubts.first() {
            return Err(Doubtful(doubt.clone()));
        }
        self.check_deviation(*deviation)?;
        let tolerance = config.position_tolerance;
        let observed = || reports.iter().filter(|report| report.observed);
        for report in observed() {
            if report.is_overdue(now) {
                return Err(Awaited);
            }
            let position = report.place.position;
            let apart = observed().map(|other| other.place.position.distance(position)).fold(0.0, f64::max);
            // An arm that others move passes the place to which it was sent, too.
            let is_there = report.moving != Some(true)
                && commanded.is_some_and(|(_, place)| place.position.distance(position) <= tolerance);
            // A controller that reports unasked may report a change only, and has reported none since.
            let silent = report.unasked && now.saturating_duration_since(report.at) >= REST_TIME;
            let rests = report.rests || (silent && report.moving != Some(true));
            if report.moving == Some(true) || (!is_there && !rests) {
                return Err(Moved(position));
            }
            if apart > 2.0 * tolerance {
                return Err(Apart(apart));
            }
        }
        // A person may have said that the arm stays where it was.
        let is_outdated = |at: Instant| {
            config.assume_position != AssumedPosition::Last
                && now.saturating_duration_since(at) > config.position_timeout
        };
        let said_at = observed().map(|report| report.at).max().or(commanded.map(|(at, _)| at));
        match said_at {
            // One that can be asked has just answered.
            Some(at) if is_outdated(at) && (observed().next().is_none() || !config.can_ask) => {
                let age = now.saturating_duration_since(at);
                return Err(Outdated { age, timeout: config.position_timeout });
            }
            None if assumed.is_none() => return Err(NotReported),
            Some(_) | None => {}
        }
        let position = self.position(config);
        if !config.workspace.contains(position) {
            return Err(Outside(position));
        }
        let turning = self.best_within(tolerance).and_then(|place| place.orientation);
        if config.orientation.is_some() && turning.is_none() {
            return Err(TurningNotReported);
        }
        Ok(())
    }

    /// Returns how the arm deviates from its commands as an error, in motion too.
    pub(super) fn check_following(&self) -> Result<(), PositionUnknown> {
        self.check_deviation(self.session.deviation)
    }

    fn check_deviation(&self, deviation: Option<Deviation>) -> Result<(), PositionUnknown> {
        match deviation {
            Some(Deviation::Lags(distance)) => Err(PositionUnknown::Lags(distance)),
            Some(Deviation::Moved(position)) => Err(PositionUnknown::Moved(position)),
            None => Ok(()),
        }
    }

    fn is_answered(&self, now: Instant) -> bool {
        self.session.answered_at.is_some_and(|at| now.saturating_duration_since(at) <= FRESH)
    }

    /// Returns whether the controller is going to report where the arm is while nothing is commanded.
    pub(super) fn reports(&self, config: &TeleopConfig) -> bool {
        config.can_ask || self.session.reports.iter().any(|report| report.observed && report.unasked)
    }

    /// Returns whether a motion that was interrupted by a refusal goes on from the last accepted command of this session: the
    /// arm is there, or on its way there, as far as reports show.
    pub(super) fn goes_on(&self, tolerance: f64) -> bool {
        if !self.is_interrupted {
            return true;
        }
        let commanded = self.session.commanded.map(|(_, place)| place.position);
        commanded.is_some_and(|place| self.best_position_within(tolerance) == Some(place))
    }

    /// Returns whether anything has come back in this session.
    pub(super) fn has_been_answered(&self) -> bool {
        self.session.answered_at.is_some()
            || self.session.commanded.is_some()
            || !self.session.reports.is_empty()
    }

    /// Returns when the controller is to be asked where the arm is, if that stands in the way of a motion.
    pub(super) fn question_due_at(&self, now: Instant, config: &TeleopConfig) -> Option<Instant> {
        if !config.can_ask || self.unanswered > 0 || self.session.is_asking {
            return None;
        }
        let again = |after| self.session.asked_at.map_or(now, |at| at + after);
        match self.check(now, config) {
            Err(PositionUnknown::Awaited) => Some(now),
            Err(PositionUnknown::Moved(_) | PositionUnknown::Lags(_)) => Some(again(ASK_AGAIN)),
            Err(PositionUnknown::Doubtful(_) | PositionUnknown::Apart(_) | PositionUnknown::Outside(_)) => {
                Some(again(ASK_LATER))
            }
            // It has been asked, and does not say.
            Err(
                PositionUnknown::NotReported
                | PositionUnknown::Outdated { .. }
                | PositionUnknown::TurningNotReported,
            )
            | Ok(()) => None,
        }
    }

    /// Returns when the place becomes known because the controller reports no change.
    pub(super) fn rests_at(&self) -> Option<Instant> {
        let waits = |report: &&Report| report.unasked && report.observed && !report.rests;
        self.session.reports.iter().filter(waits).map(|report| report.at + REST_TIME).max()
    }

    /// Returns the last command on this connection, and when it was sent.
    pub(super) fn last_sent(&self) -> Option<(Instant, Command)> {
        self.last_sent
    }

    /// Returns the last command if it may be repeated, unless the controller has to be asked first.
    pub(super) fn repeatable(&self) -> Option<Command> {
        self.accepted.filter(|_| self.undisturbed && self.unanswered == 0)
    }

    /// Returns whether a report shows that the arm moves, other than the reply to a command.
    pub(super) fn is_seen_moving(&self) -> bool {
        self.session.reports.iter().any(|report| !report.of_command && report.moving == Some(true))
    }

    /// Returns when the controller is to be asked where the arm is before the last command is repeated, if it can be asked. It may
    /// lie in the past.
    pub(super) fn check_due_at(&self, now: Instant, config: &TeleopConfig) -> Option<Instant> {
        let after = if self.is_seen_moving() { ASK_AGAIN } else { FRESH };
        let due = self.session.told_at.map_or(now, |at| at + after);
        config.can_ask.then_some(due)
    }

    /// Returns whether the answer to a question is awaited.
    pub(super) fn is_asking(&self) -> bool {
        self.session.is_asking
    }

    /// Returns whether the arm has been seen elsewhere than at `place` since the last command was accepted, or at rest elsewhere
    /// since that was sent.
    pub(super) fn is_elsewhere(&self, place: Position, tolerance: f64) -> bool {
        let rests = |report: &Report| {
            let is_later = self.last_sent.is_some_and(|(sent_at, _)| report.at > sent_at);
            is_later && !report.of_command && report.moving == Some(false)
        };
        self.session.reports.iter().any(|report| {
            (report.is_newer || rests(report)) && report.place.position.distance(place) > tolerance
        })
    }

    /// Returns whether a line is unanswered.
    pub(super) fn has_unanswered(&self) -> bool {
        self.unanswered > 0
    }

    /// Returns when the first command of a motion may be sent. `None` while a line is unanswered, because the position is
    /// known only once all are answered.
    pub(super) fn may_begin_at(&self, now: Instant, config: &TeleopConfig) -> Option<Instant> {
        if self.unanswered > 0 {
            return None;
        }
        let since = |(sent_at, sent)| self.back_at(sent_at, sent, config).max(sent_at + config.ramp_period());
        Some(self.last_sent.map_or(now, since))
    }

    /// Returns since when the arm counts as standing where it is, if it was sent elsewhere before.
    pub(super) fn at_rest_since(&self, config: &TeleopConfig) -> Option<Instant> {
        self.last_sent.map(|(sent_at, sent)| self.back_at(sent_at, sent, config))
    }

    /// Returns when the arm has had the time to come back from where a command leads that may have been refused. So the
    /// way from that command to the next one keeps the speed limits too.
    fn back_at(&self, sent_at: Instant, sent: Command, config: &TeleopConfig) -> Instant {
        let way = self.position(config).distance(sent.position) / config.approach_limits().speed;
        let turn = config
            .orientation
            .zip(sent.orientation)
            .map_or(0.0, |(config, sent)| self.orientation(&config).angle_to(sent) / config.speed);
        sent_at + Duration::from_secs_f64(way.max(turn).min(MAX_WAIT))
    }
}

/// Returns the place of the arm at home.
fn home(config: &TeleopConfig) -> Place {
    Place { position: config.home, orientation: config.orientation.map(|orientation| orientation.home) }
}

/// For how long an answer says where the arm is, before a motion begins.
const FRESH: Duration = Duration::from_millis(500);
/// After so many reports that say the same, a controller reports all the time, if none came later than this after the last.
const AGAIN: u32 = 5;
const LONGEST_PERIOD: Duration = Duration::from_secs(2);
/// After how many of its periods a report that comes again and again is overdue.
const OVERDUE: u32 = 4;
/// How soon the controller is asked again while the arm is not at rest.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How soon the controller is asked again after a report that begins no motion.
const ASK_LATER: Duration = Duration::from_secs(1);
/// How long an arm that does not report whether it moves has to stay to count as resting.
const REST_TIME: Duration = Duration::from_millis(200);
/// How far apart two reports of an arm that stays may be, in metres.
const STILL: f64 = 0.002;
/// Longer than any way in any workspace takes at any sensible speed, in seconds. Keeps the arithmetic finite.
const MAX_WAIT: f64 = 3600.0;

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;
    use crate::arm::Gripper;
    use crate::teleop::config::tests::settings;

    fn at(x: f64) -> Position {
        Position::new(x, 0.0, 0.0).unwrap()
    }

    fn to(x: f64) -> Command {
        Command { position: at(x), gripper: Gripper::Open, orientation: None }
    }

    fn config() -> TeleopConfig {
        TeleopConfig { orientation: None, ..settings() }
    }

    /// An estimate after an accepted command to `x`.
    fn accepted(now: Instant, x: f64) -> ArmEstimate {
        let mut estimate = ArmEstimate::new(&config());
        estimate.handle_sent(now, to(x));
        estimate.handle_acknowledged(now, &to(x));
        estimate
    }

    /// Reports that the only arm is at `x`.
    fn report(estimate: &mut ArmEstimate, now: Instant, x: f64, about: ReportAbout, moving: Option<bool>) {
        let reported = Reported { arm: 0, about, position: at(x), orientation: None, moving };
        estimate.handle_report(now, reported, false, &config());
    }

    fn observe(estimate: &mut ArmEstimate, now: Instant, x: f64, moving: Option<bool>) {
        report(estimate, now, x, ReportAbout::Observed, moving);
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn place_is_unknown_until_something_says_it() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::NotReported));
        assert_eq!(estimate.position(&config), config.home);
        observe(&mut estimate, t, 0.1, Some(false));
        assert_eq!(estimate.check(t, &config), Ok(()));
        assert_eq!(estimate.position(&config), at(0.1));
    }

    #[test]
    fn accepted_command_outweighs_the_report_in_its_reply() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_sent(t, to(0.2));
        report(&mut estimate, t, 0.15, ReportAbout::Accepted, None);
        assert_eq!(estimate.best_position(), None, "it may be on its way");
        estimate.handle_acknowledged(t, &to(0.2));
        assert_eq!(estimate.position(&config), at(0.2));
        observe(&mut estimate, t, 0.1, Some(false));
        estimate.handle_sent(t, to(0.11));
        estimate.handle_acknowledged(t, &to(0.11));
        assert_eq!(estimate.position(&config), at(0.11), "the report is from before");
        assert_eq!(estimate.check(t + config.position_timeout, &config), Ok(()));
    }

    #[test]
    fn accepted_command_is_known_until_the_timeout() {
        let (t, config) = (Instant::now(), config());
        let estimate = accepted(t, 0.2);
        assert_eq!(estimate.check(t + config.position_timeout, &config), Ok(()));
        let late = t + config.position_timeout + MS;
        assert!(matches!(estimate.check(late, &config), Err(PositionUnknown::Outdated { .. })));
        let last = TeleopConfig { assume_position: AssumedPosition::Last, ..config };
        assert_eq!(estimate.check(late, &last), Ok(()), "a person says that it stays there");
    }

    #[test]
    fn arm_seen_near_its_command_is_at_its_command() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = accepted(t, 0.2);
        observe(&mut estimate, t, 0.191, None);
        assert_eq!((estimate.position(&config), estimate.check(t, &config)), (at(0.2), Ok(())));
        for _ in 0..9 {
            estimate.renew_session(&config);
            observe(&mut estimate, t, 0.191, Some(false));
        }
        assert_eq!(estimate.position(&config), at(0.2), "an arm that sags does not sink");
    }

    #[test]
    fn arm_seen_elsewhere_counts_once_it_rests() {
        let (t, config) = (Instant::now(), TeleopConfig { can_ask: true, ..config() });
        let mut estimate = accepted(t, 0.2);
        let check = |estimate: &mut ArmEstimate, now| {
            estimate.handle_answer(now, true);
            estimate.check(now, &config)
        };
        observe(&mut estimate, t, 0.1, None);
        assert_eq!(check(&mut estimate, t), Err(PositionUnknown::Moved(at(0.1))));
        observe(&mut estimate, t + 199 * MS, 0.101, None);
        assert_eq!(check(&mut estimate, t + 199 * MS), Err(PositionUnknown::Moved(at(0.101))));
        observe(&mut estimate, t + 200 * MS, 0.102, None);
        assert_eq!(check(&mut estimate, t + 200 * MS), Ok(()));
        assert_eq!(estimate.position(&config), at(0.102));
        observe(&mut estimate, t + 300 * MS, 0.105, None);
        assert!(check(&mut estimate, t + 300 * MS).is_err(), "it moves again");
        observe(&mut estimate, t + 300 * MS, 0.105, Some(true));
        assert!(check(&mut estimate, t + 600 * MS).is_err(), "it says that it moves");
        observe(&mut estimate, t + 600 * MS, 0.1, Some(false));
        assert_eq!(check(&mut estimate, t + 600 * MS), Ok(()), "it says that it rests");
    }

    #[test]
    fn controller_that_reports_changes_is_believed_after_silence() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 0.1, None);
        assert!(estimate.check(t + 9 * REST_TIME, &config).is_err(), "it reports only what is asked");
        let late = t + config.position_timeout + MS;
        report(&mut estimate, t, 0.1, ReportAbout::Unasked, Some(false));
        assert!(matches!(estimate.check(late, &config), Err(PositionUnknown::Outdated { .. })));
        let mut estimate = ArmEstimate::new(&config);
        report(&mut estimate, t, 0.1, ReportAbout::Unasked, None);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::Moved(at(0.1))));
        assert_eq!(estimate.rests_at(), Some(t + REST_TIME));
        assert_eq!(estimate.check(t + REST_TIME, &config), Ok(()));
        report(&mut estimate, t, 0.1, ReportAbout::Unasked, Some(true));
        assert!(estimate.check(t + REST_TIME, &config).is_err());
    }

    #[test]
    fn motion_waits_for_the_answer_to_the_question() {
        let (t, config) = (Instant::now(), TeleopConfig { can_ask: true, ..config() });
        let mut estimate = accepted(t, 0.2);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::Awaited));
        assert_eq!(estimate.question_due_at(t, &config), Some(t));
        estimate.handle_asked(t);
        assert_eq!(estimate.question_due_at(t, &config), None, "it has been asked");
        estimate.handle_answer(t + MS, false);
        assert_eq!(estimate.question_due_at(t + MS, &config), Some(t + MS), "the answer was lost");
        estimate.handle_answer(t + 2 * MS, true);
        assert_eq!(estimate.check(t + 2 * MS, &config), Ok(()));
        assert_eq!(estimate.check(t + 2 * MS + FRESH, &config), Ok(()));
        assert_eq!(estimate.check(t + 3 * MS + FRESH, &config), Err(PositionUnknown::Awaited), "it is old");
        estimate.handle_sent(t, to(0.3));
        estimate.handle_answer(t + 4 * MS, true);
        estimate.handle_acknowledged(t + 5 * MS, &to(0.3));
        assert_eq!(estimate.check(t + 5 * MS, &config), Err(PositionUnknown::Awaited), "it was on its way");
    }

    #[test]
    fn arm_moved_away_in_the_reply_to_a_repetition_is_not_repeated() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = accepted(t, 0.2);
        let late = t + config.following.travel_time(config.limits.speed) + MS;
        for (now, repeatable) in [(t + MS, true), (late, false)] {
            estimate.handle_sent(now, to(0.2));
            report(&mut estimate, now, 0.3, ReportAbout::Accepted, None);
            estimate.handle_acknowledged(now, &to(0.2));
            assert_eq!(estimate.repeatable().is_some(), repeatable);
        }
        assert_eq!(estimate.check(late, &config), Err(PositionUnknown::Moved(at(0.3))));
    }

    #[test]
    fn refusal_of_the_first_command_leaves_the_place_known() {
        let (t, config) = (Instant::now(), TeleopConfig { can_ask: true, ..config() });
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 0.1, Some(false));
        estimate.handle_sent(t, to(0.11));
        let about = ReportAbout::Observed;
        let reported = Reported { arm: 0, about, position: at(0.1), orientation: None, moving: Some(false) };
        estimate.handle_report(t, reported, true, &config);
        estimate.handle_rejected();
        assert_eq!((estimate.position(&config), estimate.check_known(t, &config)), (at(0.1), Ok(())));
    }

    #[test]
    fn arm_that_moves_is_asked_again_after_a_while() {
        let (t, config) = (Instant::now(), TeleopConfig { can_ask: true, ..config() });
        let mut estimate = accepted(t, 0.2);
        estimate.handle_asked(t);
        observe(&mut estimate, t, 0.1, Some(true));
        estimate.handle_answer(t, true);
        assert_eq!(estimate.question_due_at(t, &config), Some(t + ASK_AGAIN));
        observe(&mut estimate, t, 0.0001, Some(false));
        assert_eq!(estimate.question_due_at(t, &config), Some(t + ASK_LATER), "the next report may be good");
    }

    #[test]
    fn doubtful_report_begins_no_motion_until_the_next_good_one() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = accepted(t, 0.2);
        observe(&mut estimate, t, 0.0, Some(false));
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::Doubtful(Doubt::Zero)));
        observe(&mut estimate, t, 0.2, Some(false));
        assert_eq!(estimate.check(t, &config), Ok(()));
        observe(&mut estimate, t, 0.02, Some(false));
        assert!(matches!(estimate.check(t, &config), Err(PositionUnknown::Doubtful(Doubt::Scale { .. }))));
        estimate.assume_home(&config);
        assert_eq!((estimate.check(t, &config), estimate.position(&config)), (Ok(()), config.home));
        observe(&mut estimate, t, 0.0, Some(false));
        assert_eq!(estimate.check(t, &config), Ok(()), "a person has said where it is");
        observe(&mut estimate, t, 0.3, Some(false));
        assert_eq!(estimate.position(&config), at(0.3), "and a good report says it better");
    }

    #[test]
    fn report_outside_the_workspace_begins_no_motion() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 1.5, Some(false));
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::Outside(at(1.5))));
        observe(&mut estimate, t, 1.009, Some(false));
        assert_eq!(
            (estimate.check(t, &config), estimate.position(&config)),
            (Ok(()), at(1.0)),
            "a hair outside"
        );
    }

    #[test]
    fn arms_at_different_places_begin_no_motion() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 0.2, Some(false));
        let other = |x| Reported {
            arm: 1,
            about: ReportAbout::Observed,
            position: at(x),
            orientation: None,
            moving: Some(false),
        };
        estimate.handle_report(t, other(0.25), false, &config);
        assert!(matches!(estimate.check(t, &config), Err(PositionUnknown::Apart(_))));
        estimate.handle_report(t, other(0.21), false, &config);
        assert_eq!(estimate.check(t, &config), Ok(()));
    }

    #[test]
    fn turning_is_known_by_report_or_accepted_command() {
        let (t, config) = (Instant::now(), settings());
        let yaw = Orientation::from_rpy([0.0, 0.0, 1.0]);
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 0.2, Some(false));
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::TurningNotReported));
        let reported = Reported {
            arm: 0,
            about: ReportAbout::Observed,
            position: at(0.2),
            orientation: Some(yaw),
            moving: Some(false),
        };
        estimate.handle_report(t, reported, false, &config);
        assert_eq!(estimate.check(t, &config), Ok(()));
        assert_eq!(estimate.orientation(&config.orientation.unwrap()), yaw);
        let mut estimate = ArmEstimate::new(&config);
        let turned = Command { orientation: Some(yaw), ..to(0.2) };
        estimate.handle_sent(t, turned);
        estimate.handle_acknowledged(t, &turned);
        observe(&mut estimate, t, 0.205, Some(false));
        assert_eq!(estimate.check(t, &config), Ok(()), "the report has no turning, and the command has");
        let mut estimate = ArmEstimate::new(&config);
        estimate.assume_home(&config);
        assert_eq!(estimate.check(t, &config), Ok(()));
    }

    #[test]
    fn arm_that_stopped_on_its_way_is_where_it_says() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = accepted(t, 0.2);
        estimate.handle_stop_sent();
        estimate.handle_stop_answered(false);
        assert_eq!(estimate.position(&config), at(0.2));
        estimate.handle_stop_sent();
        report(&mut estimate, t, 0.15, ReportAbout::Stopped, None);
        estimate.handle_stop_answered(true);
        assert_eq!((estimate.position(&config), estimate.check(t, &config)), (at(0.15), Ok(())));
        let mut estimate = accepted(t, 0.2);
        estimate.handle_stop_sent();
        report(&mut estimate, t, 0.195, ReportAbout::Stopped, None);
        estimate.handle_stop_answered(true);
        assert_eq!((estimate.position(&config), estimate.session.commanded.is_some()), (at(0.195), false));
    }

    #[test]
    fn refused_arm_is_on_its_way_until_it_is_seen_at_rest() {
        let (t, config) = (Instant::now(), config());
        let refused = |estimate: &mut ArmEstimate, ms: u32, x, moving| {
            report(estimate, t + MS * ms, x, ReportAbout::Refused, moving);
            (estimate.position(&config).coordinates()[0], estimate.check(t + MS * ms, &config).is_ok())
        };
        // Nothing has been accepted, so nothing has sent the arm on its way.
        assert_eq!(refused(&mut ArmEstimate::new(&config), 0, 0.15, None), (0.15, true));
        let mut estimate = accepted(t, 0.2);
        assert_eq!(refused(&mut estimate, 0, 0.15, None), (0.2, true), "it still follows");
        assert_eq!(refused(&mut estimate, 100, 0.16, None), (0.2, true));
        assert_eq!(refused(&mut estimate, 299, 0.16, None), (0.2, true));
        assert_eq!(refused(&mut estimate, 300, 0.16, None), (0.16, true), "it rests");
        let mut estimate = accepted(t, 0.2);
        assert_eq!(refused(&mut estimate, 0, 0.15, Some(false)), (0.15, true), "it says that it rests");
        let mut estimate = accepted(t, 0.2);
        assert_eq!(
            refused(&mut estimate, 0, 0.04, None),
            (0.04, false),
            "farther than limits.following_error"
        );
    }

    #[test]
    fn motion_goes_on_after_a_refusal_where_the_last_accepted_command_leads() {
        let (t, config) = (Instant::now(), config());
        let goes_on = |estimate: &ArmEstimate| estimate.goes_on(config.position_tolerance);
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_sent(t, to(0.2));
        assert!(goes_on(&estimate), "nothing is refused");
        estimate.handle_rejected();
        assert!(!goes_on(&estimate), "nothing is accepted");
        let mut estimate = accepted(t, 0.2);
        estimate.handle_sent(t, to(0.21));
        estimate.handle_rejected();
        assert!(goes_on(&estimate));
        report(&mut estimate, t, 0.15, ReportAbout::Refused, Some(false));
        assert!(!goes_on(&estimate), "it rests elsewhere");
    }

    #[test]
    fn arm_is_elsewhere_by_a_later_report_or_at_rest_since_the_command_was_sent() {
        let (t, config) = (Instant::now(), config());
        let is_elsewhere = |estimate: &ArmEstimate| estimate.is_elsewhere(at(0.2), config.position_tolerance);
        let mut estimate = accepted(t, 0.2);
        assert!(!is_elsewhere(&estimate));
        observe(&mut estimate, t + MS, 0.15, None);
        assert!(is_elsewhere(&estimate), "it came later");
        for (moving, elsewhere) in [(Some(false), true), (Some(true), false), (None, false)] {
            let mut estimate = ArmEstimate::new(&config);
            estimate.handle_sent(t, to(0.2));
            observe(&mut estimate, t + MS, 0.15, moving);
            estimate.handle_acknowledged(t + MS, &to(0.2));
            assert_eq!(is_elsewhere(&estimate), elsewhere, "{moving:?}");
        }
    }

    #[test]
    fn question_is_awaited_until_its_answer_comes_or_is_lost() {
        for came in [true, false] {
            let (t, mut estimate) = (Instant::now(), accepted(Instant::now(), 0.2));
            assert!(!estimate.is_asking());
            estimate.handle_asked(t);
            assert!(estimate.is_asking());
            estimate.handle_answer(t, came);
            assert!(!estimate.is_asking(), "{came}");
        }
    }

    #[test]
    fn refused_arm_follows_up_to_the_following_error() {
        let t = Instant::now();
        let begins_at = |x, limit| {
            let mut config = config();
            config.following.distance = limit;
            let (mut estimate, about) = (accepted(t, 0.2), ReportAbout::Refused);
            let reported = Reported { arm: 0, about, position: at(x), orientation: None, moving: None };
            estimate.handle_report(t, reported, true, &config);
            estimate.position(&config)
        };
        let distance = at(0.1).distance(at(0.2));
        assert_eq!(begins_at(0.1, distance), at(0.2));
        assert_eq!(begins_at(0.1, distance - 1e-6), at(0.1), "it cannot follow from there");
        assert_eq!(begins_at(0.1, 0.0), at(0.2), "no limit");
    }

    #[test]
    fn refused_arm_that_rests_is_where_it_says_in_motion_too() {
        let (t, config) = (Instant::now(), config());
        for (moving, x) in [(None, 0.2), (Some(true), 0.2), (Some(false), 0.15)] {
            let mut estimate = accepted(t, 0.2);
            let about = ReportAbout::Refused;
            let reported = Reported { arm: 0, about, position: at(0.15), orientation: None, moving };
            estimate.handle_report(t, reported, true, &config);
            assert_eq!(estimate.position(&config), at(x), "{moving:?}");
        }
    }

    #[test]
    fn arm_far_behind_lags_until_it_is_seen_at_rest() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = accepted(t, 0.2);
        let behind = |ms: u64, estimate: &mut ArmEstimate| {
            let about = ReportAbout::Accepted;
            let reported = Reported { arm: 0, about, position: at(0.04), orientation: None, moving: None };
            estimate.handle_report(t + Duration::from_millis(ms), reported, true, &config);
            estimate.check_following()
        };
        assert_eq!(behind(0, &mut estimate), Ok(()));
        assert_eq!(behind(1000, &mut estimate), Err(PositionUnknown::Lags(0.16)));
        assert_eq!(estimate.check_known(t, &config), Err(PositionUnknown::Lags(0.16)));
        observe(&mut estimate, t, 0.05, Some(true));
        assert!(estimate.check_following().is_err());
        observe(&mut estimate, t, 0.06, Some(false));
        assert_eq!((estimate.check_known(t, &config), estimate.position(&config)), (Ok(()), at(0.06)));
    }

    #[test]
    fn arm_moved_while_nothing_is_commanded_is_noticed() {
        let config = config();
        let t = Instant::now();
        let arrived = t + config.following.travel_time(config.limits.speed) + MS;
        let seen = |now: Instant, x: f64, moving: Option<bool>, in_motion: bool| {
            let mut estimate = accepted(t, 0.2);
            let about = ReportAbout::Observed;
            let reported = Reported { arm: 0, about, position: at(x), orientation: None, moving };
            estimate.handle_report(now, reported, in_motion, &config);
            (estimate.check_following().is_ok(), estimate.repeatable().is_some())
        };
        assert_eq!(seen(arrived, 0.2, Some(false), true), (true, true));
        assert_eq!(seen(arrived, 0.23, None, true), (false, false), "elsewhere while the hand rests");
        assert_eq!(seen(arrived, 0.23, None, false), (false, false), "elsewhere while held");
        assert_eq!(seen(arrived, 0.2, Some(true), false), (false, false), "it moves without a command");
        assert_eq!(seen(arrived - MS, 0.23, None, true), (true, true), "it may still be on its way");
        assert_eq!(seen(arrived - MS, 0.23, Some(false), true), (true, true), "it has yet to begin its way");
        assert_eq!(seen(arrived - MS, 0.23, Some(false), false), (true, false), "it stands elsewhere");
        assert_eq!(seen(arrived, 0.2, Some(false), false), (true, true), "it stands where it was sent");
        assert_eq!(seen(arrived, 0.2, Some(true), true), (true, true), "it moves in motion");
    }

    #[test]
    fn session_that_ends_leaves_the_place_unknown() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = accepted(t, 0.2);
        observe(&mut estimate, t, 0.2, Some(false));
        estimate.renew_session(&config);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::NotReported));
        assert_eq!(estimate.repeatable(), None);
        assert!(estimate.last_sent().is_some(), "the connection stands");
        let last = TeleopConfig { assume_position: AssumedPosition::Last, ..config };
        let mut estimate = accepted(t, 0.2);
        estimate.renew_session(&last);
        assert_eq!((estimate.check(t, &last), estimate.position(&last)), (Ok(()), at(0.2)));
        estimate.renew_session(&last);
        assert_eq!(estimate.position(&last), at(0.2), "it is still the last one");
        estimate.handle_other_arm();
        estimate.renew_session(&last);
        assert!(estimate.check(t, &last).is_err(), "another arm inherits nothing");
    }

    #[test]
    fn answer_to_a_line_of_an_earlier_session_says_nothing() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_sent(t, to(0.2));
        estimate.handle_sent(t, to(0.21));
        estimate.renew_session(&config);
        estimate.handle_acknowledged(t, &to(0.2));
        estimate.handle_rejected();
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::NotReported));
        let last = TeleopConfig { assume_position: AssumedPosition::Last, ..config.clone() };
        let mut later = accepted(t, 0.2);
        later.handle_sent(t, to(0.21));
        later.renew_session(&last);
        later.handle_acknowledged(t, &to(0.21));
        assert_eq!(later.position(&last), at(0.21), "the arm is where the last accepted command has put it");
        estimate.handle_sent(t, to(0.22));
        estimate.handle_acknowledged(t, &to(0.22));
        assert_eq!(estimate.check(t, &config), Ok(()));
    }

    #[test]
    fn silence_of_the_controller_makes_reports_void() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 0.1, Some(false));
        estimate.handle_silence(&config);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::NotReported));
        let last = TeleopConfig { assume_position: AssumedPosition::Last, ..config.clone() };
        let mut estimate = accepted(t, 0.2);
        estimate.renew_session(&last);
        estimate.handle_silence(&config);
        assert_eq!(estimate.check(t, &last), Ok(()), "a person says that it stays there");
        report(&mut estimate, t, 0.2, ReportAbout::Unasked, Some(false));
        estimate.handle_silence(&config);
        assert!(estimate.check(t, &last).is_err(), "the controller will say it again");
        let mut estimate = accepted(t, 0.2);
        estimate.handle_silence(&config);
        assert_eq!(estimate.position(&config), at(0.2), "the connection stands");
        observe(&mut estimate, t, 0.3, None);
        estimate.handle_silence(&config);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::NotReported), "it was seen elsewhere");
    }

    #[test]
    fn home_is_assumed_until_the_first_command() {
        let (t, config) =
            (Instant::now(), TeleopConfig { assume_position: AssumedPosition::Home, ..config() });
        let mut estimate = ArmEstimate::new(&config);
        assert_eq!((estimate.check(t, &config), estimate.position(&config)), (Ok(()), config.home));
        estimate.renew_session(&config);
        assert_eq!(estimate.check(t, &config), Ok(()), "nothing has been sent yet");
        estimate.handle_sent(t, to(0.2));
        estimate.handle_link_down(&config);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::NotReported));
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 0.3, Some(false));
        estimate.renew_session(&config);
        assert_eq!(
            estimate.check(t, &config),
            Err(PositionUnknown::NotReported),
            "the controller knew better"
        );
        let mut estimate = ArmEstimate::new(&config);
        estimate.forget_start();
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::NotReported));
    }

    #[test]
    fn motion_begins_only_once_every_line_is_answered() {
        let (t, config) = (Instant::now(), settings());
        let mut estimate = ArmEstimate::new(&config);
        assert_eq!(estimate.may_begin_at(t, &config), Some(t));
        estimate.handle_sent(t, to(0.2));
        estimate.handle_stop_sent();
        assert_eq!(estimate.may_begin_at(t, &config), None);
        estimate.handle_acknowledged(t, &to(0.2));
        assert_eq!(estimate.may_begin_at(t, &config), None);
        estimate.handle_stop_answered(false);
        assert_eq!(estimate.may_begin_at(t, &config), Some(t + config.ramp_period()));
    }

    #[test]
    fn way_back_from_refused_command_takes_its_time() {
        let (t, config) = (Instant::now(), settings());
        let mut estimate = accepted(t, 0.2);
        estimate.handle_sent(t, to(0.3));
        estimate.handle_rejected();
        // 0.1 m at the approach speed of 0.1 m/s.
        let back = estimate.at_rest_since(&config).unwrap();
        assert!((back - t).as_secs_f64() - 1.0 < 1e-6 && back >= t + Duration::from_millis(999));
        assert_eq!(estimate.may_begin_at(t, &config), Some(back));
        let turned = Command { orientation: Some(Orientation::from_rpy([0.0, 0.0, 2.0])), ..to(0.2) };
        estimate.handle_sent(t, turned);
        estimate.handle_rejected();
        let back = estimate.at_rest_since(&config).unwrap() - t;
        assert!((back.as_secs_f64() - 2.0).abs() < 1e-6, "2 rad at 1 rad/s: {back:?}");
        let half = config.orientation.map(|turning| OrientationConfig { speed: 0.5, ..turning });
        let back = estimate.at_rest_since(&TeleopConfig { orientation: half, ..config }).unwrap() - t;
        assert!((back.as_secs_f64() - 4.0).abs() < 1e-6, "2 rad at 0.5 rad/s: {back:?}");
    }

    #[test]
    fn only_undisturbed_accepted_command_is_repeated() {
        let t = Instant::now();
        let mut estimate = accepted(t, 0.2);
        assert_eq!(estimate.repeatable(), Some(to(0.2)));
        estimate.handle_sent(t, to(0.2));
        assert_eq!(estimate.repeatable(), None, "it is unanswered");
        estimate.handle_rejected();
        assert_eq!(estimate.repeatable(), None, "it was refused");
        let mut estimate = accepted(t, 0.2);
        estimate.forbid_repetition();
        assert_eq!(estimate.repeatable(), None);
    }

    #[test]
    fn new_connection_forgets_what_was_sent() {
        let (now, config) = (Instant::now(), config());
        let mut estimate = accepted(now, 0.2);
        estimate.handle_stop_sent();
        estimate.handle_link_down(&config);
        assert_eq!((estimate.last_sent(), estimate.repeatable()), (None, None));
        assert_eq!(estimate.may_begin_at(now, &config), Some(now));
        estimate.handle_sent(now, to(0.3));
        estimate.handle_acknowledged(now, &to(0.3));
        assert!(estimate.session.commanded.is_some(), "nothing is to be answered first");
    }

    /// Reports in motion or not, at `x`.
    fn told(estimate: &mut ArmEstimate, now: Instant, x: f64, moving: Option<bool>, in_motion: bool) {
        let reported =
            Reported { arm: 0, about: ReportAbout::Observed, position: at(x), orientation: None, moving };
        estimate.handle_report(now, reported, in_motion, &config());
    }

    /// What another arm reports than the one of [`report`].
    fn other_arm(x: f64, moving: Option<bool>) -> Reported {
        Reported { arm: 1, about: ReportAbout::Observed, position: at(x), orientation: None, moving }
    }

    #[test]
    fn distance_of_the_tolerance_itself_is_within_it() {
        let (t, config) = (Instant::now(), TeleopConfig { position_tolerance: 0.25, ..config() });
        let late = t + config.following.travel_time(config.limits.speed) + MS;
        let observe = |estimate: &mut ArmEstimate, reported: Reported| {
            estimate.handle_report(late, reported, false, &config);
        };
        let resting = |x| Reported { arm: 0, ..other_arm(x, Some(false)) };
        let mut estimate = accepted(t, 0.5);
        observe(&mut estimate, Reported { moving: None, ..resting(0.25) });
        assert_eq!((estimate.position(&config), estimate.check(late, &config)), (at(0.5), Ok(())));
        assert_eq!(estimate.repeatable(), Some(to(0.5)));
        assert!(!estimate.is_elsewhere(at(0.5), 0.25) && estimate.is_elsewhere(at(0.5), 0.249));
        estimate.renew_session(&config);
        observe(&mut estimate, resting(0.75));
        assert_eq!(estimate.position(&config), at(0.5), "as in the session before");
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, resting(1.25));
        assert_eq!((estimate.position(&config), estimate.check(late, &config)), (at(1.0), Ok(())));
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, resting(0.25));
        observe(&mut estimate, other_arm(0.75, Some(false)));
        assert_eq!(estimate.check(late, &config), Ok(()), "two arms, one on each side of a place");
        observe(&mut estimate, other_arm(0.751, Some(false)));
        assert!(matches!(estimate.check(late, &config), Err(PositionUnknown::Apart(_))));
    }

    #[test]
    fn arm_on_its_way_is_where_its_command_leads() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = accepted(t, 0.2);
        told(&mut estimate, t, 0.15, Some(true), true);
        assert_eq!((estimate.position(&config), estimate.reports(&config)), (at(0.2), false));
        estimate.handle_sent(t, to(0.2));
        report(&mut estimate, t, 0.15, ReportAbout::Accepted, None);
        assert_eq!(estimate.position(&config), at(0.2));
        told(&mut estimate, t, 0.15, Some(false), false);
        assert_eq!((estimate.position(&config), estimate.reports(&config)), (at(0.15), false));
    }

    #[test]
    fn arm_that_lags_is_not_at_rest_in_motion() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = accepted(t, 0.2);
        told(&mut estimate, t, 0.04, Some(false), true);
        told(&mut estimate, t + Duration::from_secs(1), 0.04, Some(false), true);
        assert_eq!(estimate.check_following(), Err(PositionUnknown::Lags(0.16)));
        told(&mut estimate, t + Duration::from_secs(2), 0.04, Some(false), true);
        assert_eq!(estimate.check_following(), Err(PositionUnknown::Lags(0.16)));
        // Elsewhere too, but that is what is known already.
        told(&mut estimate, t + Duration::from_secs(9), 0.05, None, false);
        assert_eq!(estimate.check_following(), Err(PositionUnknown::Lags(0.16)));
        told(&mut estimate, t + Duration::from_secs(9), 0.05, Some(false), false);
        assert_eq!(estimate.check_known(t, &config), Ok(()));
    }

    #[test]
    fn every_arm_rests_before_a_deviation_ends() {
        let config = config();
        let t = Instant::now();
        let mut estimate = accepted(t, 0.2);
        estimate.handle_report(t, other_arm(0.2, Some(true)), false, &config);
        let late = t + Duration::from_secs(9);
        observe(&mut estimate, late, 0.2, Some(true));
        assert_eq!(estimate.check_following(), Err(PositionUnknown::Moved(at(0.2))));
        observe(&mut estimate, late, 0.2, Some(false));
        assert!(estimate.check_following().is_err(), "the other one moves");
        estimate.handle_report(late, other_arm(0.2, Some(false)), false, &config);
        assert_eq!((estimate.check_following(), estimate.check(late, &config)), (Ok(()), Ok(())));
    }

    #[test]
    fn motion_that_begins_is_watched_from_its_beginning() {
        let t = Instant::now();
        let mut estimate = accepted(t, 0.2);
        told(&mut estimate, t, 0.04, None, true);
        estimate.handle_motion_begun();
        told(&mut estimate, t + Duration::from_secs(1), 0.04, None, true);
        assert_eq!(estimate.check_following(), Ok(()));
        told(&mut estimate, t + Duration::from_secs(2), 0.04, None, true);
        assert_eq!(estimate.check_following(), Err(PositionUnknown::Lags(0.16)));
        estimate.renew_session(&config());
        told(&mut estimate, t + Duration::from_secs(2), 0.04, None, true);
        assert_eq!(estimate.check_following(), Ok(()), "another session");
    }

    #[test]
    fn way_to_another_place_begins_with_its_first_command() {
        let t = Instant::now();
        let late = t + Duration::from_secs(9);
        for (next, is_repeatable) in [(0.2, false), (0.21, true)] {
            let mut estimate = accepted(t, 0.2);
            estimate.handle_sent(late, to(next));
            estimate.handle_acknowledged(late, &to(next));
            told(&mut estimate, late, 0.1, None, false);
            assert_eq!(estimate.repeatable().is_some(), is_repeatable, "{next}");
        }
    }

    #[test]
    fn reply_shows_a_moved_arm_only_if_nothing_else_is_unanswered() {
        let config = config();
        let t = Instant::now();
        let late = t + Duration::from_secs(9);
        let seen = |lines: usize, about: ReportAbout, in_motion: bool| {
            let mut estimate = accepted(t, 0.2);
            (0..lines).for_each(|_| estimate.handle_sent(late, to(0.2)));
            let reported = Reported { arm: 0, about, position: at(0.3), orientation: None, moving: None };
            estimate.handle_report(late, reported, in_motion, &config);
            estimate.check_following().is_err()
        };
        assert!(seen(1, ReportAbout::Accepted, false));
        assert!(!seen(2, ReportAbout::Accepted, false));
        assert!(!seen(1, ReportAbout::Accepted, true));
        assert!(seen(0, ReportAbout::Observed, true));
        assert!(!seen(1, ReportAbout::Observed, true));
        assert!(!seen(0, ReportAbout::Stopped, false));
    }

    #[test]
    fn arm_seen_elsewhere_in_a_new_session_deviates_from_nothing() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = accepted(t, 0.2);
        estimate.renew_session(&config);
        let late = t + Duration::from_secs(9);
        report(&mut estimate, late, 0.1, ReportAbout::Unasked, None);
        assert_eq!(estimate.check(late + REST_TIME, &config), Ok(()));
        assert_eq!(estimate.position(&config), at(0.1));
    }

    #[test]
    fn doubt_counts_again_once_a_command_is_accepted() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        estimate.assume_home(&config);
        let home = Command { position: config.home, ..to(0.0) };
        estimate.handle_sent(t, home);
        estimate.handle_acknowledged(t, &home);
        observe(&mut estimate, t, 0.0, Some(false));
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::Doubtful(Doubt::Zero)));
    }

    #[test]
    fn good_report_of_one_arm_ends_no_doubt_of_another() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 0.0, Some(false));
        estimate.handle_report(t, other_arm(0.2, Some(false)), false, &config);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::Doubtful(Doubt::Zero)));
        observe(&mut estimate, t, 0.2, Some(false));
        assert_eq!(estimate.check(t, &config), Ok(()));
        // The newest doubt of an arm takes the place of the one before.
        observe(&mut estimate, t, 0.0, Some(false));
        observe(&mut estimate, t, 0.002, Some(false));
        assert!(matches!(estimate.check(t, &config), Err(PositionUnknown::Doubtful(Doubt::Scale { .. }))));
    }

    #[test]
    fn arm_that_others_move_is_not_where_it_was_last() {
        let last = TeleopConfig { assume_position: AssumedPosition::Last, ..config() };
        let t = Instant::now();
        for (ms, x, moving) in [(0, 0.2, Some(true)), (9000, 0.3, None), (9000, 0.2, Some(true))] {
            let mut estimate = accepted(t, 0.2);
            let now = t + Duration::from_millis(ms);
            observe(&mut estimate, now, x, moving);
            estimate.renew_session(&last);
            assert_eq!(estimate.check(now, &last), Err(PositionUnknown::NotReported), "{ms} {moving:?}");
        }
        let mut estimate = accepted(t, 0.2);
        observe(&mut estimate, t, 0.2, Some(false));
        estimate.renew_session(&last);
        assert_eq!(estimate.check(t, &last), Ok(()));
    }

    #[test]
    fn controller_that_reports_unasked_is_awaited_before_last_is_assumed() {
        let last = TeleopConfig { assume_position: AssumedPosition::Last, ..config() };
        let t = Instant::now();
        let mut estimate = accepted(t, 0.2);
        report(&mut estimate, t, 0.2, ReportAbout::Unasked, Some(false));
        estimate.handle_link_down(&last);
        assert_eq!(estimate.check(t, &last), Err(PositionUnknown::NotReported));
        report(&mut estimate, t, 0.3, ReportAbout::Unasked, Some(false));
        assert_eq!((estimate.check(t, &last), estimate.best_position()), (Ok(()), Some(at(0.3))));
        estimate.handle_silence(&last);
        assert_eq!(estimate.check(t, &last), Err(PositionUnknown::NotReported));
        estimate.assume_home(&last);
        assert_eq!(estimate.check(t, &last), Ok(()), "a person may say it all the same");
    }

    #[test]
    fn place_before_a_silence_is_the_last_one() {
        let last = TeleopConfig { assume_position: AssumedPosition::Last, ..config() };
        let t = Instant::now();
        let mut estimate = accepted(t, 0.1);
        estimate.renew_session(&last);
        estimate.handle_sent(t, to(0.2));
        estimate.handle_acknowledged(t, &to(0.2));
        estimate.handle_stop_sent();
        report(&mut estimate, t, 0.19, ReportAbout::Stopped, None);
        estimate.handle_stop_answered(true);
        estimate.handle_silence(&last);
        estimate.renew_session(&last);
        assert_eq!(estimate.best_position(), Some(at(0.19)));
    }

    #[test]
    fn controller_that_reports_again_and_again_is_awaited_when_it_is_silent() {
        let (t, config) = (Instant::now(), config());
        let reports = |each: &[(u32, f64)]| {
            let mut estimate = ArmEstimate::new(&config);
            for (ms, x) in each {
                report(&mut estimate, t + MS * *ms, *x, ReportAbout::Unasked, Some(false));
            }
            move |ms: u32| estimate.check(t + MS * ms, &self::config())
        };
        let every = |period: u32, reports: u32| (0..reports).map(|n| (period * n, 0.2)).collect::<Vec<_>>();
        let quick = reports(&every(50, 6));
        assert_eq!((quick(750), quick(751)), (Ok(()), Err(PositionUnknown::Awaited)));
        let slow = reports(&every(2000, 6));
        assert_eq!((slow(18_000), slow(18_001)), (Ok(()), Err(PositionUnknown::Awaited)));
        // It reports a change of something else now and then.
        assert_eq!((reports(&every(50, 5))(90_000), reports(&every(2001, 9))(90_000)), (Ok(()), Ok(())));
        let moves: Vec<_> = every(50, 5).into_iter().chain([(250, 0.3), (300, 0.2)]).collect();
        let only_changes = reports(&moves);
        assert_eq!(only_changes(90_000), Ok(()));
    }

    #[test]
    fn arm_that_lags_is_not_where_it_was_sent_last() {
        let last = TeleopConfig { assume_position: AssumedPosition::Last, ..config() };
        let t = Instant::now();
        let mut estimate = accepted(t, 0.2);
        for seconds in [0, 1] {
            told(&mut estimate, t + Duration::from_secs(seconds), 0.04, None, true);
        }
        assert_eq!(estimate.check_following(), Err(PositionUnknown::Lags(0.16)));
        estimate.renew_session(&last);
        assert_eq!(estimate.check(t, &last), Err(PositionUnknown::NotReported));
    }

    #[test]
    fn another_arm_does_not_stand_where_the_first_one_started() {
        let config = TeleopConfig { assume_position: AssumedPosition::Home, ..config() };
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_other_arm();
        estimate.renew_session(&config);
        assert_eq!(estimate.check(Instant::now(), &config), Err(PositionUnknown::NotReported));
    }

    #[test]
    fn word_of_a_person_changes_no_question_and_no_answer() {
        let (t, config) = (Instant::now(), TeleopConfig { can_ask: true, ..config() });
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_answer(t, true);
        estimate.assume_home(&config);
        assert_eq!(estimate.check(t, &config), Ok(()), "it has been asked just now");
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_asked(t);
        estimate.assume_home(&config);
        assert_eq!(estimate.question_due_at(t, &config), None, "the answer is still to come");
        observe(&mut estimate, t, 0.2, Some(true));
        estimate.handle_answer(t, true);
        assert_eq!(estimate.question_due_at(t, &config), Some(t + ASK_AGAIN));
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_sent(t, to(0.2));
        estimate.renew_session(&config);
        estimate.assume_home(&config);
        estimate.handle_acknowledged(t, &to(0.2));
        assert_eq!((estimate.position(&config), estimate.session.commanded.is_some()), (config.home, false));
        let mut estimate = accepted(t, 0.2);
        estimate.assume_home(&config);
        assert_eq!(estimate.repeatable(), None, "the last command does not lead home");
        let last = TeleopConfig { assume_position: AssumedPosition::Last, can_ask: false, ..config };
        estimate.renew_session(&last);
        assert_eq!(estimate.check(t, &last), Err(PositionUnknown::NotReported), "it was only assumed");
    }

    #[test]
    fn turning_of_an_earlier_session_is_not_known() {
        let (t, config) = (Instant::now(), settings());
        let turned = Command { orientation: Some(Orientation::from_rpy([0.0, 0.0, 1.0])), ..to(0.2) };
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_sent(t, turned);
        estimate.handle_acknowledged(t, &turned);
        estimate.renew_session(&config);
        observe(&mut estimate, t, 0.2, Some(false));
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::TurningNotReported));
        estimate.assume_home(&config);
        observe(&mut estimate, t, 0.3, Some(false));
        assert_eq!(estimate.check(t, &config), Ok(()), "a person has said it");
    }

    #[test]
    fn session_knows_what_has_come_back_in_it() {
        let (t, config) = (Instant::now(), config());
        let seen = |estimate: &ArmEstimate| {
            (estimate.has_been_answered(), estimate.session.commanded.is_some(), estimate.reports(&config))
        };
        let mut estimate = ArmEstimate::new(&config);
        assert_eq!((seen(&estimate), estimate.best_position()), ((false, false, false), None));
        estimate.handle_answer(t, true);
        assert_eq!(seen(&estimate), (true, false, false));
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_sent(t, to(0.2));
        assert!(estimate.has_unanswered() && !estimate.has_been_answered());
        report(&mut estimate, t, 0.1, ReportAbout::Accepted, None);
        assert_eq!(seen(&estimate), (true, false, false));
        assert_eq!(estimate.rests_at(), None, "it is on its way");
        let mut estimate = accepted(t, 0.2);
        assert_eq!((seen(&estimate), estimate.best_position()), ((true, true, false), Some(at(0.2))));
        assert!(!estimate.has_unanswered() && !estimate.is_elsewhere(at(0.2), 0.01));
        let asked = TeleopConfig { can_ask: true, ..config.clone() };
        assert!(estimate.reports(&asked));
        observe(&mut estimate, t, 0.205, None);
        assert_eq!(seen(&estimate), (true, true, false));
        assert_eq!(estimate.rests_at(), None, "it reports only what is asked");
        report(&mut estimate, t, 0.205, ReportAbout::Unasked, None);
        assert_eq!(seen(&estimate), (true, true, true));
        assert!(!estimate.is_elsewhere(at(0.2), 0.01) && estimate.is_elsewhere(at(0.2), 0.001));
        assert_eq!(estimate.rests_at(), Some(t + REST_TIME));
        report(&mut estimate, t, 0.1, ReportAbout::Accepted, None);
        assert!(!estimate.is_elsewhere(at(0.2), 0.01), "it is on its way");
        observe(&mut estimate, t, 0.1, Some(false));
        assert_eq!(estimate.rests_at(), None);
    }

    #[test]
    fn only_a_controller_that_answers_all_is_asked() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        assert_eq!(estimate.question_due_at(t, &config), None);
        observe(&mut estimate, t, 0.1, Some(true));
        assert_eq!(estimate.question_due_at(t, &config), None, "it cannot be asked");
        let config = TeleopConfig { can_ask: true, ..config };
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_sent(t, to(0.2));
        assert_eq!(estimate.question_due_at(t, &config), None, "a line is unanswered");
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_asked(t);
        estimate.handle_answer(t, true);
        assert_eq!(estimate.question_due_at(t, &config), None, "it does not say");
        observe(&mut estimate, t, 1.5, Some(false));
        assert_eq!(estimate.question_due_at(t, &config), Some(t + ASK_LATER), "outside");
        observe(&mut estimate, t, 0.2, Some(false));
        assert_eq!(estimate.question_due_at(t, &config), None, "it is known");
        estimate.handle_report(t, other_arm(0.3, Some(false)), false, &config);
        assert_eq!(estimate.question_due_at(t, &config), Some(t + ASK_LATER), "apart");
    }

    #[test]
    fn person_is_needed_where_no_report_can_help() {
        let elsewhere = [PositionUnknown::Lags(0.2), PositionUnknown::Moved(at(0.1))];
        for unknown in &elsewhere {
            assert!(unknown.needs_person(false) && !unknown.needs_person(true), "{unknown:?}");
        }
        for reports in [false, true] {
            assert!(!PositionUnknown::Awaited.needs_person(reports));
            let age = Duration::from_secs(301);
            for unknown in [
                PositionUnknown::NotReported,
                PositionUnknown::Outdated { age, timeout: Duration::from_secs(300) },
                PositionUnknown::TurningNotReported,
                PositionUnknown::Doubtful(Doubt::Zero),
                PositionUnknown::Apart(0.1),
                PositionUnknown::Outside(at(1.5)),
            ] {
                assert!(unknown.needs_person(reports), "{unknown:?}");
            }
        }
    }

    #[test]
    fn command_before_a_stop_line_is_not_repeated() {
        let (t, config) = (Instant::now(), TeleopConfig { can_ask: true, ..config() });
        let mut estimate = accepted(t, 0.2);
        estimate.handle_answer(t, true);
        estimate.handle_stop_sent();
        estimate.handle_stop_answered(false);
        assert_eq!(estimate.repeatable(), None);
        assert_eq!(
            estimate.check(t, &config),
            Err(PositionUnknown::Awaited),
            "it may have stopped on its way"
        );
    }
}
