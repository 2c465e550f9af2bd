//! The table of parameters: the one source of names, defaults, ranges and descriptions. `config/bridge.yaml` and
//! `ros2 param describe` say the same words.

use super::{Change, ConfigError, Value};

/// A parameter as declared.
#[derive(Debug)]
pub struct Parameter {
    /// Its name, groups separated by dots.
    pub name: &'static str,
    default: Initial,
    /// The unit of its value; empty if it has none.
    pub unit: &'static str,
    /// What it may be.
    pub range: Range,
    /// What it does, in one or two sentences.
    pub description: &'static str,
    /// When it may change.
    pub change: Change,
}

/// What a parameter may be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Range {
    /// Anything of its type.
    Any,
    /// A string that is not empty.
    NotEmpty,
    /// One of these strings.
    OneOf(&'static [&'static str]),
    /// An integer between two bounds, inclusive.
    Integer(i64, i64),
    /// A number, or each of three numbers, between two bounds, inclusive.
    Real(f64, f64),
}

#[derive(Debug, Clone, Copy)]
enum Initial {
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(&'static str),
    Reals([f64; 3]),
}

impl Parameter {
    /// The parameter of that name, if there is one.
    pub fn find(name: &str) -> Option<&'static Self> {
        PARAMETERS.iter().find(|parameter| parameter.name == name)
    }

    /// Its value when nobody sets it.
    pub fn default(&self) -> Value {
        match self.default {
            Initial::Boolean(value) => Value::Boolean(value),
            Initial::Integer(value) => Value::Integer(value),
            Initial::Real(value) => Value::Real(value),
            Initial::Text(value) => Value::Text(value.into()),
            Initial::Reals(values) => Value::Reals(values.into()),
        }
    }

    /// Checks a value of the right type against the range.
    pub(super) fn check(&self, value: &Value) -> Result<(), ConfigError> {
        let range = || {
            let three = if matches!(value, Value::Reals(_)) { "3 numbers, each " } else { "" };
            format!("{three}{}", self.range.describe(self.unit))
        };
        if self.range.holds(value) {
            Ok(())
        } else {
            Err(ConfigError::Range { name: self.name, value: value.to_string(), range: range() })
        }
    }
}

impl Range {
    /// Whether a value of the right type lies in the range.
    pub fn holds(&self, value: &Value) -> bool {
        match (*self, value) {
            (Self::NotEmpty, Value::Text(text)) => !text.is_empty() && !text.contains('\0'),
            (Self::OneOf(choices), Value::Text(text)) => choices.contains(&text.as_str()),
            (Self::Integer(min, max), Value::Integer(value)) => (min..=max).contains(value),
            (Self::Real(min, max), Value::Real(value)) => (min..=max).contains(value),
            (Self::Real(min, max), Value::Reals(values)) => {
                values.len() == 3 && values.iter().all(|value| (min..=max).contains(value))
            }
            (Self::Any, _) => true,
            _ => false,
        }
    }

    /// The range in words, like "from 0.0 to 60.0 s"; empty where anything goes.
    pub fn describe(&self, unit: &str) -> String {
        let words = match self {
            Self::Any => String::new(),
            Self::NotEmpty => "not empty".into(),
            Self::OneOf(choices) => format!("one of: '{}'", choices.join("', '")),
            Self::Integer(min, max) => format!("from {min} to {max}"),
            Self::Real(min, max) => format!("from {min:?} to {max:?}"),
        };
        if unit.is_empty() || words.is_empty() { words } else { format!("{words} {unit}") }
    }
}

const fn parameter(
    name: &'static str,
    default: Initial,
    unit: &'static str,
    range: Range,
    description: &'static str,
    change: Change,
) -> Parameter {
    Parameter { name, default, unit, range, description, change }
}

use Change::{Disarmed, Live, Start};
use Initial::{Boolean, Integer, Real, Reals, Text};

