//! Parameters as ROS sees them: described in full, read at start, changed while running, and refused with a reason.

mod describe;
mod events;
mod message;
mod server;
mod services;
mod wanted;

pub use message::message;
pub use server::ParameterServer;
pub use services::{Declared, ParameterServices};

use std::fmt;

use crate::config::{Config, ConfigError, Parameters, Value};
use message::value;

/// What is wrong with the parameters a node was started with; one line each.
#[derive(Debug)]
pub struct ParameterFaults(Vec<ConfigError>);

impl fmt::Display for ParameterFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ParameterFaults {}

impl From<ConfigError> for ParameterFaults {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

/// The parameters that a node was started with.
pub struct Overrides {
    /// A value for every parameter, and what they mean.
    pub config: Config,
    /// The one parameter that every ROS node has.
    pub use_sim_time: bool,
}

impl Overrides {
    /// Reads and validates what `--ros-args` and parameter files say.
    ///
    /// # Errors
    /// Every value that is wrong.
    pub fn read(node: &r2r::Node) -> Result<Self, ParameterFaults> {
        let mut parameters = Parameters::default();
        let use_sim_time = read_given(node, |name, value| parameters.set(name, value))?;
        Ok(Self { config: Config::new(&parameters)?, use_sim_time })
    }
}

/// Sets what `--ros-args` and parameter files say. Names that are not known are told of and let pass, since a file may serve
/// several nodes. Returns `use_sim_time`.
///
/// # Errors
/// Every value that is wrong.
pub fn read_given(
    node: &r2r::Node,
    mut set: impl FnMut(&str, Value) -> Result<(), ConfigError>,
) -> Result<bool, ParameterFaults> {
    let mut use_sim_time = false;
    let mut faults = Vec::new();
    let given = node.params.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for (name, given) in given.iter() {
        match (name.as_str(), value(&given.value)) {
            (USE_SIM_TIME, Value::Boolean(value)) => use_sim_time = value,
            (USE_SIM_TIME, value) => faults.push(ConfigError::Type {
                name: USE_SIM_TIME,
                found: value.type_name(),
                value: value.to_string(),
                wanted: "boolean",
                wanted_range: String::new(),
            }),
            (name, _) if name == "start_type_description_service" || name.starts_with("qos_overrides.") => {}
            (name, value) => match set(name, value) {
                Err(error @ ConfigError::Unknown { .. }) => tracing::warn!("{error}; ignored"),
                Err(error) => faults.push(error),
                Ok(()) => {}
            },
        }
    }
    if faults.is_empty() { Ok(use_sim_time) } else { Err(ParameterFaults(faults)) }
}

const USE_SIM_TIME: &str = "use_sim_time";
