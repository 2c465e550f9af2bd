//! The parameters of the bridge while the node runs.

use r2r::rcl_interfaces::msg::Parameter;

use super::USE_SIM_TIME;
use super::events::ParameterEvents;
use super::message::{NOT_SET, from_message};
use super::services::{ParameterServices, Settable};
use crate::app::Bridge;
use crate::config::table::BridgeTable;
use crate::config::{Config, Parameters};
use crate::params::{self, ChangeError, Changed, Table, Value};
use crate::ros::clock::RosClock;
use crate::text::sanitize_short;

/// The parameters of the bridge's node, and the services to read and set them.
pub struct ParameterServer {
    services: ParameterServices,
    /// The present settings.
    config: Config,
    use_sim_time: bool,
    events: ParameterEvents,
}

impl ParameterServer {
    /// Creates the parameter services. `config` has the settings at the start.
    ///
    /// # Errors
    /// rcl fails.
    pub fn create(
        node: &mut r2r::Node,
        config: Config,
        use_sim_time: bool,
        clock: RosClock,
    ) -> r2r::Result<Self> {
        let events = ParameterEvents::create(node, clock)?;
        Ok(Self { services: ParameterServices::create(node, use_sim_time)?, config, use_sim_time, events })
    }

    /// Returns the present settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Responds to all requests and applies accepted changes. Returns whether there was a request.
    pub fn answer(&mut self, bridge: &Bridge) -> bool {
        let Self { services, config, use_sim_time, events } = self;
        events.publish_declared(config.parameters(), *use_sim_time);
        services.answer(&mut Live { config, use_sim_time: *use_sim_time, events, bridge })
    }
}

struct Live<'a> {
    config: &'a mut Config,
    use_sim_time: bool,
    events: &'a ParameterEvents,
    bridge: &'a Bridge,
}

impl Settable for Live<'_> {
    type Table = BridgeTable;

    fn parameters(&self) -> &Parameters {
        self.config.parameters()
    }

    fn set(&mut self, given: &[Parameter]) -> Result<(), String> {
        let parameters = requested(self.parameters(), self.use_sim_time, given)?;
        let config = Config::new(&parameters).map_err(|error| error.to_string())?;
        if config == *self.config {
            return Ok(());
        }
        self.bridge.reconfigure(&config).map_err(|error| error.to_string())?;
        for changed in config.changes(self.config) {
            tracing::info!("parameter {}: {} → {}", changed.parameter.name, changed.before, changed.after);
        }
        self.events.publish_changed(config.changes(self.config));
        *self.config = config;
        Ok(())
    }
}

/// Returns `parameters` with these changes, all applied together.
///
/// # Errors
/// A value is wrong, or the parameter is read-only. The error names the first such parameter.
pub fn requested<T: Table>(
    parameters: &params::Parameters<T>,
    use_sim_time: bool,
    given: &[Parameter],
) -> Result<params::Parameters<T>, String> {
    let before = parameters;
    let mut parameters = before.clone();
    for Parameter { name, value } in given {
        let (name, value) = (sanitize_short(name), from_message(value));
        if name == USE_SIM_TIME {
            if value != Value::Boolean(use_sim_time) {
                return Err(ChangeError::ReadOnly(USE_SIM_TIME, use_sim_time.to_string()).to_string());
            }
            continue;
        }
        match T::find(&name) {
            Some(parameter) if value == NOT_SET => {
                let default = parameter.default();
                return Err(format!(
                    "parameter '{name}' cannot be deleted: set it to its default, {default}"
                ));
            }
            _ => parameters.set(&name, value).map_err(|error| error.to_string())?,
        }
    }
    // Find read-only parameters before the checks of contradictions. With `false` (disarmed), the
    // check rejects only read-only parameters.
    let refused = Changed::between(before, &parameters).find_map(|changed| changed.check(false).err());
    refused.map_or(Ok(parameters), |error| Err(error.to_string()))
}

#[cfg(test)]
mod tests {
    use r2r::rcl_interfaces::msg::ParameterValue;

    use super::super::message::message;
    use super::*;
    use crate::config::{Config, Parameters};

    fn set(given: &[(&str, Value)]) -> Result<Config, String> {
        let given: Vec<_> = given
            .iter()
            .map(|(name, value)| Parameter { name: (*name).into(), value: message(value) })
            .collect();
        let parameters = requested(&Parameters::default(), false, &given)?;
        Config::new(&parameters).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_in_one_request_are_checked_together() {
        let min = ("workspace.min", Value::Reals(vec![0.5, 0.0, 0.0]));
        assert!(
            set(std::slice::from_ref(&min))
                .unwrap_err()
                .contains("'workspace.max', which is [0.3, 0.3, 0.4]")
        );
        let others = [
            ("workspace.max", Value::Reals(vec![1.0, 1.0, 1.0])),
            ("arm.home", Value::Reals(vec![0.6, 0.1, 0.1])),
        ];
        let config = set(&[vec![min], others.to_vec()].concat()).unwrap();
        assert_eq!(config.teleop.home.coordinates(), [0.6, 0.1, 0.1]);
    }

    #[test]
    fn error_names_parameter_value_and_remedy() {
        for (name, value, words) in [
            ("limits.sped", Value::Real(0.1), "'limits.sped' is unknown; did you mean 'limits.speed'?"),
            ("limits.speed", Value::Text("fast".into()), "is 'fast', a string; it must be a number"),
            ("arm.home", Value::Text("[0.2, 0, 0.2]".into()), "write 0.0, not 0"),
            ("limits.speed", Value::Real(99.0), "is 99.0; it must be from 0.001 to 10.0 m/s"),
            (
                "limits.speed",
                Value::Real(0.05),
                "'limits.approach_speed' is 0.1; it must be at most 'limits.speed'",
            ),
            ("limits.speed", NOT_SET, "'limits.speed' cannot be deleted: set it to its default, 0.25"),
            ("no.such", NOT_SET, "'no.such' is unknown"),
            ("use_sim_time", Value::Boolean(true), "'use_sim_time' is false and read-only"),
            ("use_sim_time", NOT_SET, "'use_sim_time' is false and read-only"),
            // This also contradicts input.gripper, but changing input.gripper would not help the
            // user.
            ("gripper.valid", Value::Text("seen".into()), "'gripper.valid' is 'none' and read-only"),
        ] {
            let refused = set(&[(name, value)]).unwrap_err();
            assert!(refused.contains(words), "{refused}");
        }
    }

    #[test]
    fn unknown_type_and_hostile_name_are_rejected() {
        let given = Parameter {
            name: "limits.speed".into(),
            value: ParameterValue { type_: 42, ..Default::default() },
        };
        let refused = requested(&Parameters::default(), false, &[given]).unwrap_err();
        assert!(refused.contains("'limits.speed' is a value of no known type"), "{refused}");
        let refused = set(&[(&"x\u{1b}".repeat(10_000), Value::Real(0.1))]).unwrap_err();
        assert!(refused.len() < 1000 && !refused.contains('\u{1b}'), "{refused}");
    }

    #[test]
    fn setting_the_present_value_changes_nothing() {
        let before = Config::new(&Parameters::default()).unwrap();
        let same = [("use_sim_time", Value::Boolean(false)), ("teleop.settle_time", Value::Integer(1))];
        assert_eq!(set(&same).unwrap(), before);
        assert_eq!(set(&[]).unwrap(), before);
    }
}
