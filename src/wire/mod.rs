//! The protocol between bridge and controller: one JSON object per line, in UTF-8, ended by `\n`.
//! This module is pure: bytes in, messages out.
//!
//! ```text
//! bridge     → {"type":"command","x":120.0,"y":35.5,"z":210.0,"gripper":"open"}
//! controller → {"status":"ok","message":"Command received"}
//! ```
//!
//! If the parameters enable them, the bridge sends two other kinds of line. The controller replies
//! to them as to a command:
//!
//! ```text
//! bridge     → {"type":"stop"}
//! bridge     → {"type":"heartbeat"}
//! ```
//!
//! If the controller requires authentication, the bridge sends a [`Hello`] before its first order.
//!
//! A controller may use other member names or more members ([`json`]), or lines of text
//! ([`template`]). [`mod@format`] holds these settings. The bridge makes every line from a
//! [`Template`].
//!
//! [`message`] has the types of the messages. [`encoder`] and [`decoder`] are the bridge's side.
//! The controller's side is in the simulator (`aether_sim::controller`). The simulator uses the
//! framing ([`Lines`]) and the decimal numbers ([`put_length`]) of this module. Positions are
//! [`crate::geometry::Position`], in metres. Only this module converts them to the
//! [`PositionUnit`].
//!
//! This module uses `arm`, `geometry` and `text`. It never uses a socket, a clock or a log.
pub mod advice;
pub mod decoder;
pub mod encoder;
pub mod format;
pub mod hello;
pub mod json;
mod lines;
pub mod message;
mod reported;
pub mod template;

pub use decoder::{ReplyDecoder, Unfinished};
pub use encoder::CommandEncoder;
pub use format::{LineFormat, OrderLines, WireConfig};
pub use hello::{Hello, HelloForm, TokenError};
pub use json::{JsonFields, JsonFieldsError};
pub use lines::{Lines, MAX_LINE, WireError};
pub use message::{Incoming, Line, Order, PositionUnit, Reply, ReplyStatus};
pub use template::{Extra, Template, TemplateError, put_length};

#[cfg(test)]
mod properties;
