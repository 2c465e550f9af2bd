//! Parameters: each declared once with its type, checked when it is set, and read by its declaration.
//!
//! A program declares its parameters by [`parameters!`](crate::parameters) and names them all in a [`Table`]. A set of
//! [`Parameters`] has a value for each of them. What the values mean together, the program itself knows: for the
//! bridge, `crate::config`.
//!
//! May name `geometry` and `text`. Has no clock, no file and no ROS.

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
