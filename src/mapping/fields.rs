//! The fields of a message that the parameters select. For a message type, the selection gives the
//! paths of these fields.

use super::path::FieldPath;
use super::sample::Mapping;
use super::schema::{Kind, Schema};

/// The selection of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldSelector<T> {
    /// The field of the standard ROS messages, if the type has it.
    Auto,
    /// No field.
    None,
    /// The field at this path.
    Path(T),
}

/// The selection of the fields of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    /// x, y and z.
    pub position: FieldSelector<[FieldPath; 3]>,
    /// x, y, z and w of a quaternion.
    pub orientation: FieldSelector<[FieldPath; 4]>,
    /// The time at which the tracker saw the hand.
    pub stamp: FieldSelector<FieldPath>,
    /// The name of the frame of the position.
    pub frame: FieldSelector<FieldPath>,
    /// Whether the tracker sees the hand.
    pub valid: FieldSelector<FieldPath>,
    /// The input of the gripper.
    pub gripper: FieldSelector<FieldPath>,
    /// Whether the tracker sees the hand that controls the gripper.
    pub gripper_valid: FieldSelector<FieldPath>,
}

/// Why the messages of a type cannot be read, and the fields of the type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}. Its fields: {fields}")]
pub struct FieldsError {
    why: String,
    fields: String,
}

impl Fields {
    /// Finds the selected fields in the schema of a message type.
    ///
    /// # Errors
    /// The type does not have a selected field, or the field has the wrong kind. The error lists
    /// the fields of the type.
    pub fn of(&self, message_type: &str, schema: &Schema) -> Result<Mapping, FieldsError> {
        let error = |why| FieldsError { why, fields: schema.to_string() };
        let no_position = || {
            error(format!(
                "input.position is 'auto', but {message_type} has no position in a standard field; set input.position to \
                 its three fields"
            ))
        };
        let position =
            self.position.or(|| first(POSITIONS, ["x", "y", "z"], schema)).ok_or_else(no_position)?;
        let mapping = Mapping {
            position,
            orientation: self.orientation.or(|| first(ORIENTATIONS, ["x", "y", "z", "w"], schema)),
            stamp: self.stamp.or(|| header("stamp", schema)),
            frame: self.frame.or(|| header("frame_id", schema)),
            valid: self.valid.or(|| None),
            gripper: self.gripper.or(|| None),
            gripper_valid: self.gripper_valid.or(|| None),
        };
        mapping.check(schema).map_err(|why| error(format!("{message_type} cannot be read: {why}")))?;
        Ok(mapping)
    }
}

impl<T: Clone> FieldSelector<T> {
    /// Returns whether this is a path.
    pub fn is_path(&self) -> bool {
        matches!(self, Self::Path(_))
    }

    fn or(&self, found: impl FnOnce() -> Option<T>) -> Option<T> {
        match self {
            Self::Auto => found(),
            Self::None => None,
            Self::Path(path) => Some(path.clone()),
        }
    }
}

/// Returns the paths to numbers with these names below the first prefix that has all of them.
fn first<const N: usize>(prefixes: &[&str], names: [&str; N], schema: &Schema) -> Option<[FieldPath; N]> {
    let is_number =
        |path: &FieldPath| matches!(path.check(schema), Ok(Schema::Leaf(Kind::Integer | Kind::Real)));
    prefixes.iter().find_map(|prefix| {
        let paths = names.map(|name| path(&format!("{prefix}{name}")));
        paths.iter().all(is_number).then_some(paths)
    })
}

fn header(name: &str, schema: &Schema) -> Option<FieldPath> {
    Some(path(&format!("header.{name}"))).filter(|path| path.check(schema).is_ok())
}

fn path(text: &str) -> FieldPath {
    text.parse().expect("the path is a constant of this file")
}

/// The prefixes of a position in standard ROS messages: a pose (also with covariance), a point, a
/// transform, or no prefix.
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
            position: FieldSelector::Auto,
            orientation: FieldSelector::Auto,
            stamp: FieldSelector::Auto,
            frame: FieldSelector::Auto,
            valid: FieldSelector::None,
            gripper: FieldSelector::None,
            gripper_valid: FieldSelector::None,
        }
    }

    fn written(paths: &[FieldPath]) -> Vec<String> {
        paths.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn fields_of_standard_messages_are_found() {
        let point = json!({"x": 0.0, "y": 0.0, "z": 0.0});
        let rotation = json!({"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0});
        let pose = json!({"position": point, "orientation": rotation});
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
                json!({"transform": {"translation": point, "rotation": rotation}}),
                "transform.translation.x",
                "transform.rotation.w",
            ),
            (point.clone(), "x", ""),
        ] {
            let mapping = auto().of("some/msg/Type", &Schema::from(&example)).unwrap();
            assert_eq!(mapping.position[0].to_string(), position);
            assert_eq!(mapping.orientation.map(|it| it[3].to_string()).unwrap_or_default(), orientation);
            assert_eq!(mapping.stamp.is_some() && mapping.frame.is_some(), example.get("header").is_some());
        }
    }

    #[test]
    fn selected_paths_are_used() {
        let example = json!({
            "header": {"stamp": {"sec": 0, "nanosec": 0}, "frame_id": ""},
            "tip": [0.0, 0.0, 0.0], "seen": false, "x": 0.0, "y": 0.0, "z": 0.0
        });
        let tip = ["tip[0]", "tip[2]", "tip[1]"].map(path);
        let fields = Fields {
            position: FieldSelector::Path(tip.clone()),
            stamp: FieldSelector::None,
            valid: FieldSelector::Path(path("seen")),
            ..auto()
        };
        let mapping = fields.of("some/msg/Type", &Schema::from(&example)).unwrap();
        assert_eq!(written(&mapping.position), written(&tip));
        assert_eq!((mapping.stamp, mapping.valid), (None, Some(path("seen"))));
    }

    #[test]
    fn unreadable_type_is_rejected_with_its_fields() {
        let schema = Schema::from(&json!({"wrist": [0.0, 0.0], "seen": false}));
        let refused = auto().of("hands/msg/Hand", &schema).unwrap_err().to_string();
        assert_eq!(
            refused,
            "input.position is 'auto', but hands/msg/Hand has no position in a standard field; set input.position to \
             its three fields. Its fields: seen (bool), wrist[0..1] (floating-point number)"
        );
        let fields = Fields {
            position: FieldSelector::Path(["wrist[0]", "wrist[1]", "wrist[2]"].map(path)),
            ..auto()
        };
        let refused = fields.of("hands/msg/Hand", &schema).unwrap_err().to_string();
        assert_eq!(
            refused,
            "hands/msg/Hand cannot be read: input.position: there is no 'wrist[2]': 'wrist' is an array of 2. Its fields: \
             seen (bool), wrist[0..1] (floating-point number)"
        );
        let fields =
            Fields { position: FieldSelector::Path(["wrist[0]", "seen", "wrist[1]"].map(path)), ..auto() };
        let refused = fields.of("hands/msg/Hand", &schema).unwrap_err().to_string();
        assert!(
            refused.contains("input.position: 'seen' is a bool; it must be a number. Its fields:"),
            "{refused}"
        );
    }
}
