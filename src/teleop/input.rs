//! The stream of targets, judged: which sample may be followed, and where it is in the arm's base frame.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::command::Position;
use super::config::TeleopConfig;
use super::filter::Filter;
use super::jump::JumpGuard;
use super::liveliness::Liveliness;
use super::orientation::Orientation;
use super::reason::Obstacle;
use super::target::{Frame, InputFault, Target};
use super::watchdog::Watchdog;

/// What the machine knows of its input.
#[derive(Debug, Default)]
pub(super) struct Input {
    watchdog: Watchdog,
    liveliness: Liveliness,
    jump: JumpGuard,
    filter: Filter,
    /// Targets in a row that were all zero.
    zeros: u32,
    /// Who else publishes targets, when several do.
    senders: Option<Arc<str>>,
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
        self.liveliness.handle_arrival(now, target.position, &config.liveliness);
        if self.zeros > 0 {
            return Err(InputFault::Zero);
        }
        let origin = self.watchdog.admit(now, target.stamp, target.held_up, config.input_timeout)?;
        let base = match target.frame {
            Frame::Tracker => config.retarget.apply(target.position)?,
            Frame::Base => target.position,
            Frame::Placed(placement) => placement.position(target.position)?,
        };
        let orientation = target.orientation.map(|orientation| match target.frame {
            Frame::Tracker => config.retarget.turn(orientation),
            Frame::Base => orientation,
            Frame::Placed(placement) => placement.orientation(orientation),
        });
        if !self.watchdog.is_fresh(now, config.input_timeout) {
            self.filter.reset();
            // After a loss the hand may be anywhere, but a leap that is waited out is none.
            if !matches!(self.watchdog.fault(), Some(InputFault::Jump { .. })) {
                self.jump.forget();
            }
        }
        self.jump.admit(now, base, &config.jump)?;
        self.liveliness.check(now, &config.liveliness)?;
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

    /// Takes note of who publishes, if it is more than one.
    pub(super) fn handle_senders(&mut self, several: Option<Arc<str>>) {
        self.senders = several;
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
        if let Some(senders) = &self.senders {
            return Some(Obstacle::SeveralSenders(Arc::clone(senders)));
        }
        if let Some(fault) = self.watchdog.fault() {
            return Some(Obstacle::Input(fault.clone()));
        }
        match self.watchdog.age(now) {
            None => Some(Obstacle::NoInput),
            Some(age) if !self.watchdog.is_fresh(now, input_timeout) => Some(Obstacle::Stale { age }),
            Some(_) => None,
        }
    }
}
