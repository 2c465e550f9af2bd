//! What to tell of something that may happen again and again: a few times at once, and then once in a while with a count.
//! Pure.

use std::time::{Duration, Instant};

/// What has happened of late, each by what it is.
#[derive(Debug)]
pub(super) struct Repeats<K> {
    runs: Vec<Run<K>>,
}

/// One thing that has happened, with no more than [`PERIOD`] between one time and the next.
#[derive(Debug)]
struct Run<K> {
    what: K,
    /// When it was last told with a count, or first.
    since: Instant,
    last: Instant,
    told: u32,
    untold: u32,
}

/// What to tell of something that has just happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    /// It happens for the first time in a while, or not too often yet.
    Now,
    /// It has happened so often in this time.
    Count { times: u32, within: Duration },
    /// Nothing: it is counted.
    Nothing,
}

impl<K> Default for Repeats<K> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

impl<K: PartialEq> Repeats<K> {
    /// This has happened. It is told `at_most` so often in a [`PERIOD`] before it is only counted.
    pub fn note(&mut self, now: Instant, what: K, at_most: u32) -> Telling {
        self.expire(now);
        let Some(run) = self.runs.iter_mut().find(|run| run.what == what) else {
            self.runs.push(Run { what, since: now, last: now, told: 1, untold: 0 });
            return Telling::Now;
        };
        run.last = now;
        let within = now.saturating_duration_since(run.since);
        let times = run.untold + 1;
        if within >= PERIOD {
            let counted = run.untold > 0;
            (run.since, run.told, run.untold) = (now, if counted { at_most } else { 1 }, 0);
            return if counted { Telling::Count { times, within } } else { Telling::Now };
        }
        if run.told < at_most {
            run.told += 1;
            return Telling::Now;
        }
        run.untold = times;
        Telling::Nothing
    }

    /// Whether something of this sort has happened within the last [`PERIOD`].
    pub fn has(&mut self, now: Instant, is_of_sort: impl Fn(&K) -> bool) -> bool {
        self.expire(now);
        self.runs.iter().any(|run| is_of_sort(&run.what))
    }

    fn expire(&mut self, now: Instant) {
        self.runs.retain(|run| now.saturating_duration_since(run.last) < PERIOD);
    }
}

/// How often something is told that goes on, and for how long it is remembered.
pub(super) const PERIOD: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // one base instant; all else is virtual time
    use super::{Repeats, Telling};
    use std::time::{Duration, Instant};

    /// What is told of something that happens at these times, in seconds.
    fn told(at_most: u32, seconds: impl IntoIterator<Item = u64>) -> Vec<(u64, Telling)> {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        seconds
            .into_iter()
            .map(|at| (at, repeats.note(start + Duration::from_secs(at), (), at_most)))
            .filter(|(_, telling)| *telling != Telling::Nothing)
            .collect()
    }

    fn count(times: u32, seconds: u64) -> Telling {
        Telling::Count { times, within: Duration::from_secs(seconds) }
    }

    #[test]
    fn a_fault_each_second_is_told_once_a_minute() {
        let expected = [(0, Telling::Now), (60, count(60, 60)), (120, count(60, 60)), (180, count(60, 60))];
        assert_eq!(told(1, 0..200), expected);
    }

    #[test]
    fn a_fault_after_a_quiet_minute_is_told_at_once() {
        assert_eq!(told(1, [0, 30, 90, 200]), [(0, Telling::Now), (90, Telling::Now), (200, Telling::Now)]);
        assert_eq!(told(1, [0, 59, 118]), [(0, Telling::Now), (118, count(2, 118))]);
    }

    #[test]
    fn what_may_be_told_often_is_counted_afterwards() {
        let expected = [(0, Telling::Now), (1, Telling::Now), (2, Telling::Now), (60, count(58, 60))];
        assert_eq!(told(3, 0..100), expected);
    }

    #[test]
    fn another_fault_is_told_between_two_of_a_run() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        assert_eq!(repeats.note(start, "a", 1), Telling::Now);
        assert_eq!(repeats.note(start, "b", 1), Telling::Now);
        assert_eq!(repeats.note(start, "a", 1), Telling::Nothing);
        assert!(repeats.has(start, |what| *what == "b") && !repeats.has(start, |what| *what == "c"));
        assert!(!repeats.has(start + Duration::from_secs(60), |_| true));
    }
}
