//! Topic names as rcl resolves them. r2r does not tell the name that a subscription came to have, and the graph is
//! asked by full names.

use crate::text::sanitize_short;

/// The full name of a topic of a node: relative and private names expanded, remap rules of the command line applied.
///
/// `arguments` are the process's. As in rcl the first rule that matches wins.
pub fn resolve(topic: &str, node: &str, namespace: &str, arguments: impl Iterator<Item = String>) -> String {
    let full = expand(topic, node, namespace);
    let mut rules = remap_rules(arguments).into_iter();
    rules
        .find_map(|rule| {
            let (from, to) = rule.split_once(":=")?;
            let from = for_node(from, node)?;
            (expand(unschemed(from), node, namespace) == full).then(|| expand(unschemed(to), node, namespace))
        })
        .unwrap_or(full)
}

/// Warns of rules that rename a topic of the input which this node does not have, because `source.*` says otherwise.
///
/// `topics` are those that it has, by the names that it subscribes with.
///
/// # Errors
/// What rcl says.
pub fn warn_of_idle_rules(node: &r2r::Node, topics: &[String], arguments: &[String]) -> r2r::Result<()> {
    let (name, namespace) = (node.name()?, node.namespace()?);
    let expanded = |topic: &str| expand(topic, &name, &namespace);
    let used: Vec<_> = topics.iter().map(|topic| expanded(topic)).collect();
    for rule in remap_rules(arguments.iter().cloned()) {
        let Some((from, to)) = rule.split_once(":=") else { continue };
        let Some(from) = for_node(from, &name) else { continue };
        let from = expanded(unschemed(from));
        let idle = |(topic, _): &&(&str, &str)| from == expanded(topic) && !used.contains(&from);
        if let Some((topic, parameter)) = INPUT.iter().find(idle) {
            tracing::warn!(
                "the remapping of '{topic}' to '{}' has no effect, because {parameter} says that the input comes elsewhere: '{}'",
                sanitize_short(to),
                topics.first().map_or("", String::as_str)
            );
        }
    }
    Ok(())
}

/// The topics of the input, and the parameter that can name another source.
const INPUT: [(&str, &str); 2] = [("target_pose", "source.topic"), ("gripper", "source.gripper")];

fn expand(name: &str, node: &str, namespace: &str) -> String {
    let namespace = namespace.trim_end_matches('/');
    if name.starts_with('/') {
        name.to_owned()
    } else if let Some(private) = name.strip_prefix('~') {
        format!("{namespace}/{node}{private}")
    } else {
        format!("{namespace}/{name}")
    }
}

/// The name that a rule renames, if the rule is for every node or for this one.
fn for_node<'a>(from: &'a str, node: &str) -> Option<&'a str> {
    match from.split_once(':').filter(|(scheme, _)| *scheme != "rostopic") {
        Some((name, _)) if name != node => None,
        Some((_, from)) => Some(from),
        None => Some(from),
    }
}

fn unschemed(name: &str) -> &str {
    name.strip_prefix("rostopic://").unwrap_or(name)
}

/// The values of `-r` and `--remap` that follow `--ros-args`, up to `--`.
fn remap_rules(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut rules = Vec::new();
    let mut for_ros = false;
    let mut arguments = arguments;
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--ros-args" => for_ros = true,
            "--" => for_ros = false,
            "-r" | "--remap" if for_ros => rules.extend(arguments.next()),
            _ => {}
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::resolve;

    fn resolved(topic: &str, arguments: &str) -> String {
        let arguments = arguments.split(' ').map(ToOwned::to_owned);
        resolve(topic, "left_arm", "/lab", arguments)
    }

    #[test]
    fn names_are_expanded_as_ros_does() {
        assert_eq!(resolved("target_pose", "bridge"), "/lab/target_pose");
        assert_eq!(resolved("/target_pose", "bridge"), "/target_pose");
        assert_eq!(resolved("~/command", "bridge"), "/lab/left_arm/command");
        assert_eq!(super::resolve("gripper", "n", "/", std::iter::empty()), "/gripper");
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let rules = "bridge --ros-args -r gripper:=/pinch -r target_pose:=ik/pose --remap target_pose:=/late";
        assert_eq!(resolved("target_pose", rules), "/lab/ik/pose");
        assert_eq!(resolved("gripper", rules), "/pinch");
        assert_eq!(
            resolved("target_pose", "bridge --ros-args -r /lab/target_pose:=~/pose"),
            "/lab/left_arm/pose"
        );
        assert_eq!(
            resolved("target_pose", "bridge --ros-args -r rostopic://target_pose:=rostopic:///x"),
            "/x"
        );
    }

    #[test]
    fn rules_for_other_nodes_and_outside_of_ros_arguments_are_none() {
        assert_eq!(resolved("gripper", "bridge --ros-args -r left_arm:gripper:=/a"), "/a");
        assert_eq!(resolved("gripper", "bridge --ros-args -r right_arm:gripper:=/a"), "/lab/gripper");
        assert_eq!(resolved("gripper", "bridge -r gripper:=/a"), "/lab/gripper");
        assert_eq!(resolved("gripper", "bridge --ros-args -- -r gripper:=/a"), "/lab/gripper");
        assert_eq!(resolved("gripper", "bridge --ros-args -r __ns:=/lab -p a:=gripper"), "/lab/gripper");
    }
}
