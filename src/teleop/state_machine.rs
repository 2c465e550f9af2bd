//! The state machine: events go in, commands come out.
//!
//! Invariants:
//! - No command is planned unless the mode permits motion, the link is ready, the input is good and nothing else stands in
//!   the way at that very moment.
//! - Whenever motion ends, the hand is released, and a stop line is due if `teleop.hold_behavior` asks for one and the motion
//!   has sent a command. A person's `~/stop` and the end are followed by a stop line in any case.
//! - Only the hand makes the arm follow. A goal that something else moves is approached.
//! - After [`Teleop::handle_shutdown`] nothing but a stop line is sent.

use std::time::{Duration, Instant};

use super::config::{TeleopConfig, TeleopConfigError};
use super::estimate::ArmEstimate;
use super::gripper::GripperDecider;
use super::input::{GraphNews, Input};
use super::input_fault::InputFault;
use super::link_view::{LinkView, RejectionStreak};
use super::mode::{ArmingError, Disarmed, Mode, Motion};
use super::planner::{Basis, CommandKind, Limit, Planned, Planner};
use super::reason::{Obstacle, Reason};
use super::stop_line::StopLine;
use super::target::{GripperInput, Target};
use crate::arm::{Command, Gripper};
use crate::geometry::Position;

/// The teleoperation state machine. See the [module](super) for its modes and how to drive it.
#[derive(Debug)]
pub struct Teleop {
    config: TeleopConfig,
    mode: Mode,
    link: LinkView,
    rejections: RejectionStreak,
    input: Input,
    gripper: GripperDecider,
    estimate: ArmEstimate,
    planner: Planner,
    stop_line: StopLine,
    shutting_down: bool,
    counters: Counters,
}

/// How often commands did not follow the input to the letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Targets replaced by a newer one before a command was sent for them.
    pub coalesced: u64,
    /// Commands that the speed limit or the workspace altered; not those that speed up or brake.
    pub limited: u64,
    /// Samples refused.
    pub dropped_input: u64,
}

impl Teleop {
    /// Starts disarmed, without a link and without input.
    pub fn new(config: TeleopConfig) -> Self {
        Self {
            mode: Mode::new(config.arming),
            link: LinkView::Down,
            rejections: RejectionStreak::default(),
            input: Input::default(),
            gripper: GripperDecider::new(config.initial_gripper),
            estimate: ArmEstimate::default(),
            planner: Planner::default(),
            stop_line: StopLine::default(),
            shutting_down: false,
            counters: Counters::default(),
            config,
        }
    }

    /// Takes a target.
    ///
    /// # Errors
    /// Why it was refused. Motion then holds until the next good target, unless the target was a single zero.
    pub fn handle_target(&mut self, now: Instant, target: Target) -> Result<(), InputFault> {
        // A gap is a loss, even if no timer has fired since.
        self.update(now);
        let basis = Basis { estimate: &self.estimate, config: &self.config };
        let admitted = self.input.judge(now, &target, basis.config).and_then(|sample| {
            self.planner.handle_sample(&sample, basis).map(|overtakes| (sample, overtakes))
        });
        match admitted {
            Ok((sample, overtakes)) => {
                self.input.handle_good(now, sample.origin, &self.config);
                if sample.frame_moved {
                    self.mode.approach_again();
                }
                self.counters.coalesced += u64::from(overtakes && self.mode.is_moving());
                if let Some(input) = target.gripper {
                    self.gripper.handle_input(now, input, &self.config.gripper);
                }
                if self.mode.is_moving() {
                    self.decide_gripper(now);
                }
                self.update(now);
                Ok(())
            }
            Err(fault) => {
                self.counters.dropped_input += 1;
                if !self.input.passes_over(now, &self.config) {
                    self.hold_by(now, fault.clone());
                }
                Err(fault)
            }
        }
    }

    /// Takes a message that could not be made a [`Target`].
    pub fn handle_invalid_target(&mut self, now: Instant, fault: InputFault) {
        self.counters.dropped_input += 1;
        self.input.handle_malformed(now);
        self.hold_by(now, fault);
    }

