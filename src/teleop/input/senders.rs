//! Several senders on one topic, distinguished from one sender by what they send.
//!
//! The graph says how many nodes publish, and a message does not say which of them sent it. A publisher that never sends,
//! such as an idle panel, does no harm; two that send must not be blended to one hand. So while the graph shows more than
//! one, a [`SenderWatch`] looks for signs of two senders: changes that go back and forth. Such are a place that the targets
//! leave by a leap and come back to by a leap, a frame or a stamp that is there and is not, a stamp older than the one
//! before, a word for the gripper that contradicts the last. A leap is long beside the way from one target to the next and
//! beside the stream's own noise. What changes once, or stays for a while, is no sign: a hand that is somewhere else now, a
//! planner's next goal.
//!
//! If two senders send at steady rates, messages of the faster lie between any two of the slower. So the slower never sends
//! many messages in a row, and each of its messages is one change there and one change back.
//!
//! Invariants:
//! - With at most one publisher nothing holds.
//! - Signs hold motion until there has been none for [`QUIET`].

use std::collections::VecDeque;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::arm::Gripper;
use crate::geometry::Position;
use crate::teleop::target::{Frame, Stamp, Target};

/// A change of who publishes the bridge's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GraphNews {
    /// Who publishes targets, in words, if it is more than one node.
    TargetPublishers(Option<Arc<str>>),
    /// Who publishes on the gripper's topic, in words, if it is more than one node.
    GripperPublishers(Option<Arc<str>>),
    /// A node publishes on the gripper's topic, and there was no such node before.
    GripperFound,
    /// A node that published on the gripper's topic has left.
    GripperLeft,
    /// No node publishes on the gripper's topic. One may have come and gone between two looks at the graph.
    GripperAbsent,
}

/// Watches one topic for signs of two senders, while the graph shows more than one publisher.
#[derive(Debug, Default)]
pub struct SenderWatch {
    /// Who publishes, in words; none while it is at most one.
    publishers: Option<Arc<str>>,
    places: Places,
    /// Which kind of frame the targets are in, and whether they are stamped.
    kinds: Alternation<(Discriminant<Frame>, bool)>,
    /// Whether messages are targets at all.
    readable: Alternation<bool>,
    words: Alternation<Gripper>,
    last_stamp: Option<i64>,
    /// Until when a publisher that the arm is not armed for counts as sending beside the one that it is armed for.
    stranger_until: Option<Instant>,
    signs: Signs,
    /// Signs that one flickering tracker gives now and then, too.
    flickers: Signs,
}

impl SenderWatch {
    /// Takes who publishes, if it is more than one. With one publisher left nothing is held, and nothing is remembered.
    pub fn handle_publishers(&mut self, several: Option<Arc<str>>) {
        match several {
            Some(_) => self.publishers = several,
            None => *self = Self::default(),
        }
    }

    /// Takes a target. `place` is where it is in the arm's base frame, if that is known.
    pub fn handle_target(&mut self, now: Instant, target: &Target, place: Option<Position>) {
        if self.publishers.is_none() {
            return;
        }
        let kind = self.kinds.changes_back((discriminant(&target.frame), target.stamp.is_some()));
        let place = place.is_some_and(|place| self.places.leaps_back(now, place));
        let stamp = self.stamp_goes_back(target.stamp);
        self.signs.note(now, kind || place || stamp, SIGNS);
        self.flickers.note(now, self.readable.changes_back(true), FLICKERS);
    }

    /// Notes a message that could not be read as a target.
    pub fn handle_malformed(&mut self, now: Instant) {
        if self.publishers.is_some() {
            self.flickers.note(now, self.readable.changes_back(false), FLICKERS);
        }
    }

    /// Takes that a publisher sends that the arm is not armed for, beside the one that it is armed for.
    pub fn handle_stranger(&mut self, now: Instant) {
        self.stranger_until = Some(now + QUIET);
        self.publishers.get_or_insert_with(|| STRANGER.into());
    }

    /// Takes what a message wants the gripper to be.
    pub fn handle_word(&mut self, now: Instant, word: Gripper) {
        if self.publishers.is_some() {
            self.flickers.note(now, self.words.changes_back(word), FLICKERS);
        }
    }

    /// Returns who publishes, in words, if more than one of them sends.
    pub fn several(&self, now: Instant) -> Option<&Arc<str>> {
        self.publishers.as_ref().filter(|_| self.quiet_at().is_some_and(|quiet| now < quiet))
    }

    /// Returns when there will have been no sign of a second sender for long enough.
    pub fn quiet_at(&self) -> Option<Instant> {
        self.signs.until.max(self.flickers.until).max(self.stranger_until)
    }

    fn stamp_goes_back(&mut self, stamp: Option<Stamp>) -> bool {
        let Some(stamp) = stamp else { return false };
        self.last_stamp.replace(stamp.taken).is_some_and(|last| stamp.taken < last)
    }
}

/// Signs of a second sender. Enough of them within some time are a second sender, until there has been none for [`QUIET`].
#[derive(Debug, Default)]
struct Signs {
    /// The last ones, the newest first.
    at: [Option<Instant>; FLICKERS.0],
    until: Option<Instant>,
}

impl Signs {
    fn note(&mut self, now: Instant, is_sign: bool, (enough, within): (usize, Duration)) {
        if !is_sign {
            return;
        }
        self.at.rotate_right(1);
        self.at[0] = Some(now);
        let first = self.at[enough - 1];
        let enough = first.is_some_and(|first| now.saturating_duration_since(first) <= within);
        if enough || self.until.is_some_and(|until| now < until) {
            self.until = Some(now + QUIET);
        }
    }
}

