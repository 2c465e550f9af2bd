#![allow(clippy::disallowed_methods)] // owns the clock of the hand
//! The node: one thread publishes, one thread spins, and the main thread waits for a signal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use aether_bridge::params::Changed;
use aether_bridge::ros::clock::RosClock;
use aether_bridge::ros::context::{ContextError, context};
use aether_bridge::ros::params::{Given, ParameterServices, Settable, Start, requested};
use aether_bridge::ros::rosout;
use aether_bridge::ros::{Arguments, ParameterFaults, RosError};
use aether_sim::hand::{Hand, HandError, HandPose, Reading};
use r2r::geometry_msgs::msg::{Point, Pose, PoseStamped, Quaternion};
use r2r::rcl_interfaces::msg::Parameter;
use r2r::std_msgs::msg::{Bool, Float32, Header};
use r2r::{Clock, Publisher, QosProfile};
use tokio::signal::unix::{SignalKind, signal};

use crate::parameters::{GripperType, HandTable, Parameters, Settings};

/// The reason why the node cannot run.
#[derive(Debug, thiserror::Error)]
pub enum HandNodeError {
    /// The arguments or a parameter file cannot be read, or ROS cannot be initialized.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A parameter is invalid.
    #[error(transparent)]
    Parameters(#[from] ParameterFaults),
    /// The parameters together are not a valid hand.
    #[error(transparent)]
    Hand(#[from] HandError),
    /// Another error of ROS.
    #[error(transparent)]
    Ros(RosError),
    /// The operating system did not create a thread or a signal handler.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A thread has panicked; its message is on the standard error.
    #[error("the thread '{0}' panicked")]
    Panicked(&'static str),
}

impl From<r2r::Error> for HandNodeError {
    fn from(error: r2r::Error) -> Self {
        Self::Ros(error.into())
    }
}

/// The node and its publishers, ready to run.
pub struct HandNode {
    node: r2r::Node,
    services: ParameterServices,
    parameters: ReadAtStart,
    hand: Hand,
    tracker: Tracker,
}

/// Publishes the output of the tracker.
struct Tracker {
    poses: Publisher<PoseStamped>,
    gripper: Gripper,
    clock: Arc<Mutex<Clock>>,
    frame_id: String,
}

enum Gripper {
    Bool(Publisher<Bool>),
    Float32(Publisher<Float32>),
}

impl HandNode {
    /// Creates the node from the arguments of the process.
    ///
    /// # Errors
    /// If ROS rejects the arguments, a parameter is invalid, or rcl fails.
    pub fn create(arguments: &Arguments) -> Result<Self, HandNodeError> {
        let context = context(arguments)?;
        let mut node = r2r::Node::create(context, "hand_sim", "")?;
        rosout::set_logger(node.logger());
        let clock = RosClock::Simulated(node.get_ros_clock());
        rosout::publish_logs(&mut node, arguments, clock)?;
        let given = Given::read(arguments, &node.fully_qualified_name()?)
            .map_err(|error| ContextError::Arguments(error.to_string()))?;
        let parameters = Start::read(&given)?;
        given.log::<HandTable>();
        if parameters.use_sim_time {
            node.get_time_source().enable_sim_time(&mut node)?;
        }
        let settings = Settings::new(&parameters.parameters).map_err(ParameterFaults::of)?;
        let Settings { hand, frame_id, gripper_type } = settings;
        let services = ParameterServices::create(&mut node, parameters.use_sim_time)?;
        // Reliable, so that the publisher matches every subscription.
        let qos = QosProfile::default().keep_last(10).reliable();
        let gripper = match gripper_type {
            GripperType::Bool => Gripper::Bool(node.create_publisher("gripper", qos.clone())?),
            GripperType::Float32 => Gripper::Float32(node.create_publisher("gripper", qos.clone())?),
        };
        let poses = node.create_publisher("target_pose", qos)?;
        tracing::info!("a hand in frame '{frame_id}' at {} Hz, seed {}", hand.rate, hand.seed);
        let tracker = Tracker { poses, gripper, clock: node.get_ros_clock(), frame_id };
        Ok(Self { node, services, parameters: ReadAtStart(parameters), hand: Hand::new(hand)?, tracker })
    }

    /// Publishes until SIGINT or SIGTERM.
    ///
    /// # Errors
    /// The error that ended the node early.
    pub fn run(mut self) -> Result<(), HandNodeError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut interrupt, mut terminate) = {
            let _context = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let end = Arc::new(AtomicBool::new(false));
        let spin = thread::Builder::new().name("ros-spin".into()).spawn({
            let end = Arc::clone(&end);
            move || {
                while !end.load(Ordering::Relaxed) {
                    self.node.spin_once(SPIN_TIMEOUT);
                    self.services.answer(&mut self.parameters);
                }
            }
        })?;
        let (running, ended) = mpsc::channel();
        let (tracker, hand) = (self.tracker, self.hand);
        let publish = thread::Builder::new().name("hand".into()).spawn(move || tracker.run(hand, &ended))?;
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => tracing::info!("SIGINT: shutting down"),
                _ = terminate.recv() => tracing::info!("SIGTERM: shutting down"),
            }
        });
        drop(running);
        publish.join().map_err(|_| HandNodeError::Panicked("hand"))?;
        end.store(true, Ordering::Relaxed);
        spin.join().map_err(|_| HandNodeError::Panicked("ros-spin"))
    }
}

