//! The planner: calculates the next command from the position of the hand.
//!
//! Invariants:
//! - The planner stores only one goal. The newest sample replaces it. Old samples are never
//!   replayed.
//! - Planning changes no state. Only [`Planner::handle_sent`] records the step. So if a command
//!   could not be written, it has no effect on the planner.
//! - A motion begins at rest, at the position of the [estimate](ArmEstimate). After that, each
//!   command is one step of the [`Limiter`] and one step of the orientation, starting from the
//!   command before.
//! - If there is no route to a goal, the planner searches again with each sample.
//! - Before a motion begins, the arm gets the time to come to rest after the last command. This
//!   command may have been sent on an earlier connection. At least one period of the command rate
//!   passes between this command and the motion.

mod filter;
mod limiter;
mod progress;

use std::time::{Duration, Instant};

use self::filter::Filter;
pub use self::limiter::Limit;
use self::limiter::{Limiter, Step};
use self::progress::Progress;
use super::config::{Limits, OrientationConfig, TeleopConfig};
use super::estimate::ArmEstimate;
use super::input::Sample;
use super::input_fault::InputFault;
use super::reason::Waiting;
use super::retarget::Clutch;
use super::workspace::Admitted;
use crate::arm::{Command, Gripper};
use crate::geometry::{Orientation, Position};

/// Plans commands, one at a time.
#[derive(Debug, Default)]
pub(super) struct Planner {
    filter: Filter,
    clutch: Clutch,
    goal: Option<Goal>,
    /// A fixed destination, such as home. It has priority over the hand.
    destination: Option<Goal>,
    /// The ramp of the present motion: the walk of the [`Limiter`]. `None` before its first
    /// command.
    ramp: Option<Limiter>,
    cadence: Cadence,
    momentum: Option<Momentum>,
    /// The last command did not reach the orientation of the hand.
    turning: bool,
    progress: Progress,
}

/// The data from which a command is planned, in addition to the goal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Basis<'a> {
    pub estimate: &'a ArmEstimate,
    pub config: &'a TeleopConfig,
}

#[derive(Debug, Clone, Copy)]
struct Goal {
    /// The smoothed position of the hand, in the arm's base frame.
    hand: Position,
    /// The orientation of the hand in the arm's base frame, if the publisher sends one.
    orientation: Option<Orientation>,
    /// Whether the filter changed the position.
    filtered: bool,
    /// The goal of the arm, inside the workspace.
    position: Position,
    /// How far outside the workspace the hand is, in metres.
    outside: f64,
    /// No command has been sent for this goal yet.
    unsent: bool,
}

impl Planner {
    /// Makes a sample the new goal, if it is acceptable. Returns whether it replaces a goal for
    /// which no command was sent.
    ///
    /// # Errors
    /// [`InputFault`] states why the sample is rejected.
    pub(super) fn handle_sample(&mut self, sample: &Sample, basis: Basis) -> Result<bool, InputFault> {
        if sample.resumes || sample.frame_moved {
            // Without a reset, the filter would turn a jump of the position into a gradual
            // movement.
            self.filter.reset();
        }
        let hand = self.filter.apply(sample, &basis.config.filter);
        let Admitted { position, outside } = self.place(hand, basis)?;
        let overtakes = self.goal.is_some_and(|goal| goal.unsent);
        let (orientation, filtered) = (sample.orientation, hand != sample.position);
        self.goal = Some(Goal { hand, orientation, filtered, position, outside, unsent: true });
        Ok(overtakes)
    }

    /// Begins a motion. Its ramp starts with its first command.
    pub(super) fn begin(&mut self) {
        self.ramp = None;
        self.progress.begin();
    }

