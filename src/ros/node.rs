#![allow(clippy::disallowed_methods)] // measures how fast the node spins
//! The node. It creates all entities first. Then one thread spins the node and handles the
//! messages.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rcl_ext::RclError;

use super::arguments::Arguments;
use super::clock::RosClock;
use super::context::{ContextError, context};
use super::error::RosError;
use super::gripper::{GRIPPER, GripperMessage, GripperSource};
use super::params::{Given, ParameterFaults, ParameterServer, Start};
use super::publisher_monitor::PublisherMonitor;
use super::r2r_ext::{IdleReturns, NodeNames};
use super::rosout;
use super::services::Services;
use super::status::Publishers;
use super::stop_topic::StopTopic;
use super::targets::{Received, SourceError, TargetSource};
use crate::app::Bridge;
use crate::config::Config;
use crate::config::table::{BridgeTable, GRIPPER_TYPE};
use crate::params::Value;

/// Why the node was not created or has ended.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The arguments or a parameter file cannot be read, or ROS does not start.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A parameter has a wrong value.
    #[error(transparent)]
    Parameters(#[from] ParameterFaults),
    /// The bridge cannot subscribe to the configured source of targets.
    #[error(transparent)]
    Source(SourceError),
    /// Another error of ROS.
    #[error("{0}{hint}", hint = security_hint())]
    Ros(RosError),
    /// The spin thread no longer waits for messages.
    #[error("ROS no longer waits for messages: it repeatedly returned immediately and without a message")]
    NotWaiting,
}

impl NodeError {
    fn of_source(error: SourceError) -> Self {
        match error {
            SourceError::Ros(error) => Self::Ros(error),
            error => Self::Source(error),
        }
    }
}

impl From<r2r::Error> for NodeError {
    fn from(error: r2r::Error) -> Self {
        Self::Ros(error.into())
    }
}

impl From<RclError> for NodeError {
    /// rcl read the same arguments for the context, so the error is about the arguments.
    fn from(error: RclError) -> Self {
        Self::Context(ContextError::Arguments(error.to_string()))
    }
}

/// Returns what to check if ROS security is enabled, because rcl's text does not contain it.
fn security_hint() -> &'static str {
    match std::env::var("ROS_SECURITY_ENABLE").as_deref() {
        Ok("true") => {
            "; ROS_SECURITY_ENABLE is set: does ROS_SECURITY_KEYSTORE have this node's enclave, and was the middleware built \
             with security? See docs/security.md"
        }
        _ => "",
    }
}

/// The node with all its entities except the publishers. [`RosNode::create`] returns the
/// publishers.
pub struct RosNode {
    node: r2r::Node,
    context: r2r::Context,
    clock: RosClock,
    targets: TargetSource,
    /// `None` if the gripper's input is in the messages with targets.
    gripper: Option<GripperSource>,
    monitor: PublisherMonitor,
    services: Services,
    /// `None` if `stop.topic` is not set.
    stop_topic: Option<StopTopic>,
    parameters: ParameterServer,
}

impl RosNode {
    /// Creates the node from the arguments of the process, with all publishers, subscriptions and
    /// services.
    ///
    /// # Errors
    /// ROS rejects an argument, a parameter is wrong, or rcl fails.
    pub fn create(arguments: &Arguments) -> Result<(Self, Publishers, Config), NodeError> {
        let context = context(arguments)?;
        let mut node = r2r::Node::create(context.clone(), NODE_NAME, "")?;
        rosout::set_logger(node.logger());
        let given = Given::read(arguments, &node.fully_qualified_name()?)?;
        let Start { parameters, use_sim_time } = Start::read(&given)?;
        let config = Config::new(&parameters).map_err(ParameterFaults::of)?;
        let clock = if use_sim_time {
            node.get_time_source().enable_sim_time(&mut node)?;
            RosClock::Simulated(node.get_ros_clock())
        } else {
            RosClock::System
        };
        rosout::publish_logs(&mut node, arguments, clock.clone())?;
        given.log::<BridgeTable>();
        let publishers = Publishers::create(&mut node, clock.clone(), &config.frames.base)?;
        let names = NodeNames::of(&node, arguments)?;
        let services = Services::create(&mut node, &names)?;
        let parameters = ParameterServer::create(&mut node, config.clone(), use_sim_time, clock.clone())?;
        let targets = TargetSource::create(&mut node, &config, &clock).map_err(NodeError::of_source)?;
        let gripper = config
            .has_gripper_topic()
            .then(|| GripperSource::create(&mut node, config.gripper_type))
            .transpose()?;
        let (target_topic, gripper_topic) =
            (config.source.topic.as_str(), gripper.is_some().then_some(GRIPPER));
        names.warn_of_idle_rules(target_topic, gripper_topic);
        let stop_topic = config.stop_topic.as_deref();
        let stop_topic = stop_topic
            .map(|topic| StopTopic::create(&mut node, topic))
            .transpose()
            .map_err(NodeError::of_source)?;
        let target_type = config.source.message_type.as_str();
        let gripper_type = match config.parameters().value(GRIPPER_TYPE.name) {
            Some(Value::Text(message_type)) => Some(message_type.as_str()),
            _ => None,
        };
        let monitor = PublisherMonitor::new(
            names,
            (target_topic, target_type),
            gripper_topic.zip(gripper_type),
            Instant::now(),
        );
        let this = Self { node, context, clock, targets, gripper, monitor, services, stop_topic, parameters };
        Ok((this, publishers, config))
    }

