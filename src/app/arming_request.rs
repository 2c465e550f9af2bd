//! Decides whether a request to move the arm (`~/set_armed` or `~/go_home`) is still valid. The
//! request must be recent. It must be newer than the last stop, reset, disarm and `~/go_home`. If a
//! response asked the operator to call again, the second call must be newer than this response.
//!
//! Pure. The age of a request is this machine's time minus the send time by the sender's clock. If
//! the sender's clock is behind, a valid request looks too old and may be rejected. A request that
//! is older than the last event that ended motion is accepted only if the sender's clock is ahead.

use std::time::{Duration, Instant};

use crate::teleop::Motion;

/// Why a request to move the arm is no longer valid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StaleRequest {
    /// The request was sent before an event that it would undo, or before the response that it
    /// would confirm.
    #[error(
        "this request was sent {:.1} s ago, before {what}; call it again (if it was not, are the clocks of the two \
         machines synchronised?)", age.as_secs_f64()
    )]
    Before {
        /// The age of the request.
        age: Duration,
        /// The event after the request.
        what: &'static str,
    },
    /// The request has waited in this process, which was stopped or got too little CPU time.
    #[error(
        "this process was held up for {:.1} s, and this request, which was sent {:.1} s ago, has waited in it; call it \
         again", stall.as_secs_f64(), age.as_secs_f64()
    )]
    Waited {
        /// The age of the request.
        age: Duration,
        /// How long the process was delayed.
        stall: Duration,
    },
    /// The request has waited too long.
    #[error(
        "this request was sent {:.1} s ago, which is too long ago; call it again (if it was not, are the \
         clocks of the two machines synchronised?)", age.as_secs_f64()
    )]
    Old {
        /// The age of the request.
        age: Duration,
    },
    /// The stamp of the request is ahead of this machine's clock, so its age is unknown.
    #[error(
        "this request was sent {:.1} s in the future by its sender's clock; synchronise the clocks of the two \
         machines, and call it again", ahead.as_secs_f64()
    )]
    FromFuture {
        /// The time from this machine's clock to the stamp.
        ahead: Duration,
    },
}

/// The last event that made all earlier requests to move the arm invalid.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LastForbidden(Option<(Instant, &'static str)>);

impl LastForbidden {
    /// Handles a change of the motion state.
    pub fn handle_motion(&mut self, now: Instant, before: Option<Motion>, motion: Motion) {
        let what = match (before, motion) {
            (_, Motion::Stopped) => "the stop",
            (Some(Motion::Stopped), Motion::Disarmed) => "the reset",
            (Some(_), Motion::Disarmed) => "the bridge was disarmed",
            _ => return,
        };
        if before != Some(motion) {
            self.note(now, what);
        }
    }

    /// Records another event that makes earlier requests invalid.
    pub fn note(&mut self, now: Instant, what: &'static str) {
        self.0 = Some((now, what));
    }

    /// Checks a request that was sent `age` nanoseconds ago; a negative age is in the future. The
    /// request may have waited in this process for up to `stall`.
    ///
    /// # Errors
    /// The reason why the request is no longer valid.
    pub fn judge(&self, now: Instant, age: i64, stall: Duration) -> Result<(), StaleRequest> {
        let Ok(nanoseconds) = u64::try_from(age) else {
            let ahead = Duration::from_nanos(age.unsigned_abs());
            return if ahead <= AHEAD { Ok(()) } else { Err(StaleRequest::FromFuture { ahead }) };
        };
        let age = Duration::from_nanos(nanoseconds);
        if let Some((at, what)) = self.0
            && age > now.saturating_duration_since(at)
        {
            return Err(StaleRequest::Before { age, what });
        }
        if stall > STALL && age > STALL {
            return Err(StaleRequest::Waited { age, stall });
        }
        if age > PATIENCE { Err(StaleRequest::Old { age }) } else { Ok(()) }
    }
}

