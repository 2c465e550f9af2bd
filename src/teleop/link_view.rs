//! Whether the controller takes commands: the link as the motion sees it, and the commands in a row that were refused.
//!
//! Invariant: after `teleop.max_consecutive_errors` refusals in a row motion pauses, and each further refusal starts
//! the pause again. An accepted command, or a new connection, ends the streak and the pause.

use std::time::{Duration, Instant};

use super::reason::Obstacle;

/// What the link looks like from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkView {
    /// Connected, and the controller answers.
    Ready,
    /// Connected, and the controller is silent.
    Unresponsive,
    /// Not connected.
    Down,
    /// Some of the wanted controllers are not connected. Nothing may move, as when the link is [`LinkView::Down`], but the
    /// controllers that are connected get a stop line.
    Partial,
}

impl LinkView {
    /// Returns whether nothing may move because a connection is missing.
    pub fn is_down(self) -> bool {
        matches!(self, Self::Down | Self::Partial)
    }

    /// Returns how the link stands in the way of motion, if it does.
    pub(super) fn obstacle(self) -> Option<Obstacle> {
        match self {
            Self::Ready => None,
            Self::Unresponsive => Some(Obstacle::Unresponsive),
            Self::Down | Self::Partial => Some(Obstacle::LinkDown),
        }
    }
}

/// The streak of refused commands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RejectionStreak {
    count: u32,
    /// When the first command of the streak was refused.
    since: Option<Instant>,
    /// When the next command may be tried, once the streak has reached the limit.
    pause_until: Option<Instant>,
}

impl RejectionStreak {
    /// Counts a refused command. From the `limit` on motion pauses for `settle_time`, or [`MIN_PAUSE`] if that is longer.
    pub(super) fn handle_rejected(&mut self, now: Instant, limit: u32, settle_time: Duration) {
        self.count = self.count.saturating_add(1);
        self.since.get_or_insert(now);
        if self.count >= limit {
            self.pause_until = Some(now + settle_time.max(MIN_PAUSE));
        }
    }

    /// Ends the streak.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Returns whether every command has been refused for so long that people may be at work on the arm.
    pub(super) fn is_long(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= LONG_STREAK)
    }

    /// Returns when the pause ends, or ended.
    pub(super) fn pause_until(&self) -> Option<Instant> {
        self.pause_until
    }

    /// Returns the streak as an obstacle during the pause.
    pub(super) fn obstacle(&self, now: Instant) -> Option<Obstacle> {
        self.pause_until.filter(|until| now < *until).map(|_| Obstacle::ErrorReplies(self.count))
    }
}

/// After a streak as long as this an emergency stop may have been pressed, which some controllers tell by refusals only.
pub(super) const LONG_STREAK: Duration = Duration::from_secs(30);
/// The shortest pause after a streak.
const MIN_PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;

    #[test]
    fn streak_that_reaches_the_limit_pauses_motion() {
        let (t, ms) = (Instant::now(), Duration::from_millis);
        let mut streak = RejectionStreak::default();
        streak.handle_rejected(t, 2, ms(800));
        assert_eq!((streak.obstacle(t), streak.pause_until()), (None, None));
        streak.handle_rejected(t, 2, ms(800));
        assert_eq!(streak.obstacle(t + ms(799)), Some(Obstacle::ErrorReplies(2)));
        assert_eq!(streak.obstacle(t + ms(800)), None);
        streak.handle_rejected(t + ms(900), 2, ms(100));
        assert_eq!(streak.obstacle(t + ms(1399)), Some(Obstacle::ErrorReplies(3)), "the shortest pause");
        assert_eq!(streak.pause_until(), Some(t + ms(1400)));
    }

    #[test]
    fn accepted_command_ends_streak_and_pause() {
        let t = Instant::now();
        let mut streak = RejectionStreak::default();
        streak.handle_rejected(t, 1, Duration::ZERO);
        streak.end();
        assert_eq!((streak.obstacle(t), streak.pause_until()), (None, None));
        streak.handle_rejected(t, 2, Duration::ZERO);
        assert_eq!(streak.obstacle(t), None, "it counts from the start");
    }
}
