//! What the graph says of who publishes the bridge's input.

use std::sync::Arc;

/// A change of who publishes the bridge's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GraphNews {
    /// Who publishes targets, in words, if it is more than one node.
    TargetPublishers(Option<Arc<str>>),
    /// Who publishes on the gripper's topic, in words, if it is more than one node.
    GripperPublishers(Option<Arc<str>>),
    /// A node publishes on the gripper's topic, and there was no such node before.
    GripperFound,
    /// A node that published on the gripper's topic has left.
    GripperLeft,
}
