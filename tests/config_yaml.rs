//! `config/bridge.yaml` says what the table of parameters says, word for word, and `docs/safety.md` when each may change.
//!
//! After a change of the table, write it anew: `BLESS=1 cargo test --no-default-features --test config_yaml`

use std::fmt::Write;
use std::path::Path;

use aether_bridge::config::{Value, parameters};
use aether_bridge::params::Mutability;

const HEAD: &str = "\
# Every parameter of the bridge, with its default, its range and what it does. The same words are in
# `ros2 param describe /aether_bridge NAME`. Copy this file, delete what you leave as it is, and start with
#   ros2 launch aether_bridge bridge.launch.py aether_params_file:=/path/to/yours.yaml
# Unless it is marked otherwise a parameter may change at any time: `ros2 param set /aether_bridge NAME VALUE`.
# Numbers with a fraction need their point: 1.0, not 1.
/**:
  ros__parameters:
";

fn written(value: &Value) -> String {
    match value {
        // Quoted in the way that needs no escapes.
        Value::Text(text) if text.contains(['"', '\\']) => format!("'{}'", text.replace('\'', "''")),
        Value::Text(text) => format!("\"{text}\""),
        other => other.to_string(),
    }
}

/// Text in lines of at most 110 characters, each after `prefix`.
fn wrapped(text: &str, prefix: &str) -> String {
    let mut lines = vec![prefix.to_owned()];
    for word in text.split(' ') {
        let last = lines.last_mut().unwrap();
        if last.len() + word.len() > 110 {
            lines.push(format!("{prefix}{word} "));
        } else {
            write!(last, "{word} ").unwrap();
        }
    }
    lines.iter().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

fn yaml() -> String {
    let mut yaml = HEAD.to_owned();
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
        writeln!(yaml, "    {}: {}", parameter.name, written(&parameter.default())).unwrap();
    }
    yaml
}

#[test]
fn the_file_and_the_table_agree() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/bridge.yaml");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, yaml()).unwrap();
    }
    let file = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        file == yaml(),
        "config/bridge.yaml is not what the table of parameters says; see the top of this test"
    );
}

#[test]
fn the_page_on_safety_says_of_every_parameter_when_it_may_change() {
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
