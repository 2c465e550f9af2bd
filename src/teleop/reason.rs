//! Why the arm does or does not move, in one line.
//!
//! Invariant: a reason names the first obstacle that applies, and its kind changes only when the obstacle is another one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::input_fault::InputFault;
use super::mode::{Disarmed, Mode, Motion};
use crate::geometry::Position;

/// What stands between an armed bridge and motion. The first that applies is the one named.
#[derive(Debug, Clone, PartialEq)]
pub enum Obstacle {
    /// The bridge is ending.
    ShuttingDown,
    /// There is no connection to the controller.
    LinkDown,
    /// The controller is connected and does not answer.
    Unresponsive,
    /// The controller answered this many commands in a row with an error.
    ErrorReplies(u32),
    /// The arm is outside the workspace, by its own report or by the last command that it has acknowledged.
    ArmOutside(Position),
    /// Several nodes send on one topic of the input. Names the publishers.
    SeveralSenders(Arc<str>),
    /// The newest sample was refused.
    Input(InputFault),
    /// No target has been received yet.
    NoInput,
    /// The newest target is too old, or no message has been received since the newest target was refused.
    Stale {
        /// Its age.
        age: Duration,
        /// Why it was refused, if it was.
        refused: Option<InputFault>,
    },
    /// A node publishes on the gripper's topic, and its first message has not been received yet.
    GripperAwaited,
    /// The input is good, but not for long enough yet.
    Settling {
        /// How long it must be good.
        settle_time: Duration,
    },
}

/// Why the arm does or does not move.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// Commands follow the target.
    Tracking,
    /// Commands ramp towards the target.
    Approaching,
    /// Armed, and held by an obstacle.
    Holding(Obstacle),
    /// Arms itself as soon as the obstacle is gone.
    WaitingToArm(Obstacle),
    /// Waits until a person calls `~/set_armed`.
    AwaitingOperator(Disarmed),
    /// A stop request is latched.
    Stopped,
}

impl Reason {
    /// Explains a mode. `obstacle` is what it waits for, if it waits for anything.
    pub(super) fn new(mode: Mode, obstacle: impl FnOnce() -> Obstacle) -> Self {
        match (mode.motion(), mode.disarmed()) {
            (Motion::Disarmed, None) => Self::WaitingToArm(obstacle()),
            (Motion::Disarmed, Some(why)) => Self::AwaitingOperator(why),
            (Motion::Approach, _) => Self::Approaching,
            (Motion::Tracking, _) => Self::Tracking,
            (Motion::Holding, _) => Self::Holding(obstacle()),
            (Motion::Stopped, _) => Self::Stopped,
        }
    }

    /// Returns the kind of reason, which does not change while only an age does.
    pub fn kind(&self) -> ReasonKind {
        match self {
            Self::Tracking => ReasonKind::Tracking,
            Self::Approaching => ReasonKind::Approaching,
            Self::Stopped => ReasonKind::Stopped,
            Self::AwaitingOperator(_) => ReasonKind::AwaitingOperator,
            Self::Holding(obstacle) | Self::WaitingToArm(obstacle) => obstacle.kind(),
        }
    }
}

impl Obstacle {
    fn kind(&self) -> ReasonKind {
        match self {
            Self::ShuttingDown => ReasonKind::ShuttingDown,
            Self::LinkDown => ReasonKind::LinkDown,
            Self::Unresponsive => ReasonKind::Unresponsive,
            Self::ErrorReplies(_) => ReasonKind::ErrorReplies,
            Self::ArmOutside(_) => ReasonKind::ArmOutside,
            Self::SeveralSenders(_) => ReasonKind::SeveralSenders,
            Self::NoInput => ReasonKind::NoInput,
            Self::Stale { .. } => ReasonKind::InputStale,
            Self::GripperAwaited => ReasonKind::GripperAwaited,
            Self::Settling { .. } => ReasonKind::Settling,
            Self::Input(fault) => match fault {
                InputFault::Position(_) => ReasonKind::InputInvalid,
                InputFault::Orientation(_) => ReasonKind::OrientationInvalid,
                InputFault::UnknownFrame { .. } => ReasonKind::UnknownFrame,
                InputFault::NoTransform { .. } => ReasonKind::NoTransform,
                InputFault::Frozen { .. } => ReasonKind::InputFrozen,
                InputFault::RateTooLow { .. } => ReasonKind::RateTooLow,
                InputFault::StampTooOld { .. } => ReasonKind::StampTooOld,
                InputFault::HeldUp { .. } => ReasonKind::HeldUp,
                InputFault::StampFromFuture { .. } => ReasonKind::StampFromFuture,
                InputFault::StampBackwards { .. } => ReasonKind::StampBackwards,
                InputFault::Zero => ReasonKind::InputZero,
                InputFault::NoHand => ReasonKind::NoHand,
                InputFault::Unreadable { .. } => ReasonKind::Unreadable,
                InputFault::Jump { .. } => ReasonKind::InputJump,
                InputFault::NoClock => ReasonKind::NoClock,
                InputFault::OutsideWorkspace { .. } => ReasonKind::OutsideWorkspace,
            },
        }
    }
}

