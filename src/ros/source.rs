//! Where targets and gripper input come from.

use std::time::{Duration, Instant};

use r2r::geometry_msgs::msg::{Point, PointStamped, Pose, PoseStamped, TransformStamped};
use r2r::std_msgs::msg;
use r2r::{QosProfile, WrappedNativeMsgUntyped};
use serde_json::Value;

use super::Inbox;
use super::clock::RosClock;
use super::convert::{self, Conventions, Read};
use super::error::RosError;
use super::tf::Tf;
use crate::arm::Gripper;
use crate::config::{Config, GripperType, SourceConfig};
use crate::mapping::{self, FieldSelector, Fields, FieldsError, Mapping, Sample, Schema};
use crate::teleop::{GripperInput, InputFault, Target};
use crate::text::sanitize_short;

/// The topic of the gripper's input, by the name it is subscribed with.
const GRIPPER: &str = "gripper";

/// Why there is no source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The message type was not built in, or does not exist.
    #[error(
        "parameter 'source.type' is '{message_type}', which this bridge was not built with. Is it spelt right? If so, \
         source its workspace and build the bridge with it: AETHER_EXTRA_INTERFACES={package} make build, or colcon build \
         --cmake-args -DEXTRA_INTERFACES={package}"
    )]
    UnknownType {
        /// `source.type`.
        message_type: String,
        /// Its package.
        package: String,
    },
    /// The messages do not have the fields.
    #[error(transparent)]
    Fields(#[from] FieldsError),
    /// The name of a topic is not valid.
    #[error("the topic '{topic}' cannot be subscribed to: {reason}")]
    Topic {
        /// `source.topic`, or `gripper`.
        topic: String,
        /// What rcl says of it.
        reason: String,
    },
    /// What rcl says.
    #[error(transparent)]
    Ros(RosError),
}

impl From<r2r::Error> for SourceError {
    fn from(error: r2r::Error) -> Self {
        Self::Ros(error.into())
    }
}

impl SourceError {
    /// Why a topic could not be subscribed to.
    fn of_topic(topic: &str, error: RosError) -> Self {
        match error {
            error if matches!(error.code, r2r::Error::RCL_RET_TOPIC_NAME_INVALID) => {
                Self::Topic { topic: sanitize_short(topic), reason: error.text().to_owned() }
            }
            error => Self::Ros(error),
        }
    }
}

/// The subscriptions to targets and to the gripper's input.
pub struct Source {
    topics: Vec<String>,
    conventions: Conventions,
    targets: Targets,
    gripper: GripperSource,
    /// Where other frames are, if the bridge reads that.
    tf: Option<Tf>,
}

/// What has come of a message with a target.
pub enum Taken {
    /// A target, or why it is none.
    Decided(Result<Target, InputFault>),
    /// It waits for its transform: [`Source::poll_waiting`] will tell.
    Waits,
}

/// The messages with targets: of the types that are read as they are, or of any type, as JSON.
enum Targets {
    Pose(Typed<Pose>),
    PoseStamped(Typed<PoseStamped>),
    Point(Typed<Point>),
    PointStamped(Typed<PointStamped>),
    TransformStamped(Typed<TransformStamped>),
    Mapped(Inbox<r2r::Result<Value>>, Box<Mapping>),
}

/// Messages of one type, and which of its fields are looked at.
struct Typed<T> {
    inbox: Inbox<T>,
    looks_at: LooksAt,
}

#[derive(Debug, Clone, Copy)]
struct LooksAt {
    orientation: bool,
    stamp: bool,
    frame: bool,
}

enum GripperSource {
    Bool(Latched<msg::Bool>),
    Float32(Latched<msg::Float32>),
    Float64(Latched<msg::Float64>),
    String(Latched<msg::String>),
    /// The messages with targets say it.
    WithTarget,
}

/// What a message on the gripper's topic wants.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GripperWord {
    /// It has been said now, or by the only publisher.
    Said(GripperInput),
    /// A publisher that latches said it before, and there are other publishers, whose word may be newer.
    Kept(GripperInput),
}

