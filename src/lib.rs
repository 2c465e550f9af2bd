//! aether_bridge: a ROS 2 node that moves a robot arm after a human hand. It sends commands to the
//! arm's controller over TCP or UDP.
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
//! Each module may use only the modules in the last column of its row:
//!
//! | module | what it is | may use |
//! |---|---|---|
//! | [`geometry`] | positions, orientations and transforms, valid by construction | nothing |
//! | [`text`] | makes text from outside safe to print | nothing |
//! | [`arm`] | commands to the arm, and the state that its controller reports | `geometry` |
//! | [`wire`] | pure: commands and replies as lines | `arm`, `geometry`, `text` |
//! | [`teleop`] | pure: targets to commands, states, reasons, limits | `arm`, `geometry`, `text` |
//! | [`mapping`] | pure: targets from any message type | `arm`, `geometry`, `teleop`, `text` |
//! | [`tf`] | pure: frames, and targets that wait for them | `geometry`, `teleop`, `text` |
//! | [`link`] | the connection: pure states, and sockets | `arm`, `geometry`, `text`, `wire` |
//! | [`params`] | parameters: declared once, checked, read | `geometry`, `text` |
//! | [`config`] | the table of parameters, and their meaning | all above |
//! | [`status`] | the content of the topics, and the trait of their publisher | all above |
//! | [`app`] | both state machines joined, the clock, the driver of the connections | all above |
//! | `ros` | the only place that names r2r and `rcl_ext` (feature `ros`) | all above |
//!
//! `tests/layers.rs` checks this table. It also checks that files do not depend on each other in a
//! circle.
//!
//! Beside `src/`, the workspace has the members `sim/`, `benches/` (benchmarks) and `rcl_ext/` (the
//! only unsafe code). `sim/` has the simulated hand and controller, `arm_check`, and the monitor
//! that checks the lines between bridge and controller.
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
//! The code in these files passes the pose on. The rules that it applies are in other files: the
//! guards in `teleop/input/`, the steps of the planner in `teleop/planner/`, `teleop/estimate.rs`
//! and `link/link.rs`. Before the bridge writes a line, `app/connection.rs` reads the pending
//! replies of the controller. If the frame of the pose needs a transform, [`tf::Lookup`] comes
//! after `ros/targets.rs` and may delay the pose.

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
