//! Decides whether to log a repeated event: the first few times immediately, then a count once a
//! minute. Pure.

use std::time::{Duration, Instant};

/// The events of the last [`PERIOD`], one run for each kind.
#[derive(Debug)]
pub(super) struct Repeats<K> {
    runs: Vec<Run<K>>,
}

/// One kind of event, repeated with at most [`PERIOD`] between two events.
#[derive(Debug)]
struct Run<K> {
    what: K,
    /// The time of the last log line with a count, or of the first event.
    since: Instant,
    last: Instant,
    logged: u32,
    unlogged: u32,
}

/// What to do about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Log it: it is the first in a [`PERIOD`], or the limit is not reached yet.
    Log,
    /// Log that the event occurred `times` times within this time.
    LogCount { times: u32, within: Duration },
    /// Do not log it. It has been counted.
    Skip,
}

impl<K> Default for Repeats<K> {
    fn default() -> Self {
        Self { runs: Vec::new() }
    }
}

impl<K: PartialEq> Repeats<K> {
    /// Records an event. Within a [`PERIOD`], the first `at_most` events are logged and the others
    /// are only counted.
    pub fn note(&mut self, now: Instant, what: K, at_most: u32) -> Decision {
        self.expire(now);
        let Some(run) = self.runs.iter_mut().find(|run| run.what == what) else {
            self.runs.push(Run { what, since: now, last: now, logged: 1, unlogged: 0 });
            return Decision::Log;
        };
        run.last = now;
        let within = now.saturating_duration_since(run.since);
        let times = run.unlogged + 1;
        if within >= PERIOD {
            let counted = run.unlogged > 0;
            (run.since, run.logged, run.unlogged) = (now, if counted { at_most } else { 1 }, 0);
            return if counted { Decision::LogCount { times, within } } else { Decision::Log };
        }
        if run.logged < at_most {
            run.logged += 1;
            return Decision::Log;
        }
        run.unlogged = times;
        Decision::Skip
    }

    /// Returns whether an event of this kind occurred within the last [`PERIOD`].
    pub fn has(&mut self, now: Instant, is_of_sort: impl Fn(&K) -> bool) -> bool {
        self.expire(now);
        self.runs.iter().any(|run| is_of_sort(&run.what))
    }

    fn expire(&mut self, now: Instant) {
        self.runs.retain(|run| now.saturating_duration_since(run.last) < PERIOD);
    }
}

/// The period of the log lines about a repeated event, and how long a run is kept after its last
/// event.
pub(super) const PERIOD: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // one base instant; all else is virtual time
    use super::{Decision, Repeats};
    use std::time::{Duration, Instant};

    /// Returns the decisions to log an event that occurs at these times, in seconds.
    fn logged(at_most: u32, seconds: impl IntoIterator<Item = u64>) -> Vec<(u64, Decision)> {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        seconds
            .into_iter()
            .map(|at| (at, repeats.note(start + Duration::from_secs(at), (), at_most)))
            .filter(|(_, decision)| *decision != Decision::Skip)
            .collect()
    }

    fn count(times: u32, seconds: u64) -> Decision {
        Decision::LogCount { times, within: Duration::from_secs(seconds) }
    }

    #[test]
    fn fault_each_second_is_logged_once_a_minute() {
        let expected = [(0, Decision::Log), (60, count(60, 60)), (120, count(60, 60)), (180, count(60, 60))];
        assert_eq!(logged(1, 0..200), expected);
    }

    #[test]
    fn fault_after_a_quiet_minute_is_logged_immediately() {
        assert_eq!(
            logged(1, [0, 30, 90, 200]),
            [(0, Decision::Log), (90, Decision::Log), (200, Decision::Log)]
        );
        assert_eq!(logged(1, [0, 59, 118]), [(0, Decision::Log), (118, count(2, 118))]);
    }

    #[test]
    fn event_is_counted_after_at_most_log_lines() {
        let expected = [(0, Decision::Log), (1, Decision::Log), (2, Decision::Log), (60, count(58, 60))];
        assert_eq!(logged(3, 0..100), expected);
    }

    #[test]
    fn different_fault_within_a_run_is_logged() {
        let (mut repeats, start) = (Repeats::default(), Instant::now());
        assert_eq!(repeats.note(start, "a", 1), Decision::Log);
        assert_eq!(repeats.note(start, "b", 1), Decision::Log);
        assert_eq!(repeats.note(start, "a", 1), Decision::Skip);
        assert!(repeats.has(start, |what| *what == "b") && !repeats.has(start, |what| *what == "c"));
        assert!(!repeats.has(start + Duration::from_secs(60), |_| true));
    }
}
