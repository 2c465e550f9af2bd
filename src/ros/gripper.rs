//! The subscription to the gripper's topic.

use futures_util::StreamExt;
use r2r::QosProfile;
use r2r::std_msgs::msg;

use super::r2r_ext::Inbox;
use crate::arm::Gripper;
use crate::config::GripperType;
use crate::mapping;
use crate::teleop::GripperInput;
use crate::text::sanitize_short;

/// The topic of the gripper's input, before remapping.
pub const GRIPPER: &str = "gripper";

/// The input of a message on the gripper's topic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GripperMessage {
    /// The message was sent now, or it is the newest message of the only publisher.
    Live(GripperInput),
    /// A publisher sent the message before the bridge subscribed, and latched it. There are other
    /// publishers, and their messages may be newer.
    Latched(GripperInput),
}

/// Takes the messages of the gripper's topic. It has two subscriptions, because no single
/// subscription receives both the new messages of every publisher and the earlier message of a
/// latching (transient local) publisher. A message without a valid input is `None`.
pub struct GripperSource {
    /// Best effort and volatile: matches every publisher.
    live: Inbox<Option<GripperInput>>,
    /// Reliable and transient local: matches latching publishers. Both subscriptions receive their
    /// messages.
    kept: Inbox<Option<GripperInput>>,
    /// The input of the last message.
    last: Option<GripperInput>,
}

impl GripperSource {
    /// Subscribes to messages of this type. Logs and ignores words other than "open" and "closed".
    ///
    /// # Errors
    /// rcl rejects the subscription.
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

    /// Takes the next input. `is_alone` reads from the graph whether the topic has exactly one
    /// publisher.
    ///
    /// A latched message may be older than a message of another publisher, and must not replace it.
    /// - If there is no other publisher (`is_alone`), the latched message can only replace an older
    ///   message of its own publisher. It is returned as live.
    /// - If there is another publisher and no message was taken before, the latched message is
    ///   returned as latched.
    /// - If there is another publisher and a message was taken before, the latched message is
    ///   ignored.
    /// - A latched number is ignored, because a single number is not a request. A new number also
    ///   arrives on the live subscription.
    pub fn take(&mut self, is_alone: impl FnOnce() -> bool) -> Option<GripperMessage> {
        while let Some(input) = self.live.take() {
            if input.is_some() {
                self.last = input;
                return input.map(GripperMessage::Live);
            }
        }
        while let Some(input) = self.kept.take() {
            let is_request = |input: &GripperInput| matches!(input, GripperInput::Wanted(_));
            let Some(input) = input.filter(|input| is_request(input) && Some(*input) != self.last) else {
                continue;
            };
            return match (is_alone(), self.last.replace(input)) {
                (true, _) => Some(GripperMessage::Live(input)),
                (false, None) => Some(GripperMessage::Latched(input)),
                (false, newer) => {
                    self.last = newer;
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

    /// Returns the inputs that are taken from live words and from the words of latching publishers.
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
    fn latched_word_counts_without_a_live_word() {
        assert_eq!(taken(&[], &["closed"], true), [CLOSED]);
        // If there is another publisher, the word may be old.
        assert_eq!(taken(&[], &["closed", "open"], false), [KEPT_CLOSED]);
    }

    #[test]
    fn word_that_arrives_twice_is_taken_once() {
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
    fn latched_word_of_another_publisher_is_ignored() {
        assert_eq!(taken(&["open"], &["closed"], false), [OPEN]);
    }

    #[test]
    fn latched_word_of_the_only_publisher_is_newest() {
        assert_eq!(taken(&["open"], &["closed"], true), [OPEN, CLOSED]);
        // The kept messages repeat older words, but the last word is the newest again.
        assert_eq!(taken(&["closed", "open"], &["closed", "open"], true), [CLOSED, OPEN, CLOSED, OPEN]);
    }
}
