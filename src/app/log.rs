//! What is logged of link and motion: a line for a change, and for what goes on in the same way a line a minute. Pure.

use std::time::{Duration, Instant};

use super::joint::Face;
use super::repeats::{PERIOD, Repeats, Telling};
use crate::link::{FailureKind, LinkError, LinkState};
use crate::status::Status;
use crate::teleop::Motion;

/// Decides what is logged.
#[derive(Debug)]
pub(super) struct Log {
    repeats: Repeats<What>,
    /// How long a connection has to live before it counts as good, after one that did not.
    steady: Duration,
    /// How long the next connection has to live before it is logged. It grows with each that was logged and did not last.
    patience: Duration,
    /// Since when the link is up, while that is not logged yet.
    unlogged_since: Option<Instant>,
    /// The link is up, and that has been logged.
    up: bool,
    /// Attempts to connect since the link was last logged as up.
    attempts: u32,
}

/// What may repeat itself.
#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Failure(FailureKind),
    Silence,
    /// So many want in at a time that some are refused.
    Crowd,
    /// The system let no controller in.
    Door,
    Motion(Motion, &'static str),
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Line {
    Info(String),
    Warn(String),
}

impl Line {
    /// Logs it.
    pub fn write(&self) {
        match self {
            Self::Info(text) => tracing::info!("{text}"),
            Self::Warn(text) => tracing::warn!("{text}"),
        }
    }
}

impl Log {
    /// For a link with this `link_timeout`.
    pub fn new(link_timeout: Duration) -> Self {
        Self {
            repeats: Repeats::default(),
            steady: link_timeout.min(PERIOD),
            patience: Duration::ZERO,
            unlogged_since: None,
            up: false,
            attempts: 0,
        }
    }

    /// What to log of a change, the last error being `error`.
    pub fn change(
        &mut self,
        now: Instant,
        before: Option<Face>,
        status: &Status,
        error: Option<&LinkError>,
    ) -> Vec<Line> {
        let mut lines = Vec::new();
        if before.map(|face| face.link) != Some(status.state) {
            lines.extend(self.link(now, before.map(|face| face.link), status, error));
        }
        let motion = (status.motion, status.reason_kind);
        if before.map(|face| (face.motion, face.reason)) != Some(motion) {
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
    ) -> Option<Line> {
        match (status.state, error) {
            (LinkState::Connecting, _) => {
                self.attempts = self.attempts.saturating_add(1);
                before.is_none().then(|| Line::Info(format!("connecting peer={}", status.peer)))
            }
            (LinkState::Connected, _) => {
                if !self.repeats.has(now, |what| !matches!(what, What::Motion(..))) {
                    self.patience = Duration::ZERO;
                }
                self.unlogged_since = Some(now);
                self.settle(now, status)
            }
            (LinkState::Unresponsive, _) => {
                let telling = self.fail(now, What::Silence, false);
                let text = "link up, but the controller does not answer";
                let counted = said(telling, text, |times| format!("{text}: {times}"))?;
                Some(Line::Warn(format!("{counted} peer={}", status.peer)))
            }
            (LinkState::Backoff, Some(error)) => self.failed(now, "link down", error),
            (LinkState::Listening, _) if before == Some(LinkState::Connecting) => {
                Some(Line::Info(format!("listening for controllers peer={}", status.peer)))
            }
            (LinkState::Backoff | LinkState::Listening | LinkState::Disconnected, _) => None,
        }
    }

    /// To be asked now and then while the link may be up.
    pub fn settle(&mut self, now: Instant, status: &Status) -> Option<Line> {
        let since = self.unlogged_since?;
        if now.saturating_duration_since(since) < self.patience {
            return None;
        }
        (self.unlogged_since, self.up) = (None, true);
        let attempts = match std::mem::take(&mut self.attempts) {
            0 | 1 => String::new(),
            attempts => format!(" after {attempts} attempts"),
        };
        Some(Line::Info(format!("link up{attempts} peer={}", status.peer)))
    }

    /// What to log of an error that has ended a connection, or an attempt, or kept a controller out.
    pub fn failed(&mut self, now: Instant, what: &str, error: &LinkError) -> Option<Line> {
        let telling = self.fail(now, What::Failure(error.kind()), error.is_of_words());
        let error = error.advised();
        let again = |times| format!("{what}: it has failed {times} in the same way: {error}");
        said(telling, &format!("{what}: {error}"), again).map(Line::Warn)
    }

    /// What to log of a controller that has been let in, among the clients of a port.
    pub fn joined(&mut self, address: &str) -> Option<Line> {
        self.patience.is_zero().then(|| Line::Info(format!("controller connected address={address}")))
    }

    /// What to log of a controller that was refused because of how many there are.
    pub fn crowded(&mut self, now: Instant, text: &str) -> Option<Line> {
        said(self.repeats.note(now, What::Crowd, 1), text, |times| format!("{text}: {times}")).map(Line::Warn)
    }

    /// What to log of a system that lets no controller in.
    pub fn shut(&mut self, now: Instant, text: &str) -> Option<Line> {
        said(self.repeats.note(now, What::Door, 1), text, |times| format!("{text}: {times}")).map(Line::Warn)
    }

    fn fail(&mut self, now: Instant, what: What, of_words: bool) -> Telling {
        let was_logged = std::mem::take(&mut self.up);
        self.unlogged_since = None;
        let telling = self.repeats.note(now, what, 1);
        if was_logged && telling != Telling::Now {
            self.patience = (2 * self.patience).max(self.steady).min(PERIOD);
        } else if of_words {
            // The next connection is going to end in the same way.
            self.patience = self.patience.max(self.steady);
        }
        telling
    }

    fn motion(&mut self, now: Instant, status: &Status) -> Option<Line> {
        // What motion does with each connection of a link that fails again and again is known after the first.
        let flaps = !self.patience.is_zero();
        let at_most = if flaps { 1 } else { MOST_OF_A_MOTION };
        let telling = self.repeats.note(now, What::Motion(status.motion, status.reason_kind), at_most);
        let counted = matches!(telling, Telling::Count { .. });
        if flaps && counted {
            return None;
        }
        let text = said(telling, &status.reason, |times| format!("{}: {times}", status.reason))?;
        Some(Line::Info(format!("{text} motion={:?}", status.motion)))
    }
}

fn said(telling: Telling, text: &str, again: impl FnOnce(String) -> String) -> Option<String> {
    match telling {
        Telling::Now => Some(text.to_owned()),
        Telling::Count { times, within } => {
            let seconds = within.as_secs();
            let time = if seconds < 2 * PERIOD.as_secs() { "minute".into() } else { format!("{seconds} s") };
            Some(again(format!("{times} times in the last {time}")))
        }
        Telling::Nothing => None,
    }
}

/// How often motion may come to the same state for the same reason in a minute before that is only counted.
const MOST_OF_A_MOTION: u32 = 10;
