//! From ROS messages to what the core understands, and back.

use std::time::Duration;

use r2r::builtin_interfaces::msg::Time;
use r2r::geometry_msgs::msg::{
    Point, PointStamped, Pose, PoseStamped, Quaternion, TransformStamped, Vector3,
};
use r2r::std_msgs::msg::Header;

use crate::geometry::{Orientation, Position};
use crate::mapping::Sample;
use crate::teleop::{Frames, GripperInput, InputFault, Stamp, Target};
use crate::text::sanitize;
use crate::tf::PendingTarget;

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// A target in a frame that the bridge has been told of.
    Target(Target),
    /// A target in another.
    Elsewhere(PendingTarget),
}

impl Read {
    /// The same, of a message that wants this of the gripper.
    pub fn with_gripper(self, gripper: Option<GripperInput>) -> Self {
        match self {
            Self::Target(target) => Self::Target(Target { gripper, ..target }),
            Self::Elsewhere(pending) => Self::Elsewhere(pending.with_gripper(gripper)),
        }
    }
}

/// How a sender's messages are to be understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Conventions {
    /// The names of the frames that need no transform.
    pub frames: Frames,
    /// Metres to the sender's unit.
    pub unit: f64,
    /// Whether the node's clock, which stamps are compared with, is simulated.
    pub simulated: bool,
}

/// A target from what a message says. A zero stamp means that the sender does not stamp; `ros_now` is the node's ROS
/// clock.
///
/// # Errors
/// No hand, coordinates that are no position, an orientation that is none, or a stamp that cannot be judged because
/// simulated time has not begun.
pub fn target(sample: &Sample, ros_now: Duration, conventions: &Conventions) -> Result<Read, InputFault> {
    let Conventions { frames, unit, simulated } = conventions;
    if !sample.valid {
        return Err(InputFault::NoHand);
    }
    let orientation = sample.orientation.map(Orientation::new).transpose()?;
    let stamp = match (sample.stamp, ros_now) {
        (0, _) => None,
        (_, Duration::ZERO) => return Err(InputFault::NoClock),
        (taken, _) => Some(Stamp { taken, received: nanoseconds_of(ros_now), simulated: *simulated }),
    };
    let [x, y, z] = sample.position.map(|coordinate| coordinate * unit);
    let target = Target { orientation, ..Target::new(x, y, z, stamp)? };
    Ok(match frames.resolve(sample.frame) {
        Some(frame) => Read::Target(Target { frame, ..target }),
        None => Read::Elsewhere(PendingTarget::new(sample.frame, target)),
    })
}

/// A message that says where the hand is, of one of the types that are read without a detour.
pub trait Says {
    /// What it says.
    fn sample(&self) -> Sample<'_>;
}

impl Says for Point {
    fn sample(&self) -> Sample<'_> {
        Sample { position: [self.x, self.y, self.z], orientation: None, stamp: 0, frame: "", valid: true }
    }
}

impl Says for PointStamped {
    fn sample(&self) -> Sample<'_> {
        stamped(self.point.sample(), &self.header)
    }
}

impl Says for Pose {
    fn sample(&self) -> Sample<'_> {
        Sample { orientation: Some(xyzw(&self.orientation)), ..self.position.sample() }
    }
}

impl Says for PoseStamped {
    fn sample(&self) -> Sample<'_> {
        stamped(self.pose.sample(), &self.header)
    }
}

impl Says for TransformStamped {
    fn sample(&self) -> Sample<'_> {
        let Vector3 { x, y, z } = self.transform.translation;
        let sample = Sample {
            position: [x, y, z],
            orientation: Some(xyzw(&self.transform.rotation)),
            stamp: 0,
            frame: "",
            valid: true,
        };
        stamped(sample, &self.header)
    }
}

fn stamped<'a>(sample: Sample<'_>, header: &'a Header) -> Sample<'a> {
    Sample { frame: &header.frame_id, stamp: nanoseconds(&header.stamp), ..sample }
}

fn xyzw(orientation: &Quaternion) -> [f64; 4] {
    [orientation.x, orientation.y, orientation.z, orientation.w]
}

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

fn nanoseconds(time: &Time) -> i64 {
    i64::from(time.sec) * 1_000_000_000 + i64::from(time.nanosec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teleop::Frame;

    fn read(pose: &PoseStamped, ros_now: Duration) -> Result<Read, InputFault> {
        let frames = Frames { tracker: "camera".into(), base: "arm_base".into() };
        super::target(&pose.sample(), ros_now, &Conventions { frames, unit: 1.0, simulated: false })
    }

    fn target(pose: &PoseStamped, ros_now: Duration) -> Result<Target, InputFault> {
        read(pose, ros_now).map(|read| match read {
            Read::Target(target) => target,
            Read::Elsewhere(pending) => panic!("{pending:?}"),
        })
    }

    fn pose(x: f64, sec: i32, nanosec: u32) -> PoseStamped {
        let mut pose = PoseStamped::default();
        pose.pose.orientation.w = 1.0;
        pose.pose.position.x = x;
        pose.header.stamp = Time { sec, nanosec };
        pose
    }

    #[test]
    fn a_stamp_is_compared_with_the_clock_at_receipt() {
        let target = target(&pose(0.1, 10, 500), Duration::from_secs(11)).unwrap();
        assert_eq!(
            target.stamp,
            Some(Stamp { taken: 10_000_000_500, received: 11_000_000_000, simulated: false })
        );
        assert_eq!(target.position.coordinates(), [0.1, 0.0, 0.0]);
    }

    #[test]
    fn a_sender_without_stamps_is_taken_at_its_word() {
        assert_eq!(target(&pose(0.1, 0, 0), Duration::ZERO).unwrap().stamp, None);
    }

    #[test]
    fn a_stamp_before_simulated_time_has_begun_is_refused() {
        assert_eq!(target(&pose(0.1, 1, 0), Duration::ZERO), Err(InputFault::NoClock));
    }

    #[test]
    fn coordinates_that_are_no_position_are_refused() {
        assert!(target(&pose(f64::NAN, 0, 0), Duration::ZERO).is_err());
    }

    #[test]
    fn a_frame_is_looked_up_by_its_name() {
        let mut pose = pose(0.1, 0, 0);
        assert_eq!(target(&pose, Duration::ZERO).unwrap().frame, Frame::Tracker);
        pose.header.frame_id = "arm_base".into();
        assert_eq!(target(&pose, Duration::ZERO).unwrap().frame, Frame::Base);
        pose.header.frame_id = "map".into();
        let Ok(Read::Elsewhere(pending)) = read(&pose, Duration::ZERO) else { panic!() };
        assert_eq!(pending.frame_id(), "map");
    }

    #[test]
    fn an_orientation_that_is_none_is_refused() {
        let mut pose = pose(0.1, 0, 0);
        pose.pose.orientation.w = 0.0;
        assert!(matches!(target(&pose, Duration::ZERO), Err(InputFault::Orientation(_))));
    }

    #[test]
    fn nothing_that_acts_reaches_ros_however_long_it_is() {
        assert_eq!(text("a\0b\u{1b}[2J\n\u{202e}\u{9b}"), "a�b�[2J���");
        let long = "é".repeat(1000);
        assert_eq!(text(&long), long);
    }
}
