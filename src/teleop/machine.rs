//! The machine: states, what leaves them, and the one place where a command is planned.

use std::time::{Duration, Instant};

use super::command::{Command, Position};
use super::config::{Arming, TeleopConfig};
use super::gripper::{GripperDecider, GripperInput};
use super::jump::JumpGuard;
use super::limiter::{Limiter, Pace};
use super::planned::Planned;
use super::reason::{Disarmed, Obstacle, Reason};
use super::state::{Counters, LinkView, Motion, Refused};
use super::target::{InputFault, Target};
use super::watchdog::Watchdog;

/// The teleoperation machine. See the [module](super) for its states and how to drive it.
#[derive(Debug)]
pub struct Teleop {
    pub(super) config: TeleopConfig,
    pub(super) state: State,
    link: LinkView,
    watchdog: Watchdog,
    /// Targets in a row that were all zero.
    zeros: u32,
    pub(super) jump: JumpGuard,
    pub(super) goal: Option<Goal>,
    gripper: GripperDecider,
    /// The walk of the present motion; none before its first command.
    pub(super) walk: Option<Limiter>,
    /// The last command on this connection.
    last_sent: Option<(Instant, Command)>,
    /// How many commands of this connection have not been answered.
    unanswered: u32,
    pub(super) acknowledged: Option<Position>,
    pub(super) reported: Option<Position>,
    errors: ErrorRun,
    shutting_down: bool,
    counters: Counters,
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

#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    /// In the arm's base frame, inside the workspace.
    pub(super) position: Position,
    pub(super) clamped: bool,
    /// No command has been sent for it yet.
    unsent: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct ErrorRun {
    count: u32,
    /// After a run that reached the limit: when the next attempt may be made.
    pause_until: Option<Instant>,
}

impl Teleop {
    /// A machine that has seen nothing yet: disarmed, link down.
    pub fn new(config: TeleopConfig) -> Self {
        let permission = match config.arming {
            Arming::Automatic => Permission::ArmsItself,
            Arming::Operator => Permission::NeedsOperator(Disarmed::NotYetArmed),
        };
        Self {
            state: State::Disarmed(permission),
            link: LinkView::Down,
            watchdog: Watchdog::default(),
            zeros: 0,
            jump: JumpGuard::default(),
            goal: None,
            gripper: GripperDecider::new(config.initial_gripper),
            walk: None,
            last_sent: None,
            unanswered: 0,
            acknowledged: None,
            reported: None,
            errors: ErrorRun::default(),
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
        let zero = self.config.zero_is_lost && target.is_zero();
        self.zeros = if zero { self.zeros.saturating_add(1) } else { 0 };
        if self.zeros == 1 {
            // Trackers slip in single zeros in mid-motion: it is no target, and no loss either.
            self.counters.dropped_input += 1;
            return Err(InputFault::Zero);
        }
        match self.admit(now, target) {
            Ok((origin, position, clamped)) => {
                self.watchdog.handle_good(now, origin, self.config.input_timeout);
                let overtaken = self.goal.is_some_and(|goal| goal.unsent) && self.is_moving();
                self.counters.coalesced += u64::from(overtaken);
                self.goal = Some(Goal { position, clamped, unsent: true });
                if self.is_moving() {
                    self.gripper.decide(now, &self.config.gripper);
                }
                self.update(now);
                Ok(())
            }
            Err(fault) => {
                self.handle_invalid_target(now, fault);
                Err(fault)
            }
        }
    }

    /// Takes note of a message that could not be made a [`Target`].
    pub fn handle_invalid_target(&mut self, now: Instant, fault: InputFault) {
        self.counters.dropped_input += 1;
        self.watchdog.handle_fault(fault);
        self.update(now);
    }

    /// Takes a sample of the gripper's input.
    pub fn handle_gripper(&mut self, now: Instant, input: GripperInput) {
        self.gripper.handle_input(now, input, &self.config.gripper);
    }

    /// Takes the state of the link. Call it on every change.
    pub fn handle_link(&mut self, now: Instant, link: LinkView) {
        self.link = link;
        if link == LinkView::Down {
            self.errors = ErrorRun::default();
            self.last_sent = None;
            self.unanswered = 0;
            let armed = matches!(self.state, State::Approach | State::Tracking | State::Holding { .. });
            if armed && self.config.arming == Arming::Operator {
                self.state = State::Disarmed(Permission::NeedsOperator(Disarmed::ByLinkLoss));
            }
        }
        self.update(now);
    }

    /// Takes the controller's word that it has accepted a command.
    pub fn handle_acknowledged(&mut self, now: Instant, command: &Command) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.acknowledged = Some(command.position);
        self.errors = ErrorRun::default();
        self.update(now);
    }

