//! The running bridge: joins teleoperation and link, and owns the clock and the connections.
//!
//! May name every room but `ros`. Never names r2r.
//!
//! A [`Bridge`] is a handle to a state behind one lock: the [`Coordinator`] with both machines, and the connections. The
//! thread that takes a message from ROS reads what the controller has said and writes the command to the socket itself.
//! [`drive`] owns what takes time: connecting, reading, and the timers. Before each event the machines handle the timeouts
//! that have expired, because either thread may be late.
//!
//! The lock is held for microseconds, because `~/stop` needs it. Under the lock, a thread may write a line to a controller,
//! and nothing else: what is to be published or logged becomes an event, which `notifier` hands on in order once the lock
//! is free. `notifier` is the only file here that may name a macro of `tracing`. The thread that publishes may wait for a
//! reader. So the console drops lines if its reader has stopped (`ros/console.rs`), because the thread that takes `~/stop` from ROS
//! publishes too. What has to outlive the process is written to a file by a thread of its own (`state_file`), because a disk
//! may take its time.

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
