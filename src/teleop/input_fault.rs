//! Why the bridge rejects a sample, in words for the operator.

use std::sync::Arc;
use std::time::Duration;

use crate::geometry::{OrientationError, Position, PositionError};

/// Why a sample is not a valid target. Its frames and texts are safe to print.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // each variant documents its fields
pub enum InputFault {
    /// A coordinate is not finite, or larger than any real coordinate.
    #[error("target rejected: {0}")]
    Position(#[from] PositionError),
    /// The orientation is not a unit quaternion.
    #[error("target rejected: its orientation {0}")]
    Orientation(#[from] OrientationError),
    /// `header.frame_id` is neither the tracker's frame nor `arm.base_frame`, and no TF is
    /// available to look it up.
    #[error(
        "target rejected: its frame_id '{frame_id}' is neither retarget.frame nor arm.base_frame '{base}'; set \
         retarget.frame to this frame and retarget.* to its pose in the arm's base frame, or use /tf: set \
         tf.enabled to true in a bridge that is built with tf2_msgs"
    )]
    UnknownFrame { frame_id: Arc<str>, base: Arc<str> },
    /// TF has no transform from the frame `header.frame_id` to `arm.base_frame`.
    #[error("target rejected: no transform from frame_id '{frame_id}' to arm.base_frame '{base}': {why}")]
    NoTransform { frame_id: Arc<str>, base: Arc<str>, why: Arc<str> },
    /// Every target was exactly the same for the time `repeated`.
    #[error(
        "target rejected: exactly the same for {:.2} s, so the hand counts as lost (input.frozen_timeout)",
        repeated.as_secs_f64()
    )]
    Frozen { repeated: Duration },
    /// Targets arrive too rarely: more slowly than `min_rate`, or so slowly that each one is too
    /// old before the next one arrives.
    /// Rates are in Hz: `rate` is the rate of the last few targets, and `min_rate` is
    /// `input.min_rate`.
    #[error(
        "target rejected: targets come at {} Hz, below {}; send them faster, or for a tracker that is slow on \
         purpose set input.min_rate below {} and input.timeout above {:.2} s",
        hertz(*.rate), lowest_rate(*.rate, *.min_rate, *.input_timeout), hertz(*.rate), rate.recip()
    )]
    RateTooLow { rate: f64, min_rate: f64, input_timeout: Duration },
    /// The target is older, by its stamp, than the `limit`, which is `input.timeout`.
    #[error(
        "target rejected: its stamp is {:.3} s old, more than input.timeout {:.3} s; {cause}", age.as_secs_f64(),
        limit.as_secs_f64()
    )]
    StampTooOld { age: Duration, limit: Duration, cause: ClockCause },
    /// The bridge itself was stopped or got no processor time for longer than `input.timeout`.
    #[error(
        "target rejected: this process was stalled for {:.3} s, so the age of the target is unknown",
        stall.as_secs_f64()
    )]
    ProcessStalled { stall: Duration },
    /// The computer was suspended for the time `slept`.
    #[error(
        "target rejected: this computer slept for {:.1} s, so earlier targets are out of date",
        slept.as_secs_f64()
    )]
    ComputerSlept { slept: Duration },
    /// The stamp is ahead of the node's clock by more than the `limit`.
    #[error(
        "target rejected: its stamp is {:.3} s in the future, more than {:.3} s; {cause}", ahead.as_secs_f64(),
        limit.as_secs_f64()
    )]
    StampFromFuture { ahead: Duration, limit: Duration, cause: ClockCause },
    /// The stamp is older than the previous stamp.
    #[error("target rejected: its stamp is {:.3} s before the last stamp; time jumped back", back.as_secs_f64())]
    StampBackwards { back: Duration },
    /// All coordinates are zero. Many trackers send this if they see no hand.
    #[error("target rejected: all zero, so the hand counts as lost (input.zero_is_lost)")]
    Zero,
    /// The target is too far from the last good target. `distance` is in metres in the arm's base
    /// frame. `confirm` is `limits.jump_confirm_time`.
    #[error(
        "target rejected: it jumped by {distance:.3} m, more than limits.max_jump; the bridge accepts it after it \
         has stayed there for {:.1} s", confirm.as_secs_f64()
    )]
    Jump { distance: f64, confirm: Duration },
    /// The message itself reports that there is no hand.
    #[error("target rejected: the message reports no hand (input.valid)")]
    HandNotDetected,
    /// The message lacks a field that `input.*` names. `what` names the field and the fault.
    #[error("target rejected: {what}")]
    MalformedMessage { what: Arc<str> },
    /// The node uses simulated time, and no time has arrived yet.
    #[error("target rejected: use_sim_time is true and no /clock has been received")]
    NoClock,
    /// The target's publisher is not the one for which the arm is armed.
    #[error("target rejected: its publisher is not the one that the arm is armed for")]
    OtherPublisher,
    /// The target is outside the workspace while `workspace.policy` is `reject`. `position` is in
    /// the arm's base frame.
    #[error("target rejected: {position} m in the arm's base frame is outside the workspace")]
    OutsideWorkspace { position: Position },
    /// The target is farther outside the workspace than `workspace.tolerance`, in metres. No
    /// operator would put a hand there. `position` is in the arm's base frame.
    #[error(
        "target rejected: {position} m in the arm's base frame is {distance:.2} m outside the workspace, more than \
         workspace.tolerance {tolerance:.2} m; is it in another unit or another frame? check input.unit, retarget.* and the \
         frame_id of the target"
    )]
    TargetFarOutside { position: Position, distance: f64, tolerance: f64 },
}

