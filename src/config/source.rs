//! Reads the parameters `input.*` and `tf.*`.

use std::time::Duration;

use super::Parameters;
use super::error::ConfigError;
use super::table::*;
use crate::mapping::{FieldPath, FieldSelector, Fields};
use crate::params::{Param, ParameterError};

/// The source of the targets.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceConfig {
    /// The name of the topic.
    pub topic: String,
    /// The type of its messages, like `geometry_msgs/msg/PoseStamped`.
    pub message_type: String,
    /// The fields of a message that the bridge reads.
    pub fields: Fields,
    /// The length of the publisher's unit, in metres.
    pub unit: f64,
    /// Whether the bridge reads transforms.
    pub tf_enabled: bool,
    /// The longest time that a target waits for its transform.
    pub tf_timeout: Duration,
}

impl SourceConfig {
    pub(super) fn new(p: &Parameters) -> Result<Self, ConfigError> {
        let (gripper, gripper_valid) = (path_or_none(p, &INPUT_GRIPPER)?, path_or_none(p, &GRIPPER_VALID)?);
        if gripper_valid.is_path() && !gripper.is_path() {
            let wanted = "'none' while input.gripper is 'none', because it applies only to that field";
            return Err(p.range_error(&GRIPPER_VALID, wanted).into());
        }
        Ok(Self {
            topic: p.get(&INPUT_TOPIC),
            message_type: message_type(p)?,
            fields: Fields {
                position: paths(p, &INPUT_POSITION)?,
                orientation: paths(p, &INPUT_ORIENTATION)?,
                stamp: path(p, &INPUT_STAMP)?,
                frame: path(p, &INPUT_FRAME)?,
                valid: path_or_none(p, &INPUT_VALID)?,
                gripper,
                gripper_valid,
            },
            unit: unit(p)?,
            tf_enabled: p.get(&TF_ENABLED),
            tf_timeout: p.get(&TF_TIMEOUT),
        })
    }
}

fn message_type(p: &Parameters) -> Result<String, ParameterError> {
    let name = p.get(&INPUT_TYPE);
    let parts: Vec<_> = name.split('/').collect();
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let wanted = "the name of a message type, like 'geometry_msgs/msg/PoseStamped'";
    match parts.as_slice() {
        [package, "msg", name] | [package, name] if is_name(package) && is_name(name) => {
            Ok(format!("{package}/msg/{name}"))
        }
        _ => Err(p.range_error(&INPUT_TYPE, wanted)),
    }
}

fn unit(p: &Parameters) -> Result<f64, ParameterError> {
    let metres = match p.get(&INPUT_UNIT).as_str() {
        "m" => Some(1.0),
        "cm" => Some(0.01),
        "mm" => Some(0.001),
        number => number.parse().ok(),
    };
    let wanted = "'m', 'cm', 'mm', or a number of metres above 0 and at most 1000, like '0.001'";
    metres
        .filter(|metres| *metres > 0.0 && *metres <= 1000.0)
        .ok_or_else(|| p.range_error(&INPUT_UNIT, wanted))
}

fn paths<const N: usize>(
    p: &Parameters,
    parameter: &Param<Vec<String>>,
) -> Result<FieldSelector<[FieldPath; N]>, ConfigError> {
    match p.get(parameter).as_slice() {
        [word] if word == "auto" => Ok(FieldSelector::Auto),
        [word] if word == "none" => Ok(FieldSelector::None),
        texts => {
            let paths: Result<Vec<_>, _> = texts.iter().map(|text| parsed(parameter, text)).collect();
            let wanted = || p.range_error(parameter, &parameter.describe_range()).into();
            paths?.try_into().map(FieldSelector::Path).map_err(|_| wanted())
        }
    }
}

fn path(p: &Parameters, parameter: &Param<String>) -> Result<FieldSelector<FieldPath>, ConfigError> {
    match p.get(parameter).as_str() {
        "auto" => Ok(FieldSelector::Auto),
        "none" => Ok(FieldSelector::None),
        text => parsed(parameter, text).map(FieldSelector::Path),
    }
}

fn parsed<T>(parameter: &Param<T>, text: &str) -> Result<FieldPath, ConfigError> {
    text.parse().map_err(|error| ConfigError::Path(parameter.name, error))
}

