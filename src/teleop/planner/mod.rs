//! The planner: from where the hand is to the next command.
//!
//! Invariants:
//! - There is one slot for the goal. The newest sample wins, and nothing is replayed.
//! - Planning changes nothing. Only [`Planner::handle_sent`] takes the step, so a command that could not be written never
//!   happened.
//! - A motion begins at rest, where the [estimate](ArmEstimate) says that the arm is. After that each command is one step
//!   of its [`Limiter`] and one step of its orientation from the command before.

mod filter;
mod limiter;

use std::time::{Duration, Instant};

use self::filter::Filter;
pub use self::limiter::Limit;
use self::limiter::{Limiter, Step};
use super::config::{OrientationConfig, TeleopConfig};
use super::estimate::ArmEstimate;
use super::input::Sample;
use super::input_fault::InputFault;
use super::retarget::Clutch;
use crate::arm::{Command, Gripper};
use crate::geometry::{Orientation, Position};

/// Plans commands, one at a time.
#[derive(Debug, Default)]
pub(super) struct Planner {
    filter: Filter,
    clutch: Clutch,
    goal: Option<Goal>,
    /// Where the arm is to go instead, whatever the hand does.
    destination: Option<Goal>,
    /// The ramp of the present motion. `None` before its first command.
    ramp: Option<Limiter>,
    cadence: Cadence,
    /// The last command left the tool short of the hand's orientation.
    turning: bool,
}

