//! The estimate of the arm's position. Only this module decides where the arm is, and whether its
//! position is known.
//!
//! The bridge learns the position in three ways:
//! - The controller *reports* it: in a reply, or in an unsolicited message.
//! - The controller *accepts* a command. The arm then moves to the position of that command.
//! - The operator lets the bridge *assume* a position: with `arm.assume_position`, or with two
//!   calls of `~/set_armed`.
//!
//! A report or an accepted command counts only within its *session*. A session begins with a
//! connection. It ends if the connection ends, for example because the machine slept. It also ends
//! if another controller joins, the controller reports a fault, the bridge disarms, or the arm is
//! exchanged. The reason: after that, the arm may have been moved, homed or exchanged. If the
//! controller does not reply in time, its earlier reports no longer count, but the session goes on.
//!
//! Invariants:
//! - The position is *known* if the controller has reported it or accepted a command in this
//!   session, within the last `arm.position_timeout`. It is *assumed* if the operator states it.
//!   Otherwise it is unknown.
//! - No motion begins while the position is unknown. If the bridge can request the position, it
//!   does so before each motion, and the motion waits for the reply.
//! - If a reported position is at most `arm.position_tolerance` away from the last accepted
//!   command, the arm counts as being at that command. If it is farther away, something else has
//!   moved the arm. Then no motion begins until reports show that the arm is at rest.
//! - A report in [doubt](Doubt) starts no motion. The doubt ends with the next plausible report of
//!   the same arm, or if the operator assumes a position.
//! - No motion begins while a line is unanswered, or before the arm has had the time to come back
//!   from a rejected command.
//! - After a rejection, the motion continues from the last accepted command. If a report shows the
//!   arm at rest elsewhere, or farther away than `limits.following_error`, the motion begins again.
//! - If a controller sends unsolicited reports regularly and then becomes silent, no motion begins
//!   before its next report.
//! - Only the last command may be repeated. The controller must have accepted it, and no report may
//!   show the arm elsewhere or moving. After a stop line or the end of the session it is not
//!   repeated. If the bridge can request the position, it does so before the repetition.

use std::time::{Duration, Instant};

use super::config::{AssumedPosition, OrientationConfig, TeleopConfig};
use super::doubt::Doubt;
use super::following::FollowingError;
use crate::arm::Command;
use crate::geometry::{Orientation, Position};

/// The commands of this connection, and what is known of the arm's position.
#[derive(Debug, Default)]
pub(super) struct ArmEstimate {
    last_sent: Option<(Instant, Command)>,
    /// When the first of the commands with the position of the last command was sent.
    position_sent_at: Option<Instant>,
    /// How many lines, including stop lines, are unanswered.
    unanswered: u32,
    /// The last answered command, if the controller has accepted it.
    accepted: Option<Command>,
    /// The motion has ended, or restarts after a rejection, and no command has been sent since.
    is_interrupted: bool,
    /// Since the last command, nothing has happened that makes a repetition unsafe.
    undisturbed: bool,
    session: Session,
    following: FollowingError,
    /// The pose of the arm at the end of the last session, if it was known.
    former: Option<Pose>,
    /// The arm may no longer be where it was when the bridge started.
    left_start: bool,
    /// The controller has sent an unsolicited report. After a lost connection the bridge waits for
    /// its next report.
    reports_unasked: bool,
}

/// What is known of the arm in this session.
#[derive(Debug, Default)]
struct Session {
    /// The pose of the last accepted command, and when the controller accepted it.
    commanded: Option<(Instant, Pose)>,
    /// The newest plausible report of each arm. If several controllers connect to the bridge, each
    /// has its own arm.
    reports: Vec<Report>,
    /// The arms whose last report is in doubt.
    doubts: Vec<(u64, Doubt)>,
    assumed: Option<Pose>,
    /// When the controller last replied to a position request, or sent an unsolicited report, while
    /// no line was unanswered.
    idle_reply_at: Option<Instant>,
    /// When the controller last replied to a position request, or reported a position. Lines may
    /// have been unanswered.
    replied_at: Option<Instant>,
    /// When the last position request was sent.
    asked_at: Option<Instant>,
    is_asking: bool,
    /// How the arm deviates from its commands. It stays set until a report shows the arm at rest.
    deviation: Option<Deviation>,
    /// How many of the unanswered lines were sent in an earlier session. Their replies come first.
    earlier: u32,
}

/// The position of the tool centre point, and the orientation of the tool if it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pose {
    position: Position,
    orientation: Option<Orientation>,
}

#[derive(Debug, Clone, Copy)]
struct Report {
    /// The number of the arm.
    arm: u64,
    at: Instant,
    pose: Pose,
    moving: Option<bool>,
    /// Since when all reports have shown the arm at `here`.
    here_since: Instant,
    here: Position,
    /// The report shows where the arm is, because the arm does not follow a command at this time.
    /// A report in the reply that accepts a command is different, because the arm then moves to
    /// that command.
    observed: bool,
    /// The report came after the controller accepted the last command.
    is_newer: bool,
    /// The report came in the reply that accepts a command. The arm may not have started to move
    /// yet.
    of_command: bool,
    /// The report was unsolicited.
    unasked: bool,
    /// How many unsolicited reports in a row were the same as the one before.
    repeats: u32,
    /// The last time between two reports, if the controller reports regularly. `None` if it may
    /// report only changes.
    period: Option<Duration>,
    rests: bool,
}

/// The facts that decide how a report is interpreted.
#[derive(Debug, Clone, Copy)]
struct ReportBasis {
    /// The arm is following accepted commands.
    follows: bool,
    /// The controller has accepted a command in this session.
    is_commanded: bool,
    /// The reported position is farther from the last accepted command than
    /// `limits.following_error`.
    is_far: bool,
}

/// The kind of line with which a report came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportAbout {
    /// The reply accepts a command. The arm moves to it.
    Accepted,
    /// The reply to a stop line: the controller has stopped the arm.
    Stopped,
    /// The reply rejects a command. The arm may still be moving to an earlier command.
    Refused,
    /// A reply to another line: to a heartbeat, or to a stop line that the controller rejects.
    Observed,
    /// An unsolicited report. The controller will also report the next change of the position.
    Unasked,
}

/// A position that a controller has reported.
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
    /// The arm is this far behind its commands, in metres.
    Lags(f64),
    /// The arm is at this position instead, or moves without a command.
    Moved(Position),
}

/// The reason why the position of the arm is unknown, or why no motion may begin from it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PositionUnknown {
    /// The reply to the position request has not come yet, or a regular report is overdue.
    #[error("waiting for the controller to report where the arm is")]
    Awaited,
    /// The controller has neither reported a position nor accepted a command in this session.
    #[error("this controller has not reported where the arm is")]
    NotReported,
    /// The last accepted command or reported position is older than `arm.position_timeout`.
    #[error(
        "this controller has neither reported where the arm is nor accepted a command for {:.0} s, longer than \
         arm.position_timeout ({:.0} s)", age.as_secs_f64(), timeout.as_secs_f64()
    )]
    #[allow(missing_docs)]
    Outdated { age: Duration, timeout: Duration },
    /// Commands contain an orientation, but the controller does not report one.
    #[error("this controller does not report the orientation of the tool")]
    OrientationNotReported,
    /// The newest report is in doubt.
    #[error("{0}")]
    Doubtful(Doubt),
    /// Two arms that receive the same commands are this far apart, in metres.
    #[error("the controllers report positions {0:.3} m apart; move the arms to the same position")]
    Apart(f64),
    /// The arm is at this position, outside the workspace.
    #[error("the arm is at {0} m, outside the workspace; move it inside, or widen workspace.*")]
    Outside(Position),
    /// The arm is this far behind its commands, in metres.
    #[error(
        "the arm is {0:.3} m behind its commands, more than limits.following_error; is it blocked, or slower than limits.speed?"
    )]
    Lags(f64),
    /// The arm is at this position instead of at its last command, and no report has shown it at
    /// rest.
    #[error("something else moves the arm: it is at {0} m, not at its last command; waiting until it rests")]
    Moved(Position),
}

