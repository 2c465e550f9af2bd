//! How a target is read out of a message of any type: by field paths, from the message as JSON.
//!
//! [`Schema`] says which fields a type has, [`FieldPath`] is the way to one of them, [`Fields`] is how the parameters choose
//! them. These make a [`Mapping`], which reads one [`Sample`] from every message.
//!
//! Names `arm`, `teleop` (what the gripper's input is) and `text`. Never ROS: messages come in as JSON values.

mod fields;
mod path;
mod sample;
mod schema;

pub use fields::{FieldSelector, Fields, FieldsError};
pub use path::{FieldPath, MissingField, PathError};
pub use sample::{Mapping, MappingError, Sample, gripper_word};
pub use schema::{Kind, Schema};
