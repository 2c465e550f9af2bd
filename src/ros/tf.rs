//! `/tf` and `/tf_static`: where frames are that the bridge has not been told of. Read as any message is, by the name of
//! its type, so that a bridge without `tf2_msgs` builds and runs all the same.

use std::collections::HashSet;
use std::mem::{Discriminant, discriminant};
use std::time::{Duration, Instant};

use r2r::{QosProfile, WrappedNativeMsgUntyped};
use serde_json::Value;

use super::convert::nanoseconds_of;
use super::r2r_ext::Inbox;
use crate::config::Config;
use crate::teleop::{InputFault, Target};
use crate::text::sanitize_short;
use crate::tf::{Lookup, LookupConfig, PendingTarget, TransformRejected, TransformStamped};

/// Both topics, and the targets that wait for what comes on them.
pub struct Tf {
    moving: Inbox<r2r::Result<Value>>,
    fixed: Inbox<r2r::Result<Value>>,
    lookup: Lookup,
    /// Transforms have come since targets that wait were last looked at.
    news: bool,
    /// The kinds of garbage that have been told of.
    told: HashSet<Discriminant<TransformRejected>>,
}

impl Tf {
    /// Subscribes both topics. Returns nothing, and logs why, if `tf.enabled` is false or `tf2_msgs` is not built in.
    ///
    /// # Errors
    /// What rcl says.
    pub fn create(node: &mut r2r::Node, config: &Config) -> r2r::Result<Option<Self>> {
        let obstacle = if !config.source.tf_enabled {
            Some("tf.enabled is false")
        } else if WrappedNativeMsgUntyped::new_from(MESSAGE).is_err() {
            Some("tf2_msgs is not built in")
        } else {
            None
        };
        if let Some(obstacle) = obstacle {
            tracing::info!(
                "{obstacle}: a target's frame_id is retarget.frame or arm.base_frame, or the target is refused"
            );
            return Ok(None);
        }
        // Best effort, so that it matches every publisher; what is fixed is said once, and kept for whoever comes later.
        let moving = QosProfile::default().keep_last(DEPTH).best_effort();
        let fixed = QosProfile::default().keep_last(DEPTH).reliable().transient_local();
        Ok(Some(Self {
            moving: Inbox::new(node.subscribe_untyped("/tf", MESSAGE, moving)?),
            fixed: Inbox::new(node.subscribe_untyped("/tf_static", MESSAGE, fixed)?),
            lookup: Lookup::new(lookup_config(config)),
            news: false,
            told: HashSet::new(),
        }))
    }

    /// Other settings.
    pub fn handle_config(&mut self, config: &Config) {
        self.lookup.handle_config(lookup_config(config));
    }

    /// Takes the transforms that have come. Returns whether there were any.
    pub fn take(&mut self, ros_now: impl FnOnce() -> Duration) -> bool {
        let (first_fixed, first_moving) = (self.fixed.take(), self.moving.take());
        if first_fixed.is_none() && first_moving.is_none() {
            return false;
        }
        let ros_now = nanoseconds_of(ros_now());
        let mut next = first_fixed;
        while let Some(message) = next {
            self.handle_message(message, true, ros_now);
            next = self.fixed.take();
        }
        next = first_moving;
        while let Some(message) = next {
            self.handle_message(message, false, ros_now);
            next = self.moving.take();
        }
        self.news = true;
        true
    }

    /// Takes a target of another frame. Returns what it has come to, or nothing while it waits.
    pub fn handle_target(
        &mut self,
        now: Instant,
        ros_now: Duration,
        target: PendingTarget,
    ) -> Option<Result<Target, InputFault>> {
        self.lookup.handle_target(now, nanoseconds_of(ros_now), target)
    }

    /// Takes note of a target that needs no lookup, or of a message that is none.
    pub fn handle_other(&mut self) {
        self.lookup.handle_other();
    }

    /// A target that has waited, or why it waits no longer.
    pub fn poll(
        &mut self,
        now: Instant,
        ros_now: impl FnOnce() -> Duration,
    ) -> Option<Result<Target, InputFault>> {
        let due = self.lookup.deadline().is_some_and(|deadline| self.news || now >= deadline);
        let decided = if due { self.lookup.poll(now, nanoseconds_of(ros_now())) } else { None };
        self.news &= decided.is_some();
        decided
    }

    fn handle_message(&mut self, message: r2r::Result<Value>, is_fixed: bool, ros_now: i64) {
        let topic = if is_fixed { "/tf_static" } else { "/tf" };
        let message = match message {
            Ok(message) => message,
            Err(error) => return tracing::debug!(%error, topic, "unreadable"),
        };
        let transforms = message.get("transforms").and_then(Value::as_array);
        for edge in transforms.into_iter().flatten().filter_map(|transform| edge(transform, is_fixed)) {
            let Err(ignored) = self.lookup.handle_transform(ros_now, &edge) else { continue };
            let child = sanitize_short(edge.child);
            if self.told.insert(discriminant(&ignored)) {
                tracing::warn!(
                    "a transform of '{child}' on {topic} is ignored: {ignored}; told once for each cause"
                );
            } else {
                tracing::debug!("a transform of '{child}' on {topic} is ignored: {ignored}");
            }
        }
    }
}

fn lookup_config(config: &Config) -> LookupConfig {
    LookupConfig {
        base: config.frames.base.clone(),
        timeout: config.source.tf_timeout,
        input_timeout: config.teleop.input_timeout,
    }
}

/// A `geometry_msgs/TransformStamped`; every message of the type has all its fields.
fn edge(transform: &Value, is_fixed: bool) -> Option<TransformStamped<'_>> {
    let (header, geometry) = (transform.get("header")?, transform.get("transform")?);
    let stamp = header.get("stamp")?;
    let stamp = stamp.get("sec")?.as_i64()? * 1_000_000_000 + stamp.get("nanosec")?.as_i64()?;
    Some(TransformStamped {
        parent: header.get("frame_id")?.as_str()?,
        child: transform.get("child_frame_id")?.as_str()?,
        stamp: (!is_fixed).then_some(stamp),
        translation: numbers(geometry.get("translation")?, ["x", "y", "z"]),
        rotation: numbers(geometry.get("rotation")?, ["x", "y", "z", "w"]),
    })
}

/// JSON has no NaN and no infinity, and says null.
fn numbers<const N: usize>(fields: &Value, names: [&str; N]) -> [f64; N] {
    names.map(|name| fields.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN))
}

const MESSAGE: &str = "tf2_msgs/msg/TFMessage";
/// As tf2 has it.
const DEPTH: usize = 100;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_transform_is_read_whatever_its_numbers_are() {
        let transform = json!({
            "header": {"stamp": {"sec": 3, "nanosec": 5}, "frame_id": "base"},
            "child_frame_id": "camera",
            "transform": {
                "translation": {"x": 0.5, "y": null, "z": 2},
                "rotation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0}
            }
        });
        let read = edge(&transform, false).unwrap();
        assert_eq!((read.parent, read.child, read.stamp), ("base", "camera", Some(3_000_000_005)));
        assert_eq!(
            (read.translation[0], read.translation[2], read.rotation),
            (0.5, 2.0, [0.0, 0.0, 0.0, 1.0])
        );
        assert!(read.translation[1].is_nan());
        assert_eq!(edge(&transform, true).unwrap().stamp, None);
        assert!(edge(&json!({}), false).is_none());
    }
}
