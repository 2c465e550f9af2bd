//! An independent record of the events between two motions: how long the hand was absent, how fast
//! the arm was, what moved the goal, and how many stop lines are allowed.

use std::time::{Duration, Instant};

use aether_bridge::geometry::Position;
use aether_bridge::teleop::{CommandKind, FilterConfig, Frame, Planned, RetargetMode, Target, TeleopConfig};

#[derive(Default)]
pub struct Returns {
    /// The time at which the last good target arrived, and the time since which all targets have
    /// been good.
    good_at: Option<Instant>,
    good_since: Option<Instant>,
    /// Set if the hand was absent for more than a second and no motion has begun since. Contains
    /// the smallest value of `teleop.settle_time` since the hand returned.
    settle: Option<Duration>,
    /// The position of the last good target, until a refused target has reported another position.
    position: Option<Position>,
    /// The last good target in its own frame.
    in_frame: Option<(Position, Frame)>,
    /// Whether something other than the hand has moved the goal since the last command.
    approach_required: bool,
    /// When the last command was sent on any connection, and its speed in m/s if that is known.
    sent: Option<(Instant, Option<f64>)>,
    /// How many motions have sent a command, and how many stop lines are allowed for other reasons.
    motions: u64,
    others: u64,
    stop_lines: u64,
}

impl Returns {
    /// Records a target: whether it was accepted, and whether it has a position at all.
    pub fn handle_target(
        &mut self,
        now: Instant,
        target: &Target,
        (accepted, has_position): (bool, bool),
        config: &TeleopConfig,
    ) {
        if !accepted {
            if has_position {
                self.position = None;
            }
            return;
        }
        let absence = self.good_at.map(|at| now - at);
        let limit = config.input_timeout.max(Duration::from_secs(1));
        let away = absence.is_some_and(|absence| absence > limit);
        let base = in_base(target.position, target.frame, config);
        if let (Some(before), Some(base), false) = (self.position, base, away) {
            let jump = before.distance(base);
            let far = config.jump.distance > 0.0 && jump > config.jump.distance;
            assert!(!far, "invariant 10: a jump of {jump} m, {absence:?} after the last good target");
        }
        if away {
            self.settle = Some(config.settle_time);
        }
        if self.good_since.is_none() || absence.is_some_and(|absence| absence >= config.input_timeout) {
            self.good_since = Some(now);
        }
        if let Some((last, frame)) = self.in_frame.filter(|(_, frame)| *frame != target.frame) {
            let by_hand = last.distance(target.position);
            let by_frame = in_base(target.position, frame, config).zip(base);
            self.approach_required |= by_frame.is_some_and(|(old, new)| old.distance(new) > by_hand + 0.02);
        }
        self.good_at = Some(now);
        self.position = base;
        self.in_frame = Some((target.position, target.frame));
    }

    /// Records a refused message.
    pub fn handle_loss(&mut self) {
        self.good_since = None;
    }

    /// Forgets the last command, because it was sent to another arm.
    pub fn handle_other_arm(&mut self) {
        self.sent = None;
    }

    /// Records changed settings. `moving` states whether the arm is in motion.
    pub fn handle_config(&mut self, before: &TeleopConfig, after: &TeleopConfig, moving: bool) {
        let exact = |config: &TeleopConfig| {
            config.retarget_mode == RetargetMode::Absolute && config.filter == FilterConfig::None
        };
        if let Some(hand) = self.position.filter(|_| moving && exact(before) && exact(after)) {
            let goal =
                |config: &TeleopConfig| config.workspace.admit(hand).ok().map(|admitted| admitted.position);
            let moved = goal(before).zip(goal(after)).is_some_and(|(old, new)| old.distance(new) > 0.005_001);
            self.approach_required |= moved;
        }
        if before.retarget != after.retarget || before.retarget_mode != after.retarget_mode {
            (self.position, self.in_frame) = (None, None);
        }
        self.settle = self.settle.map(|settle| settle.min(after.settle_time));
    }

    /// Allows one more stop line although no motion has ended: for a stop request, the shutdown, or
    /// a lost stop line.
    pub fn expect_stop_line(&mut self) {
        self.others += 1;
    }

    pub fn handle_stop_line(&mut self) {
        self.stop_lines += 1;
        let allowed = self.motions + self.others;
        assert!(
            self.stop_lines <= allowed,
            "invariant 11: {} stop lines, {allowed} allowed",
            self.stop_lines
        );
    }

    /// Checks a command of a motion. `starts` is true for the first command.
    pub fn check(&self, now: Instant, planned: &Planned, starts: bool, config: &TeleopConfig) {
        if !starts {
            let approaches = planned.kind == CommandKind::Approach;
            assert!(approaches || !self.approach_required, "invariant 12: the hand did not move the goal");
            return;
        }
        if let Some((sent_at, speed)) = self.sent {
            let waited = (now - sent_at).as_secs_f64();
            // The command may be slightly early, to compensate a late command before it.
            let period = 0.75 * config.ramp_period().as_secs_f64();
            assert!(waited >= period - 1e-6, "invariant 2: {waited} s after the last motion");
            let rest = speed.unwrap_or(0.0) / config.limits.acceleration;
            assert!(waited >= rest - 1e-6, "invariant 2: {waited} s after {speed:?} m/s");
        }
        self.check_settled(now);
    }

    /// Records that motion begins. Its first command may be sent later.
    pub fn handle_begun(&mut self, now: Instant) {
        self.check_settled(now);
        self.settle = None;
    }

    fn check_settled(&self, now: Instant) {
        if let Some(settle) = self.settle {
            let good_for = self.good_since.map(|since| now - since);
            let settled = good_for.is_some_and(|good_for| good_for >= settle);
            assert!(settled, "invariant 10: good for {good_for:?} after an absence");
        }
    }

    /// Records a sent command, with its speed in m/s if that is known.
    pub fn handle_sent(&mut self, now: Instant, planned: &Planned, starts: bool, speed: Option<f64>) {
        if planned.kind == CommandKind::Repetition {
            return;
        }
        self.sent = Some((now, speed));
        self.motions += u64::from(starts);
        (self.settle, self.approach_required) = (None, false);
    }
}

/// Returns the position of a target in the arm's base frame. `None` if it is not a valid position.
pub fn in_base(at: Position, frame: Frame, config: &TeleopConfig) -> Option<Position> {
    match frame {
        Frame::Tracker => config.retarget.apply(at).ok(),
        Frame::Base => Some(at),
        Frame::Transformed(transform) => transform.position(at).ok(),
    }
}
