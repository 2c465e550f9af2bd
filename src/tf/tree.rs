//! The tree of frames. It stores the transforms of `/tf` and `/tf_static`, rejects invalid ones,
//! and returns the transform of a frame at a time.

use std::collections::HashMap;
use std::time::Duration;

use transforms::errors::RegistryError;
use transforms::geometry::{Quaternion, Vector3};
use transforms::time::{Stamp, Timestamp};
use transforms::{Registry, Transform};

use crate::geometry::{self, Orientation};
use crate::teleop::strip_leading_slash;
use crate::text::sanitize_short;

/// A transform as in a message: the pose of the child frame in the parent frame.
#[derive(Debug, Clone, Copy)]
pub struct TransformStamped<'a> {
    /// The parent frame (`header.frame_id`).
    pub parent: &'a str,
    /// The child frame (`child_frame_id`).
    pub child: &'a str,
    /// The stamp in nanoseconds of ROS time. `None` for a transform of `/tf_static`, which is valid
    /// at any time.
    pub stamp: Option<i64>,
    /// The translation in metres.
    pub translation: [f64; 3],
    /// The rotation as a quaternion: x, y, z and w.
    pub rotation: [f64; 4],
}

/// Why a transform is rejected. Names are sanitized. Times are in nanoseconds by the node's clock.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // the documentation of each variant names its fields
pub enum TransformRejected {
    /// A frame has no name, or its name is too long.
    #[error("one of its frames has no name, or a name of more than {MAX_NAME} bytes")]
    Name,
    /// The frame is its own parent.
    #[error("it is its own parent")]
    SelfParent,
    /// The numbers are not a transform. Has the received numbers.
    #[error(
        "its numbers are not a transform: translation {translation:?}, rotation {rotation:?} (x, y, z, w), which must be a \
         unit quaternion"
    )]
    Numbers { translation: [f64; 3], rotation: [f64; 4] },
    /// The frame would be its own ancestor.
    #[error("its parent '{parent}' is its own descendant")]
    Cycle { parent: String },
    /// Two broadcasters send different parents. The tree keeps the parent `before`.
    #[error("its parent is '{parent}' now and was '{before}' just before; two broadcasters?")]
    SecondParent { parent: String, before: String },
    /// The frame has transforms on both `/tf` and `/tf_static`.
    #[error("it comes on /tf and on /tf_static")]
    FixedAndMoving,
    /// The stamp is so old that no target can need the transform.
    #[error(
        "its stamp is {:.1} s old, more than {:.0} s; {}", seconds(*.age), HISTORY.as_secs_f64(), clock_hint(*.age)
    )]
    TooOld { age: i64 },
    /// The stamp is too far in the future.
    #[error(
        "its stamp is {:.1} s in the future, more than {:.0} s; {}", seconds(*.ahead), MAX_AHEAD.as_secs_f64(),
        clock_hint(*.ahead)
    )]
    Ahead { ahead: i64 },
    /// The tree is full.
    #[error("there are {MAX_FRAMES} frames already")]
    TooMany,
}

/// Why the lookup of a transform failed. Names are sanitized. `by` is in nanoseconds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum LookupError {
    /// The tree does not have the frame.
    #[error("neither /tf nor /tf_static has '{frame}'")]
    Unknown { frame: String },
    /// No chain of transforms connects the two frames.
    #[error("/tf and /tf_static do not connect the two frames")]
    Unconnected,
    /// The stamp is newer than the frame's newest transform. The tree never extrapolates, but a
    /// newer transform may still arrive.
    #[error("the newest transform of '{frame}' is {:.3} s older than the stamp", seconds(*.by))]
    Behind { frame: String, by: i64 },
    /// The stamp is older than the frame's oldest stored transform.
    #[error("the oldest transform of '{frame}' is {:.3} s newer than the stamp", seconds(*.by))]
    Before { frame: String, by: i64 },
    /// The target has no stamp, and the newest transform is too old.
    #[error("the newest transform of '{frame}' is {:.3} s old, more than input.timeout", age.as_secs_f64())]
    Old { frame: String, age: Duration },
    /// The stored transforms of the chain's frames have no common time.
    #[error("'{frame}' and the other frames have no transforms of the same time")]
    NeverTogether { frame: String },
    /// The transforms of the chain give numbers that are not valid.
    #[error("the transforms between the frames cannot be combined: {0}")]
    Numbers(String),
}

