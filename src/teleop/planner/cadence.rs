//! The cadence: when the next command is due.
//!
//! Invariant: commands that are sent a little late come at their rate on average. Timers are late, some by a millisecond,
//! so the next command makes up for what one command was late, up to a quarter of the period. What is later than that is
//! never made up for.

use std::time::{Duration, Instant};

/// The cadence of the commands of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cadence {
    /// When the last command was due if it was a little late, otherwise when it was sent.
    beat: Option<Instant>,
}

impl Cadence {
    /// Records a command.
    pub(super) fn handle_sent(&mut self, now: Instant, period: Duration) {
        let late = |due: &Instant| now >= *due && now.duration_since(*due) <= period / LATE;
        self.beat = Some(self.next(period).filter(late).unwrap_or(now));
    }

    /// Returns when a command is due `period` after the last one. `None` if there is no last one.
    pub(super) fn next(&self, period: Duration) -> Option<Instant> {
        self.beat.map(|beat| beat + period)
    }
}

/// The share of a period, as a divisor, by which a command may be late and still count as sent when it was due.
const LATE: u32 = 4;

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;

    #[test]
    fn a_little_lateness_is_made_up_for_and_more_is_not() {
        let (t, ms) = (Instant::now(), Duration::from_millis);
        let mut cadence = Cadence::default();
        assert_eq!(cadence.next(ms(20)), None);
        cadence.handle_sent(t, ms(20));
        cadence.handle_sent(t + ms(25), ms(20));
        assert_eq!(cadence.next(ms(20)), Some(t + ms(40)), "it was due at 20 ms");
        cadence.handle_sent(t + ms(46), ms(20));
        assert_eq!(cadence.next(ms(20)), Some(t + ms(66)), "it was too late");
        cadence.handle_sent(t + ms(50), ms(20));
        assert_eq!(cadence.next(ms(20)), Some(t + ms(70)), "it was early");
    }
}
