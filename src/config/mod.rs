//! Converts the parameters into one validated [`Config`] with units in its types. Errors name the
//! parameter.
//!
//! [`table`] declares the parameters of the bridge. This module may use all modules except
//! `status`, `app` and `ros`. It uses no clock, no socket and no ROS.

mod addresses;
mod configuration;
mod error;
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
