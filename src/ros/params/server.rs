//! The parameters of the bridge, while it runs.

use r2r::rcl_interfaces::msg::Parameter;

use super::events::ParameterEvents;
use super::requested::requested;
use super::services::{ParameterServices, Settable};
use crate::app::Bridge;
use crate::config::table::BridgeTable;
use crate::config::{Config, Parameters};
use crate::ros::clock::RosClock;

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
        events.tell_declared(config.parameters(), *use_sim_time);
        self.services.answer(&mut Live { parameters: &mut self.parameters, bridge })
    }
}

struct Live<'a> {
    parameters: &'a mut LiveParameters,
    bridge: &'a Bridge,
}

impl Settable for Live<'_> {
    type Table = BridgeTable;

    fn parameters(&self) -> &Parameters {
        self.parameters.config.parameters()
    }

    fn set(&mut self, given: &[Parameter]) -> Result<(), String> {
        let LiveParameters { config: before, use_sim_time, events } = &mut *self.parameters;
        let parameters =
            requested(before.parameters(), *use_sim_time, given).map_err(|error| error.to_string())?;
        let config = Config::new(&parameters).map_err(|error| error.to_string())?;
        if config == *before {
            return Ok(());
        }
        self.bridge.reconfigure(&config).map_err(|error| error.to_string())?;
        for changed in config.changes(before) {
            tracing::info!("parameter {}: {} → {}", changed.parameter.name, changed.before, changed.after);
        }
        events.tell_changed(config.changes(before));
        *before = config;
        Ok(())
    }
}
