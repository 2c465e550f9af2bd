//! Reads one sample from a message: the paths of the fields, and the conversion of their values.

use serde_json::Value;

use super::path::{FieldPath, MissingField};
use super::schema::{Kind, Schema};
use crate::arm::Gripper;
use crate::teleop::GripperInput;

/// The paths of the fields that make a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapping {
    /// x, y and z.
    pub position: [FieldPath; 3],
    /// x, y, z and w of a quaternion, or `None` if the message has no orientation.
    pub orientation: Option<[FieldPath; 4]>,
    /// The time of the sample: a `builtin_interfaces/Time`, or a floating-point number of seconds.
    pub stamp: Option<FieldPath>,
    /// The name of the frame of the position.
    pub frame: Option<FieldPath>,
    /// Whether the tracker sees the hand: a bool, or a number that is above zero if it does.
    pub valid: Option<FieldPath>,
    /// The input of the gripper: a bool (true is closed), a number (opening 0..1) or a string
    /// ("open", "closed").
    pub gripper: Option<FieldPath>,
    /// Whether the tracker sees the hand that controls the gripper: a bool, or a number that is
    /// above zero if it does.
    pub gripper_valid: Option<FieldPath>,
}

/// The content of a message, without checks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample<'a> {
    /// x, y and z in the tracker's unit. NaN if the message has no finite number.
    pub position: [f64; 3],
    /// x, y, z and w of a quaternion, if the message has one.
    pub orientation: Option<[f64; 4]>,
    /// The time of the sample in nanoseconds. Zero if the tracker sends no stamps.
    pub stamp: i64,
    /// The name of the frame. Empty if the message names no frame.
    pub frame: &'a str,
    /// Whether the tracker sees the hand.
    pub valid: bool,
}

/// A field cannot be read as its parameter requires. Has the parameter and the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{parameter}: {why}")]
pub struct MappingError {
    parameter: &'static str,
    why: String,
}

impl Mapping {
    /// Checks every path against the schema of the message type.
    ///
    /// # Errors
    /// A field is missing or has the wrong kind. The error names the first one.
    pub fn check(&self, schema: &Schema) -> Result<(), MappingError> {
        self.position.iter().try_for_each(|path| POSITION.check(path, schema))?;
        self.orientation.iter().flatten().try_for_each(|path| ORIENTATION.check(path, schema))?;
        let others = [
            (&self.stamp, STAMP),
            (&self.frame, FRAME),
            (&self.valid, VALID),
            (&self.gripper, GRIPPER),
            (&self.gripper_valid, GRIPPER_VALID),
        ];
        others
            .iter()
            .try_for_each(|(path, member)| path.iter().try_for_each(|path| member.check(path, schema)))
    }

    /// Reads the hand's sample from a message.
    ///
    /// # Errors
    /// The message does not have an element of an array. [`Mapping::check`] excludes all other
    /// errors.
    pub fn sample<'a>(&self, message: &'a Value) -> Result<Sample<'a>, MappingError> {
        let [x, y, z] = &self.position;
        let position = |path| POSITION.read(path, message, number);
        let rotation = |path| ORIENTATION.read(path, message, number);
        let orientation = match &self.orientation {
            Some([x, y, z, w]) => Some([rotation(x)?, rotation(y)?, rotation(z)?, rotation(w)?]),
            None => None,
        };
        let stamp = STAMP.read_optional(&self.stamp, message, nanoseconds)?;
        let frame = FRAME.read_optional(&self.frame, message, Value::as_str)?;
        let valid = VALID.read_optional(&self.valid, message, boolean)?;
        Ok(Sample {
            position: [position(x)?, position(y)?, position(z)?],
            orientation,
            stamp: stamp.unwrap_or(0),
            frame: frame.unwrap_or_default(),
            valid: valid.unwrap_or(true),
        })
    }

    /// Reads the gripper's input from a message, if the mapping has a field for it. Returns
    /// [`GripperInput::UNSEEN`] if the tracker does not see the hand, if the word is neither "open"
    /// nor "closed", or if the message does not have an element of an array.
    pub fn gripper(&self, message: &Value) -> Option<GripperInput> {
        let path = self.gripper.as_ref()?;
        let is_seen = GRIPPER_VALID.read_optional(&self.gripper_valid, message, boolean);
        let input = match is_seen {
            Ok(Some(true) | None) => GRIPPER.read(path, message, gripper).ok().flatten(),
            Ok(Some(false)) | Err(_) => None,
        };
        Some(input.unwrap_or(GripperInput::UNSEEN))
    }
}

