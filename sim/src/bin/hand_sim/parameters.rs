//! The parameters of `hand_sim`, and their conversion to settings.

use std::time::Duration;

use aether_bridge::params::{
    self, Parameter, ParameterError, Table, integer, one_of, real, reals, seconds, text,
};
use aether_sim::hand::{HandConfig, OnLoss};

/// A value for each parameter of `hand_sim`.
pub type Parameters = params::Parameters<HandTable>;

/// The parameters of `hand_sim`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandTable {}

impl Table for HandTable {
    const GROUPS: &'static [&'static [&'static dyn Parameter]] = &[HAND];
}

aether_bridge::parameters! {
    /// The hand and its tracker, in the order of the help.
    static HAND;

    /// Samples per second.
    RATE: f64 = real("rate", 30.0, 0.1..=1000.0).unit("Hz");
    /// The seed of path, noise and drop-outs; the same seed gives the same hand.
    SEED: u64 = integer("seed", 1, 0..=i64::MAX);
    /// The frame_id of the poses.
    FRAME_ID: String = text("frame_id", "arm_base").not_empty();
    /// Lower corner of the box that the hand stays in.
    BOX_MIN: [f64; 3] = reals("box.min", [0.1, -0.2, 0.08], -10.0..=10.0).unit("m");
    /// Upper corner of the box that the hand stays in.
    BOX_MAX: [f64; 3] = reals("box.max", [0.28, 0.2, 0.3], -10.0..=10.0).unit("m");
    /// Highest speed of a reach.
    SPEED: f64 = real("speed", 0.18, 0.001..=5.0).unit("m/s");
    /// Share of the reaches after which the fingers close or open.
    PINCH: f64 = real("pinch", 0.6, 0.0..=1.0);
    /// Amplitude of the hand's tremor at 8 to 12 Hz on each axis.
    TREMOR: f64 = real("tremor", 0.0003, 0.0..=0.1).unit("m");
    /// Standard deviation of the tracker's noise on each axis; it can leave the box.
    JITTER_POSITION: f64 = real("jitter.position", 0.0, 0.0..=1.0).unit("m");
    /// Standard deviation of the delay between taking a sample and publishing it; below one period.
    JITTER_TIME: Duration = seconds("jitter.time", 0.0, 0.0..=1.0);
    /// Share of the time in which the tracker has lost the hand.
    DROPOUT_SHARE: f64 = real("dropout.share", 0.0, 0.0..=0.9);
    /// Mean length of a loss; each loss is between half and one and a half times this length.
    DROPOUT_LENGTH: Duration = seconds("dropout.length", 1.0, 0.01..=60.0);
    /// Output while the hand is lost. silent: no messages. zeros: all-zero messages. repeat: the
    /// last sample with a new stamp.
    ON_LOSS: OnLoss = one_of("on_loss", &[
        ("silent", OnLoss::Silent),
        ("zeros", OnLoss::Zeros),
        ("repeat", OnLoss::Repeat),
    ]);
    /// Message type of the topic gripper. Bool: true is closed. Float32: the opening from 0 to 1.
    GRIPPER_TYPE: GripperType = one_of("gripper.type", &[
        ("std_msgs/msg/Bool", GripperType::Bool),
        ("std_msgs/msg/Float32", GripperType::Float32),
    ]);
}

/// The settings from the parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The hand and its tracker.
    pub hand: HandConfig,
    /// The `frame_id` of the poses.
    pub frame_id: String,
    /// The type of the messages on the topic `gripper`.
    pub gripper_type: GripperType,
}

/// The message types for the grip of a simulated hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GripperType {
    /// `std_msgs/msg/Bool`: true is closed
    Bool,
    /// `std_msgs/msg/Float32`: the opening from 0 to 1
    Float32,
}

