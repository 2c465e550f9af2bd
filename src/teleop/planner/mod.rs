//! The planner: from where the hand is to the next command.
//!
//! Invariants:
//! - There is one slot for the goal. The newest sample wins, and nothing is replayed.
//! - Planning changes nothing. Only [`Planner::handle_sent`] takes the step, so a command that could not be written never
//!   happened.
//! - A motion begins at rest, where the [estimate](ArmEstimate) says that the arm is. After that each command is one step
//!   of its [`Limiter`] and one step of its orientation from the command before.

mod cadence;
mod clutch;
mod filter;
mod limiter;
mod planned;

use std::time::Instant;

use self::cadence::Cadence;
use self::clutch::Clutch;
use self::filter::Filter;
pub use self::limiter::Limit;
use self::limiter::{Limiter, Pace, Step};
pub use self::planned::{Kind, Planned};
use super::config::{OrientationConfig, TeleopConfig};
use super::estimate::ArmEstimate;
use super::input::Sample;
use super::input_fault::InputFault;
use crate::arm::{Command, Gripper};
use crate::geometry::{Orientation, Position};

/// Plans commands, one at a time.
#[derive(Debug, Default)]
pub(super) struct Planner {
    filter: Filter,
    clutch: Clutch,
    goal: Option<Goal>,
    /// The ramp of the present motion. `None` before its first command.
    ramp: Option<Limiter>,
    cadence: Cadence,
    /// The last command left the tool on its way to the orientation of the hand.
    turning: bool,
}

#[derive(Debug, Clone, Copy)]
struct Goal {
    /// Where the hand is, smoothed, in the arm's base frame.
    hand: Position,
    /// The hand's orientation in the arm's base frame, if the sender gives one.
    orientation: Option<Orientation>,
    /// Whether smoothing moved the position.
    filtered: bool,
    /// Where the arm is to go: inside the workspace.
    position: Position,
    clamped: bool,
    /// No command has been sent for it yet.
    unsent: bool,
}

impl Planner {
    /// Takes a sample as the new goal. Returns whether it overtakes a goal that no command has been sent for.
    ///
    /// # Errors
    /// If the arm may not go there.
    pub(super) fn handle_sample(
        &mut self,
        sample: &Sample,
        estimate: &ArmEstimate,
        config: &TeleopConfig,
    ) -> Result<bool, InputFault> {
        if sample.resumes {
            self.filter.reset();
        }
        let hand = self.filter.apply(sample.position, sample.stamp, sample.origin, &config.filter);
        let (position, clamped) = self.place(hand, estimate, config)?;
        let overtakes = self.goal.is_some_and(|goal| goal.unsent);
        let Sample { orientation, .. } = *sample;
        let filtered = hand != sample.position;
        self.goal = Some(Goal { hand, orientation, filtered, position, clamped, unsent: true });
        Ok(overtakes)
    }

    /// Begins a motion: its ramp starts with its first command.
    pub(super) fn begin(&mut self) {
        self.ramp = None;
    }

    /// Returns whether the present motion has sent a command.
    pub(super) fn has_begun(&self) -> bool {
        self.ramp.is_some()
    }

    /// Releases the hand, because the mode has changed.
    pub(super) fn release_hand(&mut self) {
        self.clutch.release();
    }

    /// Forgets what was sent on the connection that has ended.
    pub(super) fn handle_link_down(&mut self) {
        (self.ramp, self.cadence, self.turning) = (None, Cadence::default(), false);
    }

    /// Takes other settings, and aims at the same hand by them.
    ///
    /// # Errors
    /// If the arm may not go there any more.
    pub(super) fn handle_config(
        &mut self,
        before: &TeleopConfig,
        estimate: &ArmEstimate,
        config: &TeleopConfig,
    ) -> Result<(), InputFault> {
        if before.filter != config.filter {
            self.filter.reset();
        }
        if before.retarget != config.retarget || before.retarget_mode != config.retarget_mode {
            self.filter.reset();
            self.goal = None;
        }
        // A failure leaves no goal.
        let Some(goal) = self.goal.take() else { return Ok(()) };
        let (position, clamped) = self.place(goal.hand, estimate, config)?;
        self.goal = Some(Goal { position, clamped, ..goal });
        Ok(())
    }

    /// Returns when the last command may be repeated.
    pub(super) fn repetition_due_at(&self, config: &TeleopConfig) -> Option<Instant> {
        self.cadence.next(config.ramp_period())
    }

    /// Returns when the next command of the motion is due. It may lie in the past.
    pub(super) fn due_at(
        &self,
        now: Instant,
        gripper: Gripper,
        estimate: &ArmEstimate,
        config: &TeleopConfig,
    ) -> Option<Instant> {
        let goal = self.goal?;
        let Some(ramp) = &self.ramp else {
            // A hand that may not be followed is waited for.
            return self.aim(estimate, config).and(estimate.may_begin_at(now, config));
        };
        let Some((sent_at, sent)) = estimate.last_sent() else { return Some(now) };
        if sent.gripper != gripper {
            // The gripper opens or closes when the hand does, whether the arm moves or not.
            return Some(sent_at);
        }
        let at_goal = || {
            let turned = |(tool, goal)| tool == goal;
            ramp.rests_at(goal.position) && self.turn(estimate, config).is_none_or(turned)
        };
        if !goal.unsent && at_goal() {
            return None;
        }
        match config.command_period {
            None if goal.unsent => Some(sent_at),
            _ => self.cadence.next(config.ramp_period()),
        }
    }

