//! Signs that a stream of targets is no live hand any more, though messages still come: the same one again and again,
//! or ever fewer.

use std::time::{Duration, Instant};

use super::command::Position;
use super::target::InputFault;

/// What counts as a live stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LivelinessConfig {
    /// Targets that stay exactly the same for this long are frozen; zero: never.
    pub frozen_timeout: Duration,
    /// Targets that come less often than this, in Hz, are no live stream; 0: any rate will do.
    pub min_rate: f64,
}

/// Watches a stream of targets for repetition and for its rate.
#[derive(Debug, Default)]
pub struct Liveliness {
    same: Option<(Position, Instant)>,
    /// When the last targets came, the newest last.
    arrivals: [Option<Instant>; INTERVALS + 1],
}

impl Liveliness {
    /// Takes note of a target as it came, in the frame it came in. After a gap so long that it is a loss in itself,
    /// the rate is taken anew.
    pub fn handle_arrival(&mut self, now: Instant, position: Position, config: &LivelinessConfig) {
        let gap = self.arrivals[INTERVALS].map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        if gap.as_secs_f64() * config.min_rate > INTERVALS as f64 {
            self.arrivals = [None; INTERVALS + 1];
        }
        self.arrivals.rotate_left(1);
        self.arrivals[INTERVALS] = Some(now);
        if self.same.is_none_or(|(same, _)| same != position) {
            self.same = Some((position, now));
        }
    }

    /// Judges the stream.
    ///
    /// # Errors
    /// [`InputFault::Frozen`], or [`InputFault::RateTooLow`] once there have been enough targets to tell.
    pub fn check(&self, now: Instant, config: &LivelinessConfig) -> Result<(), InputFault> {
        let LivelinessConfig { frozen_timeout, min_rate } = *config;
        let repeated = self.same.map_or(Duration::ZERO, |(_, since)| now.saturating_duration_since(since));
        if !frozen_timeout.is_zero() && repeated >= frozen_timeout {
            return Err(InputFault::Frozen { repeated });
        }
        match self.rate() {
            Some(rate) if rate < min_rate => Err(InputFault::RateTooLow { rate, min_rate }),
            _ => Ok(()),
        }
    }

    /// Over the last few targets, in Hz.
    fn rate(&self) -> Option<f64> {
        let (first, last) = (self.arrivals[0]?, self.arrivals[INTERVALS]?);
        Some(INTERVALS as f64 / last.saturating_duration_since(first).as_secs_f64())
    }
}

/// Over how many intervals between targets the rate is taken: one late message is not a collapse.
const INTERVALS: usize = 4;

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;

    /// What is said of each of the targets `(x, ms)`.
    fn judged(config: LivelinessConfig, targets: &[(f64, u64)]) -> Vec<Result<(), InputFault>> {
        let start = Instant::now();
        let mut liveliness = Liveliness::default();
        targets
            .iter()
            .map(|(x, ms)| {
                let now = start + Duration::from_millis(*ms);
                liveliness.handle_arrival(now, Position::new(*x, 0.0, 0.0).unwrap(), &config);
                liveliness.check(now, &config)
            })
            .collect()
    }

    const FROZEN: LivelinessConfig =
        LivelinessConfig { frozen_timeout: Duration::from_millis(200), min_rate: 0.0 };
    const RATE: LivelinessConfig = LivelinessConfig { frozen_timeout: Duration::ZERO, min_rate: 10.0 };

    #[test]
    fn targets_that_stay_the_same_for_the_time_given_are_frozen_until_one_differs() {
        let seen = judged(FROZEN, &[(0.1, 0), (0.1, 199), (0.1, 200), (0.1, 300), (0.2, 310), (0.2, 400)]);
        let ms = Duration::from_millis;
        assert_eq!(seen[..2], [Ok(()), Ok(())]);
        assert_eq!(seen[2], Err(InputFault::Frozen { repeated: ms(200) }));
        assert_eq!(seen[3], Err(InputFault::Frozen { repeated: ms(300) }));
        assert_eq!(seen[4..], [Ok(()), Ok(())]);
    }

    #[test]
    fn a_time_of_zero_takes_a_hand_at_rest_for_one() {
        let off = LivelinessConfig { frozen_timeout: Duration::ZERO, ..FROZEN };
        assert!(judged(off, &[(0.1, 0), (0.1, 60_000)]).iter().all(Result::is_ok));
    }

    #[test]
    fn a_stream_that_slows_down_is_refused_with_its_rate() {
        let seen = judged(RATE, &[(0.0, 0), (0.1, 100), (0.0, 200), (0.1, 300), (0.0, 400), (0.1, 501)]);
        assert!(seen[..5].iter().all(Result::is_ok), "{seen:?}");
        let Err(InputFault::RateTooLow { rate, min_rate }) = seen[5] else { panic!("{seen:?}") };
        assert!((rate - 4.0 / 0.401).abs() < 1e-9 && min_rate == 10.0, "{rate}");
    }

    #[test]
    fn before_there_is_a_rate_and_for_one_late_target_nothing_is_said() {
        assert!(judged(RATE, &[(0.0, 0), (0.1, 5000)]).iter().all(Result::is_ok));
        let late = [(0.0, 0), (0.1, 30), (0.0, 60), (0.1, 90), (0.0, 120), (0.1, 400)];
        assert!(judged(RATE, &late).iter().all(Result::is_ok));
    }

    #[test]
    fn a_gap_that_is_a_loss_in_itself_says_nothing_of_the_rate_after_it() {
        let before = [(0.0, 0), (0.1, 30), (0.0, 60), (0.1, 90)];
        let after = [(0.0, 491), (0.1, 521), (0.0, 551), (0.1, 581), (0.0, 611)];
        assert!(judged(RATE, &[&before[..], &after[..]].concat()).iter().all(Result::is_ok));
        // A shorter one does.
        assert!(judged(RATE, &[&before[..], &[(0.0, 490)]].concat())[4].is_err());
    }
}
