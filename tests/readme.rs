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
