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
    /// What is to be the path of a field is none.
    #[error("parameter '{name}': {error}")]
    Path {
        /// The parameter.
        name: &'static str,
        /// What is wrong with which path.
        error: PathError,
    },
    /// The members of a line of JSON make none.
    #[error("{0} (wire.json.*, wire.extra_fields)")]
    JsonFields(JsonFieldsError),
}
