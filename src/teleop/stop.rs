//! Latched stops: their causes, and the topic that requests a stop.
//!
//! Invariants:
//! - A stop is latched while the last message on `stop.topic` is true. It is also latched while no
//!   message comes for `stop.timeout` after the first message. A reset does not release this stop.
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
    #[error("stopped by stop.topic: its last message is true")]
    Topic,
    /// After its first message, `stop.topic` was silent for `stop.timeout`.
    #[error("stopped by stop.topic: no message for stop.timeout {:.2} s", timeout.as_secs_f64())]
    Silence {
        /// `stop.timeout`.
        timeout: Duration,
    },
    /// The last run of the bridge ended with a latched stop, or did not record how it ended.
    /// Contains the cause as text.
    #[error("{0}")]
    Before(Arc<str>),
}

/// The state that the last run of the bridge leaves to this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// A stop is latched. Either a stop was latched in the last run, or that run did not end
    /// normally. Contains the cause as text.
    Stopped(Arc<str>),
    /// Only an operator can arm.
    Disarmed(super::mode::Disarmed),
}

/// Watches `stop.topic`.
#[derive(Debug, Default)]
pub(super) struct StopWatch {
    /// When the last message was received, and whether it was true.
    last: Option<(Instant, bool)>,
}

impl StopWatch {
    /// Records a message.
    pub fn handle_message(&mut self, now: Instant, stop: bool) {
        self.last = Some((now, stop));
    }

    /// Returns why a stop has to be latched now. If `timeout` is zero, silence is not a cause.
    pub fn cause(&self, now: Instant, timeout: Duration) -> Option<StopCause> {
        let (_, stop) = self.last?;
        if stop {
            return Some(StopCause::Topic);
        }
        self.deadline(timeout).filter(|deadline| now >= *deadline).map(|_| StopCause::Silence { timeout })
    }

    /// Returns when silence becomes a cause. This time may be in the past.
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
    fn topic_without_messages_stops_nothing() {
        let watch = StopWatch::default();
        assert_eq!(watch.cause(Instant::now(), TIMEOUT), None);
        assert_eq!(watch.deadline(TIMEOUT), None);
    }

    #[test]
    fn true_message_or_silence_stops() {
        let (mut watch, start) = (StopWatch::default(), Instant::now());
        watch.handle_message(start, true);
        assert_eq!(watch.cause(start, TIMEOUT), Some(StopCause::Topic));
        watch.handle_message(start, false);
        assert_eq!(watch.cause(start + TIMEOUT - Duration::from_nanos(1), TIMEOUT), None);
        assert_eq!(watch.cause(start + TIMEOUT, TIMEOUT), Some(StopCause::Silence { timeout: TIMEOUT }));
        assert_eq!(watch.deadline(TIMEOUT), Some(start + TIMEOUT));
    }

    #[test]
    fn timeout_of_zero_allows_silence() {
        let (mut watch, start) = (StopWatch::default(), Instant::now());
        watch.handle_message(start, false);
        assert_eq!(watch.cause(start + Duration::from_secs(3600), Duration::ZERO), None);
        assert_eq!(watch.deadline(Duration::ZERO), None);
    }
}
