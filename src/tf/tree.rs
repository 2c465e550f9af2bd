//! The tree of frames: what is kept of `/tf` and `/tf_static`, what is not believed, and where a frame was when.

use std::collections::HashMap;
use std::time::Duration;

use transforms::errors::RegistryError;
use transforms::geometry::{Quaternion, Vector3};
use transforms::time::{Stamp, Timestamp};
use transforms::{Registry, Transform};

use crate::geometry::{self, Orientation};
use crate::teleop::strip_leading_slash;
use crate::text::sanitize_short;

/// Where one frame is in another, as a message says it.
#[derive(Debug, Clone, Copy)]
pub struct TransformStamped<'a> {
    /// `header.frame_id`
    pub parent: &'a str,
    /// `child_frame_id`
    pub child: &'a str,
    /// Nanoseconds of ROS time; none for one of `/tf_static`, which holds at any time.
    pub stamp: Option<i64>,
    /// In metres.
    pub translation: [f64; 3],
    /// x, y, z and w.
    pub rotation: [f64; 4],
}

/// Why a transform is not believed. Names are fit to print; times are in nanoseconds by the node's clock.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // each variant says what its fields are
pub enum TransformRejected {
    /// A frame without a name, or with one of absurd length.
    #[error("one of its frames has no name, or one of more than {MAX_NAME} bytes")]
    Name,
    /// A frame that is its own parent.
    #[error("it is its own parent")]
    SelfParent,
    /// Numbers that are no transform, as they came.
    #[error(
        "its numbers are no transform: translation {translation:?}, rotation {rotation:?} (x, y, z, w), which must be a \
         unit quaternion"
    )]
    Numbers { translation: [f64; 3], rotation: [f64; 4] },
    /// The frame would be its own ancestor.
    #[error("its parent '{parent}' is its own descendant")]
    Cycle { parent: String },
    /// Two broadcasters that do not agree. The parent `before` is the one that is believed.
    #[error("its parent is '{parent}' now and was '{before}' just before; two broadcasters?")]
    SecondParent { parent: String, before: String },
    /// A transform of `/tf` for a frame of `/tf_static`, or the other way round.
    #[error("it comes on /tf and on /tf_static")]
    FixedAndMoving,
    /// A stamp that no target can need any more.
    #[error(
        "its stamp is {:.1} s old, more than {:.0} s; {}", seconds(*.age), HISTORY.as_secs_f64(), clock_hint(*.age)
    )]
    TooOld { age: i64 },
    /// A stamp from the future.
    #[error(
        "its stamp is {:.1} s in the future, more than {:.0} s; {}", seconds(*.ahead), MAX_AHEAD.as_secs_f64(),
        clock_hint(*.ahead)
    )]
    Ahead { ahead: i64 },
    /// More frames than are kept.
    #[error("there are {MAX_FRAMES} frames already")]
    TooMany,
}

/// Why it is not known where a frame is. Names are fit to print; `by` is in nanoseconds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum LookupError {
    /// No broadcaster sends the frame.
    #[error("neither /tf nor /tf_static has '{frame}'")]
    Unknown { frame: String },
    /// There is no way between the two.
    #[error("/tf and /tf_static do not connect the two")]
    Unconnected,
    /// The frame's transform for the stamp may yet come: nothing is extrapolated.
    #[error("the newest of '{frame}' is {:.3} s older than the stamp", seconds(*.by))]
    Behind { frame: String, by: i64 },
    /// The stamp is older than all that is kept.
    #[error("the oldest of '{frame}' is {:.3} s newer than the stamp", seconds(*.by))]
    Before { frame: String, by: i64 },
    /// Without a stamp, the newest is wanted, and it is too old.
    #[error("the newest of '{frame}' is {:.3} s old, more than input.timeout", age.as_secs_f64())]
    Old { frame: String, age: Duration },
    /// The frame is one of two on the way that are never known at the same time.
    #[error("'{frame}' is not known at any time at which the others are")]
    NeverTogether { frame: String },
    /// The numbers on the way lead nowhere.
    #[error("the transforms on the way do not multiply: {0}")]
    Numbers(String),
}

