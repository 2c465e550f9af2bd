//! The six parameter services.

use r2r::rcl_interfaces::msg::{ParameterValue, SetParametersResult};
use r2r::rcl_interfaces::srv::{
    DescribeParameters, GetParameterTypes, GetParameters, ListParameters, SetParameters,
    SetParametersAtomically,
};
use r2r::{QosProfile, ServiceRequest};

use super::USE_SIM_TIME;
use super::describe::{describe, list};
use super::message::message;
use crate::config::{Parameter, Parameters, Value};
use crate::ros::Inbox;

/// The parameters of a node, and the services that tell of them.
pub struct ParameterServer {
    parameters: Parameters,
    use_sim_time: bool,
    describe: Inbox<ServiceRequest<DescribeParameters::Service>>,
    get: Inbox<ServiceRequest<GetParameters::Service>>,
    get_types: Inbox<ServiceRequest<GetParameterTypes::Service>>,
    list: Inbox<ServiceRequest<ListParameters::Service>>,
    set: Inbox<ServiceRequest<SetParameters::Service>>,
    set_atomically: Inbox<ServiceRequest<SetParametersAtomically::Service>>,
}

impl ParameterServer {
    /// Offers the parameter services of a node.
    ///
    /// # Errors
    /// What rcl says.
    pub fn create(node: &mut r2r::Node, parameters: Parameters, use_sim_time: bool) -> r2r::Result<Self> {
        let qos = QosProfile::parameters();
        Ok(Self {
            parameters,
            use_sim_time,
            describe: Inbox::new(node.create_service("~/describe_parameters", qos.clone())?),
            get: Inbox::new(node.create_service("~/get_parameters", qos.clone())?),
            get_types: Inbox::new(node.create_service("~/get_parameter_types", qos.clone())?),
            list: Inbox::new(node.create_service("~/list_parameters", qos.clone())?),
            set: Inbox::new(node.create_service("~/set_parameters", qos.clone())?),
            set_atomically: Inbox::new(node.create_service("~/set_parameters_atomically", qos)?),
        })
    }

    /// Answers what has been asked. Returns whether there was anything.
    pub fn answer(&mut self) -> bool {
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
            let results =
                request.message.parameters.iter().map(|parameter| refusal(&parameter.name)).collect();
            tell_if_gone(request.respond(SetParameters::Response { results }));
            asked = true;
        }
        while let Some(request) = self.set_atomically.take() {
            let accepted = || SetParametersResult { successful: true, reason: String::new() };
            let result =
                request.message.parameters.first().map_or_else(accepted, |first| refusal(&first.name));
            tell_if_gone(request.respond(SetParametersAtomically::Response { result }));
            asked = true;
        }
        asked
    }

    fn message(&self, name: &str) -> ParameterValue {
        match self.parameters.get(name) {
            Some(value) => message(value),
            None if name == USE_SIM_TIME => message(&Value::Boolean(self.use_sim_time)),
            None => ParameterValue::default(),
        }
    }
}

fn refusal(name: &str) -> SetParametersResult {
    let reason = if Parameter::find(name).is_some() || name == USE_SIM_TIME {
        format!("parameter '{name}' is read-only: set it at start, by a parameter file or -p {name}:=VALUE")
    } else {
        format!("parameter '{}' is not declared", crate::wire::printable(name))
    };
    SetParametersResult { successful: false, reason }
}

fn tell_if_gone(result: r2r::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a parameter client was gone before its answer");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_is_refused_with_what_to_do() {
        assert!(refusal("port").reason.contains("-p port:=VALUE"));
        assert!(refusal("prot").reason.contains("not declared"));
        assert!(!refusal("port").successful);
    }
}
