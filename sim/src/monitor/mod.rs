//! Whether the bridge keeps the rules that a controller relies on (docs/safety.md, docs/protocol.md).
//! Pure: lines, replies and commands are passed with their times.
//!
//! It shares no motion code with the bridge: no limiter and no planner. [`ConformanceMonitor`] sees lines at the controller,
//! and knows two bounds of when each was sent: it was there when it was read; and it was not there before the reply that
//! it had to wait for, nor well before the last look at an empty socket. A line is a violation only if it is one for
//! every time between, so that a busy machine, or a process that was stopped, is never taken for a fault. What cannot be
//! checked like that, as how suddenly velocity changes, is not checked. [`MotionMonitor`] has the same rules of motion, for
//! commands at the bridge, whose times are exact. [`ArmMonitor`] looks at what the lines do to a physical arm.

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
