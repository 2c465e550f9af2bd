//! aether_bridge: from a hand in front of a webcam to a robot arm behind a TCP socket, safely.
//!
//! ```text
//!   hand tracker ──PoseStamped──▶ ┌────────────────── bridge ──────────────────┐
//!   or IK node   ──gripper──────▶ │ ros ─▶ teleop ─▶ wire ─▶ socket            │ ──JSON lines──▶ arm's
//!   people       ──services─────▶ │         ▲ may I move,      ▲ am I          │ ◀─replies────── controller
//!   RViz, rqt    ◀─status topics─ │           and where to?  link connected?   │
//!                                 └────────────────────────────────────────────┘
//! ```
//!
//! Two machines, one joint. [`teleop`] and [`link`] fail independently and know nothing of each other; both are
//! sans-IO: events and `now` go in (`handle_*`), commands, actions and deadlines come out (`poll_*`). [`app`] alone
//! joins them and owns the clock.
//!
//! | module | what it is | may name |
//! |---|---|---|
//! | [`teleop`] | pure: targets to commands, states, reasons, limits | nothing of ours |
//! | [`mapping`] | pure: targets out of messages of any type, by field paths | `teleop`, `wire` |
//! | [`tf`] | pure: frames as TF tells them, and the targets that wait for them | `teleop`, `wire` |
//! | [`wire`] | pure: commands and replies as lines | `teleop::command` |
//! | [`link`] | `machine`, `backoff` pure; `transport` and `tls` make sockets | `wire`, `teleop::command` |
//! | [`config`] | the table of parameters, and what they mean | `teleop`, `mapping`, `link`, `wire` |
//! | [`status`] | what the bridge tells of itself, and to whom | `config`, `teleop`, `link`, `wire` |
//! | [`app`] | `joint` pure: both machines; `log` pure: what is logged; the handle and the driver | all but `ros` |
//! | `ros` | the only place that names r2r and `rcl_ext` (feature `ros`) | `app`, `config`, `status` |
//! | [`sim`] | the simulated arm controller and hand, and the judge of the wire | `config`, `teleop`, `wire` |
//! | [`check`] | the conformance check of a controller | `wire`, `teleop::command` |
//!
//! A pose's way: r2r stream → `ros::convert` → [`app::Bridge::handle_target`] → `Teleop::handle_target` →
//! `Teleop::poll_command` → `CommandEncoder` → socket, all on the thread that took the message. Where its frame has to be
//! looked up, [`tf::Lookup`] comes after `ros::convert`, and may let it wait.

pub mod app;
pub mod check;
pub mod config;
pub mod link;
pub mod mapping;
#[cfg(feature = "ros")]
pub mod ros;
pub mod sim;
pub mod status;
pub mod teleop;
pub mod tf;
pub mod wire;
