//! The source of targets: the subscription, the conversion of its messages, and the lookup of
//! transforms.

use std::time::{Duration, Instant};

use r2r::builtin_interfaces::msg::Time;
use r2r::geometry_msgs::msg::{
    Point, PointStamped, Pose, PoseStamped, Quaternion, TransformStamped, Vector3,
};
use r2r::std_msgs::msg::Header;
use r2r::{QosProfile, WrappedNativeMsgUntyped};
use serde_json::Value;

use super::clock::RosClock;
use super::convert;
use super::error::RosError;
use super::r2r_ext::Inbox;
use super::tf::Tf;
use crate::config::{Config, SourceConfig};
use crate::geometry::Orientation;
use crate::mapping::{FieldSelector, Fields, FieldsError, Mapping, Sample, Schema};
use crate::teleop::{Frames, GripperInput, InputFault, PublisherId, Stamp, Target};
use crate::text::sanitize_short;
use crate::tf::PendingTarget;

/// Why the source of targets was not created.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The message type was not built in, or does not exist.
    #[error(
        "parameter 'input.type' is '{0}', which this bridge was not built with. Is it spelt right? If so, \
         source its workspace and build the bridge with it: AETHER_EXTRA_INTERFACES={package} make build, or colcon build \
         --cmake-args -DEXTRA_INTERFACES={package}",
        package = .0.split('/').next().unwrap_or_default()
    )]
    UnknownType(String),
    /// The messages do not have the configured fields.
    #[error(transparent)]
    Fields(#[from] FieldsError),
    /// rcl rejects the name of a topic. Has the name and rcl's reason.
    #[error("the topic '{0}' cannot be subscribed to: {1}")]
    Topic(String, String),
    /// Another error of ROS.
    #[error(transparent)]
    Ros(RosError),
}

impl From<r2r::Error> for SourceError {
    fn from(error: r2r::Error) -> Self {
        Self::Ros(error.into())
    }
}

impl SourceError {
    /// Adds the topic to the error if rcl rejects the name of the topic.
    pub(super) fn on_topic(self, topic: &str) -> Self {
        match self {
            Self::Ros(error) if matches!(error.code, r2r::Error::RCL_RET_TOPIC_NAME_INVALID) => {
                Self::Topic(sanitize_short(topic), error.text().to_owned())
            }
            error => error,
        }
    }
}

/// The subscription to targets.
pub struct TargetSource {
    conventions: Conventions,
    messages: Messages,
    /// The lookup of transforms, if it is enabled.
    tf: Option<Tf>,
}

/// The result of a received message.
#[allow(clippy::large_enum_variant)] // only one value, on the stack: a box would allocate for each target
pub enum Received {
    /// A target, or the reason why the message is not a target.
    Decided(Result<Target, InputFault>),
    /// The target waits for its transform. [`TargetSource::poll_waiting`] will return it.
    Waits,
}

/// The messages with targets. A few types are read directly. All other types are read as JSON.
enum Messages {
    Pose(Typed<Pose>),
    PoseStamped(Typed<PoseStamped>),
    Point(Typed<Point>),
    PointStamped(Typed<PointStamped>),
    TransformStamped(Typed<TransformStamped>),
    Mapped(Inbox<r2r::Result<Value>>, Box<Mapping>),
}

/// The messages of one type, and the fields that are read.
struct Typed<T> {
    inbox: Inbox<T>,
    fields: FieldSelection,
}

#[derive(Debug, Clone, Copy)]
struct FieldSelection {
    orientation: bool,
    stamp: bool,
    frame: bool,
}

impl TargetSource {
    /// Subscribes to the topic with best-effort reliability, which matches every publisher.
    ///
    /// # Errors
    /// The message type is not built in, the messages do not have the configured fields, or rcl
    /// fails.
    pub fn create(node: &mut r2r::Node, config: &Config, clock: &RosClock) -> Result<Self, SourceError> {
        let source = &config.source;
        let messages = Messages::create(node, source).map_err(|error| error.on_topic(&source.topic))?;
        let conventions =
            Conventions { frames: config.frames.clone(), unit: source.unit, simulated: clock.is_simulated() };
        Ok(Self { conventions, messages, tf: Tf::create(node, config)? })
    }

