//! The stream of targets, judged: which sample may be followed, and where it is in the arm's base frame.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::config::TeleopConfig;
use super::filter::Filter;
use super::jump::JumpGuard;
use super::liveliness::Liveliness;
use super::reason::Obstacle;
use super::senders::SenderWatch;
use super::target::{Frame, InputFault, Target};
use super::watchdog::Watchdog;
use crate::arm::Gripper;
use crate::geometry::Orientation;
use crate::geometry::{Position, PositionError};

/// What the machine knows of its input.
#[derive(Debug, Default)]
pub(super) struct Input {
    watchdog: Watchdog,
    liveliness: Liveliness,
    jump: JumpGuard,
    filter: Filter,
    /// When the last message came, good or not.
    last_message: Option<Instant>,
    /// The times between the last messages, the newest last.
    intervals: [Duration; 2],
    /// Targets in a row that were all zero.
    zeros: u32,
    /// Whether several nodes send targets.
    senders: SenderWatch,
    /// Whether several nodes send on the gripper's topic.
    gripper_senders: SenderWatch,
}

/// A sample that may be followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    /// When it was taken, on the steady clock.
    pub(super) origin: Instant,
    /// Where the hand is, smoothed, in the arm's base frame.
    pub(super) hand: Position,
    /// How the hand is turned, in the arm's base frame, if the sender says.
    pub(super) orientation: Option<Orientation>,
    /// Whether smoothing changed its position.
    pub(super) filtered: bool,
}

impl Input {
    /// Notes a target, as it came.
    pub(super) fn handle_target(&mut self, now: Instant, target: &Target, config: &TeleopConfig) {
        self.handle_message(now);
        self.senders.handle_target(now, target, in_base_frame(target, config).ok());
        if let Some(word) = target.gripper.and_then(|input| config.gripper.wanted(input)) {
            self.senders.handle_word(now, word);
        }
    }

    /// Notes a message that is no target.
    pub(super) fn handle_invalid_target(&mut self, now: Instant) {
        self.handle_message(now);
        self.senders.handle_unreadable(now);
    }

    /// Notes what a message on the gripper's topic wants.
    pub(super) fn handle_gripper_word(&mut self, now: Instant, word: Gripper) {
        self.gripper_senders.handle_word(now, word);
    }

    /// Notes that a message has come, good or not. Call it once for each.
    fn handle_message(&mut self, now: Instant) {
        if let Some(last) = self.last_message.replace(now) {
            self.intervals = [self.intervals[1], now.saturating_duration_since(last)];
        }
    }

    /// When a sender whose last message was refused has stopped sending: once nothing has come for `input_timeout`, nor
    /// for several of the sender's own intervals, and the refusal has been told for long enough.
    pub(super) fn stopped_at(&self, input_timeout: Duration) -> Option<Instant> {
        self.watchdog.fault()?;
        let interval = self.intervals[0].min(self.intervals[1]);
        Some(self.last_message? + input_timeout.max(interval * MISSED).max(TOLD_FOR))
    }

    /// Whether a target is a zero that is passed over: trackers slip in single zeros in mid-motion, and that is no
    /// target, and no loss either. Call it once for each target.
    pub(super) fn passes_over(&mut self, target: &Target, config: &TeleopConfig) -> bool {
        let zero = config.zero_is_lost && target.is_zero();
        self.zeros = if zero { self.zeros.saturating_add(1) } else { 0 };
        self.zeros == 1
    }

