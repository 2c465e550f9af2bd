//! Detects several senders on one topic from the content of their messages.
//!
//! The graph shows how many nodes publish. The middleware does not always report the publisher of a
//! message. A publisher that never sends is harmless, for example an idle panel. The bridge must
//! not treat the targets of two publishers as one hand. Therefore, while the graph shows more than
//! one publisher, a [`SenderWatch`] looks for values that change back and forth:
//!
//! - The target jumps away from a position and later jumps back. A jump is long compared with the
//!   distance between two consecutive targets and with the noise of the stream.
//! - The kind of frame changes, or a stamp is present and then absent.
//! - A stamp is older than the stamp before it.
//! - A gripper message contradicts the previous gripper message.
//!
//! A change that happens once, or that lasts for a while, is not a sign. The hand may have moved,
//! or a planner may have sent its next goal.
//!
//! If two senders send at steady rates, messages of the faster sender lie between any two messages
//! of the slower sender. So the slower sender never sends many consecutive messages, and each of
//! its messages is one change and one change back.
//!
//! Invariants:
//! - With at most one publisher, this file never stops motion.
//! - Signs stop motion until there has been no sign for [`QUIET`].

use std::collections::VecDeque;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::arm::Gripper;
use crate::geometry::Position;
use crate::teleop::target::{Frame, Stamp, Target};

/// A change in the set of publishers of the bridge's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GraphNews {
    /// The publishers of targets, as text, if there is more than one.
    TargetPublishers(Option<Arc<str>>),
    /// The publishers of the gripper topic, as text, if there is more than one.
    GripperPublishers(Option<Arc<str>>),
    /// A node publishes on the gripper topic, and at the last graph poll no node did.
    GripperFound,
    /// A node that published on the gripper topic has left.
    GripperLeft,
    /// No node publishes on the gripper topic. A publisher may have joined and left between two
    /// graph polls.
    GripperAbsent,
}

/// Watches one topic for signs of two senders while the graph shows more than one publisher.
#[derive(Debug, Default)]
pub struct SenderWatch {
    /// The publishers, as text. `None` if there is at most one.
    publishers: Option<Arc<str>>,
    positions: Positions,
    /// The kind of frame of the targets, and whether they have a stamp.
    kinds: Alternation<(Discriminant<Frame>, bool)>,
    /// Whether messages are valid targets.
    readable: Alternation<bool>,
    gripper: Alternation<Gripper>,
    last_stamp: Option<i64>,
    /// Until when a publisher that the arm is not armed for counts as a second sender.
    other_until: Option<Instant>,
    signs: Signs,
    /// Signs that a single flickering tracker also gives from time to time.
    flickers: Signs,
}

impl SenderWatch {
    /// Records the publishers, if there is more than one. With one publisher, all signs are
    /// forgotten.
    pub fn handle_publishers(&mut self, several: Option<Arc<str>>) {
        match several {
            Some(_) => self.publishers = several,
            None => *self = Self::default(),
        }
    }

    /// Records a target. `position` is its position in the arm's base frame, if that is known.
    pub fn handle_target(&mut self, now: Instant, target: &Target, position: Option<Position>) {
        if self.publishers.is_none() {
            return;
        }
        let kind = self.kinds.changes_back((discriminant(&target.frame), target.stamp.is_some()));
        let position = position.is_some_and(|position| self.positions.jumps_back(now, position));
        let stamp = self.stamp_goes_back(target.stamp);
        self.signs.record(now, kind || position || stamp, SIGNS);
        self.flickers.record(now, self.readable.changes_back(true), FLICKERS);
    }

    /// Records a message that is not a valid target.
    pub fn handle_malformed(&mut self, now: Instant) {
        if self.publishers.is_some() {
            self.flickers.record(now, self.readable.changes_back(false), FLICKERS);
        }
    }

    /// Records that another publisher also sends, beside the publisher that the arm is armed for.
    pub fn handle_other_publisher(&mut self, now: Instant) {
        self.other_until = Some(now + QUIET);
        self.publishers.get_or_insert_with(|| UNKNOWN_PUBLISHERS.into());
    }

    /// Records the gripper state that a message requests.
    pub fn handle_gripper(&mut self, now: Instant, wanted: Gripper) {
        if self.publishers.is_some() {
            self.flickers.record(now, self.gripper.changes_back(wanted), FLICKERS);
        }
    }

    /// Returns the publishers, as text, if more than one of them sends.
    pub fn several(&self, now: Instant) -> Option<&Arc<str>> {
        self.publishers.as_ref().filter(|_| self.quiet_at().is_some_and(|quiet| now < quiet))
    }

    /// Returns when the signs of a second sender no longer stop motion.
    pub fn quiet_at(&self) -> Option<Instant> {
        self.signs.until.max(self.flickers.until).max(self.other_until)
    }

    fn stamp_goes_back(&mut self, stamp: Option<Stamp>) -> bool {
        let Some(stamp) = stamp else { return false };
        self.last_stamp.replace(stamp.taken).is_some_and(|last| stamp.taken < last)
    }
}

