#![allow(clippy::disallowed_methods)] // watches how fast the node spins
//! The node: every entity created first, then one thread that spins it and handles what it takes.

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
use super::targets::{Received, SourceError, TargetSource};
use crate::app::Bridge;
use crate::config::Config;
use crate::config::table::BridgeTable;

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The arguments or a parameter file cannot be read, or ROS cannot be.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A parameter is wrong.
    #[error(transparent)]
    Parameters(#[from] ParameterFaults),
    /// Targets cannot come from where the parameters say.
    #[error(transparent)]
    Source(SourceError),
    /// Something else in ROS.
    #[error("{0}{hint}", hint = security_hint())]
    Ros(RosError),
    /// The spin thread no longer waits for messages.
    #[error("ROS no longer waits for messages: the node returned at once and with nothing, again and again")]
    NotWaiting,
}

impl From<r2r::Error> for NodeError {
    fn from(error: r2r::Error) -> Self {
        Self::Ros(error.into())
    }
}

impl From<RclError> for NodeError {
    /// rcl has read these arguments before, for the context.
    fn from(error: RclError) -> Self {
        Self::Context(ContextError::Arguments(error.to_string()))
    }
}

/// rcl does not say what to look at.
fn security_hint() -> &'static str {
    match std::env::var("ROS_SECURITY_ENABLE").as_deref() {
        Ok("true") => {
            "; ROS_SECURITY_ENABLE is set: does ROS_SECURITY_KEYSTORE have this node's enclave, and was the middleware built \
             with security? See docs/security.md"
        }
        _ => "",
    }
}

/// The node with all its entities but the publishers, which [`RosNode::create`] hands out.
pub struct RosNode {
    node: r2r::Node,
    context: r2r::Context,
    clock: RosClock,
    targets: TargetSource,
    /// None if only the messages with targets say what the gripper is to do.
    gripper: Option<GripperSource>,
    monitor: PublisherMonitor,
    services: Services,
    parameters: ParameterServer,
}

impl RosNode {
    /// Creates the node from the arguments of the process, with everything that it publishes, subscribes and offers.
    ///
    /// # Errors
    /// Arguments that ROS does not take, parameters that are wrong, or what rcl says.
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
        let services = Services::create(&mut node)?;
        let parameters = ParameterServer::create(&mut node, config.clone(), use_sim_time, clock.clone())?;
        let targets = TargetSource::create(&mut node, &config, &clock).map_err(|error| match error {
            SourceError::Ros(error) => NodeError::Ros(error),
            error => NodeError::Source(error),
        })?;
        let gripper = config
            .has_gripper_topic()
            .then(|| GripperSource::create(&mut node, config.gripper_type))
            .transpose()?;
        let (target_topic, gripper_topic) =
            (config.source.topic.as_str(), gripper.is_some().then_some(GRIPPER));
        let names = NodeNames::of(&node, arguments)?;
        names.warn_of_idle_rules(target_topic, gripper_topic);
        let monitor = PublisherMonitor::new(names, target_topic, gripper_topic, Instant::now());
        let this = Self { node, context, clock, targets, gripper, monitor, services, parameters };
        Ok((this, publishers, config))
    }

    /// Takes messages and handles them on this thread, until `end` is set.
    ///
    /// # Errors
    /// When ROS no longer waits for messages. It must not go on as a node that looks alive: report the end before the
    /// node is dropped, because that can take long.
    pub fn spin(&mut self, bridge: &Bridge, end: &AtomicBool) -> Result<(), NodeError> {
        let mut idle_returns = IdleReturns::default();
        let mut handled = Instant::now();
        let mut stall = Stall::default();
        while !end.load(Ordering::Relaxed) {
            let waiting = Instant::now();
            self.node.spin_once(SPIN_TIMEOUT);
            let now = Instant::now();
            let waited = now - waiting;
            // What is taken now may have come while the last was being handled, or at any moment of a wait that took
            // longer than it should have: the process was stopped, or starved.
            let stall = stall.note(now, (waiting - handled) + waited.saturating_sub(SPIN_TIMEOUT));
            handled = now;
            for news in self.monitor.check(&self.node, now) {
                bridge.handle_graph(news);
            }
            let idle = !self.handle(bridge, now, stall) && waited <= IDLE_RETURN;
            if idle_returns.note(idle) || idle && !self.context.is_valid() {
                return Err(NodeError::NotWaiting);
            }
        }
        Ok(())
    }

    /// Handles what one spin has taken: a stop request, then the hand, then the rest. Returns whether there was
    /// anything.
    fn handle(&mut self, bridge: &Bridge, now: Instant, stall: Duration) -> bool {
        let mut taken = self.services.answer_stop(bridge);
        let mut next = || self.gripper.as_mut()?.take(|| self.monitor.gripper_is_alone(&self.node));
        while let Some(message) = next() {
            match message {
                GripperMessage::Live(input) => bridge.handle_gripper(input),
                GripperMessage::Latched(input) => bridge.handle_kept_gripper(input),
            }
            taken = true;
        }
        taken |= self.targets.take_transforms(|| self.clock.now());
        // Before newer ones, which they must not overtake.
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
        taken |= self.services.answer(bridge);
        if self.parameters.answer(bridge) {
            self.targets.handle_config(self.parameters.config());
            taken = true;
        }
        taken
    }
}

/// The last time that this thread was held up. The middleware's threads were held up with it, and hand over what came
/// meanwhile a moment later.
#[derive(Debug, Default)]
struct Stall {
    stall: Duration,
    over: Option<Instant>,
}

impl Stall {
    /// Takes note of for how long the thread was held up by `now`, and returns for how long what is taken now may have
    /// waited.
    fn note(&mut self, now: Instant, stall: Duration) -> Duration {
        let recent = self.over.is_some_and(|over| now.saturating_duration_since(over) < AFTERMATH);
        if !recent || stall >= self.stall {
            *self = Self { stall, over: Some(now) };
        }
        self.stall
    }
}

const NODE_NAME: &str = "aether_bridge";
/// How long a spin waits when nothing comes; bounds how late `end` is seen.
const SPIN_TIMEOUT: Duration = Duration::from_millis(100);
/// Until what came while the process was stopped has certainly been handed over.
const AFTERMATH: Duration = Duration::from_millis(250);
const IDLE_RETURN: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_right_after_a_stall_may_be_as_old_as_the_stall_was_long() {
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
