//! The ROS interface of the parameters: their descriptions, their values at the start, and changes
//! while the node runs. It works for every node that has a [`Table`](crate::params::Table).

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
