//! The time to wait before the next attempt to connect.

use std::time::Duration;

/// An exponential back-off between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub initial: Duration,
    /// The longest wait.
    pub max: Duration,
}

impl Backoff {
    /// Returns the wait after `failures` failures in a row (1 for the first): `initial ·
    /// 2^(failures-1)`, at most `max`. The wait is shortened by up to a quarter, in proportion to
    /// `jitter` (0..1). So several bridges that lost the same controller do not all connect again
    /// at the same moment.
    pub fn delay(&self, failures: u32, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.initial.saturating_mul(1 << doublings).min(self.max);
        full.mul_f64(1.0 - JITTER_SHARE * jitter.clamp(0.0, 1.0))
    }
}

const JITTER_SHARE: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff = Backoff { initial: Duration::from_millis(100), max: Duration::from_secs(4) };

    #[test]
    fn wait_doubles_up_to_the_maximum() {
        let waits: Vec<_> = (1..=8).map(|failures| BACKOFF.delay(failures, 0.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 4000, 4000]);
        assert_eq!(BACKOFF.delay(u32::MAX, 0.0), BACKOFF.max);
    }

    #[test]
    fn jitter_shortens_by_a_quarter_at_most() {
        assert_eq!(BACKOFF.delay(1, 1.0), Duration::from_millis(75));
        assert_eq!(BACKOFF.delay(8, 0.5), Duration::from_millis(3500));
    }
}
