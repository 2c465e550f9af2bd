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
//! A module may name another if its code may `use` it:
//!
//! | module | what it is | may name |
//! |---|---|---|
//! | [`geometry`] | positions, orientations and transforms, valid by construction | nothing |
//! | [`text`] | foreign text made safe to print | nothing |
//! | [`arm`] | commands to the arm, and the state that its controller reports | `geometry` |
//! | [`wire`] | pure: commands and replies as lines | `arm`, `geometry`, `text` |
//! | [`teleop`] | pure: targets to commands, states, reasons, limits | `arm`, `geometry`, `text` |
//! | [`mapping`] | pure: reads targets from messages of any type, by field paths | `arm`, `geometry`, `teleop`, `text` |
//! | [`tf`] | pure: the tree of frames, and the targets that wait for a transform | `geometry`, `teleop`, `text` |
//! | [`link`] | the connection: a pure state machine, and what opens sockets | `arm`, `geometry`, `text`, `wire` |
//! | [`params`] | what a parameter is: declared once with its type, checked, read | `geometry`, `text` |
//! | [`config`] | the table of parameters, and what they mean | all above |
//! | [`status`] | the content of the bridge's topics, and the trait that observes them | all above |
//! | [`app`] | both state machines joined, the clock, the driver of the connections | all above |
//! | `ros` | the only place that names r2r and `rcl_ext` (feature `ros`) | all above |
//!
//! Tests check this table, and that no files name each other in a circle (`tests/layers.rs`).
//!
//! Beside `src/`, members of the workspace: `sim/` (simulated arm controller and hand, the monitor of the wire, the check of a
//! controller), `benches/` (benchmarks), `rcl_ext/` (the only unsafe code).
//!
//! A pose's way, file by file, all on the thread that took the message:
//!
//! 1. in: `ros/node.rs` → `ros/r2r_ext.rs` (r2r's stream) → `ros/targets.rs` → `app/bridge.rs` (the lock) → `app/state.rs`
//! 2. to a command: `teleop/state_machine.rs` → `teleop/input/mod.rs` (may it be followed?) → `teleop/planner/mod.rs` (the next
//!    step)
//! 3. out: `app/coordinator.rs` (is it to be sent now?) → `wire/encoder.rs` → `wire/template.rs` → `link/socket.rs`
//!
//! These files carry the pose. The rules that they ask have files of their own: the guards in `teleop/input/`, the steps of
//! the planner in `teleop/planner/`, `teleop/estimate.rs` and `link/link.rs`. Before a line is written, `app/connection.rs`
//! reads what the controller has sent. If the frame of the pose has to be looked up,
//! [`tf::Lookup`] comes after `ros/targets.rs`, and may let the pose wait.

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