    /// Searches a route to the goal, because the goal, the arm or the settings may have changed.
    /// `moving`: a motion is in progress. Then the route starts at the last command of the motion.
    pub(super) fn look_for_way(&mut self, moving: bool, basis: Basis) {
        let Some(goal) = self.active_goal() else { return };
        let ramp = self.ramp.filter(|_| moving);
        // A motion that begins now couples the hand to the present position of the arm.
        let aim = if ramp.is_some() || self.destination.is_some() {
            Some(goal.position)
        } else {
            self.place(goal.hand, basis).ok().map(|it| it.position)
        };
        let arm = ramp.map_or_else(|| basis.estimate.position(basis.config), |ramp| ramp.position());
        self.progress.update(arm, aim.unwrap_or(goal.position), &basis.config.workspace);
    }

    /// Returns whether the goal is out of reach.
    pub(super) fn has_no_way(&self) -> bool {
        self.active_goal().is_some() && self.progress.is_out_of_reach()
    }

    /// Returns how far outside the workspace the hand is, in metres.
    pub(super) fn outside(&self) -> f64 {
        self.goal.map_or(0.0, |goal| goal.outside)
    }

    /// Returns whether the present motion has sent a command.
    pub(super) fn has_begun(&self) -> bool {
        self.ramp.is_some()
    }

    /// Restarts the motion at the estimated position, because a command was rejected or lost. The
    /// next step starts there, not at that command.
    pub(super) fn restart(&mut self) {
        self.begin();
        self.clutch.release();
    }

    /// Releases the hand, because the mode has changed.
    pub(super) fn release_hand(&mut self) {
        self.clutch.release();
        self.destination = None;
    }

    /// Sets a fixed destination. It has priority over the hand until the mode changes.
    pub(super) fn head_for(&mut self, position: Position, orientation: Option<Orientation>) {
        let (hand, filtered, outside, unsent) = (position, false, 0.0, true);
        self.destination = Some(Goal { hand, orientation, filtered, position, outside, unsent });
        self.begin();
    }

    /// Returns whether the last command has reached the fixed destination.
    pub(super) fn has_arrived(&self, basis: Basis) -> bool {
        let rests = |goal: Goal| self.ramp.as_ref().is_some_and(|ramp| ramp.rests_at(goal.position));
        self.destination.is_some_and(rests) && self.turn(basis).is_none_or(|(tool, goal)| tool == goal)
    }

    fn active_goal(&self) -> Option<Goal> {
        self.destination.or(self.goal)
    }

    /// Forgets the motion, because the connection has ended. Keeps the speed and the time of the
    /// last command, because the arm may still be moving when the next connection opens.
    pub(super) fn handle_link_down(&mut self) {
        (self.ramp, self.turning) = (None, false);
    }

    /// Forgets the motion and the speed of the arm, because the arm may be a different one.
    pub(super) fn handle_other_arm(&mut self) {
        self.handle_link_down();
        (self.cadence, self.momentum) = (Cadence::default(), None);
    }

    /// Handles new settings, and calculates the goal of the same hand again. Returns whether the
    /// goal moves so far that the arm must approach it slowly.
    ///
    /// # Errors
    /// [`InputFault`] states why the new settings reject the position of the hand.
    pub(super) fn handle_config(&mut self, before: &TeleopConfig, basis: Basis) -> Result<bool, InputFault> {
        if before.filter != basis.config.filter {
            self.filter.handle_config();
        }
        if before.retarget != basis.config.retarget || before.retarget_mode != basis.config.retarget_mode {
            self.filter.reset();
            self.goal = None;
        }
        self.progress.forget();
        // If the new settings reject the position, there is no goal any more.
        let Some(goal) = self.goal.take() else { return Ok(false) };
        let Admitted { position, outside } = self.place(goal.hand, basis)?;
        self.goal = Some(Goal { position, outside, ..goal });
        Ok(goal.position.distance(position) > APPROACH_TOLERANCE)
    }

    /// Returns when the last command may be repeated.
    pub(super) fn repetition_due_at(&self, config: &TeleopConfig) -> Option<Instant> {
        self.cadence.next(config.ramp_period())
    }

