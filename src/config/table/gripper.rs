//! When the gripper follows.

use std::time::Duration;

use crate::arm::Gripper;
use crate::params::{one_of, real, seconds};

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
