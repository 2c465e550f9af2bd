//! The wire between bridge and controller: one JSON object a line, UTF-8, `\n`. Pure: bytes in, messages out.
//!
//! ```text
//! bridge     → {"type":"command","x":120.0,"y":35.5,"z":210.0,"gripper":"open"}
//! controller → {"status":"ok","message":"Command received"}
//! ```
//!
//! To controllers that know them, and only where they are asked for, go two other kinds of line, answered like the
//! first:
//!
//! ```text
//! bridge     → {"type":"stop"}
//! bridge     → {"type":"heartbeat"}
//! ```
//!
//! [`message`] holds what is said, [`codec`] the bridge's side of saying it, [`controller`] the other side, which
//! the simulated controller speaks. Positions are [`crate::teleop::command::Position`], in metres; only here do
//! they have the [`WireUnit`].
pub mod codec;
pub mod controller;
mod lines;
pub mod message;

pub use codec::{CommandEncoder, MAX_LINE, ReplyDecoder, WireError};
pub use controller::{CommandDecoder, CommandFault, ReceivedOrder, ReplyEncoder};
pub use message::{Order, Reply, ReplyStatus, ReportedState, WireUnit, printable};

#[cfg(test)]
mod properties;
