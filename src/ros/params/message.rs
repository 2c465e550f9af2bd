//! Values between ROS and the core.

use r2r::rcl_interfaces::msg::{ParameterType, ParameterValue};

use crate::config::Value;

/// A parameter's value as r2r gives it, free of r2r.
pub fn value(given: &r2r::ParameterValue) -> Value {
    use r2r::ParameterValue as Given;
    match given {
        Given::Bool(value) => Value::Boolean(*value),
        Given::Integer(value) => Value::Integer(*value),
        Given::Double(value) => Value::Real(*value),
        Given::String(value) => Value::Text(value.clone()),
        Given::IntegerArray(values) => Value::Integers(values.clone()),
        Given::DoubleArray(values) => Value::Reals(values.clone()),
        Given::NotSet => Value::Other("value that is not set"),
        Given::BoolArray(_) => Value::Other("list of booleans"),
        Given::ByteArray(_) => Value::Other("list of bytes"),
        Given::StringArray(_) => Value::Other("list of strings"),
    }
}

/// A value as ROS messages have it.
pub(super) fn message(value: &Value) -> ParameterValue {
    let mut message = ParameterValue::default();
    message.type_ = match value {
        Value::Boolean(value) => {
            message.bool_value = *value;
            ParameterType::PARAMETER_BOOL as u8
        }
        Value::Integer(value) => {
            message.integer_value = *value;
            ParameterType::PARAMETER_INTEGER as u8
        }
        Value::Real(value) => {
            message.double_value = *value;
            ParameterType::PARAMETER_DOUBLE as u8
        }
        Value::Text(value) => {
            message.string_value.clone_from(value);
            ParameterType::PARAMETER_STRING as u8
        }
        Value::Integers(values) => {
            message.integer_array_value.clone_from(values);
            ParameterType::PARAMETER_INTEGER_ARRAY as u8
        }
        Value::Reals(values) => {
            message.double_array_value.clone_from(values);
            ParameterType::PARAMETER_DOUBLE_ARRAY as u8
        }
        Value::Other(_) => ParameterType::PARAMETER_NOT_SET as u8,
    };
    message
}
