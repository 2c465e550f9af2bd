//! Finds the transforms of targets in the frames of TF. Input: transforms, targets and the times of
//! both clocks. Output: targets with their transform.
//!
//! A [`Lookup`] finds transforms in a tree of frames. If the transform of a target has not arrived
//! yet, the target waits for it, at most for `tf.timeout`.
//!
//! This module uses `geometry`, `teleop` (the type of a target) and `text`. It never uses ROS or a
//! clock. The caller passes the times.

mod lookup;
mod tree;

pub use lookup::{Lookup, LookupConfig, PendingTarget};
pub use tree::{TransformRejected, TransformStamped};
