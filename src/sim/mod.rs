//! The simulated arm controller.
pub mod hand;
