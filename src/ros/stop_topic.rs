//! The topic that stops (`stop.topic`).

use futures_util::StreamExt;
use r2r::QosProfile;
use r2r::std_msgs::msg::Bool;

use super::r2r_ext::Inbox;
use super::targets::SourceError;

/// A topic of std_msgs/Bool, by two subscriptions: no single one matches every publisher and also takes what one that
/// latches (transient local) sent before. A message that is taken twice does no harm.
pub struct StopTopic {
    /// Best effort and volatile: matches every publisher.
    live: Inbox<bool>,
    /// Reliable and transient local: matches publishers that latch.
    kept: Inbox<bool>,
}

impl StopTopic {
    /// Subscribes. A queue of several messages, because a true among them counts whatever comes after it.
    ///
    /// # Errors
    /// A name that is not valid; what rcl says.
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

    /// Takes the next message: whether it stops.
    pub fn take(&mut self) -> Option<bool> {
        self.live.take().or_else(|| self.kept.take())
    }
}

const DEPTH: usize = 10;
