//! Why the arm does or does not move, in one line.
//!
//! Invariants:
//! - A reason names the first obstacle that applies.
//! - The kind of a reason changes only if the obstacle changes.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::estimate::PositionUnknown;
use super::input_fault::InputFault;
use super::mode::{Disarmed, Mode, Motion};
use super::stop::StopCause;
use super::stop_line::StopTrouble;

/// Why an armed bridge does not move the arm. If several obstacles apply, the reason names only the
/// first one that the state machine finds.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // each variant documents its fields
pub enum Obstacle {
    /// The bridge is shutting down.
    #[error("the bridge is shutting down")]
    ShuttingDown,
    /// There is no connection to the controller.
    #[error("no connection to the controller")]
    LinkDown,
    /// The controller is connected but does not reply.
    #[error("the controller does not reply")]
    Unresponsive,
    /// The controller replied to this many commands in a row with an error.
    #[error("the controller rejected {0} commands in a row")]
    ErrorReplies(u32),
    /// The controller reports a fault.
    #[error("the controller reports the fault '{0}'; clear it there, then call ~/set_armed with data: true")]
    ArmFault(Arc<str>),
    /// The arm's position is unknown, or the arm is not at the commanded position.
    #[error("{}", explain(.0))]
    Position(PositionUnknown),
    /// Several nodes publish on one input topic. Names the publishers.
    #[error("{0}; stop all but one, because the arm follows only one hand")]
    MultiplePublishers(Arc<str>),
    /// The bridge rejected the newest sample.
    #[error("{0}")]
    Input(InputFault),
    /// No target has been received yet.
    #[error("no target received yet")]
    NoInput,
    /// The newest target is too old, or no message has arrived since the bridge rejected the newest
    /// target.
    #[error("no new target for {:.1} s{}", age.as_secs_f64(), last_refusal(refused.as_ref()))]
    Stale { age: Duration, refused: Option<InputFault> },
    /// A node publishes on the gripper topic, but its first message has not arrived yet.
    #[error("waiting for the first message of the gripper's publisher")]
    GripperAwaited,
    /// The planner found no route from the arm to the target.
    #[error(
        "no way to the target around workspace.keep_out and workspace.reach_min was found; move the hand to a \
         position that the arm can reach"
    )]
    NoWay,
    /// The input is good, but it has not been good for `settle_time` yet.
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
    /// Commands ramp towards the home position.
    GoingHome,
    /// The target is this many metres outside the workspace. Commands follow it along the edge.
    TrackingClamped(f64),
    /// The target is this many metres outside the workspace. Commands ramp towards the nearest
    /// position inside.
    ApproachingClamped(f64),
    /// The first command of an approach has to wait.
    ApproachWaiting(Waiting),
    /// The bridge is armed, and an obstacle prevents motion.
    Holding(Obstacle),
    /// The bridge arms automatically as soon as the obstacle is gone.
    WaitingToArm(Obstacle),
    /// The bridge waits until an operator calls `~/set_armed`.
    AwaitingOperator(Disarmed),
    /// A stop is latched.
    Stopped(StopCause),
    /// Motion has ended for the given reason, but the stop line failed, so that the arm may still
    /// move.
    StopTrouble(StopTrouble, Box<Reason>),
}

/// What the first command of an approach waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Waiting {
    /// The controller has not replied to an earlier line, so the arm's position is unknown.
    #[error("the reply to the last command")]
    Answer,
    /// The arm may still be moving because of earlier commands.
    #[error("the arm to come to rest")]
    Rest,
}

impl Reason {
    /// Explains a mode.
    ///
    /// - `outside`: distance of the target outside the workspace, in metres.
    /// - `obstacle`: called only if the mode waits for an obstacle to go away.
    /// - `stop`: why a stop is latched. Used only in the mode `Stopped`.
    pub(super) fn new(
        mode: Mode,
        outside: f64,
        stop: &StopCause,
        obstacle: impl FnOnce() -> Obstacle,
    ) -> Self {
        let clamped = outside >= SHOWN_FROM;
        match (mode.motion(), mode.disarmed()) {
            (Motion::Disarmed, None) => Self::WaitingToArm(obstacle()),
            (Motion::Disarmed, Some(why)) => Self::AwaitingOperator(why),
            (Motion::Approach, _) if mode.is_going_home() => Self::GoingHome,
            (Motion::Approach, _) if clamped => Self::ApproachingClamped(outside),
            (Motion::Tracking, _) if clamped => Self::TrackingClamped(outside),
            (Motion::Approach, _) => Self::Approaching,
            (Motion::Tracking, _) => Self::Tracking,
            (Motion::Holding, _) => Self::Holding(obstacle()),
            (Motion::Stopped, _) => Self::Stopped(stop.clone()),
        }
    }
}

