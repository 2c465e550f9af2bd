//! The interface to ROS. Only this module uses `r2r`.
//!
//! [`RosNode`] creates all entities of the node. One thread then spins the node, takes messages and
//! handles them. [`Publishers`] publishes the bridge's status, commands and diagnostics.
//! [`r2r_ext`] has the workarounds for r2r.
//!
//! This module may use every other module. It converts messages and calls [`crate::app`]. It makes
//! no decision about motion or the connection.

pub mod arguments;
pub mod clock;
pub mod console;
pub mod context;
pub mod convert;
pub mod error;
pub mod gripper;
pub mod node;
pub mod params;
pub mod publisher_monitor;
pub mod r2r_ext;
pub mod rosout;
pub mod services;
pub mod status;
pub mod stop_topic;
pub mod targets;
pub mod tf;

pub use arguments::Arguments;
pub use context::ContextError;
pub use error::RosError;
pub use node::{NodeError, RosNode};
pub use params::ParameterFaults;
pub use status::Publishers;
