//! aether_bridge: moves a robot arm behind a TCP socket after a hand in front of a webcam, safely.
//!
//! ```text
//!   hand tracker ──PoseStamped─▶ ┌───────────────── bridge ────────────────┐
//!   or IK node   ──gripper─────▶ │ ros ─▶ teleop ─▶ wire ─▶ socket         │ ─commands▶ controller
//!   operator     ──services────▶ │        may the arm move,  is the link   │ ◀─replies────
//!   RViz, rqt    ◀─status topics │        and where to?      connected?    │
//!                                └─────────────────────────────────────────┘
//! ```
//!
//! Two state machines, one coordinator. [`teleop`] and [`link`] fail independently and do not know
//! each other. Both are sans-IO: events and `now` go in (`handle_*`); commands, actions and
//! deadlines come out (`poll_*`). Only [`app`] joins them and owns the clock.
//!
//! Each module may use only the modules in its last column:
//!
//! | module | what it is | may name |
//! |---|---|---|
//! | [`geometry`] | positions, orientations and transforms, valid by construction | nothing |
//! | [`text`] | foreign text made safe to print | nothing |
//! | [`arm`] | commands to the arm, and the state that its controller reports | `geometry` |
//! | [`wire`] | pure: commands and replies as lines | `arm`, `geometry`, `text` |
//! | [`teleop`] | pure: targets to commands, states, reasons, limits | `arm`, `geometry`, `text` |
//! | [`mapping`] | pure: targets from any message type | `arm`, `geometry`, `teleop`, `text` |
//! | [`tf`] | pure: frames, and targets that wait for them | `geometry`, `teleop`, `text` |
//! | [`link`] | the connection: pure states, and sockets | `arm`, `geometry`, `text`, `wire` |
//! | [`params`] | parameters: declared once, checked, read | `geometry`, `text` |
//! | [`config`] | the table of parameters, and their meaning | all above |
//! | [`status`] | the content of the topics, and their observer | all above |
//! | [`app`] | both state machines joined, the clock, the driver of the connections | all above |
//! | `ros` | the only place that names r2r and `rcl_ext` (feature `ros`) | all above |
//!
//! Tests check this table, and that no files depend on each other in a circle (`tests/layers.rs`).
//!
//! Beside `src/`, the workspace has these members: `sim/` (simulated arm controller and hand, the
//! monitor of the wire, the check of a controller), `benches/` (benchmarks), `rcl_ext/` (the only
//! unsafe code).
//!
//! The path of a pose, file by file. All steps run on the thread that took the message:
//!
//! 1. in: `ros/node.rs` → `ros/r2r_ext.rs` (r2r's stream) → `ros/targets.rs` → `app/bridge.rs` (the
//!    lock) → `app/state.rs`
//! 2. to a command: `teleop/state_machine.rs` → `teleop/input/mod.rs` (may the arm follow it?) →
//!    `teleop/planner/mod.rs` (the next step)
//! 3. out: `app/coordinator.rs` (may it be sent now?) → `wire/encoder.rs` → `wire/template.rs` →
//!    `link/socket.rs`
//!
//! These files carry the pose. The rules that they apply are in other files: the guards in
//! `teleop/input/`, the steps of the planner in `teleop/planner/`, `teleop/estimate.rs` and
//! `link/link.rs`. Before a line is written, `app/connection.rs` reads what the controller has
//! sent. If the frame of the pose needs a transform, [`tf::Lookup`] comes after `ros/targets.rs`
//! and may delay the pose.

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
