//! Why the arm does or does not move, in one line.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::target::InputFault;
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
    /// The arm is where no command may lead, by its own report or by the last command that it has acknowledged.
    ArmOutside(Position),
    /// Several nodes send on one topic of the input: which publish there, in words.
    SeveralSenders(Arc<str>),
    /// The newest sample was refused.
    Input(InputFault),
    /// No target has come yet.
    NoInput,
    /// The newest target is too old, or nothing has come since the newest was refused.
    Stale {
        /// Its age.
        age: Duration,
        /// Why it was refused, if it was.
        refused: Option<InputFault>,
    },
    /// A node publishes on the gripper's topic, and has not said yet what the gripper is to be.
    GripperAwaited,
    /// The input is good, but not for long enough yet.
    Settling {
        /// How long it must be good.
        settle_time: Duration,
    },
}

/// Who or what took the permission to move, so that only a person gives it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disarmed {
    /// `arming` is, or was, `operator` and nobody has armed yet.
    NotYetArmed,
    /// `~/set_armed` false.
    ByOperator,
    /// `~/reset`.
    ByReset,
    /// The link was lost while `arming` is `operator`.
    ByLinkLoss,
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
    /// Waits for `~/set_armed`.
    AwaitingOperator(Disarmed),
    /// A stop request is latched.
    Stopped,
}

impl Reason {
    /// A word for the kind of reason, which does not change while only an age does.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tracking => "tracking",
            Self::Approaching => "approaching",
            Self::Stopped => "stopped",
            Self::AwaitingOperator(_) => "awaiting_operator",
            Self::Holding(obstacle) | Self::WaitingToArm(obstacle) => match obstacle {
                Obstacle::ShuttingDown => "shutting_down",
                Obstacle::LinkDown => "link_down",
                Obstacle::Unresponsive => "unresponsive",
                Obstacle::ErrorReplies(_) => "error_replies",
                Obstacle::ArmOutside(_) => "arm_outside",
                Obstacle::SeveralSenders(_) => "several_senders",
                Obstacle::Input(InputFault::Position(_)) => "input_invalid",
                Obstacle::Input(InputFault::Orientation(_)) => "orientation_invalid",
                Obstacle::Input(InputFault::UnknownFrame { .. }) => "unknown_frame",
                Obstacle::Input(InputFault::NoTransform { .. }) => "no_transform",
                Obstacle::Input(InputFault::Frozen { .. }) => "input_frozen",
                Obstacle::Input(InputFault::RateTooLow { .. }) => "rate_too_low",
                Obstacle::Input(InputFault::StampTooOld { .. }) => "stamp_too_old",
                Obstacle::Input(InputFault::HeldUp { .. }) => "held_up",
                Obstacle::Input(InputFault::StampFromFuture { .. }) => "stamp_from_future",
                Obstacle::Input(InputFault::StampBackwards { .. }) => "stamp_backwards",
                Obstacle::Input(InputFault::Zero) => "input_zero",
                Obstacle::Input(InputFault::NoHand) => "no_hand",
                Obstacle::Input(InputFault::Unreadable { .. }) => "unreadable",
                Obstacle::Input(InputFault::Jump { .. }) => "input_jump",
                Obstacle::Input(InputFault::NoClock) => "no_clock",
                Obstacle::Input(InputFault::OutsideWorkspace { .. }) => "outside_workspace",
                Obstacle::NoInput => "no_input",
                Obstacle::Stale { .. } => "input_stale",
                Obstacle::GripperAwaited => "gripper_awaited",
                Obstacle::Settling { .. } => "settling",
            },
        }
    }
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
