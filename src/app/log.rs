//! Decides what to log about link and motion: one line for a change, and one line a minute for a
//! repeated change. Pure.

use std::time::{Duration, Instant};

use tracing::Level;
use tracing::level_filters::LevelFilter;

use super::repeats::{Decision, PERIOD, Repeats};
use super::report::StatusKey;
use crate::link::{FailureKind, LinkError, LinkState};
use crate::status::Status;
use crate::teleop::{Motion, ReasonKind};

/// A log line, made while the state is locked and written later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogLine {
    pub level: Level,
    pub text: String,
}

impl LogLine {
    pub fn info(text: String) -> Self {
        Self { level: Level::INFO, text }
    }

    pub fn warn(text: String) -> Self {
        Self { level: Level::WARN, text }
    }

    /// Makes a detailed line, if this level is enabled.
    pub fn detail(level: Level, text: impl FnOnce() -> String) -> Option<Self> {
        (level <= LevelFilter::current()).then(|| Self { level, text: text() })
    }
}

/// Decides what to log.
#[derive(Debug, Default)]
pub(super) struct Log {
    repeats: Repeats<What>,
    /// How long a connection must last to count as good, if an earlier connection ended sooner.
    steady: Duration,
    /// How long the next connection must last before it is logged. The value grows each time that a
    /// logged connection ends too early.
    patience: Duration,
    /// When the link came up, if this is not logged yet.
    unlogged_since: Option<Instant>,
    /// Whether the link is up and "link up" has been logged.
    up: bool,
    /// The attempts to connect since the link was last logged as up.
    attempts: u32,
}

/// An event that may repeat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum What {
    Failure(FailureKind),
    Silence,
    /// Too many controllers connect at the same time, so some are rejected.
    TooManyJoining,
    /// The system could not accept a controller.
    AcceptFailed,
    Motion(Motion, ReasonKind),
}

impl Log {
    /// Creates the log for a link with this `link.timeout`.
    pub fn new(link_timeout: Duration) -> Self {
        Self { steady: link_timeout.min(PERIOD), ..Self::default() }
    }

    /// Returns the lines to log for a change. `error` is the last error of the link.
    pub fn change(
        &mut self,
        now: Instant,
        before: Option<StatusKey>,
        status: &Status,
        error: Option<&LinkError>,
    ) -> Vec<LogLine> {
        let mut lines = Vec::new();
        let link = before.map(|key| key.link);
        if link != Some(status.state) {
            lines.extend(self.link(now, link, status, error));
        }
        if before.map(|key| (key.motion, key.reason)) != Some((status.motion, status.reason_kind)) {
            lines.extend(self.motion(now, status));
        }
        lines
    }

    fn link(
        &mut self,
        now: Instant,
        before: Option<LinkState>,
        status: &Status,
        error: Option<&LinkError>,
    ) -> Option<LogLine> {
        match (status.state, error) {
            (LinkState::Connecting, _) => {
                self.attempts = self.attempts.saturating_add(1);
                before.is_none().then(|| LogLine::info(format!("connecting peer={}", status.peer)))
            }
            (LinkState::Connected, _) => {
                if !self.repeats.has(now, |what| !matches!(what, What::Motion(..))) {
                    self.patience = Duration::ZERO;
                }
                self.unlogged_since = Some(now);
                self.settle(now, status)
            }
            (LinkState::Unresponsive, _) => {
                let decision = self.fail(now, What::Silence, false);
                let text = "link up, but the controller does not reply";
                let counted = in_words(decision, text, |times| format!("{text}: {times}"))?;
                Some(LogLine::warn(format!("{counted} peer={}", status.peer)))
            }
            (LinkState::Backoff, Some(error)) => self.failed(now, "link down", error),
            (LinkState::Listening, _) if before == Some(LinkState::Connecting) => {
                Some(LogLine::info(format!("listening for controllers peer={}", status.peer)))
            }
            (LinkState::Backoff | LinkState::Listening | LinkState::Disconnected, _) => None,
        }
    }

    /// Returns the line about a link that is up, if it is time to log it. Call this regularly while
    /// the link may be up.
    pub fn settle(&mut self, now: Instant, status: &Status) -> Option<LogLine> {
        let since = self.unlogged_since?;
        if now.saturating_duration_since(since) < self.patience {
            return None;
        }
        (self.unlogged_since, self.up) = (None, true);
        let attempts = match std::mem::take(&mut self.attempts) {
            0 | 1 => String::new(),
            attempts => format!(" after {attempts} attempts"),
        };
        Some(LogLine::info(format!("link up{attempts} peer={}", status.peer)))
    }

    /// Returns the line to log for an error that ended a connection or an attempt, or rejected a
    /// controller.
    pub fn failed(&mut self, now: Instant, what: &str, error: &LinkError) -> Option<LogLine> {
        let decision = self.fail(now, What::Failure(error.kind()), error.is_likely_to_repeat());
        let error = error.advised();
        let again = |times| format!("{what}: it has failed {times} in the same way: {error}");
        in_words(decision, &format!("{what}: {error}"), again).map(LogLine::warn)
    }

