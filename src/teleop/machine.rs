//! The machine: its states, and what leaves them.

use std::time::{Duration, Instant};

use super::clutch::Clutch;
use super::config::{Arming, TeleopConfig};
use super::course::Course;
use super::gripper::{GripperDecider, GripperInput};
use super::hold::{ErrorRun, HoldLine};
use super::input::{Input, Sample};
use super::reason::{Disarmed, Obstacle, Reason};
use super::senders::GraphNews;
use super::state::{Counters, LinkView, Motion, Refused};
use super::target::{InputFault, Target};
use crate::arm::{Command, Gripper};
use crate::geometry::Orientation;
use crate::geometry::Position;

/// The teleoperation machine. See the [module](super) for its states and how to drive it.
#[derive(Debug)]
pub struct Teleop {
    pub(super) config: TeleopConfig,
    pub(super) state: State,
    pub(super) link: LinkView,
    pub(super) input: Input,
    pub(super) clutch: Clutch,
    pub(super) goal: Option<Goal>,
    pub(super) gripper: GripperDecider,
    /// Until when the first motion waits for what the gripper is to be.
    pub(super) gripper_awaited: Option<Instant>,
    pub(super) course: Course,
    pub(super) errors: ErrorRun,
    /// A stop line is to be sent before anything else.
    pub(super) stop_due: bool,
    pub(super) shutting_down: bool,
    pub(super) counters: Counters,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    /// Permission has not been given, or has been taken away.
    Disarmed(Permission),
    Approach,
    Tracking,
    /// `settle`: a person has just armed; the input has yet to prove itself.
    Holding {
        settle: bool,
    },
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Permission {
    /// Arms itself when link and input are good; true once, at start.
    ArmsItself,
    NeedsOperator(Disarmed),
}

impl Permission {
    fn at_start(arming: Arming) -> Self {
        match arming {
            Arming::Automatic => Self::ArmsItself,
            Arming::Operator => Self::NeedsOperator(Disarmed::NotYetArmed),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    /// Where the hand is, smoothed, in the arm's base frame.
    pub(super) hand: Position,
    /// How the hand is turned, in the arm's base frame, if the sender says.
    pub(super) orientation: Option<Orientation>,
    /// Whether smoothing moved it.
    pub(super) filtered: bool,
    /// Where the arm is to go: inside the workspace.
    pub(super) position: Position,
    pub(super) clamped: bool,
    /// No command has been sent for it yet.
    pub(super) unsent: bool,
}

impl Teleop {
    /// A machine that has seen nothing yet: disarmed, link down.
    pub fn new(config: TeleopConfig) -> Self {
        Self {
            state: State::Disarmed(Permission::at_start(config.arming)),
            link: LinkView::Down,
            input: Input::default(),
            clutch: Clutch::default(),
            goal: None,
            gripper: GripperDecider::new(config.initial_gripper),
            gripper_awaited: None,
            course: Course::default(),
            errors: ErrorRun::default(),
            stop_due: false,
            shutting_down: false,
            counters: Counters::default(),
            config,
        }
    }

    /// Takes a sample of the target.
    ///
    /// # Errors
    /// Why it was refused. The machine has taken note of it: motion holds until the next good sample, but for a single
    /// zero, which is passed over.
    pub fn handle_target(&mut self, now: Instant, target: Target) -> Result<(), InputFault> {
        // A gap is a loss, though no timer has told of it yet.
        self.update(now);
        self.input.handle_target(now, &target, &self.config);
        if self.input.passes_over(&target, &self.config) {
            self.counters.dropped_input += 1;
            return Err(InputFault::Zero);
        }
        let admitted = self.input.judge(now, &target, &self.config).and_then(|sample| {
            let (position, clamped) = self.place(sample.hand)?;
            Ok((sample, position, clamped))
        });
        match admitted {
            Ok((sample, position, clamped)) => {
                self.input.handle_good(now, sample.origin, self.config.input_timeout);
                let overtaken = self.goal.is_some_and(|goal| goal.unsent) && self.is_moving();
                self.counters.coalesced += u64::from(overtaken);
                let Sample { hand, orientation, filtered, .. } = sample;
                self.goal = Some(Goal { hand, orientation, filtered, position, clamped, unsent: true });
                if let Some(input) = target.gripper {
                    self.gripper.handle_input(now, input, &self.config.gripper);
                }
                if self.is_moving() {
                    self.decide_gripper(now);
                }
                self.update(now);
                Ok(())
            }
            Err(fault) => {
                self.refuse(now, fault.clone());
                Err(fault)
            }
        }
    }

    /// Notes a message that could not be made a [`Target`].
    pub fn handle_invalid_target(&mut self, now: Instant, fault: InputFault) {
        self.input.handle_invalid_target(now);
        self.refuse(now, fault);
    }

    fn refuse(&mut self, now: Instant, fault: InputFault) {
        self.counters.dropped_input += 1;
        self.input.handle_fault(fault);
        self.update(now);
    }

    /// Takes what the graph says of who publishes. Two hands are never blended: motion holds while several nodes send on
    /// one topic.
    pub fn handle_graph(&mut self, now: Instant, news: GraphNews) {
        match news {
            GraphNews::TargetPublishers(several) => self.input.handle_publishers(several),
            GraphNews::GripperPublishers(several) => self.input.handle_gripper_publishers(several),
            GraphNews::GripperFound => self.gripper_awaited = Some(now + GRIPPER_PATIENCE),
            GraphNews::GripperLeft => {
                self.gripper_awaited = None;
                self.gripper.handle_left(self.is_moving());
            }
        }
        self.update(now);
    }

    /// Takes a sample of the gripper's topic.
    pub fn handle_gripper(&mut self, now: Instant, input: GripperInput) {
        if let Some(word) = self.config.gripper.wanted(input) {
            self.input.handle_gripper_word(now, word);
        }
        self.gripper.handle_input(now, input, &self.config.gripper);
        self.update(now);
    }

    /// Takes what a publisher on the gripper's topic said before, and kept, where there are other publishers. Their word may
    /// be newer: the first motion waits for it as if this one had said nothing.
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
        if link.is_down() {
            self.errors = ErrorRun::default();
            match link {
                // Those that are left have still to answer, but who comes in the place of another has been told nothing.
                LinkView::Partial => self.course.forbid_repetition(),
                _ => self.course.handle_link_down(),
            }
            if self.is_armed() && self.config.arming == Arming::Operator {
                self.enter(State::Disarmed(Permission::NeedsOperator(Disarmed::ByLinkLoss)));
            }
        }
        self.update(now);
        // What was due on a connection that is gone is due no more.
        self.stop_due &= link != LinkView::Down;
    }

    /// Takes the controller's word that it has accepted a command.
    pub fn handle_acknowledged(&mut self, now: Instant, command: &Command) {
        self.course.handle_acknowledged(command);
        self.errors = ErrorRun::default();
        self.update(now);
    }

    /// Takes the controller's word that it has refused a command.
    pub fn handle_rejected(&mut self, now: Instant) {
        self.course.handle_rejected();
        self.errors.count = self.errors.count.saturating_add(1);
        if self.errors.count >= self.config.error_limit {
            self.errors.pause_until = Some(now + self.config.settle_time.max(MIN_ERROR_PAUSE));
        }
        self.update(now);
    }

    /// Notes that a command, or the reply to it, was lost: the controller may have taken it or not.
    pub fn handle_lost(&mut self) {
        self.course.handle_rejected();
    }

    /// Notes that a stop line, or the reply to it, was lost. It is due again, unless motion has begun again.
    pub fn handle_stop_lost(&mut self) {
        self.course.handle_stop_answered(None);
        if !self.is_moving() {
            self.ask_for_stop_line();
        }
    }

    /// Takes the position that the controller reports of itself.
    pub fn handle_reported(&mut self, position: Position) {
        self.course.handle_reported(position);
    }

    /// Takes where the controller says that the arm is, when nothing has been asked of it, and whether it moves, if it
    /// says: it may have been moved by other means.
    pub fn handle_sighted(&mut self, position: Position, moving: Option<bool>) {
        if moving == Some(true) {
            // On its way to where it was told to be it is elsewhere, and nobody has moved it.
            self.course.handle_reported(position);
        } else {
            self.course.handle_sighted(position);
        }
    }

    /// Takes what the controller reports its gripper to be.
    pub fn handle_reported_gripper(&mut self, gripper: Gripper) {
        self.gripper.handle_reported(gripper);
    }

    /// Takes the controller's answer to a stop line; if it says where the arm is, that is where it has stopped on its
    /// way. Until then no motion begins.
    pub fn handle_stop_answered(&mut self, stopped_at: Option<Position>) {
        self.course.handle_stop_answered(stopped_at);
    }

    /// A person allows motion (`true`) or forbids it (`false`). Returns a line for that person.
    ///
    /// # Errors
    /// When motion cannot be allowed now.
    pub fn handle_set_armed(&mut self, now: Instant, armed: bool) -> Result<String, Refused> {
        match (armed, self.state) {
            (true, _) if self.shutting_down => Err(Refused::ShuttingDown),
            (true, State::Stopped) => Err(Refused::StopLatched),
            (true, State::Disarmed(_)) => {
                self.enter(State::Holding { settle: true });
                self.update(now);
                Ok(format!("armed; {}", self.reason(now)))
            }
            (true, _) => Ok(format!("armed already; {}", self.reason(now))),
            (false, State::Stopped) => Ok("stopped, and so disarmed already".into()),
            (false, _) => {
                self.enter(State::Disarmed(Permission::NeedsOperator(Disarmed::ByOperator)));
                Ok("disarmed".into())
            }
        }
    }

    /// A person wants motion to end, until [`Teleop::handle_reset`]. Works in every state.
    pub fn handle_stop(&mut self) {
        self.enter(State::Stopped);
        self.ask_for_stop_line();
    }

    /// A person releases a stop, if one is latched. Disarms in every state, and so ends motion; moves nothing. Returns a
    /// line for that person.
    pub fn handle_reset(&mut self) -> String {
        let happened = match self.state {
            State::Stopped => "stop released; disarmed",
            State::Disarmed(Permission::NeedsOperator(_)) => "no stop was latched; disarmed already",
            State::Disarmed(Permission::ArmsItself)
            | State::Approach
            | State::Tracking
            | State::Holding { .. } => "no stop was latched; disarmed",
        };
        if !matches!(self.state, State::Disarmed(Permission::NeedsOperator(_))) {
            self.enter(State::Disarmed(Permission::NeedsOperator(Disarmed::ByReset)));
        }
        format!("{happened}: call ~/set_armed with data: true to move again")
    }

    /// The bridge is ending: no further command.
    pub fn handle_shutdown(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.shutting_down, true) {
            self.ask_for_stop_line();
        }
        self.update(now);
    }