/// What a command is planned from, beside the goal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Basis<'a> {
    pub estimate: &'a ArmEstimate,
    pub config: &'a TeleopConfig,
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
    /// Takes a sample as the new goal, if the arm may go there. Returns whether it overtakes a goal that is unsent.
    pub(super) fn handle_sample(&mut self, sample: &Sample, basis: Basis) -> Result<bool, InputFault> {
        if sample.resumes {
            self.filter.reset();
        }
        let hand = self.filter.apply(sample, &basis.config.filter);
        let (position, clamped) = self.place(hand, basis)?;
        let overtakes = self.goal.is_some_and(|goal| goal.unsent);
        let (orientation, filtered) = (sample.orientation, hand != sample.position);
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

    /// Goes back to where the estimate says that the arm is, because a command was refused or lost: the next step starts
    /// there, and not behind that command.
    pub(super) fn restart(&mut self) {
        self.begin();
        self.clutch.release();
    }

    /// Releases the hand, because the mode has changed.
    pub(super) fn release_hand(&mut self) {
        self.clutch.release();
        self.destination = None;
    }

    /// Heads for a place, whatever the hand does, until the mode changes.
    pub(super) fn head_for(&mut self, position: Position, orientation: Option<Orientation>) {
        let (hand, filtered, clamped, unsent) = (position, false, false, true);
        self.destination = Some(Goal { hand, orientation, filtered, position, clamped, unsent });
        self.begin();
    }

    /// Returns whether the arm has been sent all the way to the place that it heads for.
    pub(super) fn has_arrived(&self, basis: Basis) -> bool {
        let rests = |goal: Goal| self.ramp.as_ref().is_some_and(|ramp| ramp.rests_at(goal.position));
        self.destination.is_some_and(rests) && self.turn(basis).is_none_or(|(tool, goal)| tool == goal)
    }

    fn active_goal(&self) -> Option<Goal> {
        self.destination.or(self.goal)
    }

    /// Forgets what was sent on the connection that has ended.
    pub(super) fn handle_link_down(&mut self) {
        (self.ramp, self.cadence, self.turning) = (None, Cadence::default(), false);
    }

    /// Takes other settings, and aims at the same hand by them. Fails if the arm may not go there any more.
    pub(super) fn handle_config(&mut self, before: &TeleopConfig, basis: Basis) -> Result<(), InputFault> {
        if before.filter != basis.config.filter {
            self.filter.reset();
        }
        if before.retarget != basis.config.retarget || before.retarget_mode != basis.config.retarget_mode {
            self.filter.reset();
            self.goal = None;
        }
        // If the new place is refused no goal is left.
        let Some(goal) = self.goal.take() else { return Ok(()) };
        let (position, clamped) = self.place(goal.hand, basis)?;
        self.goal = Some(Goal { position, clamped, ..goal });
        Ok(())
    }

    /// Returns when the last command may be repeated.
    pub(super) fn repetition_due_at(&self, config: &TeleopConfig) -> Option<Instant> {
        self.cadence.next(config.ramp_period())
    }

    /// Returns when the next command of the motion is due. It may lie in the past.
    pub(super) fn due_at(&self, now: Instant, gripper: Gripper, basis: Basis) -> Option<Instant> {
        let goal = self.active_goal()?;
        let Some(ramp) = &self.ramp else {
            return self.aim(basis).and(basis.estimate.may_begin_at(now, basis.config));
        };
        let Some((sent_at, sent)) = basis.estimate.last_sent() else { return Some(now) };
        if sent.gripper != gripper {
            // The gripper opens or closes whether the arm moves or not.
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

    /// Plans the command of a motion. Nothing changes before [`Planner::handle_sent`].
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
        let step = |ramp: &Limiter| ramp.step(now, aim, limits, config);
        let step = self.ramp.as_ref().map_or_else(|| step(&first_ramp(basis)), &step);
        let (orientation, turning) = self.turn_step(now, basis).unzip();
        let command = Command { position: step.position, gripper, orientation };
        let (Goal { clamped, filtered, .. }, turning) = (goal, turning.unwrap_or(false));
        Some(Planned { clamped, filtered, turning, ..Planned::new(kind, command, Some(step)) })
    }

    /// Takes a planned command that has been handed to the connection, before the estimate takes it. Returns whether it is so
    /// near to the goal that an approach ends.
    pub(super) fn handle_sent(&mut self, now: Instant, planned: &Planned, basis: Basis) -> bool {
        let arrived = planned.step.as_ref().is_some_and(|step| self.handle_step(now, step, basis));
        self.cadence.handle_sent(now, basis.config.ramp_period());
        self.turning = planned.turning;
        arrived
    }

    fn handle_step(&mut self, now: Instant, step: &Step, basis: Basis) -> bool {
        let aim = self.aim(basis);
        let tool = basis.config.orientation.map(|turning| self.tool(basis.estimate, &turning));
        self.ramp.get_or_insert_with(|| first_ramp(basis)).take(now, step);
        if let Some(destination) = &mut self.destination {
            destination.unsent = false;
            return false;
        }
        let (Some(goal), Some(aim)) = (&mut self.goal, aim) else { return false };
        (goal.unsent, goal.position) = (false, aim);
        self.clutch.engage(goal.hand, basis.estimate.position(basis.config));
        if let Some((hand, tool)) = goal.orientation.zip(tool) {
            self.clutch.engage_orientation(hand, tool);
        }
        step.position.distance(aim) <= APPROACH_TOLERANCE
    }

    /// Returns where the arm is to go now. A relative motion that has not begun goes nowhere: to where the arm is by now.
    fn aim(&self, basis: Basis) -> Option<Position> {
        let goal = self.active_goal()?;
        if self.has_begun() || self.destination.is_some() {
            return Some(goal.position);
        }
        self.place(goal.hand, basis).map(|(position, _)| position).ok()
    }

    /// Returns where the arm is to go for a hand at `hand`, and whether that had to be clamped.
    fn place(&self, hand: Position, basis: Basis) -> Result<(Position, bool), InputFault> {
        let arm = basis.estimate.position(basis.config);
        self.clutch.place(basis.config.retarget_mode, hand, arm, &basis.config.workspace)
    }

    /// Returns the tool's orientation by the last command of this motion, or by the estimate before the first one.
    fn tool(&self, estimate: &ArmEstimate, turning: &OrientationConfig) -> Orientation {
        let sent = estimate.last_sent().filter(|_| self.has_begun());
        sent.and_then(|(_, command)| command.orientation).unwrap_or_else(|| estimate.orientation(turning))
    }

    /// Returns the tool's orientation, and the one that it is to have. `None` if no orientation is sent to the controller.
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

    /// Returns the orientation of the next command, and whether it is still short of the wanted one.
    fn turn_step(&self, now: Instant, basis: Basis) -> Option<(Orientation, bool)> {
        let (tool, goal) = self.turn(basis)?;
        let period = basis.config.ramp_period();
        let (since, turning) = if self.has_begun() {
            (basis.estimate.last_sent().map(|(sent_at, _)| sent_at), self.turning)
        } else {
            (basis.estimate.at_rest_since(basis.config), false)
        };
        // A rest is no credit to be spent at once.
        let most = if turning { basis.config.longest_step() } else { period };
        let elapsed = since.map_or(period, |since| now.saturating_duration_since(since).min(most));
        let turned = tool.towards(goal, basis.config.orientation?.speed * elapsed.as_secs_f64());
        Some((turned, turned != goal))
    }
}

/// Returns the ramp of a motion that would begin now.
fn first_ramp(basis: Basis) -> Limiter {
    Limiter::at_rest(basis.estimate.position(basis.config), basis.estimate.at_rest_since(basis.config))
}

/// A command that may be sent now, and what altered it on its way from the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Planned {
    /// The command.
    pub command: Command,
    /// The target lay outside the workspace and was taken to its edge.
    pub clamped: bool,
    /// The filter moved the target.
    pub filtered: bool,
    /// What kept the command from getting to the target at once.
    pub limited: Option<Limit>,
    /// The tool is still on its way to the orientation of the hand.
    pub turning: bool,
    /// What the command is part of.
    pub kind: CommandKind,
    /// How old the target was when the command was planned.
    pub input_age: Duration,
    /// The step of the ramp. `None` if the command is a repetition.
    step: Option<Step>,
}

