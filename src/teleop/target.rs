//! One sample of the operator's hand, finite by construction, and why a sample is refused.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::gripper::GripperInput;
use crate::geometry::Orientation;
use crate::geometry::Transform;
use crate::geometry::{OrientationError, Position, PositionError};

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
    /// How long it may have waited in this process before it was looked at: a process that was stopped or starved finds
    /// a sample that looks new and is not.
    pub held_up: Duration,
}

impl Target {
    /// Whether every coordinate is zero.
    pub fn is_zero(&self) -> bool {
        self.position.coordinates() == [0.0; 3]
    }

    /// A target from coordinates in metres in the tracker's frame and an optional stamp.
    ///
    /// # Errors
    /// [`InputFault::Position`] when the coordinates are no position.
    pub fn new(x: f64, y: f64, z: f64, stamp: Option<Stamp>) -> Result<Self, InputFault> {
        let position = Position::new(x, y, z)?;
        Ok(Self {
            position,
            orientation: None,
            frame: Frame::Tracker,
            stamp,
            gripper: None,
            held_up: Duration::ZERO,
        })
    }
}

/// The frames that a target can be in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Frame {
    /// The tracker's own: it is retargeted.
    Tracker,
    /// The arm's base frame: it is taken as it is.
    Base,
    /// Another, and where that is by TF. The position stays as the sender said it: a zero and a sample that is repeated
    /// are such in its own frame.
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
    /// The frame that a `header.frame_id` names; `None` if it names neither. A sender that names none sends in the
    /// tracker's.
    pub fn resolve(&self, frame_id: &str) -> Option<Frame> {
        let frame_id = strip_leading_slash(frame_id);
        if frame_id.is_empty() || frame_id == strip_leading_slash(&self.tracker) {
            Some(Frame::Tracker)
        } else {
            (frame_id == strip_leading_slash(&self.base)).then_some(Frame::Base)
        }
    }

    /// Why a frame that is neither is refused; `frame_id` fit to print.
    pub fn unknown(&self, frame_id: &str) -> InputFault {
        InputFault::UnknownFrame { frame_id: frame_id.into(), base: self.base.as_str().into() }
    }
}

/// The name of a frame without the slash that old senders put first, as tf2 takes it.
pub fn strip_leading_slash(frame_id: &str) -> &str {
    frame_id.strip_prefix('/').unwrap_or(frame_id)
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
    /// How old the sample was at receipt, in nanoseconds; negative when it comes from the future.
    pub fn age(self) -> i64 {
        self.received.saturating_sub(self.taken)
    }

    /// What makes a stamp as far from the node's clock as this one.
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

/// Why a stamp may be far from the node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockCause {
    /// By less than a day: the clocks of two machines are not synchronised, or the message was long on its way.
    NotSynchronised,
    /// This node runs on simulated time, and the sender stamps with the time of its system.
    SenderOnSystemTime,
    /// This node runs on the time of its system, and the sender stamps with simulated time.
    SenderOnSimulatedTime,
    /// By more than a day, the other way round.
    OfAnotherDay {
        /// Whether this node runs on simulated time.
        simulated: bool,
    },
}

impl fmt::Display for ClockCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSynchronised => "are the clocks of the two machines synchronised, and does nothing hold the message up?",
            Self::SenderOnSystemTime => {
                "the sender stamps with system time, but use_sim_time is true here; set use_sim_time: true at the \
                 sender too, or false here"
            }
            Self::SenderOnSimulatedTime => {
                "the sender stamps with simulated time, or with another clock that does not tell the date, but \
                 use_sim_time is false here; set use_sim_time: true here too, or false at the sender"
            }
            Self::OfAnotherDay { simulated: true } => {
                "use_sim_time is true here; does the sender use the same /clock?"
            }
            Self::OfAnotherDay { simulated: false } => {
                "use_sim_time is false here; is use_sim_time false at the sender too, and are both machines' dates right?"
            }
        })
    }
}

