//! The rules of motion, for commands whose send times have two known bounds.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use aether_bridge::arm::{Command, Gripper};
use aether_bridge::geometry::Position;
use aether_bridge::teleop::TeleopConfig;
use aether_bridge::text::sanitize_short;

use super::space::Space;
use super::violation::{Fault, Rule, Violation};

/// A command and its send time.
#[derive(Debug, Clone)]
pub struct TimedCommand {
    /// The command.
    pub command: Command,
    /// The earliest send time; `None` if it is unknown.
    pub not_before: Option<Instant>,
    /// The latest send time. Equal to `not_before` if the time is known exactly.
    pub at: Instant,
    /// The text of the command, for a violation.
    pub line: String,
}

/// The limits of motion.
#[derive(Debug, Clone)]
pub struct MotionLimits {
    space: Space,
    pub(super) home: Position,
    /// The largest speed, in m/s.
    pub(super) speed: f64,
    /// The largest speed of the ramp at the start of a motion, in m/s.
    pub(super) approach_speed: f64,
    /// The longest first step of a motion, in metres.
    pub(super) approach_step: f64,
    /// The longest step, in metres, however long ago the last command was sent.
    pub(super) longest_step: f64,
    pub(super) input_timeout: Duration,
    close_debounce: Duration,
    open_debounce: Duration,
}

/// How a command follows the previous command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// It begins a motion.
    Start,
    /// It continues the ramp, at the approach speed.
    Approach,
    /// It continues at full speed.
    Continue,
}

/// The last commands on one connection.
#[derive(Debug, Default)]
pub(super) struct CommandHistory(VecDeque<TimedCommand>);

/// The last state of the gripper, and the earliest time at which the bridge can have decided on it.
#[derive(Debug)]
pub(super) struct GripperHistory {
    gripper: Gripper,
    since: Option<Instant>,
    /// The earliest send time of the last command.
    last_not_before: Option<Instant>,
    /// The gripper in the last accepted command.
    accepted: Option<Gripper>,
    /// A command has been refused since then, so the next command returns to the accepted state.
    refused: bool,
}

/// Checks commands when the bridge plans them. At this point their times are exact and the start of
/// a motion is known.
#[derive(Debug)]
pub struct MotionMonitor {
    limits: MotionLimits,
    history: CommandHistory,
}

impl From<&TeleopConfig> for MotionLimits {
    fn from(config: &TeleopConfig) -> Self {
        let (speed, period) = (config.limits.speed, config.ramp_period());
        let approach_speed = config.approach_speed.min(speed);
        let step = if config.step > 0.0 { config.step } else { 0.1 * speed };
        Self {
            space: Space::from(&config.workspace),
            home: config.home,
            speed,
            approach_speed,
            approach_step: step.min(approach_speed * period.as_secs_f64()),
            longest_step: step.min(speed * config.input_timeout.max(period).as_secs_f64()),
            input_timeout: config.input_timeout,
            close_debounce: config.gripper.close_debounce,
            open_debounce: config.gripper.open_debounce,
        }
    }
}

impl MotionLimits {
    pub(super) fn check_workspace(&self, command: &Command) -> Option<Fault> {
        self.space.fault_at(command.position).map(|why| Fault::new(Rule::Workspace, why))
    }

    /// Returns the distance from the start of a motion to the nearest of `places`, if it is too
    /// large.
    pub(super) fn excess_at_start(
        &self,
        command: &Command,
        places: impl Iterator<Item = Position>,
    ) -> Option<f64> {
        let way = places.map(|place| place.distance(command.position)).fold(f64::INFINITY, f64::min);
        (way > self.approach_step + RESOLUTION).then_some(way)
    }

    fn debounce(&self, gripper: Gripper) -> Duration {
        match gripper {
            Gripper::Open => self.open_debounce,
            Gripper::Closed => self.close_debounce,
        }
    }
}

impl CommandHistory {
    pub(super) fn first(&self) -> Option<&TimedCommand> {
        self.0.front()
    }

    pub(super) fn last(&self) -> Option<&TimedCommand> {
        self.0.back()
    }

    pub(super) fn newest_first(&self) -> impl Iterator<Item = &TimedCommand> {
        self.0.iter().rev()
    }

    pub(super) fn remember(&mut self, sent: TimedCommand) {
        self.0.push_back(sent);
        if self.0.len() > WINDOW {
            self.0.pop_front();
        }
    }

    /// Drops all but the newest `count` commands.
    pub(super) fn keep(&mut self, count: usize) {
        self.0.drain(..self.0.len().saturating_sub(count));
    }

    /// Checks that a step is not too long for the time. If a step continues a motion, it is also
    /// limited by the time for which motion continues without a target. `step` is `None` if the
    /// kind of the step is unknown.
    pub(super) fn check_speed(
        &self,
        limits: &MotionLimits,
        sent: &TimedCommand,
        step: Option<Step>,
    ) -> Option<Fault> {
        self.newest_first().enumerate().find_map(|(back, before)| {
            let way = before.command.position.distance(sent.command.position);
            let time = before.not_before.map(|since| sent.at.saturating_duration_since(since));
            let (speed, longest) = match step {
                Some(Step::Start) if back == 0 => (limits.approach_speed, f64::INFINITY),
                Some(Step::Approach) if back == 0 => (limits.approach_speed, limits.longest_step),
                Some(Step::Continue) if back == 0 => (limits.speed, limits.longest_step),
                _ => (limits.speed, f64::INFINITY),
            };
            let allowed = time.map_or(f64::INFINITY, |time| speed * time.as_secs_f64()).min(longest);
            (way > allowed + RESOLUTION).then(|| {
                let within =
                    time.map_or_else(String::new, |time| format!(" in at most {:.4} s", time.as_secs_f64()));
                let why = format!("{:.3} mm{within}, {:.3} mm allowed", way * 1e3, allowed * 1e3);
                Fault { before: Some(sanitize_short(&before.line)), ..Fault::new(Rule::Speed, why) }
            })
        })
    }
}

