//! The path to a field of a message: `pose.position.x`, `landmarks[8].x`.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use super::schema::Schema;
use crate::text::sanitize_short;

/// The path from a message to one of its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(String),
    Element(usize),
}

/// Why a text is not a field path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{}' is not a field path: {why}; write it like 'pose.position.x' or 'landmarks[8].x'",
    sanitize_short(text)
)]
pub struct PathError {
    text: String,
    why: &'static str,
}

/// A part of a path does not exist in a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no '{path}': {why}")]
pub struct MissingField {
    /// The path up to the missing part.
    path: String,
    why: String,
}

impl FieldPath {
    /// Returns the value of the field in a message.
    ///
    /// # Errors
    /// The message does not have the field. The error names the first missing part of the path.
    pub fn find<'a>(&self, message: &'a Value) -> Result<&'a Value, MissingField> {
        let mut value = message;
        for (depth, step) in self.0.iter().enumerate() {
            let found = match (step, value) {
                (Step::Field(name), Value::Object(fields)) => fields.get(name),
                (Step::Element(index), Value::Array(elements)) => elements.get(*index),
                _ => None,
            };
            value = found.ok_or_else(|| self.missing(depth, &Schema::from(value)))?;
        }
        Ok(value)
    }

    /// Returns the schema of the field in a message type.
    ///
    /// # Errors
    /// The type does not have the field. The error names the first missing part of the path.
    pub fn check<'a>(&self, schema: &'a Schema) -> Result<&'a Schema, MissingField> {
        let mut schema = schema;
        for (depth, step) in self.0.iter().enumerate() {
            let found = match (step, schema) {
                (Step::Field(name), Schema::Object(fields)) => fields.get(name),
                (Step::Element(index), Schema::Array { element, len }) => {
                    Some(&**element).filter(|_| len.is_none_or(|len| *index < len))
                }
                _ => None,
            };
            schema = found.ok_or_else(|| self.missing(depth, schema))?;
        }
        Ok(schema)
    }

    fn missing(&self, depth: usize, schema: &Schema) -> MissingField {
        let owner = if depth == 0 { "the message".into() } else { format!("'{}'", self.up_to(depth)) };
        let why = match schema {
            Schema::Array { len: Some(len), .. } => format!("{owner} is an array of {len}"),
            Schema::Object(fields) => {
                let names: Vec<_> = fields.keys().map(String::as_str).collect();
                format!("{owner} has {}", names.join(", "))
            }
            other => format!("{owner} is {}", other.kind()),
        };
        MissingField { path: self.up_to(depth + 1), why }
    }

    fn up_to(&self, depth: usize) -> String {
        Self(self.0[..depth].to_vec()).to_string()
    }
}

impl FromStr for FieldPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let error = |why| PathError { text: text.to_owned(), why };
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (name, elements) = part.split_at(part.find('[').unwrap_or(part.len()));
            let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !is_name {
                return Err(error("each part between dots must be the name of a field"));
            }
            steps.push(Step::Field(name.to_owned()));
            let mut rest = elements;
            while !rest.is_empty() {
                let element = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
                let (index, after) = element
                    .filter(|(number, _)| number.chars().all(|c| c.is_ascii_digit()))
                    .and_then(|(number, after)| Some((number.parse().ok()?, after)))
                    .ok_or_else(|| error("an index must be a number in brackets"))?;
                steps.push(Step::Element(index));
                rest = after;
            }
        }
        Ok(Self(steps))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if depth == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Element(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(text: &str) -> FieldPath {
        text.parse().unwrap()
    }

    #[test]
    fn path_finds_fields_in_messages_and_arrays() {
        let message = json!({"hands": [{"points": [{"x": 0.5}, {"x": 0.25}]}], "grid": [[1, 2], [3, 4]]});
        assert_eq!(path("hands[0].points[1].x").find(&message).unwrap(), 0.25);
        assert_eq!(path("grid[1][0]").find(&message).unwrap(), 3);
        for text in ["hands[0].points[1].x", "grid[1][0]", "a_1.B"] {
            assert_eq!(path(text).to_string(), text);
        }
    }

    #[test]
    fn missing_field_is_named_with_existing_fields() {
        let message = json!({"pose": {"x": 0.5, "y": 0.25}, "list": [1]});
        let missing = |text: &str| path(text).find(&message).unwrap_err().to_string();
        assert_eq!(missing("position.x"), "there is no 'position': the message has list, pose");
        assert_eq!(missing("pose.z"), "there is no 'pose.z': 'pose' has x, y");
        assert_eq!(missing("list[1].x"), "there is no 'list[1]': 'list' is an array of 1");
        assert_eq!(missing("list.x"), "there is no 'list.x': 'list' is an array of 1");
        assert_eq!(missing("pose.x.y"), "there is no 'pose.x.y': 'pose.x' is a floating-point number");
        assert_eq!(missing("pose[0]"), "there is no 'pose[0]': 'pose' has x, y");
    }

    #[test]
    fn variable_array_has_every_element_in_a_schema() {
        let made = json!({"points": [], "pair": [1, 2], "stamp": {"sec": 0}});
        let schema = Schema::of(made, |mut message| {
            *message.pointer_mut("/points/0")? = json!({"x": 0.5});
            Some(message)
        });
        assert_eq!(path("points[20].x").check(&schema).unwrap().kind(), "a floating-point number");
        assert_eq!(path("pair[1]").check(&schema).unwrap().kind(), "an integer");
        let missing = |text: &str| path(text).check(&schema).unwrap_err().to_string();
        assert_eq!(missing("points.x"), "there is no 'points.x': 'points' is an array");
        assert_eq!(missing("points[0].y"), "there is no 'points[0].y': 'points[0]' has x");
        assert_eq!(missing("pair[2]"), "there is no 'pair[2]': 'pair' is an array of 2");
        assert_eq!(missing("stamp.sec.x"), "there is no 'stamp.sec.x': 'stamp.sec' is an integer");
    }

    #[test]
    fn text_that_is_not_a_path_is_rejected() {
        for text in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a[",
            "a[]",
            "a[x]",
            "a[-1]",
            "a[+1]",
            "a[1",
            "a[1]b",
            "[1]",
            "1a",
            "a b",
            "a[99999999999999999999]",
        ] {
            let error = text.parse::<FieldPath>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("'{text}' is not a field path")), "{error}");
        }
    }
}
