//! The state machine of teleoperation. Callers pass events in and take commands out.
//!
//! Invariants:
//! - A command of a motion is planned only while the mode permits motion, the link is ready, the
//!   input is good and there is no other obstacle. On the way home the input does not matter.
//!   Without motion, only the last command may be repeated.
//! - When a motion ends, hand and arm are no longer coupled. The next motion couples them again.
//! - If `teleop.hold_behavior` is `stop`, a stop line becomes due in three cases: a motion ends
//!   after its first command, a stop is requested, or the bridge shuts down.
//! - In the mode TRACKING only the hand moves the goal. If anything else moves the goal, the mode
//!   becomes APPROACH.
//! - A stop stays latched while `stop.topic` demands it.
//! - After [`Teleop::handle_shutdown`] the bridge sends nothing except a stop line.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::armed_for::{ArmedFor, Sender};
use super::config::{Limits, TeleopConfig, TeleopConfigError};
use super::doubt::Doubt;
use super::estimate::{ArmEstimate, PositionUnknown, ReportAbout, Reported};
use super::gripper::GripperDecider;
use super::input::{GraphNews, Input};
use super::input_fault::InputFault;
use super::link_view::{LONG_STREAK, LinkView, RejectionStreak};
use super::mode::{ArmingError, Disarmed, Mode, Motion};
use super::planner::{Basis, CommandKind, Limit, Planned, Planner};
use super::reason::{Obstacle, Reason};
use super::stop::{Restored, StopCause, StopWatch};
use super::stop_line::StopLine;
use super::target::{GripperInput, Target};
use crate::arm::{Command, Gripper, ReportedState};

/// The state machine of teleoperation. The [module documentation](super) shows its modes and how to
/// call it.
#[derive(Debug)]
pub struct Teleop {
    config: TeleopConfig,
    mode: Mode,
    /// Why a stop is latched. Valid only in the mode `Stopped`.
    stop_cause: StopCause,
    stop_watch: StopWatch,
    armed_for: ArmedFor,
    link: LinkView,
    /// Since when a required connection has been missing.
    down_since: Option<Instant>,
    rejections: RejectionStreak,
    input: Input,
    gripper: GripperDecider,
    estimate: ArmEstimate,
    planner: Planner,
    /// Whether the current motion has sent a command.
    begun: bool,
    /// The fault in the newest report. It stays until a report without a fault, or until an
    /// operator arms.
    fault: Option<Arc<str>>,
    /// The end of the time in which a second `~/set_armed` true confirms the motion home from an
    /// unknown position.
    confirm_until: Option<Instant>,
    stop_line: StopLine,
    shutting_down: bool,
    counters: Counters,
}

/// Counts how often commands differ from the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Targets that a newer target replaced before a command was sent for them.
    pub coalesced: u64,
    /// Commands that the speed limit or the workspace changed. Commands that only speed up or brake
    /// do not count.
    pub limited: u64,
    /// Samples that were rejected.
    pub dropped_input: u64,
}

impl Teleop {
    /// Creates a disarmed state machine without a link and without input.
    pub fn new(config: TeleopConfig) -> Self {
        Self {
            mode: Mode::new(config.arming),
            stop_cause: StopCause::Requested,
            stop_watch: StopWatch::default(),
            armed_for: ArmedFor::default(),
            link: LinkView::Down,
            down_since: None,
            rejections: RejectionStreak::default(),
            input: Input::default(),
            gripper: GripperDecider::new(config.initial_gripper),
            estimate: ArmEstimate::new(&config),
            planner: Planner::default(),
            begun: false,
            fault: None,
            confirm_until: None,
            stop_line: StopLine::default(),
            shutting_down: false,
            counters: Counters::default(),
            config,
        }
    }

    /// Applies the state that the last run of the bridge left behind. Call it before all other
    /// methods.
    pub fn handle_restored(&mut self, restored: Restored) {
        // The assumed position was set for the first run. It is not valid for this run.
        self.estimate.forget_start();
        match restored {
            Restored::Stopped(why) => {
                self.stop_cause = StopCause::Before(why);
                self.change_mode(Mode::stop);
            }
            Restored::Disarmed(why) => drop(self.change_mode(|mode| mode.disarm(why))),
        }
    }

