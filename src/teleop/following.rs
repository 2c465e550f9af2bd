//! The following error: how far the arm is behind its commands, by its own reports.
//!
//! Invariant: an arm that is farther from its last command than `limits.following_error` in every report of
//! `limits.following_error_time` lags. One report that is nearer begins that time again.

use std::time::{Duration, Instant};

use crate::geometry::Position;

/// How far, and for how long, the arm may be behind its commands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FollowingConfig {
    /// In metres; 0: any distance.
    pub distance: f64,
    /// The longest time for which the arm may be farther away.
    pub time: Duration,
}

impl FollowingConfig {
    /// Returns how long the arm may be on its way after its last command, if it moves at half of `speed` (m/s).
    pub(super) fn travel_time(&self, speed: f64) -> Duration {
        if self.distance <= 0.0 {
            Duration::MAX
        } else {
            self.time + Duration::from_secs_f64(2.0 * self.distance / speed)
        }
    }
}

/// Watches the reports during one motion.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FollowingError {
    /// When the first report of the present run was too far away.
    since: Option<Instant>,
}

impl FollowingError {
    /// Takes a report. Returns how far the arm is behind, in metres, if it lags.
    pub(super) fn handle_report(
        &mut self,
        now: Instant,
        commanded: Position,
        reported: Position,
        config: &FollowingConfig,
    ) -> Option<f64> {
        let distance = commanded.distance(reported);
        if config.distance <= 0.0 || distance <= config.distance {
            self.since = None;
            return None;
        }
        let since = *self.since.get_or_insert(now);
        (now.saturating_duration_since(since) >= config.time).then_some(distance)
    }

    /// Begins again, because a motion begins or ends.
    pub(super) fn reset(&mut self) {
        self.since = None;
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;

    const CONFIG: FollowingConfig = FollowingConfig { distance: 0.15, time: Duration::from_secs(1) };

    fn at(x: f64) -> Position {
        Position::new(x, 0.0, 0.0).unwrap()
    }

    /// Returns what is found in each report `(ms, x)` of an arm whose last command leads to 0.
    fn found(config: FollowingConfig, reports: &[(u64, f64)]) -> Vec<Option<f64>> {
        let start = Instant::now();
        let mut error = FollowingError::default();
        let mut judge = |(ms, x): &(u64, f64)| {
            error.handle_report(start + Duration::from_millis(*ms), at(0.0), at(*x), &config)
        };
        reports.iter().map(&mut judge).collect()
    }

    #[test]
    fn arm_far_behind_for_the_time_lags() {
        let seen = found(CONFIG, &[(0, 0.2), (999, 0.2), (1000, 0.25)]);
        assert_eq!(seen, [None, None, Some(0.25)]);
    }

    #[test]
    fn one_near_report_begins_the_time_again() {
        let seen = found(CONFIG, &[(0, 0.2), (900, 0.15), (1000, 0.2), (1999, 0.2), (2000, 0.2)]);
        assert_eq!(seen, [None, None, None, None, Some(0.2)]);
    }

    #[test]
    fn distance_of_zero_means_never() {
        let off = FollowingConfig { distance: 0.0, ..CONFIG };
        assert_eq!(found(off, &[(0, 9.0), (9000, 9.0)]), [None, None]);
    }

    #[test]
    fn time_of_zero_means_at_once() {
        let at_once = FollowingConfig { time: Duration::ZERO, ..CONFIG };
        assert_eq!(found(at_once, &[(0, 0.15), (1, 0.151)]), [None, Some(0.151)]);
    }

    #[test]
    fn reset_begins_the_time_again() {
        let start = Instant::now();
        let mut error = FollowingError::default();
        assert_eq!(error.handle_report(start, at(0.0), at(0.2), &CONFIG), None);
        error.reset();
        let later = start + Duration::from_secs(1);
        assert_eq!(error.handle_report(later, at(0.0), at(0.2), &CONFIG), None);
    }

    #[test]
    fn travel_time_is_that_of_half_the_speed() {
        assert_eq!(CONFIG.travel_time(0.25), Duration::from_millis(2200));
        assert_eq!(FollowingConfig { distance: 0.0, ..CONFIG }.travel_time(0.25), Duration::MAX);
    }
}
