//! Whether a request to move the arm (to arm, or to go home) still holds: it was sent after the last stop, reset, disarm and way
//! home, and after the answer that asks to call again, and has not waited for long.
//!
//! Pure. How long ago a request was sent, its sender's clock says, so a clock that is wrong lets a request be refused, and
//! never lets one hold that is older than what ended motion, unless that clock is ahead.

use std::time::{Duration, Instant};

use crate::teleop::Motion;

/// Why a request to move the arm does not hold any more.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum StaleRequest {
    /// It was sent before something that it would undo, or before the answer that it would confirm.
    #[error(
        "this request was sent {:.1} s ago, before {what}; call it again (if it was not, are the clocks of the two \
         machines synchronised?)", age.as_secs_f64()
    )]
    Before {
        /// How old it is.
        age: Duration,
        /// What it was sent before.
        what: &'static str,
    },
    /// It has waited in this process, which was stopped or starved.
    #[error(
        "this process was held up for {:.1} s, and this request, which was sent {:.1} s ago, has waited in it; call it \
         again", stall.as_secs_f64(), age.as_secs_f64()
    )]
    Waited {
        /// How old it is.
        age: Duration,
        /// For how long the process was held up.
        stall: Duration,
    },
    /// It has waited for too long.
    #[error(
        "this request was sent {:.1} s ago, and may not be meant any more; call it again (if it was not, are the \
         clocks of the two machines synchronised?)", age.as_secs_f64()
    )]
    Old {
        /// How old it is.
        age: Duration,
    },
    /// Its stamp is ahead of this machine's clock, so how old it is cannot be told.
    #[error(
        "this request was sent {:.1} s in the future by its sender's clock; synchronise the clocks of the two \
         machines, and call it again", ahead.as_secs_f64()
    )]
    FromFuture {
        /// By how much.
        ahead: Duration,
    },
}

/// The last time that something voided all requests to move that had been sent before.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LastForbidden(Option<(Instant, &'static str)>);

impl LastForbidden {
    /// Takes a change of what the bridge does with targets.
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

    /// Notes something else that voids what was sent before it.
    pub fn note(&mut self, now: Instant, what: &'static str) {
        self.0 = Some((now, what));
    }

    /// Judges a request that was sent so many nanoseconds ago; fewer than none: in the future. It may have waited in this
    /// process for as long as `stall`.
    ///
    /// # Errors
    /// Why it does not hold.
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

/// How long a request to move may wait. A person who calls waits for the answer, and after seconds without one looks elsewhere.
const PATIENCE: Duration = Duration::from_secs(3);
/// A process that was held up for less, and a request that is not as old, are as usual.
const STALL: Duration = Duration::from_millis(250);
/// By how much the sender's clock may be ahead.
const AHEAD: Duration = Duration::from_millis(500);

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
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
    fn request_from_before_a_stop_is_refused() {
        let now = Instant::now();
        let refused = stopped_at(now)
            .judge(now + Duration::from_secs(1), 2 * SECOND, Duration::ZERO)
            .unwrap_err()
            .to_string();
        assert!(
            refused.starts_with("this request was sent 2.0 s ago, before the stop; call it again"),
            "{refused}"
        );
        let mut last = stopped_at(now);
        last.handle_motion(now + Duration::from_secs(1), Some(Motion::Stopped), Motion::Disarmed);
        let refused =
            last.judge(now + Duration::from_secs(2), 3 * SECOND / 2, Duration::ZERO).unwrap_err().to_string();
        assert!(refused.contains("before the reset"), "{refused}");
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
    fn request_from_before_a_noted_event_is_refused() {
        let (now, mut last) = (Instant::now(), LastForbidden::default());
        last.note(now, "~/go_home");
        let refused = last.judge(now, 1, Duration::ZERO).unwrap_err().to_string();
        assert!(refused.contains("before ~/go_home"), "{refused}");
        assert_eq!(last.judge(now + Duration::from_secs(1), SECOND / 2, Duration::ZERO), Ok(()));
    }

    #[test]
    fn request_that_waited_in_a_stalled_process_is_refused() {
        let (now, last) = (Instant::now(), LastForbidden::default());
        let refused = last.judge(now, SECOND, Duration::from_millis(900)).unwrap_err().to_string();
        assert!(refused.contains("held up for 0.9 s") && refused.contains("sent 1.0 s ago"), "{refused}");
        assert_eq!(last.judge(now, SECOND / 10, Duration::from_millis(900)), Ok(()), "sent after it");
    }

    #[test]
    fn old_request_and_one_from_the_future_are_refused() {
        let (now, last) = (Instant::now(), LastForbidden::default());
        assert!(matches!(last.judge(now, 4 * SECOND, Duration::ZERO), Err(StaleRequest::Old { .. })));
        assert!(matches!(last.judge(now, -SECOND, Duration::ZERO), Err(StaleRequest::FromFuture { .. })));
        assert!(matches!(last.judge(now, i64::MIN, Duration::ZERO), Err(StaleRequest::FromFuture { .. })));
        assert!(matches!(last.judge(now, i64::MAX, Duration::ZERO), Err(StaleRequest::Old { .. })));
    }
}
