//! The gripper's input on a topic of its own.

use r2r::QosProfile;
use r2r::std_msgs::msg;

use super::r2r_ext::Inbox;
use crate::arm::Gripper;
use crate::config::GripperType;
use crate::mapping;
use crate::teleop::GripperInput;
use crate::text::sanitize_short;

/// The topic of the gripper's input, by the name it is subscribed with.
pub const GRIPPER: &str = "gripper";

/// The subscriptions to the gripper's input.
pub struct GripperSource(Messages);

enum Messages {
    Bool(LatchedTopic<msg::Bool>),
    Float32(LatchedTopic<msg::Float32>),
    Float64(LatchedTopic<msg::Float64>),
    String(LatchedTopic<msg::String>),
}

/// What a message on the gripper's topic wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GripperMessage {
    /// It has come now, or it is the newest of the only publisher.
    Live(GripperInput),
    /// A publisher that latches sent it before, and there are other publishers, whose message may be newer.
    Latched(GripperInput),
}

/// A topic whose last message counts, by two subscriptions: no single one takes both what any publisher sends from now on,
/// and what one that latches (transient local) sent before.
struct LatchedTopic<T> {
    /// Best effort and volatile: matches every publisher.
    live: Inbox<T>,
    /// Reliable and transient local: matches publishers that latch, and hears them twice.
    kept: Inbox<T>,
    /// What the last message wanted.
    last: Option<GripperInput>,
}

impl GripperSource {
    /// Subscribes to messages of this type.
    ///
    /// # Errors
    /// What rcl says.
    pub fn create(node: &mut r2r::Node, message_type: GripperType) -> r2r::Result<Self> {
        Ok(Self(match message_type {
            GripperType::Bool => Messages::Bool(LatchedTopic::create(node, GRIPPER)?),
            GripperType::Float32 => Messages::Float32(LatchedTopic::create(node, GRIPPER)?),
            GripperType::Float64 => Messages::Float64(LatchedTopic::create(node, GRIPPER)?),
            GripperType::String => Messages::String(LatchedTopic::create(node, GRIPPER)?),
        }))
    }

    /// Takes the next input. Words that are neither "open" nor "closed" are logged and ignored.
    ///
    /// `is_alone` asks the graph whether the topic has one publisher.
    pub fn take(&mut self, is_alone: impl FnOnce() -> bool) -> Option<GripperMessage> {
        match &mut self.0 {
            Messages::Bool(topic) => topic.take(|closed| Some(closed_or_open(closed.data)), is_alone),
            Messages::Float32(topic) => {
                topic.take(|opening| Some(GripperInput::Opening(opening.data.into())), is_alone)
            }
            Messages::Float64(topic) => {
                topic.take(|opening| Some(GripperInput::Opening(opening.data)), is_alone)
            }
            Messages::String(topic) => topic.take(|word| gripper_word(&word.data), is_alone),
        }
    }
}

impl<T: r2r::WrappedTypesupport + Send + 'static> LatchedTopic<T> {
    fn create(node: &mut r2r::Node, topic: &str) -> r2r::Result<Self> {
        let live = QosProfile::default().keep_last(1).best_effort();
        let kept = QosProfile::default().keep_last(1).reliable().transient_local();
        let (live, kept) = (node.subscribe(topic, live)?, node.subscribe(topic, kept)?);
        Ok(Self { live: Inbox::new(live), kept: Inbox::new(kept), last: None })
    }
}

impl<T> LatchedTopic<T> {
    /// Takes the next message that wants something, by what `read` makes of it.
    ///
    /// A latched message may be older than one of another publisher, and must not take its place. If there is no other
    /// publisher (`is_alone`), it contradicts only an older message of its own publisher. If there is one, it is ignored once
    /// another message has come, and until then it is returned as a latched one.
    fn take(
        &mut self,
        read: impl Fn(T) -> Option<GripperInput>,
        is_alone: impl FnOnce() -> bool,
    ) -> Option<GripperMessage> {
        while let Some(message) = self.live.take() {
            if let Some(input) = read(message) {
                self.last = Some(input);
                return Some(GripperMessage::Live(input));
            }
        }
        while let Some(message) = self.kept.take() {
            let Some(input) = read(message).filter(|input| Some(*input) != self.last) else { continue };
            return match (is_alone(), self.last.replace(input)) {
                (true, _) => Some(GripperMessage::Live(input)),
                (false, None) => Some(GripperMessage::Latched(input)),
                (false, said) => {
                    self.last = said;
                    None
                }
            };
        }
        None
    }
}

fn closed_or_open(closed: bool) -> GripperInput {
    GripperInput::Wanted(if closed { Gripper::Closed } else { Gripper::Open })
}

fn gripper_word(word: &str) -> Option<GripperInput> {
    let input = mapping::gripper_word(word);
    if input.is_none() {
        let word = sanitize_short(word);
        tracing::debug!("gripper input '{word}' ignored; it must be 'open' or 'closed'");
    }
    input
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt, stream};

    use super::*;

    /// What is taken of words that come live, and of words that are kept by their publishers.
    fn taken(live: &[&'static str], kept: &[&'static str], is_alone: bool) -> Vec<GripperMessage> {
        let inbox =
            |words: &[&'static str]| Inbox::new(stream::iter(words.to_vec()).chain(stream::pending()));
        let mut topic = LatchedTopic { live: inbox(live), kept: inbox(kept), last: None };
        std::iter::from_fn(|| topic.take(gripper_word, || is_alone)).collect()
    }

    const OPEN: GripperMessage = GripperMessage::Live(GripperInput::Wanted(Gripper::Open));
    const CLOSED: GripperMessage = GripperMessage::Live(GripperInput::Wanted(Gripper::Closed));
    const KEPT_CLOSED: GripperMessage = GripperMessage::Latched(GripperInput::Wanted(Gripper::Closed));

    #[test]
    fn a_latched_word_is_taken_though_nothing_comes_live() {
        assert_eq!(taken(&[], &["closed"], true), [CLOSED]);
        // Beside another publisher it may be an old one.
        assert_eq!(taken(&[], &["closed", "open"], false), [KEPT_CLOSED]);
    }

    #[test]
    fn a_word_that_comes_twice_is_taken_once() {
        assert_eq!(taken(&["opne", "closed"], &["closed"], true), [CLOSED]);
        assert_eq!(taken(&["closed"], &["closed"], false), [CLOSED]);
    }

    #[test]
    fn a_latched_word_of_another_publisher_contradicts_nothing() {
        assert_eq!(taken(&["open"], &["closed"], false), [OPEN]);
    }

    #[test]
    fn a_latched_word_of_the_only_publisher_is_its_newest() {
        assert_eq!(taken(&["open"], &["closed"], true), [OPEN, CLOSED]);
        // What was overtaken by the live one comes right again.
        assert_eq!(taken(&["closed", "open"], &["closed", "open"], true), [CLOSED, OPEN, CLOSED, OPEN]);
    }
}
