//! Whether the controller accepts commands: the state of the link, and the consecutive commands
//! that were rejected.
//!
//! Invariant: after `teleop.max_consecutive_errors` consecutive rejections, motion pauses. Each
//! further rejection restarts the pause. An accepted command or a new connection ends the streak
//! and the pause.

use std::time::{Duration, Instant};

use super::reason::Obstacle;

/// The state of the link as far as motion needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkView {
    /// Connected, and the controller replies.
    Ready,
    /// Connected, but the controller is silent.
    Unresponsive,
    /// Not connected.
    Down,
    /// Some of the required controllers are not connected. Motion is not allowed, as for
    /// [`LinkView::Down`], but the connected controllers receive a stop line.
    Partial,
}

impl LinkView {
    /// Returns whether motion is not allowed because a connection is missing.
    pub fn is_down(self) -> bool {
        matches!(self, Self::Down | Self::Partial)
    }

    /// Returns why the link prevents motion. `None` if the link is ready.
    pub(super) fn obstacle(self) -> Option<Obstacle> {
        match self {
            Self::Ready => None,
            Self::Unresponsive => Some(Obstacle::Unresponsive),
            Self::Down | Self::Partial => Some(Obstacle::LinkDown),
        }
    }
}

/// The streak of consecutive rejected commands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RejectionStreak {
    count: u32,
    /// When the first command of the streak was rejected.
    since: Option<Instant>,
    /// When the next command may be sent, after the streak has reached the limit.
    pause_until: Option<Instant>,
}

impl RejectionStreak {
    /// Counts a rejected command. If the streak reaches `limit`, motion pauses for `settle_time`,
    /// but at least for [`MIN_PAUSE`].
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

    /// Returns whether every command has been rejected for so long that an operator may be working
    /// on the arm.
    pub(super) fn is_long(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= LONG_STREAK)
    }

    /// Returns when the pause ends or has ended.
    pub(super) fn pause_until(&self) -> Option<Instant> {
        self.pause_until
    }

    /// Returns the streak as an obstacle during the pause.
    pub(super) fn obstacle(&self, now: Instant) -> Option<Obstacle> {
        self.pause_until.filter(|until| now < *until).map(|_| Obstacle::ErrorReplies(self.count))
    }
}

/// If every command has been rejected for this long, an emergency stop may be active. Some
/// controllers do not report an emergency stop, and only reject commands.
pub(super) const LONG_STREAK: Duration = Duration::from_secs(30);
/// The least pause after a streak.
const MIN_PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;

    #[test]
    fn streak_at_the_limit_pauses_motion() {
        let (t, ms) = (Instant::now(), Duration::from_millis);
        let mut streak = RejectionStreak::default();
        streak.handle_rejected(t, 2, ms(800));
        assert_eq!((streak.obstacle(t), streak.pause_until()), (None, None));
        streak.handle_rejected(t, 2, ms(800));
        assert_eq!(streak.obstacle(t + ms(799)), Some(Obstacle::ErrorReplies(2)));
        assert_eq!(streak.obstacle(t + ms(800)), None);
        streak.handle_rejected(t + ms(900), 2, ms(100));
        assert_eq!(streak.obstacle(t + ms(1399)), Some(Obstacle::ErrorReplies(3)), "the least pause");
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
        assert_eq!(streak.obstacle(t), None, "the count starts from zero");
    }
}
