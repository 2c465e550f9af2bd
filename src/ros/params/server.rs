//! The parameters of the bridge, while it runs.

use r2r::rcl_interfaces::msg::{Parameter, ParameterDescriptor, SetParametersResult};

use super::describe::describe;
use super::events::ParameterEvents;
use super::services::{Declared, ParameterServices};
use super::wanted::wanted;
use crate::app::Bridge;
use crate::config::{Config, Value, parameters};
use crate::ros::clock::RosClock;
use crate::ros::convert;

/// The parameters of the bridge's node, and the services by which they are read and set.
pub struct ParameterServer {
    services: ParameterServices,
    parameters: LiveParameters,
}

struct LiveParameters {
    /// What is in force.
    config: Config,
    use_sim_time: bool,
    events: ParameterEvents,
}

impl ParameterServer {
    /// Offers the parameter services of a node that was started with `config`.
    ///
    /// # Errors
    /// What rcl says.
    pub fn create(
        node: &mut r2r::Node,
        config: Config,
        use_sim_time: bool,
        clock: RosClock,
    ) -> r2r::Result<Self> {
        let events = ParameterEvents::create(node, clock)?;
        let parameters = LiveParameters { config, use_sim_time, events };
        Ok(Self { services: ParameterServices::create(node, use_sim_time)?, parameters })
    }

    /// What is in force.
    pub fn config(&self) -> &Config {
        &self.parameters.config
    }

    /// Answers what has been asked, and does what has been accepted. Returns whether there was anything.
    pub fn answer(&mut self, bridge: &Bridge) -> bool {
        let LiveParameters { config, use_sim_time, events } = &mut self.parameters;
        events.tell_declared(config, *use_sim_time);
        self.services.answer(&mut Live { parameters: &mut self.parameters, bridge })
    }
}

struct Live<'a> {
    parameters: &'a mut LiveParameters,
    bridge: &'a Bridge,
}

impl Declared for Live<'_> {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        parameters().map(|parameter| parameter.name)
    }

    fn describe(&self, name: &str) -> ParameterDescriptor {
        describe(name)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.parameters.config.parameters().get(name)
    }

    fn set(&mut self, given: &[Parameter]) -> SetParametersResult {
        match self.parameters.set(self.bridge, given) {
            Ok(()) => SetParametersResult { successful: true, reason: String::new() },
            Err(reason) => {
                let reason = convert::text(&reason);
                tracing::debug!("refused: {reason}");
                SetParametersResult { successful: false, reason }
            }
        }
    }
}

impl LiveParameters {
    /// Sets all of these parameters, or none.
    fn set(&mut self, bridge: &Bridge, given: &[Parameter]) -> Result<(), String> {
        let config = wanted(&self.config, self.use_sim_time, given).map_err(|refused| refused.to_string())?;
        if config == self.config {
            return Ok(());
        }
        bridge.reconfigure(&config).map_err(|refused| refused.to_string())?;
        for changed in config.changes(&self.config) {
            tracing::info!("parameter {}: {} → {}", changed.parameter.name, changed.before, changed.after);
        }
        self.events.tell_changed(config.changes(&self.config));
        self.config = config;
        Ok(())
    }
}