/// The result of a lookup.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    /// The pose of the frame in the base frame.
    pub transform: geometry::Transform,
    /// The age of the transform if the lookup had no stamp, otherwise zero.
    pub age: Duration,
}

/// The frames, and their transforms of the last ten seconds.
#[derive(Debug)]
pub(super) struct Tree {
    registry: Registry,
    frames: HashMap<String, Frame>,
    /// The last time of the node's clock, in nanoseconds.
    clock: i64,
}

/// Data of a frame that the registry (of the crate `transforms`) has but does not return.
#[derive(Debug)]
struct Frame {
    parent: String,
    /// The stamp of the newest transform, or `None` for a fixed frame.
    newest: Option<i64>,
}

impl Tree {
    /// Creates an empty tree.
    pub(super) fn new() -> Self {
        Self { registry: Registry::with_max_age(HISTORY), frames: HashMap::new(), clock: 0 }
    }

    /// Sets the time of the node's clock, in nanoseconds. Returns whether time has jumped back,
    /// which happens when a simulation restarts. In this case the tree forgets all frames that are
    /// not fixed.
    pub(super) fn handle_clock(&mut self, ros_now: i64) -> bool {
        let jumped = ros_now < self.clock;
        if jumped {
            self.forget(|frame| frame.newest.is_some());
        }
        self.clock = ros_now;
        jumped
    }

    /// Returns the last time of the node's clock, in nanoseconds.
    pub(super) fn clock(&self) -> i64 {
        self.clock
    }

    /// Stores a transform. Ignores a transform that is not newer than the newest of its frame. Also
    /// ignores a transform of `/tf` before simulated time has begun.
    ///
    /// # Errors
    /// The transform is rejected, and the tree has not changed.
    pub(super) fn handle_edge(&mut self, edge: &TransformStamped) -> Result<(), TransformRejected> {
        let (parent, child) = (strip_leading_slash(edge.parent), strip_leading_slash(edge.child));
        if [parent, child].iter().any(|name| name.is_empty() || name.len() > MAX_NAME) {
            return Err(TransformRejected::Name);
        }
        if parent == child {
            return Err(TransformRejected::SelfParent);
        }
        let numbers =
            || TransformRejected::Numbers { translation: edge.translation, rotation: edge.rotation };
        let is_finite = edge.translation.iter().all(|coordinate| coordinate.is_finite());
        let rotation = unit(edge.rotation).filter(|_| is_finite).ok_or_else(numbers)?;
        if let Some(stamp) = edge.stamp
            && !self.is_of_use(stamp, child)?
        {
            return Ok(());
        }
        self.make_way_for(parent, child, edge.stamp)?;
        let newest = self.frames.get(child).and_then(|frame| frame.newest);
        if let (Some(newest), Some(stamp)) = (newest, edge.stamp)
            && stamp.saturating_sub(newest) > nanoseconds(MAX_GAP)
        {
            self.registry.remove_frame(child);
        }
        let [x, y, z] = edge.translation;
        let stamp = edge.stamp.map_or(Stamp::Static, |stamp| Stamp::At(timestamp(stamp)));
        Transform::new(parent, child, Vector3::new(x, y, z), rotation, stamp)
            .map_err(RegistryError::from)
            .and_then(|transform| self.registry.add_transform(transform))
            .map_err(|error| match error {
                RegistryError::CycleDetected => TransformRejected::Cycle { parent: sanitize_short(parent) },
                _ => numbers(),
            })?;
        self.frames.insert(child.to_owned(), Frame { parent: parent.to_owned(), newest: edge.stamp });
        Ok(())
    }

