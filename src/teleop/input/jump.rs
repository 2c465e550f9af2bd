//! Jumps of the target: the tracker takes one hand for the other, or its guess is wrong.
//!
//! Invariant: two admitted positions in a row are no farther apart than the limit, unless the target has stayed near the
//! second one for the time of the limit.

use std::time::Instant;

use crate::geometry::Position;
use crate::teleop::config::JumpConfig;
use crate::teleop::input_fault::InputFault;

/// Refuses a jump of the target until the target has stayed near where it jumped to, each sample within
/// [`JumpConfig::distance`] of the sample before. Then motion goes on by an approach, because refusals came before it.
#[derive(Debug, Default)]
pub struct JumpGuard {
    last: Option<Position>,
    /// Where the target has jumped to, and since when it has stayed near there.
    elsewhere: Option<(Position, Instant)>,
}

impl JumpGuard {
    /// Judges a target by the targets before it. Fails for a jump that is not believed yet.
    pub fn admit(&mut self, now: Instant, position: Position, config: &JumpConfig) -> Result<(), InputFault> {
        let jump = |from: Position| {
            let distance = from.distance(position);
            (config.distance > 0.0 && distance > config.distance).then_some(distance)
        };
        let since = match self.elsewhere {
            Some((elsewhere, since)) if jump(elsewhere).is_none() => since,
            _ => now,
        };
        let is_believed = now.saturating_duration_since(since) >= config.confirm && since != now;
        if let Some(distance) = self.last.and_then(jump).filter(|_| !is_believed) {
            self.elsewhere = Some((position, since));
            return Err(InputFault::Jump { distance, confirm: config.confirm });
        }
        *self = Self { last: Some(position), elsewhere: None };
        Ok(())
    }

    /// Forgets where the target was, because after a loss it may be anywhere.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use std::time::Duration;

    use super::*;

    const CONFIG: JumpConfig = JumpConfig { distance: 0.15, confirm: Duration::from_millis(300) };

    /// Which of the samples, 100 ms apart, are admitted.
    fn admitted(xs: &[f64], config: &JumpConfig) -> Vec<bool> {
        let start = Instant::now();
        let mut guard = JumpGuard::default();
        let admit = |(i, x): (u32, &f64)| {
            let now = start + Duration::from_millis(100) * i;
            guard.admit(now, Position::new(*x, 0.0, 0.0).unwrap(), config).is_ok()
        };
        (0..).zip(xs).map(admit).collect()
    }

    #[test]
    fn moving_hand_is_admitted_however_far_it_gets() {
        assert_eq!(admitted(&[0.0, 0.14, 0.28, 0.42], &CONFIG), [true; 4]);
        assert_eq!(admitted(&[0.0, 0.15], &CONFIG), [true; 2]);
    }

    #[test]
    fn single_outlier_is_refused_and_next_sample_admitted() {
        assert_eq!(admitted(&[0.0, 0.5, 0.01], &CONFIG), [true, false, true]);
    }

    #[test]
    fn jump_is_believed_once_the_target_stays() {
        let xs = [0.0, 0.5, 0.51, 0.52, 0.53, 0.54];
        assert_eq!(admitted(&xs, &CONFIG), [true, false, false, false, true, true]);
    }

    #[test]
    fn jumps_to_and_fro_are_never_believed() {
        let xs = [0.0, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5];
        assert_eq!(admitted(&xs, &CONFIG)[1..], [false; 7]);
    }

    #[test]
    fn distance_of_zero_admits_every_jump() {
        let config = JumpConfig { distance: 0.0, ..CONFIG };
        assert_eq!(admitted(&[0.0, 5.0, -5.0], &config), [true; 3]);
    }
}
