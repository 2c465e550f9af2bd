//! The programs that are measured.

use std::path::{Path, PathBuf};

/// A program that turns poses into lines.
pub struct Program {
    pub name: &'static str,
    pub path: PathBuf,
    /// Returns the arguments that make the program connect to a port.
    pub arguments: fn(port: u16) -> Vec<String>,
    pub ending: Ending,
}

/// The way in which a program ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The program ends properly when its connection ends.
    WithConnection,
    /// The program ends properly on SIGTERM.
    OnRequest,
    /// The program ends on SIGTERM, perhaps with an error, because it does not handle this signal.
    Anyhow,
}

impl Program {
    /// Returns all programs. The others are compared with the first one.
    pub fn all(bridge: &Path, programs: &Path) -> [Self; 4] {
        [
            Self {
                name: "floor",
                path: programs.join("floor"),
                arguments: |port| vec![port.to_string()],
                ending: Ending::WithConnection,
            },
            Self {
                name: "bridge",
                path: bridge.to_owned(),
                arguments: |port| parameters(&[WIDE], port),
                ending: Ending::OnRequest,
            },
            Self {
                name: "pass-through",
                path: bridge.to_owned(),
                arguments: |port| parameters(&[WIDE, PASS_THROUGH], port),
                ending: Ending::OnRequest,
            },
            Self {
                name: "rclpy",
                path: "python3".into(),
                arguments: |port| vec![USER_NODE.to_owned(), port.to_string()],
                ending: Ending::Anyhow,
            },
        ]
    }
}

/// Returns the bridge's arguments for these parameters.
fn parameters(groups: &[&[&str]], port: u16) -> Vec<String> {
    let given = groups.iter().copied().flatten().map(|&parameter| parameter.to_owned());
    let all = given.chain([format!("link.port:={port}")]);
    std::iter::once("--ros-args".to_owned()).chain(all.flat_map(|each| ["-p".to_owned(), each])).collect()
}

/// Every safety rule is enabled. The limits are so wide that they alter no command, and each target
/// gets a command. The filter is disabled, because it moves every target and the lines would then
/// not match the poses.
const WIDE: &[&str] = &[
    "teleop.command_rate:=0.0",
    "filter.kind:=none",
    "teleop.settle_time:=0.1",
    "arm.assume_position:=home",
    "limits.speed:=10.0",
    "limits.acceleration:=1000.0",
    "limits.approach_speed:=10.0",
    "workspace.min:=[-100.0,-100.0,-100.0]",
    "workspace.max:=[100.0,100.0,100.0]",
];

/// All optional checks are disabled: the bridge ignores stamps, orientations and frames, never
/// detects a lost hand, and waits for no reply. The limits, the workspace and the age of a target
/// on the steady clock cannot be disabled.
const PASS_THROUGH: &[&str] = &[
    "input.stamp:=none",
    "input.orientation:=[none]",
    "input.frame:=none",
    "input.zero_is_lost:=false",
    "input.min_rate:=0.0",
    "limits.max_jump:=0.0",
    "input.timeout:=10.0",
    "link.expect_reply:=false",
];

const USER_NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/user_node.py");
