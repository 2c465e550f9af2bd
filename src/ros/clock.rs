#![allow(clippy::disallowed_methods)] // ROS time is the wall clock, unless it is simulated
//! The ROS clock, for the stamps of messages. No deadline depends on it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// The ROS clock of a node. Clones share the clock.
#[derive(Clone)]
pub enum RosClock {
    /// The wall clock, read directly.
    System,
    /// The node's clock, which follows `/clock` if `use_sim_time` is true.
    Simulated(Arc<Mutex<r2r::Clock>>),
}

impl RosClock {
    /// Returns whether the clock follows `/clock`.
    pub fn is_simulated(&self) -> bool {
        matches!(self, Self::Simulated(_))
    }

    /// Returns the ROS time since its epoch. Returns zero before the first message on `/clock`.
    pub fn now(&self) -> Duration {
        match self {
            Self::System => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            Self::Simulated(clock) => {
                clock.lock().unwrap_or_else(PoisonError::into_inner).get_now().unwrap_or_default()
            }
        }
    }
}
