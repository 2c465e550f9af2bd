//! Values between ROS and the core.

use r2r::rcl_interfaces::msg::{ParameterType, ParameterValue};

use crate::config::Value;

/// A parameter's value as r2r gives it, free of r2r.
pub(super) fn value(given: &r2r::ParameterValue) -> Value {
    use r2r::ParameterValue as Given;
    match given {
        Given::Bool(value) => Value::Boolean(*value),
        Given::Integer(value) => Value::Integer(*value),
        Given::Double(value) => Value::Real(*value),
        Given::String(value) => Value::Text(value.clone()),
        Given::IntegerArray(values) => Value::Integers(values.clone()),
        Given::DoubleArray(values) => Value::Reals(values.clone()),
        Given::NotSet => NOT_SET,
        Given::BoolArray(_) => BOOLEANS,
        Given::ByteArray(_) => BYTES,
        Given::StringArray(values) => Value::Texts(values.clone()),
    }
}

/// A value as ROS messages have it, free of r2r.
pub(super) fn from_message(given: &ParameterValue) -> Value {
    match given.type_ {
        kind::NOT_SET => NOT_SET,
        kind::BOOL => Value::Boolean(given.bool_value),
        kind::INTEGER => Value::Integer(given.integer_value),
        kind::DOUBLE => Value::Real(given.double_value),
        kind::STRING => Value::Text(given.string_value.clone()),
        kind::INTEGER_ARRAY => Value::Integers(given.integer_array_value.clone()),
        kind::DOUBLE_ARRAY => Value::Reals(given.double_array_value.clone()),
        kind::BOOL_ARRAY => BOOLEANS,
        kind::BYTE_ARRAY => BYTES,
        kind::STRING_ARRAY => Value::Texts(given.string_array_value.clone()),
        _ => Value::Other("value of no known type"),
    }
}

/// A value as ROS messages have it.
pub fn message(value: &Value) -> ParameterValue {
    let mut message = ParameterValue::default();
    message.type_ = match value {
        Value::Boolean(value) => {
            message.bool_value = *value;
            kind::BOOL
        }
        Value::Integer(value) => {
            message.integer_value = *value;
            kind::INTEGER
        }
        Value::Real(value) => {
            message.double_value = *value;
            kind::DOUBLE
        }
        Value::Text(value) => {
            message.string_value.clone_from(value);
            kind::STRING
        }
        Value::Integers(values) => {
            message.integer_array_value.clone_from(values);
            kind::INTEGER_ARRAY
        }
        Value::Reals(values) => {
            message.double_array_value.clone_from(values);
            kind::DOUBLE_ARRAY
        }
        Value::Texts(values) => {
            message.string_array_value.clone_from(values);
            kind::STRING_ARRAY
        }
        Value::Other(_) => kind::NOT_SET,
    };
    message
}

/// What deletes a parameter.
pub(super) const NOT_SET: Value = Value::Other("value that is not set");
const BOOLEANS: Value = Value::Other("list of booleans");
const BYTES: Value = Value::Other("list of bytes");

/// `ParameterType` as messages carry it.
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
