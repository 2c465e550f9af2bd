//! A topic that stops.

use std::time::Duration;

use crate::params::{seconds, text};

crate::parameters! {
    /// A topic that stops every bridge that listens on it.
    pub static STOP;

    /// Name of a topic of type std_msgs/Bool: true stops as ~/stop does, and so does silence, once it has spoken. One
    /// button stops every bridge that listens. False releases nothing. Empty: none.
    STOP_TOPIC: String = text("stop.topic", "");
    /// How long the stop topic may be silent, once it has spoken, before that stops. 0: for ever, for a button that
    /// speaks only when it is pressed.
    STOP_TIMEOUT: Duration = seconds("stop.timeout", 0.5, 0.0..=60.0).always();
}
