//! The simulated arm controller. The bridge connects to it in tests, in the demo, and on a desk
//! without an arm.
//!
//! [`ArmSim`] listens on a TCP port, checks every line against the protocol and replies. It moves a
//! simulated [`arm`] towards the last command at a finite speed, and halts it at a stop. It keeps a
//! [`Record`] of the received lines and simulates [`fault`]s on demand. If it has [`Rules`], a
//! [`monitor`] checks every line.
//!
//! The modules, and the modules of this crate that each may use:
//! - [`monitor`]: checks lines against the rules that a controller relies on. Pure. Uses
//!   `controller`, `physical`, `protocol`.
//! - `protocol`: writes lines as in docs/protocol.md, without the bridge's encoder. Pure. Uses
//!   nothing.
//! - [`controller`]: the controller's side of the wire, bytes to orders and replies to bytes. Pure.
//!   Uses nothing.
//! - [`arm`]: a point that moves at a finite speed, and a gripper. Pure. Uses nothing.
//! - [`physical`]: a physical arm and its controller, with everything that can happen to them.
//!   Pure. Uses nothing.
//! - [`fault`], `fault_schedule`: the faults of a controller, and the commands that they affect.
//!   Pure. Uses `fault`.
//! - [`record`]: the record of what a controller received. Uses `fault`, `monitor`.
//! - [`replay`]: checks a recorded conversation with the monitor. Pure. Uses `monitor`.
//! - `config`: the settings of a simulated controller. Uses `fault`, `monitor`, `physical`.
//! - `shared`, `connection`, `server`: the controller on TCP. The server uses connections, which
//!   use the shared state. They use all modules above.
//! - [`console`]: the controller on a terminal, for `arm_sim`. Uses all modules above.
//! - [`check`]: the conformance check of a controller, for `arm_check`. Uses `protocol`.
//! - [`hand`]: the motion of a simulated hand, for `hand_sim`. Pure. Uses nothing.
//!
//! All modules may use `aether_bridge`, but not its state machines, its limiter or its planner. The
//! monitor shares with the bridge the meaning of parameters, for example which points are in the
//! workspace, but no code that moves the arm. Pure modules open no socket and read no clock. Only
//! `src/bin/hand_sim` uses r2r.
//!
//! ```no_run
//! # use aether_sim::{ArmSim, ArmSimConfig, Fault};
//! # async fn example() -> std::io::Result<()> {
//! let sim = ArmSim::start(ArmSimConfig::default()).await?; // a free port of 127.0.0.1
//! // … a client connects to sim.local_addr() and sends three commands …
//! let record = sim.wait_for_commands(3).await;
//! assert_eq!(record.connections[0].most_unanswered, 1);
//! sim.set_fault(Some(Fault::Silence));
//! sim.crash().await;
//! sim.restart().await?;
//! # Ok(()) }
//! ```
pub mod arm;
pub mod check;
mod config;
mod connection;
pub mod console;
pub mod controller;
pub mod fault;
mod fault_schedule;
pub mod hand;
pub mod monitor;
pub mod physical;
mod protocol;
pub mod record;
pub mod replay;
mod server;
mod shared;

pub use arm::{Arm, ArmState};
pub use config::{ArmSimConfig, Clients};
pub use fault::{Fault, FaultError, FaultSpec};
pub use monitor::{ArmMonitor, ConformanceMonitor, Rules, Violation};
pub use physical::{PhysicalArm, PhysicalConfig};
pub use record::{ConnectionRecord, Counts, Ended, Event, Received, Record};
pub use server::ArmSim;