/// Clocks of two machines that are only not synchronised are closer together than that.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a sample is no target.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InputFault {
    /// A coordinate is not finite, or absurd.
    #[error("target refused: {0}")]
    Position(#[from] PositionError),
    /// The orientation is not a unit quaternion.
    #[error("target refused: its orientation {0}")]
    Orientation(#[from] OrientationError),
    /// The frame is neither the tracker's nor the arm's base frame, and there is no TF to look it up in.
    #[error(
        "target refused: its frame_id '{frame_id}' is neither retarget.frame nor base_frame '{base}'; set retarget.frame \
         to it, and retarget.* to where that frame is, or have it looked up on /tf: tf.enabled is true, and the \
         bridge is built with tf2_msgs"
    )]
    UnknownFrame {
        /// `header.frame_id`, made fit to print.
        frame_id: Arc<str>,
        /// `base_frame`.
        base: Arc<str>,
    },
    /// The frame is another, and TF does not say where it is.
    #[error("target refused: no transform from frame_id '{frame_id}' to base_frame '{base}': {why}")]
    NoTransform {
        /// `header.frame_id`, made fit to print.
        frame_id: Arc<str>,
        /// `base_frame`.
        base: Arc<str>,
        /// What is missing, fit to print.
        why: Arc<str>,
    },
    /// The same target again and again.
    #[error(
        "target refused: exactly the same for {:.2} s, which is taken for a lost hand (source.frozen_timeout)",
        repeated.as_secs_f64()
    )]
    Frozen {
        /// For how long.
        repeated: Duration,
    },
    /// Targets come too seldom to be a live hand, or so seldom that each is too old before the next comes.
    #[error(
        "target refused: targets come at {} Hz, below {}; send faster, or for a sender that is meant to be slow set \
         source.min_rate below {} and input_timeout above {:.2} s",
        hertz(*.rate), lowest_rate(*.rate, *.min_rate, *.input_timeout), hertz(*.rate), rate.recip()
    )]
    RateTooLow {
        /// Over the last few, in Hz.
        rate: f64,
        /// `source.min_rate`, in Hz.
        min_rate: f64,
        /// `input_timeout`.
        input_timeout: Duration,
    },
    /// The stamp is older than `input_timeout`.
    #[error(
        "target refused: its stamp is {:.3} s old, more than input_timeout {:.3} s; {cause}", age.as_secs_f64(),
        limit.as_secs_f64()
    )]
    StampTooOld {
        /// The sample's age by its stamp.
        age: Duration,
        /// `input_timeout`.
        limit: Duration,
        /// What may be the cause.
        cause: ClockCause,
    },
    /// The bridge itself was stopped or starved for longer than `input_timeout`.
    #[error(
        "target refused: this process was held up for {:.3} s, and how old the target is cannot be told",
        held_up.as_secs_f64()
    )]
    HeldUp {
        /// For how long.
        held_up: Duration,
    },
    /// The stamp lies in the future.
    #[error(
        "target refused: its stamp is {:.3} s in the future, more than {:.3} s; {cause}", ahead.as_secs_f64(),
        limit.as_secs_f64()
    )]
    StampFromFuture {
        /// How far ahead of the node's clock.
        ahead: Duration,
        /// How far it may be.
        limit: Duration,
        /// What may be the cause.
        cause: ClockCause,
    },
    /// The stamp is older than the one before.
    #[error("target refused: its stamp is {:.3} s before the last one's; time jumped back", back.as_secs_f64())]
    StampBackwards {
        /// How far back.
        back: Duration,
    },
    /// All zero, which is what many trackers say when they see no hand.
    #[error("target refused: all zero, which is taken for a lost hand (source.zero_is_lost)")]
    Zero,
    /// Too far from the one before.
    #[error(
        "target refused: it leapt by {distance:.3} m, more than limits.jump; it is believed when it has stayed there \
         for {:.1} s", confirm.as_secs_f64()
    )]
    Jump {
        /// From the last good target, in metres, in the arm's base frame.
        distance: f64,
        /// `limits.jump_confirm`.
        confirm: Duration,
    },
    /// The message itself says that there is no hand.
    #[error("target refused: the message says that there is no hand (source.valid)")]
    NoHand,
    /// The message does not have the field that it was to be read from.
    #[error("target refused: {what}")]
    Unreadable {
        /// Which field, and what is wrong with it, fit to print.
        what: Arc<str>,
    },
    /// The node runs on simulated time and has none yet.
    #[error("target refused: use_sim_time is true and no /clock has been received")]
    NoClock,
    /// Outside the workspace while `workspace.policy` is `reject`.
    #[error(
        "target refused: [{:.3}, {:.3}, {:.3}] m in the arm's base frame is outside the workspace",
        position.coordinates()[0], position.coordinates()[1], position.coordinates()[2]
    )]
    OutsideWorkspace {
        /// The target in the arm's base frame.
        position: Position,
    },
}

/// A slow rate with the digits that tell it from none.
fn hertz(rate: f64) -> String {
    if rate < 0.95 { format!("{rate:.2}") } else { format!("{rate:.1}") }
}

/// What a rate is below, in words.
fn lowest_rate(rate: f64, min_rate: f64, input_timeout: Duration) -> String {
    if rate < min_rate {
        format!("source.min_rate {} Hz", hertz(min_rate))
    } else {
        let timeout = input_timeout.as_secs_f64();
        format!("the {} Hz that input_timeout {timeout:.2} s needs", hertz(timeout.recip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