    /// Takes a change of who publishes the input. Motion holds while several nodes send on one topic.
    pub fn handle_graph(&mut self, now: Instant, news: GraphNews) {
        match news {
            GraphNews::TargetPublishers(several) => self.input.handle_publishers(several),
            GraphNews::GripperPublishers(several) => self.input.handle_gripper_publishers(several),
            GraphNews::GripperFound => self.gripper.handle_found(now),
            GraphNews::GripperLeft => self.gripper.handle_left(self.mode.is_moving()),
        }
        self.update(now);
    }

    /// Takes a sample from the gripper's topic.
    pub fn handle_gripper(&mut self, now: Instant, input: GripperInput) {
        if let Some(wanted) = self.config.gripper.wanted(input) {
            self.input.handle_gripper_word(now, wanted);
        }
        self.gripper.handle_input(now, input, &self.config.gripper);
        self.update(now);
    }

    /// Takes a sample that one of several publishers of the gripper's topic has kept from before. Because the others may have
    /// published newer ones, the first motion waits for theirs as if this sample did not exist.
    pub fn handle_kept_gripper(&mut self, now: Instant, input: GripperInput) {
        if self.gripper.is_known() {
            self.handle_gripper(now, input);
        } else {
            self.gripper.handle_kept(input, &self.config.gripper);
            self.update(now);
        }
    }

    /// Takes the state of the link. Call it on every change.
    pub fn handle_link(&mut self, now: Instant, link: LinkView) {
        self.link = link;
        if link == LinkView::Unresponsive {
            self.stop_line.handle_unanswered();
        }
        if link.is_down() {
            self.rejections.end();
            if link == LinkView::Partial {
                // The connected controllers still have to answer, but a controller that joins has received nothing.
                self.estimate.forbid_repetition();
            } else {
                self.estimate.handle_link_down();
                self.planner.handle_link_down();
            }
            if self.mode.is_armed() && self.config.arming.disarms_without_link() {
                self.change_mode(|mode| mode.disarm(Disarmed::ByLinkLoss));
            }
        }
        self.update(now);
        if link == LinkView::Down {
            self.stop_line.handle_link_down();
        }
    }

    /// Takes the reply that a command has been accepted.
    pub fn handle_acknowledged(&mut self, now: Instant, command: &Command) {
        self.estimate.handle_acknowledged(command);
        self.rejections.end();
        self.update(now);
    }

    /// Takes the reply that a command has been refused.
    pub fn handle_rejected(&mut self, now: Instant) {
        self.estimate.handle_rejected();
        self.rejections.handle_rejected(now, self.config.max_consecutive_errors, self.config.settle_time);
        self.update(now);
    }

    /// Takes the loss of a command or of its reply: the controller may have taken the command or not.
    pub fn handle_lost(&mut self) {
        self.estimate.handle_rejected();
    }

    /// Takes the loss of a stop line or of its reply. The stop line is due again, unless motion has begun again.
    pub fn handle_stop_lost(&mut self) {
        self.estimate.handle_stop_answered(None);
        if !self.mode.is_moving() {
            self.request_stop_line();
            self.stop_line.handle_unanswered();
        }
    }

    /// Takes the reply that the controller refuses to stop.
    pub fn handle_stop_refused(&mut self) {
        self.estimate.handle_stop_answered(None);
        self.stop_line.handle_refused();
    }

    /// Takes that the connection does not take the stop line that is due, because the controller does not read.
    pub fn handle_stop_unsent(&mut self) {
        self.stop_line.handle_unsent();
    }

    /// Takes the position that the controller reports in the reply to a command.
    pub fn handle_reported(&mut self, position: Position) {
        self.estimate.handle_reported(position);
    }

    /// Takes the position that the controller reports unasked, because the arm may have been moved by other means, and
    /// whether the arm moves, if it reports that.
    pub fn handle_observed_position(&mut self, position: Position, moving: Option<bool>) {
        self.estimate.handle_observed(position, moving);
    }

