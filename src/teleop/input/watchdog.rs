//! Decides whether the input is good, and since when. Good input is fresh on the steady clock and
//! has a valid stamp.
//!
//! Invariants:
//! - A sample that is older than the timeout is not fresh. Neither its stamp nor a later change of
//!   the timeout makes the sample fresh again.
//! - After a rejected sample the input is bad until the next good sample.

use std::time::{Duration, Instant};

use crate::teleop::input_fault::InputFault;
use crate::teleop::target::{Stamp, Target};

/// Watches the stream of targets.
///
/// The age of a sample is the time since receipt on the steady clock, plus its age at receipt by
/// its stamp. Neither a change of the wall clock nor a paused simulation moves a deadline.
#[derive(Debug, Default)]
pub struct Watchdog {
    /// The newest good sample, and since when the input has been good.
    good: Option<Good>,
    last_stamp: Option<i64>,
    fault: Option<InputFault>,
}

#[derive(Debug, Clone, Copy)]
struct Good {
    origin: Instant,
    since: Instant,
    /// The sample has expired. It stays expired after any change of the timeout.
    stale: bool,
}

impl Watchdog {
    /// Checks a target's stamp and the time that the target may have waited in this process.
    /// Returns when the sample was taken, on the steady clock.
    ///
    /// After a jump back in time, the next target is compared with the new time. So a restarted
    /// sender or simulation is rejected only once.
    pub fn admit(
        &mut self,
        now: Instant,
        target: &Target,
        input_timeout: Duration,
    ) -> Result<Instant, InputFault> {
        let stall = target.stall;
        if stall > input_timeout {
            return Err(InputFault::ProcessStalled { stall });
        }
        let stalled_since = now.checked_sub(stall).unwrap_or(now);
        let Some(stamp) = target.stamp else { return Ok(stalled_since) };
        let last = self.last_stamp.replace(stamp.taken);
        check_age(stamp, input_timeout)?;
        if let Some(back) = last.and_then(|last| last.checked_sub(stamp.taken)).filter(|back| *back > 0) {
            return Err(InputFault::StampBackwards { back: Duration::from_nanos(back.unsigned_abs()) });
        }
        // A stamp that is slightly in the future counts as now.
        let age = Duration::from_nanos(u64::try_from(stamp.age()).unwrap_or(0));
        let too_old = || InputFault::StampTooOld { age, limit: input_timeout, cause: stamp.cause() };
        Ok(now.checked_sub(age).ok_or_else(too_old)?.min(stalled_since))
    }

    /// Records a good sample.
    pub fn handle_good(&mut self, now: Instant, origin: Instant, input_timeout: Duration) {
        let since = self.good_since(now, input_timeout).unwrap_or(now);
        self.good = Some(Good { origin, since, stale: false });
        self.fault = None;
    }

    /// Handles a change of the timeout. A sample that was too old under the timeout `before` stays
    /// too old.
    pub fn handle_timeout_change(&mut self, now: Instant, before: Duration) {
        let fresh = self.good_since(now, before).is_some();
        if let Some(good) = &mut self.good {
            good.stale = !fresh;
        }
    }

    /// Forgets all samples, because another publisher sends from now on.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Records a rejected sample.
    pub fn handle_fault(&mut self, fault: InputFault) {
        self.good = None;
        self.fault = Some(fault);
    }

    /// Returns why the last sample was rejected. `None` if it was accepted.
    pub fn fault(&self) -> Option<&InputFault> {
        self.fault.as_ref()
    }

    /// Returns the age of the newest good sample, if there has been one since the last fault.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        self.good.map(|good| now.saturating_duration_since(good.origin))
    }

    /// Returns since when the input has been good without a gap. `None` if it is bad.
    pub fn good_since(&self, now: Instant, input_timeout: Duration) -> Option<Instant> {
        self.good.filter(|good| !good.stale && now < good.origin + input_timeout).map(|good| good.since)
    }

    /// Returns when the newest sample expires. `None` if it has already expired.
    pub fn deadline(&self, input_timeout: Duration) -> Option<Instant> {
        self.good.filter(|good| !good.stale).map(|good| good.origin + input_timeout)
    }
}

/// Checks the age of a sample at receipt by its stamp.
///
/// # Errors
/// The sample is older than `input.timeout`, or its stamp is more than 50 ms in the future.
pub fn check_age(stamp: Stamp, input_timeout: Duration) -> Result<(), InputFault> {
    let age = stamp.age();
    let (magnitude, cause) = (Duration::from_nanos(age.unsigned_abs()), stamp.cause());
    if age < 0 && magnitude > MAX_AHEAD {
        return Err(InputFault::StampFromFuture { ahead: magnitude, limit: MAX_AHEAD, cause });
    }
    if age > 0 && magnitude > input_timeout {
        return Err(InputFault::StampTooOld { age: magnitude, limit: input_timeout, cause });
    }
    Ok(())
}