/// A topic whose last message counts, by two subscriptions: no single one takes both what any publisher sends from now on,
/// and what one that latches (transient local) sent before.
struct Latched<T> {
    /// Best effort and volatile: matches every publisher.
    live: Inbox<T>,
    /// Reliable and transient local: matches publishers that latch, and hears them twice.
    kept: Inbox<T>,
    /// What the last message wanted.
    last: Option<GripperInput>,
}

impl Source {
    /// Subscribes, best effort, so that it matches every publisher.
    ///
    /// # Errors
    /// A message type that was not built in, or that does not have the fields; what rcl says.
    pub fn create(node: &mut r2r::Node, config: &Config, clock: &RosClock) -> Result<Self, SourceError> {
        let targets = Targets::create(node, &config.source).map_err(|error| match error {
            SourceError::Ros(error) => SourceError::of_topic(&config.source.topic, error),
            error => error,
        })?;
        let mut topics = vec![config.source.topic.clone()];
        let gripper = match config.source.fields.gripper {
            FieldSelector::Path(_) => GripperSource::WithTarget,
            _ => {
                topics.push(GRIPPER.to_owned());
                GripperSource::create(node, config.gripper_type)?
            }
        };
        let conventions = Conventions {
            frames: config.frames.clone(),
            unit: config.source.unit,
            simulated: clock.is_simulated(),
        };
        Ok(Self { topics, conventions, targets, gripper, tf: Tf::create(node, config)? })
    }

    /// The names of the topics, as they are subscribed with.
    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    /// Other settings.
    pub fn handle_config(&mut self, config: &Config) {
        if self.conventions.frames != config.frames {
            self.conventions.frames.clone_from(&config.frames);
        }
        if let Some(tf) = &mut self.tf {
            tf.handle_config(config);
        }
    }

    /// Takes the transforms that have come; `ros_now` reads the node's clock. Call it before targets are asked for.
    /// Returns whether there were any.
    pub fn take_transforms(&mut self, ros_now: impl FnOnce() -> Duration) -> bool {
        self.tf.as_mut().is_some_and(|tf| tf.take(ros_now))
    }

    /// A target that has waited for its transform, or why it waits no longer. Call it until it returns nothing, after
    /// transforms have been taken and now and then: one that waits in vain is refused when this is called.
    pub fn poll_waiting(
        &mut self,
        now: Instant,
        ros_now: impl FnOnce() -> Duration,
    ) -> Option<Result<Target, InputFault>> {
        self.tf.as_mut()?.poll(now, ros_now)
    }

    /// The target that has been taken, or why it is none. It may have waited for as long as `held_up`; `ros_now` reads
    /// the node's clock.
    pub fn take_target(
        &mut self,
        now: Instant,
        held_up: Duration,
        ros_now: impl Fn() -> Duration,
    ) -> Option<Taken> {
        let conventions = &self.conventions;
        let read = |sample: &Sample| convert::target(sample, ros_now(), conventions);
        let read = match &mut self.targets {
            Targets::Pose(typed) => typed.take(read)?,
            Targets::PoseStamped(typed) => typed.take(read)?,
            Targets::Point(typed) => typed.take(read)?,
            Targets::PointStamped(typed) => typed.take(read)?,
            Targets::TransformStamped(typed) => typed.take(read)?,
            Targets::Mapped(inbox, mapping) => {
                let message = inbox.take()?;
                let read = |message: &Value| read(&mapping.sample(message).map_err(unreadable)?);
                let gripper =
                    message.as_ref().ok().and_then(|message| mapping.gripper(message).ok()).flatten();
                message.as_ref().map_err(unreadable).and_then(read).map(|read| read.with_gripper(gripper))
            }
        };
        let decided = match (read, &mut self.tf) {
            (Ok(Read::Elsewhere(pending)), Some(tf)) => {
                let decided = tf.handle_target(now, ros_now(), pending.held_up(held_up));
                return Some(decided.map_or(Taken::Waits, Taken::Decided));
            }
            (Ok(Read::Elsewhere(pending)), None) => {
                Err(self.conventions.frames.unknown(&sanitize_short(pending.frame_id())))
            }
            (Ok(Read::Target(target)), _) => Ok(Target { held_up, ..target }),
            (Err(fault), _) => Err(fault),
        };
        if let Some(tf) = &mut self.tf {
            tf.handle_other();
        }
        Some(Taken::Decided(decided))
    }

