//! What a person says of the fields of a message, and what it comes to for a type of message.

use serde_json::Value;

use super::{FieldPath, Mapping, MappingError, example};

/// What is said of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice<T> {
    /// It is where messages of ROS have it, if this one has it.
    Auto,
    /// It is not looked at.
    None,
    /// It is there.
    At(T),
}

/// What is said of the fields of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// x, y and z.
    pub position: Choice<[FieldPath; 3]>,
    /// x, y, z and w of a quaternion.
    pub orientation: Choice<[FieldPath; 4]>,
    /// When the sample was taken.
    pub stamp: Choice<FieldPath>,
    /// The name of the frame that the position is in.
    pub frame: Choice<FieldPath>,
    /// Whether there is a hand.
    pub valid: Choice<FieldPath>,
    /// What the gripper is to do.
    pub gripper: Choice<FieldPath>,
}

/// Why messages of a type cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// There is no position where messages of ROS have one.
    #[error(
        "source.position is 'auto', and {message_type} has no position where messages of ROS have one; name its three \
         fields. It has {fields}"
    )]
    NoPosition {
        /// The type.
        message_type: String,
        /// Its fields.
        fields: String,
    },
    /// A field is not there, or not of a kind that serves.
    #[error("{message_type} cannot be read: {error}. It has {fields}")]
    Mapping {
        /// The type.
        message_type: String,
        /// Which field, and why.
        error: MappingError,
        /// Its fields.
        fields: String,
    },
}

impl Fields {
    /// Where the fields are in messages of a type, given the [`example()`] of it.
    ///
    /// # Errors
    /// A field that the type does not have, or not of a kind that serves, with the fields that it has.
    pub fn of(&self, message_type: &str, example: &Value) -> Result<Mapping, FieldsError> {
        let (message_type, fields) = (message_type.to_owned(), example::fields(example));
        let Some(position) = self.position.or(|| first(POSITIONS, ["x", "y", "z"], example)) else {
            return Err(FieldsError::NoPosition { message_type, fields });
        };
        let mapping = Mapping {
            position,
            orientation: self.orientation.or(|| first(ORIENTATIONS, ["x", "y", "z", "w"], example)),
            stamp: self.stamp.or(|| header("stamp", example)),
            frame: self.frame.or(|| header("frame_id", example)),
            valid: self.valid.or(|| None),
            gripper: self.gripper.or(|| None),
        };
        match mapping.check(example) {
            Ok(()) => Ok(mapping),
            Err(error) => Err(FieldsError::Mapping { message_type, error, fields }),
        }
    }
}

impl<T: Clone> Choice<T> {
    fn or(&self, found: impl FnOnce() -> Option<T>) -> Option<T> {
        match self {
            Self::Auto => found(),
            Self::None => None,
            Self::At(place) => Some(place.clone()),
        }
    }
}

/// The first of some places that has numbers of these names.
fn first<const N: usize>(places: &[&str], names: [&str; N], example: &Value) -> Option<[FieldPath; N]> {
    let is_there = |path: &FieldPath| path.find(example).is_ok_and(Value::is_number);
    places.iter().find_map(|place| {
        let paths = names.map(|name| path(&format!("{place}{name}")));
        paths.iter().all(is_there).then_some(paths)
    })
}

fn header(name: &str, example: &Value) -> Option<FieldPath> {
    Some(path(&format!("header.{name}"))).filter(|path| path.find(example).is_ok())
}

fn path(text: &str) -> FieldPath {
    text.parse().expect("it is written here")
}

/// Where messages of ROS have a position: a pose, with covariance too, a point, a transform, or nothing around it.
const POSITIONS: &[&str] = &[
    "pose.position.",
    "pose.pose.position.",
    "position.",
    "point.",
    "transform.translation.",
    "translation.",
    "",
];
const ORIENTATIONS: &[&str] =
    &["pose.orientation.", "pose.pose.orientation.", "orientation.", "transform.rotation.", "rotation."];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn auto() -> Fields {
        Fields {
            position: Choice::Auto,
            orientation: Choice::Auto,
            stamp: Choice::Auto,
            frame: Choice::Auto,
            valid: Choice::None,
            gripper: Choice::None,
        }
    }

    fn written(paths: &[FieldPath]) -> Vec<String> {
        paths.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_fields_of_common_messages_are_found() {
        let point = json!({"x": 0.0, "y": 0.0, "z": 0.0});
        let turn = json!({"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0});
        let pose = json!({"position": point, "orientation": turn});
        let header = json!({"stamp": {"sec": 0, "nanosec": 0}, "frame_id": ""});
        for (example, position, orientation) in [
            (json!({"header": header, "pose": pose}), "pose.position.x", "pose.orientation.w"),
            (
                json!({"header": header, "pose": {"pose": pose}}),
                "pose.pose.position.x",
                "pose.pose.orientation.w",
            ),
            (pose.clone(), "position.x", "orientation.w"),
            (json!({"header": header, "point": point}), "point.x", ""),
            (
                json!({"transform": {"translation": point, "rotation": turn}}),
                "transform.translation.x",
                "transform.rotation.w",
            ),
            (point.clone(), "x", ""),
        ] {
            let mapping = auto().of("some/msg/Type", &example).unwrap();
            assert_eq!(mapping.position[0].to_string(), position);
            assert_eq!(mapping.orientation.map(|it| it[3].to_string()).unwrap_or_default(), orientation);
            assert_eq!(mapping.stamp.is_some() && mapping.frame.is_some(), example.get("header").is_some());
        }
    }

    #[test]
    fn what_is_named_is_taken_and_what_is_not_wanted_is_not() {
        let example = json!({
            "header": {"stamp": {"sec": 0, "nanosec": 0}, "frame_id": ""},
            "tip": [0.0, 0.0, 0.0], "seen": false, "x": 0.0, "y": 0.0, "z": 0.0
        });
        let tip = ["tip[0]", "tip[2]", "tip[1]"].map(path);
        let fields = Fields {
            position: Choice::At(tip.clone()),
            stamp: Choice::None,
            valid: Choice::At(path("seen")),
            ..auto()
        };
        let mapping = fields.of("some/msg/Type", &example).unwrap();
        assert_eq!(written(&mapping.position), written(&tip));
        assert_eq!((mapping.stamp, mapping.valid), (None, Some(path("seen"))));
    }

    #[test]
    fn a_type_that_cannot_be_read_is_refused_with_its_fields() {
        let example = json!({"wrist": [0.0, 0.0], "seen": false});
        let refused = auto().of("hands/msg/Hand", &example).unwrap_err().to_string();
        assert_eq!(
            refused,
            "source.position is 'auto', and hands/msg/Hand has no position where messages of ROS have one; name its \
             three fields. It has seen (bool), wrist[0..1] (floating-point number)"
        );
        let fields =
            Fields { position: Choice::At(["wrist[0]", "wrist[1]", "wrist[2]"].map(path)), ..auto() };
        let refused = fields.of("hands/msg/Hand", &example).unwrap_err().to_string();
        assert_eq!(
            refused,
            "hands/msg/Hand cannot be read: source.position: there is no 'wrist[2]': 'wrist' is an array of 2. It has \
             seen (bool), wrist[0..1] (floating-point number)"
        );
        let fields = Fields { position: Choice::At(["wrist[0]", "seen", "wrist[1]"].map(path)), ..auto() };
        let refused = fields.of("hands/msg/Hand", &example).unwrap_err().to_string();
        assert!(
            refused.contains("source.position: 'seen' is a bool; it must be a number. It has"),
            "{refused}"
        );
    }
}
