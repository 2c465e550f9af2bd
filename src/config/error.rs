//! Why a set of parameters is no configuration.

use crate::mapping::PathError;
use crate::params::ParameterError;
use crate::wire::JsonFieldsError;

/// Why a set of parameters is no configuration. Names the parameter, its value and what would be right.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A value that is wrong by itself, or contradicts another.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// What this parameter names is no path of a field.
    #[error("parameter '{0}': {1}")]
    Path(&'static str, PathError),
    /// The members of a line of JSON make none.
    #[error("{0} (wire.json.*, wire.extra_fields)")]
    JsonFields(JsonFieldsError),
}