/// Returns the gripper's input for a word, if the word means open or closed. Ignores case.
pub fn gripper_word(word: &str) -> Option<GripperInput> {
    match word.trim().to_ascii_lowercase().as_str() {
        "open" | "opened" => Some(GripperInput::Wanted(Gripper::Open)),
        "closed" | "close" => Some(GripperInput::Wanted(Gripper::Closed)),
        _ => None,
    }
}

/// A part of a sample: the parameter with its path, a description of the valid kinds, and the valid
/// kinds.
struct Member(&'static str, &'static str, &'static [Kind]);

const NUMBER: &[Kind] = &[Kind::Integer, Kind::Real];
const POSITION: Member = Member("input.position", "a number", NUMBER);
const ORIENTATION: Member = Member("input.orientation", "a number", NUMBER);
const STAMP: Member =
    Member("input.stamp", "a builtin_interfaces/Time, or a floating-point number of seconds", &[Kind::Real]);
const FRAME: Member = Member("input.frame", "a string", &[Kind::Text]);
const VALID: Member = Member("input.valid", "a bool or a number", &[Kind::Bool, Kind::Integer, Kind::Real]);
const GRIPPER: Member = Member(
    "input.gripper",
    "a bool, a number or a string",
    &[Kind::Bool, Kind::Integer, Kind::Real, Kind::Text],
);

const GRIPPER_VALID: Member = Member("gripper.valid", VALID.1, VALID.2);

impl Member {
    fn check(&self, path: &FieldPath, schema: &Schema) -> Result<(), MappingError> {
        let found = path.check(schema).map_err(|missing| self.missing(&missing))?;
        let fits = match found {
            Schema::Leaf(kind) => self.2.contains(kind),
            found => self.0 == STAMP.0 && found.is_time(),
        };
        if fits { Ok(()) } else { Err(self.wrong_kind(path, found)) }
    }

    fn read<'a, T>(
        &self,
        path: &FieldPath,
        message: &'a Value,
        meaning: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T, MappingError> {
        let value = path.find(message).map_err(|missing| self.missing(&missing))?;
        meaning(value).ok_or_else(|| self.wrong_kind(path, &Schema::from(value)))
    }

    fn read_optional<'a, T>(
        &self,
        path: &Option<FieldPath>,
        message: &'a Value,
        meaning: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, MappingError> {
        path.as_ref().map(|path| self.read(path, message, meaning)).transpose()
    }

    fn missing(&self, missing: &MissingField) -> MappingError {
        MappingError { parameter: self.0, why: missing.to_string() }
    }

    fn wrong_kind(&self, path: &FieldPath, found: &Schema) -> MappingError {
        let Self(parameter, wanted, _) = *self;
        MappingError { parameter, why: format!("'{path}' is {}; it must be {wanted}", found.kind()) }
    }
}

/// Returns a number. Null becomes NaN, because JSON writes NaN and infinity as null.
fn number(value: &Value) -> Option<f64> {
    if value.is_null() { Some(f64::NAN) } else { value.as_f64() }
}

/// Returns a bool, or whether a number is above zero.
fn boolean(value: &Value) -> Option<bool> {
    value.as_bool().or_else(|| number(value).map(|number| number > 0.0))
}

fn nanoseconds(value: &Value) -> Option<i64> {
    let (sec, nanosec) =
        (value.get("sec").and_then(Value::as_i64), value.get("nanosec").and_then(Value::as_i64));
    match (sec, nanosec) {
        (Some(sec), Some(nanosec)) => Some(sec.saturating_mul(1_000_000_000).saturating_add(nanosec)),
        // An integer is not valid, because its unit is unknown. A number that is not finite becomes
        // a stamp that is always rejected.
        _ if value.is_null() => Some(i64::MAX),
        _ => value.as_f64().filter(|_| value.is_f64()).map(|seconds| (seconds * 1e9) as i64),
    }
}

fn gripper(value: &Value) -> Option<Option<GripperInput>> {
    match value {
        Value::Bool(true) => Some(Some(GripperInput::Wanted(Gripper::Closed))),
        Value::Bool(false) => Some(Some(GripperInput::Wanted(Gripper::Open))),
        Value::String(word) => Some(gripper_word(word)),
        other => number(other).map(|opening| Some(GripperInput::Opening(opening))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> FieldPath {
        text.parse().unwrap()
    }

    fn mapping() -> Mapping {
        Mapping {
            position: ["x", "y", "z"].map(path),
            orientation: Some(["q[0]", "q[1]", "q[2]", "q[3]"].map(path)),
            stamp: Some(path("stamp")),
            frame: Some(path("frame")),
            valid: Some(path("seen")),
            gripper: Some(path("pinch")),
            gripper_valid: Some(path("gripping")),
        }
    }

    fn message() -> Value {
        json!({
            "x": 1.5, "y": -2, "z": 0.25, "q": [0.0, 0.0, 0.0, 1.0], "stamp": {"sec": 3, "nanosec": 5}, "frame": "cam",
            "seen": true, "pinch": false, "gripping": true
        })
    }

    fn with(name: &str, value: Value) -> Value {
        let mut message = message();
        message[name] = value;
        message
    }

    #[test]
    fn sample_has_the_values_of_its_fields() {
        let sample = Sample {
            position: [1.5, -2.0, 0.25],
            orientation: Some([0.0, 0.0, 0.0, 1.0]),
            stamp: 3_000_000_005,
            frame: "cam",
            valid: true,
        };
        assert_eq!(mapping().sample(&message()), Ok(sample));
        let bare =
            Mapping { orientation: None, stamp: None, frame: None, valid: None, gripper: None, ..mapping() };
        let sample =
            Sample { position: [1.5, -2.0, 0.25], orientation: None, stamp: 0, frame: "", valid: true };
        assert_eq!(bare.sample(&message()), Ok(sample));
        assert_eq!(bare.gripper(&message()), None);
    }

    #[test]
    fn null_is_read_as_an_invalid_number() {
        let message = with("x", Value::Null);
        assert!(mapping().sample(&message).unwrap().position[0].is_nan());
        assert!(!mapping().sample(&with("seen", Value::Null)).unwrap().valid);
        assert_eq!(mapping().sample(&with("stamp", Value::Null)).unwrap().stamp, i64::MAX);
    }

    #[test]
    fn hand_is_seen_if_number_is_above_zero() {
        for (seen, valid) in
            [(json!(false), false), (json!(0), false), (json!(0.01), true), (json!(-1), false)]
        {
            assert_eq!(mapping().sample(&with("seen", seen)).unwrap().valid, valid);
        }
    }

    #[test]
    fn stamp_may_be_seconds_but_no_integer() {
        assert_eq!(mapping().sample(&with("stamp", json!(2.5))).unwrap().stamp, 2_500_000_000);
        let refused = mapping().sample(&with("stamp", json!(2))).unwrap_err().to_string();
        assert!(refused.starts_with("input.stamp: 'stamp' is an integer; it must be"), "{refused}");
        assert!(mapping().sample(&with("stamp", json!({"sec": 1}))).is_err());
    }

    #[test]
    fn gripper_is_a_bool_an_opening_or_word() {
        let read = |value| mapping().gripper(&with("pinch", value)).unwrap();
        assert_eq!(read(json!(true)), GripperInput::Wanted(Gripper::Closed));
        assert_eq!(read(json!(false)), GripperInput::Wanted(Gripper::Open));
        assert_eq!(read(json!(0.5)), GripperInput::Opening(0.5));
        assert_eq!(read(json!(" Closed\n")), GripperInput::Wanted(Gripper::Closed));
        assert_eq!(read(json!("open")), GripperInput::Wanted(Gripper::Open));
        for unreadable in [json!("ajar"), json!([]), Value::Null] {
            assert!(is_unseen(read(unreadable.clone())), "{unreadable}");
        }
    }

    #[test]
    fn unseen_hand_does_not_control_the_gripper() {
        let read = |name, value| mapping().gripper(&with(name, value)).unwrap();
        for unseen in [json!(false), json!(0), Value::Null, json!([])] {
            assert!(is_unseen(read("gripping", unseen.clone())), "{unseen}");
        }
        assert_eq!(read("gripping", json!(0.5)), GripperInput::Wanted(Gripper::Open));
        let without = Mapping { gripper_valid: None, ..mapping() };
        let input = without.gripper(&with("gripping", json!(false)));
        assert_eq!(input, Some(GripperInput::Wanted(Gripper::Open)));
    }

    fn is_unseen(input: GripperInput) -> bool {
        matches!(input, GripperInput::Opening(opening) if opening.is_nan())
    }

    #[test]
    fn field_of_the_wrong_kind_is_rejected() {
        let check = |message: &Value| mapping().check(&Schema::from(message));
        assert_eq!(check(&message()), Ok(()));
        for (name, value, parameter) in [
            ("z", json!("high"), "input.position"),
            ("q", json!([0.0, 0.0, 0.0]), "input.orientation"),
            ("stamp", json!("now"), "input.stamp"),
            ("stamp", json!(2), "input.stamp"),
            ("stamp", json!({"sec": 1, "nanosec": 0.5}), "input.stamp"),
            ("frame", json!(1), "input.frame"),
            ("seen", json!("yes"), "input.valid"),
            ("pinch", json!([]), "input.gripper"),
            ("gripping", json!("yes"), "gripper.valid"),
        ] {
            let refused = check(&with(name, value)).unwrap_err().to_string();
            assert!(refused.starts_with(parameter), "{refused}");
        }
    }
}