    /// Returns when the next command of the motion is due. It may lie in the past.
    pub(super) fn due_at(&self, now: Instant, gripper: Gripper, basis: Basis) -> Option<Instant> {
        let goal = self.active_goal()?;
        let Some(ramp) = &self.ramp else {
            return self.aim(basis).and(self.may_begin_at(now, basis));
        };
        let Some((sent_at, sent)) = basis.estimate.last_sent() else { return Some(now) };
        if sent.gripper != gripper {
            // The gripper opens or closes even if the arm does not move.
            return Some(sent_at);
        }
        let turned = || self.turn(basis).is_none_or(|(tool, goal)| tool == goal);
        if !goal.unsent && ramp.rests_at(goal.position) && turned() {
            return None;
        }
        match basis.config.command_period {
            None if goal.unsent => Some(sent_at),
            _ => self.cadence.next(basis.config.ramp_period()),
        }
    }

    /// Returns when the first command of a motion may be sent. `None` while a line is unanswered.
    fn may_begin_at(&self, now: Instant, basis: Basis) -> Option<Instant> {
        let config = basis.config;
        let known_at = basis.estimate.may_begin_at(now, config)?;
        let rest_at = self.momentum.map(|momentum| momentum.rest_at(config));
        Some(known_at).max(self.cadence.next(config.ramp_period())).max(rest_at)
    }

    /// Returns what the first command of a motion waits for. `None` if it does not wait.
    pub(super) fn waits_for(&self, now: Instant, basis: Basis) -> Option<Waiting> {
        if self.has_begun() {
            return None;
        }
        match self.may_begin_at(now, basis) {
            None => Some(Waiting::Answer),
            Some(at) => (at > now).then_some(Waiting::Rest),
        }
    }

    /// Plans the next command of a motion. Changes no state until [`Planner::handle_sent`].
    pub(super) fn plan(
        &self,
        now: Instant,
        kind: CommandKind,
        gripper: Gripper,
        basis: Basis,
    ) -> Option<Planned> {
        let (goal, aim) = (self.active_goal()?, self.aim(basis)?);
        let Basis { config, .. } = basis;
        let limits = if kind == CommandKind::Approach { config.approach_limits() } else { config.limits };
        let step = match &self.ramp {
            Some(ramp) => ramp.step(now, aim, limits, config),
            None => {
                let ramp = first_ramp(basis);
                let step = ramp.step(now, aim, limits, config);
                // The arm may be at the last command, even if that command was rejected or lost.
                // The path from there to the estimated position is the path on which the arm came,
                // so it is free.
                let is_free = |to: Position| {
                    let sent = basis.estimate.last_sent();
                    sent.is_none_or(|(_, sent)| config.workspace.holds_step(sent.position, to))
                };
                if !is_free(step.position) && is_free(ramp.position()) { ramp.stay() } else { step }
            }
        };
        let (orientation, turning) = self.turn_step(now, basis).unzip();
        let command = Command { position: step.position, gripper, orientation };
        let (clamped, filtered, turning) = (goal.outside > 0.0, goal.filtered, turning.unwrap_or(false));
        Some(Planned { clamped, filtered, turning, ..Planned::new(kind, command, Some(step)) })
    }

    /// Records that a planned command has been handed to the connection. Call this before the
    /// estimate records it. Returns whether the command is so near to the goal that an approach
    /// ends.
    pub(super) fn handle_sent(&mut self, now: Instant, planned: &Planned, basis: Basis) -> bool {
        let orientation = planned.command.orientation;
        let arrived =
            planned.step.as_ref().is_some_and(|step| self.handle_step(now, step, orientation, basis));
        self.cadence.handle_sent(now, basis.config.ramp_period());
        self.turning = planned.turning;
        arrived
    }

    /// Returns the time since the last command of this motion, or one period before the first one.
    fn elapsed(&self, now: Instant, basis: Basis) -> Duration {
        let sent = basis.estimate.last_sent().filter(|_| self.has_begun());
        let since = sent.map(|(sent_at, _)| now.saturating_duration_since(sent_at));
        since.unwrap_or_else(|| basis.config.ramp_period())
    }

