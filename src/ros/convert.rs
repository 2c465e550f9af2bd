//! Conversion of the core's types to ROS messages.

use std::time::Duration;

use r2r::builtin_interfaces::msg::Time;
use r2r::geometry_msgs::msg::{Point, Quaternion};

use crate::geometry::{Orientation, Position};
use crate::text::sanitize;

/// Converts a position to a point. Both are in metres.
pub fn point(position: Position) -> Point {
    let [x, y, z] = position.coordinates();
    Point { x, y, z }
}

/// Converts an orientation to a quaternion. All four numbers are zero if there is no orientation.
pub fn quaternion(orientation: Option<Orientation>) -> Quaternion {
    let [x, y, z, w] = orientation.map_or([0.0; 4], Orientation::xyzw);
    Quaternion { x, y, z, w }
}

/// Converts a time since the epoch of ROS time to a message.
pub fn time(since_epoch: Duration) -> Time {
    Time {
        sec: i32::try_from(since_epoch.as_secs()).unwrap_or(i32::MAX),
        nanosec: since_epoch.subsec_nanos(),
    }
}

/// Converts a text to a ROS string. Replaces NUL, because a ROS string cannot contain it. Replaces
/// all other control characters, because they could act on a terminal or on another reader.
pub fn text(text: &str) -> String {
    sanitize(text)
}

/// Converts a time of the node's clock to nanoseconds, the unit of stamps.
pub fn nanoseconds_of(ros_now: Duration) -> i64 {
    i64::try_from(ros_now.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced_in_any_text() {
        assert_eq!(text("a\0b\u{1b}[2J\n\u{202e}\u{9b}"), "a�b�[2J���");
        let long = "é".repeat(1000);
        assert_eq!(text(&long), long);
    }
}
