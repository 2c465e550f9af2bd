//! The gripper's input on a topic of its own.

use futures_util::StreamExt;
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

/// What a message on the gripper's topic wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GripperMessage {
    /// It has come now, or it is the newest of the only publisher.
    Live(GripperInput),
    /// A publisher that latches sent it before, and there are other publishers, whose message may be newer.
    Latched(GripperInput),
}

/// A topic whose last message counts, by two subscriptions: no single one takes both what any publisher sends from now on,
/// and what one that latches (transient local) sent before. A message that wants nothing is `None`.
pub struct GripperSource {
    /// Best effort and volatile: matches every publisher.
    live: Inbox<Option<GripperInput>>,
    /// Reliable and transient local: matches publishers that latch, and hears them twice.
    kept: Inbox<Option<GripperInput>>,
    /// What the last message wanted.
    last: Option<GripperInput>,
}

impl GripperSource {
    /// Subscribes to messages of this type. Words that are neither "open" nor "closed" are logged and ignored.
    ///
    /// # Errors
    /// What rcl says.
    pub fn create(node: &mut r2r::Node, message_type: GripperType) -> r2r::Result<Self> {
        let opening = |opening| Some(GripperInput::Opening(opening));
        match message_type {
            GripperType::Bool => Self::of(node, |closed: msg::Bool| Some(closed_or_open(closed.data))),
            GripperType::Float32 => Self::of(node, move |message: msg::Float32| opening(message.data.into())),
            GripperType::Float64 => Self::of(node, move |message: msg::Float64| opening(message.data)),
            GripperType::String => Self::of(node, |word: msg::String| gripper_word(&word.data)),
        }
    }

    fn of<T: r2r::WrappedTypesupport + Send + 'static>(
        node: &mut r2r::Node,
        read: impl Fn(T) -> Option<GripperInput> + Copy + Send + 'static,
    ) -> r2r::Result<Self> {
        let live = QosProfile::default().keep_last(1).best_effort();
        let kept = QosProfile::default().keep_last(1).reliable().transient_local();
        let mut inbox = |qos| Ok(Inbox::new(node.subscribe(GRIPPER, qos)?.map(read)));
        Ok(Self { live: inbox(live)?, kept: inbox(kept)?, last: None })
    }

    /// Takes the next input. `is_alone` asks the graph whether the topic has one publisher.
    ///
    /// A latched message may be older than one of another publisher, and must not take its place. If there is no other
    /// publisher (`is_alone`), it contradicts only an older message of its own publisher. If there is one, it is ignored once
    /// another message has come, and until then it is returned as a latched one. A latched number is ignored: one number is no
    /// wish, and the same message comes live, too, if it is new.
    pub fn take(&mut self, is_alone: impl FnOnce() -> bool) -> Option<GripperMessage> {
        while let Some(input) = self.live.take() {
            if input.is_some() {
                self.last = input;
                return input.map(GripperMessage::Live);
            }
        }
        while let Some(input) = self.kept.take() {
            let stands = |input: &GripperInput| matches!(input, GripperInput::Wanted(_));
            let Some(input) = input.filter(|input| stands(input) && Some(*input) != self.last) else {
                continue;
            };
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
    use futures_util::stream;

    use super::*;

    /// What is taken of words that come live, and of words that are kept by their publishers.
    fn taken(live: &[&'static str], kept: &[&'static str], is_alone: bool) -> Vec<GripperMessage> {
        let inbox = |words: &[&'static str]| {
            Inbox::new(stream::iter(words.to_vec()).map(gripper_word).chain(stream::pending()))
        };
        let mut topic = GripperSource { live: inbox(live), kept: inbox(kept), last: None };
        std::iter::from_fn(|| topic.take(|| is_alone)).collect()
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
    fn latched_number_is_not_taken_twice() {
        let number = |opening| stream::iter([Some(GripperInput::Opening(opening))]).chain(stream::pending());
        let (live, kept) = (Inbox::new(stream::pending()), Inbox::new(number(0.1)));
        let mut topic = GripperSource { live, kept, last: None };
        assert_eq!(topic.take(|| true), None);
        topic.live = Inbox::new(number(0.1));
        assert_eq!(topic.take(|| true), Some(GripperMessage::Live(GripperInput::Opening(0.1))));
        assert_eq!(topic.take(|| true), None);
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
