//! One sample of the operator's hand.
//!
//! Invariant: the coordinates are finite and the orientation is a unit quaternion. Their types
//! guarantee this.

use std::time::Duration;

use super::input_fault::{ClockCause, InputFault};
use crate::arm::Gripper;
use crate::geometry::{Orientation, Position, Transform};

/// The requested position of the tool centre point, from the hand or from an inverse-kinematics
/// node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The position in `frame`, in metres.
    pub position: Position,
    /// The orientation of the hand, in `frame`, if the message contains one.
    pub orientation: Option<Orientation>,
    /// The frame of the position.
    pub frame: Frame,
    /// When the sender took the sample, if the message has a stamp.
    pub stamp: Option<Stamp>,
    /// The gripper value in the same message, if there is one. It counts only if the target is
    /// good.
    pub gripper: Option<GripperInput>,
    /// How long the message may have waited in this process. If the process was stopped or got no
    /// processor time, a target looks newer than it is.
    pub stall: Duration,
    /// The publisher of the message, if the middleware reports it.
    pub publisher: Option<PublisherId>,
}

/// The identity of a publisher in the middleware. A restarted publisher has a new identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublisherId(pub [u8; 16]);

impl Target {
    /// Returns whether every coordinate is zero.
    pub fn is_zero(&self) -> bool {
        self.position.coordinates() == [0.0; 3]
    }

    /// Creates a target from coordinates in metres in the tracker's frame.
    ///
    /// # Errors
    /// [`InputFault::Position`] if the coordinates are not a valid position.
    pub fn new(x: f64, y: f64, z: f64, stamp: Option<Stamp>) -> Result<Self, InputFault> {
        let position = Position::new(x, y, z)?;
        let (frame, stall) = (Frame::Tracker, Duration::ZERO);
        Ok(Self { position, orientation: None, frame, stamp, gripper: None, stall, publisher: None })
    }
}

/// A sender's stamp, and the time on the same clock at receipt. Both are in nanoseconds of ROS
/// time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// `header.stamp`.
    pub taken: i64,
    /// The time on the node's ROS clock when the message arrived.
    pub received: i64,
    /// Whether this clock is simulated (`use_sim_time`).
    pub simulated: bool,
}

impl Stamp {
    /// Returns the age of the sample at receipt, in nanoseconds. It is negative if the stamp is in
    /// the future.
    pub fn age(self) -> i64 {
        self.received.saturating_sub(self.taken)
    }

    /// Returns the likely cause of the difference between this stamp and the node's clock.
    pub fn cause(self) -> ClockCause {
        let ahead = self.age() < 0;
        match (self.age().unsigned_abs() > A_DAY.as_nanos() as u64, self.simulated, ahead) {
            (false, ..) => ClockCause::NotSynchronised,
            (true, true, true) => ClockCause::SenderOnSystemTime,
            (true, false, false) => ClockCause::SenderOnSimulatedTime,
            (true, simulated, _) => ClockCause::OfAnotherDay { simulated },
        }
    }
}

/// One sample of gripper input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GripperInput {
    /// The requested state.
    Wanted(Gripper),
    /// The distance between the fingers, from 0 (closed) to 1 (open).
    Opening(f64),
}

impl GripperInput {
    /// The value for a hand that is not visible: an opening that is not a number, so it requests
    /// nothing.
    pub const UNSEEN: Self = Self::Opening(f64::NAN);
}

/// The frames that a target can be in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Frame {
    /// The tracker's frame. [`Retarget`](super::Retarget) transforms the target.
    Tracker,
    /// The arm's base frame. The target is used without a transform.
    Base,
    /// Another frame, with its transform from TF. The position stays in this frame, because the
    /// checks for zeros and repetitions apply to the untransformed values.
    Transformed(Transform),
}

/// The names of the two known frames of targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frames {
    /// The tracker's frame. Empty if it has no name.
    pub tracker: String,
    /// The arm's base frame.
    pub base: String,
}

impl Frames {
    /// Returns the frame that `header.frame_id` names. `None` if it is neither of the two. An empty
    /// name means the tracker's frame.
    pub fn resolve(&self, frame_id: &str) -> Option<Frame> {
        let frame_id = strip_leading_slash(frame_id);
        if frame_id.is_empty() || frame_id == strip_leading_slash(&self.tracker) {
            Some(Frame::Tracker)
        } else {
            (frame_id == strip_leading_slash(&self.base)).then_some(Frame::Base)
        }
    }

    /// Returns the fault for an unknown frame. `frame_id` must be safe to print.
    pub fn unknown(&self, frame_id: &str) -> InputFault {
        InputFault::UnknownFrame { frame_id: frame_id.into(), base: self.base.as_str().into() }
    }
}

/// Returns the name of a frame without the leading slash that old senders add. tf2 treats names in
/// the same way.
pub fn strip_leading_slash(frame_id: &str) -> &str {
    frame_id.strip_prefix('/').unwrap_or(frame_id)
}

/// If two clocks differ by more than this, a missing synchronisation is not the cause.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_is_resolved_or_refused_with_its_name() {
        let frames = Frames { tracker: "camera".into(), base: "arm_base".into() };
        assert_eq!(frames.resolve("camera"), Some(Frame::Tracker));
        assert_eq!(frames.resolve(""), Some(Frame::Tracker));
        assert_eq!(frames.resolve("arm_base"), Some(Frame::Base));
        assert_eq!(frames.resolve("/camera"), Some(Frame::Tracker));
        assert_eq!(frames.resolve("/arm_base"), Some(Frame::Base));
        assert_eq!(frames.resolve("map"), None);
        let refused = frames.unknown("map").to_string();
        assert!(refused.contains("'map'") && refused.contains("'arm_base'"), "{refused}");
    }

    #[test]
    fn large_clock_difference_means_different_clock_kinds() {
        const SECOND: i64 = 1_000_000_000;
        let cause = |taken: i64, received: i64, simulated| {
            Stamp { taken: taken * SECOND, received: received * SECOND, simulated }.cause()
        };
        let (wall, yesterday) = (1_795_767_257, 1_795_767_257 - 100_000);
        assert_eq!(cause(wall, 100, true), ClockCause::SenderOnSystemTime);
        // The stamps of a recording show the time at which the recording was made.
        assert_eq!(cause(wall, yesterday, true), ClockCause::SenderOnSystemTime);
        assert_eq!(cause(100, wall, false), ClockCause::SenderOnSimulatedTime);
        assert_eq!(cause(yesterday, wall, false), ClockCause::SenderOnSimulatedTime);
        assert_eq!(cause(100, wall, true), ClockCause::OfAnotherDay { simulated: true });
        assert_eq!(cause(wall, yesterday, false), ClockCause::OfAnotherDay { simulated: false });
        for simulated in [false, true] {
            assert_eq!(cause(wall - 3600, wall, simulated), ClockCause::NotSynchronised);
            assert_eq!(cause(wall + 3600, wall, simulated), ClockCause::NotSynchronised);
        }
    }
}
