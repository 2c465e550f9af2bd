//! The six parameter services that every ROS node has.

use r2r::rcl_interfaces::msg::{Parameter, ParameterDescriptor, ParameterValue, SetParametersResult};
use r2r::rcl_interfaces::srv::{
    DescribeParameters, GetParameterTypes, GetParameters, ListParameters, SetParameters,
    SetParametersAtomically,
};
use r2r::{QosProfile, ServiceRequest};

use super::USE_SIM_TIME;
use super::describe::{describe_sim_time, list};
use super::message::message;
use crate::config::Value;
use crate::ros::r2r_ext::{Inbox, note_answered};

/// The parameters that a node has beside the one that every node has.
pub trait Declared {
    /// All names.
    fn names(&self) -> impl Iterator<Item = &'static str>;

    /// A parameter in full; of a name that is not declared, nothing but the name.
    fn describe(&self, name: &str) -> ParameterDescriptor;

    /// Its value, of a name that is declared.
    fn value(&self, name: &str) -> Option<&Value>;

    /// Sets all of these, or none.
    fn set(&mut self, given: &[Parameter]) -> SetParametersResult;
}

/// The services. A client that goes before its answer, or that the middleware has not found in full, costs nobody else
/// theirs: r2r's own services panic then.
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
    /// Offers them, for a node whose time comes from `/clock` or not.
    ///
    /// # Errors
    /// What rcl says.
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

    /// Answers what has been asked since the last time. Returns whether there was anything.
    pub fn answer(&mut self, declared: &mut impl Declared) -> bool {
        let mut asked = false;
        while let Some(request) = self.describe.take() {
            let describe = |name: &String| match name.as_str() {
                USE_SIM_TIME => describe_sim_time(),
                name => declared.describe(name),
            };
            let descriptors = request.message.names.iter().map(describe).collect();
            note_answered(request.respond(DescribeParameters::Response { descriptors }));
            asked = true;
        }
        while let Some(request) = self.get.take() {
            let values = request.message.names.iter().map(|name| self.value(declared, name)).collect();
            note_answered(request.respond(GetParameters::Response { values }));
            asked = true;
        }
        while let Some(request) = self.get_types.take() {
            let types = request.message.names.iter().map(|name| self.value(declared, name).type_).collect();
            note_answered(request.respond(GetParameterTypes::Response { types }));
            asked = true;
        }
        while let Some(request) = self.list.take() {
            let names = declared.names().chain([USE_SIM_TIME]);
            let result = list(names, &request.message.prefixes, request.message.depth);
            note_answered(request.respond(ListParameters::Response { result }));
            asked = true;
        }
        while let Some(request) = self.set.take() {
            // Each by itself, in order: one that is refused is no reason against the next.
            let each = request.message.parameters.iter();
            let results = each.map(|parameter| declared.set(std::slice::from_ref(parameter))).collect();
            note_answered(request.respond(SetParameters::Response { results }));
            asked = true;
        }
        while let Some(request) = self.set_atomically.take() {
            let result = declared.set(&request.message.parameters);
            note_answered(request.respond(SetParametersAtomically::Response { result }));
            asked = true;
        }
        asked
    }

    fn value(&self, declared: &impl Declared, name: &str) -> ParameterValue {
        match declared.value(name) {
            Some(value) => message(value),
            None if name == USE_SIM_TIME => message(&Value::Boolean(self.use_sim_time)),
            None => ParameterValue::default(),
        }
    }
}
