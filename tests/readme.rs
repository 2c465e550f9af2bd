//! README and docs agree with the code.

use std::path::Path;

use aether_bridge::config::{Config, Parameters, Value, parameters};
use aether_bridge::teleop::ReasonKind;

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn controllers_page_shows_the_tutorial_controller() {
    let controller = file("examples/controllers/tutorial_recv.py");
    let (_, code) = controller.split_once("import json").unwrap();
    assert!(file("docs/controllers.md").contains(code.trim_end()));
}

#[test]
fn readme_names_every_topic_and_service() {
    let readme = file("README.md");
    for name in
        ["target_pose", "gripper", "~/link_status", "~/connected", "~/command", "~/arm_state", "/diagnostics"]
    {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
    for service in ["~/stop", "~/reset", "~/set_armed", "~/go_home", "~/reconnect"] {
        assert!(readme.contains(&format!("`{service}`")), "{service}");
    }
}

#[test]
fn every_reason_is_in_the_readme() {
    let readme = file("README.md");
    for word in ReasonKind::ALL.iter().map(|kind| kind.as_str()) {
        assert!(readme.contains(&format!("| `{word}` |")), "{word}");
    }
}

/// docs/safety.md names every parameter that affects motion, and no parameter that does not exist.
#[test]
fn safety_page_names_every_parameter_of_motion() {
    let page = file("docs/safety.md");
    let named: Vec<_> = page.split('`').skip(1).step_by(2).collect();
    let of_the_link_or_names = [
        "link.transport",
        "link.host",
        "link.port",
        "link.connect_timeout",
        "link.tcp_user_timeout",
        "link.expect_reply",
        "link.reply_timeout",
        "link.timeout",
        "link.backoff.initial",
        "link.backoff.max",
        "link.min_clients",
        "wire.position_unit",
        "wire.format",
        "wire.json.type",
        "wire.json.x",
        "wire.json.y",
        "wire.json.z",
        "wire.json.gripper",
        "wire.json.open",
        "wire.json.closed",
        "wire.json.constant",
        "wire.text.command",
        "wire.text.stop",
        "wire.text.heartbeat",
        "wire.extra_fields",
        "wire.command_ttl",
        "wire.accept_state",
        "link.banner_lines",
        "link.banner_timeout",
        "link.auth.token_file",
        "link.tls.enabled",
        "link.tls.ca_file",
        "link.tls.server_name",
        "link.tls.certificate_file",
        "link.tls.key_file",
        "link.heartbeat.period",
        "link.heartbeat.expect_reply",
        "arm.base_frame",
        "gripper.type",
        "gripper.initial",
    ];
    for parameter in parameters().filter(|parameter| !of_the_link_or_names.contains(&parameter.name)) {
        assert!(named.contains(&parameter.name), "docs/safety.md does not name {}", parameter.name);
    }
    let groups: Vec<_> =
        parameters().filter_map(|p| p.name.split_once('.')).map(|(group, _)| group).collect();
    for name in named {
        let name = name.split(": ").next().unwrap();
        if name.split_once('.').is_some_and(|(group, rest)| groups.contains(&group) && !rest.ends_with('*')) {
            assert!(parameters().any(|parameter| parameter.name == name), "no parameter is named {name}");
        }
    }
}

/// docs/protocol.md names only parameters that exist.
#[test]
fn every_parameter_in_the_protocol_page_exists() {
    let page = file("docs/protocol.md");
    let names = page.split('`').skip(1).step_by(2).map(|code| code.split(": ").next().unwrap());
    let is_name = |name: &&str| {
        let word = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
        name.chars().all(word) && name.contains(['_', '.']) && !name.starts_with(['.', '_'])
    };
    let others = ["arm_sim", "tcp_server", "wire.json."];
    let mut seen = 0;
    for name in names.filter(is_name).filter(|name| !others.contains(name)) {
        assert!(parameters().any(|parameter| parameter.name == name), "no parameter is named {name}");
        seen += 1;
    }
    assert!(seen > 30, "{seen}");
}

/// The settings of each row in docs/controllers.md are a valid configuration.
#[test]
fn every_row_of_the_controllers_page_is_valid() {
    let page = file("docs/controllers.md");
    let (_, rest) = page.split_once("## Copy a controller").unwrap();
    let (section, _) = rest.split_once("## Check your controller").unwrap();
    let mut rows = 0;
    for row in section.lines().filter(|line| line.starts_with("| ")) {
        let settings = row.rsplit(" | ").next().unwrap().trim_end_matches(" |");
        let mut parameters = Parameters::default();
        let mut set = 0;
        for (name, value) in settings.split('`').skip(1).step_by(2).filter_map(|code| code.split_once(": ")) {
            parameters.set(name, value_of(value)).unwrap_or_else(|error| panic!("{row}: {error}"));
            set += 1;
        }
        if set > 0 {
            if settings.starts_with("the same") {
                parameters.set("teleop.hold_behavior", Value::Text("stop".into())).unwrap();
                parameters.set("link.heartbeat.period", Value::Real(0.1)).unwrap();
            }
            Config::new(&parameters).unwrap_or_else(|error| panic!("{row}: {error}"));
            rows += 1;
        }
    }
    assert!(rows > 22, "{rows}");
}

/// Parses a value of YAML. Reads only the forms that the page uses.
fn value_of(yaml: &str) -> Value {
    let text = |yaml: &str| yaml.trim().trim_matches(['"', '\'']).to_owned();
    let real = |yaml: &str| yaml.trim().parse::<f64>();
    if let Some(list) = yaml.strip_prefix('[').and_then(|yaml| yaml.strip_suffix(']')) {
        let numbers: Result<Vec<_>, _> = list.split(',').map(real).collect();
        return numbers.map_or_else(|_| Value::Texts(list.split(',').map(text).collect()), Value::Reals);
    }
    match (yaml.parse(), yaml.parse(), real(yaml)) {
        (Ok(truth), ..) => Value::Boolean(truth),
        (_, Ok(number), _) => Value::Integer(number),
        (.., Ok(number)) => Value::Real(number),
        // Two pairs of quotes around a JSON string: the outer are YAML's.
        _ => Value::Text(
            yaml.strip_prefix(['"', '\''])
                .and_then(|yaml| yaml.strip_suffix(['"', '\'']))
                .unwrap_or(yaml)
                .to_owned(),
        ),
    }
}
