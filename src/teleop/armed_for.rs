//! Whom the arm is armed for: the publisher of targets whose hand it follows.
//!
//! Invariants:
//! - While motion is allowed, no target of another publisher than that one is followed, from its first message on.
//! - If another publisher sends while that one is silent, the permission to move ends, and only a person gives it again.
//! - Before the permission publishers may come and go, and the hand of a new one has to prove itself from the beginning.

use std::time::{Duration, Instant};

use super::target::PublisherId;

/// The publisher that motion is allowed for.
#[derive(Debug, Default)]
pub(super) struct ArmedFor {
    /// None while motion is not allowed, or until the first target after that.
    publisher: Option<PublisherId>,
    /// Whether motion was allowed when that was last looked at.
    armed: bool,
    /// Who sent last, of those that may be followed, and when.
    last: Option<(PublisherId, Instant)>,
    /// When another one than that sent last.
    other_at: Option<Instant>,
}

/// What a message is, by who sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    /// The publisher of the message before, or the middleware does not tell publishers apart.
    Known,
    /// Another one, and the arm is armed for none yet.
    New,
    /// Another one than the arm is armed for, which sends too.
    Stranger,
    /// Another one than the arm is armed for, which is silent.
    Successor,
}

impl ArmedFor {
    /// Takes whether motion is allowed. If it has just become so, it is for the publisher that sends now. If none does, or
    /// several do, it is for the next that sends.
    pub fn handle_armed(&mut self, now: Instant, armed: bool) {
        if !std::mem::replace(&mut self.armed, armed) && armed {
            let alone = !self.other_at.is_some_and(|at| is_recent(now, at));
            let sends = self.last.filter(|(_, at)| alone && is_recent(now, *at));
            self.publisher = sends.map(|(publisher, _)| publisher);
        } else if !armed {
            self.release();
        }
    }

    /// Forgets for whom motion was allowed, because it is allowed no more.
    pub fn release(&mut self) {
        (self.publisher, self.armed) = (None, false);
    }

    /// Judges by who sent it a message that is about to be handled.
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

/// Returns whether a publisher that sent at this time still sends.
fn is_recent(now: Instant, at: Instant) -> bool {
    now.saturating_duration_since(at) < SILENCE
}

/// How long a publisher is silent before another one counts as its successor.
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
        let judged = [A, A, B, None, B].map(|publisher| armed_for.judge(now, publisher));
        assert_eq!(judged, [Sender::New, Sender::Known, Sender::New, Sender::Known, Sender::Known]);
    }

    #[test]
    fn arming_is_for_the_publisher_that_sends() {
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
    fn arming_while_two_send_is_for_the_next() {
        let (mut armed_for, now) = (ArmedFor::default(), Instant::now());
        armed_for.judge(now, A);
        armed_for.judge(now, B);
        armed_for.handle_armed(now, true);
        assert_eq!(armed_for.judge(now, A), Sender::New);
        assert_eq!(armed_for.judge(now, B), Sender::Stranger);
        assert_eq!(armed_for.judge(now, A), Sender::Known);
    }

    #[test]
    fn arming_before_any_publisher_is_for_the_first() {
        let (mut armed_for, now) = (ArmedFor::default(), Instant::now());
        armed_for.judge(now, A);
        armed_for.handle_armed(now + SILENCE, true);
        assert_eq!(armed_for.judge(now + SILENCE, B), Sender::New);
        assert_eq!(armed_for.judge(now + SILENCE, A), Sender::Stranger);
    }
}
