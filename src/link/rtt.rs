//! Round-trip times over a sliding window.

use std::collections::VecDeque;
use std::time::Duration;

/// Times from a command or stop to its reply, over the newest few hundred replies. All are zero
/// before the first reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RoundTrips {
    /// The time of the newest reply.
    pub last: Duration,
    /// The mean.
    pub mean: Duration,
    /// The 99th percentile.
    pub p99: Duration,
}

/// The newest round-trip times.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<Duration>);

impl Window {
    pub(super) fn push(&mut self, round_trip: Duration) {
        if self.0.len() == LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(round_trip);
    }

    pub(super) fn summary(&self) -> RoundTrips {
        let Some(&last) = self.0.back() else { return RoundTrips::default() };
        let count = self.0.len();
        let mean = self.0.iter().sum::<Duration>() / u32::try_from(count).expect("the window is short");
        let mut all: Vec<_> = self.0.iter().copied().collect();
        let rank = (count * 99).div_ceil(100) - 1;
        let (_, &mut p99, _) = all.select_nth_unstable(rank);
        RoundTrips { last, mean, p99 }
    }
}

/// The number of replies in ten seconds at 50 Hz, rounded up to a power of two.
const LENGTH: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_covers_the_newest_replies() {
        let mut window = Window::default();
        assert_eq!(window.summary(), RoundTrips::default());
        for millis in 0..1000 {
            window.push(Duration::from_millis(if millis < 900 { 500 } else { millis - 900 }));
        }
        let summary = window.summary();
        assert_eq!(summary.last, Duration::from_millis(99));
        assert_eq!(summary.p99, Duration::from_millis(500));
        assert_eq!(window.0.len(), LENGTH);
    }

    #[test]
    fn percentile_99_of_a_hundred_is_the_99th() {
        let mut window = Window::default();
        (1..=100).for_each(|millis| window.push(Duration::from_millis(millis)));
        assert_eq!(window.summary().p99, Duration::from_millis(99));
        assert_eq!(window.summary().mean, Duration::from_micros(50_500));
    }
}
