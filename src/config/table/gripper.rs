//! Parameters of the gripper.

use std::time::Duration;

use crate::arm::Gripper;
use crate::params::{one_of, real, seconds, text};

/// The message types that the topic `gripper` can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GripperType {
    /// `std_msgs/msg/Bool`: true closes
    Bool,
    /// `std_msgs/msg/Float32`: opening 0..1
    Float32,
    /// `std_msgs/msg/Float64`: opening 0..1
    Float64,
    /// `std_msgs/msg/String`: "open" or "closed"
    String,
}

/// What may open the gripper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenedBy {
    /// The same inputs that can close it.
    Input,
    /// Only the topic `gripper`.
    Topic,
}

crate::parameters! {
    /// The gripper: where its input comes from, and when it opens and closes.
    pub static GRIPPER;

    /// Message type of the topic gripper. Bool: true closes. Float32, Float64: opening from 0
    /// (closed) to 1 (open). String: 'open' or 'closed'.
    GRIPPER_TYPE: GripperType = one_of("gripper.type", &[
        ("std_msgs/msg/Bool", GripperType::Bool),
        ("std_msgs/msg/Float32", GripperType::Float32),
        ("std_msgs/msg/Float64", GripperType::Float64),
        ("std_msgs/msg/String", GripperType::String),
    ]);
    /// Field of the target message that states whether the gripping hand is visible: a bool, or a
    /// number above 0 for visible. While the hand is not visible, the bridge ignores the field
    /// input.gripper. none: the message has no such field.
    GRIPPER_VALID: String = text("gripper.valid", "none").not_empty();
    /// What may open the gripper if input.gripper names a field. input: that field and the topic
    /// gripper. topic: only the topic gripper; the field can only close the gripper. Use topic if
    /// the tracker reports an open gripper when it loses the gripping hand, and its message has no
    /// field for gripper.valid.
    GRIPPER_OPENED_BY: OpenedBy = one_of("gripper.opened_by", &[
        ("input", OpenedBy::Input),
        ("topic", OpenedBy::Topic),
    ]);
    /// State of the gripper in commands, until the first message about the gripper arrives or the
    /// controller reports a state.
    GRIPPER_INITIAL: Gripper = one_of("gripper.initial", &[
        ("open", Gripper::Open),
        ("closed", Gripper::Closed),
    ]);
    /// A received opening (0 closed, 1 open) below this value closes the gripper.
    GRIPPER_CLOSE_BELOW: f64 = real("gripper.close_below", 0.3, 0.0..=1.0).always();
    /// A received opening above this value opens the gripper. Between gripper.close_below and it
    /// the gripper does not change.
    GRIPPER_OPEN_ABOVE: f64 = real("gripper.open_above", 0.5, 0.0..=1.0).always();
    /// The input must request a closed gripper for this long before the gripper closes.
    GRIPPER_CLOSE_DEBOUNCE: Duration = seconds("gripper.close_debounce", 0.1, 0.0..=10.0).always();
    /// The input must request an open gripper for this long before the gripper opens. The default
    /// is longer than for closing, because dropping a held object is worse than grasping late.
    GRIPPER_OPEN_DEBOUNCE: Duration = seconds("gripper.open_debounce", 0.3, 0.0..=10.0).always();
}
