//! The schema of a message type: the fields of its messages. With the schema the bridge checks
//! paths and lists fields before the first message arrives.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

/// The structure of a message or of a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schema {
    /// A message with named fields.
    Object(BTreeMap<String, Schema>),
    /// An array.
    Array {
        /// The structure of each element.
        element: Box<Schema>,
        /// The number of elements, or `None` if the array may have any length.
        len: Option<usize>,
    },
    /// A field without parts.
    Leaf(Kind),
}

/// The kind of a field without parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A number without a fraction.
    Integer,
    /// A floating-point number.
    Real,
    /// Text.
    Text,
    /// An element of an empty array whose type cannot be determined.
    Unknown,
}

impl Schema {
    /// Returns the schema of a message type. `made` is a new message of the type. `instantiate`
    /// adds the missing fields to a value and returns a message of the type. If the value does not
    /// fit, it returns `None`. Calls of `instantiate` show the type of the elements of empty
    /// arrays.
    pub fn of(made: Value, instantiate: impl Fn(Value) -> Option<Value>) -> Self {
        let mut message = made;
        let (mut grown, mut unknown) = (Vec::new(), Vec::new());
        while let Some(pointer) = empty_array(&message, String::new(), &unknown) {
            // Every array of ROS accepts one of these elements.
            let elements = [json!({}), json!(0), json!(false), json!("")];
            let with_one = elements.into_iter().find_map(|element| {
                let mut candidate = message.clone();
                *candidate.pointer_mut(&pointer)? = json!([element]);
                instantiate(candidate)
                    .filter(|message| message.pointer(&pointer).is_some_and(|it| *it != json!([])))
            });
            match with_one {
                Some(complete) => {
                    message = complete;
                    grown.push(pointer);
                }
                None => unknown.push(pointer),
            }
        }
        Self::read(&message, String::new(), &grown)
    }

    /// Returns the schema of a value. The arrays at the JSON pointers in `grown` may have any
    /// length.
    fn read(value: &Value, pointer: String, grown: &[String]) -> Self {
        match value {
            Value::Object(fields) => {
                let field = |(name, field): (&String, _)| {
                    (name.clone(), Self::read(field, step(&pointer, name), grown))
                };
                Self::Object(fields.iter().map(field).collect())
            }
            Value::Array(elements) => {
                let first = elements.first().map(|first| Self::read(first, step(&pointer, "0"), grown));
                let len = (!grown.contains(&pointer)).then_some(elements.len());
                Self::Array { element: Box::new(first.unwrap_or(Self::Leaf(Kind::Unknown))), len }
            }
            Value::Bool(_) => Self::Leaf(Kind::Bool),
            Value::Number(number) if !number.is_f64() => Self::Leaf(Kind::Integer),
            // JSON writes a number that is not finite as null.
            Value::Number(_) | Value::Null => Self::Leaf(Kind::Real),
            Value::String(_) => Self::Leaf(Kind::Text),
        }
    }

    /// Returns the name of the kind, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Object(_) => "a message",
            Self::Array { .. } => "an array",
            Self::Leaf(Kind::Bool) => "a bool",
            Self::Leaf(Kind::Integer) => "an integer",
            Self::Leaf(Kind::Real) => "a floating-point number",
            Self::Leaf(Kind::Text) => "a string",
            Self::Leaf(Kind::Unknown) => "of an unknown type",
        }
    }

    /// Returns whether this is a `builtin_interfaces/Time`.
    pub(super) fn is_time(&self) -> bool {
        let is_integer = |field: Option<&Self>| field == Some(&Self::Leaf(Kind::Integer));
        matches!(self, Self::Object(fields) if is_integer(fields.get("sec")) && is_integer(fields.get("nanosec")))
    }

    fn list(&self, path: String, leaves: &mut Vec<String>) {
        match self {
            Self::Object(fields) => {
                let dot = if path.is_empty() { "" } else { "." };
                fields.iter().for_each(|(name, field)| field.list(format!("{path}{dot}{name}"), leaves));
            }
            Self::Array { element, len: None } => element.list(format!("{path}[]"), leaves),
            Self::Array { element, len: Some(len @ 1..) } => {
                element.list(format!("{path}[0..{}]", len - 1), leaves);
            }
            leaf => {
                let (_, kind) = leaf.kind().split_once(' ').unwrap_or_default();
                leaves.push(format!("{path} ({kind})"));
            }
        }
    }
}

