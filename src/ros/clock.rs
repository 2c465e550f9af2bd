#![allow(clippy::disallowed_methods)] // ROS time is the wall clock, unless it is simulated
//! ROS time: what stamps are written in and compared with. No deadline depends on it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// A node's ROS clock, shared.
#[derive(Clone)]
pub enum RosClock {
    /// The wall clock, read without a detour.
    System,
    /// The node's own clock, which follows `/clock` under `use_sim_time`.
    Simulated(Arc<Mutex<r2r::Clock>>),
}

impl RosClock {
    /// Whether it follows `/clock`.
    pub fn is_simulated(&self) -> bool {
        matches!(self, Self::Simulated(_))
    }

    /// ROS time since its epoch; zero before the first `/clock`.
    pub fn now(&self) -> Duration {
        match self {
            Self::System => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default(),
            Self::Simulated(clock) => {
                clock.lock().unwrap_or_else(PoisonError::into_inner).get_now().unwrap_or_default()
            }
        }
    }
}
