//! The parameters that a node is started with.

use std::fmt::Display;

use super::USE_SIM_TIME;
use super::given::{Given, quoted};
use crate::params::{ParameterError, Parameters, Table, Value};

/// What is wrong with the parameters a node was started with; one line each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ParameterFaults(Vec<String>);

impl ParameterFaults {
    /// Reports the one thing that is wrong.
    pub fn of(error: impl Display) -> Self {
        Self(vec![error.to_string()])
    }
}

/// The parameters that a node is started with.
pub struct Start<T> {
    /// A value for every parameter.
    pub parameters: Parameters<T>,
    /// The one parameter that every ROS node has.
    pub use_sim_time: bool,
}

impl<T: Table> Start<T> {
    /// Sets what `--ros-args` and parameter files say. Warns of unknown names and ignores them, because a file may serve
    /// several nodes.
    ///
    /// # Errors
    /// Every value that is wrong, with the file that it is in.
    pub fn read(given: &Given) -> Result<Self, ParameterFaults> {
        let (mut parameters, mut use_sim_time) = (Parameters::default(), false);
        let mut faults = Vec::new();
        for (name, value) in given.parameters() {
            let file = given.file_of(name).map(|file| format!(" (in {})", quoted(file))).unwrap_or_default();
            match (name, value) {
                (USE_SIM_TIME, Value::Boolean(value)) => use_sim_time = *value,
                (USE_SIM_TIME, value) => {
                    let error = ParameterError::wrong_type(USE_SIM_TIME, value, "boolean", "");
                    faults.push(format!("{error}{file}"));
                }
                (name, _)
                    if name == "start_type_description_service" || name.starts_with("qos_overrides.") => {}
                (name, value) => match parameters.set(name, value.clone()) {
                    Err(error @ ParameterError::Unknown { .. }) => tracing::warn!("ignored: {error}{file}"),
                    Err(error) => faults.push(format!("{error}{file}")),
                    Ok(()) => {}
                },
            }
        }
        if faults.is_empty() { Ok(Self { parameters, use_sim_time }) } else { Err(ParameterFaults(faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Parameter, real};
    use crate::ros::arguments::Arguments;

    crate::parameters! {
        /// The parameters of a test.
        static ALL;

        /// How fast.
        SPEED: f64 = real("speed", 0.25, 0.0..=1.0);
    }

    #[derive(Debug, Clone, PartialEq)]
    enum TestTable {}

    impl Table for TestTable {
        const GROUPS: &'static [&'static [&'static dyn Parameter]] = &[ALL];
        const FORMER_NAMES: &'static [(&'static str, &'static str)] = &[("velocity", "speed")];
    }

    fn start(rule: &str) -> Result<Start<TestTable>, String> {
        let arguments = Arguments::new(["node", "--ros-args", "-p", rule].map(Into::into)).unwrap();
        Start::read(&Given::read(&arguments, "/node").unwrap()).map_err(|faults| faults.to_string())
    }

    #[test]
    fn an_unknown_name_is_ignored_and_a_former_name_refused() {
        assert_eq!(start("speed:=0.5").unwrap().parameters.get(&SPEED), 0.5);
        assert_eq!(start("spede:=0.5").unwrap().parameters.get(&SPEED), 0.25);
        let faults = start("velocity:=0.5").err();
        assert_eq!(faults.as_deref(), Some("parameter 'velocity' is now 'speed'"));
        let faults = start("use_sim_time:=1").err();
        assert!(faults.is_some_and(|faults| faults.contains("is 1, an integer; it must be a boolean")));
    }
}