/// Declares [`ReasonKind`]: the kinds and their words in one list, so that no kind is without a word.
macro_rules! reason_kinds {
    ($($kind:ident = $word:literal,)*) => {
        /// The kind of a [`Reason`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ReasonKind {
            $(#[doc = concat!("`", $word, "`")] $kind,)*
        }

        impl ReasonKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Returns the word for the kind, as it is published in diagnostics.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                }
            }
        }
    };
}

reason_kinds! {
    Tracking = "tracking",
    Approaching = "approaching",
    Stopped = "stopped",
    AwaitingOperator = "awaiting_operator",
    ShuttingDown = "shutting_down",
    LinkDown = "link_down",
    Unresponsive = "unresponsive",
    ErrorReplies = "error_replies",
    ArmOutside = "arm_outside",
    SeveralSenders = "several_senders",
    InputInvalid = "input_invalid",
    OrientationInvalid = "orientation_invalid",
    UnknownFrame = "unknown_frame",
    NoTransform = "no_transform",
    InputFrozen = "input_frozen",
    RateTooLow = "rate_too_low",
    StampTooOld = "stamp_too_old",
    HeldUp = "held_up",
    StampFromFuture = "stamp_from_future",
    StampBackwards = "stamp_backwards",
    InputZero = "input_zero",
    NoHand = "no_hand",
    Unreadable = "unreadable",
    InputJump = "input_jump",
    NoClock = "no_clock",
    OutsideWorkspace = "outside_workspace",
    NoInput = "no_input",
    InputStale = "input_stale",
    GripperAwaited = "gripper_awaited",
    Settling = "settling",
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShuttingDown => f.write_str("the bridge is shutting down"),
            Self::LinkDown => f.write_str("no connection to the controller"),
            Self::Unresponsive => f.write_str("the controller does not answer"),
            Self::ErrorReplies(count) => write!(f, "the controller refused {count} commands in a row"),
            Self::ArmOutside(position) => {
                let [x, y, z] = position.coordinates();
                write!(
                    f,
                    "the arm is at [{x:.3}, {y:.3}, {z:.3}] m, outside the workspace; move it inside, or widen workspace.*"
                )
            }
            Self::SeveralSenders(who) => write!(f, "{who}; two hands are never blended: stop all but one"),
            Self::Input(fault) => fault.fmt(f),
            Self::NoInput => f.write_str("no target received yet"),
            Self::Stale { age, refused } => {
                write!(f, "no new target for {:.1} s", age.as_secs_f64())?;
                let Some(fault) = refused else { return Ok(()) };
                let fault = fault.to_string();
                write!(f, "; the last was refused: {}", fault.trim_start_matches("target refused: "))
            }
            Self::GripperAwaited => f.write_str("waiting for the first message of the gripper's publisher"),
            Self::Settling { settle_time } => {
                write!(f, "waiting until targets have been good for {:.1} s", settle_time.as_secs_f64())
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tracking => f.write_str("following the target"),
            Self::Approaching => f.write_str("approaching the target slowly"),
            Self::Holding(obstacle) => write!(f, "holding: {obstacle}"),
            Self::WaitingToArm(obstacle) => write!(f, "not armed yet: {obstacle}"),
            Self::AwaitingOperator(Disarmed::NotYetArmed) => {
                f.write_str("disarmed: nobody has armed yet; call ~/set_armed with data: true")
            }
            Self::AwaitingOperator(Disarmed::ByOperator) => {
                f.write_str("disarmed by ~/set_armed; call it with data: true to arm again")
            }
            Self::AwaitingOperator(Disarmed::ByReset) => {
                f.write_str("disarmed by ~/reset; call ~/set_armed with data: true to arm again")
            }
            Self::AwaitingOperator(Disarmed::ByLinkLoss) => f.write_str(
                "disarmed: the link was lost and arming is 'operator'; call ~/set_armed with data: true to arm again",
            ),
            Self::Stopped => f.write_str("stopped by ~/stop; call ~/reset, then ~/set_armed with data: true"),
        }
    }
}