    /// Handles a target.
    ///
    /// # Errors
    /// Returns why the target was rejected. Motion then holds until the next good target, unless
    /// the target was a single zero.
    pub fn handle_target(&mut self, now: Instant, target: Target) -> Result<(), InputFault> {
        // If no target came for longer than the timeout, the hand was lost. Detect this even if
        // `handle_timeout` has not been called since.
        self.update(now);
        if let Err(fault) = self.judge_publisher(now, &target) {
            self.counters.dropped_input += 1;
            return Err(fault);
        }
        let basis = Basis { estimate: &self.estimate, config: &self.config };
        let admitted = self.input.judge(now, &target, basis.config).and_then(|sample| {
            self.planner.handle_sample(&sample, basis).map(|overtakes| (sample, overtakes))
        });
        match admitted {
            Ok((sample, overtakes)) => {
                self.planner.look_for_way(self.mode.is_moving(), basis);
                self.input.handle_good(now, sample.origin, &self.config);
                if sample.frame_moved {
                    self.mode.approach_again();
                }
                self.counters.coalesced += u64::from(overtakes && self.mode.is_moving());
                if let Some(input) = target.gripper {
                    self.gripper.handle_target(now, input, &self.config.gripper);
                }
                if self.mode.is_moving() {
                    self.decide_gripper(now);
                }
                self.update(now);
                Ok(())
            }
            Err(fault) => {
                self.counters.dropped_input += 1;
                if !self.input.skips_last(now, &self.config) {
                    self.hold_by(now, fault.clone());
                }
                Err(fault)
            }
        }
    }

    /// Handles a message that is not a valid [`Target`].
    pub fn handle_invalid_target(&mut self, now: Instant, fault: InputFault) {
        self.counters.dropped_input += 1;
        self.input.handle_malformed(now);
        self.hold_by(now, fault);
    }

    /// Handles a change in the publishers of the input. Motion holds while several nodes send on
    /// one topic.
    pub fn handle_graph(&mut self, now: Instant, news: GraphNews) {
        match news {
            GraphNews::TargetPublishers(several) => self.input.handle_publishers(several),
            GraphNews::GripperPublishers(several) => self.input.handle_gripper_publishers(several),
            GraphNews::GripperFound => self.gripper.handle_found(now),
            GraphNews::GripperLeft => self.gripper.handle_left(self.mode.is_moving()),
            GraphNews::GripperAbsent => self.gripper.handle_absent(now, self.mode.is_moving()),
        }
        self.update(now);
    }

    /// Handles a sample from the gripper topic.
    pub fn handle_gripper(&mut self, now: Instant, input: GripperInput) {
        if let Some(wanted) = self.config.gripper.wanted(input) {
            self.input.handle_gripper_message(now, wanted);
        }
        self.gripper.handle_topic(now, input, &self.config.gripper);
        self.update(now);
    }

    /// Handles a latched sample of the gripper topic, if the topic has several publishers. Another
    /// publisher may have sent a newer sample. Therefore the first motion still waits for the next
    /// sample.
    pub fn handle_kept_gripper(&mut self, now: Instant, input: GripperInput) {
        if self.gripper.is_settled() {
            self.handle_gripper(now, input);
        } else {
            self.gripper.handle_kept(input);
            self.update(now);
        }
    }

    /// Handles the state of the link. Call it on every change.
    pub fn handle_link(&mut self, now: Instant, link: LinkView) {
        self.link = link;
        self.handle_outage(now);
        if link == LinkView::Unresponsive {
            self.estimate.handle_silence(&self.config);
            self.stop_line.handle_unanswered();
        }
        if link.is_down() {
            self.rejections.end();
            self.gripper.handle_link_down();
            if link == LinkView::Partial {
                // The connected controllers still reply to earlier lines. A controller that joins
                // now has received no line.
                self.estimate.renew_session(&self.config);
            } else {
                self.estimate.handle_link_down(&self.config);
                self.planner.handle_link_down();
            }
            self.confirm_until = None;
            if self.mode.is_armed() && self.config.arming.disarms_without_link() {
                self.change_mode(|mode| mode.disarm(Disarmed::ByLinkLoss));
            }
        }
        self.update(now);
        if link == LinkView::Down {
            self.stop_line.handle_link_down();
        }
    }

    /// Disarms if a connection was missing for `teleop.rearm_after` and is now open again, because
    /// the operator no longer expects motion.
    fn handle_outage(&mut self, now: Instant) {
        if self.link.is_down() {
            self.down_since.get_or_insert(now);
            return;
        }
        let (since, after) = (self.down_since.take(), self.config.rearm_after);
        let is_long = since.is_some_and(|since| now.saturating_duration_since(since) >= after);
        if is_long && !after.is_zero() && self.mode.is_armed() {
            self.change_mode(|mode| mode.disarm(Disarmed::ByOutage { after }));
        }
    }

    /// Handles a reply that accepts a command.
    pub fn handle_acknowledged(&mut self, now: Instant, command: &Command) {
        if self.fault.is_some() {
            // Some controllers accept commands that their arm does not execute.
            self.estimate.handle_rejected();
            self.gripper.handle_refused();
        } else {
            self.estimate.handle_acknowledged(now, command);
            self.gripper.handle_accepted(now, command.gripper);
        }
        self.rejections.end();
        if self.mode.is_going_home() && self.planner.has_arrived(self.basis()) {
            self.change_mode(|mode| mode.disarm(Disarmed::AtHome));
        }
        self.update(now);
    }

