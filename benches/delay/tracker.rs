//! The hand tracker: publishes poses that carry their own sequence number.

use std::time::{Duration, Instant};

use anyhow::bail;
use r2r::geometry_msgs::msg::{Point, PoseStamped};
use r2r::{Clock, ClockType, Publisher, QosProfile};

/// The first target, metres: the bridge's default `arm.home`, so that its approach ends where it begins.
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

    /// Publishes pose number `seq`, stamped now. Returns the moment before.
    pub fn publish(&mut self, seq: u32) -> anyhow::Result<Instant> {
        let [x, y, z] = ORIGIN;
        self.pose.pose.position = Point { x: x + f64::from(seq) * 1e-6, y, z };
        self.pose.header.stamp = Clock::to_builtin_time(&self.clock.get_now()?);
        let before = Instant::now();
        self.publisher.publish(&self.pose)?;
        Ok(before)
    }

    /// Waits until nobody listens any more, so that the next program is alone.
    pub fn wait_until_alone(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + ALONE_TIMEOUT;
        while self.publisher.get_inter_process_subscription_count()? > 0 {
            if Instant::now() > deadline {
                bail!("somebody still subscribes to target_pose {ALONE_TIMEOUT:?} after all have gone");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

/// The sequence number in a commanded position, millimetres; none if the position is no published one.
pub fn sequence(position: [f64; 3]) -> Option<u32> {
    let offset = |axis: usize| (position[axis] - ORIGIN[axis] * 1e3) * 1e3;
    let seq = offset(0).round();
    let exact = [offset(0) - seq, offset(1), offset(2)].iter().all(|rest| rest.abs() < 1e-3);
    (exact && (0.0..=f64::from(u32::MAX)).contains(&seq)).then_some(seq as u32)
}

/// Beats at a steady rate: sleeps most of the way, spins the rest.
pub struct Metronome {
    period: Duration,
    next: Instant,
}

impl Metronome {
    pub fn new(rate: u32) -> Self {
        Self { period: Duration::from_secs(1) / rate, next: Instant::now() }
    }

    /// Returns at the next beat. A beat that was missed altogether is left out: no burst makes up for it.
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

/// More than a sleep oversleeps, as a rule: 50 µs of timer slack and a wake-up.
const SPIN: Duration = Duration::from_micros(150);
/// Whoever was killed is known to be gone after the lease of DDS, 20 s.
const ALONE_TIMEOUT: Duration = Duration::from_secs(30);
