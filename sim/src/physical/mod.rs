//! A physical arm and its controller. Pure: the caller passes `now`; the module opens no socket and
//! reads no clock.
//!
//! [`Body`] is the mechanics: a position, an orientation, a gripper, and a list of legs (motions)
//! that it executes at its own speed. Commands, homing, a hand, a second program and gravity can
//! move it. The body records the distance for each of these causes. [`PhysicalArm`] is the body
//! with its controller. The controller accepts or refuses orders, reports the position correctly or
//! not, stops at a fault, homes by itself, crashes and restarts. The seed of [`PhysicalConfig`]
//! determines all random values.
//!
//! Invariants:
//! - The body moves only while time passes, and only along a leg that a caller has set.
//! - A refused order changes nothing: not the position, not a leg, not the gripper.
//! - An order does not move a body that is stalled, faulted or without power.
//! - The reported position differs from the true position only as configured: sag, noise, a wrong
//!   unit, zeros before homing.
//!
//! Latency, lost replies and duplicate replies belong to the connection: [`crate::fault`] simulates
//! them for `arm_sim`.

mod arm;
mod body;
mod config;
#[cfg(test)]
mod tests;

pub use arm::{Answer, PhysicalArm, Refusal};
pub use body::{Body, Mover};
pub use config::{AfterRestart, FaultWord, Intake, PhysicalConfig, Reports};
