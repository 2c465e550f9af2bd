//! The ROS face: the only place that names `r2r`.
//!
//! [`RosNode`] creates every entity, then gives the node to one thread that takes messages and handles them there;
//! [`Publishers`] is what publishes the bridge's news. [`r2r_ext`] gathers what works around r2r.
//!
//! May name every other module. Never decides about motion or the connection: it converts, and calls [`crate::app`].

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