/// What a command is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandKind {
    /// The slow ramp to a live target.
    Approach,
    /// Following the target.
    Tracking,
    /// A hold: the last command once more (`teleop.hold_behavior` repeat).
    Repetition,
}

impl Planned {
    /// Plans a command that a step of the ramp alters, and nothing else.
    pub(super) fn new(kind: CommandKind, command: Command, step: Option<Step>) -> Self {
        let (limited, input_age) = (step.and_then(|step| step.limit), Duration::ZERO);
        Self { command, clamped: false, filtered: false, limited, turning: false, kind, input_age, step }
    }

    /// Returns the names of what altered the command, for `ArmCommand.altered_by`.
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

/// When the next command of a connection is due.
///
/// Invariant: commands that are sent a little late come at their rate on average. Timers are late, some by a millisecond,
/// so the next command makes up for what one command was late, up to a quarter of the period, and for no more.
#[derive(Debug, Clone, Copy, Default)]
struct Cadence {
    /// When the last command was due if it was a little late, otherwise when it was sent.
    beat: Option<Instant>,
}

impl Cadence {
    /// Records a command.
    fn handle_sent(&mut self, now: Instant, period: Duration) {
        let late = |due: &Instant| now >= *due && now.duration_since(*due) <= period / LATE;
        self.beat = Some(self.next(period).filter(late).unwrap_or(now));
    }

    /// Returns when a command is due `period` after the last one. `None` if there is no last one.
    fn next(&self, period: Duration) -> Option<Instant> {
        self.beat.map(|beat| beat + period)
    }
}

/// How near to the target an approach ends, in metres: the noise of a webcam's guess.
const APPROACH_TOLERANCE: f64 = 0.005;
/// The share of a period, as a divisor, by which a command may be late and still count as sent when it was due.
const LATE: u32 = 4;

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;
    use crate::teleop::config::tests::settings;
    use crate::teleop::config::{FilterConfig, OneEuro};
    use crate::teleop::retarget::RetargetMode;

    /// A planner and an estimate whose commands are all accepted.
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
    fn planning_changes_nothing_until_the_command_is_sent() {
        let mut scene = Scene::new(settings());
        assert!(!scene.sample(0.3, 0.0, true).unwrap());
        assert_eq!(scene.plan(), scene.plan());
        assert!(!scene.planner.has_begun());
        let (first, _) = scene.send();
        assert!(scene.planner.has_begun() && first.command.position != scene.config.home);
        assert_ne!(scene.plan().command, first.command);
    }

    #[test]
    fn newest_sample_overtakes_only_an_unsent_goal() {
        let mut scene = Scene::new(settings());
        assert!(!scene.sample(0.3, 0.0, true).unwrap());
        assert!(scene.sample(0.31, 0.0, false).unwrap());
        scene.send();
        assert!(!scene.sample(0.32, 0.0, false).unwrap());
    }

    #[test]
    fn no_command_is_due_at_the_goal() {
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
    fn orientation_turns_no_faster_than_its_limit() {
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
    fn relative_motion_starts_where_the_arm_is() {
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
    fn filter_starts_again_after_a_loss() {
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
    fn narrower_workspace_moves_the_goal_inside() {
        let mut scene = Scene::new(settings());
        scene.sample(0.6, 0.0, true).unwrap();
        let before = scene.config.clone();
        scene.config.workspace = before.workspace.with_reach(0.0, 0.4);
        let basis = Basis { estimate: &scene.estimate, config: &scene.config };
        scene.planner.handle_config(&before, basis).unwrap();
        assert!(scene.plan().clamped);
        scene.config.retarget_mode = RetargetMode::Relative;
        let basis = Basis { estimate: &scene.estimate, config: &scene.config };
        scene.planner.handle_config(&before, basis).unwrap();
        assert_eq!(scene.due_at(), None, "positions mean something else");
    }

    #[test]
    fn a_little_lateness_is_made_up_for_and_more_is_not() {
        let (t, ms) = (Instant::now(), Duration::from_millis);
        let mut cadence = Cadence::default();
        assert_eq!(cadence.next(ms(20)), None);
        cadence.handle_sent(t, ms(20));
        cadence.handle_sent(t + ms(25), ms(20));
        assert_eq!(cadence.next(ms(20)), Some(t + ms(40)), "it was due at 20 ms");
        cadence.handle_sent(t + ms(46), ms(20));
        assert_eq!(cadence.next(ms(20)), Some(t + ms(66)), "it was too late");
        cadence.handle_sent(t + ms(50), ms(20));
        assert_eq!(cadence.next(ms(20)), Some(t + ms(70)), "it was early");
    }
}