    fn handle_step(
        &mut self,
        now: Instant,
        step: &Step,
        orientation: Option<Orientation>,
        basis: Basis,
    ) -> bool {
        let aim = self.aim(basis);
        let tool = basis.config.orientation.map(|turning| self.tool(basis.estimate, &turning));
        self.momentum = Some(Momentum {
            sent_at: now,
            speed: step.speed(),
            turned: tool.zip(orientation).map_or(0.0, |(tool, turned)| tool.angle_to(turned)),
            elapsed: self.elapsed(now, basis),
        });
        let ramp = self.ramp.get_or_insert_with(|| first_ramp(basis));
        ramp.take(now, step);
        if let Some(destination) = &mut self.destination {
            destination.unsent = false;
            return false;
        }
        let (Some(goal), Some(aim)) = (&mut self.goal, aim) else { return false };
        let remaining = step.remaining.unwrap_or(f64::INFINITY);
        self.progress.handle_step(now, ramp.position(), aim, remaining, basis.config);
        (goal.unsent, goal.position) = (false, aim);
        self.clutch.engage(goal.hand, basis.estimate.position(basis.config));
        if let Some((hand, tool)) = goal.orientation.zip(tool) {
            self.clutch.engage_orientation(hand, tool);
        }
        step.position.distance(aim) <= APPROACH_TOLERANCE
    }

    /// Returns the present goal of the arm. A relative motion that has not begun has its goal at
    /// the present position of the arm.
    fn aim(&self, basis: Basis) -> Option<Position> {
        let goal = self.active_goal()?;
        if self.has_begun() || self.destination.is_some() {
            return Some(goal.position);
        }
        self.place(goal.hand, basis).map(|admitted| admitted.position).ok()
    }

    /// Returns the goal of the arm for a hand at `hand`, and how far outside the workspace the hand
    /// is.
    ///
    /// # Errors
    /// [`InputFault`] states why the position of the hand is rejected.
    fn place(&self, hand: Position, basis: Basis) -> Result<Admitted, InputFault> {
        let arm = basis.estimate.position(basis.config);
        self.clutch.place(basis.config.retarget_mode, hand, arm, &basis.config.workspace)
    }

    /// Returns the tool's orientation in the last command of this motion. Before the first command,
    /// returns the estimate.
    fn tool(&self, estimate: &ArmEstimate, turning: &OrientationConfig) -> Orientation {
        let sent = estimate.last_sent().filter(|_| self.has_begun());
        sent.and_then(|(_, command)| command.orientation).unwrap_or_else(|| estimate.orientation(turning))
    }

    /// Returns the tool's present orientation and its goal orientation. `None` if the bridge sends
    /// no orientation to the controller.
    fn turn(&self, basis: Basis) -> Option<(Orientation, Orientation)> {
        let tool = self.tool(basis.estimate, basis.config.orientation.as_ref()?);
        if let Some(destination) = self.destination {
            let goal = destination.orientation.map(|orientation| orientation.near(tool));
            return Some((tool, goal.unwrap_or(tool)));
        }
        let hand = self.goal.and_then(|goal| goal.orientation);
        let goal = hand.map(|hand| self.clutch.orient(basis.config.retarget_mode, hand, tool).near(tool));
        Some((tool, goal.unwrap_or(tool)))
    }

    /// Returns the orientation of the next command, and whether it has not reached the goal
    /// orientation yet.
    fn turn_step(&self, now: Instant, basis: Basis) -> Option<(Orientation, bool)> {
        let (tool, goal) = self.turn(basis)?;
        let period = basis.config.ramp_period();
        let (since, turning) = if self.has_begun() {
            (basis.estimate.last_sent().map(|(sent_at, _)| sent_at), self.turning)
        } else {
            (basis.estimate.at_rest_since(basis.config), false)
        };
        // The time at rest must not make the next step longer.
        let most = if turning { basis.config.longest_step() } else { period };
        let elapsed = since.map_or(period, |since| now.saturating_duration_since(since).min(most));
        let turned = tool.towards(goal, basis.config.orientation?.speed * elapsed.as_secs_f64());
        Some((turned, turned != goal))
    }
}

