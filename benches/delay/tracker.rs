//! The hand tracker. It publishes poses that contain their sequence number.

use std::time::{Duration, Instant};

use anyhow::bail;
use r2r::geometry_msgs::msg::{Point, PoseStamped};
use r2r::{Clock, ClockType, Publisher, QosProfile};

/// The first target, in metres. It is the bridge's default `arm.home`, so that the approach has no
/// distance.
const ORIGIN: [f64; 3] = [0.2, 0.0, 0.2];

/// A publisher of numbered poses on `target_pose`.
pub struct Tracker {
    publisher: Publisher<PoseStamped>,
    clock: Clock,
    pose: PoseStamped,
    _node: r2r::Node,
}

impl Tracker {
    pub fn create() -> anyhow::Result<Self> {
        let mut node = r2r::Node::create(r2r::Context::create()?, "delay", "")?;
        let publisher = node.create_publisher("target_pose", QosProfile::default())?;
        let mut pose = PoseStamped::default();
        pose.header.frame_id = "arm_base".into();
        pose.pose.orientation.w = 1.0;
        Ok(Self { publisher, clock: Clock::create(ClockType::SystemTime)?, pose, _node: node })
    }

    /// Publishes the pose with the number `seq` and a stamp of now. Returns the time just before
    /// publishing.
    pub fn publish(&mut self, seq: u32) -> anyhow::Result<Instant> {
        let [x, y, z] = ORIGIN;
        self.pose.pose.position = Point { x: x + f64::from(seq) * 1e-6, y, z };
        self.pose.header.stamp = Clock::to_builtin_time(&self.clock.get_now()?);
        let before = Instant::now();
        self.publisher.publish(&self.pose)?;
        Ok(before)
    }

    /// Waits until there is no subscriber, so that the next program is the only one.
    pub fn wait_until_alone(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + ALONE_TIMEOUT;
        while self.publisher.get_inter_process_subscription_count()? > 0 {
            if Instant::now() > deadline {
                bail!("target_pose still has a subscriber {ALONE_TIMEOUT:?} after all programs have ended");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// Returns the sequence number in a commanded position, which is in millimetres. Returns `None` if
/// the tracker has not published this position.
pub fn sequence(position: [f64; 3]) -> Option<u32> {
    let offset = |axis: usize| (position[axis] - ORIGIN[axis] * 1e3) * 1e3;
    let seq = offset(0).round();
    let exact = [offset(0) - seq, offset(1), offset(2)].iter().all(|rest| rest.abs() < 1e-3);
    (exact && (0.0..=f64::from(u32::MAX)).contains(&seq)).then_some(seq as u32)
}

/// A steady rate. It sleeps for most of the period and spins for the rest.
pub struct Metronome {
    period: Duration,
    next: Instant,
}

impl Metronome {
    pub fn new(rate: u32) -> Self {
        Self { period: Duration::from_secs(1) / rate, next: Instant::now() }
    }

    /// Waits until the next period. Skips periods that were missed completely, so that there is no
    /// burst.
    pub fn wait(&mut self) {
        self.next = (self.next + self.period).max(Instant::now());
        if let Some(rest) = self.next.checked_duration_since(Instant::now() + SPIN) {
            std::thread::sleep(rest);
        }
        while Instant::now() < self.next {
            std::hint::spin_loop();
        }
    }
}

/// The usual maximum by which a sleep is too long: 50 µs of timer slack and a wake-up.
const SPIN: Duration = Duration::from_micros(150);
/// The longest wait for the subscribers to leave. DDS removes a killed subscriber after its lease
/// of 20 s.
const ALONE_TIMEOUT: Duration = Duration::from_secs(30);
