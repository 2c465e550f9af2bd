//! What r2r 0.9.7 keeps to itself of rcl, in the one crate of this project that may use `unsafe`.
//!
//! | here | why r2r does not serve | what upstream would have to change |
//! |---|---|---|
//! | [`Arguments::parameters`], [`read_parameter_file`] | `Node::load_params` matches four forms of a node's name, merges all files before one can count, and drops the name of the file | `Context::parameter_overrides()`, and rclcpp's matching in `load_params` |
//! | [`Arguments::parse`] | `Context::create` panics if rcl refuses the arguments | return `Err` |
//! | [`take_error`] | `Error` has rcl's code and loses rcl's text | a text beside the code |
//!
//! rcl stays the only reader of YAML and of command lines.

mod arguments;
mod copy;
mod error;

pub use arguments::{Arguments, read_parameter_file};
pub use copy::{NodeParameters, Value};
pub use error::{RclError, take_error};
