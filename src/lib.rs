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
//! Two machines, one coordinator. [`teleop`] and [`link`] fail independently and know nothing of each other; both are
//! sans-IO: events and `now` go in (`handle_*`), commands, actions and deadlines come out (`poll_*`). [`app`] alone
//! joins them and owns the clock.
//!
//! | module | what it is | may name |
//! |---|---|---|
//! | [`geometry`] | positions, orientations and transforms, valid by construction | nothing |
//! | [`text`] | foreign text made safe to print | nothing |
//! | [`arm`] | what the arm can be told, and what its controller reports | `geometry` |
//! | [`wire`] | pure: commands and replies as lines | `arm`, `geometry`, `text` |
//! | [`teleop`] | pure: targets to commands, states, reasons, limits | `arm`, `geometry`, `text` |
//! | [`mapping`] | pure: targets out of messages of any type, by field paths | `arm`, `geometry`, `teleop`, `text` |
//! | [`tf`] | pure: the tree of frames, and the targets that wait for a transform | `geometry`, `teleop`, `text` |
//! | [`link`] | the connection: a pure state machine, and what opens sockets | `arm`, `geometry`, `text`, `wire` |
//! | [`params`] | what a parameter is: declared once with its type, checked, read | `geometry`, `text` |
//! | [`config`] | the table of parameters, and what they mean | all above |
//! | [`status`] | the content of the bridge's topics, and the trait that observes them | all above |
//! | [`app`] | both state machines joined, the clock, the driver of the connections | all above |
//! | `ros` | the only place that names r2r and `rcl_ext` (feature `ros`) | all above |
//!
//! Beside `src/`, members of the workspace: `sim/` (simulated arm controller and hand, the judge of the wire, the check of a
//! controller), `benches/` (what measures), `rcl_ext/` (the only unsafe code).
//!
//! A pose's way: `ros/node.rs` → `ros/r2r_ext.rs` (r2r's stream) → `ros/targets.rs` → [`app::Bridge::handle_target`] →
//! `Teleop::handle_target` → `Teleop::poll_command` → `wire/encoder.rs` → `wire/template.rs` → socket, all on the thread
//! that took the message. Where its frame has to be looked up, [`tf::Lookup`] comes after `ros/targets.rs`, and may let it
//! wait.

#![warn(clippy::print_stdout, clippy::print_stderr, clippy::dbg_macro)]

pub mod app;
pub mod arm;
pub mod config;
pub mod geometry;
pub mod link;
pub mod mapping;
pub mod params;
#[cfg(feature = "ros")]
pub mod ros;
pub mod status;
pub mod teleop;
pub mod text;
pub mod tf;
pub mod wire;
