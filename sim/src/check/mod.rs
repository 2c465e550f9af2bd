//! The conformance check: plays the bridge's side of the wire towards a controller, and tells its author what is right
//! and what is wrong. The `arm_check` executable shows it.
//!
//! It judges bytes by `docs/protocol.md` and shares no decoder with the bridge, so neither can hide a fault of the
//! other. `reply` is pure; `peer` cuts what comes into replies, `session` judges each in its place; `scenarios` is what is sent, in
//! which order.
//!
//! It moves a real arm: every command lies within [`Allowed::radius`] of [`Allowed::at`], lines that are wrong on
//! purpose carry an allowed position too, and without an [`Allowed`] nothing is sent but the lines that the author says
//! the controller knows.
mod advice;
mod config;
mod connector;
mod finding;
mod line;
mod peer;
mod reply;
mod scenarios;
mod session;

pub use config::{Allowed, AllowedError, CheckConfig, CheckError};
pub use finding::{Check, Finding, Report, Verdict};
pub use scenarios::run;
