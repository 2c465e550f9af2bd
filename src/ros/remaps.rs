//! Warns of remap rules that have no effect.

use super::r2r_ext::NodeNames;
use crate::text::sanitize_short;

/// Warns of rules that rename a topic of the input which this node does not have, because `input.*` says otherwise.
///
/// `targets` and `gripper` are the topics that the node has, by the names that it subscribes with.
pub fn warn_of_idle_rules(names: &NodeNames, targets: &str, gripper: Option<&str>) {
    let used: Vec<_> = gripper.into_iter().chain([targets]).map(|topic| names.expand(topic)).collect();
    for rule in &names.rules {
        let idle =
            |(topic, _): &&(&str, &str)| rule.from == names.expand(topic) && !used.contains(&rule.from);
        if let Some((topic, parameter)) = INPUT.iter().find(idle) {
            tracing::warn!(
                "the remapping of '{topic}' to '{}' has no effect, because {parameter} says that the input comes elsewhere: '{}'",
                sanitize_short(&rule.to),
                targets,
            );
        }
    }
}

/// The topics of the input, and the parameter that can name another source.
const INPUT: [(&str, &str); 2] = [("target_pose", "input.topic"), ("gripper", "input.gripper")];