    /// Returns the interpolated transform from `frame` to `base` at a stamp. Without a stamp,
    /// returns the transform at the newest time that all transforms of the chain have, at most
    /// `max_age` ago.
    ///
    /// # Errors
    /// The tree does not have this transform.
    pub(super) fn find(
        &self,
        base: &str,
        frame: &str,
        stamp: Option<i64>,
        max_age: Duration,
    ) -> Result<Found, LookupError> {
        let (base, frame) = (strip_leading_slash(base), strip_leading_slash(frame));
        let (at, age) = match stamp {
            Some(stamp) => (timestamp(stamp), Duration::ZERO),
            None => self.newest(base, frame, max_age)?,
        };
        let found = self.registry.get_transform(base, frame, at).map_err(missing)?;
        let (translation, rotation) = (found.translation(), found.rotation());
        let translation = [translation.x, translation.y, translation.z];
        let rotation = [rotation.x, rotation.y, rotation.z, rotation.w];
        Ok(Found { transform: geometry::Transform::new(translation, rotation), age })
    }

    /// Returns the newest time that all transforms of the chain have, and its age. Returns the
    /// present time if this time is in the future.
    fn newest(
        &self,
        base: &str,
        frame: &str,
        max_age: Duration,
    ) -> Result<(Timestamp, Duration), LookupError> {
        let now = timestamp(self.clock);
        let common = self.registry.latest_common_time(base, frame).map_err(missing)?;
        let newest = common.at().map_or(now, |newest| newest.min(now));
        let age = Duration::from_nanos(now.as_nanos() - newest.as_nanos());
        if age <= max_age {
            return Ok((newest, age));
        }
        // A lookup one nanosecond later fails because of the late frame, and its error names this
        // frame.
        let later = Timestamp::from_nanos(newest.as_nanos().saturating_add(1));
        let late = match self.registry.get_transform(base, frame, later) {
            Err(RegistryError::NotFoundAt { frame: late, .. }) => late,
            _ => frame.to_owned(),
        };
        Err(LookupError::Old { frame: sanitize_short(&late), age })
    }

    /// Returns whether a transform with this stamp can be useful for a target.
    fn is_of_use(&self, stamp: i64, child: &str) -> Result<bool, TransformRejected> {
        if self.clock == 0 {
            return Ok(false);
        }
        let age = self.clock.saturating_sub(stamp);
        if age > nanoseconds(HISTORY) {
            return Err(TransformRejected::TooOld { age });
        }
        if age < -nanoseconds(MAX_AHEAD) {
            return Err(TransformRejected::Ahead { ahead: age.saturating_neg() });
        }
        let newest = self.frames.get(child).and_then(|frame| frame.newest);
        Ok(newest.is_none_or(|newest| stamp.saturating_sub(newest) >= nanoseconds(RESOLUTION)))
    }

    /// Prepares the tree for a transform of a new frame, or of a frame with a different parent, or
    /// of a moving frame that becomes fixed.
    ///
    /// # Errors
    /// The tree is full, or the new parent makes a cycle. A moving frame with a recent transform
    /// must not change its parent or become fixed. A fixed frame must not become moving.
    fn make_way_for(
        &mut self,
        parent: &str,
        child: &str,
        stamp: Option<i64>,
    ) -> Result<(), TransformRejected> {
        let oldest = self.clock.saturating_sub(nanoseconds(HISTORY));
        let Some(known) = self.frames.get(child) else {
            if self.frames.len() >= MAX_FRAMES {
                self.forget(|frame| frame.newest.is_some_and(|newest| newest < oldest));
            }
            return if self.frames.len() < MAX_FRAMES { Ok(()) } else { Err(TransformRejected::TooMany) };
        };
        let is_dead = known.newest.is_some_and(|newest| newest < oldest);
        if known.newest.is_some() != stamp.is_some() && !is_dead {
            return Err(TransformRejected::FixedAndMoving);
        }
        if known.parent == parent && known.newest.is_some() == stamp.is_some() {
            return Ok(());
        }
        if known.newest.is_some() && !is_dead {
            let (parent, before) = (sanitize_short(parent), sanitize_short(&known.parent));
            return Err(TransformRejected::SecondParent { parent, before });
        }
        if self.is_below(parent, child) {
            return Err(TransformRejected::Cycle { parent: sanitize_short(parent) });
        }
        self.registry.remove_frame(child);
        self.frames.remove(child);
        Ok(())
    }