/// Why a stamp may be far from the node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockCause {
    /// The difference is less than a day. The clocks of two machines are not synchronised, or the
    /// message was delayed.
    #[error("are the clocks of the two machines synchronised, and does the network deliver without delay?")]
    NotSynchronised,
    /// This node uses simulated time, but the sender stamps with system time.
    #[error(
        "the sender stamps with system time, but use_sim_time is true here; set use_sim_time: true at the sender too, or \
         false here"
    )]
    SenderOnSystemTime,
    /// This node uses system time, but the sender stamps with simulated time.
    #[error(
        "the sender stamps with simulated time, or with another clock that does not show the date, but use_sim_time is \
         false here; set use_sim_time: true here too, or false at the sender"
    )]
    SenderOnSimulatedTime,
    /// The difference is more than a day, and neither of the two cases above explains its
    /// direction.
    #[error("use_sim_time is {simulated} here; {}", if *simulated { SAME_CLOCK } else { SAME_DATE })]
    OfAnotherDay {
        /// Whether this node uses simulated time.
        simulated: bool,
    },
}

/// Formats a rate in Hz. A slow rate gets two decimals, so that it is not shown as 0.0.
fn hertz(rate: f64) -> String {
    if rate < 0.95 { format!("{rate:.2}") } else { format!("{rate:.1}") }
}

/// Returns the minimum rate that the targets do not reach, as text.
fn lowest_rate(rate: f64, min_rate: f64, input_timeout: Duration) -> String {
    if rate < min_rate {
        format!("input.min_rate {} Hz", hertz(min_rate))
    } else {
        let timeout = input_timeout.as_secs_f64();
        format!("the {} Hz that input.timeout {timeout:.2} s needs", hertz(timeout.recip()))
    }
}

const SAME_CLOCK: &str = "does the sender use the same /clock?";
const SAME_DATE: &str = "is use_sim_time false at the sender too, and are both machines' dates right?";

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn slow_rate_fault_names_limit_and_remedy() {
        let message = |rate, min_rate, ms| {
            let input_timeout = Duration::from_millis(ms);
            InputFault::RateTooLow { rate, min_rate, input_timeout }.to_string()
        };
        let below_min_rate = message(1.0, 5.0, 200);
        assert!(below_min_rate.contains("come at 1.0 Hz, below input.min_rate 5.0 Hz"), "{below_min_rate}");
        assert!(below_min_rate.contains("input.timeout above 1.00 s"), "{below_min_rate}");
        let below_timeout = message(2.0, 1.0, 200);
        assert!(
            below_timeout.contains("at 2.0 Hz, below the 5.0 Hz that input.timeout 0.20 s"),
            "{below_timeout}"
        );
        assert!(message(0.2, 5.0, 200).contains("come at 0.20 Hz"));
    }
}
