//! Parameters as ROS sees them: described in full, read at start, changed while running, and refused with a reason.

mod describe;
mod events;
mod message;
mod server;
mod services;
mod wanted;

pub use describe::list;
pub use message::{message, value};
pub use server::ParameterServer;
pub use services::{Answers, ParameterServices};

use std::fmt;

use crate::config::{Config, ConfigError, Parameters, Value};

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

/// The parameters that a node was started with.
pub struct Overrides {
    /// A value for every parameter, and what they mean.
    pub config: Config,
    /// The one parameter that every ROS node has.
    pub use_sim_time: bool,
}

impl Overrides {
    /// Reads and validates what `--ros-args` and parameter files say. Names that are not known are told of and let
    /// pass, since a file may serve several nodes.
    ///
    /// # Errors
    /// Every value that is wrong.
    pub fn read(node: &r2r::Node) -> Result<Self, ParameterFaults> {
        let mut parameters = Parameters::default();
        let mut use_sim_time = false;
        let mut faults = Vec::new();
        let given = node.params.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (name, given) in given.iter() {
            match (name.as_str(), value(&given.value)) {
                (USE_SIM_TIME, Value::Boolean(value)) => use_sim_time = value,
                (USE_SIM_TIME, value) => faults.push(not_boolean(&value)),
                (name, _) if is_every_nodes(name) => {}
                (name, value) => match parameters.set(name, value) {
                    Err(error @ ConfigError::Unknown { .. }) => tracing::warn!("{error}; ignored"),
                    Err(error) => faults.push(error),
                    Ok(()) => {}
                },
            }
        }
        if !faults.is_empty() {
            return Err(ParameterFaults(faults));
        }
        let config = Config::new(&parameters).map_err(|error| ParameterFaults(vec![error]))?;
        Ok(Self { config, use_sim_time })
    }
}

/// What is wrong with `use_sim_time`.
pub fn not_boolean(value: &Value) -> ConfigError {
    ConfigError::Type {
        name: USE_SIM_TIME,
        found: value.type_name(),
        value: value.to_string(),
        wanted: "boolean",
        wanted_range: String::new(),
    }
}

/// Whether a parameter is one that any node may be given, and that means nothing to ours.
pub fn is_every_nodes(name: &str) -> bool {
    name == "start_type_description_service" || name.starts_with("qos_overrides.")
}

/// The one parameter that every ROS node has.
pub const USE_SIM_TIME: &str = "use_sim_time";
