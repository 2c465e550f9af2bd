//! The following error: the distance between the last command and the reported position of the arm.
//!
//! Invariant: the arm *lags* if every report during `limits.following_error_time` is farther from
//! the last command than `limits.following_error`. One nearer report restarts that time.

use std::time::{Duration, Instant};

use crate::geometry::Position;

/// How far, and how long, the arm may be behind its commands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FollowingConfig {
    /// The largest following error, in metres. 0 switches the check off.
    pub distance: f64,
    /// The longest time for which the following error may be larger.
    pub time: Duration,
}

impl FollowingConfig {
    /// Returns how long the arm may still move after its last command, if it moves at half of
    /// `speed` (m/s). Returns [`Duration::MAX`] if the check is off.
    pub(super) fn travel_time(&self, speed: f64) -> Duration {
        if self.distance <= 0.0 {
            Duration::MAX
        } else {
            self.time + Duration::from_secs_f64(2.0 * self.distance / speed)
        }
    }
}

/// Evaluates the reports during one motion.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FollowingError {
    /// When the present series of reports that are too far away began.
    since: Option<Instant>,
}

impl FollowingError {
    /// Handles a report. Returns the following error in metres if the arm lags.
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

    /// Restarts the time, because a motion begins or ends.
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

    /// Returns the result for each report `(ms, x)`. The last command of the arm leads to 0.
    fn results(config: FollowingConfig, reports: &[(u64, f64)]) -> Vec<Option<f64>> {
        let start = Instant::now();
        let mut error = FollowingError::default();
        let mut handle = |(ms, x): &(u64, f64)| {
            error.handle_report(start + Duration::from_millis(*ms), at(0.0), at(*x), &config)
        };
        reports.iter().map(&mut handle).collect()
    }

    #[test]
    fn arm_far_behind_for_time_lags() {
        let seen = results(CONFIG, &[(0, 0.2), (999, 0.2), (1000, 0.25)]);
        assert_eq!(seen, [None, None, Some(0.25)]);
    }

    #[test]
    fn near_report_restarts_the_time() {
        let seen = results(CONFIG, &[(0, 0.2), (900, 0.15), (1000, 0.2), (1999, 0.2), (2000, 0.2)]);
        assert_eq!(seen, [None, None, None, None, Some(0.2)]);
    }

    #[test]
    fn zero_distance_switches_check_off() {
        let off = FollowingConfig { distance: 0.0, ..CONFIG };
        assert_eq!(results(off, &[(0, 9.0), (9000, 9.0)]), [None, None]);
    }

    #[test]
    fn zero_time_lags_on_first_report() {
        let immediately = FollowingConfig { time: Duration::ZERO, ..CONFIG };
        assert_eq!(results(immediately, &[(0, 0.15), (1, 0.151)]), [None, Some(0.151)]);
    }

    #[test]
    fn reset_restarts_the_time() {
        let start = Instant::now();
        let mut error = FollowingError::default();
        assert_eq!(error.handle_report(start, at(0.0), at(0.2), &CONFIG), None);
        error.reset();
        let later = start + Duration::from_secs(1);
        assert_eq!(error.handle_report(later, at(0.0), at(0.2), &CONFIG), None);
    }

    #[test]
    fn travel_time_assumes_half_speed() {
        assert_eq!(CONFIG.travel_time(0.25), Duration::from_millis(2200));
        assert_eq!(FollowingConfig { distance: 0.0, ..CONFIG }.travel_time(0.25), Duration::MAX);
    }
}