/// Returns the ramp of a motion that begins now.
fn first_ramp(basis: Basis) -> Limiter {
    Limiter::at_rest(basis.estimate.position(basis.config), basis.estimate.at_rest_since(basis.config))
}

/// A command that may be sent now, and how it differs from the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Planned {
    /// The command.
    pub command: Command,
    /// The target was outside the workspace and was clamped to its edge.
    pub clamped: bool,
    /// The filter changed the target.
    pub filtered: bool,
    /// The limit that keeps the command from reaching the target. `None` if it reaches the target.
    pub limited: Option<Limit>,
    /// The command does not reach the orientation of the hand yet.
    pub turning: bool,
    /// The purpose of the command.
    pub kind: CommandKind,
    /// How old the target was when the command was planned.
    pub input_age: Duration,
    /// The step of the ramp. `None` if the command is a repetition.
    step: Option<Step>,
}

/// The purpose of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandKind {
    /// The slow ramp to a live target, at `limits.approach_speed`.
    Approach,
    /// A step that follows the target.
    Tracking,
    /// A repetition of the last command during a hold (`teleop.hold_behavior: repeat`).
    Repetition,
}

impl Planned {
    /// Creates a planned command that only the step of the ramp may have changed.
    pub(super) fn new(kind: CommandKind, command: Command, step: Option<Step>) -> Self {
        let (limited, input_age) = (step.and_then(|step| step.limit), Duration::ZERO);
        Self { command, clamped: false, filtered: false, limited, turning: false, kind, input_age, step }
    }

    /// Returns the names of all changes to the command, for `ArmCommand.altered_by`.
    pub fn altered_by(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.filtered, "filtered"),
            (self.clamped, "clamped"),
            (self.limited == Some(Limit::Speed), "speed_limited"),
            (self.limited == Some(Limit::Acceleration), "acceleration_limited"),
            (self.turning, "turn_limited"),
            (self.kind == CommandKind::Approach, "approach"),
            (self.kind == CommandKind::Repetition, "repeated"),
        ]
        .into_iter()
        .filter_map(|(altered, name)| altered.then_some(name))
    }
}

/// The speed of the arm according to the last command.
#[derive(Debug, Clone, Copy)]
struct Momentum {
    sent_at: Instant,
    /// In m/s.
    speed: f64,
    /// The rotation of the tool in the last step, in rad.
    turned: f64,
    /// The duration of the last step.
    elapsed: Duration,
}

impl Momentum {
    /// Returns when the arm can have come to rest. There is no limit for the angular acceleration
    /// of the tool. Therefore a tool that rotates at its full speed gets the time that an arm needs
    /// to stop from its full speed.
    fn rest_at(&self, config: &TeleopConfig) -> Instant {
        let Limits { speed, acceleration } = config.limits;
        let turning = config.orientation.map_or(0.0, |turning| {
            let rate = self.turned / self.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
            (rate / turning.speed).min(1.0)
        });
        let seconds = (self.speed / acceleration).max(turning * speed / acceleration);
        self.sent_at + Duration::from_secs_f64(seconds.min(LONGEST_REST))
    }
}

/// The schedule of commands.
///
/// Invariant: if commands are sent a little late, the mean rate is still the command rate. Timers
/// are late, some by a millisecond. If the last command was late by at most a quarter of the
/// period, the next command is due one period after the due time of the last command.
#[derive(Debug, Clone, Copy, Default)]
struct Cadence {
    /// When the last command was due, if it was only a little late. Otherwise when it was sent.
    slot: Option<Instant>,
}