/// How long a request to move may wait. An operator waits for the response. After some seconds
/// without a response, the operator no longer watches the arm.
const PATIENCE: Duration = Duration::from_secs(3);
/// A request is rejected as [`StaleRequest::Waited`] only if the delay of the process and the age
/// of the request are both longer than this. Shorter times are normal.
const STALL: Duration = Duration::from_millis(250);
/// How far the sender's clock may be ahead.
const AHEAD: Duration = Duration::from_millis(500);

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need an instant to start from
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn stopped_at(at: Instant) -> LastForbidden {
        let mut last = LastForbidden::default();
        last.handle_motion(at, Some(Motion::Tracking), Motion::Stopped);
        last
    }

    #[test]
    fn fresh_request_holds() {
        let now = Instant::now();
        assert_eq!(LastForbidden::default().judge(now, 2 * SECOND, Duration::ZERO), Ok(()));
        assert_eq!(LastForbidden::default().judge(now, -SECOND / 4, Duration::ZERO), Ok(()));
        assert_eq!(stopped_at(now).judge(now + Duration::from_secs(2), SECOND, Duration::ZERO), Ok(()));
    }

    #[test]
    fn request_before_a_stop_is_rejected() {
        let now = Instant::now();
        let rejected = stopped_at(now)
            .judge(now + Duration::from_secs(1), 2 * SECOND, Duration::ZERO)
            .unwrap_err()
            .to_string();
        assert!(
            rejected.starts_with("this request was sent 2.0 s ago, before the stop; call it again"),
            "{rejected}"
        );
        let mut last = stopped_at(now);
        last.handle_motion(now + Duration::from_secs(1), Some(Motion::Stopped), Motion::Disarmed);
        let rejected =
            last.judge(now + Duration::from_secs(2), 3 * SECOND / 2, Duration::ZERO).unwrap_err().to_string();
        assert!(rejected.contains("before the reset"), "{rejected}");
    }

    #[test]
    fn hold_makes_no_request_stale() {
        let (now, mut last) = (Instant::now(), LastForbidden::default());
        last.handle_motion(now, Some(Motion::Tracking), Motion::Holding);
        last.handle_motion(now, Some(Motion::Holding), Motion::Approach);
        assert_eq!(last.judge(now, SECOND, Duration::ZERO), Ok(()));
        last.handle_motion(now, Some(Motion::Holding), Motion::Disarmed);
        assert!(matches!(last.judge(now, 1, Duration::ZERO), Err(StaleRequest::Before { .. })));
    }

    #[test]
    fn request_before_a_noted_event_is_rejected() {
        let (now, mut last) = (Instant::now(), LastForbidden::default());
        last.note(now, "~/go_home");
        let rejected = last.judge(now, 1, Duration::ZERO).unwrap_err().to_string();
        assert!(rejected.contains("before ~/go_home"), "{rejected}");
        assert_eq!(last.judge(now + Duration::from_secs(1), SECOND / 2, Duration::ZERO), Ok(()));
    }

    #[test]
    fn request_from_a_stalled_process_is_rejected() {
        let (now, last) = (Instant::now(), LastForbidden::default());
        let rejected = last.judge(now, SECOND, Duration::from_millis(900)).unwrap_err().to_string();
        assert!(rejected.contains("held up for 0.9 s") && rejected.contains("sent 1.0 s ago"), "{rejected}");
        assert_eq!(last.judge(now, SECOND / 10, Duration::from_millis(900)), Ok(()), "sent after it");
    }

    #[test]
    fn old_and_future_requests_are_rejected() {
        let (now, last) = (Instant::now(), LastForbidden::default());
        assert!(matches!(last.judge(now, 4 * SECOND, Duration::ZERO), Err(StaleRequest::Old { .. })));
        assert!(matches!(last.judge(now, -SECOND, Duration::ZERO), Err(StaleRequest::FromFuture { .. })));
        assert!(matches!(last.judge(now, i64::MIN, Duration::ZERO), Err(StaleRequest::FromFuture { .. })));
        assert!(matches!(last.judge(now, i64::MAX, Duration::ZERO), Err(StaleRequest::Old { .. })));
    }
}