    /// Judges a target.
    ///
    /// # Errors
    /// Why it may not be followed.
    pub(super) fn judge(
        &mut self,
        now: Instant,
        target: &Target,
        config: &TeleopConfig,
    ) -> Result<Sample, InputFault> {
        self.liveliness.handle_arrival(now, target.position, &config.liveliness, config.input_timeout);
        if self.zeros > 0 {
            return Err(InputFault::Zero);
        }
        let origin = self.watchdog.admit(now, target.stamp, target.held_up, config.input_timeout)?;
        let base = in_base_frame(target, config)?;
        let orientation = target.orientation.map(|orientation| match target.frame {
            Frame::Tracker => config.retarget.turn(orientation),
            Frame::Base => orientation,
            Frame::Transformed(transform) => transform.orientation(orientation),
        });
        if !self.watchdog.is_fresh(now, config.input_timeout) {
            self.filter.reset();
            // After a loss the hand may be anywhere, but a leap that is waited out is none.
            if !matches!(self.watchdog.fault(), Some(InputFault::Jump { .. })) {
                self.jump.forget();
            }
        }
        self.jump.admit(now, base, &config.jump)?;
        self.liveliness.check(now, &config.liveliness, config.input_timeout)?;
        let hand = self.filter.apply(base, target.stamp, origin, &config.filter);
        Ok(Sample { origin, hand, orientation, filtered: hand != base })
    }

    pub(super) fn handle_good(&mut self, now: Instant, origin: Instant, input_timeout: Duration) {
        self.watchdog.handle_good(now, origin, input_timeout);
    }

    pub(super) fn handle_timeout_change(&mut self, now: Instant, before: Duration) {
        self.watchdog.handle_timeout_change(now, before);
    }

    pub(super) fn handle_fault(&mut self, fault: InputFault) {
        self.watchdog.handle_fault(fault);
    }

    /// Takes who publishes targets, if it is more than one node.
    pub(super) fn handle_publishers(&mut self, several: Option<Arc<str>>) {
        self.senders.handle_publishers(several);
    }

    /// Takes who publishes on the gripper's topic, if it is more than one node.
    pub(super) fn handle_gripper_publishers(&mut self, several: Option<Arc<str>>) {
        self.gripper_senders.handle_publishers(several);
    }

    /// When there will have been no sign of a second sender for long enough.
    pub(super) fn quiet_at(&self) -> [Option<Instant>; 2] {
        [self.senders.quiet_at(), self.gripper_senders.quiet_at()]
    }

    /// Targets mean something else from now on: where they were says nothing of where they are.
    pub(super) fn forget_positions(&mut self) {
        self.filter.reset();
        self.jump.forget();
    }

    pub(super) fn forget_smoothing(&mut self) {
        self.filter.reset();
    }

    pub(super) fn watchdog(&self) -> &Watchdog {
        &self.watchdog
    }

    /// Why no target may move the arm at present.
    pub(super) fn obstacle(&self, now: Instant, input_timeout: Duration) -> Option<Obstacle> {
        if let Some(senders) = self.senders.several(now).or_else(|| self.gripper_senders.several(now)) {
            return Some(Obstacle::SeveralSenders(Arc::clone(senders)));
        }
        if let Some(fault) = self.watchdog.fault() {
            let stopped = self.stopped_at(input_timeout).is_some_and(|stopped| now >= stopped);
            let last = self.last_message.filter(|_| stopped);
            return Some(last.map_or_else(
                || Obstacle::Input(fault.clone()),
                |last| Obstacle::Stale {
                    age: now.saturating_duration_since(last),
                    refused: Some(fault.clone()),
                },
            ));
        }
        match self.watchdog.age(now) {
            None => Some(Obstacle::NoInput),
            Some(age) if !self.watchdog.is_fresh(now, input_timeout) => {
                Some(Obstacle::Stale { age, refused: None })
            }
            Some(_) => None,
        }
    }
}

/// Where a target is in the arm's base frame.
///
/// # Errors
/// When that is no position.
fn in_base_frame(target: &Target, config: &TeleopConfig) -> Result<Position, PositionError> {
    match target.frame {
        Frame::Tracker => config.retarget.apply(target.position),
        Frame::Base => Ok(target.position),
        Frame::Transformed(transform) => transform.position(target.position),
    }
}

/// The shortest time for which a refusal stays the reason: longer than the second between two diagnostics.
const TOLD_FOR: Duration = Duration::from_millis(1500);
/// How many messages in a row a sender may leave out before it counts as stopped: one or two get lost.
const MISSED: u32 = 3;