    /// Takes what the controller reports its gripper to be.
    pub fn handle_reported_gripper(&mut self, gripper: Gripper) {
        self.gripper.handle_reported(gripper);
    }

    /// Takes the reply to a stop line, before which no motion begins. `stopped_at` is where the arm stopped on its way.
    pub fn handle_stop_answered(&mut self, stopped_at: Option<Position>) {
        self.estimate.handle_stop_answered(stopped_at);
        self.stop_line.handle_accepted();
    }

    /// Arms (`true`) or disarms (`false`), because a person asks for it. Returns a line for that person.
    ///
    /// # Errors
    /// If motion cannot be allowed now.
    pub fn handle_set_armed(&mut self, now: Instant, armed: bool) -> Result<String, ArmingError> {
        if !armed {
            let disarmed = self.change_mode(|mode| mode.disarm(Disarmed::ByOperator));
            return Ok(if disarmed { "disarmed" } else { "stopped, and so disarmed already" }.into());
        }
        if self.shutting_down {
            return Err(ArmingError::ShuttingDown);
        }
        if !self.change_mode(Mode::arm)? {
            return Ok(format!("armed already; {}", self.reason(now)));
        }
        self.input.handle_armed(now);
        self.update(now);
        Ok(format!("armed; {}", self.reason(now)))
    }

    /// Stops, because a person asks for it, until [`Teleop::handle_reset`]. Works in every mode.
    pub fn handle_stop(&mut self) {
        self.change_mode(Mode::stop);
        self.request_stop_line();
        if self.config.hold_behavior.sends_stop() && self.link == LinkView::Down {
            self.stop_line.handle_no_connection();
        }
    }

    /// Releases a stop, because a person asks for it. Disarms in every mode. Returns a line for that person.
    pub fn handle_reset(&mut self) -> String {
        let happened = self.change_mode(Mode::reset);
        format!("{happened}: call ~/set_armed with data: true to move again")
    }

