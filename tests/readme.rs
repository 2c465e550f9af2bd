//! What the README shows is what the tests run.

use std::path::Path;

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[test]
fn the_controller_in_the_readme_is_the_one_that_the_ros_graph_tests_run() {
    let controller = file("tests/controllers/tutorial_recv.py");
    let (_, code) = controller.split_once("import json").unwrap();
    assert!(file("README.md").contains(code.trim_end()));
}

#[test]
fn every_name_of_the_ros_interface_is_in_the_readme() {
    let readme = file("README.md");
    for name in
        ["target_pose", "gripper", "~/link_status", "~/connected", "~/command", "~/arm_state", "/diagnostics"]
    {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
    for service in ["~/stop", "~/reset", "~/set_armed", "~/reconnect"] {
        assert!(readme.contains(&format!("`{service}`")), "{service}");
    }
}

#[test]
fn every_reason_is_in_the_readme() {
    let readme = file("README.md");
    let code = file("src/teleop/reason.rs");
    let (_, kinds) = code.split_once("pub fn kind").unwrap();
    let (kinds, _) = kinds.split_once("\n    }\n").unwrap();
    let words: Vec<_> = kinds.split('"').skip(1).step_by(2).collect();
    assert!(words.len() > 20, "{words:?}");
    for word in words {
        assert!(readme.contains(&format!("| `{word}` |")), "{word}");
    }
}

/// Docs and code agree on what can be set: what docs/safety.md names exists, and what bears on motion is named there.
#[test]
fn every_parameter_of_motion_is_in_the_safety_page_and_nothing_else() {
    use aether_bridge::config::parameters;

    let page = file("docs/safety.md");
    let named: Vec<_> = page.split('`').skip(1).step_by(2).collect();
    let of_the_link_or_names = [
        "role",
        "host",
        "port",
        "connect_timeout",
        "tcp_user_timeout",
        "expect_reply",
        "reply_timeout",
        "link_timeout",
        "backoff.initial",
        "backoff.max",
        "min_clients",
        "wire_unit",
        "codec",
        "json_fields.type",
        "json_fields.x",
        "json_fields.y",
        "json_fields.z",
        "json_fields.gripper",
        "json_fields.open",
        "json_fields.closed",
        "json_fields.constant",
        "text_template",
        "text_stop",
        "text_heartbeat",
        "wire_extras",
        "ttl",
        "accept_state",
        "greeting_lines",
        "heartbeat_period",
        "heartbeat_expects_reply",
        "base_frame",
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
        if name.split_once('.').is_some_and(|(group, rest)| groups.contains(&group) && rest != "*") {
            assert!(parameters().any(|parameter| parameter.name == name), "no parameter is named {name}");
        }
    }
}
