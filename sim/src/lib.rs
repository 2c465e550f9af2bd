//! The simulated arm controller: what the bridge talks to in tests, in the demo, and on a desk without an arm.
//!
//! [`ArmSim`] listens on a TCP port, checks every line by the protocol, moves a simulated [`arm`] towards the last
//! command at a finite speed, halts it at a stop, and answers. It keeps a [`Record`] of what it received, shows
//! [`fault`]s on demand, and checks every line with a [`monitor`] if it is given [`Rules`].
//!
//! | room | what it is | may name |
//! |---|---|---|
//! | [`monitor`] | pure: whether lines keep the rules that a controller relies on | `controller`, `physical`, `protocol` |
//! | `protocol` | pure: writes lines as docs/protocol.md has them, without the bridge's encoder | nothing |
//! | [`controller`] | pure: the controller's side of the wire, bytes to orders and replies to bytes | nothing |
//! | [`arm`] | pure: a point that moves at a finite speed, and a gripper | nothing |
//! | [`physical`] | pure: a physical arm and its controller, with all that happens to them | nothing |
//! | [`fault`], `fault_schedule` | pure: what a controller does wrong, and which command it hits | `fault` |
//! | [`record`] | what a controller has received | `fault`, `monitor` |
//! | [`replay`] | pure: a recorded conversation, checked by the monitor | `monitor` |
//! | `config` | the settings of a simulated controller | `fault`, `monitor`, `physical` |
//! | `shared`, `connection`, `server` | the controller on TCP: the server uses connections, and these the shared state | all above |
//! | [`console`] | the controller on a terminal, as `arm_sim` shows it | all above |
//! | [`check`] | the conformance check of a controller, as `arm_check` shows it | `protocol` |
//! | [`hand`] | pure: where a simulated hand is, for `hand_sim` | nothing |
//!
//! All may name `aether_bridge`, but not its state machines, its limiter or its planner. The monitor shares with the bridge
//! what a parameter means, for example which points are in the workspace, and no code that moves the arm. Pure rooms open no
//! socket and read no clock. Only `src/bin/hand_sim` names r2r.
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
