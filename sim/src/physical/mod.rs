//! A physical arm and its controller: what a person beside the arm sees. Pure: `now` comes in, no socket, no clock.
//!
//! [`Body`] is the metal: a place, a turning, a gripper, and legs that it works off at its own speed. Commands, a homing, a
//! person's hand, a second master and gravity all move it, and the body knows for each metre which of them it was.
//! [`PhysicalArm`] is the body with its controller: it accepts or refuses orders, reports the place truthfully or not, stops
//! at a fault, homes by itself, and dies and comes back. All that is random in it comes from the seed of [`PhysicalConfig`].
//!
//! Invariants:
//! - The body moves only while time passes, and only along a leg that somebody has given it.
//! - A refused order changes nothing: neither the place, nor a leg, nor the gripper.
//! - A body that is stalled, faulted or without power goes nowhere by an order.
//! - What is reported differs from the place only as the configuration says: sag, noise, a wrong unit, zeros before homing.
//!
//! Latency, lost replies and replies that come twice belong to the connection: [`crate::fault`] has them for `arm_sim`.

mod arm;
mod body;
mod config;
#[cfg(test)]
mod tests;

pub use arm::{Answer, PhysicalArm, Refusal};
pub use body::{Body, Mover};
pub use config::{AfterRestart, FaultWord, Intake, PhysicalConfig, Reports};
