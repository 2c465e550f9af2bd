//! The six parameter services, and what they do.

use r2r::rcl_interfaces::msg::{Parameter, ParameterValue, SetParametersResult};
use r2r::rcl_interfaces::srv::{
    DescribeParameters, GetParameterTypes, GetParameters, ListParameters, SetParameters,
    SetParametersAtomically,
};
use r2r::{QosProfile, ServiceRequest};

use super::USE_SIM_TIME;
use super::describe::{describe, list};
use super::events::ParameterEvents;
use super::message::message;
use super::wanted::wanted;
use crate::app::Bridge;
use crate::config::{Config, Value};
use crate::ros::clock::RosClock;
use crate::ros::{Inbox, convert};

/// The parameters of a node, and the services by which they are read and set.
pub struct ParameterServer {
    /// What is in force.
    config: Config,
    use_sim_time: bool,
    events: ParameterEvents,
    describe: Inbox<ServiceRequest<DescribeParameters::Service>>,
    get: Inbox<ServiceRequest<GetParameters::Service>>,
    get_types: Inbox<ServiceRequest<GetParameterTypes::Service>>,
    list: Inbox<ServiceRequest<ListParameters::Service>>,
    set: Inbox<ServiceRequest<SetParameters::Service>>,
    set_atomically: Inbox<ServiceRequest<SetParametersAtomically::Service>>,
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
        let qos = QosProfile::parameters();
        Ok(Self {
            config,
            use_sim_time,
            events: ParameterEvents::create(node, clock)?,
            describe: Inbox::new(node.create_service("~/describe_parameters", qos.clone())?),
            get: Inbox::new(node.create_service("~/get_parameters", qos.clone())?),
            get_types: Inbox::new(node.create_service("~/get_parameter_types", qos.clone())?),
            list: Inbox::new(node.create_service("~/list_parameters", qos.clone())?),
            set: Inbox::new(node.create_service("~/set_parameters", qos.clone())?),
            set_atomically: Inbox::new(node.create_service("~/set_parameters_atomically", qos)?),
        })
    }

    /// What is in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Answers what has been asked, and does what has been accepted. Returns whether there was anything.
    pub fn answer(&mut self, bridge: &Bridge) -> bool {
        self.events.tell_declared(&self.config, self.use_sim_time);
        let mut asked = false;
        while let Some(request) = self.describe.take() {
            let descriptors = request.message.names.iter().map(|name| describe(name)).collect();
            tell_if_gone(request.respond(DescribeParameters::Response { descriptors }));
            asked = true;
        }
        while let Some(request) = self.get.take() {
            let values = request.message.names.iter().map(|name| self.message(name)).collect();
            tell_if_gone(request.respond(GetParameters::Response { values }));
            asked = true;
        }
        while let Some(request) = self.get_types.take() {
            let types = request.message.names.iter().map(|name| self.message(name).type_).collect();
            tell_if_gone(request.respond(GetParameterTypes::Response { types }));
            asked = true;
        }
        while let Some(request) = self.list.take() {
            let result = list(&request.message.prefixes, request.message.depth);
            tell_if_gone(request.respond(ListParameters::Response { result }));
            asked = true;
        }
        while let Some(request) = self.set.take() {
            // Each by itself, in order: one that is refused is no reason against the next.
            let each = request.message.parameters.iter();
            let results = each.map(|parameter| self.set(bridge, std::slice::from_ref(parameter))).collect();
            tell_if_gone(request.respond(SetParameters::Response { results }));
            asked = true;
        }
        while let Some(request) = self.set_atomically.take() {
            let result = self.set(bridge, &request.message.parameters);
            tell_if_gone(request.respond(SetParametersAtomically::Response { result }));
            asked = true;
        }
        asked
    }

    /// Sets all of these parameters, or none.
    fn set(&mut self, bridge: &Bridge, given: &[Parameter]) -> SetParametersResult {
        match self.try_set(bridge, given) {
            Ok(()) => SetParametersResult { successful: true, reason: String::new() },
            Err(reason) => {
                let reason = convert::text(&reason);
                tracing::debug!("refused: {reason}");
                SetParametersResult { successful: false, reason }
            }
        }
    }

    fn try_set(&mut self, bridge: &Bridge, given: &[Parameter]) -> Result<(), String> {
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

    fn message(&self, name: &str) -> ParameterValue {
        match self.config.parameters().get(name) {
            Some(value) => message(value),
            None if name == USE_SIM_TIME => message(&Value::Boolean(self.use_sim_time)),
            None => ParameterValue::default(),
        }
    }
}

fn tell_if_gone(result: r2r::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a parameter client was gone before its answer");
    }
}
