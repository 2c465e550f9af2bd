//! Checks that the bridge keeps the rules that a controller relies on (docs/safety.md,
//! docs/protocol.md). Pure: the caller passes lines, replies and commands with their times.
//!
//! The monitor shares no motion code with the bridge: no limiter and no planner.
//! [`ConformanceMonitor`] sees lines at the controller. It knows two bounds for the send time of
//! each line. The upper bound is the time at which the line was read. The lower bound is the later
//! of two times: the reply that the line had to wait for, and the last poll that found the socket
//! empty (minus the transit time). A line is a violation only if it breaks a rule for every send
//! time between the bounds.
//! Therefore a busy machine, or a process that was stopped, never counts as a violation. Rules that
//! cannot be checked in this way are not checked, for example sudden changes of velocity.
//! [`MotionMonitor`] applies the same rules of motion to commands at the bridge, whose times are
//! exact. [`ArmMonitor`] checks what the lines do to a physical arm.

mod arm;
mod client;
mod conformance;
mod motion;
mod rules;
mod space;
#[cfg(test)]
mod tests;
mod violation;

pub use arm::ArmMonitor;
pub use conformance::ConformanceMonitor;
pub use motion::{MotionLimits, MotionMonitor, Step, TimedCommand};
pub use rules::{Rules, RulesError, Setting};
pub use space::Space;
pub use violation::{Rule, Violation};