    /// Returns the line to log for a controller that has connected to the bridge's port.
    pub fn joined(&mut self, address: &str) -> Option<LogLine> {
        self.patience.is_zero().then(|| LogLine::info(format!("controller connected address={address}")))
    }

    /// Returns the line to log for an event that is logged once a minute, with its count.
    pub fn repeated(&mut self, now: Instant, what: What, text: &str) -> Option<LogLine> {
        let decision = self.repeats.note(now, what, 1);
        in_words(decision, text, |times| format!("{text}: {times}")).map(LogLine::warn)
    }

    fn fail(&mut self, now: Instant, what: What, likely_to_repeat: bool) -> Decision {
        let was_logged = std::mem::take(&mut self.up);
        self.unlogged_since = None;
        let decision = self.repeats.note(now, what, 1);
        if was_logged && decision != Decision::Log {
            self.patience = (2 * self.patience).max(self.steady).min(PERIOD);
        } else if likely_to_repeat {
            // The next connection is likely to end in the same way.
            self.patience = self.patience.max(self.steady);
        }
        decision
    }

    fn motion(&mut self, now: Instant, status: &Status) -> Option<LogLine> {
        // If a link fails repeatedly, motion changes with each connection. One line about the
        // motion is enough.
        let flaps = !self.patience.is_zero();
        let at_most = if flaps { 1 } else { MOST_OF_A_MOTION };
        let decision = self.repeats.note(now, What::Motion(status.motion, status.reason_kind), at_most);
        if flaps && matches!(decision, Decision::LogCount { .. }) {
            return None;
        }
        let text = in_words(decision, &status.reason, |times| format!("{}: {times}", status.reason))?;
        let level = match status.reason_kind {
            // An error, because the operator may believe that the arm stands still.
            ReasonKind::StopRefused | ReasonKind::StopUnsent | ReasonKind::StopUnanswered => Level::ERROR,
            _ => Level::INFO,
        };
        Some(LogLine { level, text: format!("{text} motion={:?}", status.motion) })
    }
}

fn in_words(decision: Decision, text: &str, again: impl FnOnce(String) -> String) -> Option<String> {
    match decision {
        Decision::Log => Some(text.to_owned()),
        Decision::LogCount { times, within } => {
            let seconds = within.as_secs();
            let time = if seconds < 2 * PERIOD.as_secs() { "minute".into() } else { format!("{seconds} s") };
            Some(again(format!("{times} times in the last {time}")))
        }
        Decision::Skip => None,
    }
}