impl Report {
    /// Creates the entry for the first report of an arm. [`Report::handle`] must then handle that
    /// report.
    fn new(now: Instant, reported: &Reported) -> Self {
        let Reported { arm, position, orientation, moving, .. } = *reported;
        Self {
            arm,
            at: now,
            pose: Pose { position, orientation },
            moving,
            here_since: now,
            here: position,
            observed: false,
            is_newer: false,
            of_command: false,
            unasked: false,
            repeats: 0,
            period: None,
            rests: false,
        }
    }

    /// Handles the next report of the same arm.
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
            (ReportAbout::Refused, None) if !basis.is_commanded => true,
            (ReportAbout::Refused | ReportAbout::Observed | ReportAbout::Unasked, None) => {
                now.saturating_duration_since(self.here_since) >= REST_TIME
            }
        };
        self.observed = match about {
            ReportAbout::Accepted => false,
            // A rejection ends the motion. The arm may be at rest, or may still follow an earlier
            // command.
            ReportAbout::Refused => self.rests || (moving == Some(true) && !basis.follows) || basis.is_far,
            ReportAbout::Stopped | ReportAbout::Observed | ReportAbout::Unasked => !basis.follows,
        };
        if about == ReportAbout::Unasked {
            self.handle_unasked(now, position, moving);
        }
        let orientation = orientation.or(self.pose.orientation.filter(|_| self.rests));
        (self.at, self.pose, self.moving) = (now, Pose { position, orientation }, moving);
        self.unasked = about == ReportAbout::Unasked;
        self.of_command = about == ReportAbout::Accepted;
        self.is_newer = !self.of_command;
    }

    /// Uses the next unsolicited report to detect whether the controller reports regularly, and how
    /// often.
    fn handle_unasked(&mut self, now: Instant, position: Position, moving: Option<bool>) {
        let since = now.saturating_duration_since(self.at);
        let is_same = self.unasked && (self.pose.position, self.moving) == (position, moving);
        self.repeats = if is_same && since <= LONGEST_PERIOD { self.repeats + 1 } else { 0 };
        if self.repeats >= REPEATS {
            self.period = Some(since);
        }
    }

    /// Returns whether the controller reports regularly, but its next report is overdue.
    fn is_overdue(&self, now: Instant) -> bool {
        let limit = self.period.map(|period| FRESH.max(OVERDUE * period));
        self.unasked && limit.is_some_and(|limit| now.saturating_duration_since(self.at) > limit)
    }
}

impl PositionUnknown {
    /// Returns whether only the operator can resolve this. `reports` states whether the controller
    /// reports the position, either on request or unsolicited.
    pub(super) fn needs_operator(&self, reports: bool) -> bool {
        match self {
            Self::Awaited => false,
            Self::NotReported | Self::Outdated { .. } | Self::OrientationNotReported => true,
            Self::Doubtful(_) | Self::Apart(_) | Self::Outside(_) => true,
            Self::Lags(_) | Self::Moved(_) => !reports,
        }
    }
}

impl ArmEstimate {
    /// Creates an estimate without a connection.
    pub(super) fn new(config: &TeleopConfig) -> Self {
        let mut estimate = Self::default();
        estimate.renew_session(config);
        estimate
    }

    /// Records a command that has been sent.
    pub(super) fn handle_sent(&mut self, now: Instant, command: Command) {
        self.unanswered += 1;
        if self.last_sent.is_none_or(|(_, last)| last.position != command.position) {
            self.position_sent_at = Some(now);
        }
        self.last_sent = Some((now, command));
        (self.undisturbed, self.left_start, self.is_interrupted) = (true, true, false);
        self.session.idle_reply_at = None;
    }

    /// Records a stop line that has been sent.
    pub(super) fn handle_stop_sent(&mut self) {
        self.unanswered += 1;
        self.session.idle_reply_at = None;
        self.forbid_repetition();
    }

    /// Records that the controller has accepted a command.
    pub(super) fn handle_acknowledged(&mut self, now: Instant, command: &Command) {
        self.accepted = Some(*command);
        if self.handle_answered_line() {
            // This command shows where the arm was at the end of that earlier session.
            let Command { position, orientation, .. } = *command;
            let former = self.former.replace(Pose { position, orientation });
            if self.session.assumed.is_some() && self.session.assumed == former {
                self.session.assumed = self.former;
            }
            return;
        }
        let orientation = command.orientation.or(self.best().and_then(|pose| pose.orientation));
        self.session.commanded = Some((now, Pose { position: command.position, orientation }));
        for report in &mut self.session.reports {
            (report.observed, report.is_newer) = (false, false);
        }
    }

    /// Counts a reply. Returns whether its line was sent in an earlier session. Then the reply
    /// states nothing about this session.
    fn handle_answered_line(&mut self) -> bool {
        self.unanswered = self.unanswered.saturating_sub(1);
        let is_earlier = self.session.earlier > 0;
        self.session.earlier = self.session.earlier.saturating_sub(1);
        is_earlier
    }

    /// Records that the controller has rejected a command, or that the command or its reply was
    /// lost.
    pub(super) fn handle_rejected(&mut self) {
        self.handle_answered_line();
        self.accepted = None;
        self.handle_interrupted();
    }

    /// Records that a motion ends or restarts. If a report after the last accepted command shows
    /// the arm at rest, the arm no longer follows that command.
    pub(super) fn handle_interrupted(&mut self) {
        self.is_interrupted = true;
        for report in &mut self.session.reports {
            report.observed |= report.rests && report.is_newer;
        }
    }

    /// Records that the reply to a stop line has come, or that the stop line or its reply was lost.
    /// `reported`: the reply contained the position at which the arm has stopped.
    pub(super) fn handle_stop_answered(&mut self, reported: bool) {
        self.handle_answered_line();
        if reported {
            self.session.commanded = None;
        }
    }