    /// Handles a reply that rejects a command.
    pub fn handle_rejected(&mut self, now: Instant) {
        self.estimate.handle_rejected();
        self.gripper.handle_refused();
        self.rejections.handle_rejected(now, self.config.max_consecutive_errors, self.config.settle_time);
        self.restart_motion();
        if self.rejections.is_long(now) && self.mode.is_armed() {
            self.change_mode(|mode| mode.disarm(Disarmed::ByRefusals { after: LONG_STREAK }));
        }
        self.update(now);
    }

    /// Handles the loss of a command or of its reply. The controller may or may not have received
    /// the command.
    pub fn handle_lost(&mut self) {
        self.estimate.handle_rejected();
        self.gripper.handle_refused();
        self.restart_motion();
    }

    /// Handles the loss of a stop line or of its reply. The stop line becomes due again, unless a
    /// new motion has begun.
    pub fn handle_stop_lost(&mut self) {
        self.estimate.handle_stop_answered(false);
        if !self.mode.is_moving() {
            self.request_stop_line();
            self.stop_line.handle_unanswered();
        }
    }

    /// Handles a reply in which the controller rejects a stop line.
    pub fn handle_stop_refused(&mut self) {
        self.estimate.handle_stop_answered(false);
        self.stop_line.handle_refused();
    }

    /// Records that the connection cannot send the due stop line, because the controller does not
    /// read.
    pub fn handle_stop_unsent(&mut self) {
        self.stop_line.handle_unsent();
    }

    /// Handles the state that the controller of `arm` reports. `about` states what the report
    /// refers to.
    ///
    /// Call it for each expected reply and for each unsolicited state. If the report is in a reply,
    /// call it before the method for that reply, such as [`Teleop::handle_acknowledged`].
    pub fn handle_report(
        &mut self,
        now: Instant,
        arm: u64,
        about: ReportAbout,
        state: Option<&ReportedState>,
    ) {
        if let Some(gripper) = state.and_then(|state| state.gripper) {
            self.handle_reported_gripper(now, gripper);
        }
        self.handle_fault(state.and_then(|state| state.fault.as_deref()));
        if let Some(state) = state {
            let is_pose = |member| ["position", "rpy", "quaternion"].contains(&member);
            if let Some(unreadable) = state.unreadable.as_ref().filter(|found| is_pose(found.member)) {
                self.estimate.handle_doubt(arm, Doubt::Unreadable(unreadable.to_string().into()));
            } else if let Some(position) = state.position {
                let (orientation, moving) = (state.orientation, state.moving);
                // Some controllers accept commands that their arm does not execute.
                let is_accepted = about == ReportAbout::Accepted && state.fault.is_some();
                let about = if is_accepted { ReportAbout::Stopped } else { about };
                let reported = Reported { arm, about, position, orientation, moving };
                self.estimate.handle_report(now, reported, self.mode.is_moving() && self.begun, &self.config);
            }
        }
        if state.is_some() || self.fault.is_some() {
            self.update(now);
        }
    }

    /// Handles the gripper state that the controller reports.
    pub fn handle_reported_gripper(&mut self, now: Instant, gripper: Gripper) {
        self.gripper.handle_reported(now, gripper);
    }

    /// Records that the bridge has received a report from every controller that can report its
    /// position. The report was unsolicited or in the reply to a heartbeat.
    pub fn handle_answered(&mut self, now: Instant) {
        self.estimate.handle_answer(now, true);
        self.update(now);
    }

    /// Handles the loss of a heartbeat or of its reply.
    pub fn handle_question_lost(&mut self, now: Instant) {
        self.estimate.handle_answer(now, false);
    }

    /// Handles a reply that accepts a stop line. No motion begins before this reply. `reported`
    /// states whether the reply contains the position at which the arm stopped.
    pub fn handle_stop_answered(&mut self, reported: bool) {
        self.estimate.handle_stop_answered(reported);
        self.stop_line.handle_accepted();
    }

    /// Handles the fault in the newest report, or its absence. After a fault has ended, only an
    /// operator can arm.
    pub(crate) fn handle_fault(&mut self, fault: Option<&str>) {
        match (fault, &self.fault) {
            (Some(fault), Some(known)) if **known == *fault => {}
            (Some(fault), _) => {
                (self.fault, self.confirm_until) = (Some(fault.into()), None);
                // The arm has stopped during its motion, and an operator may move it.
                self.estimate.renew_session(&self.config);
            }
            (None, Some(_)) => {
                self.fault = None;
                self.change_mode(|mode| mode.disarm(Disarmed::ByArmFault));
            }
            (None, None) => {}
        }
    }

