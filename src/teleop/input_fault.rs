//! Why a sample is refused, in words for people.

use std::sync::Arc;
use std::time::Duration;

use crate::geometry::{OrientationError, Position, PositionError};

/// Why a sample is no target. Frames and texts in it are fit to print.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[allow(missing_docs)] // each variant says what its fields are
pub enum InputFault {
    /// A coordinate is not finite, or absurd.
    #[error("target refused: {0}")]
    Position(#[from] PositionError),
    /// The orientation is not a unit quaternion.
    #[error("target refused: its orientation {0}")]
    Orientation(#[from] OrientationError),
    /// `header.frame_id` is neither the tracker's frame nor `arm.base_frame`, and there is no TF to look it up in.
    #[error(
        "target refused: its frame_id '{frame_id}' is neither retarget.frame nor arm.base_frame '{base}'; set retarget.frame \
         to it, and retarget.* to where that frame is, or have it looked up on /tf: tf.enabled is true, and the \
         bridge is built with tf2_msgs"
    )]
    UnknownFrame { frame_id: Arc<str>, base: Arc<str> },
    /// TF does not say where the frame `header.frame_id` is in `arm.base_frame`.
    #[error("target refused: no transform from frame_id '{frame_id}' to arm.base_frame '{base}': {why}")]
    NoTransform { frame_id: Arc<str>, base: Arc<str>, why: Arc<str> },
    /// The same target again and again, for so long.
    #[error(
        "target refused: exactly the same for {:.2} s, which is taken for a lost hand (input.frozen_timeout)",
        repeated.as_secs_f64()
    )]
    Frozen { repeated: Duration },
    /// Targets come too seldom to be a live hand, or so seldom that each is too old before the next comes. Rates in Hz:
    /// that of the last few targets, and `input.min_rate`.
    #[error(
        "target refused: targets come at {} Hz, below {}; send faster, or for a sender that is meant to be slow set \
         input.min_rate below {} and input.timeout above {:.2} s",
        hertz(*.rate), lowest_rate(*.rate, *.min_rate, *.input_timeout), hertz(*.rate), rate.recip()
    )]
    RateTooLow { rate: f64, min_rate: f64, input_timeout: Duration },
    /// The stamp is older than the `limit`, `input.timeout`.
    #[error(
        "target refused: its stamp is {:.3} s old, more than input.timeout {:.3} s; {cause}", age.as_secs_f64(),
        limit.as_secs_f64()
    )]
    StampTooOld { age: Duration, limit: Duration, cause: ClockCause },
    /// The bridge itself was stopped or starved for longer than `input.timeout`.
    #[error(
        "target refused: this process was held up for {:.3} s, and how old the target is cannot be told",
        stall.as_secs_f64()
    )]
    ProcessStalled { stall: Duration },
    /// The stamp is ahead of the node's clock by more than the `limit`.
    #[error(
        "target refused: its stamp is {:.3} s in the future, more than {:.3} s; {cause}", ahead.as_secs_f64(),
        limit.as_secs_f64()
    )]
    StampFromFuture { ahead: Duration, limit: Duration, cause: ClockCause },
    /// The stamp is older than the one before.
    #[error("target refused: its stamp is {:.3} s before the last one's; time jumped back", back.as_secs_f64())]
    StampBackwards { back: Duration },
    /// All zero, which is what many trackers say when they see no hand.
    #[error("target refused: all zero, which is taken for a lost hand (input.zero_is_lost)")]
    Zero,
    /// Too far from the last good target, in metres in the arm's base frame. `confirm` is `limits.jump_confirm_time`.
    #[error(
        "target refused: it leapt by {distance:.3} m, more than limits.max_jump; it is believed when it has stayed there \
         for {:.1} s", confirm.as_secs_f64()
    )]
    Jump { distance: f64, confirm: Duration },
    /// The message itself says that there is no hand.
    #[error("target refused: the message says that there is no hand (input.valid)")]
    HandNotDetected,
    /// The message does not have the field that it was to be read from. `what` names the field and what is wrong with it.
    #[error("target refused: {what}")]
    MalformedMessage { what: Arc<str> },
    /// The node runs on simulated time and has none yet.
    #[error("target refused: use_sim_time is true and no /clock has been received")]
    NoClock,
    /// Outside the workspace while `workspace.policy` is `reject`. In the arm's base frame.
    #[error("target refused: {position} m in the arm's base frame is outside the workspace")]
    OutsideWorkspace { position: Position },
    /// Farther outside the workspace than `workspace.tolerance`, in metres: no hand is meant to be there. In the arm's base
    /// frame.
    #[error(
        "target refused: {position} m in the arm's base frame is {distance:.2} m outside the workspace, more than \
         workspace.tolerance {tolerance:.2} m; is it in another unit or another frame? check input.unit, retarget.* and the \
         frame_id of the target"
    )]
    TargetFarOutside { position: Position, distance: f64, tolerance: f64 },
}

/// Why a stamp may be far from the node's clock, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockCause {
    /// By less than a day: the clocks of two machines are not synchronised, or the message was long on its way.
    #[error("are the clocks of the two machines synchronised, and does nothing hold the message up?")]
    NotSynchronised,
    /// This node runs on simulated time, and the sender stamps with the time of its system.
    #[error(
        "the sender stamps with system time, but use_sim_time is true here; set use_sim_time: true at the sender too, or \
         false here"
    )]
    SenderOnSystemTime,
    /// This node runs on the time of its system, and the sender stamps with simulated time.
    #[error(
        "the sender stamps with simulated time, or with another clock that does not tell the date, but use_sim_time is \
         false here; set use_sim_time: true here too, or false at the sender"
    )]
    SenderOnSimulatedTime,
    /// By more than a day, the other way round.
    #[error("use_sim_time is {simulated} here; {}", if *simulated { SAME_CLOCK } else { SAME_DATE })]
    OfAnotherDay {
        /// Whether this node runs on simulated time.
        simulated: bool,
    },
}

/// Writes a slow rate with the digits that tell it from none.
fn hertz(rate: f64) -> String {
    if rate < 0.95 { format!("{rate:.2}") } else { format!("{rate:.1}") }
}

/// Says what a rate is below.
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
    fn slow_rate_names_its_limit_and_what_to_set() {
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
