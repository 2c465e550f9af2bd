//! Checks that `config/bridge.yaml` and `docs/parameters.md` match the table of parameters, and
//! that `docs/safety.md` states when each parameter may change.
//!
//! After a change of the table, generate both files again:
//! `BLESS=1 cargo test -p aether_bridge --no-default-features --test config_yaml`

use std::fmt::Write;
use std::path::Path;

use aether_bridge::config::{Value, parameters, table::BridgeTable};
use aether_bridge::params::{Mutability, Parameter, Table};

const YAML_HEAD: &str = "\
# All parameters of the bridge: description, range and default. docs/parameters.md has them as
# tables. `ros2 param describe /aether_bridge NAME` shows the same text.
# Copy this file, delete the parameters that you do not change, and start the bridge with:
#   ros2 launch aether_bridge bridge.launch.py aether_params_file:=/path/to/yours.yaml
# Without a line \"Change:\" a parameter may change at any time:
#   ros2 param set /aether_bridge NAME VALUE
# Write numbers in a list with a decimal point: [1.0, 0.5], not [1, 0.5].
/**:
  ros__parameters:
";

const PAGE_HEAD: &str = r#"<!-- Generated from src/config/table/ by tests/config_yaml.rs, which states the command. Do not edit. -->
# Parameters

This page lists all parameters of the node `aether_bridge`. `ros2 param describe /aether_bridge NAME` shows
the same text for one parameter.

- [trackers.md](trackers.md) explains how to connect a tracker: `input`, `tf`, `retarget`, `filter`.
- [controllers.md](controllers.md) explains how to connect a controller: `link`, `wire`.
- [safety.md](safety.md) explains the rules of motion: `teleop`, `arm`, `workspace`, `limits`, `gripper`, `stop`.

## How to set a parameter

**In a file.** Copy `config/bridge.yaml`, and keep only the parameters that you change:

```yaml
/**:
  ros__parameters:
    link.host: "192.168.1.50"
    limits.speed: 0.1
    workspace.max: [0.3, 0.3, 0.4]
```

Then start the bridge with this file:

```sh
ros2 launch aether_bridge bridge.launch.py aether_params_file:=/path/to/yours.yaml
```

**As a launch argument.** Four parameters have a launch argument. It replaces the value of the file.

| launch argument | parameter |
|---|---|
| `aether_host` | `link.host` |
| `aether_port` | `link.port` |
| `aether_target_topic` | `input.topic` |
| `aether_assume_position` | `arm.assume_position` |

**While the bridge runs.** The column *change* shows when this is possible:

```sh
ros2 param set /aether_bridge limits.speed 0.1
ros2 param describe /aether_bridge limits.speed
```

| change | meaning |
|---|---|
| at any time | The new value applies immediately. During motion it applies from the next command on. |
| only while disarmed | Call `~/set_armed` with `data: false` first. |
| only at start | Set the parameter in the file, or with `-p NAME:=VALUE`, and start the bridge again. |

The bridge rejects an unknown name, a wrong type and a value out of range. The error contains the allowed values.
YAML needs quotes around a text like `y`, `on` or `0`. In a list, write every number with a decimal point.
"#;

/// The purpose of each group, in the order of the table.
const GROUPS: &[(&str, &str)] = &[
    (
        "link",
        "The connection to the controller: transport, timeouts, reconnecting, heartbeat, TLS and token.",
    ),
    ("wire", "The lines to the controller: format, unit, and the names that the controller uses."),
    (
        "input",
        "The topic with the targets, the fields of its messages, and when a hand counts as lost. A field is a path \
         like `pose.position.x`, or the word `auto` or `none`.",
    ),
    ("tf", "Transforms from `/tf` and `/tf_static`, for targets in other frames."),
    ("retarget", "The transform from the tracker's frame to the arm's base frame."),
    ("filter", "The filter that smooths the targets."),
    ("teleop", "When the arm may move, how often commands are sent, and what happens during a hold."),
    ("arm", "The arm's base frame, its home, and its position if the controller does not report it."),
    ("workspace", "The region in which commands may lie."),
    (
        "limits",
        "Maximum speed, acceleration and step of the commands, jumps of the target, and the following error.",
    ),
    ("gripper", "Where the state of the gripper comes from, and when the gripper opens and closes."),
    ("stop", "A topic that stops one or several bridges."),
];

/// Returns a value as YAML.
fn yaml_value(value: &Value) -> String {
    match value {
        // Single quotes need no escapes.
        Value::Text(text) if text.contains(['"', '\\']) => format!("'{}'", text.replace('\'', "''")),
        Value::Text(text) => format!("\"{text}\""),
        other => other.to_string(),
    }
}

/// Wraps a text into lines of at most 100 characters. Each begins with `prefix`.
fn wrapped(text: &str, prefix: &str) -> String {
    let mut lines = vec![prefix.to_owned()];
    for word in text.split(' ') {
        let last = lines.last_mut().unwrap();
        if last.len() + word.len() > 100 {
            lines.push(format!("{prefix}{word} "));
        } else {
            write!(last, "{word} ").unwrap();
        }
    }
    lines.iter().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

fn yaml() -> String {
    let mut yaml = YAML_HEAD.to_owned();
    for parameter in parameters() {
        yaml.push('\n');
        yaml += &wrapped(parameter.description, "    # ");
        let range = parameter.describe_range();
        if !range.is_empty() {
            yaml += &wrapped(&format!("Range: {range}"), "    # ");
        }
        if parameter.mutability != Mutability::Always {
            writeln!(yaml, "    # Change: {}", parameter.mutability.describe()).unwrap();
        }
        writeln!(yaml, "    {}: {}", parameter.name, yaml_value(&parameter.default())).unwrap();
    }
    yaml
}

/// Returns the allowed values of a parameter, without the unit.
fn allowed(parameter: &dyn Parameter) -> String {
    let values = parameter.describe_value();
    let values = values.strip_suffix(parameter.unit).unwrap_or(&values).trim_end();
    match (values, parameter.default()) {
        ("", Value::Boolean(_)) => "true or false".into(),
        ("", _) => "any text".into(),
        (values, _) => values.into(),
    }
}

fn page() -> String {
    let mut page = PAGE_HEAD.to_owned();
    let names = BridgeTable::GROUPS.iter().map(|group| group[0].name.split('.').next().unwrap());
    assert!(names.eq(GROUPS.iter().map(|(name, _)| *name)), "GROUPS must list the groups of the table");
    for (group, (name, purpose)) in BridgeTable::GROUPS.iter().zip(GROUPS) {
        write!(page, "\n## {name}\n\n{purpose}\n\n").unwrap();
        page +=
            "| name | default | unit | allowed values | change | description |\n|---|---|---|---|---|---|\n";
        for parameter in group.iter().copied() {
            let cells = [
                format!("`{}`", parameter.name),
                format!("`{}`", yaml_value(&parameter.default())),
                parameter.unit.to_owned(),
                allowed(parameter),
                parameter.mutability.describe().to_owned(),
                parameter.description.to_owned(),
            ];
            writeln!(page, "| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | ")).unwrap();
        }
    }
    page
}

/// Checks that a generated file is up to date, or writes it if `BLESS` is set.
fn check_generated(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        file == text,
        "{name} does not match the table of parameters; the top of this test has the command"
    );
}

#[test]
fn bridge_yaml_matches_the_table() {
    check_generated("config/bridge.yaml", &yaml());
}

#[test]
fn parameters_page_matches_the_table() {
    check_generated("docs/parameters.md", &page());
}

#[test]
fn safety_page_states_when_parameters_may_change() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/safety.md");
    let page = std::fs::read_to_string(path).unwrap();
    let section = page.split("\n## ").find(|section| section.starts_with("Parameters that change")).unwrap();
    let rows: Vec<_> = section.lines().filter_map(|line| line.strip_prefix("| ")).collect();
    for parameter in parameters() {
        let group = parameter.name.split_once('.').map(|(group, _)| format!("`{group}.*`"));
        let names = [Some(format!("`{}`", parameter.name)), group];
        let mut naming =
            rows.iter().filter(|row| names.iter().flatten().any(|name| row.contains(name.as_str())));
        let row = naming.next().unwrap_or_else(|| panic!("{} is in no row", parameter.name));
        assert!(row.starts_with(parameter.mutability.describe()), "{}: {row}", parameter.name);
        assert_eq!(naming.next(), None, "{} is in two rows", parameter.name);
    }
}
