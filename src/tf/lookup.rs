//! The lookup of transforms for targets, and the queue of targets that wait for their transform.
//!
//! When transforms arrive, the lookup returns the newest waiting target that has its transform, and
//! discards all older targets. The queue must hold several targets. With a queue of one, each new
//! target would replace the waiting target. If the tracker is faster than `/tf`, no target would
//! then get its transform.

use std::collections::VecDeque;
use std::fmt::Display;
use std::time::{Duration, Instant};

use super::tree::{LookupError, TransformRejected, TransformStamped, Tree};
use crate::teleop::{Frame, InputFault, Stamp, Target, check_age};
use crate::text::sanitize_short;

/// A target that needs a transform.
#[derive(Debug, Clone, PartialEq)]
pub struct PendingTarget {
    frame_id: String,
    target: Target,
}

/// The settings of the lookup.
#[derive(Debug, Clone, PartialEq)]
pub struct LookupConfig {
    /// The base frame of the arm (`arm.base_frame`).
    pub base: String,
    /// The longest wait of a target for its transform.
    pub timeout: Duration,
    /// The largest age of a target. For a target without a stamp, also the largest age of its
    /// transform.
    pub input_timeout: Duration,
}

/// Finds the transforms of targets, and holds the targets that wait for their transform.
///
/// Call [`Lookup::poll`] after every [`Lookup::handle_transform`] and at [`Lookup::deadline`].
/// Repeat the call until it returns `None`.
#[derive(Debug)]
pub struct Lookup {
    config: LookupConfig,
    tree: Tree,
    /// The waiting targets, the oldest first.
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    target: PendingTarget,
    since: Instant,
    /// The deadline for the transform: after `tf.timeout`, or earlier if the target reaches
    /// `input.timeout` before.
    until: Instant,
}

impl PendingTarget {
    /// Creates a pending target. Its `header.frame_id` is neither the tracker's frame nor the arm's
    /// base frame.
    pub fn new(frame_id: &str, target: Target) -> Self {
        Self { frame_id: frame_id.to_owned(), target }
    }

    /// Returns the name of the target's frame.
    pub fn frame_id(&self) -> &str {
        &self.frame_id
    }
}

impl Lookup {
    /// Creates a lookup without frames.
    pub fn new(config: LookupConfig) -> Self {
        Self { config, tree: Tree::new(), waiting: VecDeque::new() }
    }

    /// Applies new settings. If the base frame changes, discards the waiting targets.
    pub fn handle_config(&mut self, config: LookupConfig) {
        if config.base != self.config.base {
            self.waiting.clear();
        }
        self.config = config;
    }

    /// Stores a transform. `ros_now` is the time of the node's clock in nanoseconds.
    ///
    /// # Errors
    /// The transform is rejected.
    pub fn handle_transform(&mut self, ros_now: i64, it: &TransformStamped) -> Result<(), TransformRejected> {
        self.handle_clock(ros_now);
        self.tree.handle_edge(it)
    }

    /// Records a target that needs no lookup, or a message that is not a target. Discards the
    /// waiting targets, because they are older.
    pub fn handle_other(&mut self) {
        self.waiting.clear();
    }

    /// Handles a target. Returns the target with its transform, the fault, or `None` if the target
    /// waits.
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
        // A stamp that is too old or in the future has no transform either. Check the stamp first,
        // because its fault is more precise.
        stamp.map_or(Ok(()), |stamp| check_age(stamp, input_timeout))?;
        let age = stamp.map_or(0, |stamp| u64::try_from(stamp.age()).unwrap_or(0));
        let left = input_timeout.saturating_sub(Duration::from_nanos(age));
        let waiting = Waiting { target, since: now, until: now + timeout.min(left) };
        match self.transform(now, &waiting) {
            Err(LookupError::Behind { .. }) if waiting.until > now && self.waiting.len() < MAX_WAITING => {
                self.waiting.push_back(waiting);
                Ok(None)
            }
            found => found.map(Some).map_err(|missing| self.no_transform(&waiting.target, &missing)),
        }
    }

    /// Returns the newest waiting target that has its transform now. If its lookup failed, or the
    /// oldest target has waited too long, returns the fault instead.
    pub fn poll(&mut self, now: Instant, ros_now: i64) -> Option<Result<Target, InputFault>> {
        self.handle_clock(ros_now);
        if let Some(first) = self.waiting.front()
            && now >= first.until
        {
            let fault = match self.transform(now, first) {
                Err(missing) => self.no_transform(&first.target, &missing),
                Ok(_) => self.no_transform(&first.target, &"it arrived later than tf.timeout"),
            };
            self.waiting.pop_front();
            return Some(Err(fault));
        }
        let (index, found) = (0..self.waiting.len()).rev().find_map(|index| {
            let found = self.transform(now, &self.waiting[index]);
            (!matches!(found, Err(LookupError::Behind { .. }))).then_some((index, found))
        })?;
        let decided = found.map_err(|missing| self.no_transform(&self.waiting[index].target, &missing));
        self.waiting.drain(..=index);
        Some(decided)
    }

    /// Returns the deadline of the oldest waiting target.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.front().map(|waiting| waiting.until)
    }

    fn handle_clock(&mut self, ros_now: i64) {
        if self.tree.handle_clock(ros_now) {
            self.waiting.clear();
        }
    }

    /// Returns a target with its transform. The age of the target is the largest of three: the age
    /// of its stamp now, the age of its transform, and the time that it waited.
    fn transform(&self, now: Instant, waiting: &Waiting) -> Result<Target, LookupError> {
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

/// The most waiting targets. No tracker sends more within `tf.timeout`. If the queue is full, a new
/// target is rejected.
const MAX_WAITING: usize = 256;

#[cfg(test)]
mod tests;