    /// Takes the controller's word that it has refused a command.
    pub fn handle_rejected(&mut self, now: Instant) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.errors.count = self.errors.count.saturating_add(1);
        if self.errors.count >= self.config.error_limit {
            self.errors.pause_until = Some(now + self.config.settle_time.max(MIN_ERROR_PAUSE));
        }
        self.update(now);
    }

    /// Takes the position that the controller reports of itself.
    pub fn handle_reported(&mut self, position: Position) {
        self.reported = Some(position);
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
                self.state = State::Holding { settle: true };
                self.update(now);
                Ok(format!("armed; {}", self.reason(now)))
            }
            (true, _) => Ok(format!("armed already; {}", self.reason(now))),
            (false, State::Stopped) => Ok("stopped, and so disarmed already".into()),
            (false, _) => {
                self.state = State::Disarmed(Permission::NeedsOperator(Disarmed::ByOperator));
                Ok("disarmed".into())
            }
        }
    }

    /// A person wants motion to end, until [`Teleop::handle_reset`]. Works in every state.
    pub fn handle_stop(&mut self) {
        self.state = State::Stopped;
    }

    /// A person releases a stop. Moves nothing: the machine is disarmed after it. Returns whether a stop was latched.
    pub fn handle_reset(&mut self) -> bool {
        let stopped = self.state == State::Stopped;
        if stopped {
            self.state = State::Disarmed(Permission::NeedsOperator(Disarmed::ByReset));
        }
        stopped
    }

    /// The bridge is ending: no further command.
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.shutting_down = true;
        self.update(now);
    }

    /// Lets time pass. Call it no later than [`Teleop::poll_timeout`] says.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.update(now);
    }

    /// When to call [`Teleop::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let stale = self.watchdog.deadline(self.config.input_timeout);
        let settled = self
            .watchdog
            .good_since(now, self.config.input_timeout)
            .filter(|_| self.settles())
            .map(|since| since + self.config.settle_time);
        [stale, settled, self.errors.pause_until]
            .into_iter()
            .flatten()
            .filter(|deadline| *deadline > now)
            .min()
    }

    /// The command to send now, if one is due. Call it when the link has room for a command, and
    /// [`Teleop::handle_sent`] once it is on its way; nothing changes before that.
    #[must_use]
    pub fn poll_command(&self, now: Instant) -> Option<Planned> {
        let limits = match self.state {
            State::Approach => self.config.approach_limits(),
            State::Tracking => self.config.limits,
            _ => return None,
        };
        if self.obstacle(now).is_some() || self.poll_command_at(now)? > now {
            return None;
        }
        let goal = self.goal?;
        let step = self.walk().step(now, goal.position, limits, self.pace(), &self.config.workspace);
        Some(Planned {
            command: Command { position: step.position, gripper: self.gripper.decided() },
            clamped: goal.clamped,
            speed_limited: step.limited,
            approach: self.state == State::Approach,
            input_age: self.watchdog.age(now).unwrap_or_default(),
            step,
        })
    }

    /// When a command will be due, if nothing happens before that. It may lie in the past.
    #[must_use]
    pub fn poll_command_at(&self, now: Instant) -> Option<Instant> {
        if !self.is_moving() {
            return None;
        }
        let goal = self.goal?;
        let Some((sent_at, sent)) = self.last_sent else { return Some(now) };
        let Some(walk) = &self.walk else {
            // A new motion on a connection that has carried one: the arm's position is known once all is answered.
            let due = self.at_start_since(sent_at, sent).max(sent_at + self.config.ramp_period());
            return (self.unanswered == 0).then_some(due);
        };
        let news = goal.unsent || sent.gripper != self.gripper.decided();
        if !news && walk.rests_at(goal.position) {
            return None;
        }
        let spacing = match self.config.command_period {
            None if news => Duration::ZERO,
            _ => self.config.ramp_period(),
        };
        Some(sent_at + spacing)
    }

    /// Takes note that a planned command has been handed to the connection.
    pub fn handle_sent(&mut self, now: Instant, planned: &Planned) {
        let mut walk = self.walk();
        walk.take(now, &planned.step);
        self.unanswered += 1;
        self.last_sent = Some((now, planned.command));
        self.counters.limited += u64::from(planned.speed_limited || planned.clamped);
        if let Some(goal) = &mut self.goal {
            goal.unsent = false;
            let near = walk.position().distance(goal.position) <= APPROACH_TOLERANCE;
            if self.state == State::Approach && near {
                self.state = State::Tracking;
            }
        }
        self.walk = Some(walk);
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
        self.watchdog.age(now)
    }

    /// Why no target may move the arm at present, whatever else stands in the way.
    pub fn input_obstacle(&self, now: Instant) -> Option<Obstacle> {
        if let Some(fault) = self.watchdog.fault() {
            return Some(Obstacle::Input(fault));
        }
        match self.watchdog.age(now) {
            None => Some(Obstacle::NoInput),
            Some(age) if !self.watchdog.is_fresh(now, self.config.input_timeout) => {
                Some(Obstacle::Stale { age })
            }
            Some(_) => None,
        }
    }

    fn admit(&mut self, now: Instant, target: Target) -> Result<(Instant, Position, bool), InputFault> {
        if self.zeros > 0 {
            return Err(InputFault::Zero);
        }
        let input_timeout = self.config.input_timeout;
        let origin = self.watchdog.admit(now, target.stamp, target.held_up, input_timeout)?;
        let base = self.config.retarget.apply(target.position)?;
        let leapt = matches!(self.watchdog.fault(), Some(InputFault::Jump { .. }));
        if !leapt && !self.watchdog.is_fresh(now, input_timeout) {
            self.jump.forget();
        }
        self.jump.admit(now, base, &self.config.jump)?;
        let (position, clamped) = self.config.workspace.admit(base)?;
        Ok((origin, position, clamped))
    }

    /// The one place where states change by themselves.
    pub(super) fn update(&mut self, now: Instant) {
        if self.errors.pause_until.is_some_and(|until| until <= now) {
            self.errors.pause_until = None;
        }
        let clear = self.obstacle(now).is_none();
        let settled = self
            .watchdog
            .good_since(now, self.config.input_timeout)
            .is_some_and(|since| now.saturating_duration_since(since) >= self.config.settle_time);
        match self.state {
            State::Disarmed(Permission::ArmsItself) if clear && settled => self.approach(now),
            State::Holding { settle } if clear && (settled || !settle) => self.approach(now),
            State::Approach | State::Tracking if !clear => {
                self.state = State::Holding { settle: false };
            }
            _ => {}
        }
    }

    fn approach(&mut self, now: Instant) {
        self.walk = None;
        self.gripper.handle_start(now);
        self.state = State::Approach;
    }

    /// The walk as it stands, or the one that would begin now.
    fn walk(&self) -> Limiter {
        let begin = || {
            Limiter::at(self.start(), self.last_sent.map(|(at, command)| self.at_start_since(at, command)))
        };
        self.walk.clone().unwrap_or_else(begin)
    }

    /// Where the arm is taken to be.
    fn start(&self) -> Position {
        self.acknowledged.or(self.reported).unwrap_or(self.config.home)
    }

    /// When the arm, told at `sent_at` to be elsewhere and having refused that, counts as being at the start: so late
    /// that the way from that command to the start keeps the speed limit too.
    fn at_start_since(&self, sent_at: Instant, sent: Command) -> Instant {
        let seconds = self.start().distance(sent.position) / self.config.approach_limits().speed;
        sent_at + Duration::from_secs_f64(seconds.min(MAX_WAIT))
    }

    fn is_moving(&self) -> bool {
        matches!(self.state, State::Approach | State::Tracking)
    }

    /// Whether the time that the input has been good is being waited for.
    fn settles(&self) -> bool {
        matches!(self.state, State::Disarmed(Permission::ArmsItself) | State::Holding { settle: true })
    }

    fn obstacle(&self, now: Instant) -> Option<Obstacle> {
        if self.shutting_down {
            return Some(Obstacle::ShuttingDown);
        }
        match self.link {
            LinkView::Down => return Some(Obstacle::LinkDown),
            LinkView::Unresponsive => return Some(Obstacle::Unresponsive),
            LinkView::Ready => {}
        }
        if self.errors.pause_until.is_some_and(|until| now < until) {
            return Some(Obstacle::ErrorReplies(self.errors.count));
        }
        if self.walk.is_none() && !self.config.workspace.contains(self.start()) {
            return Some(Obstacle::ArmOutside(self.start()));
        }
        self.input_obstacle(now)
    }

    fn pace(&self) -> Pace {
        let period = self.config.ramp_period();
        Pace { period, longest: self.config.input_timeout.max(period) }
    }
}

/// How near to the target an approach ends, in metres: the noise of a webcam's guess.
const APPROACH_TOLERANCE: f64 = 0.005;

/// Longer than any way in any workspace takes at any sensible speed, in seconds; keeps the arithmetic finite.
const MAX_WAIT: f64 = 3600.0;

/// The least time between a run of error replies and the next attempt.
const MIN_ERROR_PAUSE: Duration = Duration::from_millis(500);
