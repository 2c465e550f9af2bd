//! One sample of the operator's hand, finite by construction, and why a sample is refused.

use std::time::Duration;

use super::command::{Position, PositionError};

/// Where the hand or the IK wants the tool centre point, in the tracker's frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// The position in the tracker's frame, in metres.
    pub position: Position,
    /// When the sender says it was taken, if it says.
    pub stamp: Option<Stamp>,
    /// How long it may have waited in this process before it was looked at: a process that was stopped or starved finds
    /// a sample that looks new and is not.
    pub held_up: Duration,
}

impl Target {
    /// Whether every coordinate is zero.
    pub fn is_zero(&self) -> bool {
        self.position.coordinates() == [0.0; 3]
    }

    /// A target from coordinates in metres and an optional stamp.
    ///
    /// # Errors
    /// [`InputFault::Position`] when the coordinates are no position.
    pub fn new(x: f64, y: f64, z: f64, stamp: Option<Stamp>) -> Result<Self, InputFault> {
        Ok(Self { position: Position::new(x, y, z)?, stamp, held_up: Duration::ZERO })
    }
}

/// A sender's stamp together with the reading of the same clock at receipt. Both in nanoseconds of ROS time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// `header.stamp`.
    pub taken: i64,
    /// The node's ROS clock when the message was received.
    pub received: i64,
}

impl Stamp {
    /// How old the sample was at receipt, in nanoseconds; negative when it comes from the future.
    pub fn age(self) -> i64 {
        self.received.saturating_sub(self.taken)
    }
}

/// Why a sample is no target.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum InputFault {
    /// A coordinate is not finite, or absurd.
    #[error("target refused: {0}")]
    Position(#[from] PositionError),
    /// The stamp is older than `input_timeout`.
    #[error(
        "target refused: its stamp is {:.3} s old, more than input_timeout {:.3} s; are the clocks of the two machines \
         synchronised?", age.as_secs_f64(), limit.as_secs_f64()
    )]
    StampTooOld {
        /// The sample's age by its stamp.
        age: Duration,
        /// `input_timeout`.
        limit: Duration,
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
        "target refused: its stamp is {:.3} s in the future, more than {:.3} s; are the clocks of the two machines \
         synchronised?", ahead.as_secs_f64(), limit.as_secs_f64()
    )]
    StampFromFuture {
        /// How far ahead of the node's clock.
        ahead: Duration,
        /// How far it may be.
        limit: Duration,
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
