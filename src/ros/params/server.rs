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
        Ok(Self { services: ParameterServices::create(node, use_sim_time)?, config, use_sim_time, events })
    }

    /// Returns what is in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Answers what has been asked, and does what has been accepted. Returns whether there was anything.
    pub fn answer(&mut self, bridge: &Bridge) -> bool {
        let Self { services, config, use_sim_time, events } = self;
        events.tell_declared(config.parameters(), *use_sim_time);
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
        let parameters =
            requested(self.parameters(), self.use_sim_time, given).map_err(|error| error.to_string())?;
        let config = Config::new(&parameters).map_err(|error| error.to_string())?;
        if config == *self.config {
            return Ok(());
        }
        self.bridge.reconfigure(&config).map_err(|error| error.to_string())?;
        for changed in config.changes(self.config) {
            tracing::info!("parameter {}: {} → {}", changed.parameter.name, changed.before, changed.after);
        }
        self.events.tell_changed(config.changes(self.config));
        *self.config = config;
        Ok(())
    }
}
