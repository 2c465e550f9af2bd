//! The table of parameters: the only source of names, defaults, ranges and descriptions.
//! `ros2 param describe` shows them. `config/bridge.yaml` and `docs/parameters.md` are generated
//! from them.

mod former;
mod gripper;
mod input;
mod link;
mod motion;
mod stop;
mod wire;

pub use gripper::*;
pub use input::*;
pub use link::*;
pub use motion::*;
pub use stop::*;
pub use wire::*;

use crate::params::{Parameter, Table};

/// The parameters of the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BridgeTable {}

impl Table for BridgeTable {
    const GROUPS: &'static [&'static [&'static dyn Parameter]] =
        &[LINK, WIRE, INPUT, TF, RETARGET, FILTER, TELEOP, ARM, WORKSPACE, LIMITS, GRIPPER, STOP];
    const FORMER_NAMES: &'static [(&'static str, &'static str)] = former::NAMES;
    const FORMER_VALUES: &'static [(&'static str, &'static str, &'static str)] = former::VALUES;
}

/// Returns all parameters of the bridge, in the order of the documentation.
pub fn parameters() -> impl Iterator<Item = &'static dyn Parameter> {
    BridgeTable::parameters()
}
