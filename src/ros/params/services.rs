//! The six parameter services that every ROS node has.

use r2r::rcl_interfaces::msg::{
    ListParametersResult, Parameter, ParameterDescriptor, ParameterValue, SetParametersResult,
};
use r2r::rcl_interfaces::srv::{
    DescribeParameters, GetParameterTypes, GetParameters, ListParameters, SetParameters,
    SetParametersAtomically,
};
use r2r::{QosProfile, ServiceRequest};

use crate::ros::{Inbox, note_answered};

/// What the services are asked.
pub trait Answers {
    /// A parameter in full; of a name that is not declared, nothing but the name.
    fn describe(&self, name: &str) -> ParameterDescriptor;

    /// Its value; of a name that is not declared, none.
    fn value(&self, name: &str) -> ParameterValue;

    /// The names below any of the prefixes, at most `depth` dots below.
    fn list(&self, prefixes: &[String], depth: u64) -> ListParametersResult;

    /// Sets all of these, or none.
    fn set(&mut self, given: &[Parameter]) -> SetParametersResult;
}

/// The services. A client that goes before its answer, or that the middleware has not found in full, costs nobody else
/// theirs: r2r's own services panic then.
pub struct ParameterServices {
    describe: Inbox<ServiceRequest<DescribeParameters::Service>>,
    get: Inbox<ServiceRequest<GetParameters::Service>>,
    get_types: Inbox<ServiceRequest<GetParameterTypes::Service>>,
    list: Inbox<ServiceRequest<ListParameters::Service>>,
    set: Inbox<ServiceRequest<SetParameters::Service>>,
    set_atomically: Inbox<ServiceRequest<SetParametersAtomically::Service>>,
}

impl ParameterServices {
    /// Offers them.
    ///
    /// # Errors
    /// What rcl says.
    pub fn create(node: &mut r2r::Node) -> r2r::Result<Self> {
        let qos = QosProfile::parameters();
        Ok(Self {
            describe: Inbox::new(node.create_service("~/describe_parameters", qos.clone())?),
            get: Inbox::new(node.create_service("~/get_parameters", qos.clone())?),
            get_types: Inbox::new(node.create_service("~/get_parameter_types", qos.clone())?),
            list: Inbox::new(node.create_service("~/list_parameters", qos.clone())?),
            set: Inbox::new(node.create_service("~/set_parameters", qos.clone())?),
            set_atomically: Inbox::new(node.create_service("~/set_parameters_atomically", qos)?),
        })
    }

    /// Answers what has been asked since the last time. Returns whether there was anything.
    pub fn answer(&mut self, answers: &mut impl Answers) -> bool {
        let mut asked = false;
        while let Some(request) = self.describe.take() {
            let descriptors = request.message.names.iter().map(|name| answers.describe(name)).collect();
            note_answered(request.respond(DescribeParameters::Response { descriptors }));
            asked = true;
        }
        while let Some(request) = self.get.take() {
            let values = request.message.names.iter().map(|name| answers.value(name)).collect();
            note_answered(request.respond(GetParameters::Response { values }));
            asked = true;
        }
        while let Some(request) = self.get_types.take() {
            let types = request.message.names.iter().map(|name| answers.value(name).type_).collect();
            note_answered(request.respond(GetParameterTypes::Response { types }));
            asked = true;
        }
        while let Some(request) = self.list.take() {
            let result = answers.list(&request.message.prefixes, request.message.depth);
            note_answered(request.respond(ListParameters::Response { result }));
            asked = true;
        }
        while let Some(request) = self.set.take() {
            // Each by itself, in order: one that is refused is no reason against the next.
            let each = request.message.parameters.iter();
            let results = each.map(|parameter| answers.set(std::slice::from_ref(parameter))).collect();
            note_answered(request.respond(SetParameters::Response { results }));
            asked = true;
        }
        while let Some(request) = self.set_atomically.take() {
            let result = answers.set(&request.message.parameters);
            note_answered(request.respond(SetParametersAtomically::Response { result }));
            asked = true;
        }
        asked
    }
}
