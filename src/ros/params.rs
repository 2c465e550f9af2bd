//! Parameters as ROS sees them: read at start, described in full, and refused with a reason.

use std::fmt;

use r2r::rcl_interfaces::msg::{
    FloatingPointRange, IntegerRange, ListParametersResult, ParameterDescriptor, ParameterType,
    ParameterValue, SetParametersResult,
};
use r2r::rcl_interfaces::srv::{
    DescribeParameters, GetParameterTypes, GetParameters, ListParameters, SetParameters,
    SetParametersAtomically,
};
use r2r::{QosProfile, ServiceRequest};

use super::Inbox;
use crate::config::{Config, ConfigError, PARAMETERS, Parameter, Parameters, Range, Value};

/// What is wrong with the parameters a node was started with; one line each.
#[derive(Debug)]
pub struct ParameterFaults(Vec<ConfigError>);

impl fmt::Display for ParameterFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for ParameterFaults {}

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

/// The parameters that a node was started with.
pub struct Overrides {
    /// A value for every parameter.
    pub parameters: Parameters,
    /// What they mean.
    pub config: Config,
    /// The one parameter that every ROS node has.
    pub use_sim_time: bool,
}

impl Overrides {
    /// Reads and validates what `--ros-args` and parameter files say. Names that are not known are told of and let
    /// pass, since a file may serve several nodes.
    ///
    /// # Errors
    /// Every value that is wrong.
    pub fn read(node: &r2r::Node) -> Result<Self, ParameterFaults> {
        let mut parameters = Parameters::default();
        let mut use_sim_time = false;
        let mut faults = Vec::new();
        let given = node.params.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for (name, given) in given.iter() {
            match (name.as_str(), value(&given.value)) {
                (USE_SIM_TIME, Value::Boolean(value)) => use_sim_time = value,
                (USE_SIM_TIME, value) => faults.push(ConfigError::Type {
                    name: USE_SIM_TIME,
                    found: value.type_name(),
                    value: value.to_string(),
                    wanted: "boolean",
                    wanted_range: String::new(),
                }),
                (name, _)
                    if name == "start_type_description_service" || name.starts_with("qos_overrides.") => {}
                (name, value) => match parameters.set(name, value) {
                    Err(error @ ConfigError::Unknown { .. }) => tracing::warn!("{error}; ignored"),
                    Err(error) => faults.push(error),
                    Ok(()) => {}
                },
            }
        }
        if !faults.is_empty() {
            return Err(ParameterFaults(faults));
        }
        let config = Config::new(&parameters).map_err(|error| ParameterFaults(vec![error]))?;
        Ok(Self { parameters, config, use_sim_time })
    }
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

fn describe(name: &str) -> ParameterDescriptor {
    let Some(parameter) = Parameter::find(name) else {
        let known = name == USE_SIM_TIME;
        return ParameterDescriptor {
            name: super::convert::text(name),
            type_: if known { ParameterType::PARAMETER_BOOL as u8 } else { 0 },
            description: if known { "Whether ROS time comes from /clock.".into() } else { String::new() },
            read_only: known,
            ..Default::default()
        };
    };
    let (mut floating_point_range, mut integer_range) = (Vec::new(), Vec::new());
    match parameter.range {
        Range::Real(from_value, to_value) => {
            floating_point_range.push(FloatingPointRange { from_value, to_value, step: 0.0 });
        }
        Range::Integer(from_value, to_value) => {
            integer_range.push(IntegerRange { from_value, to_value, step: 1 });
        }
        Range::Any | Range::NotEmpty | Range::OneOf(_) => {}
    }
    let unit = if parameter.unit.is_empty() { String::new() } else { format!(" [{}]", parameter.unit) };
    ParameterDescriptor {
        name: parameter.name.into(),
        type_: message(&parameter.default()).type_,
        description: format!("{}{unit}", parameter.description),
        additional_constraints: format!(
            "{}default {}",
            Some(parameter.range.describe(parameter.unit))
                .filter(|r| !r.is_empty())
                .map(|r| r + "; ")
                .unwrap_or_default(),
            parameter.default()
        ),
        read_only: true,
        floating_point_range,
        integer_range,
        ..Default::default()
    }
}

/// As `rcl_interfaces/srv/ListParameters` has it: names below any of the prefixes, at most `depth` dots below.
fn list(prefixes: &[String], depth: u64) -> ListParametersResult {
    let all = PARAMETERS.iter().map(|parameter| parameter.name).chain([USE_SIM_TIME]);
    let within = |rest: &str| depth == 0 || (rest.matches('.').count() as u64) < depth;
    let wanted = |name: &&str| {
        if prefixes.is_empty() {
            return within(name);
        }
        prefixes.iter().any(|prefix| match name.strip_prefix(prefix.as_str()) {
            Some("") => true,
            Some(rest) => rest.strip_prefix('.').is_some_and(within),
            None => false,
        })
    };
    let names: Vec<String> = all.filter(wanted).map(Into::into).collect();
    let mut groups: Vec<String> =
        names.iter().filter_map(|name| name.rsplit_once('.')).map(|(group, _)| group.to_owned()).collect();
    groups.dedup();
    ListParametersResult { names, prefixes: groups }
}

/// A parameter's value as r2r gives it, free of r2r.
pub fn value(given: &r2r::ParameterValue) -> Value {
    use r2r::ParameterValue as Given;
    match given {
        Given::Bool(value) => Value::Boolean(*value),
        Given::Integer(value) => Value::Integer(*value),
        Given::Double(value) => Value::Real(*value),
        Given::String(value) => Value::Text(value.clone()),
        Given::IntegerArray(values) => Value::Integers(values.clone()),
        Given::DoubleArray(values) => Value::Reals(values.clone()),
        Given::NotSet => Value::Other("value that is not set"),
        Given::BoolArray(_) => Value::Other("list of booleans"),
        Given::ByteArray(_) => Value::Other("list of bytes"),
        Given::StringArray(_) => Value::Other("list of strings"),
    }
}

fn message(value: &Value) -> ParameterValue {
    let mut message = ParameterValue::default();
    message.type_ = match value {
        Value::Boolean(value) => {
            message.bool_value = *value;
            ParameterType::PARAMETER_BOOL as u8
        }
        Value::Integer(value) => {
            message.integer_value = *value;
            ParameterType::PARAMETER_INTEGER as u8
        }
        Value::Real(value) => {
            message.double_value = *value;
            ParameterType::PARAMETER_DOUBLE as u8
        }
        Value::Text(value) => {
            message.string_value.clone_from(value);
            ParameterType::PARAMETER_STRING as u8
        }
        Value::Integers(values) => {
            message.integer_array_value.clone_from(values);
            ParameterType::PARAMETER_INTEGER_ARRAY as u8
        }
        Value::Reals(values) => {
            message.double_array_value.clone_from(values);
            ParameterType::PARAMETER_DOUBLE_ARRAY as u8
        }
        Value::Other(_) => ParameterType::PARAMETER_NOT_SET as u8,
    };
    message
}

fn tell_if_gone(result: r2r::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(%error, "a parameter client was gone before its answer");
    }
}

