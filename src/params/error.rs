//! Why a parameter cannot have a value.

use super::value::{Value, with_article};

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
    /// The parameter with this name of an earlier version has another since.
    #[error("parameter '{0}' is now '{1}'")]
    Renamed(&'static str, &'static str),
    /// The value is of another type, out of range, of an earlier version, or contradicts another parameter.
    #[error("parameter '{name}' is {value}; {fault}")]
    Value {
        /// The parameter.
        name: &'static str,
        /// The value, as written.
        value: String,
        /// What is wrong, or what would be right.
        fault: String,
    },
}

impl ParameterError {
    /// Reports a value of another type than the wanted one.
    pub fn wrong_type(name: &'static str, value: &Value, wanted: &'static str, wanted_range: &str) -> Self {
        let (found, value) = (value.type_name(), value.to_string());
        let range = if wanted_range.is_empty() { String::new() } else { format!(", {wanted_range}") };
        let how = how_to_write(&value, found, wanted);
        let fault = format!("it must be {}{range}{how}", with_article(wanted));
        // These are the same words for a type that no parameter has.
        let found = with_article(found);
        let value = if value == found { found } else { format!("{value}, {found}") };
        Self::Value { name, value, fault }
    }
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