impl Tracker {
    /// Publishes each sample when it is due, until the sender of `ended` is dropped.
    fn run(&self, mut hand: Hand, ended: &mpsc::Receiver<()>) {
        let start = Instant::now();
        loop {
            let sample = hand.next(start.elapsed());
            let due = start + sample.taken + sample.delay;
            // Do not use a timer of tokio. Its resolution is 1 ms, which is a full period at 1 kHz.
            match ended.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) => {
                    self.publish(sample.reading, (start + sample.taken).elapsed())
                }
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn publish(&self, reading: Reading, age: Duration) {
        let (pose, opening) = match reading {
            Reading::Hand(hand) => (pose(hand), Some(hand.opening)),
            Reading::Zeros => (zeros(), None),
            Reading::Nothing => return,
        };
        let now = self.clock.lock().unwrap_or_else(PoisonError::into_inner).get_now().unwrap_or_default();
        let stamp = Clock::to_builtin_time(&now.saturating_sub(age));
        let header = Header { stamp, frame_id: self.frame_id.clone() };
        let published =
            self.poses.publish(&PoseStamped { header, pose }).and_then(|()| match &self.gripper {
                Gripper::Bool(publisher) => {
                    publisher.publish(&Bool { data: opening.is_some_and(|opening| opening < HALF_OPEN) })
                }
                Gripper::Float32(publisher) => {
                    publisher.publish(&Float32 { data: opening.unwrap_or(0.0) as f32 })
                }
            });
        if let Err(error) = published {
            tracing::warn!(%error, "could not publish a message");
        }
    }
}

fn pose(hand: HandPose) -> Pose {
    let [x, y, z] = hand.position;
    let (sin, cos) = (hand.yaw / 2.0).sin_cos();
    Pose { position: Point { x, y, z }, orientation: Quaternion { x: 0.0, y: 0.0, z: sin, w: cos } }
}

/// Returns a pose of zeros. The default pose is different: its orientation is the identity.
fn zeros() -> Pose {
    Pose { position: Point::default(), orientation: Quaternion { x: 0.0, y: 0.0, z: 0.0, w: 0.0 } }
}

/// Parameters that are read at the start. While the node runs, they can be listed, described and
/// read, but not changed.
struct ReadAtStart(Start<HandTable>);

impl Settable for ReadAtStart {
    type Table = HandTable;

    fn parameters(&self) -> &Parameters {
        &self.0.parameters
    }

    fn set(&mut self, given: &[Parameter]) -> Result<(), String> {
        let Start { parameters, use_sim_time } = &self.0;
        let requested = requested(parameters, *use_sim_time, given)?;
        let mut changes = Changed::between(parameters, &requested);
        changes.try_for_each(|changed| changed.check(false)).map_err(|error| error.to_string())
    }
}

/// How long one spin waits for work. It limits the delay of the shutdown.
const SPIN_TIMEOUT: Duration = Duration::from_millis(50);
/// The hand counts as closed if its opening is below this value (0: fingers together, 1: apart).
const HALF_OPEN: f64 = 0.5;