    /// Returns the full name of the node.
    ///
    /// # Errors
    /// rcl fails.
    pub fn full_name(&self) -> Result<String, NodeError> {
        Ok(self.node.fully_qualified_name()?)
    }

    /// Takes messages and handles them on this thread, until `end` is set.
    ///
    /// # Errors
    /// ROS no longer waits for messages. The caller must end the process, because other nodes still
    /// see this node as alive. Report the error before you drop the node, because dropping it can
    /// take long.
    pub fn spin(&mut self, bridge: &Bridge, end: &AtomicBool) -> Result<(), NodeError> {
        if !rcl_ext::watch_publishers(self.monitor.target_topic()) {
            tracing::warn!(
                "this build cannot see which publisher sent a message: it detects a second publisher only by \
                 contradicting messages"
            );
        }
        let mut idle_returns = IdleReturns::default();
        let mut handled = Instant::now();
        let mut stall = Stall::default();
        while !end.load(Ordering::Relaxed) {
            let waiting = Instant::now();
            self.node.spin_once(SPIN_TIMEOUT);
            let now = Instant::now();
            let waited = now - waiting;
            // A message that is taken now may have arrived while the last messages were being
            // handled. If the wait was longer than its timeout, the process was stopped or got no
            // processor time. The message may then have arrived at any moment of the wait.
            let stall = stall.note(now, (waiting - handled) + waited.saturating_sub(SPIN_TIMEOUT));
            handled = now;
            for news in self.monitor.check(&self.node, now) {
                bridge.handle_graph(news);
            }
            if let Some(notes) = self.monitor.take_notes() {
                bridge.handle_input_notes(notes);
            }
            let idle = !self.handle(bridge, now, stall) && waited <= IDLE_RETURN;
            if idle_returns.note(idle) || idle && !self.context.is_valid() {
                return Err(NodeError::NotWaiting);
            }
        }
        Ok(())
    }

    /// Handles the messages of one spin: first stop requests, then targets, then the rest. Returns
    /// whether there was a message.
    fn handle(&mut self, bridge: &Bridge, now: Instant, stall: Duration) -> bool {
        let mut taken = self.services.answer_stop(bridge);
        while let Some(stop) = self.stop_topic.as_mut().and_then(StopTopic::take) {
            bridge.handle_stop_message(stop);
            taken = true;
        }
        let mut next = || self.gripper.as_mut()?.take(|| self.monitor.gripper_is_alone(&self.node));
        while let Some(message) = next() {
            match message {
                GripperMessage::Live(input) => bridge.handle_gripper(input),
                GripperMessage::Latched(input) => bridge.handle_kept_gripper(input),
            }
            taken = true;
        }
        taken |= self.targets.take_transforms(|| self.clock.now());
        // Handle the waiting targets before the new targets, so that an older target never follows
        // a newer one.
        while let Some(target) = self.targets.poll_waiting(now, || self.clock.now()) {
            bridge.handle_target(target);
            taken = true;
        }
        while let Some(received) = self.targets.take(now, stall, || self.clock.now()) {
            if let Received::Decided(target) = received {
                bridge.handle_target(target);
            }
            taken = true;
        }
        taken |= self.services.answer(bridge, stall);
        if self.parameters.answer(bridge) {
            self.targets.handle_config(self.parameters.config());
            taken = true;
        }
        taken
    }
}

/// The last stall of this thread. The threads of the middleware stall at the same time. Shortly
/// after the stall, they deliver the messages that arrived during it.
#[derive(Debug, Default)]
struct Stall {
    stall: Duration,
    over: Option<Instant>,
}

impl Stall {
    /// Records a stall of the thread that ended at `now`. Returns how long a message that is taken
    /// now may have waited.
    fn note(&mut self, now: Instant, stall: Duration) -> Duration {
        let recent = self.over.is_some_and(|over| now.saturating_duration_since(over) < AFTERMATH);
        if !recent || stall >= self.stall {
            *self = Self { stall, over: Some(now) };
        }
        self.stall
    }
}

const NODE_NAME: &str = "aether_bridge";
/// The timeout of a spin without messages. It limits the delay until the thread sees `end`.
const SPIN_TIMEOUT: Duration = Duration::from_millis(100);
/// The time after a stall within which the middleware delivers all messages of the stall.
const AFTERMATH: Duration = Duration::from_millis(250);
/// A spin that returns within this time has not waited.
const IDLE_RETURN: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_after_a_stall_may_be_old() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let mut stall = Stall::default();
        assert_eq!(stall.note(start, ms(1)), ms(1));
        assert_eq!(stall.note(start + ms(1000), ms(900)), ms(900));
        assert_eq!(stall.note(start + ms(1001), ms(0)), ms(900));
        assert_eq!(stall.note(start + ms(1249), ms(0)), ms(900));
        assert_eq!(stall.note(start + ms(1250), ms(0)), ms(0));
    }
}
