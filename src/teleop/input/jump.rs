//! Jumps of the target: the tracker takes one hand for the other, or its guess is wrong.
//!
//! Invariants:
//! - Two admitted positions in a row are no farther apart than the limit, unless the target has stayed near the second one
//!   for the time of the limit, without a gap and without a refused message in between.
//! - Only an absence after which the hand has to settle makes the guard forget where the hand was.

use std::time::Instant;

use crate::geometry::Position;
use crate::teleop::config::TeleopConfig;
use crate::teleop::input_fault::InputFault;

/// Refuses a jump of the target until the target has stayed near where it jumped to, each sample within
/// [`JumpConfig::distance`](crate::teleop::JumpConfig) of the sample before. Then motion goes on by an approach, because
/// refusals came before it.
#[derive(Debug, Default)]
pub struct JumpGuard {
    last: Option<Position>,
    elsewhere: Option<Elsewhere>,
    /// When the hand was last in sight, here or elsewhere.
    seen: Option<Instant>,
}

/// Where the target has jumped to.
#[derive(Debug, Clone, Copy)]
struct Elsewhere {
    position: Position,
    /// Since when the target has stayed near there.
    since: Instant,
}

impl JumpGuard {
    /// Judges a target by the targets before it. Fails for a jump that is not believed yet.
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
        let is_believed = now.saturating_duration_since(since) >= limit.confirm && since != now;
        let distance = self.last.and_then(jump);
        if let Some(distance) = distance.filter(|_| !is_believed) {
            self.elsewhere = Some(Elsewhere { position, since });
            return Err(InputFault::Jump { distance, confirm: limit.confirm });
        }
        (self.last, self.elsewhere) = (Some(position), None);
        Ok(())
    }

    /// Records a message that was refused for something else than a jump: the target has not stayed where it jumped to.
    pub fn handle_refused(&mut self) {
        self.elsewhere = None;
    }

    /// Forgets where the target was, because positions mean something else from now on.
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

    /// Which of the samples, each `(ms, x)`, are admitted. `None` instead of an x is a message that was refused.
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

    /// Which of the samples, 100 ms apart, are admitted.
    fn admitted(xs: &[f64], jump: JumpConfig) -> Vec<bool> {
        let samples: Vec<_> = (0..).zip(xs).map(|(i, x)| (100 * i, Some(*x))).collect();
        admitted_at(&samples, jump)
    }

    #[test]
    fn moving_hand_is_admitted_however_far_it_gets() {
        assert_eq!(admitted(&[0.0, 0.14, 0.28, 0.42], CONFIG), [true; 4]);
        assert_eq!(admitted(&[0.0, 0.15], CONFIG), [true; 2]);
    }

    #[test]
    fn single_outlier_is_refused_and_next_sample_admitted() {
        assert_eq!(admitted(&[0.0, 0.5, 0.01], CONFIG), [true, false, true]);
    }

    #[test]
    fn jump_is_believed_once_the_target_stays() {
        let xs = [0.0, 0.5, 0.51, 0.52, 0.53, 0.54];
        assert_eq!(admitted(&xs, CONFIG), [true, false, false, false, true, true]);
    }

    #[test]
    fn jumps_to_and_fro_are_never_believed() {
        let xs = [0.0, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5];
        assert_eq!(admitted(&xs, CONFIG)[1..], [false; 15]);
    }

    #[test]
    fn distance_of_zero_admits_every_jump() {
        let config = JumpConfig { distance: 0.0, ..CONFIG };
        assert_eq!(admitted(&[0.0, 5.0, -5.0], config), [true; 3]);
    }

    #[test]
    fn refused_message_or_gap_starts_the_confirmation_again() {
        let there = |ms| (ms, Some(0.5));
        let samples =
            [(0, Some(0.0)), there(100), there(250), (300, None), there(350), there(450), there(649)];
        assert_eq!(admitted_at(&samples, CONFIG)[1..], [false; 6]);
        // 200 ms are a loss in themselves.
        let samples = [(0, Some(0.0)), there(100), there(250), there(450), there(600), there(749)];
        assert_eq!(admitted_at(&samples, CONFIG)[1..], [false; 5]);
    }

    #[test]
    fn only_a_long_absence_makes_it_forget() {
        for (ms, admits) in [(500, false), (1000, false), (1001, true)] {
            let samples = [(0, Some(0.0)), (10, None), (ms, Some(0.5))];
            assert_eq!(admitted_at(&samples, CONFIG)[2], admits, "{ms}");
        }
        // A hand in sight elsewhere is not absent.
        let samples = [(0, Some(0.0)), (900, Some(0.5)), (950, None), (1100, Some(0.5))];
        assert_eq!(admitted_at(&samples, CONFIG)[1..], [false; 3]);
    }
}
