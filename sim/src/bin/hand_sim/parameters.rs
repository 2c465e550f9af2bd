//! The parameters of `hand_sim`: names, defaults, ranges, descriptions, and what they mean.

use std::time::Duration;

use aether_bridge::config::{ConfigError, Range, Value};
use aether_sim::hand::{HandConfig, OnLoss};

/// What the parameters mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The hand and its tracker.
    pub hand: HandConfig,
    /// The `frame_id` of the poses.
    pub frame_id: String,
    /// The type of the messages on the topic `gripper`.
    pub gripper_type: GripperType,
}

/// The message types that a simulated hand can publish its grip in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GripperType {
    /// `std_msgs/msg/Bool`: closed?
    Bool,
    /// `std_msgs/msg/Float32`: opening 0 to 1
    Float32,
}

/// A parameter and its value, which is of its type and in its range.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name, groups separated by dots.
    pub name: &'static str,
    /// Its value: its default until it is set.
    pub value: Value,
    /// What it does, with its unit.
    pub description: &'static str,
    unit: &'static str,
    range: Range,
}

/// All parameters, in the order of the help.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters(Vec<Parameter>);

impl Parameters {
    /// Sets one parameter.
    ///
    /// # Errors
    /// An unknown name, a value of the wrong type, or out of range. Nothing has changed then.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), ConfigError> {
        let suggestion = self.nearest(name);
        let parameter = self
            .0
            .iter_mut()
            .find(|parameter| parameter.name == name)
            .ok_or_else(|| ConfigError::Unknown { name: name.to_owned(), suggestion })?;
        parameter.value = parameter.checked(parameter.coerced(value)?)?;
        Ok(())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.0.iter()
    }

    /// The one of this name.
    pub fn find(&self, name: &str) -> Option<&Parameter> {
        self.iter().find(|parameter| parameter.name == name)
    }

    /// What they mean together.
    ///
    /// # Errors
    /// A box without an inside.
    pub fn settings(&self) -> Result<Settings, ConfigError> {
        let (min, max) = (self.reals("box.min"), self.reals("box.max"));
        if !(0..3).all(|axis| min[axis] < max[axis]) {
            return Err(ConfigError::Relation {
                name: "box.min",
                value: self.value("box.min").to_string(),
                relation: "below, on every axis,",
                other: "box.max",
                other_value: self.value("box.max").to_string(),
            });
        }
        let hand = HandConfig {
            rate: self.real("rate"),
            seed: self.integer("seed").unsigned_abs(),
            min,
            max,
            speed: self.real("speed"),
            pinch: self.real("pinch"),
            tremor: self.real("tremor"),
            position_jitter: self.real("jitter.position"),
            time_jitter: Duration::from_secs_f64(self.real("jitter.time")),
            dropout_share: self.real("dropout.share"),
            dropout_length: Duration::from_secs_f64(self.real("dropout.length")),
            on_loss: match self.text("on_loss") {
                "zeros" => OnLoss::Zeros,
                "repeat" => OnLoss::Repeat,
                _ => OnLoss::Silent,
            },
        };
        let gripper_type = match self.text("gripper.type") {
            "std_msgs/msg/Float32" => GripperType::Float32,
            _ => GripperType::Bool,
        };
        Ok(Settings { hand, frame_id: self.text("frame_id").to_owned(), gripper_type })
    }

    /// The known name that a misspelt one was meant to be.
    fn nearest(&self, name: &str) -> Option<&'static str> {
        let distance = |parameter: &&Parameter| strsim::damerau_levenshtein(parameter.name, name);
        self.0
            .iter()
            .min_by_key(distance)
            .filter(|best| distance(best) <= MAX_TYPING_ERRORS)
            .map(|best| best.name)
    }

    fn value(&self, name: &str) -> &Value {
        self.find(name).map_or_else(|| unreachable!("'{name}' is not declared"), |parameter| &parameter.value)
    }

    fn real(&self, name: &str) -> f64 {
        match self.value(name) {
            Value::Real(value) => *value,
            other => unreachable!("'{name}' is declared as {}", other.type_name()),
        }
    }

    fn integer(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Integer(value) => *value,
            other => unreachable!("'{name}' is declared as {}", other.type_name()),
        }
    }

    fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Value::Text(value) => value,
            other => unreachable!("'{name}' is declared as {}", other.type_name()),
        }
    }

    fn reals(&self, name: &str) -> [f64; 3] {
        match self.value(name) {
            Value::Reals(values) => values.as_slice().try_into().expect("its length is checked"),
            other => unreachable!("'{name}' is declared as {}", other.type_name()),
        }
    }
}

impl Parameter {
    /// The value in the parameter's type, if nothing is lost by that: a whole number for a real.
    fn coerced(&self, value: Value) -> Result<Value, ConfigError> {
        match (value, &self.value) {
            (Value::Integer(value), Value::Real(_)) => Ok(Value::Real(value as f64)),
            (Value::Integers(values), Value::Reals(_)) => {
                Ok(Value::Reals(values.into_iter().map(|value| value as f64).collect()))
            }
            (value, own) if std::mem::discriminant(&value) == std::mem::discriminant(own) => Ok(value),
            (value, own) => Err(ConfigError::wrong_type(
                self.name,
                &value,
                own.type_name(),
                &self.range.describe(self.unit),
            )),
        }
    }

    fn checked(&self, value: Value) -> Result<Value, ConfigError> {
        let holds = self.range.holds(&value);
        if holds {
            return Ok(value);
        }
        Err(ConfigError::Range { name: self.name, value: value.to_string(), range: self.range_in_words() })
    }

