//! Detects that the computer has slept. The steady clock stops during a sleep. So after the sleep
//! old data look newer than they are.
//!
//! Invariant: every detected sleep is a real sleep. If the thread is delayed between the two clock
//! readings, the sleep looks shorter, never longer. The true difference of the clocks never
//! shrinks.

use std::time::{Duration, Instant};

/// Two clocks. The difference between them grows only while the computer sleeps.
pub trait SleepClocks: Send {
    /// Returns the time of a clock that includes sleep, and the time of the steady clock. Reads
    /// them in this order.
    fn read(&self) -> (Duration, Duration);
}

/// The clocks of the operating system. Reading them needs no system call.
pub(super) struct SystemClocks {
    start: Instant,
}

#[allow(clippy::disallowed_methods)] // this is a clock
impl SystemClocks {
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl SleepClocks for SystemClocks {
    #[cfg(target_os = "linux")]
    fn read(&self) -> (Duration, Duration) {
        use rustix::time::{ClockId, clock_gettime};
        let since_boot = Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default();
        (since_boot, self.start.elapsed())
    }

    /// On other systems no sleep is detected.
    #[cfg(not(target_os = "linux"))]
    fn read(&self) -> (Duration, Duration) {
        (Duration::ZERO, Duration::ZERO)
    }
}

/// Detects sleeps of the computer.
pub(super) struct SleepWatch {
    clocks: Box<dyn SleepClocks>,
    /// The difference of the clocks at the last detected sleep, or at the start.
    slept: Duration,
}

impl SleepWatch {
    pub fn new(clocks: impl SleepClocks + 'static) -> Self {
        let mut watch = Self { clocks: Box::new(clocks), slept: Duration::ZERO };
        // If the first reading were delayed, the next one would look like a sleep.
        watch.slept = (0..READINGS).map(|_| watch.total()).max().unwrap_or_default();
        watch
    }

    /// Returns how long the computer has slept since the last detected sleep, if it has.
    pub fn poll(&mut self) -> Option<Duration> {
        let total = self.total();
        let slept = total.saturating_sub(self.slept);
        if slept < SHORTEST_SLEEP {
            return None;
        }
        self.slept = total;
        Some(slept)
    }

    fn total(&self) -> Duration {
        let (since_boot, steady) = self.clocks.read();
        since_boot.saturating_sub(steady)
    }
}

/// How many times to read the clocks at the start.
const READINGS: u32 = 3;
/// A shorter difference is not a sleep, because no computer sleeps for less. The limit is shorter
/// than the time for which a target counts as fresh.
const SHORTEST_SLEEP: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Hands(Arc<Mutex<(Duration, Duration)>>);

    impl Hands {
        fn pass(&self, steady: u64, asleep: u64) {
            let mut hands = self.0.lock().unwrap();
            hands.0 += Duration::from_millis(steady + asleep);
            hands.1 += Duration::from_millis(steady);
        }
    }

    impl SleepClocks for Hands {
        fn read(&self) -> (Duration, Duration) {
            *self.0.lock().unwrap()
        }
    }

    #[test]
    fn every_sleep_is_found_once_with_its_length() {
        let hands = Hands::default();
        hands.pass(1000, 5000);
        let mut watch = SleepWatch::new(hands.clone());
        hands.pass(100_000, 0);
        assert_eq!(watch.poll(), None);
        hands.pass(10, 700);
        assert_eq!((watch.poll(), watch.poll()), (Some(Duration::from_millis(700)), None));
        hands.pass(0, 3_600_000);
        assert_eq!(watch.poll(), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn delayed_thread_is_not_a_sleep() {
        let hands = Hands::default();
        hands.pass(0, 5000);
        let mut watch = SleepWatch::new(hands.clone());
        // The thread is delayed between the two readings, once.
        hands.0.lock().unwrap().1 += Duration::from_secs(2);
        assert_eq!(watch.poll(), None);
        hands.0.lock().unwrap().0 += Duration::from_secs(2);
        assert_eq!(watch.poll(), None);
        hands.pass(0, 300);
        assert_eq!(watch.poll(), Some(Duration::from_millis(300)));
    }

    #[test]
    fn system_clocks_show_no_sleep_while_awake() {
        let mut watch = SleepWatch::new(SystemClocks::new());
        assert!((0..10_000).all(|_| watch.poll().is_none()));
    }
}
