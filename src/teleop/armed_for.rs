//! The publisher for which the arm is armed. The arm follows the targets of this publisher only.
//!
//! Invariants:
//! - While motion is allowed, the arm follows no target of another publisher, not even its first
//!   message.
//! - If another publisher sends while the chosen publisher is silent, motion is no longer allowed.
//!   Only an operator can allow it again.
//! - Before motion is allowed, the publisher may change. All checks of the hand then start from the
//!   beginning.

use std::time::{Duration, Instant};

use super::target::PublisherId;

/// Remembers the publisher for which motion is allowed.
#[derive(Debug, Default)]
pub(super) struct ArmedFor {
    /// `None` while motion is not allowed, and until the first target after that.
    publisher: Option<PublisherId>,
    /// Whether motion was allowed at the last call of [`ArmedFor::handle_armed`].
    armed: bool,
    /// The last publisher that the arm may follow, and when its last message came.
    last: Option<(PublisherId, Instant)>,
    /// When the last message of another publisher came.
    other_at: Option<Instant>,
}

/// How the publisher of a message relates to the publisher for which the arm is armed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The same publisher as before, or the middleware does not identify publishers.
    Known,
    /// A new publisher, while the arm is not armed for any publisher yet.
    New,
    /// Another publisher, while the chosen publisher is sending too.
    Stranger,
    /// Another publisher, while the chosen publisher is silent.
    Successor,
}

impl ArmedFor {
    /// Records whether motion is allowed (`armed`). If motion has just become allowed, chooses the
    /// publisher that is sending now. If no publisher or more than one is sending, chooses the
    /// publisher of the next message.
    pub fn handle_armed(&mut self, now: Instant, armed: bool) {
        if !std::mem::replace(&mut self.armed, armed) && armed {
            let alone = !self.other_at.is_some_and(|at| is_recent(now, at));
            let sends = self.last.filter(|(_, at)| alone && is_recent(now, *at));
            self.publisher = sends.map(|(publisher, _)| publisher);
        } else if !armed {
            self.release();
        }
    }

    /// Forgets the chosen publisher, because motion is no longer allowed.
    pub fn release(&mut self) {
        (self.publisher, self.armed) = (None, false);
    }

    /// Classifies the publisher of a message before the message is handled.
    pub fn judge(&mut self, now: Instant, publisher: Option<PublisherId>) -> Sender {
        let Some(publisher) = publisher else { return Sender::Known };
        if let (Some(owner), Some((_, at))) = (self.publisher, self.last)
            && owner != publisher
        {
            return if is_recent(now, at) { Sender::Stranger } else { Sender::Successor };
        }
        if self.armed {
            self.publisher = Some(publisher);
        }
        match self.last.replace((publisher, now)) {
            Some((last, _)) if last == publisher => Sender::Known,
            before => {
                self.other_at = before.map(|(_, at)| at);
                Sender::New
            }
        }
    }
}

/// Returns whether a publisher whose last message came at `at` still counts as sending.
fn is_recent(now: Instant, at: Instant) -> bool {
    now.saturating_duration_since(at) < SILENCE
}

/// After this silence of a publisher, another publisher counts as its successor.
const SILENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;

    const A: Option<PublisherId> = Some(PublisherId([1; 16]));
    const B: Option<PublisherId> = Some(PublisherId([2; 16]));

    #[test]
    fn publishers_come_and_go_before_arming() {
        let (mut armed_for, now) = (ArmedFor::default(), Instant::now());
        let senders = [A, A, B, None, B].map(|publisher| armed_for.judge(now, publisher));
        assert_eq!(senders, [Sender::New, Sender::Known, Sender::New, Sender::Known, Sender::Known]);
    }

    #[test]
    fn arming_chooses_the_sending_publisher() {
        let (mut armed_for, now) = (ArmedFor::default(), Instant::now());
        armed_for.judge(now, A);
        armed_for.handle_armed(now, true);
        assert_eq!(armed_for.judge(now, B), Sender::Stranger);
        assert_eq!(armed_for.judge(now, A), Sender::Known);
        assert_eq!(armed_for.judge(now + SILENCE, B), Sender::Successor);
        armed_for.handle_armed(now + SILENCE, false);
        assert_eq!(armed_for.judge(now + SILENCE, B), Sender::New);
    }

    #[test]
    fn arming_with_two_publishers_chooses_the_next() {
        let (mut armed_for, now) = (ArmedFor::default(), Instant::now());
        armed_for.judge(now, A);
        armed_for.judge(now, B);
        armed_for.handle_armed(now, true);
        assert_eq!(armed_for.judge(now, A), Sender::New);
        assert_eq!(armed_for.judge(now, B), Sender::Stranger);
        assert_eq!(armed_for.judge(now, A), Sender::Known);
    }

    #[test]
    fn arming_without_publisher_chooses_the_first() {
        let (mut armed_for, now) = (ArmedFor::default(), Instant::now());
        armed_for.judge(now, A);
        armed_for.handle_armed(now + SILENCE, true);
        assert_eq!(armed_for.judge(now + SILENCE, B), Sender::New);
        assert_eq!(armed_for.judge(now + SILENCE, A), Sender::Stranger);
    }
}