    /// Applies new settings.
    pub fn handle_config(&mut self, config: &Config) {
        if self.conventions.frames != config.frames {
            self.conventions.frames.clone_from(&config.frames);
        }
        if let Some(tf) = &mut self.tf {
            tf.handle_config(config);
        }
    }

    /// Takes the transforms that have arrived. `ros_now` reads the node's clock. Call it before you
    /// take targets. Returns whether there was a message.
    pub fn take_transforms(&mut self, ros_now: impl FnOnce() -> Duration) -> bool {
        self.tf.as_mut().is_some_and(|tf| tf.take(ros_now))
    }

    /// Returns a target whose wait for a transform is over, or the fault if the transform has not
    /// arrived in time. Call it after transforms were taken, and also regularly, because only this
    /// call ends a wait. Repeat the call until it returns `None`.
    pub fn poll_waiting(
        &mut self,
        now: Instant,
        ros_now: impl FnOnce() -> Duration,
    ) -> Option<Result<Target, InputFault>> {
        self.tf.as_mut()?.poll(now, ros_now)
    }

    /// Takes the next message and returns its target, or the fault if it is not a target. The
    /// message may have waited for the time `stall`. `ros_now` reads the node's clock.
    pub fn take(
        &mut self,
        now: Instant,
        stall: Duration,
        ros_now: impl Fn() -> Duration,
    ) -> Option<Received> {
        let conventions = &self.conventions;
        let read = |sample: &Sample, gripper| conventions.read(sample, gripper, stall, ros_now());
        let typed = |sample: &Sample| read(sample, None);
        let read = match &mut self.messages {
            Messages::Pose(messages) => messages.take(typed)?,
            Messages::PoseStamped(messages) => messages.take(typed)?,
            Messages::Point(messages) => messages.take(typed)?,
            Messages::PointStamped(messages) => messages.take(typed)?,
            Messages::TransformStamped(messages) => messages.take(typed)?,
            Messages::Mapped(inbox, mapping) => inbox.take()?.map_err(malformed).and_then(|message| {
                let gripper = mapping.gripper(&message);
                read(&mapping.sample(&message).map_err(malformed)?, gripper)
            }),
        };
        let decided = match (read, &mut self.tf) {
            (Ok(Read::NeedsTransform(pending)), Some(tf)) => {
                let decided = tf.handle_target(now, ros_now(), pending);
                return Some(decided.map_or(Received::Waits, Received::Decided));
            }
            (Ok(Read::NeedsTransform(pending)), None) => {
                Err(self.conventions.frames.unknown(&sanitize_short(pending.frame_id())))
            }
            (Ok(Read::Target(target)), _) => Ok(target),
            (Err(fault), _) => Err(fault),
        };
        if let Some(tf) = &mut self.tf {
            tf.handle_other();
        }
        Some(Received::Decided(decided))
    }
}

impl Messages {
    fn create(node: &mut r2r::Node, source: &SourceConfig) -> Result<Self, SourceError> {
        let qos = QosProfile::default().keep_last(1).best_effort();
        let SourceConfig { topic, message_type, fields, .. } = source;
        let Some(fields) = FieldSelection::of(fields) else { return Self::mapped(node, source, qos) };
        Ok(match message_type.as_str() {
            "geometry_msgs/msg/Pose" => Self::Pose(Typed::create(node, topic, fields, qos)?),
            "geometry_msgs/msg/PoseStamped" => Self::PoseStamped(Typed::create(node, topic, fields, qos)?),
            "geometry_msgs/msg/Point" => Self::Point(Typed::create(node, topic, fields, qos)?),
            "geometry_msgs/msg/PointStamped" => Self::PointStamped(Typed::create(node, topic, fields, qos)?),
            "geometry_msgs/msg/TransformStamped" => {
                Self::TransformStamped(Typed::create(node, topic, fields, qos)?)
            }
            _ => Self::mapped(node, source, qos)?,
        })
    }

