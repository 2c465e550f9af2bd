//! Why the arm does or does not move, in one line.
//!
//! Invariant: a reason names the first obstacle that applies, and its kind changes only when the obstacle is another one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::estimate::PositionUnknown;
use super::input_fault::InputFault;
use super::mode::{Disarmed, Mode, Motion};

/// What stands between an armed bridge and motion. The first that applies is the one named.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // each variant says what its fields are
pub enum Obstacle {
    /// The bridge is ending.
    #[error("the bridge is shutting down")]
    ShuttingDown,
    /// There is no connection to the controller.
    #[error("no connection to the controller")]
    LinkDown,
    /// The controller is connected and does not answer.
    #[error("the controller does not answer")]
    Unresponsive,
    /// The controller answered this many commands in a row with an error.
    #[error("the controller refused {0} commands in a row")]
    ErrorReplies(u32),
    /// The controller reports a fault.
    #[error("the controller reports the fault '{0}'; clear it there, then call ~/set_armed with data: true")]
    ArmFault(Arc<str>),
    /// It is not known where the arm is, or it is not where it was sent.
    #[error("{}", explain(.0))]
    Position(PositionUnknown),
    /// Several nodes send on one topic of the input. Names the publishers.
    #[error("{0}; two hands are never blended: stop all but one")]
    MultiplePublishers(Arc<str>),
    /// The newest sample was refused.
    #[error("{0}")]
    Input(InputFault),
    /// No target has been received yet.
    #[error("no target received yet")]
    NoInput,
    /// The newest target is too old, or no message has been received since the newest target was refused.
    #[error("no new target for {:.1} s{}", age.as_secs_f64(), last_refusal(refused.as_ref()))]
    Stale { age: Duration, refused: Option<InputFault> },
    /// A node publishes on the gripper's topic, and its first message has not been received yet.
    #[error("waiting for the first message of the gripper's publisher")]
    GripperAwaited,
    /// The input is good, but not for `settle_time` yet.
    #[error("waiting until targets have been good for {:.1} s", settle_time.as_secs_f64())]
    Settling { settle_time: Duration },
}

/// Why the arm does or does not move.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// Commands follow the target.
    Tracking,
    /// Commands ramp towards the target.
    Approaching,
    /// Commands ramp towards home.
    GoingHome,
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
            (Motion::Approach, _) if mode.is_going_home() => Self::GoingHome,
            (Motion::Approach, _) => Self::Approaching,
            (Motion::Tracking, _) => Self::Tracking,
            (Motion::Holding, _) => Self::Holding(obstacle()),
            (Motion::Stopped, _) => Self::Stopped,
        }
    }
}

/// Declares [`ReasonKind`]: each kind with its word and what it stands for, so that no kind is without either.
macro_rules! reason_kinds {
    ($($kind:ident = $word:literal for $reason:pat,)*) => {
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

        impl Reason {
            /// Returns the kind of reason, which does not change while only an age does.
            pub fn kind(&self) -> ReasonKind {
                match self {
                    $($reason => ReasonKind::$kind,)*
                }
            }
        }
    };
}

/// Matches a reason that waits until an obstacle is gone.
macro_rules! waits {
    ($obstacle:pat) => {
        Reason::Holding($obstacle) | Reason::WaitingToArm($obstacle)
    };
}

/// Matches a reason that waits until a refused target is followed by a good one.
macro_rules! refused {
    ($fault:pat) => {
        waits!(Obstacle::Input($fault))
    };
}

