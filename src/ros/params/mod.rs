//! Parameters as ROS sees them: described in full, read at start, changed while running, and refused with a reason.

mod describe;
mod events;
mod given;
mod message;
mod quote;
mod server;
mod services;
mod wanted;

pub use given::{Given, readable};
pub use message::message;
pub use server::ParameterServer;
pub use services::{Declared, ParameterServices};

use std::fmt;

use self::given::quoted;
use crate::config::{Config, ConfigError, Parameters, Value};

/// What is wrong with the parameters a node was started with; one line each.
#[derive(Debug)]
pub struct ParameterFaults(Vec<String>);

impl fmt::Display for ParameterFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ParameterFaults {}

impl From<ConfigError> for ParameterFaults {
    fn from(error: ConfigError) -> Self {
        Self(vec![error.to_string()])
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
    /// Validates what `--ros-args` and parameter files say.
    ///
    /// # Errors
    /// Every value that is wrong.
    pub fn read(given: &Given) -> Result<Self, ParameterFaults> {
        let mut parameters = Parameters::default();
        let use_sim_time = set_given(given, |name, value| parameters.set(name, value))?;
        Ok(Self { config: Config::new(&parameters)?, use_sim_time })
    }
}

/// Sets what `--ros-args` and parameter files say. Warns of unknown names and ignores them, because a file may serve
/// several nodes. Returns `use_sim_time`.
///
/// # Errors
/// Every value that is wrong, with the file that it is in.
pub fn set_given(
    given: &Given,
    mut set: impl FnMut(&str, Value) -> Result<(), ConfigError>,
) -> Result<bool, ParameterFaults> {
    let mut use_sim_time = false;
    let mut faults = Vec::new();
    for (name, value) in given.parameters() {
        let file = given.file_of(name).map(|file| format!(" (in {})", quoted(file))).unwrap_or_default();
        match (name, value) {
            (USE_SIM_TIME, Value::Boolean(value)) => use_sim_time = *value,
            (USE_SIM_TIME, value) => {
                let error = ConfigError::wrong_type(USE_SIM_TIME, value, "boolean", "");
                faults.push(format!("{error}{file}"));
            }
            (name, _) if name == "start_type_description_service" || name.starts_with("qos_overrides.") => {}
            (name, value) => match set(name, value.clone()) {
                Err(error @ ConfigError::Unknown { .. }) => tracing::warn!("ignored: {error}{file}"),
                Err(error) => faults.push(format!("{error}{file}")),
                Ok(()) => {}
            },
        }
    }
    if faults.is_empty() { Ok(use_sim_time) } else { Err(ParameterFaults(faults)) }
}

const USE_SIM_TIME: &str = "use_sim_time";
