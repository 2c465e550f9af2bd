//! Descriptions of the parameters for ROS tools: names, types, ranges and meanings.

use std::collections::BTreeSet;

use r2r::rcl_interfaces::msg::{
    FloatingPointRange, IntegerRange, ListParametersResult, ParameterDescriptor, ParameterType,
};

use super::USE_SIM_TIME;
use super::message::message;
use crate::params::{Mutability, Range, Table};

/// Returns the description of a parameter. If the parameter is not declared, returns only its name.
pub(super) fn describe<T: Table>(name: &str) -> ParameterDescriptor {
    let Some(parameter) = T::find(name) else {
        return ParameterDescriptor { name: crate::ros::convert::text(name), ..Default::default() };
    };
    let (mut floating_point_range, mut integer_range) = (Vec::new(), Vec::new());
    match parameter.range {
        Range::Real(from_value, to_value) | Range::Boxes(from_value, to_value) => {
            floating_point_range.push(FloatingPointRange { from_value, to_value, step: 0.0 });
        }
        Range::Integer(from_value, to_value) => {
            integer_range.push(IntegerRange { from_value, to_value, step: 1 });
        }
        Range::Any | Range::NotEmpty | Range::OneOf(_) | Range::Subset(_) | Range::FieldPaths { .. } => {}
    }
    let range = Some(parameter.describe_range()).filter(|range| !range.is_empty());
    let range = range.map(|range| range + "; ").unwrap_or_default();
    let unit = if parameter.unit.is_empty() { String::new() } else { format!(" [{}]", parameter.unit) };
    ParameterDescriptor {
        name: parameter.name.into(),
        type_: message(&parameter.default()).type_,
        description: format!("{}{unit}", parameter.description),
        additional_constraints: format!(
            "{range}default {}; may change {}",
            parameter.default(),
            parameter.mutability.describe()
        ),
        read_only: parameter.mutability == Mutability::AtStart,
        floating_point_range,
        integer_range,
        ..Default::default()
    }
}

/// Returns the description of `use_sim_time`, which every node has.
pub(super) fn describe_sim_time() -> ParameterDescriptor {
    ParameterDescriptor {
        name: USE_SIM_TIME.into(),
        type_: ParameterType::PARAMETER_BOOL as u8,
        description: "Whether ROS time comes from /clock.".into(),
        read_only: true,
        ..Default::default()
    }
}

/// Returns the names for `rcl_interfaces/srv/ListParameters` in alphabetical order: the names below
/// any of the prefixes, at most `depth` levels below. A depth of 0 means no limit.
pub(super) fn list<'a>(
    all: impl Iterator<Item = &'a str>,
    prefixes: &[String],
    depth: u64,
) -> ListParametersResult {
    let within = |rest: &str| depth == 0 || (rest.matches('.').count() as u64) < depth;
    let wanted = |name: &&'a str| {
        if prefixes.is_empty() {
            return within(name);
        }
        prefixes.iter().any(|prefix| match name.strip_prefix(prefix.as_str()) {
            Some("") => true,
            Some(rest) => rest.strip_prefix('.').is_some_and(within),
            None => false,
        })
    };
    let names: BTreeSet<_> = all.filter(wanted).collect();
    let groups: BTreeSet<_> =
        names.iter().filter_map(|name| name.rsplit_once('.')).map(|(group, _)| group).collect();
    let list = |names: BTreeSet<&str>| names.into_iter().map(Into::into).collect();
    ListParametersResult { prefixes: list(groups), names: list(names) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parameters;
    use crate::config::table::BridgeTable;

    fn describe(name: &str) -> ParameterDescriptor {
        super::describe::<BridgeTable>(name)
    }

    #[test]
    fn description_has_type_default_range_and_unit() {
        let port = describe("link.port");
        assert_eq!(port.type_, ParameterType::PARAMETER_INTEGER as u8);
        assert_eq!((port.integer_range[0].from_value, port.integer_range[0].to_value), (1, 65535));
        assert_eq!(
            port.additional_constraints,
            "from 1 to 65535; default 5000; may change only while disarmed"
        );
        let speed = describe("limits.speed");
        assert_eq!(
            (speed.floating_point_range[0].from_value, speed.floating_point_range[0].to_value),
            (0.001, 10.0)
        );
        assert!(speed.description.ends_with("[m/s]"), "{}", speed.description);
        assert!(parameters().all(|parameter| !describe(parameter.name).description.is_empty()));
        assert_eq!(describe("no.such").type_, 0);
    }

    #[test]
    fn description_shows_when_a_parameter_may_change() {
        let constraints = |name: &str| describe(name).additional_constraints;
        assert!(constraints("limits.speed").ends_with("; may change at any time"));
        assert!(constraints("link.host").ends_with("; may change only while disarmed"));
        assert!(constraints("gripper.type").ends_with("; may change only at start"));
        for parameter in parameters() {
            let read_only = parameter.mutability == Mutability::AtStart;
            assert_eq!(describe(parameter.name).read_only, read_only, "{}", parameter.name);
        }
    }

    #[test]
    fn list_respects_prefixes_and_depth() {
        let names = |prefixes: &[&str], depth| {
            let prefixes: Vec<_> = prefixes.iter().map(ToString::to_string).collect();
            list(parameters().map(|parameter| parameter.name), &prefixes, depth).names
        };
        assert_eq!(names(&["link.backoff"], 0), ["link.backoff.initial", "link.backoff.max"]);
        assert_eq!(names(&["link.port"], 0), ["link.port"]);
        assert!(names(&[], 0).is_sorted());
        assert!(names(&[], 0).contains(&"gripper.open_debounce".into()));
        let two = names(&[], 2);
        assert!(two.contains(&"link.port".into()) && !two.contains(&"link.backoff.max".into()));
        assert!(names(&["link.back"], 0).is_empty());
    }
}
