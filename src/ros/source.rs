//! Where targets and gripper input come from.

use std::time::Duration;

use r2r::QosProfile;
use r2r::geometry_msgs::msg::PoseStamped;
use r2r::std_msgs::msg;

use super::{Inbox, convert};
use crate::config::{Config, GripperType};
use crate::teleop::{Frames, Gripper, GripperInput, InputFault, Target};

/// The topics of the input, by the names they are subscribed with.
pub const TOPICS: [&str; 2] = ["target_pose", "gripper"];

/// The subscriptions `target_pose` and `gripper`.
pub struct Source {
    frames: Frames,
    target: Inbox<PoseStamped>,
    gripper: GripperSource,
}

enum GripperSource {
    Bool(Inbox<msg::Bool>),
    Float32(Inbox<msg::Float32>),
    Float64(Inbox<msg::Float64>),
    String(Inbox<msg::String>),
}

impl Source {
    /// Subscribes, best effort, so that it matches every publisher.
    ///
    /// # Errors
    /// What rcl says.
    pub fn create(node: &mut r2r::Node, gripper: GripperType, frames: Frames) -> r2r::Result<Self> {
        let qos = QosProfile::default().keep_last(1).best_effort();
        let [target, topic] = TOPICS;
        let gripper = match gripper {
            GripperType::Bool => GripperSource::Bool(Inbox::new(node.subscribe(topic, qos.clone())?)),
            GripperType::Float32 => GripperSource::Float32(Inbox::new(node.subscribe(topic, qos.clone())?)),
            GripperType::Float64 => GripperSource::Float64(Inbox::new(node.subscribe(topic, qos.clone())?)),
            GripperType::String => GripperSource::String(Inbox::new(node.subscribe(topic, qos.clone())?)),
        };
        Ok(Self { frames, target: Inbox::new(node.subscribe(target, qos)?), gripper })
    }

    /// Other settings.
    pub fn handle_config(&mut self, config: &Config) {
        if self.frames != config.frames {
            self.frames.clone_from(&config.frames);
        }
    }

    /// The target that has been taken, or why it is none. It may have waited for as long as `held_up`; `ros_now` reads
    /// the node's clock.
    pub fn take_target(
        &mut self,
        held_up: Duration,
        ros_now: impl FnOnce() -> Duration,
    ) -> Option<Result<Target, InputFault>> {
        let target = convert::target(&self.target.take()?, ros_now(), &self.frames);
        Some(target.map(|target| Target { held_up, ..target }))
    }

    /// The gripper input that has been taken. Words that are neither "open" nor "closed" are told of and say nothing.
    pub fn take_gripper(&mut self) -> Option<GripperInput> {
        match &mut self.gripper {
            GripperSource::Bool(inbox) => inbox.take().map(|closed| closed_or_open(closed.data)),
            GripperSource::Float32(inbox) => {
                inbox.take().map(|opening| GripperInput::Opening(opening.data.into()))
            }
            GripperSource::Float64(inbox) => inbox.take().map(|opening| GripperInput::Opening(opening.data)),
            GripperSource::String(inbox) => inbox.take().and_then(|word| gripper_word(&word.data)),
        }
    }
}

fn closed_or_open(closed: bool) -> GripperInput {
    GripperInput::Wanted(if closed { Gripper::Closed } else { Gripper::Open })
}

fn gripper_word(word: &str) -> Option<GripperInput> {
    match word.trim().to_ascii_lowercase().as_str() {
        "open" | "opened" => Some(closed_or_open(false)),
        "closed" | "close" => Some(closed_or_open(true)),
        _ => {
            let word = crate::wire::printable(word);
            tracing::debug!("gripper input '{word}' ignored; it must be 'open' or 'closed'");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gripper_words_are_read_kindly_and_others_ignored() {
        assert_eq!(gripper_word("open"), Some(GripperInput::Wanted(Gripper::Open)));
        assert_eq!(gripper_word(" Closed\n"), Some(GripperInput::Wanted(Gripper::Closed)));
        assert_eq!(gripper_word("close"), Some(GripperInput::Wanted(Gripper::Closed)));
        assert_eq!(gripper_word("ajar"), None);
    }
}