fn path_or_none(p: &Parameters, parameter: &Param<String>) -> Result<FieldSelector<FieldPath>, ConfigError> {
    match path(p, parameter)? {
        FieldSelector::Auto => {
            let wanted = "'none' or the path of a field; 'auto' is not possible, because ROS has no usual field for it";
            Err(p.range_error(parameter, wanted).into())
        }
        choice => Ok(choice),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Value;
    use super::*;

    fn source(settings: &[(&str, Value)]) -> Result<SourceConfig, String> {
        let parameters = Parameters::with(settings).map_err(|error| error.to_string())?;
        SourceConfig::new(&parameters).map_err(|error| error.to_string())
    }

    fn text(name: &'static str, value: &str) -> Result<SourceConfig, String> {
        source(&[(name, Value::Text(value.into()))])
    }

    fn texts(name: &'static str, values: &[&str]) -> Result<SourceConfig, String> {
        source(&[(name, Value::Texts(values.iter().map(ToString::to_string).collect()))])
    }

    #[test]
    fn unit_is_a_name_or_a_number() {
        for (unit, metres) in [("m", 1.0), ("cm", 0.01), ("mm", 0.001), ("0.0015", 0.0015), ("1e-3", 0.001)] {
            assert_eq!(text("input.unit", unit).unwrap().unit, metres);
        }
        for unit in ["inch", "0", "-1", "nan", "inf", "1e9"] {
            let refused = text("input.unit", unit).unwrap_err();
            let words =
                format!("parameter 'input.unit' is '{unit}'; it must be 'm', 'cm', 'mm', or a number");
            assert!(refused.starts_with(&words), "{refused}");
        }
    }

    #[test]
    fn message_type_has_a_long_or_short_form() {
        for name in ["geometry_msgs/msg/Point", "geometry_msgs/Point"] {
            assert_eq!(text("input.type", name).unwrap().message_type, "geometry_msgs/msg/Point");
        }
        for name in ["Point", "geometry_msgs/srv/Point", "a/msg/", "a/b/c/d", "a b/msg/C", "/msg/A"] {
            let refused = text("input.type", name).unwrap_err();
            assert!(
                refused.contains(&format!("'input.type' is '{name}'; it must be the name of")),
                "{refused}"
            );
        }
    }

    #[test]
    fn field_is_a_path_or_a_keyword() {
        let x = |text: &str| text.parse::<FieldPath>().unwrap();
        let fields = texts("input.position", &["a.x", "a.y", "b[2]"]).unwrap().fields;
        assert_eq!(fields.position, FieldSelector::Path(["a.x", "a.y", "b[2]"].map(x)));
        assert_eq!(texts("input.orientation", &["none"]).unwrap().fields.orientation, FieldSelector::None);
        assert_eq!(text("input.stamp", "none").unwrap().fields.stamp, FieldSelector::None);
        assert_eq!(text("input.gripper", "pinch").unwrap().fields.gripper, FieldSelector::Path(x("pinch")));
        let paths = [("input.gripper", "pinch"), ("gripper.valid", "hands[1].seen")];
        let fields = source(&paths.map(|(name, path)| (name, Value::Text(path.into())))).unwrap().fields;
        assert_eq!(fields.gripper_valid, FieldSelector::Path(x("hands[1].seen")));
        for (refused, words) in [
            (
                texts("input.position", &["a", "b"]),
                "is ['a', 'b']; it must be ['auto'] or the paths of 3 fields",
            ),
            (texts("input.position", &["none"]), "is ['none']; it must be ['auto'] or the paths of 3 fields"),
            (
                texts("input.position", &["a", "b", "c..d"]),
                "parameter 'input.position': 'c..d' is not a field path",
            ),
            (text("input.position", "a.x"), "is 'a.x', a string; it must be a list of strings"),
            (text("input.valid", "auto"), "parameter 'input.valid' is 'auto'; it must be 'none' or the path"),
            (text("input.stamp", "a["), "parameter 'input.stamp': 'a[' is not a field path"),
            (
                text("gripper.valid", "seen"),
                "parameter 'gripper.valid' is 'seen'; it must be 'none' while input.gripper is 'none'",
            ),
        ] {
            let refused = refused.unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }
}
