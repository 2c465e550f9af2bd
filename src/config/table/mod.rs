//! The table of parameters: the one source of names, defaults, ranges and descriptions. `config/bridge.yaml` and
//! `ros2 param describe` say the same words.

mod gripper;
mod input;
mod link;
mod motion;
mod security;
mod wire;

use super::Parameter;

/// All parameters, in the order of the documentation.
pub fn parameters() -> impl Iterator<Item = &'static Parameter> {
    [link::LINK, security::SECURITY, wire::WIRE, input::INPUT, motion::MOTION, gripper::GRIPPER]
        .into_iter()
        .flatten()
}
