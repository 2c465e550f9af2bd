//! Why a parameter cannot have a value.

use super::declaration::Declaration;
use super::value::{Value, with_article};
use crate::text::sanitize_short;

/// Why a parameter cannot have a value. Names the parameter, its value and what would be right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParameterError {
    /// No parameter has this name.
    #[error("parameter '{name}' is unknown{}", suggestion.map(|s| format!("; did you mean '{s}'?")).unwrap_or_default())]
    Unknown {
        /// The name, printable.
        name: String,
        /// The nearest known name, if one is near.
        suggestion: Option<&'static str>,
    },
    /// The parameter has another name since.
    #[error("parameter '{former}' is now '{name}'")]
    Renamed {
        /// Its name in an earlier version.
        former: &'static str,
        /// Its name.
        name: &'static str,
    },
    /// The value is written in another word since.
    #[error("parameter '{name}' is '{former}'; that value is now '{value}'")]
    RenamedValue {
        /// The parameter.
        name: &'static str,
        /// The word of an earlier version.
        former: &'static str,
        /// The word.
        value: &'static str,
    },
    /// The value is of another type.
    #[error(
        "parameter '{name}' is {}; it must be {}{}{}",
        with_type(value, found),
        with_article(wanted),
        unit_of(wanted_range),
        how_to_write(value, found, wanted)
    )]
    Type {
        /// The parameter.
        name: &'static str,
        /// The value, as written.
        value: String,
        /// Its type.
        found: &'static str,
        /// The type that would be right.
        wanted: &'static str,
        /// The range that would be right.
        wanted_range: String,
    },
    /// The value is out of range.
    #[error("parameter '{name}' is {value}; it must be {range}")]
    Range {
        /// The parameter.
        name: &'static str,
        /// The value, as written.
        value: String,
        /// What would be right.
        range: String,
    },
    /// What is to be an address or the path of a file cannot be one.
    #[error("parameter '{name}' is {value}; {fault}")]
    Place {
        /// The parameter.
        name: &'static str,
        /// The value, as written.
        value: String,
        /// What is wrong, and what to write.
        fault: String,
    },
    /// Two parameters contradict each other.
    #[error("parameter '{name}' is {value}; it must be {relation} '{other}', which is {other_value}")]
    Relation {
        /// The parameter.
        name: &'static str,
        /// Its value.
        value: String,
        /// Like "below" or "at most".
        relation: &'static str,
        /// The other parameter.
        other: &'static str,
        /// Its value.
        other_value: String,
    },
}

impl ParameterError {
    /// Reports a value of another type than the wanted one.
    pub fn wrong_type(name: &'static str, value: &Value, wanted: &'static str, wanted_range: &str) -> Self {
        let (found, value) = (value.type_name(), value.to_string());
        Self::Type { name, value, found, wanted, wanted_range: wanted_range.to_owned() }
    }

    /// Reports a value of the right type that is not accepted.
    pub(super) fn not_accepted(parameter: &Declaration, value: &Value) -> Self {
        Self::Range { name: parameter.name, value: value.to_string(), range: parameter.describe_value() }
    }

    /// Reports a name that no parameter has.
    pub(super) fn unknown(name: &str, nearest: impl Fn(&str) -> Option<&'static str>) -> Self {
        let name = sanitize_short(name);
        Self::Unknown { suggestion: nearest(&name), name }
    }
}

/// A value and its type, which are the same words for a type that no parameter has.
fn with_type(value: &str, found: &str) -> String {
    let found = with_article(found);
    if value == found { found } else { format!("{value}, {found}") }
}

/// How to write a value that YAML takes for another type than it is meant to have.
fn how_to_write(value: &str, found: &str, wanted: &str) -> String {
    match (wanted, found) {
        ("string", "boolean") => {
            ". YAML reads y, n, yes, no, on and off without quotes as true or false: write it in quotes, like 'y' in a file \
             and \"NAME:='y'\" after -p"
                .into()
        }
        ("string", "integer" | "number") => format!(
            ". YAML reads it as a number: write it in quotes, like '{value}' in a file and \"NAME:='{value}'\" after -p"
        ),
        // What `ros2 param set` makes of a list with several types in it.
        ("list of numbers", "string") if value.trim_start_matches('\'').starts_with('[') => {
            ". All values of a list have one type: write 0.0, not 0, beside 0.5".into()
        }
        _ => String::new(),
    }
}

fn unit_of(range: &str) -> String {
    if range.is_empty() { String::new() } else { format!(", {range}") }
}
