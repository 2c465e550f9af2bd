//! Detects streams that no longer come from a live hand although messages still arrive. Signs are
//! exact repetition and a low rate.
//!
//! Invariant: a stream is rejected while its targets have been exactly the same for
//! `frozen_timeout`, or while they arrive more slowly than `min_rate` or `input.timeout` allows.

use std::time::{Duration, Instant};

use crate::geometry::Position;
use crate::teleop::config::{StreamHealthConfig, TeleopConfig};
use crate::teleop::input_fault::InputFault;

/// Watches a stream of targets for repetition and for its rate.
#[derive(Debug, Default)]
pub struct StreamHealth {
    same: Option<(Position, Instant)>,
    /// When the last targets arrived. The newest is last.
    arrivals: [Option<Instant>; INTERVALS + 1],
    /// The times between the last targets, including losses. The newest is last.
    intervals: [Option<Duration>; INTERVALS],
    /// Set after two consecutive intervals that were too long. Cleared after two consecutive
    /// intervals that were short enough.
    slow: bool,
}

impl StreamHealth {
    /// Records the arrival of a target. `position` is in the frame of the message.
    ///
    /// After a gap of more than [`INTERVALS`] times the interval of `min_rate`, the rate is
    /// measured from the beginning. Two long gaps in a row mean a slow sender.
    pub fn handle_arrival(&mut self, now: Instant, position: Position, config: &TeleopConfig) {
        let last = self.arrivals[INTERVALS];
        let gap = last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        if last.is_some() {
            self.intervals.rotate_left(1);
            self.intervals[INTERVALS - 1] = Some(gap);
            let longest = longest_interval(config);
            match self.intervals {
                [.., Some(before), Some(last)] if before > longest && last > longest => self.slow = true,
                [.., Some(before), Some(last)] if before <= longest && last <= longest => self.slow = false,
                _ => {}
            }
        }
        if gap.as_secs_f64() * config.stream_health.min_rate > INTERVALS as f64 {
            self.arrivals = [None; INTERVALS + 1];
        }
        self.arrivals.rotate_left(1);
        self.arrivals[INTERVALS] = Some(now);
        if self.same.is_none_or(|(same, _)| same != position) {
            self.same = Some((position, now));
        }
    }

    /// Checks the stream.
    ///
    /// # Errors
    /// The stream is frozen, or there have been enough targets to know that it is too slow.
    pub fn check(&self, now: Instant, config: &TeleopConfig) -> Result<(), InputFault> {
        let StreamHealthConfig { frozen_timeout, min_rate } = config.stream_health;
        let repeated = self.same.map_or(Duration::ZERO, |(_, since)| now.saturating_duration_since(since));
        if !frozen_timeout.is_zero() && repeated >= frozen_timeout {
            return Err(InputFault::Frozen { repeated });
        }
        let input_timeout = config.input_timeout;
        let too_low = |rate| Err(InputFault::RateTooLow { rate, min_rate, input_timeout });
        match self.rate() {
            _ if self.slow => too_low(self.slow_rate(longest_interval(config))),
            Some(rate) if rate < min_rate => too_low(rate),
            _ => Ok(()),
        }
    }

    /// Returns the rate in Hz over the newest intervals that were too long. If the newest interval
    /// was short enough, returns the rate over all recorded intervals.
    fn slow_rate(&self, longest: Duration) -> f64 {
        let newest_first = || self.intervals.iter().rev().flatten().copied();
        let long: Vec<_> = newest_first().take_while(|interval| *interval > longest).collect();
        let counted = if long.is_empty() { newest_first().collect() } else { long };
        counted.len() as f64 / counted.iter().sum::<Duration>().as_secs_f64()
    }

    /// Returns the rate over the last few targets, in Hz.
    fn rate(&self) -> Option<f64> {
        let (first, last) = (self.arrivals[0]?, self.arrivals[INTERVALS]?);
        Some(INTERVALS as f64 / last.saturating_duration_since(first).as_secs_f64())
    }
}

/// Returns the longest interval between two targets that does not by itself count as a loss. After
/// `input.timeout` the first target is too old.
fn longest_interval(config: &TeleopConfig) -> Duration {
    let by_rate = Duration::try_from_secs_f64(INTERVALS as f64 / config.stream_health.min_rate);
    by_rate.unwrap_or(Duration::MAX).min(config.input_timeout)
}

