//! One connection as the controller sees it: received lines, sent replies, and the bounds of send
//! times.

use std::{
    collections::VecDeque,
    fmt,
    time::{Duration, Instant},
};

use aether_bridge::wire::Order;

use super::motion::CommandHistory;

/// A line without a reply.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) number: u64,
    pub(super) order: Option<Order>,
    pub(super) at: Instant,
    pub(super) not_before: Option<Instant>,
}

/// The reason why the next command is the first of a motion.
#[derive(Debug, Clone, Copy)]
pub(super) enum MotionStart {
    Connection,
    LateReply(Duration),
    Silence(Duration),
    Stop,
    /// A report shows the arm at a position to which no command led.
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
    /// The number of received lines.
    pub(super) lines: u64,
    pub(super) pending: VecDeque<Pending>,
    /// The times at which the first byte of each recent reply was written. Keeps only as many as
    /// are needed.
    replies: VecDeque<Instant>,
    /// The last time at which there was nothing to read.
    quiet: Option<Instant>,
    /// The time of the reply to the last command, plus the time for which later lines waited for
    /// their replies.
    idle: Option<Instant>,
    /// The last commands.
    pub(super) history: CommandHistory,
    /// The reason why the next command begins a motion.
    pub(super) start: Option<MotionStart>,
    /// The lowest and the highest number of a line.
    pub(super) numbers: Option<(u64, u64)>,
}

impl Client {
    /// Creates a connection that did not exist before `since`, if that is known.
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

    /// Records that nothing could be read. A line that is read later was sent after `now`, or was
    /// in transit.
    pub(super) fn handle_quiet(&mut self, now: Instant) {
        self.quiet = now.checked_sub(TRANSIT).max(self.quiet);
    }

    /// Returns the last time at which the connection existed and there was nothing to read.
    pub(super) fn quiet(&self) -> Option<Instant> {
        self.quiet
    }

    /// Records a reply, written at `at` or later, and returns the line that it belongs to.
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

    /// Returns the earliest send time of the next line, for a client that waits if `most` lines
    /// have no reply.
    pub(super) fn not_before(&self, most: u64) -> Option<Instant> {
        // The client has waited for one reply to the last `most` lines. The other replies may still
        // be missing.
        let to_come = most.saturating_sub(1).saturating_sub(self.pending.len() as u64);
        let waited_for = self.replies.iter().rev().nth(usize::try_from(to_come).unwrap_or(usize::MAX));
        waited_for.copied().max(self.quiet)
    }

    /// Returns why this command starts a new motion: an event that was recorded earlier, or a
    /// silence longer than `longest`. No silence within a motion is longer than `longest`.
    /// `not_before` is the earliest send time of the command.
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

/// The longest transit time of a line on one busy machine.
const TRANSIT: Duration = Duration::from_millis(5);
