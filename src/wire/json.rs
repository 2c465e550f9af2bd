//! JSON lines with configured member names.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};

use super::template::{Extra, Field, Kind, MAX_TEMPLATE, Template};
use crate::text::sanitize_short;

/// The names of the members of a line. An empty name leaves the member out.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonFields {
    /// The kind of the line: its value is `command`, `stop` or `heartbeat`.
    pub r#type: String,
    /// x, y and z.
    pub coordinates: [String; 3],
    /// The gripper.
    pub gripper: String,
    /// The gripper's value for open.
    pub open: Value,
    /// The gripper's value for closed.
    pub closed: Value,
    /// Members that are the same in every line.
    pub constant: Map<String, Value>,
}

impl Default for JsonFields {
    fn default() -> Self {
        Self {
            r#type: "type".into(),
            coordinates: ["x", "y", "z"].map(Into::into),
            gripper: "gripper".into(),
            open: "open".into(),
            closed: "closed".into(),
            constant: Map::new(),
        }
    }
}

/// Why the members do not make a valid line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonFieldsError {
    /// Two members have this name (sanitized).
    #[error("two members of a line would be called '{0}'")]
    Twice(String),
    /// The command has no coordinate.
    #[error("a command would have none of x, y and z")]
    NoCoordinate,
    /// Open and closed have the same value (sanitized).
    #[error("the gripper's value would be {0} for both open and closed")]
    SameGripper(String),
    /// The line would be too long.
    #[error("a line would be longer than {MAX_TEMPLATE} bytes without its numbers")]
    TooLong,
}

impl JsonFields {
    /// Creates the template of an order's line. `word` is the value of the member `type`.
    ///
    /// # Errors
    /// The members do not make a valid line.
    pub fn line(
        &self,
        word: &str,
        kind: Kind,
        extras: &BTreeSet<Extra>,
        ttl: Duration,
    ) -> Result<Template, JsonFieldsError> {
        let mut object = Object::default();
        object.constant(&self.r#type, &word.into())?;
        if kind == Kind::Command {
            self.target(&mut object)?;
        }
        for (name, value) in &self.constant {
            object.constant(name, value)?;
        }
        for extra in extras {
            match extra {
                Extra::Seq => object.member("seq", Field::Seq)?,
                Extra::Stamp => object.member("stamp", Field::Stamp)?,
                Extra::Rpy | Extra::Quaternion if kind == Kind::Bare => {}
                Extra::Rpy => object.array("rpy", [0, 1, 2].map(Field::Angle))?,
                Extra::Quaternion => object.array("quaternion", [0, 1, 2, 3].map(Field::Quaternion))?,
                Extra::Ttl => {
                    object.name("ttl")?;
                    object.template.ttl(ttl);
                }
            }
        }
        object.template.text(if object.names.is_empty() { "{}\n" } else { "}\n" });
        if object.template.length() > MAX_TEMPLATE {
            return Err(JsonFieldsError::TooLong);
        }
        Ok(object.template)
    }

    /// Appends the members that only a command has.
    fn target(&self, object: &mut Object) -> Result<(), JsonFieldsError> {
        if self.coordinates.iter().all(String::is_empty) {
            return Err(JsonFieldsError::NoCoordinate);
        }
        if self.open == self.closed && !self.gripper.is_empty() {
            return Err(JsonFieldsError::SameGripper(sanitize_short(&self.open.to_string())));
        }
        for (axis, name) in self.coordinates.iter().enumerate() {
            object.member(name, Field::Coordinate(axis))?;
        }
        let (open, closed) = (self.open.to_string(), self.closed.to_string());
        object.member(&self.gripper, Field::Gripper { open, closed })
    }
}

/// The template of a JSON object, during its construction.
#[derive(Default)]
struct Object {
    template: Template,
    names: BTreeSet<String>,
}

impl Object {
    fn name(&mut self, name: &str) -> Result<(), JsonFieldsError> {
        let start = if self.names.is_empty() { "{" } else { "," };
        if !self.names.insert(name.to_owned()) {
            return Err(JsonFieldsError::Twice(sanitize_short(name)));
        }
        self.template.text(&format!("{start}{}:", Value::from(name)));
        Ok(())
    }

    fn constant(&mut self, name: &str, value: &Value) -> Result<(), JsonFieldsError> {
        if !name.is_empty() {
            self.name(name)?;
            self.template.text(&value.to_string());
        }
        Ok(())
    }

    fn member(&mut self, name: &str, field: Field) -> Result<(), JsonFieldsError> {
        if !name.is_empty() {
            self.name(name)?;
            self.template.field(field);
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self, name: &str, fields: [Field; N]) -> Result<(), JsonFieldsError> {
        self.name(name)?;
        for (index, field) in fields.into_iter().enumerate() {
            self.template.text(if index == 0 { "[" } else { "," });
            self.template.field(field);
        }
        self.template.text("]");
        Ok(())
    }
}
