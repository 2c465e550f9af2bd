//! Parameters of the targets: topic and fields, frames and transforms, filter.

use std::time::Duration;

use crate::params::{boolean, field_paths, one_of, real, reals, seconds, text};
use crate::teleop::RetargetMode;

/// The available filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterKind {
    /// The One Euro filter.
    OneEuro,
    /// No filter.
    None,
}

crate::parameters! {
    /// The topic with the targets: its message type and fields, and when a hand counts as lost.
    pub static INPUT;

    /// Name of the topic with the targets.
    INPUT_TOPIC: String = text("input.topic", "target_pose").not_empty();
    /// Message type of input.topic. The bridge reads every type that it was built with. It reads
    /// PoseStamped, Pose, PointStamped, Point and TransformStamped of geometry_msgs fastest.
    INPUT_TYPE: String = text("input.type", "geometry_msgs/msg/PoseStamped").not_empty();
    /// Fields of x, y and z: paths like 'pose.position.x' or 'landmarks[8].x'. auto: the usual
    /// fields of ROS messages.
    INPUT_POSITION: Vec<String> = field_paths("input.position", 3, false);
    /// Fields of the quaternion x, y, z and w. auto: the usual fields of ROS messages, if the
    /// message has them. none: no orientation.
    INPUT_ORIENTATION: Vec<String> = field_paths("input.orientation", 4, true);
    /// Field with the time of the measurement: builtin_interfaces/Time, or a floating-point number
    /// of seconds. auto: header.stamp, if the message has it. none: the message has no stamp, or
    /// its stamp is not reliable.
    INPUT_STAMP: String = text("input.stamp", "auto").not_empty();
    /// Field with the name of the frame of the position. auto: header.frame_id, if the message has
    /// it. none: every position is in the tracker's frame.
    INPUT_FRAME: String = text("input.frame", "auto").not_empty();
    /// Field that states whether a hand is visible: a bool, or a number above 0 for visible. none:
    /// the message has no such field.
    INPUT_VALID: String = text("input.valid", "none").not_empty();
    /// Field for the gripper: a bool (true closes), a number (opening from 0 to 1) or a string
    /// ('open' or 'closed'). A new value counts after two messages in a row with this value. none:
    /// only the topic gripper controls the gripper.
    INPUT_GRIPPER: String = text("input.gripper", "none").not_empty();
    /// Unit of x, y and z in messages: m, cm or mm. For other units, such as image units, write the
    /// number of metres in one unit, like '0.001'.
    INPUT_UNIT: String = text("input.unit", "m").not_empty();
    /// A target older than this does not move the arm. Its age has two parts: the age that its
    /// stamp shows on arrival, and the time since arrival on the steady clock.
    INPUT_TIMEOUT: Duration = seconds("input.timeout", 0.2, 0.01..=10.0).always();
    /// true: a target of exactly 0, 0, 0 means that the tracker sees no hand. The bridge ignores a
    /// single zero. Two zeros in a row count as a lost hand.
    INPUT_ZERO_IS_LOST: bool = boolean("input.zero_is_lost", true).always();
    /// If exactly the same target repeats for this long, the hand counts as lost, because some
    /// trackers repeat the last target when they lose the hand. 0: no check, for publishers that
    /// may repeat a target on purpose.
    INPUT_FROZEN_TIMEOUT: Duration = seconds("input.frozen_timeout", 0.0, 0.0..=60.0).always();
    /// If targets arrive less often than this, the hand counts as lost. The rate is the mean over
    /// the last four intervals. 0: every rate is accepted.
    INPUT_MIN_RATE: f64 = real("input.min_rate", 5.0, 0.0..=1000.0).unit("Hz").always();
}

crate::parameters! {
    /// Transforms from /tf and /tf_static.
    pub static TF;

    /// true: the bridge reads /tf and /tf_static. This needs a bridge that was built with tf2_msgs.
    /// false: the bridge rejects a target in a frame other than retarget.frame and arm.base_frame.
    TF_ENABLED: bool = boolean("tf.enabled", true);
    /// Longest time that a target waits for the transform at its stamp. A target never waits longer
    /// than input.timeout allows. The delay of a transform, and the time between two transforms,
    /// must be shorter than this. 0: targets do not wait.
    TF_TIMEOUT: Duration = seconds("tf.timeout", 0.1, 0.0..=1.0).always();
}

crate::parameters! {
    /// The transform from the tracker's frame to the arm's base frame.
    pub static RETARGET;

    /// absolute: the arm goes to the position of the hand. relative: the arm stays where it is when
    /// motion begins, and then moves as far as the hand moves.
    RETARGET_MODE: RetargetMode = one_of("retarget.mode", &[
        ("absolute", RetargetMode::Absolute),
        ("relative", RetargetMode::Relative),
    ]).while_disarmed();
    /// Name of the tracker's frame. If the frame_id of a target is this name or empty, retarget.*
    /// applies. A target in arm.base_frame is used unchanged. For a target in another frame, the
    /// bridge looks up the transform on /tf and /tf_static. If tf.enabled is false, it rejects this
    /// target.
    RETARGET_FRAME: String = text("retarget.frame", "").while_disarmed();
    /// Origin of the tracker's frame in the arm's base frame. The position in the base frame is
    /// translation + rotation * (scale * target).
    RETARGET_TRANSLATION: [f64; 3] =
        reals("retarget.translation", [0.0; 3], -100.0..=100.0).unit("m").while_disarmed();
    /// Rotation of the tracker's frame in the arm's base frame: roll, pitch and yaw about fixed
    /// axes (REP 103).
    RETARGET_ROTATION_RPY: [f64; 3] =
        reals("retarget.rotation_rpy", [0.0; 3], -7.0..=7.0).unit("rad").while_disarmed();
    /// Factor for each axis of the tracker's frame. A negative factor mirrors the axis.
    RETARGET_SCALE: [f64; 3] = reals("retarget.scale", [1.0; 3], -1000.0..=1000.0).while_disarmed();
}

crate::parameters! {
    /// The filter that smooths the targets.
    pub static FILTER;

    /// Filter for targets. one_euro: smooths strongly while the hand rests and weakly while it
    /// moves, for trackers with noise. none: no filter, for computed targets.
    FILTER_KIND: FilterKind = one_of("filter.kind", &[
        ("one_euro", FilterKind::OneEuro),
        ("none", FilterKind::None),
    ]).always();
    /// Cutoff frequency of the filter for a resting hand. Lower: less jitter, but the arm covers
    /// the last millimetres more slowly.
    FILTER_MIN_CUTOFF: f64 = real("filter.min_cutoff", 0.05, 0.001..=1000.0).unit("Hz").always();
    /// How much the cutoff frequency increases with the speed of the hand. At constant speed the
    /// filter lags by at most 1 / (2 pi beta) metres. It lags more when the motion changes
    /// direction. Higher: less lag, more jitter.
    FILTER_BETA: f64 = real("filter.beta", 50.0, 0.0..=10000.0).unit("Hz per m/s").always();
    /// Cutoff frequency of the filter for the speed of the hand. Higher: faster reaction to a
    /// moving hand, more jitter.
    FILTER_DERIVATIVE_CUTOFF: f64 = real("filter.derivative_cutoff", 0.2, 0.001..=1000.0).unit("Hz").always();
}