    /// Lets time pass. Call it no later than [`Teleop::poll_timeout`] says.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.update(now);
    }

    /// When to call [`Teleop::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let watchdog = self.input.watchdog();
        let stale = watchdog.deadline(self.config.input_timeout);
        let settled = watchdog
            .good_since(now, self.config.input_timeout)
            .filter(|_| self.settles())
            .map(|since| since + self.config.settle_time);
        [stale, self.input.stopped_at(self.config.input_timeout), settled, self.errors.pause_until]
            .into_iter()
            .chain(self.input.quiet_at())
            .chain([self.gripper_awaited])
            .flatten()
            .filter(|deadline| *deadline > now)
            .min()
    }

    /// What the bridge does with targets.
    pub fn motion(&self) -> Motion {
        match self.state {
            State::Disarmed(_) => Motion::Disarmed,
            State::Approach => Motion::Approach,
            State::Tracking => Motion::Tracking,
            State::Holding { .. } => Motion::Holding,
            State::Stopped => Motion::Stopped,
        }
    }

    /// Whether motion is allowed, though something may hold it.
    pub fn is_armed(&self) -> bool {
        matches!(self.state, State::Approach | State::Tracking | State::Holding { .. })
    }

    /// Why the arm does or does not move.
    pub fn reason(&self, now: Instant) -> Reason {
        let obstacle =
            || self.obstacle(now).unwrap_or(Obstacle::Settling { settle_time: self.config.settle_time });
        match self.state {
            State::Disarmed(Permission::ArmsItself) => Reason::WaitingToArm(obstacle()),
            State::Disarmed(Permission::NeedsOperator(why)) => Reason::AwaitingOperator(why),
            State::Approach => Reason::Approaching,
            State::Tracking => Reason::Tracking,
            State::Holding { .. } => Reason::Holding(obstacle()),
            State::Stopped => Reason::Stopped,
        }
    }

    /// How often input was not followed to the letter.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The age of the newest good target, if there has been one since the last refused one.
    pub fn input_age(&self, now: Instant) -> Option<Duration> {
        self.input.watchdog().age(now)
    }

    /// Why no target may move the arm at present, whatever else stands in the way.
    pub fn input_obstacle(&self, now: Instant) -> Option<Obstacle> {
        self.input.obstacle(now, self.config.input_timeout)
    }

    /// The one place where states change by themselves.
    pub(super) fn update(&mut self, now: Instant) {
        let clear = self.obstacle(now).is_none();
        let settled = self
            .input
            .watchdog()
            .good_since(now, self.config.input_timeout)
            .is_some_and(|since| now.saturating_duration_since(since) >= self.config.settle_time);
        match self.state {
            State::Disarmed(Permission::ArmsItself) if clear && settled => self.approach(now),
            State::Holding { settle } if clear && (settled || !settle) => self.approach(now),
            State::Approach | State::Tracking if !clear => self.enter(State::Holding { settle: false }),
            _ => {}
        }
    }

    /// Takes a change of who arms. It never arms: it takes back what nobody has made use of yet.
    pub(super) fn handle_arming(&mut self) {
        if self.state == State::Disarmed(Permission::ArmsItself) {
            self.state = State::Disarmed(Permission::at_start(self.config.arming));
        }
    }

    fn approach(&mut self, now: Instant) {
        self.course.begin();
        self.decide_gripper(now);
        self.enter(State::Approach);
    }

    fn decide_gripper(&mut self, now: Instant) {
        if let Some(in_sight) = self.input.watchdog().good_since(now, self.config.input_timeout) {
            self.gripper.decide(now, in_sight, &self.config.gripper);
        }
    }

    /// Every change of state but the one from approach to tracking: motion begins or ends with it, or neither.
    fn enter(&mut self, state: State) {
        let moved = self.is_moving();
        self.state = state;
        self.clutch.release();
        if matches!(state, State::Disarmed(_)) {
            self.course.forbid_repetition();
        }
        if moved && !self.is_moving() {
            self.gripper.handle_end();
            self.ask_for_stop_line();
        }
    }

    fn ask_for_stop_line(&mut self) {
        self.stop_due = self.config.hold_line == HoldLine::Stop && self.link != LinkView::Down;
    }

    /// Where the arm is to go for a hand at `hand`.
    pub(super) fn place(&self, hand: Position) -> Result<(Position, bool), InputFault> {
        let arm = self.course.start(&self.config);
        self.clutch.place(self.config.retarget_mode, hand, arm, &self.config.workspace)
    }

    pub(super) fn is_moving(&self) -> bool {
        matches!(self.state, State::Approach | State::Tracking)
    }

    /// Whether the time that the input has been good is being waited for.
    fn settles(&self) -> bool {
        matches!(self.state, State::Disarmed(Permission::ArmsItself) | State::Holding { settle: true })
    }

    pub(super) fn obstacle(&self, now: Instant) -> Option<Obstacle> {
        if self.shutting_down {
            return Some(Obstacle::ShuttingDown);
        }
        match self.link {
            LinkView::Down | LinkView::Partial => return Some(Obstacle::LinkDown),
            LinkView::Unresponsive => return Some(Obstacle::Unresponsive),
            LinkView::Ready => {}
        }
        if self.errors.is_pausing(now) {
            return Some(Obstacle::ErrorReplies(self.errors.count));
        }
        let start = self.course.start(&self.config);
        if !self.course.has_begun() && !self.config.workspace.contains(start) {
            return Some(Obstacle::ArmOutside(start));
        }
        let awaited = !self.gripper.is_known() && self.gripper_awaited.is_some_and(|until| now < until);
        self.input_obstacle(now).or_else(|| awaited.then_some(Obstacle::GripperAwaited))
    }
}

/// How long the first motion waits for what a node that publishes on the gripper's topic has to say. `ros2 topic pub`
/// sends at 1 Hz.
const GRIPPER_PATIENCE: Duration = Duration::from_millis(1500);

/// The least time between a run of error replies and the next attempt.
const MIN_ERROR_PAUSE: Duration = Duration::from_millis(500);
