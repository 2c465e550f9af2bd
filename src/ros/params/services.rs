//! The six parameter services that every ROS node has.

use r2r::rcl_interfaces::msg::{Parameter, ParameterValue, SetParametersResult};
use r2r::rcl_interfaces::srv::{
    DescribeParameters, GetParameterTypes, GetParameters, ListParameters, SetParameters,
    SetParametersAtomically,
};
use r2r::{QosProfile, ServiceRequest};

use super::USE_SIM_TIME;
use super::describe::{describe, describe_sim_time, list};
use super::message::message;
use crate::params::{Parameters, Table, Value};
use crate::ros::convert;
use crate::ros::r2r_ext::Inbox;

/// The parameters of a node, without `use_sim_time`.
pub trait Settable {
    /// The table of the parameters.
    type Table: Table;

    /// Returns the present values.
    fn parameters(&self) -> &Parameters<Self::Table>;

    /// Sets all given parameters, or none of them.
    ///
    /// # Errors
    /// The parameters cannot be set.
    fn set(&mut self, given: &[Parameter]) -> Result<(), String>;
}

/// The services. They continue if a response cannot be delivered, because the client has left or
/// the middleware has not discovered it completely. r2r's own services panic in this case.
pub struct ParameterServices {
    use_sim_time: bool,
    describe: Inbox<ServiceRequest<DescribeParameters::Service>>,
    get: Inbox<ServiceRequest<GetParameters::Service>>,
    get_types: Inbox<ServiceRequest<GetParameterTypes::Service>>,
    list: Inbox<ServiceRequest<ListParameters::Service>>,
    set: Inbox<ServiceRequest<SetParameters::Service>>,
    set_atomically: Inbox<ServiceRequest<SetParametersAtomically::Service>>,
}

impl ParameterServices {
    /// Creates the services. `use_sim_time`: whether the node's time is from `/clock`.
    ///
    /// # Errors
    /// rcl fails.
    pub fn create(node: &mut r2r::Node, use_sim_time: bool) -> r2r::Result<Self> {
        let qos = QosProfile::parameters();
        Ok(Self {
            use_sim_time,
            describe: Inbox::new(node.create_service("~/describe_parameters", qos.clone())?),
            get: Inbox::new(node.create_service("~/get_parameters", qos.clone())?),
            get_types: Inbox::new(node.create_service("~/get_parameter_types", qos.clone())?),
            list: Inbox::new(node.create_service("~/list_parameters", qos.clone())?),
            set: Inbox::new(node.create_service("~/set_parameters", qos.clone())?),
            set_atomically: Inbox::new(node.create_service("~/set_parameters_atomically", qos)?),
        })
    }

    /// Responds to all requests since the last call. Returns whether there was a request.
    pub fn answer<S: Settable>(&mut self, node: &mut S) -> bool {
        let mut requested = self.describe.answer(|request| {
            let describe = |name: &String| match name.as_str() {
                USE_SIM_TIME => describe_sim_time(),
                name => describe::<S::Table>(name),
            };
            DescribeParameters::Response { descriptors: request.names.iter().map(describe).collect() }
        });
        let value = |name: &String| value(node.parameters(), self.use_sim_time, name);
        requested |= self.get.answer(|request| {
            let values = request.names.iter().map(value).collect();
            GetParameters::Response { values }
        });
        requested |= self.get_types.answer(|request| {
            let types = request.names.iter().map(|name| value(name).type_).collect();
            GetParameterTypes::Response { types }
        });
        requested |= self.list.answer(|request| {
            let names = S::Table::parameters().map(|parameter| parameter.name).chain([USE_SIM_TIME]);
            ListParameters::Response { result: list(names, &request.prefixes, request.depth) }
        });
        requested |= self.set.answer(|request| {
            // Each parameter separately and in order. If one is rejected, the next can still be
            // set.
            let each = request.parameters.iter();
            let results = each.map(|parameter| set(node, std::slice::from_ref(parameter))).collect();
            SetParameters::Response { results }
        });
        requested |= self.set_atomically.answer(|request| {
            let result = set(node, &request.parameters);
            SetParametersAtomically::Response { result }
        });
        requested
    }
}

fn value<T: Table>(parameters: &Parameters<T>, use_sim_time: bool, name: &str) -> ParameterValue {
    match parameters.value(name) {
        Some(value) => message(value),
        None if name == USE_SIM_TIME => message(&Value::Boolean(use_sim_time)),
        None => ParameterValue::default(),
    }
}

fn set(node: &mut impl Settable, given: &[Parameter]) -> SetParametersResult {
    let refused = node.set(given).err().map(|reason| convert::text(&reason));
    if let Some(reason) = &refused {
        tracing::debug!("parameters not set: {reason}");
    }
    SetParametersResult { successful: refused.is_none(), reason: refused.unwrap_or_default() }
}
