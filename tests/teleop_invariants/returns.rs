//! What has happened between two motions, kept independently of the machine under test: how long the hand was away, how fast
//! the arm was, what moved the goal, and how many stop lines were to be expected.

use std::time::{Duration, Instant};

use aether_bridge::geometry::Position;
use aether_bridge::teleop::{CommandKind, FilterConfig, Frame, Planned, RetargetMode, Target, TeleopConfig};

#[derive(Default)]
pub struct Returns {
    /// When the last good target came, and since when they have been good.
    good_at: Option<Instant>,
    good_since: Option<Instant>,
    /// The hand has been away for more than a second, and no motion has begun since. The least that `teleop.settle_time` has
    /// been since it came back.
    settle: Option<Duration>,
    /// Where the last good target was, unless another place has been told since.
    place: Option<Position>,
    /// The last good target in its own frame.
    in_frame: Option<(Position, Frame)>,
    /// Something else than the hand has moved the goal since the last command.
    approach_owed: bool,
    /// When the last command was sent on whatever connection, and how fast it was, if that is known.
    sent: Option<(Instant, Option<f64>)>,
    /// How many motions have sent a command, and how many stop lines may be sent for other reasons.
    motions: u64,
    others: u64,
    stop_lines: u64,
}

impl Returns {
    /// Takes a target, whether it was accepted, and whether it told of a place at all.
    pub fn handle_target(
        &mut self,
        now: Instant,
        target: &Target,
        (accepted, tells): (bool, bool),
        config: &TeleopConfig,
    ) {
        if !accepted {
            if tells {
                self.place = None;
            }
            return;
        }
        let absence = self.good_at.map(|at| now - at);
        let limit = config.input_timeout.max(Duration::from_secs(1));
        let away = absence.is_some_and(|absence| absence > limit);
        let base = in_base(target.position, target.frame, config);
        if let (Some(before), Some(base), false) = (self.place, base, away) {
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
        if let Some((position, frame)) = self.in_frame.filter(|(_, frame)| *frame != target.frame) {
            let by_hand = position.distance(target.position);
            let by_frame = in_base(target.position, frame, config).zip(base);
            self.approach_owed |= by_frame.is_some_and(|(old, new)| old.distance(new) > by_hand + 0.02);
        }
        self.good_at = Some(now);
        self.place = base;
        self.in_frame = Some((target.position, target.frame));
    }

    /// Takes that a message was refused.
    pub fn handle_loss(&mut self) {
        self.good_since = None;
    }

    /// Forgets when the last command was sent, because it was sent to another arm.
    pub fn handle_other_arm(&mut self) {
        self.sent = None;
    }

    /// Takes other settings while the arm moves or not.
    pub fn handle_config(&mut self, before: &TeleopConfig, after: &TeleopConfig, moving: bool) {
        let exact = |config: &TeleopConfig| {
            config.retarget_mode == RetargetMode::Absolute && config.filter == FilterConfig::None
        };
        if let Some(hand) = self.place.filter(|_| moving && exact(before) && exact(after)) {
            let goal =
                |config: &TeleopConfig| config.workspace.admit(hand).ok().map(|admitted| admitted.position);
            let moved = goal(before).zip(goal(after)).is_some_and(|(old, new)| old.distance(new) > 0.005_001);
            self.approach_owed |= moved;
        }
        if before.retarget != after.retarget || before.retarget_mode != after.retarget_mode {
            (self.place, self.in_frame) = (None, None);
        }
        self.settle = self.settle.map(|settle| settle.min(after.settle_time));
    }

    /// Takes that a stop line may be sent, though no motion has ended: a person's stop, the end, or one that was lost.
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

    /// Checks a command of a motion, the first one if `starts`.
    pub fn check(&self, now: Instant, planned: &Planned, starts: bool, config: &TeleopConfig) {
        if !starts {
            let approaches = planned.kind == CommandKind::Approach;
            assert!(approaches || !self.approach_owed, "invariant 12: it is not the hand that moved");
            return;
        }
        if let Some((sent_at, speed)) = self.sent {
            let waited = (now - sent_at).as_secs_f64();
            // A little lateness of the command before may be made up for.
            let period = 0.75 * config.ramp_period().as_secs_f64();
            assert!(waited >= period - 1e-6, "invariant 2: {waited} s after the last motion");
            let rest = speed.unwrap_or(0.0) / config.limits.acceleration;
            assert!(waited >= rest - 1e-6, "invariant 2: {waited} s after {speed:?} m/s");
        }
        self.check_settled(now);
    }

    /// Takes that motion begins, though its first command may be sent later.
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

    /// Takes a command that has been sent, with its speed if that is known.
    pub fn handle_sent(&mut self, now: Instant, planned: &Planned, starts: bool, speed: Option<f64>) {
        if planned.kind == CommandKind::Repetition {
            return;
        }
        self.sent = Some((now, speed));
        self.motions += u64::from(starts);
        (self.settle, self.approach_owed) = (None, false);
    }
}

/// Returns where a target is in the arm's base frame, if that can be a position.
pub fn in_base(at: Position, frame: Frame, config: &TeleopConfig) -> Option<Position> {
    match frame {
        Frame::Tracker => config.retarget.apply(at).ok(),
        Frame::Base => Some(at),
        Frame::Transformed(transform) => transform.position(at).ok(),
    }
}
