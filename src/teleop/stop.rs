//! Stops that are latched: why, and the topic that asks for one.
//!
//! Invariants:
//! - While `stop.topic` says true, or is silent after it has spoken, a stop is latched, whatever a person resets.
//! - No message on `stop.topic` releases a stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a stop is latched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StopCause {
    /// `~/stop`.
    #[error("stopped by ~/stop")]
    Requested,
    /// A message on `stop.topic`.
    #[error("stopped by stop.topic: a message on it is true")]
    Topic,
    /// `stop.topic` has been silent for so long, `stop.timeout`, after it had spoken.
    #[error(
        "stopped by the silence of stop.topic: no message for stop.timeout {:.2} s", timeout.as_secs_f64()
    )]
    Silence {
        /// `stop.timeout`.
        timeout: Duration,
    },
    /// The last run of the bridge has left a stop, or no word of how it ended. In words.
    #[error("{0}")]
    Before(Arc<str>),
}

/// What the last run of the bridge leaves to this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// A stop is latched, because one was, or because the last run did not end as it should. In words.
    Stopped(Arc<str>),
    /// Only a person arms.
    Disarmed(super::mode::Disarmed),
}

/// Watches `stop.topic`.
#[derive(Debug, Default)]
pub(super) struct StopWatch {
    /// When the last message was received, and whether it was true.
    last: Option<(Instant, bool)>,
}

impl StopWatch {
    /// Takes a message.
    pub fn handle_message(&mut self, now: Instant, stop: bool) {
        self.last = Some((now, stop));
    }

    /// Returns why a stop has to be latched now, if it has to be. A `timeout` of zero: silence is no reason.
    pub fn cause(&self, now: Instant, timeout: Duration) -> Option<StopCause> {
        let (_, stop) = self.last?;
        if stop {
            return Some(StopCause::Topic);
        }
        self.deadline(timeout).filter(|deadline| now >= *deadline).map(|_| StopCause::Silence { timeout })
    }

    /// Returns when silence becomes a reason, maybe in the past.
    pub fn deadline(&self, timeout: Duration) -> Option<Instant> {
        self.last.map(|(at, _)| at + timeout).filter(|_| !timeout.is_zero())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(500);

    #[test]
    fn topic_that_never_spoke_stops_nothing() {
        let watch = StopWatch::default();
        assert_eq!(watch.cause(Instant::now(), TIMEOUT), None);
        assert_eq!(watch.deadline(TIMEOUT), None);
    }

    #[test]
    fn true_stops_until_false_and_silence_stops() {
        let (mut watch, start) = (StopWatch::default(), Instant::now());
        watch.handle_message(start, true);
        assert_eq!(watch.cause(start, TIMEOUT), Some(StopCause::Topic));
        watch.handle_message(start, false);
        assert_eq!(watch.cause(start + TIMEOUT - Duration::from_nanos(1), TIMEOUT), None);
        assert_eq!(watch.cause(start + TIMEOUT, TIMEOUT), Some(StopCause::Silence { timeout: TIMEOUT }));
        assert_eq!(watch.deadline(TIMEOUT), Some(start + TIMEOUT));
    }

    #[test]
    fn timeout_of_zero_lets_topic_be_silent() {
        let (mut watch, start) = (StopWatch::default(), Instant::now());
        watch.handle_message(start, false);
        assert_eq!(watch.cause(start + Duration::from_secs(3600), Duration::ZERO), None);
        assert_eq!(watch.deadline(Duration::ZERO), None);
    }
}
