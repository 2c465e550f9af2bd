//! The value of a parameter, independent of ROS.

use std::fmt;

use crate::text::sanitize_short;

/// The value of a parameter, in one of the types of ROS parameters.
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
    /// A value of a type that no parameter has; contains the name of the type.
    Other(&'static str),
}

impl Value {
    /// The type name of a list without elements, which has no element type in a parameter file.
    pub const EMPTY_LIST: &str = "empty list";

    /// Returns the name of the type for errors.
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

    /// Converts the value to the type of another value if that loses nothing, like an integer to a
    /// real. Otherwise returns the value as the error.
    pub(super) fn coerced_to(self, example: &Self) -> Result<Self, Self> {
        match (self, example) {
            (Self::Integer(value), Self::Real(_)) => Ok(Self::Real(value as f64)),
            (Self::Integers(values), Self::Reals(_)) => {
                Ok(Self::Reals(values.into_iter().map(|value| value as f64).collect()))
            }
            // Only a list of boxes may be empty. Such a list is recognized by its default, which is
            // the only default with a single element.
            (Self::Other(Self::EMPTY_LIST), Self::Reals(values)) if values.len() == 1 => {
                Ok(Self::Reals(Vec::new()))
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
            Self::Other(name) => f.write_str(&with_article(name)),
        }
    }
}

/// Puts "a" or "an" before a noun.
pub(super) fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {noun}")
}

/// Writes the first values of a list, and the total number if it is longer.
fn list<T>(values: &[T], write: impl FnMut(&T) -> String) -> String {
    let first: Vec<_> = values.iter().take(MAX_SHOWN).map(write).collect();
    match values.len() {
        count if count > MAX_SHOWN => format!("[{}, … ({count} in all)]", first.join(", ")),
        _ => format!("[{}]", first.join(", ")),
    }
}

/// The maximum number of values of a list in an error.
const MAX_SHOWN: usize = 20;