    /// Handles a position that a controller reports. `in_motion`: the present motion has sent its
    /// first command.
    pub(super) fn handle_report(
        &mut self,
        now: Instant,
        reported: Reported,
        in_motion: bool,
        config: &TeleopConfig,
    ) {
        let Reported { arm, about, position, .. } = reported;
        self.reports_unasked |= about == ReportAbout::Unasked;
        self.session.replied_at = Some(now);
        let known = self.best().or(self.former).map(|pose| pose.position);
        if let Err(doubt) = Doubt::check(position, known, config.position_tolerance, &config.workspace) {
            return self.handle_doubt(arm, doubt);
        }
        self.session.doubts.retain(|(doubtful, _)| *doubtful != arm);
        // A report of the controller replaces the position that `arm.assume_position: home` assumed
        // at the start.
        self.left_start = true;
        // In motion the arm is behind its commands. The next command must not lead back to the
        // reported position.
        let follows = in_motion && self.session.commanded.is_some() && !self.is_interrupted;
        let basis = ReportBasis {
            follows,
            is_commanded: self.session.commanded.is_some(),
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

    /// Returns whether `position` is farther from the last accepted command than
    /// `limits.following_error`.
    fn is_far(&self, position: Position, config: &TeleopConfig) -> bool {
        let limit = config.following.distance;
        let distance = self.session.commanded.map(|(_, pose)| pose.position.distance(position));
        limit > 0.0 && distance.is_some_and(|distance| distance > limit)
    }

    /// Compares a report with the last command, and records a deviation.
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
        // An arm at rest is not on its way, whatever the last command was.
        let is_at_rest = moving == Some(false) && !in_motion;
        let has_arrived =
            is_at_rest || self.position_sent_at.is_none_or(|at| now.saturating_duration_since(at) > travel);
        let is_away = distance > config.position_tolerance || (moving == Some(true) && !in_motion);
        // The reply to a repeated command shows whether the arm has stayed at that command.
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

    /// Records a report that is in doubt. Ignores it if the operator has assumed a position and the
    /// controller has not accepted a command since.
    pub(super) fn handle_doubt(&mut self, arm: u64, doubt: Doubt) {
        if self.session.assumed.is_none() || self.session.commanded.is_some() {
            self.session.doubts.retain(|(doubtful, _)| *doubtful != arm);
            self.session.doubts.push((arm, doubt));
        }
    }

    /// Records that a position request has been sent.
    pub(super) fn handle_asked(&mut self, now: Instant) {
        (self.session.asked_at, self.session.is_asking) = (Some(now), true);
    }

    /// Records the reply to a position request, with or without a position, or an unsolicited
    /// report. If `came` is false, the request or its reply was lost.
    pub(super) fn handle_answer(&mut self, now: Instant, came: bool) {
        self.session.is_asking = false;
        if came {
            self.session.replied_at = Some(now);
        }
        if came && self.unanswered == 0 {
            self.session.idle_reply_at = Some(now);
        }
    }

    /// Forbids a repetition of the last command, because something else may move the arm from now
    /// on.
    pub(super) fn forbid_repetition(&mut self) {
        self.undisturbed = false;
    }

    /// Stores the pose of the arm for the time after this session.
    fn keep_pose(&mut self, config: &TeleopConfig) {
        // If something else moves the arm, it does not stay at its last reported position. If the
        // arm lags, it is not at its last command.
        let is_on_its_way = |report: &Report| {
            let observe_in =
                self.session.commanded.map(|(_, pose)| pose.position.distance(report.pose.position));
            let is_there = observe_in.is_some_and(|distance| distance <= config.position_tolerance);
            report.observed && (report.moving == Some(true) || !report.rests && !is_there)
        };
        let is_moved = self.session.deviation.is_some() || self.session.reports.iter().any(is_on_its_way);
        // An assumed pose is not a known pose.
        let assumed = self.session.assumed.take();
        self.former = self.best_within(config.position_tolerance).or(self.former).filter(|_| !is_moved);
        self.session.assumed = assumed;
    }

    /// Ends the session. The position of the arm is then unknown, unless `arm.assume_position`
    /// states it.
    pub(super) fn renew_session(&mut self, config: &TeleopConfig) {
        self.keep_pose(config);
        let assumed = match config.assume_position {
            AssumedPosition::None => None,
            AssumedPosition::Home => Some(home(config)).filter(|_| !self.left_start),
            AssumedPosition::Last => self.former.filter(|_| !self.reports_unasked),
        };
        self.session = Session { assumed, earlier: self.unanswered, ..Session::default() };
        self.following.reset();
        self.forbid_repetition();
    }

    /// Ends the session, and forgets the commands that were sent on the closed connection.
    pub(super) fn handle_link_down(&mut self, config: &TeleopConfig) {
        self.renew_session(config);
        (self.last_sent, self.position_sent_at, self.unanswered, self.accepted) = (None, None, 0, None);
        self.session.earlier = 0;
    }

    /// Forgets all reports from before a silence of the controller, because the arm may have moved
    /// during the silence.
    pub(super) fn handle_silence(&mut self, config: &TeleopConfig) {
        // If a report showed the arm away from the last accepted command, that command must not
        // count again.
        self.handle_start(config);
        self.keep_pose(config);
        if self.reports_unasked {
            self.session.assumed = None;
        }
        self.session.reports.clear();
        self.session.idle_reply_at = None;
    }

    /// Forgets everything, because the arm or the meaning of positions has changed.
    pub(super) fn handle_other_arm(&mut self) {
        *self = Self { left_start: true, ..Self::default() };
    }

    /// Forgets the position that was assumed at the start, because it was set for an earlier run of
    /// the bridge.
    pub(super) fn forget_start(&mut self) {
        (self.left_start, self.session.assumed) = (true, None);
    }

    /// Assumes that the arm is at `arm.home`, or moves there with the first command, because the
    /// operator has confirmed it.
    pub(super) fn assume_home(&mut self, config: &TeleopConfig) {
        let Session { idle_reply_at, asked_at, is_asking, earlier, .. } = self.session;
        let assumed = Some(home(config));
        self.session = Session { assumed, idle_reply_at, asked_at, is_asking, earlier, ..Session::default() };
        self.forbid_repetition();
    }

    /// Starts to watch the following error of a motion.
    pub(super) fn handle_motion_begun(&mut self) {
        self.following.reset();
    }

    /// Records that the first command of a motion is about to be sent. If the motion begins at a
    /// reported position, the last accepted command no longer shows where the arm is.
    pub(super) fn handle_start(&mut self, config: &TeleopConfig) {
        let start = self.best_position_within(config.position_tolerance);
        let is_there = |pose: &Pose| {
            start.is_some_and(|start| start.distance(pose.position) <= config.position_tolerance)
        };
        self.session.commanded = self.session.commanded.filter(|(_, pose)| is_there(pose));
    }

    fn best_position_within(&self, tolerance: f64) -> Option<Position> {
        self.best_within(tolerance).map(|pose| pose.position)
    }

    /// Returns the known or assumed position of the arm.
    pub(super) fn best_position(&self) -> Option<Position> {
        self.best().map(|pose| pose.position)
    }

    /// Returns the position at which a motion begins. If the arm is at most
    /// `arm.position_tolerance` outside the workspace, the position is inside. If the position of
    /// the arm is unknown, returns `arm.home`.
    pub(super) fn position(&self, config: &TeleopConfig) -> Position {
        let Some(Pose { position, .. }) = self.best_within(config.position_tolerance) else {
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

    /// Returns the orientation of the tool, or its orientation at home if it is unknown.
    pub(super) fn orientation(&self, config: &OrientationConfig) -> Orientation {
        self.best().and_then(|pose| pose.orientation).unwrap_or(config.home)
    }

    fn best(&self) -> Option<Pose> {
        self.best_within(f64::EPSILON)
    }

    /// Returns the pose of the arm. If a report shows the arm within `tolerance` of its last
    /// accepted command, the arm counts as being at that command.
    fn best_within(&self, tolerance: f64) -> Option<Pose> {
        let Session { commanded, reports, assumed, .. } = &self.session;
        let seen = reports.iter().find(|report| report.observed).map(|report| report.pose);
        // If a report is near the last pose of an earlier session, that pose counts as the last
        // accepted command. Otherwise an arm that sags would sink a little with each session.
        let is_near =
            |former: &Pose| seen.is_some_and(|seen| seen.position.distance(former.position) <= tolerance);
        let former = || self.former.filter(is_near).map(|former| Pose { orientation: None, ..former });
        let commanded = commanded.map(|(_, pose)| pose).or_else(former);
        let pose = match (commanded, seen) {
            (Some(commanded), Some(seen)) if commanded.position.distance(seen.position) <= tolerance => {
                commanded
            }
            (_, Some(seen)) => seen,
            (Some(commanded), None) => commanded,
            (None, None) => (*assumed)?,
        };
        let orientation = pose
            .orientation
            .or(commanded.and_then(|pose| pose.orientation))
            .or(seen.and_then(|seen| seen.orientation))
            .or(assumed.and_then(|pose| pose.orientation));
        Some(Pose { orientation, ..pose })
    }

    /// Checks whether a motion may begin from the present position.
    ///
    /// # Errors
    /// [`PositionUnknown`] states what prevents the motion.
    pub(super) fn check(&self, now: Instant, config: &TeleopConfig) -> Result<(), PositionUnknown> {
        if config.can_ask && !self.is_answered(now) {
            return Err(PositionUnknown::Awaited);
        }
        self.check_known(now, config)
    }

    /// Checks whether the position is known, even if the bridge has not requested it just now.
    ///
    /// # Errors
    /// [`PositionUnknown`] states why it is unknown, or why no motion may begin from it.
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
            let position = report.pose.position;
            let apart = observed().map(|other| other.pose.position.distance(position)).fold(0.0, f64::max);
            // If something else moves the arm, the arm may just pass the position of its last
            // command.
            let is_there = report.moving != Some(true)
                && commanded.is_some_and(|(_, pose)| pose.position.distance(position) <= tolerance);
            // This controller may report only changes, and has not reported a change since.
            let silent = report.unasked && now.saturating_duration_since(report.at) >= REST_TIME;
            let rests = report.rests || (silent && report.moving != Some(true));
            if report.moving == Some(true) || (!is_there && !rests) {
                return Err(Moved(position));
            }
            if apart > 2.0 * tolerance {
                return Err(Apart(apart));
            }
        }
        // With `arm.assume_position: last` the operator states that the arm stays where it was.
        let is_outdated = |at: Instant| {
            config.assume_position != AssumedPosition::Last
                && now.saturating_duration_since(at) > config.position_timeout
        };
        let known_at = observed().map(|report| report.at).max().or(commanded.map(|(at, _)| at));
        match known_at {
            // If the bridge can request the position, the controller has just replied.
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
        let orientation = self.best_within(tolerance).and_then(|pose| pose.orientation);
        if config.orientation.is_some() && orientation.is_none() {
            return Err(OrientationNotReported);
        }
        Ok(())
    }

    /// Returns the deviation of the arm from its commands as an error, also during a motion.
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
        self.session.idle_reply_at.is_some_and(|at| now.saturating_duration_since(at) <= FRESH)
    }

    /// Returns whether the controller will report the position while the bridge sends no commands.
    pub(super) fn reports(&self, config: &TeleopConfig) -> bool {
        config.can_ask || self.session.reports.iter().any(|report| report.observed && report.unasked)
    }

    /// Returns whether a motion continues from the last accepted command of this session. If a
    /// rejection has interrupted the motion, it continues only if the best estimate is that
    /// command: the arm is there, or on its way there.
    pub(super) fn goes_on(&self, tolerance: f64) -> bool {
        if !self.is_interrupted {
            return true;
        }
        let commanded = self.session.commanded.map(|(_, pose)| pose.position);
        commanded.is_some_and(|position| self.best_position_within(tolerance) == Some(position))
    }

    /// Returns whether the controller has replied or reported in this session.
    pub(super) fn has_been_answered(&self) -> bool {
        self.session.idle_reply_at.is_some()
            || self.session.commanded.is_some()
            || !self.session.reports.is_empty()
    }

    /// Returns when to request the position, if a motion has to wait for it. `None` if no request
    /// would help.
    pub(super) fn question_due_at(&self, now: Instant, config: &TeleopConfig) -> Option<Instant> {
        if !config.can_ask || self.unanswered > 0 || self.session.is_asking {
            return None;
        }
        let after_last_request = |after| self.session.asked_at.map_or(now, |at| at + after);
        match self.check(now, config) {
            Err(PositionUnknown::Awaited) => Some(now),
            Err(PositionUnknown::Moved(_) | PositionUnknown::Lags(_)) => Some(after_last_request(ASK_AGAIN)),
            Err(PositionUnknown::Doubtful(_) | PositionUnknown::Apart(_) | PositionUnknown::Outside(_)) => {
                Some(after_last_request(ASK_LATER))
            }
            // The controller has received a request, and does not report the position.
            Err(
                PositionUnknown::NotReported
                | PositionUnknown::Outdated { .. }
                | PositionUnknown::OrientationNotReported,
            )
            | Ok(()) => None,
        }
    }

    /// Returns when the position becomes known if the controller reports no change until then.
    pub(super) fn rests_at(&self) -> Option<Instant> {
        let waits = |report: &&Report| report.unasked && report.observed && !report.rests;
        self.session.reports.iter().filter(waits).map(|report| report.at + REST_TIME).max()
    }

    /// Returns the last command of this connection, and when it was sent.
    pub(super) fn last_sent(&self) -> Option<(Instant, Command)> {
        self.last_sent
    }

    /// Returns the last command if it may be repeated. The caller must first request the position
    /// if [`ArmEstimate::check_due_at`] is due.
    pub(super) fn repeatable(&self) -> Option<Command> {
        self.accepted.filter(|_| self.undisturbed && self.unanswered == 0)
    }

    /// Returns whether a report shows that the arm moves. Ignores reports in replies that accept a
    /// command.
    pub(super) fn is_seen_moving(&self) -> bool {
        self.session.reports.iter().any(|report| !report.of_command && report.moving == Some(true))
    }

    /// Returns when to request the position before the last command is repeated. The time may be in
    /// the past. `None` if the bridge cannot request it.
    pub(super) fn check_due_at(&self, now: Instant, config: &TeleopConfig) -> Option<Instant> {
        let after = if self.is_seen_moving() { ASK_AGAIN } else { FRESH };
        let due = self.session.replied_at.map_or(now, |at| at + after);
        config.can_ask.then_some(due)
    }

    /// Returns whether the reply to a position request is outstanding.
    pub(super) fn is_asking(&self) -> bool {
        self.session.is_asking
    }

    /// Returns whether a report shows the arm farther than `tolerance` (metres) from `position`.
    /// Counts reports since the controller accepted the last command, and reports of an arm at rest
    /// since that command was sent.
    pub(super) fn is_elsewhere(&self, position: Position, tolerance: f64) -> bool {
        let rests = |report: &Report| {
            let is_later = self.last_sent.is_some_and(|(sent_at, _)| report.at > sent_at);
            is_later && !report.of_command && report.moving == Some(false)
        };
        self.session.reports.iter().any(|report| {
            (report.is_newer || rests(report)) && report.pose.position.distance(position) > tolerance
        })
    }

    /// Returns whether a line is unanswered.
    pub(super) fn has_unanswered(&self) -> bool {
        self.unanswered > 0
    }

    /// Returns when the first command of a motion may be sent. `None` while a line is unanswered,
    /// because the position is known only after all replies.
    pub(super) fn may_begin_at(&self, now: Instant, config: &TeleopConfig) -> Option<Instant> {
        if self.unanswered > 0 {
            return None;
        }
        let since = |(sent_at, sent)| self.back_at(sent_at, sent, config).max(sent_at + config.ramp_period());
        Some(self.last_sent.map_or(now, since))
    }

    /// Returns since when the arm counts as being at rest, if a command was sent before.
    pub(super) fn at_rest_since(&self, config: &TeleopConfig) -> Option<Instant> {
        self.last_sent.map(|(sent_at, sent)| self.back_at(sent_at, sent, config))
    }

    /// Returns when the arm has had the time to come back from the last command, which the
    /// controller may have rejected. With this wait, the step from that command to the next command
    /// keeps the speed limits too.
    fn back_at(&self, sent_at: Instant, sent: Command, config: &TeleopConfig) -> Instant {
        let way = self.position(config).distance(sent.position) / config.approach_limits().speed;
        let turn = config
            .orientation
            .zip(sent.orientation)
            .map_or(0.0, |(config, sent)| self.orientation(&config).angle_to(sent) / config.speed);
        sent_at + Duration::from_secs_f64(way.max(turn).min(MAX_WAIT))
    }
}

/// Returns the pose of the arm at home.
fn home(config: &TeleopConfig) -> Pose {
    Pose { position: config.home, orientation: config.orientation.map(|orientation| orientation.home) }
}

/// How long a reply to a position request remains valid for the start of a motion.
const FRESH: Duration = Duration::from_millis(500);
/// A controller counts as reporting regularly after this many equal reports in a row. Each must
/// come at most [`LONGEST_PERIOD`] after the report before it.
const REPEATS: u32 = 5;
const LONGEST_PERIOD: Duration = Duration::from_secs(2);
/// A regular report is overdue after this many periods.
const OVERDUE: u32 = 4;
/// Pause before the next position request while the arm is not at rest.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Pause before the next position request after a report that prevents a motion.
const ASK_LATER: Duration = Duration::from_secs(1);
/// How long an arm has to stay in place to count as at rest, if the controller does not report
/// whether it moves.
const REST_TIME: Duration = Duration::from_millis(200);
/// The largest distance between reports of an arm that stays in place, in metres.
const STILL: f64 = 0.002;
/// Longer than any movement in any workspace at a sensible speed, in seconds. Keeps the arithmetic
/// finite.
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

    /// Returns an estimate after an accepted command to `x`.
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
    fn position_is_unknown_until_reported() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::NotReported));
        assert_eq!(estimate.position(&config), config.home);
        observe(&mut estimate, t, 0.1, Some(false));
        assert_eq!(estimate.check(t, &config), Ok(()));
        assert_eq!(estimate.position(&config), at(0.1));
    }

    #[test]
    fn accepted_command_outweighs_report_in_its_reply() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_sent(t, to(0.2));
        report(&mut estimate, t, 0.15, ReportAbout::Accepted, None);
        assert_eq!(estimate.best_position(), None, "the arm may be on its way");
        estimate.handle_acknowledged(t, &to(0.2));
        assert_eq!(estimate.position(&config), at(0.2));
        observe(&mut estimate, t, 0.1, Some(false));
        estimate.handle_sent(t, to(0.11));
        estimate.handle_acknowledged(t, &to(0.11));
        assert_eq!(estimate.position(&config), at(0.11), "the report is older than the command");
        assert_eq!(estimate.check(t + config.position_timeout, &config), Ok(()));
    }

    #[test]
    fn accepted_command_is_valid_until_timeout() {
        let (t, config) = (Instant::now(), config());
        let estimate = accepted(t, 0.2);
        assert_eq!(estimate.check(t + config.position_timeout, &config), Ok(()));
        let late = t + config.position_timeout + MS;
        assert!(matches!(estimate.check(late, &config), Err(PositionUnknown::Outdated { .. })));
        let last = TeleopConfig { assume_position: AssumedPosition::Last, ..config };
        assert_eq!(estimate.check(late, &last), Ok(()), "the operator states that the arm stays there");
    }

    #[test]
    fn report_near_command_counts_as_command() {
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
    fn report_far_from_command_counts_at_rest() {
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
        assert!(check(&mut estimate, t + 300 * MS).is_err(), "the arm moves again");
        observe(&mut estimate, t + 300 * MS, 0.105, Some(true));
        assert!(check(&mut estimate, t + 600 * MS).is_err(), "the controller reports movement");
        observe(&mut estimate, t + 600 * MS, 0.1, Some(false));
        assert_eq!(check(&mut estimate, t + 600 * MS), Ok(()), "the controller reports rest");
    }

    #[test]
    fn report_of_change_counts_after_rest_time() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 0.1, None);
        assert!(
            estimate.check(t + 9 * REST_TIME, &config).is_err(),
            "the controller reports only on request"
        );
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
    fn motion_waits_for_reply_to_position_request() {
        let (t, config) = (Instant::now(), TeleopConfig { can_ask: true, ..config() });
        let mut estimate = accepted(t, 0.2);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::Awaited));
        assert_eq!(estimate.question_due_at(t, &config), Some(t));
        estimate.handle_asked(t);
        assert_eq!(estimate.question_due_at(t, &config), None, "a request has been sent");
        estimate.handle_answer(t + MS, false);
        assert_eq!(estimate.question_due_at(t + MS, &config), Some(t + MS), "the reply was lost");
        estimate.handle_answer(t + 2 * MS, true);
        assert_eq!(estimate.check(t + 2 * MS, &config), Ok(()));
        assert_eq!(estimate.check(t + 2 * MS + FRESH, &config), Ok(()));
        assert_eq!(
            estimate.check(t + 3 * MS + FRESH, &config),
            Err(PositionUnknown::Awaited),
            "the reply is old"
        );
        estimate.handle_sent(t, to(0.3));
        estimate.handle_answer(t + 4 * MS, true);
        estimate.handle_acknowledged(t + 5 * MS, &to(0.3));
        assert_eq!(
            estimate.check(t + 5 * MS, &config),
            Err(PositionUnknown::Awaited),
            "the arm was on its way"
        );
    }

    #[test]
    fn repetition_ends_if_its_reply_shows_movement() {
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
    fn rejected_first_command_leaves_position_known() {
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
    fn moving_arm_delays_next_position_request() {
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
    fn doubtful_report_blocks_motion_until_good_report() {
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
        assert_eq!(estimate.check(t, &config), Ok(()), "the operator has assumed the position");
        observe(&mut estimate, t, 0.3, Some(false));
        assert_eq!(estimate.position(&config), at(0.3), "a good report replaces the assumed position");
    }

    #[test]
    fn report_outside_workspace_blocks_motion() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 1.5, Some(false));
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::Outside(at(1.5))));
        observe(&mut estimate, t, 1.009, Some(false));
        assert_eq!(
            (estimate.check(t, &config), estimate.position(&config)),
            (Ok(()), at(1.0)),
            "slightly outside"
        );
    }

    #[test]
    fn distant_arms_block_motion() {
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
    fn orientation_is_known_by_report_or_command() {
        let (t, config) = (Instant::now(), settings());
        let yaw = Orientation::from_rpy([0.0, 0.0, 1.0]);
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 0.2, Some(false));
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::OrientationNotReported));
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
        assert_eq!(
            estimate.check(t, &config),
            Ok(()),
            "the report has no orientation, but the command has one"
        );
        let mut estimate = ArmEstimate::new(&config);
        estimate.assume_home(&config);
        assert_eq!(estimate.check(t, &config), Ok(()));
    }

    #[test]
    fn stop_reply_sets_position_of_stopped_arm() {
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
    fn rejected_motion_keeps_command_until_rest() {
        let (t, config) = (Instant::now(), config());
        let refused = |estimate: &mut ArmEstimate, ms: u32, x, moving| {
            report(estimate, t + MS * ms, x, ReportAbout::Refused, moving);
            (estimate.position(&config).coordinates()[0], estimate.check(t + MS * ms, &config).is_ok())
        };
        // The controller has not accepted a command, so the arm is not on its way.
        assert_eq!(refused(&mut ArmEstimate::new(&config), 0, 0.15, None), (0.15, true));
        let mut estimate = accepted(t, 0.2);
        assert_eq!(refused(&mut estimate, 0, 0.15, None), (0.2, true), "the arm still follows");
        assert_eq!(refused(&mut estimate, 100, 0.16, None), (0.2, true));
        assert_eq!(refused(&mut estimate, 299, 0.16, None), (0.2, true));
        assert_eq!(refused(&mut estimate, 300, 0.16, None), (0.16, true), "the arm is at rest");
        let mut estimate = accepted(t, 0.2);
        assert_eq!(refused(&mut estimate, 0, 0.15, Some(false)), (0.15, true), "the controller reports rest");
        let mut estimate = accepted(t, 0.2);
        assert_eq!(
            refused(&mut estimate, 0, 0.04, None),
            (0.04, false),
            "farther than limits.following_error"
        );
    }

    #[test]
    fn motion_continues_from_accepted_command_after_rejection() {
        let (t, config) = (Instant::now(), config());
        let goes_on = |estimate: &ArmEstimate| estimate.goes_on(config.position_tolerance);
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_sent(t, to(0.2));
        assert!(goes_on(&estimate), "no command is rejected");
        estimate.handle_rejected();
        assert!(!goes_on(&estimate), "no command is accepted");
        let mut estimate = accepted(t, 0.2);
        estimate.handle_sent(t, to(0.21));
        estimate.handle_rejected();
        assert!(goes_on(&estimate));
        report(&mut estimate, t, 0.15, ReportAbout::Refused, Some(false));
        assert!(!goes_on(&estimate), "the arm rests elsewhere");
    }

    #[test]
    fn arm_is_elsewhere_by_later_or_resting_report() {
        let (t, config) = (Instant::now(), config());
        let is_elsewhere = |estimate: &ArmEstimate| estimate.is_elsewhere(at(0.2), config.position_tolerance);
        let mut estimate = accepted(t, 0.2);
        assert!(!is_elsewhere(&estimate));
        observe(&mut estimate, t + MS, 0.15, None);
        assert!(is_elsewhere(&estimate), "the report came later");
        for (moving, elsewhere) in [(Some(false), true), (Some(true), false), (None, false)] {
            let mut estimate = ArmEstimate::new(&config);
            estimate.handle_sent(t, to(0.2));
            observe(&mut estimate, t + MS, 0.15, moving);
            estimate.handle_acknowledged(t + MS, &to(0.2));
            assert_eq!(is_elsewhere(&estimate), elsewhere, "{moving:?}");
        }
    }

    #[test]
    fn position_request_ends_with_reply_or_loss() {
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
    fn rejected_arm_follows_within_following_error() {
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
        assert_eq!(begins_at(0.1, distance - 1e-6), at(0.1), "the arm cannot follow from there");
        assert_eq!(begins_at(0.1, 0.0), at(0.2), "no limit");
    }

    #[test]
    fn resting_arm_sets_position_after_rejection() {
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
    fn arm_lags_until_report_shows_rest() {
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
    fn movement_without_command_is_detected() {
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
        assert_eq!(seen(arrived, 0.2, Some(true), false), (false, false), "the arm moves without a command");
        assert_eq!(seen(arrived - MS, 0.23, None, true), (true, true), "the arm may still be on its way");
        assert_eq!(
            seen(arrived - MS, 0.23, Some(false), true),
            (true, true),
            "the arm has not started to move yet"
        );
        assert_eq!(seen(arrived - MS, 0.23, Some(false), false), (true, false), "the arm rests elsewhere");
        assert_eq!(seen(arrived, 0.2, Some(false), false), (true, true), "the arm rests at its command");
        assert_eq!(seen(arrived, 0.2, Some(true), true), (true, true), "the arm moves in motion");
    }

    #[test]
    fn end_of_session_makes_position_unknown() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = accepted(t, 0.2);
        observe(&mut estimate, t, 0.2, Some(false));
        estimate.renew_session(&config);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::NotReported));
        assert_eq!(estimate.repeatable(), None);
        assert!(estimate.last_sent().is_some(), "the connection is still open");
        let last = TeleopConfig { assume_position: AssumedPosition::Last, ..config };
        let mut estimate = accepted(t, 0.2);
        estimate.renew_session(&last);
        assert_eq!((estimate.check(t, &last), estimate.position(&last)), (Ok(()), at(0.2)));
        estimate.renew_session(&last);
        assert_eq!(estimate.position(&last), at(0.2), "it is still the last position");
        estimate.handle_other_arm();
        estimate.renew_session(&last);
        assert!(estimate.check(t, &last).is_err(), "another arm inherits nothing");
    }

    #[test]
    fn reply_to_earlier_session_is_ignored() {
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
        assert_eq!(later.position(&last), at(0.21), "the arm is at its last accepted command");
        estimate.handle_sent(t, to(0.22));
        estimate.handle_acknowledged(t, &to(0.22));
        assert_eq!(estimate.check(t, &config), Ok(()));
    }

    #[test]
    fn silence_of_controller_voids_reports() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 0.1, Some(false));
        estimate.handle_silence(&config);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::NotReported));
        let last = TeleopConfig { assume_position: AssumedPosition::Last, ..config.clone() };
        let mut estimate = accepted(t, 0.2);
        estimate.renew_session(&last);
        estimate.handle_silence(&config);
        assert_eq!(estimate.check(t, &last), Ok(()), "the operator states that the arm stays there");
        report(&mut estimate, t, 0.2, ReportAbout::Unasked, Some(false));
        estimate.handle_silence(&config);
        assert!(estimate.check(t, &last).is_err(), "the controller will report again");
        let mut estimate = accepted(t, 0.2);
        estimate.handle_silence(&config);
        assert_eq!(estimate.position(&config), at(0.2), "the connection is still open");
        observe(&mut estimate, t, 0.3, None);
        estimate.handle_silence(&config);
        assert_eq!(
            estimate.check(t, &config),
            Err(PositionUnknown::NotReported),
            "a report showed the arm elsewhere"
        );
    }

    #[test]
    fn home_is_assumed_until_first_command() {
        let (t, config) =
            (Instant::now(), TeleopConfig { assume_position: AssumedPosition::Home, ..config() });
        let mut estimate = ArmEstimate::new(&config);
        assert_eq!((estimate.check(t, &config), estimate.position(&config)), (Ok(()), config.home));
        estimate.renew_session(&config);
        assert_eq!(estimate.check(t, &config), Ok(()), "no command has been sent yet");
        estimate.handle_sent(t, to(0.2));
        estimate.handle_link_down(&config);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::NotReported));
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 0.3, Some(false));
        estimate.renew_session(&config);
        assert_eq!(
            estimate.check(t, &config),
            Err(PositionUnknown::NotReported),
            "a report has replaced the assumption"
        );
        let mut estimate = ArmEstimate::new(&config);
        estimate.forget_start();
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::NotReported));
    }

    #[test]
    fn motion_begins_after_all_replies() {
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
    fn motion_waits_for_return_from_rejected_command() {
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
        let half = config.orientation.map(|orientation| OrientationConfig { speed: 0.5, ..orientation });
        let back = estimate.at_rest_since(&TeleopConfig { orientation: half, ..config }).unwrap() - t;
        assert!((back.as_secs_f64() - 4.0).abs() < 1e-6, "2 rad at 0.5 rad/s: {back:?}");
    }

    #[test]
    fn only_undisturbed_accepted_command_is_repeatable() {
        let t = Instant::now();
        let mut estimate = accepted(t, 0.2);
        assert_eq!(estimate.repeatable(), Some(to(0.2)));
        estimate.handle_sent(t, to(0.2));
        assert_eq!(estimate.repeatable(), None, "the command is unanswered");
        estimate.handle_rejected();
        assert_eq!(estimate.repeatable(), None, "the command was rejected");
        let mut estimate = accepted(t, 0.2);
        estimate.forbid_repetition();
        assert_eq!(estimate.repeatable(), None);
    }

    #[test]
    fn new_connection_forgets_sent_commands() {
        let (now, config) = (Instant::now(), config());
        let mut estimate = accepted(now, 0.2);
        estimate.handle_stop_sent();
        estimate.handle_link_down(&config);
        assert_eq!((estimate.last_sent(), estimate.repeatable()), (None, None));
        assert_eq!(estimate.may_begin_at(now, &config), Some(now));
        estimate.handle_sent(now, to(0.3));
        estimate.handle_acknowledged(now, &to(0.3));
        assert!(estimate.session.commanded.is_some(), "no older line is unanswered");
    }

    /// Reports that the arm is at `x`, in motion or not.
    fn observe_in(estimate: &mut ArmEstimate, now: Instant, x: f64, moving: Option<bool>, in_motion: bool) {
        let reported =
            Reported { arm: 0, about: ReportAbout::Observed, position: at(x), orientation: None, moving };
        estimate.handle_report(now, reported, in_motion, &config());
    }

    /// Returns a report of another arm than the arm of [`report`].
    fn other_arm(x: f64, moving: Option<bool>) -> Reported {
        Reported { arm: 1, about: ReportAbout::Observed, position: at(x), orientation: None, moving }
    }

    #[test]
    fn tolerance_includes_its_exact_distance() {
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
        assert_eq!(estimate.check(late, &config), Ok(()), "two arms, one on each side of a position");
        observe(&mut estimate, other_arm(0.751, Some(false)));
        assert!(matches!(estimate.check(late, &config), Err(PositionUnknown::Apart(_))));
    }

    #[test]
    fn moving_arm_counts_as_at_its_command() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = accepted(t, 0.2);
        observe_in(&mut estimate, t, 0.15, Some(true), true);
        assert_eq!((estimate.position(&config), estimate.reports(&config)), (at(0.2), false));
        estimate.handle_sent(t, to(0.2));
        report(&mut estimate, t, 0.15, ReportAbout::Accepted, None);
        assert_eq!(estimate.position(&config), at(0.2));
        observe_in(&mut estimate, t, 0.15, Some(false), false);
        assert_eq!((estimate.position(&config), estimate.reports(&config)), (at(0.15), false));
    }

    #[test]
    fn lag_persists_at_rest_in_motion() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = accepted(t, 0.2);
        observe_in(&mut estimate, t, 0.04, Some(false), true);
        observe_in(&mut estimate, t + Duration::from_secs(1), 0.04, Some(false), true);
        assert_eq!(estimate.check_following(), Err(PositionUnknown::Lags(0.16)));
        observe_in(&mut estimate, t + Duration::from_secs(2), 0.04, Some(false), true);
        assert_eq!(estimate.check_following(), Err(PositionUnknown::Lags(0.16)));
        // The arm is also elsewhere, but the lag is already recorded.
        observe_in(&mut estimate, t + Duration::from_secs(9), 0.05, None, false);
        assert_eq!(estimate.check_following(), Err(PositionUnknown::Lags(0.16)));
        observe_in(&mut estimate, t + Duration::from_secs(9), 0.05, Some(false), false);
        assert_eq!(estimate.check_known(t, &config), Ok(()));
    }

    #[test]
    fn deviation_ends_when_every_arm_rests() {
        let config = config();
        let t = Instant::now();
        let mut estimate = accepted(t, 0.2);
        estimate.handle_report(t, other_arm(0.2, Some(true)), false, &config);
        let late = t + Duration::from_secs(9);
        observe(&mut estimate, late, 0.2, Some(true));
        assert_eq!(estimate.check_following(), Err(PositionUnknown::Moved(at(0.2))));
        observe(&mut estimate, late, 0.2, Some(false));
        assert!(estimate.check_following().is_err(), "the other arm moves");
        estimate.handle_report(late, other_arm(0.2, Some(false)), false, &config);
        assert_eq!((estimate.check_following(), estimate.check(late, &config)), (Ok(()), Ok(())));
    }

    #[test]
    fn following_error_starts_with_each_motion() {
        let t = Instant::now();
        let mut estimate = accepted(t, 0.2);
        observe_in(&mut estimate, t, 0.04, None, true);
        estimate.handle_motion_begun();
        observe_in(&mut estimate, t + Duration::from_secs(1), 0.04, None, true);
        assert_eq!(estimate.check_following(), Ok(()));
        observe_in(&mut estimate, t + Duration::from_secs(2), 0.04, None, true);
        assert_eq!(estimate.check_following(), Err(PositionUnknown::Lags(0.16)));
        estimate.renew_session(&config());
        observe_in(&mut estimate, t + Duration::from_secs(2), 0.04, None, true);
        assert_eq!(estimate.check_following(), Ok(()), "another session");
    }

    #[test]
    fn travel_time_starts_with_first_command() {
        let t = Instant::now();
        let late = t + Duration::from_secs(9);
        for (next, is_repeatable) in [(0.2, false), (0.21, true)] {
            let mut estimate = accepted(t, 0.2);
            estimate.handle_sent(late, to(next));
            estimate.handle_acknowledged(late, &to(next));
            observe_in(&mut estimate, late, 0.1, None, false);
            assert_eq!(estimate.repeatable().is_some(), is_repeatable, "{next}");
        }
    }

    #[test]
    fn reply_shows_moved_arm_without_unanswered_lines() {
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
    fn new_session_has_no_deviation() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = accepted(t, 0.2);
        estimate.renew_session(&config);
        let late = t + Duration::from_secs(9);
        report(&mut estimate, late, 0.1, ReportAbout::Unasked, None);
        assert_eq!(estimate.check(late + REST_TIME, &config), Ok(()));
        assert_eq!(estimate.position(&config), at(0.1));
    }

    #[test]
    fn doubt_counts_again_after_accepted_command() {
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
    fn good_report_keeps_doubt_of_other_arm() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        observe(&mut estimate, t, 0.0, Some(false));
        estimate.handle_report(t, other_arm(0.2, Some(false)), false, &config);
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::Doubtful(Doubt::Zero)));
        observe(&mut estimate, t, 0.2, Some(false));
        assert_eq!(estimate.check(t, &config), Ok(()));
        // The newest doubt of an arm replaces the doubt before.
        observe(&mut estimate, t, 0.0, Some(false));
        observe(&mut estimate, t, 0.002, Some(false));
        assert!(matches!(estimate.check(t, &config), Err(PositionUnknown::Doubtful(Doubt::Scale { .. }))));
    }

    #[test]
    fn moved_arm_loses_its_last_position() {
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
    fn unsolicited_reports_prevent_assumed_last_position() {
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
        assert_eq!(estimate.check(t, &last), Ok(()), "the operator may still assume the position");
    }

    #[test]
    fn position_before_silence_is_last_position() {
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
    fn overdue_regular_report_is_awaited() {
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
        // This controller only reports when another value changes. Its next report is not overdue.
        assert_eq!((reports(&every(50, 5))(90_000), reports(&every(2001, 9))(90_000)), (Ok(()), Ok(())));
        let moves: Vec<_> = every(50, 5).into_iter().chain([(250, 0.3), (300, 0.2)]).collect();
        let only_changes = reports(&moves);
        assert_eq!(only_changes(90_000), Ok(()));
    }

    #[test]
    fn lagging_arm_loses_its_last_position() {
        let last = TeleopConfig { assume_position: AssumedPosition::Last, ..config() };
        let t = Instant::now();
        let mut estimate = accepted(t, 0.2);
        for seconds in [0, 1] {
            observe_in(&mut estimate, t + Duration::from_secs(seconds), 0.04, None, true);
        }
        assert_eq!(estimate.check_following(), Err(PositionUnknown::Lags(0.16)));
        estimate.renew_session(&last);
        assert_eq!(estimate.check(t, &last), Err(PositionUnknown::NotReported));
    }

    #[test]
    fn another_arm_is_not_assumed_at_home() {
        let config = TeleopConfig { assume_position: AssumedPosition::Home, ..config() };
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_other_arm();
        estimate.renew_session(&config);
        assert_eq!(estimate.check(Instant::now(), &config), Err(PositionUnknown::NotReported));
    }

    #[test]
    fn assumed_home_keeps_requests_and_replies() {
        let (t, config) = (Instant::now(), TeleopConfig { can_ask: true, ..config() });
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_answer(t, true);
        estimate.assume_home(&config);
        assert_eq!(estimate.check(t, &config), Ok(()), "the controller has replied just now");
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_asked(t);
        estimate.assume_home(&config);
        assert_eq!(estimate.question_due_at(t, &config), None, "the reply is outstanding");
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
        assert_eq!(
            estimate.check(t, &last),
            Err(PositionUnknown::NotReported),
            "the position was only assumed"
        );
    }

    #[test]
    fn orientation_of_earlier_session_is_unknown() {
        let (t, config) = (Instant::now(), settings());
        let turned = Command { orientation: Some(Orientation::from_rpy([0.0, 0.0, 1.0])), ..to(0.2) };
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_sent(t, turned);
        estimate.handle_acknowledged(t, &turned);
        estimate.renew_session(&config);
        observe(&mut estimate, t, 0.2, Some(false));
        assert_eq!(estimate.check(t, &config), Err(PositionUnknown::OrientationNotReported));
        estimate.assume_home(&config);
        observe(&mut estimate, t, 0.3, Some(false));
        assert_eq!(estimate.check(t, &config), Ok(()), "the operator has assumed the orientation");
    }

    #[test]
    fn session_records_its_replies_and_reports() {
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
        assert_eq!(estimate.rests_at(), None, "the arm is on its way");
        let mut estimate = accepted(t, 0.2);
        assert_eq!((seen(&estimate), estimate.best_position()), ((true, true, false), Some(at(0.2))));
        assert!(!estimate.has_unanswered() && !estimate.is_elsewhere(at(0.2), 0.01));
        let asked = TeleopConfig { can_ask: true, ..config.clone() };
        assert!(estimate.reports(&asked));
        observe(&mut estimate, t, 0.205, None);
        assert_eq!(seen(&estimate), (true, true, false));
        assert_eq!(estimate.rests_at(), None, "the controller reports only on request");
        report(&mut estimate, t, 0.205, ReportAbout::Unasked, None);
        assert_eq!(seen(&estimate), (true, true, true));
        assert!(!estimate.is_elsewhere(at(0.2), 0.01) && estimate.is_elsewhere(at(0.2), 0.001));
        assert_eq!(estimate.rests_at(), Some(t + REST_TIME));
        report(&mut estimate, t, 0.1, ReportAbout::Accepted, None);
        assert!(!estimate.is_elsewhere(at(0.2), 0.01), "the arm is on its way");
        observe(&mut estimate, t, 0.1, Some(false));
        assert_eq!(estimate.rests_at(), None);
    }

    #[test]
    fn position_request_needs_answered_lines() {
        let (t, config) = (Instant::now(), config());
        let mut estimate = ArmEstimate::new(&config);
        assert_eq!(estimate.question_due_at(t, &config), None);
        observe(&mut estimate, t, 0.1, Some(true));
        assert_eq!(estimate.question_due_at(t, &config), None, "the bridge cannot request the position");
        let config = TeleopConfig { can_ask: true, ..config };
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_sent(t, to(0.2));
        assert_eq!(estimate.question_due_at(t, &config), None, "a line is unanswered");
        let mut estimate = ArmEstimate::new(&config);
        estimate.handle_asked(t);
        estimate.handle_answer(t, true);
        assert_eq!(estimate.question_due_at(t, &config), None, "the controller does not report a position");
        observe(&mut estimate, t, 1.5, Some(false));
        assert_eq!(estimate.question_due_at(t, &config), Some(t + ASK_LATER), "outside");
        observe(&mut estimate, t, 0.2, Some(false));
        assert_eq!(estimate.question_due_at(t, &config), None, "the position is known");
        estimate.handle_report(t, other_arm(0.3, Some(false)), false, &config);
        assert_eq!(estimate.question_due_at(t, &config), Some(t + ASK_LATER), "apart");
    }

    #[test]
    fn operator_is_needed_if_reports_cannot_help() {
        let elsewhere = [PositionUnknown::Lags(0.2), PositionUnknown::Moved(at(0.1))];
        for unknown in &elsewhere {
            assert!(unknown.needs_operator(false) && !unknown.needs_operator(true), "{unknown:?}");
        }
        for reports in [false, true] {
            assert!(!PositionUnknown::Awaited.needs_operator(reports));
            let age = Duration::from_secs(301);
            for unknown in [
                PositionUnknown::NotReported,
                PositionUnknown::Outdated { age, timeout: Duration::from_secs(300) },
                PositionUnknown::OrientationNotReported,
                PositionUnknown::Doubtful(Doubt::Zero),
                PositionUnknown::Apart(0.1),
                PositionUnknown::Outside(at(1.5)),
            ] {
                assert!(unknown.needs_operator(reports), "{unknown:?}");
            }
        }
    }

    #[test]
    fn command_before_stop_line_is_not_repeated() {
        let (t, config) = (Instant::now(), TeleopConfig { can_ask: true, ..config() });
        let mut estimate = accepted(t, 0.2);
        estimate.handle_answer(t, true);
        estimate.handle_stop_sent();
        estimate.handle_stop_answered(false);
        assert_eq!(estimate.repeatable(), None);
        assert_eq!(
            estimate.check(t, &config),
            Err(PositionUnknown::Awaited),
            "the arm may have stopped on its way"
        );
    }
}