    /// Arms (`true`) or disarms (`false`) on request of an operator. Returns a line for the
    /// operator.
    ///
    /// # Errors
    /// Returns why motion is not possible now.
    pub fn handle_set_armed(&mut self, now: Instant, armed: bool) -> Result<String, ArmingError> {
        if !armed {
            self.confirm_until = None;
            let disarmed = self.change_mode(|mode| mode.disarm(Disarmed::ByOperator));
            return Ok(
                if disarmed { "disarmed" } else { "already disarmed, because a stop is latched" }.into()
            );
        }
        if self.shutting_down {
            return Err(ArmingError::ShuttingDown);
        }
        let mut home = "";
        if self.mode.motion() != Motion::Stopped {
            home = self.confirm_position(now)?;
            // If the fault still exists, the next report contains it.
            self.fault = None;
        }
        if !self.change_mode(Mode::arm)? {
            self.update(now);
            return Ok(format!("already armed{home}; {}", self.reason(now)));
        }
        self.input.handle_armed(now);
        self.update(now);
        Ok(format!("armed{home}; {}", self.reason(now)))
    }

    /// Accepts a second call as the operator's permission to go home from an unknown position.
    /// Returns a text for the operator that names the assumed position. It is empty if no position
    /// is assumed.
    fn confirm_position(&mut self, now: Instant) -> Result<&'static str, ArmingError> {
        let confirmed = self.confirm_until.take().is_some_and(|until| now <= until);
        let Some(unknown) = self.needs_confirmation(now) else { return Ok("") };
        if confirmed {
            self.estimate.assume_home(&self.config);
            return Ok(", assuming that the arm is at home");
        }
        self.confirm_until = Some(now + CONFIRM_WITHIN);
        Err(ArmingError::PositionUnknown { unknown, home: self.config.home, within: CONFIRM_WITHIN })
    }

    /// Returns why the arm's position is unknown, if only an operator can resolve this.
    fn needs_confirmation(&self, now: Instant) -> Option<PositionUnknown> {
        let may_ask = self.config.can_ask && !self.estimate.has_been_answered();
        if self.link != LinkView::Ready || self.begun || may_ask {
            return None;
        }
        let unknown = self.estimate.check_known(now, &self.config).err()?;
        unknown.needs_operator(self.estimate.reports(&self.config)).then_some(unknown)
    }

    /// Sends the arm home within the limits, on request of an operator, and disarms there. Returns
    /// a line for the operator.
    ///
    /// # Errors
    /// A stop is latched, or there is an obstacle other than the input. For example, the arm's
    /// position is unknown.
    pub fn handle_go_home(&mut self, now: Instant) -> Result<String, ArmingError> {
        self.update(now);
        if self.mode.motion() == Motion::Stopped {
            return Err(ArmingError::StopLatched);
        }
        if let Some(obstacle) = self.home_obstacle(now) {
            return Err(ArmingError::NotGoingHome(obstacle.to_string()));
        }
        self.change_mode(Mode::go_home)?;
        // The gripper keeps its state, even if the hand requests another state.
        self.gripper.handle_void();
        let orientation = self.config.orientation.map(|turning| turning.home);
        self.planner.head_for(self.config.home, orientation);
        let basis = Basis { estimate: &self.estimate, config: &self.config };
        self.planner.look_for_way(false, basis);
        self.estimate.handle_motion_begun();
        self.begun = false;
        Ok(format!("going home to {} m at limits.approach_speed", self.config.home))
    }

    /// Returns whether the arm is moving home.
    pub fn is_going_home(&self) -> bool {
        self.mode.is_going_home()
    }

    /// Returns how long the way home may take if nothing interrupts the motion.
    pub fn time_to_home(&self) -> Duration {
        let way = self.estimate.position(&self.config).distance(self.config.home);
        let turn = self.config.orientation.map_or(0.0, |turning| {
            self.estimate.orientation(&turning).angle_to(turning.home) / turning.speed
        });
        let Limits { speed, acceleration } = self.config.approach_limits();
        // A way around obstacles takes longer than a straight way.
        Duration::from_secs_f64((2.0 * (way / speed + speed / acceleration)).max(turn)) + HOME_MARGIN
    }

    /// Returns the obstacle to the motion home. Before the first command, a position report that
    /// has not come yet is not an obstacle.
    fn home_obstacle(&self, now: Instant) -> Option<Obstacle> {
        let awaited = |obstacle: &Obstacle| *obstacle == Obstacle::Position(PositionUnknown::Awaited);
        self.arm_obstacle(now)
            .or_else(|| self.way_obstacle())
            .or_else(|| self.position_obstacle(now))
            .filter(|obstacle| self.begun || !awaited(obstacle))
    }

    /// Stops on request of an operator, until [`Teleop::handle_reset`]. Works in every mode.
    pub fn handle_stop(&mut self) {
        self.stop(StopCause::Requested);
    }

    /// Handles a message of `stop.topic`. True stops. False does not release the stop.
    pub fn handle_stop_message(&mut self, now: Instant, stop: bool) {
        self.stop_watch.handle_message(now, stop);
        self.update(now);
    }

    /// Releases a stop on request of an operator. Disarms in every mode. Returns a line for the
    /// operator.
    pub fn handle_reset(&mut self) -> String {
        self.confirm_until = None;
        let happened = self.change_mode(Mode::reset);
        format!("{happened}: call ~/set_armed with data: true to move again")
    }

    /// Ends all motion, because the bridge shuts down.
    pub fn handle_shutdown(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.shutting_down, true) {
            self.request_stop_line();
        }
        self.update(now);
    }

    /// Checks whether valid settings fit the arm's current position.
    ///
    /// # Errors
    /// Returns why [`Teleop::handle_config`] must not be called with these settings now.
    pub fn check_config(&self, config: &TeleopConfig) -> Result<(), TeleopConfigError> {
        let sent = self.estimate.last_sent().map(|(_, command)| command.position);
        let excluded = [sent, self.estimate.best_position()].into_iter().flatten().find(|position| {
            // If the arm is already outside, the new workspace does not make it worse.
            self.config.workspace.contains(*position) && !config.workspace.contains(*position)
        });
        excluded.map_or(Ok(()), |position| Err(TeleopConfigError::WorkspaceExcludesArm { position }))
    }

    /// Applies settings from the next command on. The settings of arming and of the hand's frame
    /// may change only while disarmed.
    pub fn handle_config(&mut self, now: Instant, config: TeleopConfig) {
        let before = std::mem::replace(&mut self.config, config);
        // The error of the first `~/set_armed` call contained the home position. It may have
        // changed.
        self.confirm_until = None;
        self.input.handle_config(now, &before, &self.config);
        if before.gripper != self.config.gripper {
            self.gripper.handle_config();
        }
        let has_other_meaning =
            before.retarget != self.config.retarget || before.retarget_mode != self.config.retarget_mode;
        if has_other_meaning && self.mode.is_armed() {
            // The node rejects this change while armed, because a resting hand would move the arm.
            self.change_mode(|mode| mode.disarm(Disarmed::ByRetarget));
        }
        if before.hold_behavior != self.config.hold_behavior && !self.mode.is_moving() {
            // A changed parameter must not repeat an old command.
            self.estimate.forbid_repetition();
        }
        if before.arming != self.config.arming {
            self.mode.handle_arming(self.config.arming);
        }
        if before.assume_position != self.config.assume_position && !self.mode.is_armed() {
            self.estimate.renew_session(&self.config);
        }
        let basis = Basis { estimate: &self.estimate, config: &self.config };
        match self.planner.handle_config(&before, basis) {
            Ok(approaches) => {
                self.planner.look_for_way(self.mode.is_moving(), basis);
                if approaches {
                    self.mode.approach_again();
                }
            }
            Err(fault) => self.input.handle_fault(fault),
        }
        self.update(now);
    }

    /// Records that the computer has just woken up. `slept` is the length of the sleep. The steady
    /// clock stood still during the sleep. Therefore input from before the sleep is no longer good.
    pub fn handle_slept(&mut self, now: Instant, slept: Duration) {
        self.input.handle_slept(now, slept);
        self.update(now);
        self.mode.require_settling();
    }

    /// Forgets the arm's position and the gripper's state, because the arm or the meaning of
    /// positions has changed. Call it only while disarmed and without a link.
    pub fn handle_other_arm(&mut self) {
        self.estimate.handle_other_arm();
        (self.fault, self.confirm_until) = (None, None);
        self.gripper = GripperDecider::new(self.config.initial_gripper);
        self.planner.handle_other_arm();
    }

    /// Handles the passing of time. Call it no later than the time that [`Teleop::poll_timeout`]
    /// returns.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.update(now);
    }

    /// Returns the latest time for the next call of [`Teleop::handle_timeout`].
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        self.input
            .deadlines(now, self.mode.awaits_settling(), &self.config)
            .into_iter()
            .chain([
                self.rejections.pause_until(),
                self.gripper.awaited_until(),
                self.estimate.rests_at(),
                self.rearm_at(),
                self.stop_watch.deadline(self.config.stop_timeout),
            ])
            .flatten()
            .filter(|deadline| *deadline > now)
            .min()
    }

    /// Returns whether to send a stop line now, even if replies are missing. If it returns true,
    /// send the line and call [`Teleop::handle_stop_sent`].
    #[must_use]
    pub fn poll_stop_line(&self) -> bool {
        self.stop_line.is_due()
    }

    /// Records that a stop line has been passed to the connection.
    pub fn handle_stop_sent(&mut self) {
        self.stop_line.handle_sent();
        self.estimate.handle_stop_sent();
    }

    /// Returns the command to send now, if a command is due. The state does not change. After the
    /// command has been sent, call [`Teleop::handle_sent`].
    #[must_use]
    pub fn poll_command(&self, now: Instant) -> Option<Planned> {
        if self.poll_command_at(now)? > now {
            return None;
        }
        let plan = |kind| self.planner.plan(now, kind, self.gripper.decided(), self.basis());
        let mut planned = match self.mode.motion() {
            Motion::Approach | Motion::Tracking if self.present_obstacle(now).is_some() => return None,
            Motion::Approach => plan(CommandKind::Approach)?,
            Motion::Tracking => plan(CommandKind::Tracking)?,
            Motion::Disarmed | Motion::Holding | Motion::Stopped => {
                Planned::new(CommandKind::Repetition, self.repeatable()?, None)
            }
        };
        planned.input_age = self.input.age(now).unwrap_or_default();
        Some(planned)
    }

    /// Returns when the next command is due if no event happens before. This time may be in the
    /// past.
    #[must_use]
    pub fn poll_command_at(&self, now: Instant) -> Option<Instant> {
        if self.stop_line.is_due() {
            return None;
        }
        if self.mode.is_moving() {
            if self.gripper.is_in_doubt() && self.estimate.has_unanswered() {
                return None;
            }
            return self.planner.due_at(now, self.gripper.decided(), self.basis());
        }
        let repeats = self.repeats() && self.may_repeat(now);
        self.planner.repetition_due_at(&self.config).filter(|_| repeats)
    }

    /// Returns when to request the arm's position with a line that commands nothing. This time may
    /// be in the past. After this line has been passed to the connection, call
    /// [`Teleop::handle_asked`].
    #[must_use]
    pub fn poll_question_at(&self, now: Instant) -> Option<Instant> {
        if self.stop_line.is_due() || self.shutting_down || self.link != LinkView::Ready || self.begun {
            return None;
        }
        let awaits_input = || !self.mode.is_going_home() && self.hand_obstacle(now).is_some();
        let waits = self.mode.awaits_motion() && self.link_obstacle(now).is_none() && !awaits_input();
        let needs_position = waits || !self.estimate.has_been_answered();
        let before_motion = self.estimate.question_due_at(now, &self.config).filter(|_| needs_position);
        let may_ask = self.repeats() && self.repeatable().is_some() && !self.estimate.is_asking();
        let before_repetition = self.estimate.check_due_at(now, &self.config).filter(|_| may_ask);
        before_motion.into_iter().chain(before_repetition).min()
    }

    /// Records that a line that requests the arm's position has been passed to the connection.
    pub fn handle_asked(&mut self, now: Instant) {
        self.estimate.handle_asked(now);
    }

    /// Records that a planned command has been passed to the connection.
    pub fn handle_sent(&mut self, now: Instant, planned: &Planned) {
        if planned.kind != CommandKind::Repetition {
            self.gripper.handle_sent(planned.command.gripper);
        }
        if self.planner.handle_sent(now, planned, Basis { estimate: &self.estimate, config: &self.config }) {
            self.mode.track();
        }
        if planned.kind != CommandKind::Repetition {
            if !self.begun {
                self.estimate.handle_start(&self.config);
            }
            self.begun = true;
            self.stop_line.handle_command();
        }
        self.estimate.handle_sent(now, planned.command);
        self.counters.limited += u64::from(planned.limited == Some(Limit::Speed) || planned.clamped);
    }

    /// Returns the current motion state.
    pub fn motion(&self) -> Motion {
        self.mode.motion()
    }

    /// Returns whether motion is allowed. An obstacle may still prevent it.
    pub fn is_armed(&self) -> bool {
        self.mode.is_armed()
    }

    /// Returns why the arm moves or does not move.
    pub fn reason(&self, now: Instant) -> Reason {
        let settling = Obstacle::Settling { settle_time: self.config.settle_time };
        let reason = Reason::new(self.mode, self.planner.outside(), &self.stop_cause, || {
            self.obstacle(now).unwrap_or(settling)
        });
        if matches!(reason, Reason::Approaching | Reason::ApproachingClamped(_)) {
            return self.planner.waits_for(now, self.basis()).map_or(reason, Reason::ApproachWaiting);
        }
        let trouble = self.stop_line.trouble().filter(|_| !self.mode.is_moving());
        match trouble {
            Some(trouble) => Reason::StopTrouble(trouble, Box::new(reason)),
            None => reason,
        }
    }

    /// Returns how often commands differed from the input.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Returns the age of the newest good target, if there has been one since the last rejected
    /// target.
    pub fn input_age(&self, now: Instant) -> Option<Duration> {
        self.input.age(now)
    }

    /// Returns why no target may currently move the arm. Considers only the input.
    pub fn input_obstacle(&self, now: Instant) -> Option<Obstacle> {
        self.input.obstacle(now, &self.config)
    }

    /// Returns why a stop is latched, if a stop is latched.
    pub fn stop_cause(&self) -> Option<&StopCause> {
        (self.mode.motion() == Motion::Stopped).then_some(&self.stop_cause)
    }

    /// Stops, and latches the stop. If a stop is already latched, its cause stays.
    fn stop(&mut self, cause: StopCause) {
        if self.mode.motion() != Motion::Stopped {
            self.stop_cause = cause;
        }
        self.confirm_until = None;
        self.change_mode(Mode::stop);
        self.request_stop_line();
        if self.config.hold_behavior.sends_stop() && self.link == LinkView::Down {
            self.stop_line.handle_no_connection();
        }
    }

    /// Checks the publisher of a target.
    ///
    /// # Errors
    /// The arm is armed for another publisher.
    fn judge_publisher(&mut self, now: Instant, target: &Target) -> Result<(), InputFault> {
        match self.armed_for.judge(now, target.publisher) {
            Sender::Known => return Ok(()),
            Sender::New => {}
            Sender::Stranger => {
                self.input.handle_other_publisher(now);
                self.update(now);
                return Err(InputFault::OtherPublisher);
            }
            Sender::Successor => {
                self.change_mode(|mode| mode.disarm(Disarmed::ByNewPublisher));
                self.armed_for.judge(now, target.publisher);
            }
        }
        self.input.handle_new_publisher();
        self.update(now);
        Ok(())
    }

    fn hold_by(&mut self, now: Instant, fault: InputFault) {
        self.input.handle_fault(fault);
        self.update(now);
    }

    /// Updates the mode from obstacles and time.
    fn update(&mut self, now: Instant) {
        if self.mode.motion() != Motion::Stopped
            && let Some(cause) = self.stop_watch.cause(now, self.config.stop_timeout)
        {
            self.stop(cause);
        }
        if self.rearm_at().is_some_and(|at| at <= now) {
            let after = self.config.rearm_after;
            self.change_mode(|mode| mode.disarm(Disarmed::ByAbsence { after }));
        }
        let away = self.input.is_away(now, &self.config);
        if away {
            self.mode.require_settling();
        }
        // If the first command was rejected, or a report after a rejection shows the arm elsewhere,
        // the motion begins again.
        self.begun = self.begun && self.estimate.goes_on(self.config.position_tolerance);
        let clear = if self.mode.is_going_home() {
            self.home_obstacle(now).is_none()
        } else {
            self.obstacle(now).is_none()
        };
        let settled = clear && !self.mode.is_moving() && self.input.has_settled(now, &self.config);
        if self.change_mode(|mode| mode.advance(clear, settled)) {
            self.planner.begin();
            self.estimate.handle_motion_begun();
            self.stop_line.handle_motion();
            self.decide_gripper(now);
        } else if away {
            // Motion may have ended in this step.
            self.mode.require_settling();
        }
        self.armed_for.handle_armed(now, self.mode.is_armed());
        // If this step restarted the wish for the gripper, the debounce time begins now.
        self.gripper.handle_time(now);
    }

    /// Returns when an operator will have to arm because no hand was present for too long. This
    /// time may be in the past.
    fn rearm_at(&self) -> Option<Instant> {
        let awaits_hand = self.mode.is_armed() && !self.mode.is_going_home();
        self.input.rearm_at(&self.config).filter(|_| awaits_hand)
    }

    /// Changes the mode, and applies the consequences of every change.
    fn change_mode<T>(&mut self, change: impl FnOnce(&mut Mode) -> T) -> T {
        let before = self.mode;
        let result = change(&mut self.mode);
        if self.mode == before {
            return result;
        }
        self.planner.release_hand();
        self.begun &= self.mode.is_moving();
        if before.is_moving() && (!self.mode.is_moving() || self.mode.is_going_home()) {
            self.estimate.handle_interrupted();
        }
        if !self.mode.is_armed() {
            self.armed_for.release();
        }
        if self.mode.motion() == Motion::Disarmed {
            // An operator may now move the arm by other means. So a second `~/set_armed` call no
            // longer confirms the position.
            self.confirm_until = None;
            self.estimate.renew_session(&self.config);
        }
        let motion = self.mode.motion();
        if motion != before.motion() && matches!(motion, Motion::Disarmed | Motion::Stopped) {
            self.gripper.handle_void();
        }
        if before.is_moving() && !self.mode.is_moving() {
            self.gripper.handle_void();
            // A motion that has sent nothing has not moved the arm, so it needs no stop line.
            if self.stop_line.follows_commands() {
                self.request_stop_line();
            }
        }
        result
    }

    fn basis(&self) -> Basis<'_> {
        Basis { estimate: &self.estimate, config: &self.config }
    }

    fn decide_gripper(&mut self, now: Instant) {
        if self.mode.is_going_home() {
            return;
        }
        if let Some(in_sight) = self.input.good_since(now, &self.config) {
            self.gripper.decide(now, in_sight, &self.config.gripper);
        }
    }

    /// Returns the last command if a repetition is safe and changes nothing: no report shows the
    /// arm at another position, and the gripper is in the state of that command.
    fn repeatable(&self) -> Option<Command> {
        let tolerance = self.config.position_tolerance;
        let changes_nothing = |last: &Command| {
            last.gripper == self.gripper.state() && !self.estimate.is_elsewhere(last.position, tolerance)
        };
        self.estimate.repeatable().filter(changes_nothing)
    }

    /// Returns whether the bridge repeats the last command while the arm holds.
    fn repeats(&self) -> bool {
        self.config.hold_behavior.repeats()
            && !self.mode.is_moving()
            && self.link == LinkView::Ready
            && !self.shutting_down
    }

    /// Returns whether the last command may be repeated now. If the controller can report its
    /// position, the report must be recent.
    fn may_repeat(&self, now: Instant) -> bool {
        let is_current = self.estimate.check_due_at(now, &self.config).is_none_or(|due| now < due);
        is_current && !self.estimate.is_seen_moving() && self.repeatable().is_some()
    }

    fn request_stop_line(&mut self) {
        if self.config.hold_behavior.sends_stop() && self.link != LinkView::Down {
            self.stop_line.request();
        } else {
            self.stop_line.cancel();
        }
    }

    /// Restarts the motion from the last accepted command, because a later command was rejected or
    /// lost.
    fn restart_motion(&mut self) {
        if self.mode.is_moving() {
            self.planner.restart();
            self.begun &= self.estimate.goes_on(self.config.position_tolerance);
            self.change_mode(Mode::approach_again);
        }
    }

    /// Returns the first obstacle to motion, apart from the mode.
    fn obstacle(&self, now: Instant) -> Option<Obstacle> {
        self.obstacle_except_position(now).or_else(|| self.position_obstacle(now))
    }

    /// Returns the first obstacle to the requested motion. On the way home the input does not
    /// matter.
    fn present_obstacle(&self, now: Instant) -> Option<Obstacle> {
        if self.mode.is_going_home() {
            return self
                .arm_obstacle(now)
                .or_else(|| self.way_obstacle())
                .or_else(|| self.position_obstacle(now));
        }
        self.obstacle(now)
    }

    /// Returns why the arm's position is unknown. Returns `None` after the first command of a
    /// motion, because the motion began at a known position.
    fn position_obstacle(&self, now: Instant) -> Option<Obstacle> {
        let unknown = if self.begun { None } else { self.estimate.check(now, &self.config).err() };
        unknown.map(Obstacle::Position)
    }

    /// Returns the first obstacle to motion that does not depend on a report of the arm's position.
    fn obstacle_except_position(&self, now: Instant) -> Option<Obstacle> {
        self.arm_obstacle(now).or_else(|| self.hand_obstacle(now))
    }

    /// Returns the first obstacle in the input.
    fn hand_obstacle(&self, now: Instant) -> Option<Obstacle> {
        let awaited = || self.gripper.is_awaited(now).then_some(Obstacle::GripperAwaited);
        self.input_obstacle(now).or_else(|| self.way_obstacle()).or_else(awaited)
    }

    fn way_obstacle(&self) -> Option<Obstacle> {
        self.planner.has_no_way().then_some(Obstacle::NoWay)
    }

    /// Returns the first obstacle in the link or the arm.
    fn arm_obstacle(&self, now: Instant) -> Option<Obstacle> {
        let deviates = || self.estimate.check_following().err().filter(|_| self.begun);
        let unknown = || deviates().or_else(|| self.needs_confirmation(now)).map(Obstacle::Position);
        self.link_obstacle(now).or_else(unknown)
    }

    /// Returns the first obstacle in the link, or a fault that the controller reports.
    fn link_obstacle(&self, now: Instant) -> Option<Obstacle> {
        if self.shutting_down {
            return Some(Obstacle::ShuttingDown);
        }
        self.link
            .obstacle()
            .or_else(|| self.rejections.obstacle(now))
            .or_else(|| self.fault.clone().map(Obstacle::ArmFault))
    }
}

/// This time is added to the calculated duration of the motion home, because timers and replies are
/// late.
const HOME_MARGIN: Duration = Duration::from_secs(2);
/// The time within which an operator has to call `~/set_armed` again.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);