/// All parameters, in the order of the documentation.
pub const PARAMETERS: &[Parameter] = &[
    parameter(
        "role",
        Text("tcp_client"),
        "",
        Range::OneOf(&["tcp_client"]),
        "Who opens the connection. tcp_client: the bridge connects to the controller at host:port.",
        Disarmed,
    ),
    parameter(
        "host",
        Text("127.0.0.1"),
        "",
        Range::NotEmpty,
        "Name or address of the arm's controller. A name is resolved anew at every attempt.",
        Disarmed,
    ),
    parameter(
        "port",
        Integer(5000),
        "",
        Range::Integer(1, 65535),
        "TCP port of the arm's controller.",
        Disarmed,
    ),
    parameter(
        "connect_timeout",
        Real(3.0),
        "s",
        Range::Real(0.01, 60.0),
        "Time allowed for resolving the name and connecting, together.",
        Disarmed,
    ),
    parameter(
        "tcp_user_timeout",
        Real(0.5),
        "s",
        Range::Real(0.01, 60.0),
        "Bytes that the controller's machine has not acknowledged for this long break the connection (TCP_USER_TIMEOUT). Finds a pulled cable.",
        Disarmed,
    ),
    parameter(
        "expect_reply",
        Boolean(true),
        "",
        Range::Any,
        "Whether the controller answers every command with a line. Without replies nothing paces the commands but command_rate, and commands count as acknowledged when sent.",
        Disarmed,
    ),
    parameter(
        "max_in_flight",
        Integer(1),
        "",
        Range::Integer(1, 64),
        "Commands that may be unanswered at a time. With 1 the controller's own pace is the pace.",
        Disarmed,
    ),
    parameter(
        "reply_timeout",
        Real(0.5),
        "s",
        Range::Real(0.01, 60.0),
        "Without a reply for this long the link is UNRESPONSIVE and motion holds.",
        Disarmed,
    ),
    parameter(
        "link_timeout",
        Real(3.0),
        "s",
        Range::Real(0.01, 600.0),
        "Without a reply for this long the connection is closed and opened anew.",
        Disarmed,
    ),
    parameter(
        "backoff.initial",
        Real(0.1),
        "s",
        Range::Real(0.01, 60.0),
        "Wait before the first new attempt after a connection was lost or refused; doubles with each failure, less up to a quarter at random.",
        Disarmed,
    ),
    parameter(
        "backoff.max",
        Real(4.0),
        "s",
        Range::Real(0.01, 600.0),
        "Longest wait between attempts.",
        Disarmed,
    ),
    parameter(
        "wire_unit",
        Text("mm"),
        "",
        Range::OneOf(&["mm", "cm", "m"]),
        "Unit of x, y and z on the wire.",
        Disarmed,
    ),
    parameter(
        "base_frame",
        Text("arm_base"),
        "",
        Range::NotEmpty,
        "Name of the arm's base frame, the frame_id of what is published.",
        Disarmed,
    ),
    parameter(
        "arming",
        Text("automatic"),
        "",
        Range::OneOf(&["automatic", "operator"]),
        "Who arms. automatic: the bridge itself, once at start, and a loss is followed by an approach. operator: ~/set_armed, at start and after every loss of the link.",
        Disarmed,
    ),
    parameter(
        "settle_time",
        Real(1.0),
        "s",
        Range::Real(0.0, 60.0),
        "How long the input must have been good without a gap before arming leads to motion.",
        Live,
    ),
    parameter(
        "input_timeout",
        Real(0.2),
        "s",
        Range::Real(0.01, 10.0),
        "A target older than this never moves the arm. Measured on the steady clock from receipt, plus the age that its stamp tells.",
        Live,
    ),
    parameter(
        "source.zero_is_lost",
        Boolean(true),
        "",
        Range::Any,
        "Whether a target of exactly 0, 0, 0 means that the tracker sees no hand. A single one is passed over, two in a row are a loss.",
        Live,
    ),
    parameter(
        "source.frozen_timeout",
        Real(0.0),
        "s",
        Range::Real(0.0, 60.0),
        "Targets that are exactly the same for this long are a loss: what trackers repeat when they lose the hand. 0: never, for senders whose targets may rest.",
        Live,
    ),
    parameter(
        "source.min_rate",
        Real(5.0),
        "Hz",
        Range::Real(0.0, 1000.0),
        "Targets that come less often than this, over the last four intervals, are a loss. 0: any rate will do.",
        Live,
    ),
    parameter(
        "filter.kind",
        Text("one_euro"),
        "",
        Range::OneOf(&["one_euro", "none"]),
        "How targets are smoothed. one_euro: strongly at rest, little in motion, for a tracker that guesses. none: not at all, for a sender that computes.",
        Live,
    ),
    parameter(
        "filter.min_cutoff",
        Real(0.05),
        "Hz",
        Range::Real(0.001, 1000.0),
        "Cutoff of the filter for a hand at rest. Lower: calmer, and slower to take up the last millimetres.",
        Live,
    ),
    parameter(
        "filter.beta",
        Real(30.0),
        "Hz per m/s",
        Range::Real(0.0, 10000.0),
        "How much the cutoff rises with the hand's speed. The arm lags by at most 1 / (2 pi beta) metres. Higher: less lag, more jitter.",
        Live,
    ),
    parameter(
        "filter.derivative_cutoff",
        Real(0.3),
        "Hz",
        Range::Real(0.001, 1000.0),
        "Cutoff of the smoothing of that speed. Higher: quicker to notice that the hand moves, more jitter.",
        Live,
    ),
    parameter(
        "command_rate",
        Real(50.0),
        "Hz",
        Range::Real(0.0, 1000.0),
        "Most commands a second, and the rate of a ramp. 0: a command for every target at once, and 50 Hz within a ramp.",
        Live,
    ),
    parameter(
        "workspace.min",
        Reals([-0.3, -0.3, 0.0]),
        "m",
        Range::Real(-100.0, 100.0),
        "Lower corner of the box that commands lie in, in the arm's base frame.",
        Live,
    ),
    parameter(
        "workspace.max",
        Reals([0.3, 0.3, 0.4]),
        "m",
        Range::Real(-100.0, 100.0),
        "Upper corner of the box that commands lie in, in the arm's base frame.",
        Live,
    ),
    parameter(
        "workspace.policy",
        Text("clamp"),
        "",
        Range::OneOf(&["clamp", "reject"]),
        "What happens to a target outside the box. clamp: taken to its nearest point. reject: refused, and motion holds.",
        Live,
    ),
    parameter(
        "workspace.reach_min",
        Real(0.0),
        "m",
        Range::Real(0.0, 100.0),
        "Commands keep at least this far from the origin of base_frame, and lead around it: an arm cannot fold into itself. 0: no such bound.",
        Live,
    ),
    parameter(
        "workspace.reach_max",
        Real(0.0),
        "m",
        Range::Real(0.0, 100.0),
        "Commands keep within this distance from the origin of base_frame. 0: no such bound.",
        Live,
    ),
    parameter(
        "home",
        Reals([0.2, 0.0, 0.2]),
        "m",
        Range::Real(-100.0, 100.0),
        "Where the arm is taken to be when no reply has told yet: the first approach starts here. In the arm's base frame, inside the workspace.",
        Live,
    ),
    parameter(
        "limits.speed",
        Real(0.25),
        "m/s",
        Range::Real(0.001, 10.0),
        "Fastest that commands move the arm. The default is the reduced speed of ISO 10218 manual operation.",
        Live,
    ),
    parameter(
        "limits.acceleration",
        Real(1.0),
        "m/s^2",
        Range::Real(0.01, 1000.0),
        "How much the velocity of the commands may change. Commands come to rest at the target without overshoot.",
        Live,
    ),
    parameter(
        "limits.jump",
        Real(0.15),
        "m",
        Range::Real(0.0, 100.0),
        "Two targets in a row farther apart than this are a leap, as when a tracker takes one hand for the other: refused, and motion holds. 0: never.",
        Live,
    ),
    parameter(
        "limits.jump_confirm",
        Real(0.3),
        "s",
        Range::Real(0.0, 10.0),
        "How long the target has to stay where it leapt to before it is believed and approached.",
        Live,
    ),
    parameter(
        "approach_speed",
        Real(0.1),
        "m/s",
        Range::Real(0.001, 10.0),
        "Fastest that commands move the arm while it approaches a target after arming or a hold.",
        Live,
    ),
    parameter(
        "error_limit",
        Integer(5),
        "",
        Range::Integer(1, 1000),
        "Error replies in a row after which motion holds for settle_time, at least 0.5 s, before the next attempt.",
        Live,
    ),
    parameter(
        "hold_line",
        Text("nothing"),
        "",
        Range::OneOf(&["nothing", "repeat", "stop"]),
        "What the controller gets when motion is held, stopped or ended. nothing: silence. repeat: the last command at command_rate. stop: one line {\"type\":\"stop\"}, for a controller that knows it.",
        Live,
    ),
    parameter(
        "retarget.mode",
        Text("absolute"),
        "",
        Range::OneOf(&["absolute", "relative"]),
        "absolute: the arm goes to where the hand is. relative: when motion begins the arm stays where it is, and from then on goes as far as the hand goes.",
        Disarmed,
    ),
    parameter(
        "retarget.frame",
        Text(""),
        "",
        Range::Any,
        "Name of the tracker's frame. A target whose frame_id is this name, or empty, is retargeted; one in base_frame is taken as it is; any other is refused.",
        Disarmed,
    ),
    parameter(
        "retarget.translation",
        Reals([0.0; 3]),
        "m",
        Range::Real(-100.0, 100.0),
        "Origin of the tracker's frame in the arm's base frame. A target becomes translation + rotation * (scale * target).",
        Disarmed,
    ),
    parameter(
        "retarget.rotation_rpy",
        Reals([0.0; 3]),
        "rad",
        Range::Real(-7.0, 7.0),
        "Roll, pitch and yaw of the tracker's frame in the arm's base frame, about fixed axes (REP 103).",
        Disarmed,
    ),
    parameter(
        "retarget.scale",
        Reals([1.0; 3]),
        "",
        Range::Real(-1000.0, 1000.0),
        "Factor for each axis of the tracker's frame; a negative one mirrors.",
        Disarmed,
    ),
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
        "What the gripper is told to be before anyone has asked for anything.",
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
