//! Where targets come from, how they come into the arm's base frame, and how they are smoothed.

use std::time::Duration;

use crate::params::{boolean, field_paths, one_of, real, reals, seconds, text};
use crate::teleop::RetargetMode;

/// The kinds of filter that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterKind {
    /// The One Euro filter.
    OneEuro,
    /// No filter.
    None,
}

crate::parameters! {
    /// Where targets come from, and which are followed.
    pub static INPUT;

    /// Name of the topic that the targets come on.
    INPUT_TOPIC: String = text("input.topic", "target_pose").not_empty();
    /// Type of the messages on it: any that the bridge was built with. PoseStamped, Pose, PointStamped, Point and
    /// TransformStamped of geometry_msgs are read fastest.
    INPUT_TYPE: String = text("input.type", "geometry_msgs/msg/PoseStamped").not_empty();
    /// Where a message has x, y and z: paths like 'pose.position.x' or 'landmarks[8].x'. auto: where messages of ROS
    /// have them.
    INPUT_POSITION: Vec<String> = field_paths("input.position", 3, false);
    /// Where a message has x, y, z and w of a quaternion. auto: where messages of ROS have them, if this one does.
    /// none: nowhere.
    INPUT_ORIENTATION: Vec<String> = field_paths("input.orientation", 4, true);
    /// Where a message says when it was taken: a builtin_interfaces/Time, or a floating-point number of seconds. auto:
    /// header.stamp, if there is one. none: nowhere, or not to be trusted.
    INPUT_STAMP: String = text("input.stamp", "auto").not_empty();
    /// Where a message names the frame that its position is in. auto: header.frame_id, if there is one. none: nowhere;
    /// it is the tracker's.
    INPUT_FRAME: String = text("input.frame", "auto").not_empty();
    /// Where a message says whether there is a hand: a bool, or a number that is above zero then. none: nowhere.
    INPUT_VALID: String = text("input.valid", "none").not_empty();
    /// Where a message says what the gripper is to do: a bool (closed?), a number (opening from 0 to 1) or a string
    /// ('open', 'closed'). It takes two messages that say the same. none: nowhere; the topic gripper does.
    INPUT_GRIPPER: String = text("input.gripper", "none").not_empty();
    /// Unit of x, y and z: m, cm or mm, or a number of metres to the sender's unit, like '0.001', for image units.
    INPUT_UNIT: String = text("input.unit", "m").not_empty();
    /// A target older than this never moves the arm. Measured on the steady clock from receipt, plus the age that its
    /// stamp tells.
    INPUT_TIMEOUT: Duration = seconds("input.timeout", 0.2, 0.01..=10.0).always();
    /// Whether a target of exactly 0, 0, 0 means that the tracker sees no hand. A single one is passed over, two in a
    /// row are a loss.
    INPUT_ZERO_IS_LOST: bool = boolean("input.zero_is_lost", true).always();
    /// Targets that are exactly the same for this long are a loss: what trackers repeat when they lose the hand. 0:
    /// never, for senders whose targets may rest.
    INPUT_FROZEN_TIMEOUT: Duration = seconds("input.frozen_timeout", 0.0, 0.0..=60.0).always();
    /// Targets that come less often than this, over the last four intervals, are a loss. 0: any rate will do.
    INPUT_MIN_RATE: f64 = real("input.min_rate", 5.0, 0.0..=1000.0).unit("Hz").always();
}

crate::parameters! {
    /// Frames of /tf.
    pub static TF;

    /// Whether /tf and /tf_static are read, which takes a bridge that was built with tf2_msgs. Without them a target in
    /// a frame that is neither retarget.frame nor arm.base_frame is refused.
    TF_ENABLED: bool = boolean("tf.enabled", true);
    /// How long a target in a frame of /tf waits for the transform of its stamp, at most as long as input.timeout
    /// leaves it. Transforms have to be on their way for less, and come more often. 0: not at all.
    TF_TIMEOUT: Duration = seconds("tf.timeout", 0.1, 0.0..=1.0).always();
}

crate::parameters! {
    /// From the tracker's frame to the arm's base frame.
    pub static RETARGET;

    /// absolute: the arm goes to where the hand is. relative: when motion begins the arm stays where it is, and from
    /// then on goes as far as the hand goes.
    RETARGET_MODE: RetargetMode = one_of("retarget.mode", &[
        ("absolute", RetargetMode::Absolute),
        ("relative", RetargetMode::Relative),
    ]).while_disarmed();
    /// Name of the tracker's frame. A target whose frame_id is this name, or empty, is retargeted; one in
    /// arm.base_frame is taken as it is; any other is looked up on /tf and /tf_static if tf.enabled is true, and
    /// refused otherwise.
    RETARGET_FRAME: String = text("retarget.frame", "").while_disarmed();
    /// Origin of the tracker's frame in the arm's base frame. A target becomes translation + rotation * (scale *
    /// target).
    RETARGET_TRANSLATION: [f64; 3] =
        reals("retarget.translation", [0.0; 3], -100.0..=100.0).unit("m").while_disarmed();
    /// Roll, pitch and yaw of the tracker's frame in the arm's base frame, about fixed axes (REP 103).
    RETARGET_ROTATION_RPY: [f64; 3] =
        reals("retarget.rotation_rpy", [0.0; 3], -7.0..=7.0).unit("rad").while_disarmed();
    /// Factor for each axis of the tracker's frame; a negative one mirrors.
    RETARGET_SCALE: [f64; 3] = reals("retarget.scale", [1.0; 3], -1000.0..=1000.0).while_disarmed();
}

crate::parameters! {
    /// How targets are smoothed.
    pub static FILTER;

    /// How targets are smoothed. one_euro: strongly at rest, little in motion, for a tracker that guesses. none: not at
    /// all, for a sender that computes.
    FILTER_KIND: FilterKind = one_of("filter.kind", &[
        ("one_euro", FilterKind::OneEuro),
        ("none", FilterKind::None),
    ]).always();
    /// Cutoff of the filter for a hand at rest. Lower: calmer, and slower to take up the last millimetres.
    FILTER_MIN_CUTOFF: f64 = real("filter.min_cutoff", 0.05, 0.001..=1000.0).unit("Hz").always();
    /// How much the cutoff rises with the hand's speed. Behind a steady motion the filter stays by at most 1 / (2 pi
    /// beta) metres, behind one that turns by more. Higher: less lag, more jitter.
    FILTER_BETA: f64 = real("filter.beta", 50.0, 0.0..=10000.0).unit("Hz per m/s").always();
    /// Cutoff of the smoothing of that speed. Higher: quicker to notice that the hand moves, more jitter.
    FILTER_DERIVATIVE_CUTOFF: f64 = real("filter.derivative_cutoff", 0.2, 0.001..=1000.0).unit("Hz").always();
}