    fn mapped(node: &mut r2r::Node, source: &SourceConfig, qos: QosProfile) -> Result<Self, SourceError> {
        let SourceConfig { topic, message_type, fields, .. } = source;
        let mapping = fields.of(message_type, &schema(message_type)?)?;
        let inbox = Inbox::new(node.subscribe_untyped(topic, message_type, qos)?);
        Ok(Self::Mapped(inbox, Box::new(mapping)))
    }
}

impl FieldSelection {
    /// Returns the fields to read, or `None` if a field has a configured path.
    fn of(fields: &Fields) -> Option<Self> {
        let auto = fields.position == FieldSelector::Auto
            && !(fields.orientation.is_path() || fields.stamp.is_path() || fields.frame.is_path())
            && [&fields.valid, &fields.gripper, &fields.gripper_valid]
                .iter()
                .all(|it| **it == FieldSelector::None);
        auto.then(|| Self {
            orientation: fields.orientation != FieldSelector::None,
            stamp: fields.stamp != FieldSelector::None,
            frame: fields.frame != FieldSelector::None,
        })
    }
}

impl<T: AsSample + r2r::WrappedTypesupport + Send + 'static> Typed<T> {
    fn create(
        node: &mut r2r::Node,
        topic: &str,
        fields: FieldSelection,
        qos: QosProfile,
    ) -> r2r::Result<Self> {
        Ok(Self { inbox: Inbox::new(node.subscribe(topic, qos)?), fields })
    }

    fn take<R>(&mut self, read: impl FnOnce(&Sample) -> R) -> Option<R> {
        let message = self.inbox.take()?;
        let sample = message.sample();
        let FieldSelection { orientation, stamp, frame } = self.fields;
        Some(read(&Sample {
            orientation: sample.orientation.filter(|_| orientation),
            stamp: if stamp { sample.stamp } else { 0 },
            frame: if frame { sample.frame } else { "" },
            ..sample
        }))
    }
}

/// Returns the schema of a message type that is built in.
fn schema(message_type: &str) -> Result<Schema, SourceError> {
    let unknown = |_| SourceError::UnknownType(message_type.to_owned());
    let made = WrappedNativeMsgUntyped::new_from(message_type).map_err(unknown)?.to_json()?;
    Ok(Schema::of(made, |value| {
        let message = WrappedNativeMsgUntyped::new_from(message_type).ok()?;
        message.from_json(value).ok()?;
        message.to_json().ok()
    }))
}

fn malformed(error: impl std::fmt::Display) -> InputFault {
    InputFault::MalformedMessage { what: sanitize_short(&error.to_string()).into() }
}

/// The target of a message.
#[derive(Debug)]
enum Read {
    /// A target in a frame that the parameters name.
    Target(Target),
    /// A target in another frame.
    NeedsTransform(PendingTarget),
}

/// The conventions of the tracker's messages.
#[derive(Debug, Clone, PartialEq)]
struct Conventions {
    /// The names of the frames that need no transform.
    frames: Frames,
    /// The length of the tracker's unit in metres.
    unit: f64,
    /// Whether the node's clock is simulated. Stamps are compared with this clock.
    simulated: bool,
}

impl Conventions {
    /// Converts the content of a message to a target. A stamp of zero means that the tracker sends
    /// no stamps. `ros_now` is the time of the node's ROS clock.
    ///
    /// # Errors
    /// The tracker sees no hand. The position or the orientation is not valid. Or the stamp cannot
    /// be checked, because simulated time has not begun.
    fn read(
        &self,
        sample: &Sample,
        gripper: Option<GripperInput>,
        stall: Duration,
        ros_now: Duration,
    ) -> Result<Read, InputFault> {
        if !sample.valid {
            return Err(InputFault::HandNotDetected);
        }
        let orientation = sample.orientation.map(Orientation::new).transpose()?;
        let received = convert::nanoseconds_of(ros_now);
        let stamp = match sample.stamp {
            0 => None,
            _ if ros_now.is_zero() => return Err(InputFault::NoClock),
            taken => Some(Stamp { taken, received, simulated: self.simulated }),
        };
        let [x, y, z] = sample.position.map(|coordinate| coordinate * self.unit);
        let publisher = rcl_ext::last_publisher().map(PublisherId);
        let target = Target { orientation, gripper, stall, publisher, ..Target::new(x, y, z, stamp)? };
        Ok(match self.frames.resolve(sample.frame) {
            Some(frame) => Read::Target(Target { frame, ..target }),
            None => Read::NeedsTransform(PendingTarget::new(sample.frame, target)),
        })
    }
}