/// Declares [`ReasonKind`] from a list of kinds. Each entry gives the word of the kind and the
/// reasons that it covers.
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

            /// Returns the word for the kind. `/diagnostics` publishes it.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                }
            }
        }

        impl Reason {
            /// Returns the kind of the reason. It does not change if only an age in the reason
            /// changes.
            pub fn kind(&self) -> ReasonKind {
                match self {
                    $($reason => ReasonKind::$kind,)*
                }
            }
        }
    };
}

/// Matches a reason that lasts until an obstacle is gone.
macro_rules! waits {
    ($obstacle:pat) => {
        Reason::Holding($obstacle) | Reason::WaitingToArm($obstacle)
    };
}

/// Matches a reason that lasts until a good target follows a rejected target.
macro_rules! refused {
    ($fault:pat) => {
        waits!(Obstacle::Input($fault))
    };
}

reason_kinds! {
    Tracking = "tracking" for Reason::Tracking | Reason::TrackingClamped(_),
    Approaching = "approaching" for Reason::Approaching | Reason::ApproachingClamped(_) | Reason::ApproachWaiting(_),
    GoingHome = "going_home" for Reason::GoingHome,
    ArmFault = "arm_fault" for waits!(Obstacle::ArmFault(_)) | Reason::AwaitingOperator(Disarmed::ByArmFault),
    Stopped = "stopped" for Reason::Stopped(_),
    StopRefused = "stop_refused" for Reason::StopTrouble(StopTrouble::Refused, _),
    StopUnsent = "stop_unsent" for Reason::StopTrouble(StopTrouble::Unsent | StopTrouble::NoConnection, _),
    StopUnanswered = "stop_unanswered" for Reason::StopTrouble(StopTrouble::Unanswered, _),
    AwaitingOperator = "awaiting_operator" for Reason::AwaitingOperator(_),
    ShuttingDown = "shutting_down" for waits!(Obstacle::ShuttingDown),
    LinkDown = "link_down" for waits!(Obstacle::LinkDown),
    Unresponsive = "unresponsive" for waits!(Obstacle::Unresponsive),
    ErrorReplies = "error_replies" for waits!(Obstacle::ErrorReplies(_)),
    ArmOutsideWorkspace = "arm_outside_workspace" for waits!(Obstacle::Position(PositionUnknown::Outside(_))),
    ArmLags = "arm_lags" for waits!(Obstacle::Position(PositionUnknown::Lags(_))),
    ArmMoved = "arm_moved" for waits!(Obstacle::Position(PositionUnknown::Moved(_))),
    PositionUnknown = "position_unknown" for waits!(Obstacle::Position(_)),
    MultiplePublishers = "multiple_publishers" for waits!(Obstacle::MultiplePublishers(_)) | refused!(InputFault::OtherPublisher),
    NoInput = "no_input" for waits!(Obstacle::NoInput),
    InputStale = "input_stale" for waits!(Obstacle::Stale { .. }),
    GripperAwaited = "gripper_awaited" for waits!(Obstacle::GripperAwaited),
    NoWay = "no_way" for waits!(Obstacle::NoWay),
    Settling = "settling" for waits!(Obstacle::Settling { .. }),
    InputInvalid = "input_invalid" for refused!(InputFault::Position(_)),
    OrientationInvalid = "orientation_invalid" for refused!(InputFault::Orientation(_)),
    UnknownFrame = "unknown_frame" for refused!(InputFault::UnknownFrame { .. }),
    NoTransform = "no_transform" for refused!(InputFault::NoTransform { .. }),
    InputFrozen = "input_frozen" for refused!(InputFault::Frozen { .. }),
    RateTooLow = "rate_too_low" for refused!(InputFault::RateTooLow { .. }),
    StampTooOld = "stamp_too_old" for refused!(InputFault::StampTooOld { .. }),
    ComputerSlept = "computer_slept" for refused!(InputFault::ComputerSlept { .. }),
    ProcessStalled = "process_stalled" for refused!(InputFault::ProcessStalled { .. }),
    StampFromFuture = "stamp_from_future" for refused!(InputFault::StampFromFuture { .. }),
    StampBackwards = "stamp_backwards" for refused!(InputFault::StampBackwards { .. }),
    InputZero = "input_zero" for refused!(InputFault::Zero),
    HandNotDetected = "hand_not_detected" for refused!(InputFault::HandNotDetected),
    MalformedMessage = "malformed_message" for refused!(InputFault::MalformedMessage { .. }),
    InputJump = "input_jump" for refused!(InputFault::Jump { .. }),
    NoClock = "no_clock" for refused!(InputFault::NoClock),
    OutsideWorkspace = "outside_workspace" for refused!(InputFault::OutsideWorkspace { .. }),
    TargetFarOutside = "target_far_outside" for refused!(InputFault::TargetFarOutside { .. }),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tracking => f.write_str("following the target"),
            Self::Approaching => f.write_str("approaching the target slowly"),
            Self::GoingHome => f.write_str("going home slowly, whatever the hand does"),
            Self::TrackingClamped(outside) => write!(f, "{}, {}", Self::Tracking, clamped(*outside)),
            Self::ApproachingClamped(outside) => write!(f, "{}, {}", Self::Approaching, clamped(*outside)),
            Self::ApproachWaiting(waiting) => write!(f, "approaching: waiting for {waiting}"),
            Self::Holding(obstacle) => write!(f, "holding: {obstacle}"),
            Self::WaitingToArm(obstacle) => write!(f, "not armed yet: {obstacle}"),
            Self::AwaitingOperator(why) => why.fmt(f),
            Self::Stopped(cause) => write!(f, "{cause}; call ~/reset, then ~/set_armed with data: true"),
            Self::StopTrouble(trouble, reason) => f.write_str(&trouble.insert_into(&reason.to_string())),
        }
    }
}

