//! Parameters of the topic that stops the bridge.

use std::time::Duration;

use crate::params::{seconds, text};

crate::parameters! {
    /// A topic that stops every bridge that subscribes to it.
    pub static STOP;

    /// Name of a topic of type std_msgs/Bool that stops this bridge. true stops like ~/stop. If
    /// messages have arrived and then none arrives for stop.timeout, that stops too. false does not
    /// release a stop. One button can stop several bridges. Empty: no stop topic.
    STOP_TOPIC: String = text("stop.topic", "");
    /// Longest allowed time without a message on the stop topic, after its first message. 0: no
    /// limit, for a button that publishes only when it is pressed.
    STOP_TIMEOUT: Duration = seconds("stop.timeout", 0.5, 0.0..=60.0).always();
}
