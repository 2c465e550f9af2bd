//! The conformance check of a controller. It takes the role of the bridge, and reports to the
//! author of the controller what conforms and what does not. The executable `arm_check` prints the
//! report.
//!
//! The check judges bytes by `docs/protocol.md`. It shares no decoder with the bridge, so neither
//! can hide a fault of the other. `reply` is pure; `peer` cuts received bytes into replies;
//! `session` checks each reply in its context; `scenarios` defines what is sent, in which order.
//!
//! The check moves a real arm, and `guide` does it safely. No motion begins before the position of
//! the arm is known and an [`Operator`] has agreed. The arm then starts at that position and moves
//! in small steps. Lines that are invalid on purpose carry an allowed position too. Without an
//! [`Allowed`], the check sends only those lines that the controller knows according to its author.
//! `axes` judges the motion of the arm.
mod advice;
mod axes;
mod clients;
mod config;
mod connector;
mod finding;
mod guide;
mod line;
mod operator;
mod peer;
mod reply;
mod scenarios;
mod session;

pub use config::{Allowed, AllowedError, CheckConfig, CheckError};
pub use finding::{Check, Finding, Report, Verdict};
pub use operator::Operator;
pub use scenarios::run;