/// Explains why the arm's position is unknown, and what the operator can do.
fn explain(unknown: &PositionUnknown) -> String {
    let advice = "to send the arm home at the controller's own speed, call ~/set_armed with data: true twice";
    match unknown {
        PositionUnknown::NotReported
        | PositionUnknown::Outdated { .. }
        | PositionUnknown::OrientationNotReported => {
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

/// Returns the end of the reason for a target that is `outside` metres outside the workspace.
fn clamped(outside: f64) -> String {
    // Show millimetres for a short distance.
    let digits = if outside < 0.01 { 3 } else { 2 };
    format!("clamped, {outside:.digits$} m outside the workspace")
}

impl StopTrouble {
    /// Inserts the trouble behind the first clause of a reason. It comes before the other details
    /// because it is more important.
    pub(crate) fn insert_into(self, reason: &str) -> String {
        let (motion, rest) = reason.split_at(reason.find([':', ';']).unwrap_or(reason.len()));
        format!("{motion}, but {self}{rest}")
    }
}

/// Returns the end of the reason for missing targets: why the bridge rejected the last message.
fn last_refusal(refused: Option<&InputFault>) -> String {
    refused.map(ToString::to_string).map_or_else(String::new, |fault| {
        format!("; the last was rejected: {}", fault.trim_start_matches("target rejected: "))
    })
}

/// The least distance outside the workspace that a reason shows as clamped, in metres. A shorter
/// distance rounds to 0.000 m.
const SHOWN_FROM: f64 = 0.5e-3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teleop::config::Arming;

    #[test]
    fn each_kind_has_its_own_word() {
        let mut words: Vec<_> = ReasonKind::ALL.iter().map(|kind| kind.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), ReasonKind::ALL.len());
    }

    #[test]
    fn stop_trouble_precedes_details_of_every_reason() {
        let reason_line = |trouble, reason| Reason::StopTrouble(trouble, Box::new(reason)).to_string();
        assert_eq!(
            reason_line(StopTrouble::Refused, Reason::Stopped(StopCause::Requested)),
            "stopped by ~/stop, but the controller rejected the stop line; call ~/reset, then ~/set_armed with data: true"
        );
        let stale = Obstacle::Stale { age: Duration::from_secs(1), refused: None };
        assert_eq!(
            reason_line(StopTrouble::Unsent, Reason::Holding(stale)),
            "holding, but the stop line is not yet sent, because the controller does not read: no new target for 1.0 s"
        );
        let disarmed = reason_line(StopTrouble::Unanswered, Reason::AwaitingOperator(Disarmed::ByOperator));
        assert!(disarmed.starts_with(
            "disarmed by ~/set_armed, but the controller has not replied to the stop line; call"
        ));
    }

    #[test]
    fn reason_evaluates_obstacle_only_if_mode_waits() {
        let waits = Reason::new(Mode::new(Arming::Automatic), 0.0, &StopCause::Requested, || {
            Obstacle::Input(InputFault::HandNotDetected)
        });
        assert_eq!((waits.kind(), waits.kind().as_str()), (ReasonKind::HandNotDetected, "hand_not_detected"));
        let disarmed =
            Reason::new(Mode::new(Arming::Operator), 0.0, &StopCause::Requested, || unreachable!());
        assert_eq!(disarmed.kind(), ReasonKind::AwaitingOperator);
    }
}
