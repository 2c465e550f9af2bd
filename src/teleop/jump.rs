//! Leaps of the target: a tracker that takes one hand for the other, or a guess gone wrong.

use std::time::{Duration, Instant};

use super::target::InputFault;
use crate::geometry::Position;

/// What counts as a leap, and when it is believed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JumpConfig {
    /// Two targets in a row farther apart than this, in metres, are a leap; 0: nothing is.
    pub distance: f64,
    /// How long the target has to stay where it leapt to.
    pub confirm: Duration,
}

/// Tells a hand that moves from one that is suddenly elsewhere.
///
/// A leap is refused until the target has stayed near where it leapt to, each sample within [`JumpConfig::distance`] of
/// the one before. It is then believed, and what follows a refusal is an approach.
#[derive(Debug, Default)]
pub struct JumpGuard {
    last: Option<Position>,
    elsewhere: Option<Elsewhere>,
}

#[derive(Debug, Clone, Copy)]
struct Elsewhere {
    position: Position,
    since: Instant,
}

impl JumpGuard {
    /// Judges a target by those before it.
    ///
    /// # Errors
    /// [`InputFault::Jump`] for a leap that is not yet believed.
    pub fn admit(&mut self, now: Instant, position: Position, config: &JumpConfig) -> Result<(), InputFault> {
        let leap = |from: Position| {
            let distance = from.distance(position);
            (config.distance > 0.0 && distance > config.distance).then_some(distance)
        };
        let Some(distance) = self.last.and_then(leap) else {
            *self = Self { last: Some(position), elsewhere: None };
            return Ok(());
        };
        let since = match self.elsewhere {
            Some(elsewhere) if leap(elsewhere.position).is_none() => elsewhere.since,
            _ => now,
        };
        if now.saturating_duration_since(since) >= config.confirm && since != now {
            *self = Self { last: Some(position), elsewhere: None };
            return Ok(());
        }
        self.elsewhere = Some(Elsewhere { position, since });
        Err(InputFault::Jump { distance, confirm: config.confirm })
    }

    /// Forgets where the target was: after a loss it may be anywhere.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
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
    fn a_hand_that_moves_is_no_leap_however_far_it_gets() {
        assert_eq!(admitted(&[0.0, 0.14, 0.28, 0.42], &CONFIG), [true; 4]);
        assert_eq!(admitted(&[0.0, 0.15], &CONFIG), [true; 2]);
    }

    #[test]
    fn a_single_outlier_is_refused_and_the_next_good_sample_taken() {
        assert_eq!(admitted(&[0.0, 0.5, 0.01], &CONFIG), [true, false, true]);
    }

    #[test]
    fn a_leap_is_believed_once_it_has_stayed_there() {
        let xs = [0.0, 0.5, 0.51, 0.52, 0.53, 0.54];
        assert_eq!(admitted(&xs, &CONFIG), [true, false, false, false, true, true]);
    }

    #[test]
    fn leaping_about_is_never_believed() {
        let xs = [0.0, 0.5, 0.9, 0.5, 0.9, 0.5, 0.9, 0.5];
        assert_eq!(admitted(&xs, &CONFIG)[1..], [false; 7]);
    }

    #[test]
    fn a_distance_of_zero_believes_everything() {
        let config = JumpConfig { distance: 0.0, ..CONFIG };
        assert_eq!(admitted(&[0.0, 5.0, -5.0], &config), [true; 3]);
    }
}