const USE_SIM_TIME: &str = "use_sim_time";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_is_described_with_type_default_range_and_unit() {
        let port = describe("port");
        assert_eq!(port.type_, ParameterType::PARAMETER_INTEGER as u8);
        assert_eq!((port.integer_range[0].from_value, port.integer_range[0].to_value), (1, 65535));
        assert_eq!(port.additional_constraints, "from 1 to 65535; default 5000");
        let speed = describe("limits.speed");
        assert_eq!(
            (speed.floating_point_range[0].from_value, speed.floating_point_range[0].to_value),
            (0.001, 10.0)
        );
        assert!(speed.description.ends_with("[m/s]"), "{}", speed.description);
        assert!(PARAMETERS.iter().all(|parameter| !describe(parameter.name).description.is_empty()));
        assert_eq!(describe("no.such").type_, 0);
    }

    #[test]
    fn parameters_are_listed_by_prefix_and_depth() {
        let names = |prefixes: &[&str], depth| {
            let prefixes: Vec<_> = prefixes.iter().map(ToString::to_string).collect();
            list(&prefixes, depth).names
        };
        assert_eq!(names(&["backoff"], 0), ["backoff.initial", "backoff.max"]);
        assert_eq!(names(&["port"], 0), ["port"]);
        assert!(names(&[], 0).contains(&"gripper.debounce".into()));
        let top = names(&[], 1);
        assert!(top.contains(&"port".into()) && !top.contains(&"gripper.debounce".into()));
        assert!(names(&["back"], 0).is_empty());
    }

    #[test]
    fn setting_is_refused_with_what_to_do() {
        assert!(refusal("port").reason.contains("-p port:=VALUE"));
        assert!(refusal("prot").reason.contains("not declared"));
        assert!(!refusal("port").successful);
    }
}
