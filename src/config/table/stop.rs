//! Parameters of the topic that stops the bridge.

use std::time::Duration;

use crate::params::{seconds, text};

crate::parameters! {
    /// A topic that stops every bridge that subscribes to it.
    pub static STOP;

    /// Name of a topic of type std_msgs/Bool that stops this bridge. The message true stops the
    /// bridge like ~/stop. After the first message, a time of stop.timeout without a message stops
    /// the bridge too. The message false does not release a stop. One button can stop several
    /// bridges. Empty: no stop topic.
    STOP_TOPIC: String = text("stop.topic", "");
    /// Longest allowed time without a message on the stop topic, after its first message. 0: no
    /// limit, for a button that publishes only when it is pressed.
    STOP_TIMEOUT: Duration = seconds("stop.timeout", 0.5, 0.0..=60.0).always();
}
