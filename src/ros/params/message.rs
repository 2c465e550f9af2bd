//! Conversion of parameter values between ROS and the core.

use r2r::rcl_interfaces::msg::{ParameterType, ParameterValue};

use super::quote::{quoted, unquoted};
use crate::params::Value;

/// Converts a value that rcl has read from a file or from the command line.
pub(super) fn given(value: &rcl_ext::Value) -> Value {
    use rcl_ext::Value as Given;
    match value {
        Given::Boolean(value) => Value::Boolean(*value),
        Given::Integer(value) => Value::Integer(*value),
        Given::Real(value) => Value::Real(*value),
        Given::Text(value) => text(value),
        Given::Integers(values) => Value::Integers(values.clone()),
        Given::Reals(values) => Value::Reals(values.clone()),
        Given::Texts(values) => texts(values),
        // An empty list has no type, and rcl returns no value for it.
        Given::Nothing => EMPTY_LIST,
        Given::Booleans(_) => BOOLEANS,
        Given::Bytes(_) => BYTES,
    }
}

/// Converts a value from a ROS message.
pub(super) fn from_message(given: &ParameterValue) -> Value {
    match given.type_ {
        kind::NOT_SET => NOT_SET,
        kind::BOOL => Value::Boolean(given.bool_value),
        kind::INTEGER => Value::Integer(given.integer_value),
        kind::DOUBLE => Value::Real(given.double_value),
        kind::STRING => text(&given.string_value),
        kind::INTEGER_ARRAY => Value::Integers(given.integer_array_value.clone()),
        kind::DOUBLE_ARRAY => Value::Reals(given.double_array_value.clone()),
        // `ros2 param set` sends an empty list as a list of booleans.
        kind::BOOL_ARRAY if given.bool_array_value.is_empty() => EMPTY_LIST,
        kind::BOOL_ARRAY => BOOLEANS,
        kind::BYTE_ARRAY => BYTES,
        kind::STRING_ARRAY => texts(&given.string_array_value),
        _ => Value::Other("value of no known type"),
    }
}

/// Converts a value to a ROS message. Adds single quotes to a text that YAML would read as another
/// value.
pub(super) fn message(value: &Value) -> ParameterValue {
    let of = |type_| ParameterValue { type_, ..Default::default() };
    match value {
        Value::Boolean(value) => ParameterValue { bool_value: *value, ..of(kind::BOOL) },
        Value::Integer(value) => ParameterValue { integer_value: *value, ..of(kind::INTEGER) },
        Value::Real(value) => ParameterValue { double_value: *value, ..of(kind::DOUBLE) },
        Value::Text(value) => ParameterValue { string_value: quoted(value), ..of(kind::STRING) },
        Value::Integers(values) => {
            ParameterValue { integer_array_value: values.clone(), ..of(kind::INTEGER_ARRAY) }
        }
        Value::Reals(values) => {
            ParameterValue { double_array_value: values.clone(), ..of(kind::DOUBLE_ARRAY) }
        }
        Value::Texts(values) => {
            let string_array_value = values.iter().map(|value| quoted(value)).collect();
            ParameterValue { string_array_value, ..of(kind::STRING_ARRAY) }
        }
        Value::Other(_) => of(kind::NOT_SET),
    }
}

fn text(given: &str) -> Value {
    Value::Text(unquoted(given).into_owned())
}

fn texts(given: &[String]) -> Value {
    Value::Texts(given.iter().map(|text| unquoted(text).into_owned()).collect())
}

const EMPTY_LIST: Value = Value::Other(Value::EMPTY_LIST);
/// The value that requests the deletion of a parameter.
pub(super) const NOT_SET: Value = Value::Other("value that is not set");
const BOOLEANS: Value = Value::Other("list of booleans");
const BYTES: Value = Value::Other("list of bytes");

/// The constants of `ParameterType` with the type of the message's field.
mod kind {
    use super::ParameterType;

    pub(super) const NOT_SET: u8 = ParameterType::PARAMETER_NOT_SET as u8;
    pub(super) const BOOL: u8 = ParameterType::PARAMETER_BOOL as u8;
    pub(super) const INTEGER: u8 = ParameterType::PARAMETER_INTEGER as u8;
    pub(super) const DOUBLE: u8 = ParameterType::PARAMETER_DOUBLE as u8;
    pub(super) const STRING: u8 = ParameterType::PARAMETER_STRING as u8;
    pub(super) const INTEGER_ARRAY: u8 = ParameterType::PARAMETER_INTEGER_ARRAY as u8;
    pub(super) const DOUBLE_ARRAY: u8 = ParameterType::PARAMETER_DOUBLE_ARRAY as u8;
    pub(super) const BOOL_ARRAY: u8 = ParameterType::PARAMETER_BOOL_ARRAY as u8;
    pub(super) const BYTE_ARRAY: u8 = ParameterType::PARAMETER_BYTE_ARRAY as u8;
    pub(super) const STRING_ARRAY: u8 = ParameterType::PARAMETER_STRING_ARRAY as u8;
}
