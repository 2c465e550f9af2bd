//! Parameters as ROS sees them: described in full, read at start, changed while running, and refused with a reason. Any
//! node can have them that has a [`Table`](crate::params::Table).

mod describe;
mod events;
mod given;
mod message;
mod quote;
mod server;
mod services;

pub use given::{Given, ParameterFaults, Start, readable};
pub use server::{ParameterServer, requested};
pub use services::{ParameterServices, Settable};

const USE_SIM_TIME: &str = "use_sim_time";