/// A message type that contains the position of the hand and is read directly, not as JSON.
trait AsSample {
    /// Returns the content of the message.
    fn sample(&self) -> Sample<'_>;
}

impl AsSample for Point {
    fn sample(&self) -> Sample<'_> {
        bare([self.x, self.y, self.z])
    }
}

impl AsSample for PointStamped {
    fn sample(&self) -> Sample<'_> {
        stamped(self.point.sample(), &self.header)
    }
}

impl AsSample for Pose {
    fn sample(&self) -> Sample<'_> {
        Sample { orientation: Some(xyzw(&self.orientation)), ..self.position.sample() }
    }
}

impl AsSample for PoseStamped {
    fn sample(&self) -> Sample<'_> {
        stamped(self.pose.sample(), &self.header)
    }
}

impl AsSample for TransformStamped {
    fn sample(&self) -> Sample<'_> {
        let Vector3 { x, y, z } = self.transform.translation;
        let orientation = Some(xyzw(&self.transform.rotation));
        stamped(Sample { orientation, ..bare([x, y, z]) }, &self.header)
    }
}

fn bare(position: [f64; 3]) -> Sample<'static> {
    Sample { position, orientation: None, stamp: 0, frame: "", valid: true }
}

fn stamped<'a>(sample: Sample<'_>, header: &'a Header) -> Sample<'a> {
    Sample { frame: &header.frame_id, stamp: nanoseconds(&header.stamp), ..sample }
}

fn xyzw(orientation: &Quaternion) -> [f64; 4] {
    [orientation.x, orientation.y, orientation.z, orientation.w]
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
        let conventions = Conventions { frames, unit: 1.0, simulated: false };
        conventions.read(&pose.sample(), None, Duration::ZERO, ros_now)
    }

    fn target(pose: &PoseStamped, ros_now: Duration) -> Result<Target, InputFault> {
        read(pose, ros_now).map(|read| match read {
            Read::Target(target) => target,
            Read::NeedsTransform(pending) => panic!("{pending:?}"),
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
    fn stamp_has_the_time_of_receipt() {
        let target = target(&pose(0.1, 10, 500), Duration::from_secs(11)).unwrap();
        assert_eq!(
            target.stamp,
            Some(Stamp { taken: 10_000_000_500, received: 11_000_000_000, simulated: false })
        );
        assert_eq!(target.position.coordinates(), [0.1, 0.0, 0.0]);
    }

    #[test]
    fn target_without_a_stamp_is_accepted() {
        assert_eq!(target(&pose(0.1, 0, 0), Duration::ZERO).unwrap().stamp, None);
    }

    #[test]
    fn stamp_before_simulated_time_is_rejected() {
        assert_eq!(target(&pose(0.1, 1, 0), Duration::ZERO), Err(InputFault::NoClock));
    }

    #[test]
    fn invalid_position_is_rejected() {
        assert!(target(&pose(f64::NAN, 0, 0), Duration::ZERO).is_err());
    }

    #[test]
    fn frame_is_found_by_its_name() {
        let mut pose = pose(0.1, 0, 0);
        assert_eq!(target(&pose, Duration::ZERO).unwrap().frame, Frame::Tracker);
        pose.header.frame_id = "arm_base".into();
        assert_eq!(target(&pose, Duration::ZERO).unwrap().frame, Frame::Base);
        pose.header.frame_id = "map".into();
        let Ok(Read::NeedsTransform(pending)) = read(&pose, Duration::ZERO) else { panic!() };
        assert_eq!(pending.frame_id(), "map");
    }

    #[test]
    fn invalid_orientation_is_rejected() {
        let mut pose = pose(0.1, 0, 0);
        pose.pose.orientation.w = 0.0;
        assert!(matches!(target(&pose, Duration::ZERO), Err(InputFault::Orientation(_))));
    }
}
