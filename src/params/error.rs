//! The error of an invalid parameter.

use super::value::{Value, with_article};

/// Why a parameter is invalid. Names the parameter, its value and the allowed values.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ParameterError {
    /// No parameter has this name.
    #[error("parameter '{name}' is unknown{}", suggestion.map(|s| format!("; did you mean '{s}'?")).unwrap_or_default())]
    Unknown {
        /// The name, with printable characters only.
        name: String,
        /// The most similar known name, if one is similar enough.
        suggestion: Option<&'static str>,
    },
    /// The parameter has a new name: former name, present name.
    #[error("parameter '{0}' has the new name '{1}'")]
    Renamed(&'static str, &'static str),
    /// The value has the wrong type, is out of range, has a new name, or contradicts another
    /// parameter.
    #[error("parameter '{name}' is {value}; {fault}")]
    Value {
        /// The name of the parameter.
        name: &'static str,
        /// The value, as errors show it.
        value: String,
        /// What is wrong, or which values are allowed.
        fault: String,
    },
}

impl ParameterError {
    /// Returns the error for a value of the wrong type.
    pub fn wrong_type(name: &'static str, value: &Value, wanted: &'static str, wanted_range: &str) -> Self {
        let (found, value) = (value.type_name(), value.to_string());
        let range = if wanted_range.is_empty() { String::new() } else { format!(", {wanted_range}") };
        let how = how_to_write(&value, found, wanted);
        let fault = format!("it must be {}{range}{how}", with_article(wanted));
        // For a type that no parameter has, the value is shown by its type. Do not repeat it.
        let found = with_article(found);
        let value = if value == found { found } else { format!("{value}, {found}") };
        Self::Value { name, value, fault }
    }
}

/// Returns how to write a value that YAML reads as another type than intended.
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
        // `ros2 param set` turns a list with several types into a string.
        ("list of numbers", "string") if value.trim_start_matches('\'').starts_with('[') => {
            ". All values of a list have one type: write 0.0, not 0, beside 0.5".into()
        }
        _ => String::new(),
    }
}
