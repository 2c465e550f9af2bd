//! One sample of the operator's hand.
//!
//! Invariant: its coordinates are finite and its orientation is a unit quaternion, because their types allow nothing else.

use std::time::Duration;

use super::input_fault::{ClockCause, InputFault};
use crate::arm::Gripper;
use crate::geometry::{Orientation, Position, Transform};

/// Where the hand or the IK wants the tool centre point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The position in `frame`, in metres.
    pub position: Position,
    /// How the hand is turned, in `frame`, if the sender says.
    pub orientation: Option<Orientation>,
    /// The frame that the position is in.
    pub frame: Frame,
    /// When the sender says it was taken, if it says.
    pub stamp: Option<Stamp>,
    /// What the same message wants the gripper to be, if it says. It counts if the target does.
    pub gripper: Option<GripperInput>,
    /// How long it may have waited in this process: if that was stopped or starved, a target looks newer than it is.
    pub stall: Duration,
}

impl Target {
    /// Returns whether every coordinate is zero.
    pub fn is_zero(&self) -> bool {
        self.position.coordinates() == [0.0; 3]
    }

    /// Makes a target from coordinates in metres in the tracker's frame.
    ///
    /// # Errors
    /// [`InputFault::Position`] if the coordinates are no position.
    pub fn new(x: f64, y: f64, z: f64, stamp: Option<Stamp>) -> Result<Self, InputFault> {
        let position = Position::new(x, y, z)?;
        let (frame, stall) = (Frame::Tracker, Duration::ZERO);
        Ok(Self { position, orientation: None, frame, stamp, gripper: None, stall })
    }
}

/// A sender's stamp together with the reading of the same clock at receipt. Both in nanoseconds of ROS time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// `header.stamp`.
    pub taken: i64,
    /// The node's ROS clock when the message was received.
    pub received: i64,
    /// Whether that clock is simulated (`use_sim_time`).
    pub simulated: bool,
}

impl Stamp {
    /// Returns how old the sample was at receipt, in nanoseconds; negative if it comes from the future.
    pub fn age(self) -> i64 {
        self.received.saturating_sub(self.taken)
    }

    /// Returns what makes a stamp as far from the node's clock as this one.
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
    /// Names the wanted state.
    Wanted(Gripper),
    /// How far the fingers are apart, 0 (closed) to 1 (open).
    Opening(f64),
}

impl GripperInput {
    /// A hand that is not seen: an opening that is no number, and so says nothing.
    pub const UNSEEN: Self = Self::Opening(f64::NAN);
}

/// The frames that a target can be in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Frame {
    /// The tracker's own: it is retargeted.
    Tracker,
    /// The arm's base frame: it is taken as it is.
    Base,
    /// Another, and where that is by TF. The position stays in it, because zeros and repetitions are such in the own frame.
    Transformed(Transform),
}

/// The names of the frames that targets may be in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frames {
    /// The tracker's; empty if it has no name.
    pub tracker: String,
    /// The arm's base frame.
    pub base: String,
}

impl Frames {
    /// Returns the frame that a `header.frame_id` names, if it is one of the two. An empty name is the tracker's.
    pub fn resolve(&self, frame_id: &str) -> Option<Frame> {
        let frame_id = strip_leading_slash(frame_id);
        if frame_id.is_empty() || frame_id == strip_leading_slash(&self.tracker) {
            Some(Frame::Tracker)
        } else {
            (frame_id == strip_leading_slash(&self.base)).then_some(Frame::Base)
        }
    }

    /// Returns why a frame that is neither is refused; `frame_id` fit to print.
    pub fn unknown(&self, frame_id: &str) -> InputFault {
        InputFault::UnknownFrame { frame_id: frame_id.into(), base: self.base.as_str().into() }
    }
}

/// Returns the name of a frame without the slash that old senders put first, as tf2 takes it.
pub fn strip_leading_slash(frame_id: &str) -> &str {
    frame_id.strip_prefix('/').unwrap_or(frame_id)
}

/// Clocks of two machines that are only not synchronised are closer together than that.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_the_trackers_or_the_bases_or_is_refused_with_its_name() {
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
    fn clocks_a_day_apart_are_clocks_of_different_kinds() {
        const SECOND: i64 = 1_000_000_000;
        let cause = |taken: i64, received: i64, simulated| {
            Stamp { taken: taken * SECOND, received: received * SECOND, simulated }.cause()
        };
        let (wall, yesterday) = (1_795_767_257, 1_795_767_257 - 100_000);
        assert_eq!(cause(wall, 100, true), ClockCause::SenderOnSystemTime);
        // A recording that is played again has the clock of its day.
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
