//! The running bridge: joins teleoperation and link, and owns the clock and the connections.
//!
//! This module may use every module except `ros`. It never uses r2r.
//!
//! A [`Bridge`] is a handle to a state behind one lock: the [`Coordinator`] with both state
//! machines, and the connections. The thread that takes a message from ROS reads the pending
//! replies of the controller and writes the command to the socket itself. [`drive`] does everything
//! that takes time: connecting, reading, and the timers. The state machines handle expired timeouts
//! before each event, because the ROS thread or the driver's thread may be late.
//!
//! The lock is held for microseconds, because `~/stop` needs it. Under the lock, a thread may read
//! pending bytes from a controller and write a line to it. Neither operation waits. The thread does
//! no other input or output. Everything to publish or log becomes an event. `notifier` handles
//! these events in order once the lock is free. `notifier` is the only file here that may use a
//! macro of `tracing`.
//!
//! The thread that publishes may have to wait for a reader. The thread that takes `~/stop` from ROS
//! publishes too. So the console drops lines if its reader has stopped reading (`ros/console.rs`).
//! State that must survive the process is written to a file by a separate thread (`state_file`),
//! because a disk may be slow.

mod arming_request;
mod bridge;
mod connection;
mod connector;
mod coordinator;
mod driver;
mod log;
mod notifier;
mod repeats;
mod report;
mod sleep;
mod state;
mod state_file;

pub use arming_request::StaleRequest;
pub use bridge::Bridge;
pub use coordinator::{Coordinator, Outgoing, Sent};
pub use driver::{drive, drive_over};
pub use report::{InputNotes, Report, StatusKey};
pub use sleep::SleepClocks;
pub use state::ReconfigureError;
pub use state_file::{Found, StateFile, StateNotes, StateWriter};