    /// Returns whether a frame is a descendant of another frame.
    fn is_below(&self, frame: &str, other: &str) -> bool {
        let parent = |name: &str| self.frames.get(name).map(|frame| frame.parent.as_str());
        std::iter::successors(parent(frame), |name| parent(name)).any(|name| name == other)
    }

    fn forget(&mut self, which: impl Fn(&Frame) -> bool) {
        let (registry, frames) = (&mut self.registry, &mut self.frames);
        frames.retain(|name, frame| {
            let forgotten = which(frame);
            if forgotten {
                registry.remove_frame(name);
            }
            !forgotten
        });
    }
}

fn missing(error: RegistryError) -> LookupError {
    match error {
        RegistryError::UnknownFrame(frame) => LookupError::Unknown { frame: sanitize_short(&frame) },
        RegistryError::Disconnected { .. } => LookupError::Unconnected,
        RegistryError::NotFoundAt { frame, requested, covered: Some((start, end)), .. } => {
            let frame = sanitize_short(&frame);
            let apart = |one: Timestamp, other: Timestamp| {
                i64::try_from(one.as_nanos().saturating_sub(other.as_nanos())).unwrap_or(i64::MAX)
            };
            if requested > end {
                LookupError::Behind { frame, by: apart(requested, end) }
            } else {
                LookupError::Before { frame, by: apart(start, requested) }
            }
        }
        RegistryError::NoCommonTime { frame, .. } | RegistryError::NotFoundAt { frame, .. } => {
            LookupError::NeverTogether { frame: sanitize_short(&frame) }
        }
        other => LookupError::Numbers(sanitize_short(&other.to_string())),
    }
}

/// Returns a rotation with length exactly 1, if its length is nearly 1. tf2 accepts a larger
/// deviation from 1 than the registry.
fn unit(xyzw: [f64; 4]) -> Option<Quaternion> {
    Orientation::new(xyzw).ok()?;
    let [x, y, z, w] = xyzw;
    Quaternion::from_wxyz(w, x, y, z).normalize().ok()
}

/// Converts nanoseconds to a timestamp. A negative time becomes zero.
fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn seconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 * 1e-9
}

/// Returns what to check if a stamp is wrong by this many nanoseconds. A difference of more than a
/// day only occurs between clocks of different kinds.
fn clock_hint(off: i64) -> &'static str {
    if off.unsigned_abs() > 24 * 60 * 60 * 1_000_000_000 {
        "is use_sim_time the same at its broadcaster and here?"
    } else {
        "are the clocks of the machines synchronised?"
    }
}

/// The time for which transforms are stored. It equals the largest `input.timeout`.
const HISTORY: Duration = Duration::from_secs(10);
/// The largest time by which a stamp on `/tf` may be ahead of the node's clock. Localisation nodes
/// stamp their frame up to a second ahead. A larger difference comes from a wrong clock. Without
/// this limit, such a transform would remain the newest one for that time.
const MAX_AHEAD: Duration = Duration::from_secs(2);
/// The smallest time between two stored transforms of a frame. It limits the number of stored
/// transforms.
const RESOLUTION: Duration = Duration::from_millis(1);
/// The largest time between two transforms for interpolation. In a longer gap the frame may have
/// been anywhere.
const MAX_GAP: Duration = Duration::from_secs(1);
/// The most frames in the tree. No robot has more.
const MAX_FRAMES: usize = 1000;
/// The longest name of a frame in bytes.
const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests;