    /// The gripper input that has been taken from its topic. Words that are neither "open" nor "closed" are told of and say
    /// nothing. `is_alone` asks the graph whether the topic has one publisher.
    pub fn take_gripper(&mut self, is_alone: impl FnOnce() -> bool) -> Option<GripperWord> {
        match &mut self.gripper {
            GripperSource::Bool(topic) => topic.take(|closed| Some(closed_or_open(closed.data)), is_alone),
            GripperSource::Float32(topic) => {
                topic.take(|opening| Some(GripperInput::Opening(opening.data.into())), is_alone)
            }
            GripperSource::Float64(topic) => {
                topic.take(|opening| Some(GripperInput::Opening(opening.data)), is_alone)
            }
            GripperSource::String(topic) => topic.take(|word| gripper_word(&word.data), is_alone),
            GripperSource::WithTarget => None,
        }
    }
}

impl Targets {
    fn create(node: &mut r2r::Node, source: &SourceConfig) -> Result<Self, SourceError> {
        let qos = QosProfile::default().keep_last(1).best_effort();
        let SourceConfig { topic, message_type, fields, .. } = source;
        let Some(looks_at) = LooksAt::of(fields) else { return Self::mapped(node, source, qos) };
        Ok(match message_type.as_str() {
            "geometry_msgs/msg/Pose" => Self::Pose(Typed::create(node, topic, looks_at, qos)?),
            "geometry_msgs/msg/PoseStamped" => Self::PoseStamped(Typed::create(node, topic, looks_at, qos)?),
            "geometry_msgs/msg/Point" => Self::Point(Typed::create(node, topic, looks_at, qos)?),
            "geometry_msgs/msg/PointStamped" => {
                Self::PointStamped(Typed::create(node, topic, looks_at, qos)?)
            }
            "geometry_msgs/msg/TransformStamped" => {
                Self::TransformStamped(Typed::create(node, topic, looks_at, qos)?)
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

impl LooksAt {
    /// What is looked at, if every field is where the type has it.
    fn of(fields: &Fields) -> Option<Self> {
        let auto = matches!(fields.position, FieldSelector::Auto)
            && matches!(fields.orientation, FieldSelector::Auto | FieldSelector::None)
            && matches!(
                (&fields.stamp, &fields.frame),
                (FieldSelector::Auto | FieldSelector::None, FieldSelector::Auto | FieldSelector::None)
            )
            && matches!((&fields.valid, &fields.gripper), (FieldSelector::None, FieldSelector::None));
        auto.then(|| Self {
            orientation: fields.orientation != FieldSelector::None,
            stamp: fields.stamp != FieldSelector::None,
            frame: fields.frame != FieldSelector::None,
        })
    }
}

impl<T: convert::Says + r2r::WrappedTypesupport + Send + 'static> Typed<T> {
    fn create(node: &mut r2r::Node, topic: &str, looks_at: LooksAt, qos: QosProfile) -> r2r::Result<Self> {
        Ok(Self { inbox: Inbox::new(node.subscribe(topic, qos)?), looks_at })
    }

    fn take<R>(&mut self, read: impl FnOnce(&Sample) -> R) -> Option<R> {
        let message = self.inbox.take()?;
        let sample = message.sample();
        let LooksAt { orientation, stamp, frame } = self.looks_at;
        Some(read(&Sample {
            orientation: sample.orientation.filter(|_| orientation),
            stamp: if stamp { sample.stamp } else { 0 },
            frame: if frame { sample.frame } else { "" },
            ..sample
        }))
    }
}

impl GripperSource {
    fn create(node: &mut r2r::Node, message_type: GripperType) -> r2r::Result<Self> {
        Ok(match message_type {
            GripperType::Bool => Self::Bool(Latched::create(node, GRIPPER)?),
            GripperType::Float32 => Self::Float32(Latched::create(node, GRIPPER)?),
            GripperType::Float64 => Self::Float64(Latched::create(node, GRIPPER)?),
            GripperType::String => Self::String(Latched::create(node, GRIPPER)?),
        })
    }
}

impl<T: r2r::WrappedTypesupport + Send + 'static> Latched<T> {
    fn create(node: &mut r2r::Node, topic: &str) -> r2r::Result<Self> {
        let live = QosProfile::default().keep_last(1).best_effort();
        let kept = QosProfile::default().keep_last(1).reliable().transient_local();
        let (live, kept) = (node.subscribe(topic, live)?, node.subscribe(topic, kept)?);
        Ok(Self { live: Inbox::new(live), kept: Inbox::new(kept), last: None })
    }
}

impl<T> Latched<T> {
    /// The next message that wants something, by what `read` makes of it.
    ///
    /// A latched message may be older than one of another publisher, and must not take its place. If there is no other
    /// publisher (`is_alone`), what it contradicts was its publisher's own. If there is one, it is passed over once something
    /// has been said, and until then it is known that it is a kept one.
    fn take(
        &mut self,
        read: impl Fn(T) -> Option<GripperInput>,
        is_alone: impl FnOnce() -> bool,
    ) -> Option<GripperWord> {
        while let Some(message) = self.live.take() {
            if let Some(input) = read(message) {
                self.last = Some(input);
                return Some(GripperWord::Said(input));
            }
        }
        while let Some(message) = self.kept.take() {
            let Some(input) = read(message).filter(|input| Some(*input) != self.last) else { continue };
            return match (is_alone(), self.last.replace(input)) {
                (true, _) => Some(GripperWord::Said(input)),
                (false, None) => Some(GripperWord::Kept(input)),
                (false, said) => {
                    self.last = said;
                    None
                }
            };
        }
        None
    }
}

/// Finds the schema of a message type that was built in.
fn schema(message_type: &str) -> Result<Schema, SourceError> {
    let unknown = |_| {
        let package = message_type.split('/').next().unwrap_or_default();
        SourceError::UnknownType { message_type: message_type.to_owned(), package: package.to_owned() }
    };
    let made = WrappedNativeMsgUntyped::new_from(message_type).map_err(unknown)?.to_json()?;
    Ok(Schema::of(made, |value| {
        let message = WrappedNativeMsgUntyped::new_from(message_type).ok()?;
        message.from_json(value).ok()?;
        message.to_json().ok()
    }))
}

fn unreadable(error: impl std::fmt::Display) -> InputFault {
    InputFault::Unreadable { what: sanitize_short(&error.to_string()).into() }
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
    use futures_util::{StreamExt, stream};

    use super::*;

    /// What is taken of words that come live, and of words that are kept by their publishers.
    fn taken(live: &[&'static str], kept: &[&'static str], is_alone: bool) -> Vec<GripperWord> {
        let inbox =
            |words: &[&'static str]| Inbox::new(stream::iter(words.to_vec()).chain(stream::pending()));
        let mut topic = Latched { live: inbox(live), kept: inbox(kept), last: None };
        std::iter::from_fn(|| topic.take(gripper_word, || is_alone)).collect()
    }

    const OPEN: GripperWord = GripperWord::Said(GripperInput::Wanted(Gripper::Open));
    const CLOSED: GripperWord = GripperWord::Said(GripperInput::Wanted(Gripper::Closed));
    const KEPT_CLOSED: GripperWord = GripperWord::Kept(GripperInput::Wanted(Gripper::Closed));

    #[test]
    fn a_latched_word_is_taken_though_nothing_comes_live() {
        assert_eq!(taken(&[], &["closed"], true), [CLOSED]);
        // Beside another publisher it may be an old one.
        assert_eq!(taken(&[], &["closed", "open"], false), [KEPT_CLOSED]);
    }

    #[test]
    fn a_word_that_comes_twice_is_taken_once() {
        assert_eq!(taken(&["opne", "closed"], &["closed"], true), [CLOSED]);
        assert_eq!(taken(&["closed"], &["closed"], false), [CLOSED]);
    }

    #[test]
    fn a_latched_word_of_another_publisher_contradicts_nothing() {
        assert_eq!(taken(&["open"], &["closed"], false), [OPEN]);
    }

    #[test]
    fn a_latched_word_of_the_only_publisher_is_its_newest() {
        assert_eq!(taken(&["open"], &["closed"], true), [OPEN, CLOSED]);
        // What was overtaken by the live one comes right again.
        assert_eq!(taken(&["closed", "open"], &["closed", "open"], true), [CLOSED, OPEN, CLOSED, OPEN]);
    }
}