impl Settings {
    /// Converts the parameters.
    ///
    /// # Errors
    /// If the box is empty.
    pub fn new(p: &Parameters) -> Result<Self, ParameterError> {
        let (min, max) = (p.get(&BOX_MIN), p.get(&BOX_MAX));
        if !(0..3).all(|axis| min[axis] < max[axis]) {
            return Err(p.relation_error(&BOX_MIN, "below, on every axis,", &BOX_MAX));
        }
        let hand = HandConfig {
            rate: p.get(&RATE),
            seed: p.get(&SEED),
            min,
            max,
            speed: p.get(&SPEED),
            pinch: p.get(&PINCH),
            tremor: p.get(&TREMOR),
            position_jitter: p.get(&JITTER_POSITION),
            time_jitter: p.get(&JITTER_TIME),
            dropout_share: p.get(&DROPOUT_SHARE),
            dropout_length: p.get(&DROPOUT_LENGTH),
            on_loss: p.get(&ON_LOSS),
        };
        Ok(Self { hand, frame_id: p.get(&FRAME_ID), gripper_type: p.get(&GRIPPER_TYPE) })
    }
}

/// Returns the parameters for `--help`.
pub fn help() -> String {
    let mut text = String::from("Parameters, with their defaults:\n");
    for parameter in HAND {
        let (default, value) = (parameter.default(), parameter.describe_value());
        text += &format!("  {:<16} {default}, {value}\n{:19}{}\n", parameter.name, "", parameter.description);
    }
    text
}

#[cfg(test)]
mod tests {
    use aether_sim::hand::Hand;

    use super::*;
    use aether_bridge::params::{Range, Value};

    fn error(name: &str, value: Value) -> String {
        let parameters = Parameters::with(&[(name, value)]);
        parameters.and_then(|parameters| Settings::new(&parameters)).unwrap_err().to_string()
    }

    #[test]
    fn defaults_match_the_hand() {
        let settings = Settings::new(&Parameters::default()).unwrap();
        assert_eq!(settings.hand, HandConfig::default());
        assert_eq!((settings.frame_id.as_str(), settings.gripper_type), ("arm_base", GripperType::Bool));
    }

    #[test]
    fn error_names_parameter_value_and_range() {
        assert_eq!(
            error("rate", Value::Real(0.0)),
            "parameter 'rate' is 0.0; it must be from 0.1 to 1000.0 Hz"
        );
        assert_eq!(
            error("on_loss", Value::Text("freeze".into())),
            "parameter 'on_loss' is 'freeze'; it must be one of: 'silent', 'zeros', 'repeat'"
        );
        assert_eq!(
            error("seed", Value::Text("x".into())),
            "parameter 'seed' is 'x', a string; it must be an integer, from 0 to 9223372036854775807"
        );
        assert_eq!(
            error("box.min", Value::Reals(vec![0.3, -0.2, 0.08])),
            "parameter 'box.min' is [0.3, -0.2, 0.08]; it must be below, on every axis, 'box.max', which is \
             [0.28, 0.2, 0.3]"
        );
        assert_eq!(error("sppeed", Value::Real(1.0)), "parameter 'sppeed' is unknown; did you mean 'speed'?");
    }

    #[test]
    fn every_value_in_range_makes_a_hand() {
        for parameter in HAND {
            let bounds = match (parameter.range, parameter.default()) {
                (Range::Real(min, max), Value::Real(_)) => vec![Value::Real(min), Value::Real(max)],
                (Range::Integer(min, max), _) => vec![Value::Integer(min), Value::Integer(max)],
                (Range::OneOf(choices), _) => {
                    choices.words().into_iter().map(|text| Value::Text(text.into())).collect()
                }
                _ => continue,
            };
            for bound in bounds {
                let parameters = Parameters::with(&[(parameter.name, bound.clone())]).unwrap();
                let hand = Hand::new(Settings::new(&parameters).unwrap().hand);
                assert!(hand.is_ok(), "{} = {bound}: {hand:?}", parameter.name);
            }
        }
    }

    #[test]
    fn whole_numbers_are_accepted_as_reals() {
        let whole = [("rate", Value::Integer(60)), ("box.max", Value::Integers(vec![1, 1, 1]))];
        let hand = Settings::new(&Parameters::with(&whole).unwrap()).unwrap().hand;
        assert_eq!((hand.rate, hand.max), (60.0, [1.0; 3]));
    }

    #[test]
    fn help_lists_each_parameter_with_default_and_range() {
        let help = help();
        assert!(
            help.contains("  box.min          [0.1, -0.2, 0.08], 3 numbers, each from -10.0 to 10.0 m\n"),
            "{help}"
        );
        assert!(help.contains("rate             30.0, from 0.1 to 1000.0 Hz\n"), "{help}");
        assert!(HAND.iter().all(|parameter| help.contains(parameter.description)), "{help}");
    }
}
