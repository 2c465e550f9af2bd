//! The transforms of `/tf` and `/tf_static`, for targets in frames that no parameter names. The
//! subscriptions find the message type by its name, so that the bridge also builds and runs without
//! `tf2_msgs`.

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

/// The subscriptions to both topics, and the targets that wait for a transform.
pub struct Tf {
    moving: Inbox<r2r::Result<Value>>,
    fixed: Inbox<r2r::Result<Value>>,
    lookup: Lookup,
    /// Whether transforms have arrived since the last check of the waiting targets.
    news: bool,
    /// The causes of rejection that have been logged.
    logged: HashSet<Discriminant<TransformRejected>>,
}

impl Tf {
    /// Subscribes to both topics. If `tf.enabled` is false or `tf2_msgs` is not built in, logs this
    /// and returns `None`.
    ///
    /// # Errors
    /// rcl fails.
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
                "{obstacle}: the bridge rejects a target if its frame_id is not retarget.frame or arm.base_frame"
            );
            return Ok(None);
        }
        // Best effort matches every publisher. A fixed transform is published once, so its
        // subscription must also receive earlier messages (transient local).
        let moving = QosProfile::default().keep_last(DEPTH).best_effort();
        let fixed = QosProfile::default().keep_last(DEPTH).reliable().transient_local();
        Ok(Some(Self {
            moving: Inbox::new(node.subscribe_untyped("/tf", MESSAGE, moving)?),
            fixed: Inbox::new(node.subscribe_untyped("/tf_static", MESSAGE, fixed)?),
            lookup: Lookup::new(lookup_config(config)),
            news: false,
            logged: HashSet::new(),
        }))
    }

    /// Applies new settings.
    pub fn handle_config(&mut self, config: &Config) {
        self.lookup.handle_config(lookup_config(config));
    }

    /// Takes the transforms that have arrived. Returns whether there was a message.
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

    /// Handles a target in another frame. Returns the transformed target or the fault, or `None` if
    /// the target waits for its transform.
    pub fn handle_target(
        &mut self,
        now: Instant,
        ros_now: Duration,
        target: PendingTarget,
    ) -> Option<Result<Target, InputFault>> {
        self.lookup.handle_target(now, nanoseconds_of(ros_now), target)
    }

    /// Records a target that needs no lookup, or a message that is not a target.
    pub fn handle_other(&mut self) {
        self.lookup.handle_other();
    }

    /// Returns a target whose wait is over, or the fault if its transform has not arrived in time.
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
            if self.logged.insert(discriminant(&ignored)) {
                tracing::warn!(
                    "a transform of '{child}' on {topic} is ignored: {ignored}; this warning appears once for each cause"
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

/// Reads a `geometry_msgs/TransformStamped`. Returns `None` if a field is missing, which no message
/// of this type does.
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

/// Reads numbers from fields. A field that is not a number becomes NaN, because JSON writes NaN and
/// infinity as null.
fn numbers<const N: usize>(fields: &Value, names: [&str; N]) -> [f64; N] {
    names.map(|name| fields.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN))
}

const MESSAGE: &str = "tf2_msgs/msg/TFMessage";
/// The depth of the queues, the same as in tf2.
const DEPTH: usize = 100;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn transform_with_null_is_read_as_nan() {
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