impl Cadence {
    /// Records a command that was sent at `now`.
    fn handle_sent(&mut self, now: Instant, period: Duration) {
        let late = |due: &Instant| now >= *due && now.duration_since(*due) <= period / LATE;
        self.slot = Some(self.next(period).filter(late).unwrap_or(now));
    }

    /// Returns when the next command is due, `period` after the last one. `None` if there was no
    /// command.
    fn next(&self, period: Duration) -> Option<Instant> {
        self.slot.map(|slot| slot + period)
    }
}

/// An approach ends at this distance from the target, in metres. A webcam tracker has this much
/// noise.
const APPROACH_TOLERANCE: f64 = 0.005;
/// Longer than any arm needs to come to rest, in seconds. Keeps the arithmetic finite.
const LONGEST_REST: f64 = 3600.0;
/// A command counts as sent on time if it is late by at most the period divided by this number.
const LATE: u32 = 4;

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;
    use crate::teleop::config::tests::settings;
    use crate::teleop::config::{FilterConfig, OneEuro};
    use crate::teleop::retarget::RetargetMode;

    /// A planner, and an estimate in which the controller accepts all commands.
    struct Scene {
        now: Instant,
        config: TeleopConfig,
        planner: Planner,
        estimate: ArmEstimate,
    }

    impl Scene {
        fn new(config: TeleopConfig) -> Self {
            let (planner, estimate) = (Planner::default(), ArmEstimate::default());
            Self { now: Instant::now(), config, planner, estimate }
        }

        fn basis(&self) -> Basis<'_> {
            Basis { estimate: &self.estimate, config: &self.config }
        }

        fn sample(&mut self, x: f64, yaw: f64, resumes: bool) -> Result<bool, InputFault> {
            let sample = Sample {
                origin: self.now,
                stamp: None,
                position: at(x),
                orientation: Some(Orientation::from_rpy([0.0, 0.0, yaw])),
                resumes,
                frame_moved: false,
            };
            self.planner.handle_sample(&sample, Basis { estimate: &self.estimate, config: &self.config })
        }

        fn due_at(&self) -> Option<Instant> {
            self.planner.due_at(self.now, Gripper::Open, self.basis())
        }

        fn plan(&self) -> Planned {
            self.planner.plan(self.now, CommandKind::Tracking, Gripper::Open, self.basis()).unwrap()
        }

        /// Sends the next command. Returns it, and whether it is at the goal.
        fn send(&mut self) -> (Planned, bool) {
            let planned = self.plan();
            let basis = Basis { estimate: &self.estimate, config: &self.config };
            let arrived = self.planner.handle_sent(self.now, &planned, basis);
            self.estimate.handle_sent(self.now, planned.command);
            self.estimate.handle_acknowledged(self.now, &planned.command);
            self.now += self.config.ramp_period();
            (planned, arrived)
        }
    }

    /// A position at the height of the arm's home.
    fn at(x: f64) -> Position {
        Position::new(x, 0.0, 0.2).unwrap()
    }

    #[test]
    fn planning_changes_nothing_until_command_is_sent() {
        let mut scene = Scene::new(settings());
        assert!(!scene.sample(0.3, 0.0, true).unwrap());
        assert_eq!(scene.plan(), scene.plan());
        assert!(!scene.planner.has_begun());
        let (first, _) = scene.send();
        assert!(scene.planner.has_begun() && first.command.position != scene.config.home);
        assert_ne!(scene.plan().command, first.command);
    }

    #[test]
    fn sample_overtakes_only_unsent_goal() {
        let mut scene = Scene::new(settings());
        assert!(!scene.sample(0.3, 0.0, true).unwrap());
        assert!(scene.sample(0.31, 0.0, false).unwrap());
        scene.send();
        assert!(!scene.sample(0.32, 0.0, false).unwrap());
    }

    #[test]
    fn no_command_is_due_at_goal() {
        let mut scene = Scene::new(settings());
        assert_eq!(scene.due_at(), None, "there is no goal");
        scene.sample(0.21, 0.3, true).unwrap();
        let mut arrived = false;
        while let Some(due) = scene.due_at() {
            assert!(due <= scene.now);
            arrived = scene.send().1;
        }
        let (_, last) = scene.estimate.last_sent().unwrap();
        assert_eq!(last.position, at(0.21));
        assert!(arrived && last.orientation.unwrap().angle_to(Orientation::from_rpy([0.0, 0.0, 0.3])) < 1e-9);
        assert!(
            scene.planner.due_at(scene.now, Gripper::Closed, scene.basis()).is_some(),
            "the gripper is due"
        );
    }

    #[test]
    fn orientation_keeps_its_speed_limit() {
        let mut scene = Scene::new(settings());
        scene.sample(0.2, 1.0, true).unwrap();
        let mut before = Orientation::from_rpy([0.0; 3]);
        for _ in 0..3 {
            let (planned, _) = scene.send();
            let orientation = planned.command.orientation.unwrap();
            // 1 rad/s for 20 ms.
            assert!(planned.turning && (orientation.angle_to(before) - 0.02).abs() < 1e-9);
            before = orientation;
        }
    }

    #[test]
    fn relative_motion_starts_at_arm_position() {
        let mut scene = Scene::new(TeleopConfig { retarget_mode: RetargetMode::Relative, ..settings() });
        scene.sample(0.9, 1.0, true).unwrap();
        let (first, arrived) = scene.send();
        assert_eq!(first.command.position, scene.config.home);
        assert!(arrived && !first.turning);
        scene.sample(0.91, 1.0, false).unwrap();
        while scene.due_at().is_some() {
            scene.send();
        }
        assert!(scene.estimate.best_position().unwrap().distance(at(0.21)) < 2e-6);
    }

    #[test]
    fn filter_restarts_after_lost_hand() {
        let filter = FilterConfig::OneEuro(OneEuro { min_cutoff: 0.1, beta: 0.0, derivative_cutoff: 1.0 });
        let mut scene = Scene::new(TeleopConfig { filter, ..settings() });
        let filtered = |scene: &mut Scene, x, resumes| {
            scene.now += Duration::from_millis(20);
            scene.sample(x, 0.0, resumes).unwrap();
            scene.plan().filtered
        };
        assert!(!filtered(&mut scene, 0.2, true));
        assert!(filtered(&mut scene, 0.3, false));
        assert!(!filtered(&mut scene, 0.4, true));
    }

    #[test]
    fn narrower_workspace_moves_goal_inside() {
        let mut scene = Scene::new(settings());
        scene.sample(0.6, 0.0, true).unwrap();
        let before = scene.config.clone();
        scene.config.workspace = before.workspace.clone().with_reach(0.0, 0.4);
        let basis = Basis { estimate: &scene.estimate, config: &scene.config };
        scene.planner.handle_config(&before, basis).unwrap();
        assert!(scene.plan().clamped);
        scene.config.retarget_mode = RetargetMode::Relative;
        let basis = Basis { estimate: &scene.estimate, config: &scene.config };
        scene.planner.handle_config(&before, basis).unwrap();
        assert_eq!(scene.due_at(), None, "positions have another meaning");
    }

    #[test]
    fn only_small_delay_is_compensated() {
        let (t, ms) = (Instant::now(), Duration::from_millis);
        let mut cadence = Cadence::default();
        assert_eq!(cadence.next(ms(20)), None);
        cadence.handle_sent(t, ms(20));
        cadence.handle_sent(t + ms(25), ms(20));
        assert_eq!(cadence.next(ms(20)), Some(t + ms(40)), "the command was due at 20 ms");
        cadence.handle_sent(t + ms(46), ms(20));
        assert_eq!(cadence.next(ms(20)), Some(t + ms(66)), "the command was too late");
        cadence.handle_sent(t + ms(50), ms(20));
        assert_eq!(cadence.next(ms(20)), Some(t + ms(70)), "the command was early");
    }
}