    /// Plans the command of a motion. Nothing changes before [`Planner::handle_sent`].
    pub(super) fn plan(
        &self,
        now: Instant,
        kind: Kind,
        gripper: Gripper,
        estimate: &ArmEstimate,
        config: &TeleopConfig,
    ) -> Option<Planned> {
        let (goal, aim) = (self.goal?, self.aim(estimate, config)?);
        let limits = if kind == Kind::Approach { config.approach_limits() } else { config.limits };
        let step = |ramp: &Limiter| ramp.step(now, aim, limits, pace(config), &config.workspace);
        let step = self.ramp.as_ref().map_or_else(|| step(&first_ramp(estimate, config)), &step);
        let (orientation, turning) = self.turn_step(now, estimate, config).unzip();
        let command = Command { position: step.position, gripper, orientation };
        let mut planned = Planned::new(kind, command, Some(step));
        (planned.clamped, planned.filtered) = (goal.clamped, goal.filtered);
        planned.turning = turning.unwrap_or(false);
        Some(planned)
    }

    /// Takes a planned command that has been handed to the connection. Call it before the estimate takes the command.
    /// Returns whether the command is so near to the goal that an approach ends.
    pub(super) fn handle_sent(
        &mut self,
        now: Instant,
        planned: &Planned,
        estimate: &ArmEstimate,
        config: &TeleopConfig,
    ) -> bool {
        let arrived = planned.step().is_some_and(|step| self.handle_step(now, step, estimate, config));
        self.cadence.handle_sent(now, config.ramp_period());
        self.turning = planned.turning;
        arrived
    }

    fn handle_step(
        &mut self,
        now: Instant,
        step: &Step,
        estimate: &ArmEstimate,
        config: &TeleopConfig,
    ) -> bool {
        let aim = self.aim(estimate, config);
        let tool = config.turning.map(|turning| self.tool(estimate, &turning));
        self.ramp.get_or_insert_with(|| first_ramp(estimate, config)).take(now, step);
        let (Some(goal), Some(aim)) = (&mut self.goal, aim) else { return false };
        (goal.unsent, goal.position) = (false, aim);
        self.clutch.engage(goal.hand, estimate.position(config.home));
        if let Some((hand, tool)) = goal.orientation.zip(tool) {
            self.clutch.engage_orientation(hand, tool);
        }
        step.position.distance(aim) <= APPROACH_TOLERANCE
    }

    /// Returns where the arm is to go now. A relative motion that has not begun goes nowhere: to where the arm is by now.
    fn aim(&self, estimate: &ArmEstimate, config: &TeleopConfig) -> Option<Position> {
        let goal = self.goal?;
        if self.has_begun() {
            return Some(goal.position);
        }
        self.place(goal.hand, estimate, config).map(|(position, _)| position).ok()
    }

    /// Returns where the arm is to go for a hand at `hand`, and whether that had to be clamped.
    fn place(
        &self,
        hand: Position,
        estimate: &ArmEstimate,
        config: &TeleopConfig,
    ) -> Result<(Position, bool), InputFault> {
        let arm = estimate.position(config.home);
        self.clutch.place(config.retarget_mode, hand, arm, &config.workspace)
    }

    /// Returns the tool's orientation by the last command of this motion, or by the estimate before the first one.
    fn tool(&self, estimate: &ArmEstimate, turning: &OrientationConfig) -> Orientation {
        let sent = estimate.last_sent().filter(|_| self.has_begun());
        sent.and_then(|(_, command)| command.orientation).unwrap_or_else(|| estimate.orientation(turning))
    }

    /// Returns the tool's orientation, and the one that it is to have. `None` if no orientation is sent to the controller.
    fn turn(&self, estimate: &ArmEstimate, config: &TeleopConfig) -> Option<(Orientation, Orientation)> {
        let tool = self.tool(estimate, config.turning.as_ref()?);
        let hand = self.goal.and_then(|goal| goal.orientation);
        let goal = hand.map(|hand| self.clutch.orient(config.retarget_mode, hand, tool).near(tool));
        Some((tool, goal.unwrap_or(tool)))
    }

    /// Returns the orientation of the next command, and whether it is still short of the wanted one.
    fn turn_step(
        &self,
        now: Instant,
        estimate: &ArmEstimate,
        config: &TeleopConfig,
    ) -> Option<(Orientation, bool)> {
        let (tool, goal) = self.turn(estimate, config)?;
        let Pace { period, longest } = pace(config);
        let (since, turning) = if self.has_begun() {
            (estimate.last_sent().map(|(sent_at, _)| sent_at), self.turning)
        } else {
            (estimate.at_rest_since(config), false)
        };
        // A rest is no credit to be spent at once.
        let most = if turning { longest } else { period };
        let elapsed = since.map_or(period, |since| now.saturating_duration_since(since).min(most));
        let turned = tool.towards(goal, config.turning?.speed * elapsed.as_secs_f64());
        Some((turned, turned != goal))
    }
}

/// Returns the ramp of a motion that would begin now: at rest, where the arm is.
fn first_ramp(estimate: &ArmEstimate, config: &TeleopConfig) -> Limiter {
    Limiter::at_rest(estimate.position(config.home), estimate.at_rest_since(config))
}

fn pace(config: &TeleopConfig) -> Pace {
    let period = config.ramp_period();
    Pace { period, longest: config.input_timeout.max(period) }
}

/// How near to the target an approach ends, in metres: the noise of a webcam's guess.
const APPROACH_TOLERANCE: f64 = 0.005;