reason_kinds! {
    Tracking = "tracking" for Reason::Tracking,
    Approaching = "approaching" for Reason::Approaching,
    GoingHome = "going_home" for Reason::GoingHome,
    Stopped = "stopped" for Reason::Stopped,
    ArmFault = "arm_fault" for waits!(Obstacle::ArmFault(_)) | Reason::AwaitingOperator(Disarmed::ByArmFault),
    AwaitingOperator = "awaiting_operator" for Reason::AwaitingOperator(_),
    ShuttingDown = "shutting_down" for waits!(Obstacle::ShuttingDown),
    LinkDown = "link_down" for waits!(Obstacle::LinkDown),
    Unresponsive = "unresponsive" for waits!(Obstacle::Unresponsive),
    ErrorReplies = "error_replies" for waits!(Obstacle::ErrorReplies(_)),
    ArmOutsideWorkspace = "arm_outside_workspace" for waits!(Obstacle::Position(PositionUnknown::Outside(_))),
    ArmLags = "arm_lags" for waits!(Obstacle::Position(PositionUnknown::Lags(_))),
    ArmMoved = "arm_moved" for waits!(Obstacle::Position(PositionUnknown::Moved(_))),
    PositionUnknown = "position_unknown" for waits!(Obstacle::Position(_)),
    MultiplePublishers = "multiple_publishers" for waits!(Obstacle::MultiplePublishers(_)),
    NoInput = "no_input" for waits!(Obstacle::NoInput),
    InputStale = "input_stale" for waits!(Obstacle::Stale { .. }),
    GripperAwaited = "gripper_awaited" for waits!(Obstacle::GripperAwaited),
    Settling = "settling" for waits!(Obstacle::Settling { .. }),
    InputInvalid = "input_invalid" for refused!(InputFault::Position(_)),
    OrientationInvalid = "orientation_invalid" for refused!(InputFault::Orientation(_)),
    UnknownFrame = "unknown_frame" for refused!(InputFault::UnknownFrame { .. }),
    NoTransform = "no_transform" for refused!(InputFault::NoTransform { .. }),
    InputFrozen = "input_frozen" for refused!(InputFault::Frozen { .. }),
    RateTooLow = "rate_too_low" for refused!(InputFault::RateTooLow { .. }),
    StampTooOld = "stamp_too_old" for refused!(InputFault::StampTooOld { .. }),
    ProcessStalled = "process_stalled" for refused!(InputFault::ProcessStalled { .. }),
    StampFromFuture = "stamp_from_future" for refused!(InputFault::StampFromFuture { .. }),
    StampBackwards = "stamp_backwards" for refused!(InputFault::StampBackwards { .. }),
    InputZero = "input_zero" for refused!(InputFault::Zero),
    HandNotDetected = "hand_not_detected" for refused!(InputFault::HandNotDetected),
    MalformedMessage = "malformed_message" for refused!(InputFault::MalformedMessage { .. }),
    InputJump = "input_jump" for refused!(InputFault::Jump { .. }),
    NoClock = "no_clock" for refused!(InputFault::NoClock),
    OutsideWorkspace = "outside_workspace" for refused!(InputFault::OutsideWorkspace { .. }),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tracking => f.write_str("following the target"),
            Self::Approaching => f.write_str("approaching the target slowly"),
            Self::GoingHome => f.write_str("going home slowly, whatever the hand does"),
            Self::Holding(obstacle) => write!(f, "holding: {obstacle}"),
            Self::WaitingToArm(obstacle) => write!(f, "not armed yet: {obstacle}"),
            Self::AwaitingOperator(why) => why.fmt(f),
            Self::Stopped => f.write_str("stopped by ~/stop; call ~/reset, then ~/set_armed with data: true"),
        }
    }
}

/// Explains why the place of the arm is not known, and says what a person can do.
fn explain(unknown: &PositionUnknown) -> String {
    let advice = "to send it home at its own speed, call ~/set_armed with data: true twice";
    match unknown {
        PositionUnknown::NotReported
        | PositionUnknown::Outdated { .. }
        | PositionUnknown::TurningNotReported => {
            format!("the arm's position is unknown: {unknown}; {advice}, or set arm.assume_position")
        }
        PositionUnknown::Doubtful(_) | PositionUnknown::Apart(_) => {
            format!("the arm's position is unknown: {unknown}; {advice}")
        }
        PositionUnknown::Awaited => format!("the arm's position is unknown: {unknown}"),
        PositionUnknown::Outside(_) | PositionUnknown::Lags(_) | PositionUnknown::Moved(_) => {
            unknown.to_string()
        }
    }
}

/// Returns the end of the sentence that no new target has been received.
fn last_refusal(refused: Option<&InputFault>) -> String {
    refused.map(ToString::to_string).map_or_else(String::new, |fault| {
        format!("; the last was refused: {}", fault.trim_start_matches("target refused: "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teleop::config::Arming;

    #[test]
    fn words_of_all_kinds_differ() {
        let mut words: Vec<_> = ReasonKind::ALL.iter().map(|kind| kind.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ReasonKind::ALL.len());
    }

    #[test]
    fn waiting_reason_names_the_obstacle_and_others_do_not_ask_for_it() {
        let waits =
            Reason::new(Mode::new(Arming::Automatic), || Obstacle::Input(InputFault::HandNotDetected));
        assert_eq!((waits.kind(), waits.kind().as_str()), (ReasonKind::HandNotDetected, "hand_not_detected"));
        let disarmed = Reason::new(Mode::new(Arming::Operator), || unreachable!());
        assert_eq!(disarmed.kind(), ReasonKind::AwaitingOperator);
    }
}
