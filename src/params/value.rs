//! A parameter's value, free of ROS.

use std::fmt;

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
    /// What a list without elements is called, which has no type in a parameter file.
    pub const EMPTY_LIST: &str = "empty list";

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
    pub(super) fn coerced_to(self, example: &Self) -> Result<Self, Self> {
        match (self, example) {
            (Self::Integer(value), Self::Real(_)) => Ok(Self::Real(value as f64)),
            (Self::Integers(values), Self::Reals(_)) => {
                Ok(Self::Reals(values.into_iter().map(|value| value as f64).collect()))
            }
            // Of lists of numbers only one of boxes may have no element; its default has one.
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

/// The first of them, and how many there are where that is not all.
fn list<T>(values: &[T], say: impl FnMut(&T) -> String) -> String {
    let first: Vec<_> = values.iter().take(MOST_SAID).map(say).collect();
    match values.len() {
        count if count > MOST_SAID => format!("[{}, … ({count} in all)]", first.join(", ")),
        _ => format!("[{}]", first.join(", ")),
    }
}

/// The most values of a list that are said.
const MOST_SAID: usize = 20;
