//! The subscription to the stop topic (`stop.topic`).

use futures_util::StreamExt;
use r2r::QosProfile;
use r2r::std_msgs::msg::Bool;

use super::r2r_ext::Inbox;
use super::targets::SourceError;

/// A topic of std_msgs/Bool. It has two subscriptions, because no single subscription matches every
/// publisher and also receives the earlier message of a latching (transient local) publisher. If a
/// message is taken twice, this does no harm.
pub struct StopTopic {
    /// Best effort and volatile: matches every publisher.
    live: Inbox<bool>,
    /// Reliable and transient local: matches latching publishers.
    kept: Inbox<bool>,
}

impl StopTopic {
    /// Subscribes to the topic. The queue holds several messages, because every `true` counts, even
    /// if a `false` follows it.
    ///
    /// # Errors
    /// The name of the topic is not valid, or rcl fails.
    pub fn create(node: &mut r2r::Node, topic: &str) -> Result<Self, SourceError> {
        let live = QosProfile::default().keep_last(DEPTH).best_effort();
        let kept = QosProfile::default().keep_last(DEPTH).reliable().transient_local();
        let mut inbox = |qos| -> Result<_, SourceError> {
            let messages = node
                .subscribe::<Bool>(topic, qos)
                .map_err(|error| SourceError::from(error).on_topic(topic))?;
            Ok(Inbox::new(messages.map(|message| message.data)))
        };
        Ok(Self { live: inbox(live)?, kept: inbox(kept)? })
    }

    /// Takes the next message. Returns its value, which is true for a stop.
    pub fn take(&mut self) -> Option<bool> {
        self.live.take().or_else(|| self.kept.take())
    }
}

const DEPTH: usize = 10;
