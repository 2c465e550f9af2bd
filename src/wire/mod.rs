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
//! One that wants to know who speaks to it is first told a [`Hello`].
//!
//! A controller may have other names for the members, want more of them ([`json`]), or speak in words ([`template`]):
//! [`mod@format`] is what a person says of that, and every line that is sent comes of one [`Template`].
//!
//! [`message`] holds what is exchanged, [`encoder`] and [`decoder`] the bridge's side of it. The controller's side is in the
//! simulator (`aether_sim::controller`), which takes the framing, [`Lines`], and the decimals, [`put_length`], from here.
//! Positions are [`crate::geometry::Position`], in metres; only here do they have the [`PositionUnit`].
//!
//! Names `arm`, `geometry` and `text`. Never a socket, a clock or a log.
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
