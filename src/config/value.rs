//! Parameter values and sets of them, free of ROS.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::ConfigError;
use super::{Parameter, parameters};
use crate::text::sanitize_short;

/// A parameter's value, of one of the types that ROS knows.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A bool.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A double.
    Real(f64),
    /// A string.
    Text(String),
    /// An array of integers.
    Integers(Vec<i64>),
    /// An array of doubles.
    Reals(Vec<f64>),
    /// An array of strings.
    Texts(Vec<String>),
    /// Of a type that no parameter here has, by its name.
    Other(&'static str),
}

impl Value {
    /// The type's name, as people say it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "boolean",
            Self::Integer(_) => "integer",
            Self::Real(_) => "number",
            Self::Text(_) => "string",
            Self::Integers(_) => "list of integers",
            Self::Reals(_) => "list of numbers",
            Self::Texts(_) => "list of strings",
            Self::Other(name) => name,
        }
    }

    /// The value in the type of another, where nothing is lost by that: a whole number for a real.
    fn coerced_to(self, example: &Self) -> Result<Self, Self> {
        match (self, example) {
            (Self::Integer(value), Self::Real(_)) => Ok(Self::Real(value as f64)),
            (Self::Integers(values), Self::Reals(_)) => {
                Ok(Self::Reals(values.into_iter().map(|value| value as f64).collect()))
            }
            (value, _) if std::mem::discriminant(&value) == std::mem::discriminant(example) => Ok(value),
            (value, _) => Err(value),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Real(value) => write!(f, "{value:?}"),
            Self::Text(value) => write!(f, "'{}'", sanitize_short(value)),
            Self::Integers(values) => f.write_str(&list(values, i64::to_string)),
            Self::Reals(values) => f.write_str(&list(values, |value| format!("{value:?}"))),
            Self::Texts(values) => f.write_str(&list(values, |value| format!("'{}'", sanitize_short(value)))),
            Self::Other(name) => f.write_str(&super::with_article(name)),
        }
    }
}

/// The first of them, and how many there are where that is not all.
fn list<T>(values: &[T], say: impl FnMut(&T) -> String) -> String {
    let first: Vec<_> = values.iter().take(MOST_SAID).map(say).collect();
    match values.len() {
        count if count > MOST_SAID => format!("[{}, … ({count} in all)]", first.join(", ")),
        _ => format!("[{}]", first.join(", ")),
    }
}

/// The most values of a list that are said; no parameter has as many.
const MOST_SAID: usize = 20;

/// A value for every parameter, each of its type and in its range.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters(BTreeMap<&'static str, Value>);

impl Default for Parameters {
    fn default() -> Self {
        Self(parameters().map(|parameter| (parameter.name, parameter.default())).collect())
    }
}

impl Parameters {
    /// Sets one parameter.
    ///
    /// # Errors
    /// An unknown name, a value of the wrong type, or out of range. Nothing has changed then.
    pub fn set(&mut self, name: &str, value: Value) -> Result<(), ConfigError> {
        let parameter = Parameter::find(name).ok_or_else(|| {
            let name = sanitize_short(name);
            ConfigError::Unknown { suggestion: nearest(&name), name }
        })?;
        let default = parameter.default();
        let value = value.coerced_to(&default).map_err(|value| {
            let range = parameter.range.describe(parameter.unit);
            ConfigError::wrong_type(parameter.name, &value, default.type_name(), &range)
        })?;
        parameter.check(&value)?;
        self.0.insert(parameter.name, value);
        Ok(())
    }

    /// The value of a parameter, by its name; `None` if there is no such parameter.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn written(&self, name: &str) -> String {
        self.value(name).to_string()
    }

    pub(super) fn boolean(&self, name: &str) -> bool {
        matches!(self.value(name), Value::Boolean(true))
    }

    pub(super) fn integer(&self, name: &str) -> i64 {
        match self.value(name) {
            Value::Integer(value) => *value,
            other => unreachable!("'{name}' is declared as {}", other.type_name()),
        }
    }

    pub(super) fn real(&self, name: &str) -> f64 {
        match self.value(name) {
            Value::Real(value) => *value,
            other => unreachable!("'{name}' is declared as {}", other.type_name()),
        }
    }

    pub(super) fn seconds(&self, name: &str) -> Duration {
        Duration::from_secs_f64(self.real(name))
    }

    pub(super) fn text(&self, name: &str) -> &str {
        match self.value(name) {
            Value::Text(value) => value,
            other => unreachable!("'{name}' is declared as {}", other.type_name()),
        }
    }

    pub(super) fn texts(&self, name: &str) -> &[String] {
        match self.value(name) {
            Value::Texts(values) => values,
            other => unreachable!("'{name}' is declared as {}", other.type_name()),
        }
    }

    pub(super) fn reals(&self, name: &str) -> [f64; 3] {
        match self.value(name) {
            Value::Reals(values) => values.as_slice().try_into().expect("its length is checked"),
            other => unreachable!("'{name}' is declared as {}", other.type_name()),
        }
    }

    pub(super) fn value(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or_else(|| unreachable!("'{name}' is not declared"))
    }
}

/// The known name that a misspelt one was meant to be.
fn nearest(name: &str) -> Option<&'static str> {
    let length = name.chars().count();
    parameters()
        // Each missing or further character is an error: names of other lengths need no closer look.
        .filter(|parameter| parameter.name.len().abs_diff(length) <= MAX_TYPING_ERRORS)
        .map(|parameter| (strsim::damerau_levenshtein(parameter.name, name), parameter.name))
        .filter(|(distance, _)| *distance <= MAX_TYPING_ERRORS)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

const MAX_TYPING_ERRORS: usize = 3;
