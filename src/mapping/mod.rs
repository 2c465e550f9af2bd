//! Reads targets from messages of any type. A message is a JSON value, and field paths select its
//! fields.
//!
//! A [`Schema`] describes the fields of a message type. A [`FieldPath`] is the path to one field.
//! [`Fields`] are the fields that the parameters select. `Fields` and `Schema` together give a
//! [`Mapping`], which reads one [`Sample`] from each message.
//!
//! This module uses `arm`, `teleop` (the type of the gripper's input) and `text`. It never uses
//! ROS.

mod fields;
mod path;
mod sample;
mod schema;

pub use fields::{FieldSelector, Fields, FieldsError};
pub use path::{FieldPath, MissingField, PathError};
pub use sample::{Mapping, MappingError, Sample, gripper_word};
pub use schema::{Kind, Schema};
