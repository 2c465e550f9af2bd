//! Targets in frames that have to be looked up, and those of them that wait for their transform.
//!
//! Of the targets that wait, the newest that can be placed is, and all before it are dropped. One place to wait in would not
//! do, because with a tracker faster than `/tf` each target would push out the one before, and none would be placed.

use std::collections::VecDeque;
use std::fmt::Display;
use std::time::{Duration, Instant};

use super::tree::{LookupError, TransformRejected, TransformStamped, Tree};
use crate::teleop::{Frame, InputFault, Stamp, Target, check_age};
use crate::text::sanitize_short;

/// A target in a frame that has to be looked up.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingTarget {
    frame_id: String,
    target: Target,
}

/// What is set of the lookup.
#[derive(Debug, Clone, PartialEq)]
pub struct LookupConfig {
    /// `arm.base_frame`
    pub base: String,
    /// How long a target waits for its transform.
    pub timeout: Duration,
    /// How old a target, and a transform for one without a stamp, may be.
    pub input_timeout: Duration,
}

/// Places targets, and keeps those that wait for their transform.
///
/// Call [`Lookup::poll`] until it returns nothing, after every [`Lookup::handle_transform`] and at
/// [`Lookup::deadline`].
#[derive(Debug)]
pub struct Lookup {
    config: LookupConfig,
    tree: Tree,
    /// The oldest first.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    target: PendingTarget,
    since: Instant,
    /// When its transform has to be there: after `tf.timeout`, or what `input.timeout` leaves of the target's life.
    until: Instant,
}

impl PendingTarget {
    /// Takes a target whose `header.frame_id` is neither the tracker's frame nor the arm's base frame.
    pub fn new(frame_id: &str, target: Target) -> Self {
        Self { frame_id: frame_id.to_owned(), target }
    }

    /// Returns the name of its frame.
    pub fn frame_id(&self) -> &str {
        &self.frame_id
    }
}

impl Lookup {
    /// Makes a lookup that knows no frame yet.
    pub fn new(config: LookupConfig) -> Self {
        Self { config, tree: Tree::new(), waiting: VecDeque::new() }
    }

    /// Takes other settings. With another base frame no target waits any more.
    pub fn handle_config(&mut self, config: LookupConfig) {
        if config.base != self.config.base {
            self.waiting.clear();
        }
        self.config = config;
    }

    /// Takes a transform; `ros_now` is the node's clock in nanoseconds.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn handle_transform(&mut self, ros_now: i64, it: &TransformStamped) -> Result<(), TransformRejected> {
        self.handle_clock(ros_now);
        self.tree.handle_edge(it)
    }

    /// Records a target that needs no lookup, or a message that is no target: what waits is older, and no longer wanted.
    pub fn handle_other(&mut self) {
        self.waiting.clear();
    }

    /// Takes a target. Returns what it has come to, or nothing while it waits.
    pub fn handle_target(
        &mut self,
        now: Instant,
        ros_now: i64,
        target: PendingTarget,
    ) -> Option<Result<Target, InputFault>> {
        self.handle_clock(ros_now);
        let decided = self.decide(now, target).transpose()?;
        self.waiting.clear();
        Some(decided)
    }

    fn decide(&mut self, now: Instant, target: PendingTarget) -> Result<Option<Target>, InputFault> {
        let LookupConfig { timeout, input_timeout, .. } = self.config;
        let stamp = target.target.stamp;
        // A stamp that is too old or from the future finds no transform either, but is refused by its own name.
        stamp.map_or(Ok(()), |stamp| check_age(stamp, input_timeout))?;
        let age = stamp.map_or(0, |stamp| u64::try_from(stamp.age()).unwrap_or(0));
        let left = input_timeout.saturating_sub(Duration::from_nanos(age));
        let waiting = Waiting { target, since: now, until: now + timeout.min(left) };
        match self.place(now, &waiting) {
            Err(LookupError::Behind { .. }) if waiting.until > now && self.waiting.len() < MAX_WAITING => {
                self.waiting.push_back(waiting);
                Ok(None)
            }
            placed => placed.map(Some).map_err(|missing| self.no_transform(&waiting.target, &missing)),
        }
    }

    /// Returns the newest of the waiting targets that can be placed now, or why one that has waited for too long is refused.
    pub fn poll(&mut self, now: Instant, ros_now: i64) -> Option<Result<Target, InputFault>> {
        self.handle_clock(ros_now);
        if let Some(first) = self.waiting.front()
            && now >= first.until
        {
            let fault = match self.place(now, first) {
                Err(missing) => self.no_transform(&first.target, &missing),
                Ok(_) => self.no_transform(&first.target, &"it came later than tf.timeout"),
            };
            self.waiting.pop_front();
            return Some(Err(fault));
        }
        let (index, placed) = (0..self.waiting.len()).rev().find_map(|index| {
            let placed = self.place(now, &self.waiting[index]);
            (!matches!(placed, Err(LookupError::Behind { .. }))).then_some((index, placed))
        })?;
        let decided = placed.map_err(|missing| self.no_transform(&self.waiting[index].target, &missing));
        self.waiting.drain(..=index);
        Some(decided)
    }

    /// Returns when a target will have waited for too long.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.until)
    }

    fn handle_clock(&mut self, ros_now: i64) {
        if self.tree.handle_clock(ros_now) {
            self.waiting.clear();
        }
    }

    /// Returns a target placed. It is as old as its stamp says by now, or as its transform, or as the time that it waited.
    fn place(&self, now: Instant, waiting: &Waiting) -> Result<Target, LookupError> {
        let PendingTarget { frame_id, target } = &waiting.target;
        let LookupConfig { base, input_timeout, .. } = &self.config;
        let stamp = target.stamp.map(|stamp| Stamp { received: self.tree.clock(), ..stamp });
        let found = self.tree.find(base, frame_id, stamp.map(|stamp| stamp.taken), *input_timeout)?;
        let waited = target.stall + now.saturating_duration_since(waiting.since);
        let (frame, stall) = (Frame::Transformed(found.transform), waited.max(found.age));
        Ok(Target { frame, stamp, stall, ..*target })
    }

    fn no_transform(&self, target: &PendingTarget, why: &dyn Display) -> InputFault {
        InputFault::NoTransform {
            frame_id: sanitize_short(&target.frame_id).into(),
            base: sanitize_short(&self.config.base).into(),
            why: why.to_string().into(),
        }
    }
}

/// More targets than any tracker sends within `tf.timeout`: beyond that they are refused.
const MAX_WAITING: usize = 256;

#[cfg(test)]
mod tests;