/// A value that goes back and forth.
#[derive(Debug)]
struct Alternation<T> {
    value: Option<T>,
    /// How many messages in a row have had this value, and how many had the one before.
    run: u32,
    run_before: u32,
}

impl<T> Default for Alternation<T> {
    fn default() -> Self {
        Self { value: None, run: 0, run_before: 0 }
    }
}

impl<T: PartialEq> Alternation<T> {
    /// Takes the next value. Returns whether it is a change back after a short run.
    fn changes_back(&mut self, value: T) -> bool {
        if self.value.as_ref() == Some(&value) {
            self.run += 1;
            return false;
        }
        let shorter = self.run.min(self.run_before);
        (self.run_before, self.run, self.value) = (self.run, 1, Some(value));
        (1..=SHORT_RUN).contains(&shorter)
    }
}

/// Where targets have been, as of several hands.
#[derive(Debug, Default)]
struct Places {
    /// The last places, the newest last, those left out that were exactly the one before.
    recent: VecDeque<Position>,
    hands: [Option<Hand>; HANDS],
    /// Which of them the last target was of.
    current: usize,
}

#[derive(Debug, Clone, Copy)]
struct Hand {
    last: Position,
    seen: Instant,
    /// How many targets of it came in a row.
    run: u32,
}

impl Places {
    /// Takes the next place. Returns whether the target has leapt back to where another hand was, after a short run.
    fn leaps_back(&mut self, now: Instant, place: Position) -> bool {
        let Some(here) = &mut self.hands[self.current] else {
            self.hands[self.current] = Some(Hand { last: place, seen: now, run: 1 });
            self.recent.push_back(place);
            return false;
        };
        let way = here.last.distance(place);
        let is_leap = way > LEAST_LEAP.max(LEAP * noise(&self.recent));
        if self.recent.back() != Some(&place) {
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(place);
        }
        if !is_leap {
            *here = Hand { last: place, seen: now, run: here.run + 1 };
            return false;
        }
        let run = here.run;
        let known = self.other_at(now, place, way / NEARER);
        self.current = known.unwrap_or_else(|| self.oldest_other());
        let before = self.hands[self.current].replace(Hand { last: place, seen: now, run: 1 });
        known.is_some() && before.is_some_and(|before| run.min(before.run) <= SHORT_RUN)
    }

    /// Returns the hand next to a place, other than the current one, if it was seen lately and is `within` metres.
    fn other_at(&self, now: Instant, place: Position, within: f64) -> Option<usize> {
        let near = |index: usize| {
            let hand = self.hands[index].filter(|hand| now.saturating_duration_since(hand.seen) <= WITHIN)?;
            Some(hand.last.distance(place)).filter(|distance| *distance <= within)
        };
        let others = (0..HANDS).filter(|index| *index != self.current);
        let found = others.filter_map(|index| near(index).map(|distance| (index, distance)));
        found.min_by(|one, other| one.1.total_cmp(&other.1)).map(|(index, _)| index)
    }

    /// Returns the other hand that was seen longest ago, or has not been seen at all.
    fn oldest_other(&self) -> usize {
        let others = (0..HANDS).filter(|index| *index != self.current);
        others.min_by_key(|index| self.hands[*index].map(|hand| hand.seen)).unwrap_or_default()
    }
}

/// Returns how far apart the targets of one hand are: the median way to the next one, whichever of the next few that is. 0
/// while there are too few to tell.
fn noise(recent: &VecDeque<Position>) -> f64 {
    if recent.len() <= LAGS {
        return 0.0;
    }
    let median = |lag: usize| {
        let pairs = recent.iter().zip(recent.iter().skip(lag));
        let mut ways: Vec<f64> = pairs.map(|(one, other)| one.distance(*other)).collect();
        ways.sort_unstable_by(f64::total_cmp);
        ways.get(ways.len().saturating_sub(1) / 2).copied()
    };
    (1..=LAGS).filter_map(median).reduce(f64::min).unwrap_or(0.0)
}

/// How long there must be no sign of a second sender until one is followed again. Longer than the pause of a sender at
/// 0.5 Hz; `ros2 topic pub` sends at 1 Hz.
const QUIET: Duration = Duration::from_secs(3);
/// Who publishes, while the graph does not tell yet.
const STRANGER: &str = "2 publishers on the topic of targets";
/// Within this time signs are of two senders.
const WITHIN: Duration = Duration::from_secs(4);
/// So many signs within such a time are enough: in general, and for a value that one tracker lets flicker.
const SIGNS: (usize, Duration) = (4, WITHIN);
const FLICKERS: (usize, Duration) = (8, Duration::from_secs(10));
/// A sender that another one interrupts sends no more messages in a row than this.
const SHORT_RUN: u32 = 3;
/// The shortest way that may be a leap, in metres. Closer hands are one hand to the arm.
const LEAST_LEAP: f64 = 0.002;
/// How much longer a leap is than the way from one target of a hand to the next.
const LEAP: f64 = 6.0;
/// How much nearer a target is to the hand it leaps back to than to the one it leaps from.
const NEARER: f64 = 3.0;
/// How many hands a watch distinguishes.
const HANDS: usize = 4;
/// How many places tell the noise, and how far ahead the next target of the same hand may be.
const RECENT: usize = 32;
const LAGS: usize = HANDS;