/// Where a frame is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    /// In the base frame.
    pub transform: geometry::Transform,
    /// How old that is, if the newest was asked for.
    pub age: Duration,
}

/// The frames, and where they were in the last ten seconds.
#[derive(Debug)]
pub(super) struct Tree {
    registry: Registry,
    frames: HashMap<String, Frame>,
    /// The last reading of the node's clock, in nanoseconds.
    clock: i64,
}

/// What the registry does not tell of a frame.
#[derive(Debug)]
struct Frame {
    parent: String,
    /// The stamp of its newest transform; none for a fixed one.
    newest: Option<i64>,
}

impl Tree {
    /// Makes a tree without a frame.
    pub(super) fn new() -> Self {
        Self { registry: Registry::with_max_age(HISTORY), frames: HashMap::new(), clock: 0 }
    }

    /// Takes a reading of the node's clock, in nanoseconds. Returns whether time has jumped back, as it does when a
    /// simulation is started again. Then it is forgotten where frames were, except fixed ones.
    pub(super) fn handle_clock(&mut self, ros_now: i64) -> bool {
        let jumped = ros_now < self.clock;
        if jumped {
            self.forget(|frame| frame.newest.is_some());
        }
        self.clock = ros_now;
        jumped
    }

    /// Returns the last reading of the node's clock, in nanoseconds.
    pub(super) fn clock(&self) -> i64 {
        self.clock
    }

    /// Takes a transform, or returns why it is not believed: then nothing has changed. A transform that is not newer than
    /// what is known of its frame is passed over, and so is one of `/tf` before simulated time has begun.
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

    /// Returns where `frame` was in `base` at a stamp, interpolated, or why that is not known. Without a stamp: where it is
    /// by the newest time that all transforms on the way can tell of, which may be `max_age` ago.
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

    /// Returns the newest time that all transforms on the way can tell of, but not one in the future, and how long ago it is.
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
        // A moment later it is known no more because of the one that is late.
        let later = Timestamp::from_nanos(newest.as_nanos().saturating_add(1));
        let late = match self.registry.get_transform(base, frame, later) {
            Err(RegistryError::NotFoundAt { frame: late, .. }) => late,
            _ => frame.to_owned(),
        };
        Err(LookupError::Old { frame: sanitize_short(&late), age })
    }

    /// Returns whether a transform with this stamp can place a target that may yet come.
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

    /// Makes room for a frame that is new, has another parent, or is fixed and was moving, or the other way round. What is
    /// known of a moving frame is believed while it is recent; a fixed frame that is fixed elsewhere is there.
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

    /// Returns whether a frame hangs below another.
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

/// A rotation brought to unit length, if it is nearly so: tf2 takes what is off by more than what the registry does.
fn unit(xyzw: [f64; 4]) -> Option<Quaternion> {
    Orientation::new(xyzw).ok()?;
    let [x, y, z, w] = xyzw;
    Quaternion::from_wxyz(w, x, y, z).normalize().ok()
}

/// Before the epoch there is nothing.
fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
}

fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

fn seconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 * 1e-9
}

/// Returns what to look at if a stamp is so many nanoseconds off. Only clocks of different kinds are off by a day.
fn clock_hint(off: i64) -> &'static str {
    if off.unsigned_abs() > 24 * 60 * 60 * 1_000_000_000 {
        "is use_sim_time the same at its broadcaster and here?"
    } else {
        "are the clocks of the machines synchronised?"
    }
}

/// How long it is kept where a frame was: as long as the longest `input.timeout`.
const HISTORY: Duration = Duration::from_secs(10);
/// How far ahead of the node's clock a stamp on `/tf` may be. Localisation stamps its frame up to a second ahead. What is
/// farther ahead comes from a wrong clock, and would be the newest for as long.
const MAX_AHEAD: Duration = Duration::from_secs(2);
/// Transforms of one frame closer together than this are one, because that bounds what is kept.
const RESOLUTION: Duration = Duration::from_millis(1);
/// Between two transforms farther apart than this nothing is interpolated, because the frame may have been anywhere.
const MAX_GAP: Duration = Duration::from_secs(1);
/// More frames than any robot has.
const MAX_FRAMES: usize = 1000;
const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests;