/// The most log lines per minute about the same motion state with the same reason. Further changes
/// to this state are only counted.
const MOST_OF_A_MOTION: u32 = 10;

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_methods)] // one base instant; all else is virtual time
    use std::io;
    use std::time::{Duration, Instant};

    use tracing::Level;

    use super::{Log, LogLine};
    use crate::app::{Coordinator, StatusKey};
    use crate::config::{Config, Parameters};
    use crate::link::{LinkError, LinkState, PeerId};
    use crate::teleop::ReasonKind;
    use crate::wire::{ReplyDecoder, WireConfig};

    /// A link that fails on request of the test, and its log.
    struct Scene {
        log: Log,
        coordinator: Coordinator,
        now: Instant,
        start: Instant,
        key: Option<StatusKey>,
        lines: Vec<String>,
    }

    impl Scene {
        fn new() -> Self {
            let config = Config::new(&Parameters::default()).unwrap();
            let now = Instant::now();
            let log = Log::new(config.link.link_timeout);
            let coordinator = Coordinator::new(config.teleop, config.link, "arm:5000".into(), now, 7);
            let mut scene = Self { log, coordinator, now, start: now, key: None, lines: Vec::new() };
            scene.note();
            scene
        }

        fn note(&mut self) {
            let key = self.coordinator.status_key(self.now);
            let before = self.key.replace(key);
            if before != Some(key) {
                let status = self.coordinator.status(self.now);
                let lines = self.log.change(self.now, before, &status, self.coordinator.link.last_error());
                self.keep(lines);
            }
        }

        fn keep(&mut self, lines: impl IntoIterator<Item = LogLine>) {
            self.lines.extend(lines.into_iter().map(|line| line.text));
        }

        /// Passes time, and polls as the driver task does.
        fn pass(&mut self, milliseconds: u64) {
            for _ in 0..milliseconds / 100 {
                self.now += Duration::from_millis(100);
                self.coordinator.handle_timeout(self.now);
                self.note();
                let status = self.coordinator.status(self.now);
                let line = self.log.settle(self.now, &status);
                self.keep(line);
            }
        }

        fn connect(&mut self) {
            while self.coordinator.status(self.now).state != LinkState::Connecting {
                self.pass(100);
            }
            let _ = self.coordinator.link.poll_action();
            self.coordinator.handle_connected(self.now);
            self.note();
        }

        fn fail(&mut self, error: LinkError) {
            let _ = self.coordinator.link.poll_action();
            self.coordinator.handle_ended(self.now, PeerId::ONLY, error);
            self.note();
            let _ = self.coordinator.link.poll_action();
        }

        fn cycle(&mut self, error: LinkError) {
            self.connect();
            self.fail(error);
        }

        /// Returns the lines about the link, without those about motion.
        fn link_lines(&self) -> Vec<&str> {
            self.lines.iter().map(String::as_str).filter(|text| text.starts_with("link ")).collect()
        }
    }

    fn garbage(line: &str) -> LinkError {
        let mut bytes = bytes::BytesMut::from(line);
        let mut decoder = ReplyDecoder::new(&WireConfig::default());
        let error = tokio_util::codec::Decoder::decode(&mut decoder, &mut bytes).unwrap_err();
        LinkError::FirstWords { error, asked: true }
    }

    #[test]
    fn failed_stop_is_logged_as_an_error() {
        let mut scene = Scene::new();
        let before = scene.key;
        let mut status = scene.coordinator.status(scene.now);
        for kind in [ReasonKind::StopRefused, ReasonKind::StopUnsent, ReasonKind::StopUnanswered] {
            (status.reason_kind, status.reason) = (kind, "stopped, but".into());
            let [line] = &scene.log.change(scene.now, before, &status, None)[..] else { panic!("one line") };
            assert_eq!(line.level, Level::ERROR, "{line:?}");
        }
        status.reason_kind = ReasonKind::Stopped;
        assert_eq!(scene.log.change(scene.now, before, &status, None)[0].level, Level::INFO);
    }

    #[test]
    fn garbage_is_logged_with_hint_once_a_minute() {
        let mut scene = Scene::new();
        let mut attempts = 0;
        while scene.now - scene.start < Duration::from_secs(130) {
            attempts += 1;
            // The values differ each time.
            scene.cycle(garbage(&format!("OK {attempts}\n")));
        }
        assert!(attempts > 30, "{attempts}");
        let lines = scene.link_lines();
        assert_eq!(lines.len(), 4, "{lines:#?}");
        assert!(lines[0].starts_with("link up peer="), "{}", lines[0]);
        assert!(
            lines[1].contains("\"OK 1\"") && lines[1].contains("run the bridge with wire.format: text"),
            "{}",
            lines[1]
        );
        for line in &lines[2..] {
            assert!(
                line.contains("times in the last minute in the same way")
                    && line.contains("wire.format: text"),
                "{line}"
            );
        }
        // Motion holds after each failure, for the same reason.
        assert!(scene.lines.len() < 12, "{:#?}", scene.lines);
    }

    #[test]
    fn restored_link_is_logged_with_number_of_attempts() {
        let mut scene = Scene::new();
        for _ in 0..10 {
            scene.cycle(garbage("OK\n"));
        }
        let before = scene.lines.len();
        scene.connect();
        scene.pass(2900);
        assert_eq!(scene.lines.len(), before, "it may be like the others: {:#?}", &scene.lines[before..]);
        scene.pass(100);
        assert_eq!(scene.lines[before..], ["link up after 10 attempts peer=arm:5000"]);
        scene.pass(100_000);
        assert_eq!(scene.lines.len(), before + 1);
    }

    #[test]
    fn different_error_starts_a_new_run() {
        let mut scene = Scene::new();
        for _ in 0..3 {
            scene.cycle(garbage("OK\n"));
        }
        for _ in 0..3 {
            scene.cycle(garbage("{'status': 'ok'}\n"));
            scene.cycle(garbage("OK\n"));
        }
        let lines = scene.link_lines();
        assert_eq!(lines.len(), 3, "{lines:#?}");
        assert!(lines[2].contains("'status'"), "{}", lines[2]);
    }

    #[test]
    fn controller_restart_is_logged_immediately() {
        let mut scene = Scene::new();
        for _ in 0..3 {
            scene.connect();
            scene.pass(120_000);
            scene.fail(LinkError::Closed);
        }
        assert_eq!(scene.link_lines().len(), 6, "{:#?}", scene.lines);
        let refused = || LinkError::Connect {
            peer: "arm:5000".into(),
            source: io::ErrorKind::ConnectionRefused.into(),
        };
        for _ in 0..5 {
            while scene.coordinator.status(scene.now).state != LinkState::Connecting {
                scene.pass(100);
            }
            scene.fail(refused());
        }
        scene.connect();
        let lines = scene.link_lines();
        assert_eq!(lines.len(), 8, "{lines:#?}");
        assert_eq!(lines[7], "link up after 6 attempts peer=arm:5000");
    }

    #[test]
    fn short_connections_are_not_logged_each_time() {
        let mut scene = Scene::new();
        for _ in 0..60 {
            scene.connect();
            scene.pass(5000);
            scene.fail(LinkError::Closed);
        }
        let minutes = (scene.now - scene.start).as_secs() / 60;
        let lines = scene.link_lines();
        assert!((5..=6).contains(&minutes) && lines.len() <= 12, "{minutes} minutes: {lines:#?}");
    }
}
