//! When the gripper follows.

use crate::config::Change::{Live, Start};
use crate::config::parameter::Initial::{Real, Text};
use crate::config::parameter::{Parameter, Range, parameter};

pub(super) const GRIPPER: &[Parameter] = &[
    parameter(
        "gripper.type",
        Text("std_msgs/msg/Bool"),
        "",
        Range::OneOf(&[
            "std_msgs/msg/Bool",
            "std_msgs/msg/Float32",
            "std_msgs/msg/Float64",
            "std_msgs/msg/String",
        ]),
        "Type of the messages on the topic gripper. Bool: closed? Float32, Float64: opening from 0 to 1. String: 'open' or 'closed'.",
        Start,
    ),
    parameter(
        "gripper.initial",
        Text("open"),
        "",
        Range::OneOf(&["open", "closed"]),
        "State of the gripper in commands until the input says one, or the controller reports one.",
        Start,
    ),
    parameter(
        "gripper.close_below",
        Real(0.3),
        "",
        Range::Real(0.0, 1.0),
        "An opening below this closes the gripper.",
        Live,
    ),
    parameter(
        "gripper.open_above",
        Real(0.5),
        "",
        Range::Real(0.0, 1.0),
        "An opening above this opens the gripper; between the two nothing changes.",
        Live,
    ),
    parameter(
        "gripper.close_debounce",
        Real(0.1),
        "s",
        Range::Real(0.0, 10.0),
        "How long the wish to close must stand before the gripper follows.",
        Live,
    ),
    parameter(
        "gripper.open_debounce",
        Real(0.3),
        "s",
        Range::Real(0.0, 10.0),
        "How long the wish to open must stand before the gripper follows: longer, since to drop what is held is the worse mistake.",
        Live,
    ),
];
