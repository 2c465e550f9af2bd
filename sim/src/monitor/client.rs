//! One connection as a controller sees it: what came, what went back, and so when a line can have been sent.

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use aether_bridge::wire::Order;

use super::motion::CommandHistory;

/// A line that has not been answered.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) number: u64,
    pub(super) order: Option<Order>,
    pub(super) at: Instant,
    pub(super) not_before: Option<Instant>,
}

/// What makes the next command the first of a motion.
#[derive(Debug, Clone, Copy)]
pub(super) enum MotionStart {
    Connection,
    LateReply(Duration),
    Silence(Duration),
    Stop,
    /// The arm is reported where no command led.
    Elsewhere,
}

impl fmt::Display for MotionStart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connection => formatter.write_str("a new connection"),
            Self::LateReply(took) => write!(formatter, "a reply that took {:.2} s", took.as_secs_f64()),
            Self::Silence(silence) => write!(formatter, "a silence of {:.2} s", silence.as_secs_f64()),
            Self::Stop => formatter.write_str("a stop"),
            Self::Elsewhere => formatter.write_str("a report that the arm is elsewhere"),
        }
    }
}

#[derive(Debug)]
pub(super) struct Client {
    /// How many lines came.
    pub(super) lines: u64,
    pub(super) pending: VecDeque<Pending>,
    /// When the last replies were begun, as many as may matter.
    replies: VecDeque<Instant>,
    /// When there was nothing to be read.
    quiet: Option<Instant>,
    /// When the last command was answered; later by the time for which other lines were not, since then.
    idle: Option<Instant>,
    /// The last commands.
    pub(super) history: CommandHistory,
    /// Why the next command begins a motion.
    pub(super) start: Option<MotionStart>,
    /// The lowest and the highest number of a line.
    pub(super) numbers: Option<(u64, u64)>,
}

impl Client {
    /// A connection that was not there before `since`, if that is known.
    pub(super) fn new(since: Option<Instant>) -> Self {
        Self {
            lines: 0,
            pending: VecDeque::new(),
            replies: VecDeque::new(),
            quiet: since,
            idle: None,
            history: CommandHistory::default(),
            start: Some(MotionStart::Connection),
            numbers: None,
        }
    }

    /// Nothing was there to be read: what comes from now on had not been sent, or was on its way.
    pub(super) fn handle_quiet(&mut self, now: Instant) {
        self.quiet = now.checked_sub(TRANSIT).max(self.quiet);
    }

    /// When it was last seen to be there, with nothing to be read.
    pub(super) fn quiet(&self) -> Option<Instant> {
        self.quiet
    }

    /// A reply is on its way since then; the line that it answers.
    pub(super) fn handle_reply(&mut self, at: Instant, most: u64) -> Option<Pending> {
        let answered = self.pending.pop_front()?;
        self.replies.push_back(at);
        while self.replies.len() as u64 > most {
            self.replies.pop_front();
        }
        self.idle = match answered.order {
            Some(Order::Command(_)) => Some(at),
            _ => self
                .idle
                .zip(answered.not_before)
                .map(|(idle, sent)| idle + at.saturating_duration_since(sent)),
        };
        Some(answered)
    }

    /// Before when the next line cannot have been sent, by a client that has at most so many unanswered.
    pub(super) fn not_before(&self, most: u64) -> Option<Instant> {
        // It has waited for one reply of those to the last `most` lines: with so many others yet to come.
        let to_come = most.saturating_sub(1).saturating_sub(self.pending.len() as u64);
        let waited_for = self.replies.iter().rev().nth(usize::try_from(to_come).unwrap_or(usize::MAX));
        waited_for.copied().max(self.quiet)
    }

    /// Why a command that was not sent before then begins a motion, if it does: a silence that nothing made it keep, longer
    /// than any while it moves, or what has come before.
    pub(super) fn take_start(
        &mut self,
        not_before: Option<Instant>,
        longest: Duration,
    ) -> Option<MotionStart> {
        let idle = self.idle.filter(|_| self.pending.is_empty());
        let silence = not_before.zip(idle).map(|(sent, since)| sent.saturating_duration_since(since));
        self.start.take().or(silence.filter(|silence| *silence > longest).map(MotionStart::Silence))
    }
}

/// How long a line may be on its way, on one machine that is busy.
const TRANSIT: Duration = Duration::from_millis(5);
