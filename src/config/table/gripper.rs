//! When the gripper follows.

use std::time::Duration;

use crate::arm::Gripper;
use crate::params::{one_of, real, seconds, text};

/// The message types that the topic `gripper` can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GripperType {
    /// `std_msgs/msg/Bool`: closed?
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
    /// Whatever closes it.
    Input,
    /// The topic `gripper` alone.
    Topic,
}

crate::parameters! {
    /// When the gripper follows.
    pub static GRIPPER;

    /// Type of the messages on the topic gripper. Bool: closed? Float32, Float64: opening from 0 to 1. String: 'open'
    /// or 'closed'.
    GRIPPER_TYPE: GripperType = one_of("gripper.type", &[
        ("std_msgs/msg/Bool", GripperType::Bool),
        ("std_msgs/msg/Float32", GripperType::Float32),
        ("std_msgs/msg/Float64", GripperType::Float64),
        ("std_msgs/msg/String", GripperType::String),
    ]);
    /// Where a message with a target says whether the hand that grips is seen: a bool, or a number that is above zero
    /// then. While it is not seen what the message says of the gripper (input.gripper) does not count. none: nowhere.
    GRIPPER_VALID: String = text("gripper.valid", "none").not_empty();
    /// What opens the gripper if input.gripper names a field. input: that field. topic: only the topic gripper, for a
    /// tracker that says open when it has lost the hand that grips, and has no field for gripper.valid. The field only
    /// closes it then.
    GRIPPER_OPENED_BY: OpenedBy = one_of("gripper.opened_by", &[
        ("input", OpenedBy::Input),
        ("topic", OpenedBy::Topic),
    ]);
    /// State of the gripper in commands until the input says one, or the controller reports one.
    GRIPPER_INITIAL: Gripper = one_of("gripper.initial", &[
        ("open", Gripper::Open),
        ("closed", Gripper::Closed),
    ]);
    /// An opening below this closes the gripper.
    GRIPPER_CLOSE_BELOW: f64 = real("gripper.close_below", 0.3, 0.0..=1.0).always();
    /// An opening above this opens the gripper; between the two nothing changes.
    GRIPPER_OPEN_ABOVE: f64 = real("gripper.open_above", 0.5, 0.0..=1.0).always();
    /// How long the wish to close must stand before the gripper follows.
    GRIPPER_CLOSE_DEBOUNCE: Duration = seconds("gripper.close_debounce", 0.1, 0.0..=10.0).always();
    /// How long the wish to open must stand before the gripper follows: longer, since to drop what is held is the worse
    /// mistake.
    GRIPPER_OPEN_DEBOUNCE: Duration = seconds("gripper.open_debounce", 0.3, 0.0..=10.0).always();
}
