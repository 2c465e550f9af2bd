//! Rejects jumps of the target. A target jumps if the tracker confuses two hands or estimates a
//! wrong position.
//!
//! Invariants:
//! - The distance between two consecutive admitted positions is at most the limit. The exception is
//!   a target that has stayed near the second position for `confirm`, without a gap and without a
//!   rejected message.
//! - The guard forgets the last position after an absence that makes the hand settle again. It also
//!   forgets the position if the publisher or the meaning of positions changes.

use std::time::Instant;

use crate::geometry::Position;
use crate::teleop::config::TeleopConfig;
use crate::teleop::input_fault::InputFault;

/// Rejects a jump of the target until the target has stayed near the new position.
///
/// Each sample there must be within [`JumpConfig::distance`](crate::teleop::JumpConfig) of the
/// previous sample. Motion then continues with an approach, because rejected targets came before
/// it.
#[derive(Debug, Default)]
pub struct JumpGuard {
    last: Option<Position>,
    elsewhere: Option<Elsewhere>,
    /// When the hand was last visible, at the old or the new position.
    seen: Option<Instant>,
}

/// The position to which the target has jumped.
#[derive(Debug, Clone, Copy)]
struct Elsewhere {
    position: Position,
    /// Since when the target has stayed near `position`.
    since: Instant,
}

impl JumpGuard {
    /// Compares a target with the targets before it.
    ///
    /// # Errors
    /// [`InputFault::Jump`] if the target has jumped and has not stayed there for long enough.
    pub fn admit(
        &mut self,
        now: Instant,
        position: Position,
        config: &TeleopConfig,
    ) -> Result<(), InputFault> {
        let seen_before = self.seen.replace(now);
        if seen_before.is_some_and(|seen| config.is_absence(seen, now)) {
            self.forget();
        }
        let limit = config.jump;
        let jump = |from: Position| {
            let distance = from.distance(position);
            (limit.distance > 0.0 && distance > limit.distance).then_some(distance)
        };
        let stays = |elsewhere: &Elsewhere| {
            let gap = seen_before.map(|seen| now.saturating_duration_since(seen));
            jump(elsewhere.position).is_none() && gap.is_some_and(|gap| gap < config.input_timeout)
        };
        let since = self.elsewhere.filter(stays).map_or(now, |elsewhere| elsewhere.since);
        let is_confirmed = now.saturating_duration_since(since) >= limit.confirm && since != now;
        let distance = self.last.and_then(jump);
        if let Some(distance) = distance.filter(|_| !is_confirmed) {
            self.elsewhere = Some(Elsewhere { position, since });
            return Err(InputFault::Jump { distance, confirm: limit.confirm });
        }
        (self.last, self.elsewhere) = (Some(position), None);
        Ok(())
    }

    /// Records a message that was rejected for another reason than a jump. The target then has not
    /// stayed at the new position.
    pub fn handle_refused(&mut self) {
        self.elsewhere = None;
    }

    /// Forgets the last position, because later positions have another meaning.
    pub fn forget(&mut self) {
        (self.last, self.elsewhere) = (None, None);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::teleop::config::JumpConfig;
    use crate::teleop::config::tests::settings;

    const CONFIG: JumpConfig = JumpConfig { distance: 0.15, confirm: Duration::from_millis(300) };

    /// Returns which samples `(ms, x)` are admitted. An x of `None` is a rejected message.
    fn admitted_at(samples: &[(u64, Option<f64>)], jump: JumpConfig) -> Vec<bool> {
        let (start, config) = (Instant::now(), TeleopConfig { jump, ..settings() });
        let mut guard = JumpGuard::default();
        let admit = |(ms, x): &(u64, Option<f64>)| {
            let Some(x) = x else {
                guard.handle_refused();
                return false;
            };
            let now = start + Duration::from_millis(*ms);
            guard.admit(now, Position::new(*x, 0.0, 0.0).unwrap(), &config).is_ok()
        };
        samples.iter().map(admit).collect()
    }

    /// Returns which of the samples, 100 ms apart, are admitted.
    fn admitted(xs: &[f64], jump: JumpConfig) -> Vec<bool> {
        let samples: Vec<_> = (0..).zip(xs).map(|(i, x)| (100 * i, Some(*x))).collect();
        admitted_at(&samples, jump)
    }

    #[test]
    fn moving_hand_is_admitted_at_any_distance() {
        assert_eq!(admitted(&[0.0, 0.14, 0.28, 0.42], CONFIG), [true; 4]);
        assert_eq!(admitted(&[0.0, 0.15], CONFIG), [true; 2]);
    }

    #[test]
    fn outlier_is_refused_and_next_sample_admitted() {
        assert_eq!(admitted(&[0.0, 0.5, 0.01], CONFIG), [true, false, true]);
    }

    #[test]
    fn jump_is_admitted_after_target_stays() {
        let xs = [0.0, 0.5, 0.51, 0.52, 0.53, 0.54];
        assert_eq!(admitted(&xs, CONFIG), [true, false, false, false, true, true]);
    }

    #[test]
    fn jumps_back_and_forth_are_never_admitted() {
        let xs = [0.0, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5];
        assert_eq!(admitted(&xs, CONFIG)[1..], [false; 15]);
    }

    #[test]
    fn distance_of_zero_admits_every_jump() {
        let config = JumpConfig { distance: 0.0, ..CONFIG };
        assert_eq!(admitted(&[0.0, 5.0, -5.0], config), [true; 3]);
    }

    #[test]
    fn refused_message_or_gap_restarts_confirmation() {
        let there = |ms| (ms, Some(0.5));
        let samples =
            [(0, Some(0.0)), there(100), there(250), (300, None), there(350), there(450), there(649)];
        assert_eq!(admitted_at(&samples, CONFIG)[1..], [false; 6]);
        // 200 ms without a sample are a loss.
        let samples = [(0, Some(0.0)), there(100), there(250), there(450), there(600), there(749)];
        assert_eq!(admitted_at(&samples, CONFIG)[1..], [false; 5]);
    }

    #[test]
    fn only_long_absence_resets_the_guard() {
        for (ms, admits) in [(500, false), (1000, false), (1001, true)] {
            let samples = [(0, Some(0.0)), (10, None), (ms, Some(0.5))];
            assert_eq!(admitted_at(&samples, CONFIG)[2], admits, "{ms}");
        }
        // A hand that is visible at another position is not absent.
        let samples = [(0, Some(0.0)), (900, Some(0.5)), (950, None), (1100, Some(0.5))];
        assert_eq!(admitted_at(&samples, CONFIG)[1..], [false; 3]);
    }
}
