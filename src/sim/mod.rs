//! The simulated arm controller.
