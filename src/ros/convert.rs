//! What the core has as ROS messages.

use std::time::Duration;

use r2r::builtin_interfaces::msg::Time;
use r2r::geometry_msgs::msg::{Point, Quaternion};

use crate::geometry::{Orientation, Position};
use crate::text::sanitize;

/// A position as a point.
pub fn point(position: Position) -> Point {
    let [x, y, z] = position.coordinates();
    Point { x, y, z }
}

/// An orientation as a quaternion, all zero where there is none.
pub fn quaternion(orientation: Option<Orientation>) -> Quaternion {
    let [x, y, z, w] = orientation.map_or([0.0; 4], Orientation::xyzw);
    Quaternion { x, y, z, w }
}

/// A time since the epoch of ROS time as a message.
pub fn time(since_epoch: Duration) -> Time {
    Time {
        sec: i32::try_from(since_epoch.as_secs()).unwrap_or(i32::MAX),
        nanosec: since_epoch.subsec_nanos(),
    }
}

/// Text as a ROS string, wherever it comes from: without a NUL, which none can carry, and without anything else that acts
/// on the terminal or the reader that it ends at.
pub fn text(text: &str) -> String {
    sanitize(text)
}

/// A reading of the node's clock as stamps count: in nanoseconds.
pub fn nanoseconds_of(ros_now: Duration) -> i64 {
    i64::try_from(ros_now.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_reaches_ros_however_long_it_is() {
        assert_eq!(text("a\0b\u{1b}[2J\n\u{202e}\u{9b}"), "a�b�[2J���");
        let long = "é".repeat(1000);
        assert_eq!(text(&long), long);
    }
}