impl From<&Value> for Schema {
    /// Returns the schema of one message. Later messages may have arrays of other lengths.
    fn from(message: &Value) -> Self {
        Self::read(message, String::new(), &[])
    }
}

impl fmt::Display for Schema {
    /// Writes the fields in one line: `header.frame_id (string), position.x (floating-point
    /// number)`. If there are more than 40 fields, writes only the number of the others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut leaves = Vec::new();
        self.list(String::new(), &mut leaves);
        let rest = leaves.len().saturating_sub(MANY);
        leaves.truncate(MANY);
        if rest > 0 {
            leaves.push(format!("and {rest} more"));
        }
        f.write_str(&leaves.join(", "))
    }
}

/// Returns the JSON pointer of the first empty array that is not in `known`.
fn empty_array(value: &Value, pointer: String, known: &[String]) -> Option<String> {
    match value {
        Value::Array(elements) if elements.is_empty() => Some(pointer).filter(|it| !known.contains(it)),
        // All elements of an array have the same type.
        Value::Array(elements) => empty_array(elements.first()?, step(&pointer, "0"), known),
        Value::Object(fields) => {
            fields.iter().find_map(|(name, field)| empty_array(field, step(&pointer, name), known))
        }
        _ => None,
    }
}

/// Appends a step to a JSON pointer.
fn step(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// The most fields in a line.
const MANY: usize = 40;

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Landmark {
        x: f64,
        tags: Vec<String>,
    }

    #[derive(Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Landmarks {
        seen: Vec<bool>,
        landmarks: Vec<Landmark>,
        scores: Vec<f32>,
        matrix: [f64; 3],
    }

    fn landmarks() -> Schema {
        let made = serde_json::to_value(Landmarks::default()).unwrap();
        Schema::of(made, |value| serde_json::to_value(serde_json::from_value::<Landmarks>(value).ok()?).ok())
    }

    fn array(element: Schema, len: Option<usize>) -> Schema {
        Schema::Array { element: Box::new(element), len }
    }

    fn object<const N: usize>(fields: [(&str, Schema); N]) -> Schema {
        Schema::Object(fields.map(|(name, field)| (name.to_owned(), field)).into())
    }

    #[test]
    fn variable_array_has_the_type_of_its_elements() {
        let landmark = [("x", Schema::Leaf(Kind::Real)), ("tags", array(Schema::Leaf(Kind::Text), None))];
        assert_eq!(
            landmarks(),
            object([
                ("seen", array(Schema::Leaf(Kind::Bool), None)),
                ("landmarks", array(object(landmark), None)),
                ("scores", array(Schema::Leaf(Kind::Real), None)),
                ("matrix", array(Schema::Leaf(Kind::Real), Some(3))),
            ])
        );
    }

    #[test]
    fn undetermined_elements_are_unknown() {
        let odd = ("odd", array(Schema::Leaf(Kind::Unknown), Some(0)));
        let schema = Schema::of(json!({"odd": [], "x": 0.5}), |_| None);
        assert_eq!(schema, object([odd.clone(), ("x", Schema::Leaf(Kind::Real))]));
        // The search also ends if `instantiate` changes nothing.
        assert_eq!(Schema::of(json!({"odd": []}), |_| Some(json!({"odd": []}))), object([odd]));
        let grown = array(object([]), None);
        let alike = Schema::of(json!({"a": {"b": []}, "a/b": [], "a~1b": []}), Some);
        let a = object([("b", grown.clone())]);
        assert_eq!(alike, object([("a", a), ("a/b", grown.clone()), ("a~1b", grown)]));
    }

    #[test]
    fn fields_are_listed_with_their_paths() {
        assert_eq!(
            landmarks().to_string(),
            "landmarks[].tags[] (string), landmarks[].x (floating-point number), matrix[0..2] (floating-point \
             number), scores[] (floating-point number), seen[] (bool)"
        );
        let odd = Schema::from(&json!({"odd": [], "x": null}));
        assert_eq!(odd.to_string(), "odd (array), x (floating-point number)");
        let many = (0..50).map(|index| (format!("f{index}"), Schema::Leaf(Kind::Bool))).collect();
        assert!(Schema::Object(many).to_string().ends_with("and 10 more"));
    }
}