    /// Ends motion for good, because the bridge ends.
    pub fn handle_shutdown(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.shutting_down, true) {
            self.request_stop_line();
        }
        self.update(now);
    }

    /// Judges settings that are valid in themselves by where the arm is.
    ///
    /// # Errors
    /// Why [`Teleop::handle_config`] must not be called with them now.
    pub fn check_config(&self, config: &TeleopConfig) -> Result<(), TeleopConfigError> {
        let sent = self.estimate.last_sent().map(|(_, command)| command.position);
        let excluded = [sent, self.estimate.known_position()].into_iter().flatten().find(|position| {
            // If the arm is outside already the new workspace makes nothing worse.
            self.config.workspace.contains(*position) && !config.workspace.contains(*position)
        });
        excluded.map_or(Ok(()), |position| Err(TeleopConfigError::WorkspaceExcludesArm { position }))
    }

    /// Takes other settings, in force from the next command on. Who arms, and where the hand is, may change only while
    /// disarmed.
    pub fn handle_config(&mut self, now: Instant, config: TeleopConfig) {
        let before = std::mem::replace(&mut self.config, config);
        self.input.handle_config(now, &before, &self.config);
        let means_else =
            before.retarget != self.config.retarget || before.retarget_mode != self.config.retarget_mode;
        if means_else && self.mode.is_armed() {
            // The node refuses that while armed. If it did not, a hand that rests would move the arm.
            self.change_mode(|mode| mode.disarm(Disarmed::ByRetarget));
        }
        if before.hold_behavior != self.config.hold_behavior && !self.mode.is_moving() {
            // A parameter that is set brings back no command from before.
            self.estimate.forbid_repetition();
        }
        if before.arming != self.config.arming {
            self.mode.handle_arming(self.config.arming);
        }
        let basis = Basis { estimate: &self.estimate, config: &self.config };
        match self.planner.handle_config(&before, basis) {
            Ok(true) => self.mode.approach_again(),
            Ok(false) => {}
            Err(fault) => self.input.handle_fault(fault),
        }
        self.update(now);
    }

    /// Takes that the computer has slept for so long and has just woken up. The steady clock stood still meanwhile, so nothing
    /// that was good before is good now.
    pub fn handle_slept(&mut self, now: Instant, slept: Duration) {
        self.input.handle_slept(now, slept);
        self.update(now);
        self.mode.require_settling();
    }

    /// Forgets where the arm is, because the arm or what positions mean is another. Call it disarmed and without a link.
    pub fn handle_other_arm(&mut self) {
        self.estimate = ArmEstimate::default();
        self.planner.handle_other_arm();
    }

    /// Lets time pass. Call it no later than [`Teleop::poll_timeout`] says.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.update(now);
    }

    /// Returns when to call [`Teleop::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.input
            .deadlines(now, self.mode.awaits_settling(), &self.config)
            .into_iter()
            .chain([self.rejections.pause_until(), self.gripper.awaited_until(), self.rearm_at()])
            .flatten()
            .filter(|deadline| *deadline > now)
            .min()
    }

    /// Returns whether a stop line is to be sent now, whatever is unanswered. If it is, call [`Teleop::handle_stop_sent`].
    #[must_use]
    pub fn poll_stop_line(&self) -> bool {
        self.stop_line.is_due()
    }

    /// Records that a stop line has been handed to the connection.
    pub fn handle_stop_sent(&mut self) {
        self.stop_line.handle_sent();
        self.estimate.handle_stop_sent();
    }

    /// Returns the command to send now, if one is due. Nothing changes until [`Teleop::handle_sent`], which has to follow once
    /// the command is on its way.
    #[must_use]
    pub fn poll_command(&self, now: Instant) -> Option<Planned> {
        if self.poll_command_at(now)? > now {
            return None;
        }
        let plan = |kind| self.planner.plan(now, kind, self.gripper.decided(), self.basis());
        let mut planned = match self.mode.motion() {
            Motion::Approach | Motion::Tracking if self.obstacle(now).is_some() => return None,
            Motion::Approach => plan(CommandKind::Approach)?,
            Motion::Tracking => plan(CommandKind::Tracking)?,
            Motion::Disarmed | Motion::Holding | Motion::Stopped => {
                Planned::new(CommandKind::Repetition, self.estimate.repeatable()?, None)
            }
        };
        planned.input_age = self.input.age(now).unwrap_or_default();
        Some(planned)
    }

    /// Returns when a command will be due if nothing happens before that. It may lie in the past.
    #[must_use]
    pub fn poll_command_at(&self, now: Instant) -> Option<Instant> {
        if self.stop_line.is_due() {
            return None;
        }
        if self.mode.is_moving() {
            return self.planner.due_at(now, self.gripper.decided(), self.basis());
        }
        let repeats = self.config.hold_behavior.repeats()
            && self.link == LinkView::Ready
            && !self.shutting_down
            && self.estimate.repeatable().is_some();
        self.planner.repetition_due_at(&self.config).filter(|_| repeats)
    }

    /// Records that a planned command has been handed to the connection.
    pub fn handle_sent(&mut self, now: Instant, planned: &Planned) {
        self.gripper.handle_sent();
        if self.planner.handle_sent(now, planned, Basis { estimate: &self.estimate, config: &self.config }) {
            self.mode.track();
        }
        self.estimate.handle_sent(now, planned.command);
        self.counters.limited += u64::from(planned.limited == Some(Limit::Speed) || planned.clamped);
    }

    /// Returns what the bridge does with targets.
    pub fn motion(&self) -> Motion {
        self.mode.motion()
    }

    /// Returns whether motion is allowed, though an obstacle may hold it.
    pub fn is_armed(&self) -> bool {
        self.mode.is_armed()
    }

    /// Returns why the arm does or does not move.
    pub fn reason(&self, now: Instant) -> Reason {
        let settling = Obstacle::Settling { settle_time: self.config.settle_time };
        let reason = Reason::new(self.mode, || self.obstacle(now).unwrap_or(settling));
        if reason == Reason::Approaching {
            return self.planner.waits_for(now, self.basis()).map_or(reason, Reason::ApproachWaiting);
        }
        let trouble = self.stop_line.trouble().filter(|_| !self.mode.is_moving());
        match trouble {
            Some(trouble) => Reason::StopTrouble(trouble, Box::new(reason)),
            None => reason,
        }
    }

    /// Returns how often commands did not follow the input to the letter.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Returns the age of the newest good target, if there has been one since the last refused one.
    pub fn input_age(&self, now: Instant) -> Option<Duration> {
        self.input.age(now)
    }

    /// Returns why no target may move the arm at present, whatever else stands in the way.
    pub fn input_obstacle(&self, now: Instant) -> Option<Obstacle> {
        self.input.obstacle(now, &self.config)
    }

    fn hold_by(&mut self, now: Instant, fault: InputFault) {
        self.input.handle_fault(fault);
        self.update(now);
    }

    /// Lets the mode follow from obstacles and time.
    fn update(&mut self, now: Instant) {
        if self.rearm_at().is_some_and(|at| at <= now) {
            let after = self.config.rearm_after;
            self.change_mode(|mode| mode.disarm(Disarmed::ByAbsence { after }));
        }
        let away = self.input.is_away(now, &self.config);
        if away {
            self.mode.require_settling();
        }
        let clear = self.obstacle(now).is_none();
        let settled = self.input.has_settled(now, &self.config);
        if self.change_mode(|mode| mode.advance(clear, settled)) {
            self.planner.begin();
            self.stop_line.handle_motion();
            self.decide_gripper(now);
        } else if away {
            // Motion may have ended just now.
            self.mode.require_settling();
        }
    }

    /// Returns when a person will have to arm because no hand has come, maybe in the past.
    fn rearm_at(&self) -> Option<Instant> {
        self.input.rearm_at(&self.config).filter(|_| self.mode.is_armed())
    }

    /// Changes the mode, and does what every change of it entails.
    fn change_mode<T>(&mut self, change: impl FnOnce(&mut Mode) -> T) -> T {
        let before = self.mode;
        let result = change(&mut self.mode);
        if self.mode == before {
            return result;
        }
        self.planner.release_hand();
        if self.mode.motion() == Motion::Disarmed {
            self.estimate.forbid_repetition();
        }
        if before.is_moving() && !self.mode.is_moving() {
            self.gripper.handle_motion_end();
            // The arm stands already where a motion that has sent nothing was to begin.
            if self.planner.has_begun() {
                self.request_stop_line();
            }
        }
        result
    }

    fn basis(&self) -> Basis<'_> {
        Basis { estimate: &self.estimate, config: &self.config }
    }

    fn decide_gripper(&mut self, now: Instant) {
        if let Some(in_sight) = self.input.good_since(now, &self.config) {
            self.gripper.decide(now, in_sight, &self.config.gripper);
        }
    }

    fn request_stop_line(&mut self) {
        if self.config.hold_behavior.sends_stop() && self.link != LinkView::Down {
            self.stop_line.request();
        } else {
            self.stop_line.cancel();
        }
    }

    /// Returns the first thing that stands in the way of motion, permission aside.
    fn obstacle(&self, now: Instant) -> Option<Obstacle> {
        if self.shutting_down {
            return Some(Obstacle::ShuttingDown);
        }
        let outside = || {
            let position = self.estimate.position(self.config.home);
            let outside = !self.planner.has_begun() && !self.config.workspace.contains(position);
            outside.then_some(Obstacle::ArmOutsideWorkspace(position))
        };
        let awaited = || self.gripper.is_awaited(now).then_some(Obstacle::GripperAwaited);
        self.link
            .obstacle()
            .or_else(|| self.rejections.obstacle(now))
            .or_else(outside)
            .or_else(|| self.input_obstacle(now))
            .or_else(awaited)
    }
}