    /// What it may be.
    pub fn range_in_words(&self) -> String {
        let three = if matches!(self.value, Value::Reals(_)) { "3 numbers, each " } else { "" };
        format!("{three}{}", self.range.describe(self.unit))
    }
}

/// The parameters as `--help` shows them.
pub fn help() -> String {
    let mut text = String::from("Parameters, with their defaults:\n");
    for parameter in Parameters::default().iter() {
        let (name, value, range) = (parameter.name, parameter.value.to_string(), parameter.range_in_words());
        text += &format!("  {name:<16} {value}, {range}\n{:19}{}\n", "", parameter.description);
    }
    text
}

impl Default for Parameters {
    fn default() -> Self {
        let hand = HandConfig::default();
        let real = |name, value, unit, min, max, description| Parameter {
            name,
            value: Value::Real(value),
            unit,
            range: Range::Real(min, max),
            description,
        };
        let corner = |name, corner: [f64; 3], description| Parameter {
            name,
            value: Value::Reals(corner.into()),
            unit: "m",
            range: Range::Real(-10.0, 10.0),
            description,
        };
        let text = |name, value: &str, range, description| Parameter {
            name,
            value: Value::Text(value.into()),
            unit: "",
            range,
            description,
        };
        Self(vec![
            real("rate", hand.rate, "Hz", 0.1, 1000.0, "Samples per second."),
            Parameter {
                name: "seed",
                value: Value::Integer(1),
                unit: "",
                range: Range::Integer(0, i64::MAX),
                description: "Decides path, noise and drop-outs; the same seed gives the same hand.",
            },
            text("frame_id", "arm_base", Range::NotEmpty, "The frame_id of the poses."),
            corner("box.min", hand.min, "Lower corner of the box that the hand stays in [m]."),
            corner("box.max", hand.max, "Upper corner of the box that the hand stays in [m]."),
            real("speed", hand.speed, "m/s", 0.001, 5.0, "Highest speed of a reach [m/s]."),
            real(
                "pinch",
                hand.pinch,
                "",
                0.0,
                1.0,
                "Share of the reaches that end with the fingers closing or opening.",
            ),
            real(
                "tremor",
                hand.tremor,
                "m",
                0.0,
                0.1,
                "Amplitude of the hand's tremor at 8 to 12 Hz on each axis [m].",
            ),
            real(
                "jitter.position",
                hand.position_jitter,
                "m",
                0.0,
                1.0,
                "Standard deviation of the tracker's noise on each axis [m]; it can leave the box.",
            ),
            real(
                "jitter.time",
                hand.time_jitter.as_secs_f64(),
                "s",
                0.0,
                1.0,
                "Standard deviation of the delay between taking a sample and publishing it [s]; below one period.",
            ),
            real(
                "dropout.share",
                hand.dropout_share,
                "",
                0.0,
                0.9,
                "Share of the time in which the tracker has lost the hand.",
            ),
            real(
                "dropout.length",
                hand.dropout_length.as_secs_f64(),
                "s",
                0.01,
                60.0,
                "Mean length of a loss [s]; each is between half and one and a half times that.",
            ),
            text(
                "on_loss",
                "silent",
                Range::OneOf(&["silent", "zeros", "repeat"]),
                "What is published meanwhile. silent: nothing. zeros: all-zero messages. repeat: the last sample, newly stamped.",
            ),
            text(
                "gripper.type",
                "std_msgs/msg/Bool",
                Range::OneOf(&["std_msgs/msg/Bool", "std_msgs/msg/Float32"]),
                "Type of the messages on the topic gripper. Bool: closed? Float32: opening from 0 to 1.",
            ),
        ])
    }
}

const MAX_TYPING_ERRORS: usize = 3;

#[cfg(test)]
mod tests {
    use aether_sim::hand::Hand;

    use super::*;

    fn error(name: &str, value: Value) -> String {
        let mut parameters = Parameters::default();
        parameters.set(name, value).and_then(|()| parameters.settings().map(drop)).unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_are_those_of_the_hand() {
        let settings = Parameters::default().settings().unwrap();
        assert_eq!(settings.hand, HandConfig::default());
        assert_eq!((settings.frame_id.as_str(), settings.gripper_type), ("arm_base", GripperType::Bool));
    }

    #[test]
    fn an_error_names_parameter_value_and_range() {
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
        for default in Parameters::default().iter() {
            let bounds = match (default.range, &default.value) {
                (Range::Real(min, max), Value::Real(_)) => vec![Value::Real(min), Value::Real(max)],
                (Range::Integer(min, max), _) => vec![Value::Integer(min), Value::Integer(max)],
                (Range::OneOf(choices), _) => {
                    choices.iter().map(|text| Value::Text((*text).into())).collect()
                }
                _ => continue,
            };
            for bound in bounds {
                let mut parameters = Parameters::default();
                parameters.set(default.name, bound.clone()).unwrap();
                let hand = Hand::new(parameters.settings().unwrap().hand);
                assert!(hand.is_ok(), "{} = {bound}: {hand:?}", default.name);
            }
        }
    }

    #[test]
    fn whole_numbers_serve_where_reals_are_wanted() {
        let mut parameters = Parameters::default();
        parameters.set("rate", Value::Integer(60)).unwrap();
        parameters.set("box.max", Value::Integers(vec![1, 1, 1])).unwrap();
        let hand = parameters.settings().unwrap().hand;
        assert_eq!((hand.rate, hand.max), (60.0, [1.0; 3]));
    }

    #[test]
    fn the_help_lists_every_parameter_with_default_and_range() {
        let help = help();
        assert!(help.contains("rate             30.0, from 0.1 to 1000.0 Hz\n"), "{help}");
        assert!(Parameters::default().iter().all(|parameter| help.contains(parameter.description)), "{help}");
    }
}