/// The number of intervals over which the rate is measured, so that one late message is not a low
/// rate.
const INTERVALS: usize = 4;

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;
    use crate::teleop::config::tests::settings;

    /// Returns the result of the check for each target `(x, ms)`.
    fn judged(config: StreamHealthConfig, targets: &[(f64, u64)]) -> Vec<Result<(), InputFault>> {
        judged_with(Duration::from_secs(60), config, targets)
    }

    fn judged_with(
        input_timeout: Duration,
        stream_health: StreamHealthConfig,
        targets: &[(f64, u64)],
    ) -> Vec<Result<(), InputFault>> {
        let config = TeleopConfig { stream_health, input_timeout, ..settings() };
        let start = Instant::now();
        let mut health = StreamHealth::default();
        targets
            .iter()
            .map(|(x, ms)| {
                let now = start + Duration::from_millis(*ms);
                let position = Position::new(*x, 0.0, 0.0).unwrap();
                health.handle_arrival(now, position, &config);
                health.check(now, &config)
            })
            .collect()
    }

    const FROZEN: StreamHealthConfig =
        StreamHealthConfig { frozen_timeout: Duration::from_millis(200), min_rate: 0.0 };
    const RATE: StreamHealthConfig = StreamHealthConfig { frozen_timeout: Duration::ZERO, min_rate: 10.0 };

    #[test]
    fn repeated_targets_are_frozen_until_one_differs() {
        let seen = judged(FROZEN, &[(0.1, 0), (0.1, 199), (0.1, 200), (0.1, 300), (0.2, 310), (0.2, 400)]);
        let ms = Duration::from_millis;
        assert_eq!(seen[..2], [Ok(()), Ok(())]);
        assert_eq!(seen[2], Err(InputFault::Frozen { repeated: ms(200) }));
        assert_eq!(seen[3], Err(InputFault::Frozen { repeated: ms(300) }));
        assert_eq!(seen[4..], [Ok(()), Ok(())]);
    }

    #[test]
    fn frozen_timeout_of_zero_accepts_resting_hand() {
        let off = StreamHealthConfig { frozen_timeout: Duration::ZERO, ..FROZEN };
        assert!(judged(off, &[(0.1, 0), (0.1, 60_000)]).iter().all(Result::is_ok));
    }

    #[test]
    fn slowing_stream_is_refused_with_its_rate() {
        let seen = judged(RATE, &[(0.0, 0), (0.1, 100), (0.0, 200), (0.1, 300), (0.0, 400), (0.1, 501)]);
        assert!(seen[..5].iter().all(Result::is_ok), "{seen:?}");
        let Err(InputFault::RateTooLow { rate, min_rate, .. }) = seen[5] else { panic!("{seen:?}") };
        assert!((rate - 4.0 / 0.401).abs() < 1e-9 && min_rate == 10.0, "{rate}");
    }

    #[test]
    fn first_targets_and_single_late_target_are_accepted() {
        assert!(judged(RATE, &[(0.0, 0), (0.1, 5000)]).iter().all(Result::is_ok));
        let late = [(0.0, 0), (0.1, 30), (0.0, 60), (0.1, 90), (0.0, 120), (0.1, 400)];
        assert!(judged(RATE, &late).iter().all(Result::is_ok));
    }

    #[test]
    fn rate_restarts_after_a_long_gap() {
        let before = [(0.0, 0), (0.1, 30), (0.0, 60), (0.1, 90)];
        let after = [(0.0, 491), (0.1, 521), (0.0, 551), (0.1, 581), (0.0, 611)];
        assert!(judged(RATE, &[&before[..], &after[..]].concat()).iter().all(Result::is_ok));
        // A shorter gap counts in the rate.
        assert!(judged(RATE, &[&before[..], &[(0.0, 490)]].concat())[4].is_err());
    }

    /// Returns `count` targets at a rate in Hz.
    fn at_rate(rate: f64, count: u64) -> Vec<(f64, u64)> {
        (0..count).map(|i| (i as f64 * 1e-3, (1000.0 * i as f64 / rate) as u64)).collect()
    }

    #[test]
    fn slow_sender_is_refused_from_third_target() {
        let five_hertz = StreamHealthConfig { min_rate: 5.0, ..RATE };
        let any_rate = StreamHealthConfig { min_rate: 0.0, ..RATE };
        let ms = Duration::from_millis;
        // Every rate below input.min_rate, whether each interval is a loss or not. Also every rate
        // at which a target is too old before the next one arrives.
        let cases = [
            (five_hertz, ms(200), 1.0),
            (five_hertz, ms(200), 0.2),
            (five_hertz, ms(200), 2.0),
            (five_hertz, ms(5000), 1.0),
            (any_rate, ms(200), 2.0),
            (StreamHealthConfig { min_rate: 1.0, ..RATE }, ms(200), 4.0),
        ];
        for (config, input_timeout, sent) in cases {
            let seen = judged_with(input_timeout, config, &at_rate(sent, 20));
            assert!(seen[..2].iter().all(Result::is_ok), "one gap means that the hand was away");
            for refused in &seen[2..] {
                let Err(InputFault::RateTooLow { rate, .. }) = refused else { panic!("{sent} Hz: {seen:?}") };
                assert!((rate / sent - 1.0).abs() < 0.01, "{sent} Hz: {rate}");
            }
        }
    }

    #[test]
    fn faster_sender_is_accepted_at_third_target() {
        let slow = at_rate(1.0, 5);
        let fast = [(0.1, 4033), (0.2, 4066), (0.3, 4100), (0.4, 4133)];
        let seen = judged_with(Duration::from_millis(200), RATE, &[&slow[..], &fast[..]].concat());
        assert!(seen[5].is_err(), "one short interval may be chance");
        assert!(seen[6..].iter().all(Result::is_ok), "{seen:?}");
    }
}