/// How far ahead of the node's clock a stamp may be: the usual difference between synchronised
/// machines.
const MAX_AHEAD: Duration = Duration::from_millis(50);

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(200);
    const MS: i64 = 1_000_000;

    fn stalled(stamp: Option<Stamp>, stall: Duration) -> Target {
        Target { stall, ..Target::new(0.1, 0.0, 0.0, stamp).unwrap() }
    }

    fn admit(
        watchdog: &mut Watchdog,
        now: Instant,
        taken_ms: i64,
        received_ms: i64,
    ) -> Result<Instant, InputFault> {
        let stamp = Stamp { taken: taken_ms * MS, received: received_ms * MS, simulated: false };
        watchdog.admit(now, &stalled(Some(stamp), Duration::ZERO), TIMEOUT)
    }

    #[test]
    fn age_of_sample_follows_its_stamp() {
        let now = Instant::now() + Duration::from_secs(1);
        let origin = admit(&mut Watchdog::default(), now, 900, 1000).unwrap();
        assert_eq!(now - origin, Duration::from_millis(100));
    }

    #[test]
    fn old_and_future_stamps_are_refused_with_age() {
        let now = Instant::now() + Duration::from_secs(1);
        let mut watchdog = Watchdog::default();
        assert!(admit(&mut watchdog, now, 800, 1000).is_ok());
        let fault = admit(&mut watchdog, now, 799, 1000).unwrap_err();
        assert!(fault.to_string().contains("0.201 s old"), "{fault}");
        let mut watchdog = Watchdog::default();
        assert_eq!(admit(&mut watchdog, now, 1050, 1000).unwrap(), now);
        let fault = admit(&mut watchdog, now, 1051, 1000).unwrap_err();
        assert!(fault.to_string().contains("0.051 s in the future"), "{fault}");
    }

    #[test]
    fn process_stall_adds_to_age_of_sample() {
        let now = Instant::now() + Duration::from_secs(1);
        let stall = Duration::from_millis(150);
        let mut watchdog = Watchdog::default();
        assert_eq!(now - watchdog.admit(now, &stalled(None, stall), TIMEOUT).unwrap(), stall);
        let stamp = Some(Stamp { taken: 900 * MS, received: 1000 * MS, simulated: false });
        assert_eq!(now - watchdog.admit(now, &stalled(stamp, stall), TIMEOUT).unwrap(), stall);
        assert!(
            watchdog.admit(now, &stalled(stamp, TIMEOUT), TIMEOUT).is_ok(),
            "a stall as long as the timeout is allowed"
        );
        let fault = watchdog.admit(now, &stalled(stamp, Duration::from_millis(201)), TIMEOUT).unwrap_err();
        assert!(fault.to_string().contains("stalled for 0.201 s"), "{fault}");
    }

    #[test]
    fn jump_back_in_time_is_refused_once() {
        let now = Instant::now() + Duration::from_secs(1);
        let mut watchdog = Watchdog::default();
        assert!(admit(&mut watchdog, now, 5000, 5000).is_ok());
        assert!(admit(&mut watchdog, now, 5000, 5001).is_ok(), "a repeated stamp is not a jump back");
        assert!(matches!(admit(&mut watchdog, now, 100, 100), Err(InputFault::StampBackwards { .. })));
        assert!(admit(&mut watchdog, now, 133, 133).is_ok());
    }

    #[test]
    fn gap_or_fault_restarts_the_good_time() {
        let t = Instant::now();
        let ms = |millis| t + Duration::from_millis(millis);
        let mut watchdog = Watchdog::default();
        watchdog.handle_good(t, t, TIMEOUT);
        watchdog.handle_good(ms(150), ms(150), TIMEOUT);
        assert_eq!(watchdog.good_since(ms(300), TIMEOUT), Some(t));
        assert_eq!(watchdog.good_since(ms(350), TIMEOUT), None);
        watchdog.handle_good(ms(350), ms(350), TIMEOUT);
        assert_eq!(watchdog.good_since(ms(350), TIMEOUT), Some(ms(350)));
        watchdog.handle_fault(InputFault::NoClock);
        assert_eq!(watchdog.good_since(ms(351), TIMEOUT), None);
        watchdog.handle_good(ms(360), ms(360), TIMEOUT);
        assert_eq!(watchdog.good_since(ms(360), TIMEOUT), Some(ms(360)));
    }
}