impl CommandHistory {
    /// Checks that the straight path to the command is free. The path begins at the last command.
    /// At the start of a motion it begins at the position of the arm.
    pub(super) fn check_way(
        &self,
        limits: &MotionLimits,
        sent: &TimedCommand,
        step: Option<Step>,
        places: &[Position],
    ) -> Option<Fault> {
        let to = sent.command.position;
        if limits.space.fault_at(to).is_some() {
            // The forbidden position is reported as a separate fault. Do not report the path too.
            return None;
        }
        let (from, before) = match step? {
            Step::Start => {
                let nearest =
                    |one: &&Position, other: &&Position| one.distance(to).total_cmp(&other.distance(to));
                (*places.iter().min_by(nearest)?, None)
            }
            Step::Approach | Step::Continue => {
                let last = self.last()?;
                (last.command.position, Some(sanitize_short(&last.line)))
            }
        };
        let why = limits.space.fault_between(from, to)?;
        Some(Fault { before, ..Fault::new(Rule::Workspace, why) })
    }
}

impl GripperHistory {
    /// Creates the history from a first command.
    pub(super) fn new(sent: &TimedCommand) -> Self {
        let (gripper, last_not_before) = (sent.command.gripper, sent.not_before);
        Self { gripper, since: None, last_not_before, accepted: None, refused: false }
    }

    /// Records the reply to a command: the accepted state of the gripper, or `None` for a refusal.
    pub(super) fn handle_reply(&mut self, accepted: Option<Gripper>) {
        self.refused |= accepted.is_none();
        self.accepted = accepted.or(self.accepted);
    }

    /// Records a new connection. It is unknown which commands of the previous connection the bridge
    /// knows to be accepted.
    pub(super) fn handle_connected(&mut self) {
        (self.refused, self.accepted) = (true, None);
    }

    /// Checks that a change of the gripper is not sooner than its debounce after the last change,
    /// and records the command.
    pub(super) fn handle_command(&mut self, limits: &MotionLimits, sent: &TimedCommand) -> Option<Fault> {
        let gripper = sent.command.gripper;
        // The bridge decided on this state after the last command. Otherwise the last command would
        // contain it.
        let decided = std::mem::replace(&mut self.last_not_before, sent.not_before);
        let refused = std::mem::take(&mut self.refused);
        if self.gripper == gripper {
            return None;
        }
        self.gripper = gripper;
        if refused && self.accepted.is_none_or(|accepted| accepted == gripper) {
            // From now on a requested state must last for its full debounce time again.
            self.since = sent.not_before;
            return None;
        }
        let since = std::mem::replace(&mut self.since, decided)?;
        let (stood, debounce) = (sent.at.saturating_duration_since(since), limits.debounce(gripper));
        (stood < debounce).then(|| {
            let (stood, debounce) = (stood.as_secs_f64(), debounce.as_secs_f64());
            let gripper = gripper.as_str();
            let why =
                format!("{gripper} {stood:.3} s after the last change, at least {debounce:.3} s required");
            Fault::new(Rule::Gripper, why)
        })
    }
}

impl MotionMonitor {
    /// Creates a monitor with these limits.
    pub fn new(limits: MotionLimits) -> Self {
        Self { limits, history: CommandHistory::default() }
    }

    /// Changes the limits.
    pub fn handle_limits(&mut self, limits: MotionLimits) {
        self.limits = limits;
        self.history.keep(1);
    }

    /// Records a new connection: the last command of the previous one no longer limits the next
    /// step.
    pub fn handle_connected(&mut self) {
        self.history.keep(0);
    }

    /// Records a sent command.
    pub fn handle_sent(&mut self, sent: TimedCommand) {
        self.history.remember(sent);
    }

    /// Checks a command before it is sent. A motion must begin near one of `places`, the possible
    /// positions of the arm.
    #[must_use]
    pub fn check(&self, planned: &TimedCommand, step: Step, places: &[Position]) -> Vec<Violation> {
        let far = (step == Step::Start)
            .then(|| self.limits.excess_at_start(&planned.command, places.iter().copied()))
            .flatten()
            .map(|way| {
                let (way, allowed) = (way * 1e3, self.limits.approach_step * 1e3);
                Fault::new(
                    Rule::Approach,
                    format!("begins {way:.3} mm from the arm, {allowed:.3} mm allowed"),
                )
            });
        let faults = [
            self.limits.check_workspace(&planned.command),
            self.history.check_speed(&self.limits, planned, Some(step)),
            self.history.check_way(&self.limits, planned, Some(step), places),
            far,
        ];
        faults.into_iter().flatten().map(|fault| fault.on(0, &planned.line)).collect()
    }
}

/// The largest error of two roundings to a micrometre in each of three axes, in metres.
const RESOLUTION: f64 = 2e-6;
/// The number of commands over which speed is checked. The time between two commands has an error
/// of one period. So over more commands, a smaller excess of speed is found.
const WINDOW: usize = 40;
