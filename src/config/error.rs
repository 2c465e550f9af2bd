//! The error of an invalid configuration.

use crate::mapping::PathError;
use crate::params::ParameterError;
use crate::wire::JsonFieldsError;

/// Why a set of parameters is invalid. Names the parameter, its value and the allowed values.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A value is invalid, or contradicts the value of another parameter.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// The value of this parameter is not a field path.
    #[error("parameter '{0}': {1}")]
    Path(&'static str, PathError),
    /// The members of a JSON line do not form a valid object.
    #[error("{0} (wire.json.*, wire.extra_fields)")]
    JsonFields(JsonFieldsError),
}
