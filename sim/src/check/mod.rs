//! The conformance check: plays the bridge's side of the wire towards a controller, and tells its author what is right
//! and what is wrong. The `arm_check` executable shows it.
//!
//! It judges bytes by `docs/protocol.md` and shares no decoder with the bridge, so neither can hide a fault of the
//! other. `reply` is pure; `peer` cuts what comes into replies, `session` judges each in its place; `scenarios` is what is sent, in
//! which order.
//!
//! It moves a real arm, and `guide` is how: not before the place of the arm is known and a [`Person`] has agreed, from there,
//! by small steps. Lines that are wrong on purpose carry an allowed position too, and without an [`Allowed`] nothing is sent
//! but the lines that the author says the controller knows. `axes` judges what the arm did.
mod advice;
mod axes;
mod config;
mod connector;
mod finding;
mod guide;
mod line;
mod peer;
mod person;
mod reply;
mod scenarios;
mod session;

pub use config::{Allowed, AllowedError, CheckConfig, CheckError};
pub use finding::{Check, Finding, Report, Verdict};
pub use person::Person;
pub use scenarios::run;
