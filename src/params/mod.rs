//! Typed parameters: each is declared once, checked when it is set, and read by its declaration.
//!
//! A program declares its parameters with [`parameters!`](crate::parameters) and lists all of them
//! in a [`Table`]. [`Parameters`] contains a value for each parameter. The program itself checks
//! how the values fit together; the bridge does that in `crate::config`.
//!
//! This module may use `geometry` and `text`. It uses no clock, no file and no ROS.

mod change;
mod declaration;
mod error;
mod range;
mod set;
mod table;
mod value;

pub use change::{ChangeError, Changed};
pub use declaration::{
    Declaration, Mutability, Param, Parameter, boolean, boxes, field_paths, integer, one_of, position, real,
    reals, seconds, subset, text,
};
pub use error::ParameterError;
pub use range::{Range, Words};
pub use set::Parameters;
pub use table::Table;
pub use value::Value;
