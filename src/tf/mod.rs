//! Targets in frames that TF knows: transforms, targets and both clocks come in, placed targets come out.
//!
//! A [`Lookup`] places targets by a tree of frames. A target whose transform has not come yet waits, for `tf.timeout` at
//! most.
//!
//! Names `geometry`, `teleop` (what a target is) and `text`. Never ROS, and no clock: readings of it come in.

mod lookup;
mod tree;

pub use lookup::{Lookup, LookupConfig, PendingTarget};
pub use tree::{TransformRejected, TransformStamped};