/// Signs of a second sender. If enough signs come within a certain time, there is a second sender.
/// It counts as present until there has been no sign for [`QUIET`].
#[derive(Debug, Default)]
struct Signs {
    /// The times of the last signs. The newest is first.
    at: [Option<Instant>; FLICKERS.0],
    until: Option<Instant>,
}

impl Signs {
    fn record(&mut self, now: Instant, is_sign: bool, (enough, within): (usize, Duration)) {
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

/// Detects a value that changes back and forth.
#[derive(Debug)]
struct Alternation<T> {
    value: Option<T>,
    /// How many consecutive messages have had this value, and how many had the value before it.
    run: u32,
    run_before: u32,
}

impl<T> Default for Alternation<T> {
    fn default() -> Self {
        Self { value: None, run: 0, run_before: 0 }
    }
}

impl<T: PartialEq> Alternation<T> {
    /// Records the next value. Returns whether the value has changed back after a short run.
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

/// The recent positions of targets, assigned to several hands.
#[derive(Debug, Default)]
struct Positions {
    /// The last positions, without exact repetitions. The newest is last.
    recent: VecDeque<Position>,
    hands: [Option<Hand>; HANDS],
    /// The index of the hand that sent the last target.
    current: usize,
}

#[derive(Debug, Clone, Copy)]
struct Hand {
    last: Position,
    seen: Instant,
    /// How many consecutive targets this hand has sent.
    run: u32,
}

impl Positions {
    /// Records the next position. Returns whether the target has jumped back to another hand after
    /// a short run.
    fn jumps_back(&mut self, now: Instant, position: Position) -> bool {
        let Some(here) = &mut self.hands[self.current] else {
            self.hands[self.current] = Some(Hand { last: position, seen: now, run: 1 });
            self.recent.push_back(position);
            return false;
        };
        let way = here.last.distance(position);
        let is_jump = way > LEAST_JUMP.max(JUMP_RATIO * noise(&self.recent));
        if self.recent.back() != Some(&position) {
            if self.recent.len() == RECENT {
                self.recent.pop_front();
            }
            self.recent.push_back(position);
        }
        if !is_jump {
            *here = Hand { last: position, seen: now, run: here.run + 1 };
            return false;
        }
        let run = here.run;
        let known = self.other_at(now, position, way / NEARER);
        self.current = known.unwrap_or_else(|| self.oldest_other());
        let before = self.hands[self.current].replace(Hand { last: position, seen: now, run: 1 });
        known.is_some() && before.is_some_and(|before| run.min(before.run) <= SHORT_RUN)
    }

    /// Returns the index of the hand nearest to a position, except the current hand. Only hands
    /// count that were seen within [`WITHIN`] and are within `within` metres.
    fn other_at(&self, now: Instant, position: Position, within: f64) -> Option<usize> {
        let near = |index: usize| {
            let hand = self.hands[index].filter(|hand| now.saturating_duration_since(hand.seen) <= WITHIN)?;
            Some(hand.last.distance(position)).filter(|distance| *distance <= within)
        };
        let others = (0..HANDS).filter(|index| *index != self.current);
        let found = others.filter_map(|index| near(index).map(|distance| (index, distance)));
        found.min_by(|one, other| one.1.total_cmp(&other.1)).map(|(index, _)| index)
    }

    /// Returns the index of the other hand that was seen longest ago, or never.
    fn oldest_other(&self) -> usize {
        let others = (0..HANDS).filter(|index| *index != self.current);
        others.min_by_key(|index| self.hands[*index].map(|hand| hand.seen)).unwrap_or_default()
    }
}

/// Returns the typical distance between consecutive targets of one hand, in metres.
///
/// With several senders the next target of the same hand may be up to [`LAGS`] messages later. So
/// this is the smallest of the median distances over 1 to [`LAGS`] messages. Returns 0 while there
/// are too few positions.
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

/// The time without a sign after which the arm may follow a sender again. It is longer than the
/// pause of a sender at 0.5 Hz. `ros2 topic pub` sends at 1 Hz.
const QUIET: Duration = Duration::from_secs(3);
/// The text for the publishers until the graph shows them.
const UNKNOWN_PUBLISHERS: &str = "2 publishers on the topic of targets";
/// Signs within this time come from two senders.
const WITHIN: Duration = Duration::from_secs(4);
/// How many signs are enough, and within which time. `FLICKERS` is for values that sometimes change
/// back and forth with a single tracker too.
const SIGNS: (usize, Duration) = (4, WITHIN);
const FLICKERS: (usize, Duration) = (8, Duration::from_secs(10));
/// A sender that alternates with another sender sends at most this many consecutive messages.
const SHORT_RUN: u32 = 3;
/// The least distance of a jump, in metres. The arm treats hands that are closer as one hand.
const LEAST_JUMP: f64 = 0.002;
/// A jump is at least this many times longer than the distance between consecutive targets of one
/// hand.
const JUMP_RATIO: f64 = 6.0;
/// After a jump, the target is at least this many times nearer to its new hand than to its old
/// hand.
const NEARER: f64 = 3.0;
/// How many hands a watch can distinguish.
const HANDS: usize = 4;
/// How many positions are used for the noise, and how many messages later the next target of the
/// same hand may be.
const RECENT: usize = 32;
const LAGS: usize = HANDS;
