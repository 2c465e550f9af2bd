//! What the parameters mean: one validated [`Config`] with units in its types, and errors that name the parameter.
//!
//! [`table`] declares the parameters of the bridge. May name all rooms but `status`, `app` and `ros`. Has no clock, no
//! socket and no ROS.

mod configuration;
mod error;
mod place;
mod relations;
mod security;
mod source;
pub mod table;
mod wire;

pub use configuration::Config;
pub use error::ConfigError;
pub use security::AuthConfig;
pub use source::SourceConfig;
pub use table::{GripperType, parameters};

pub use crate::params::{ChangeError, Changed, ParameterError, Value};

/// A value for each parameter of the bridge.
pub type Parameters = crate::params::Parameters<table::BridgeTable>;
