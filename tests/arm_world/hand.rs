//! A hand in front of a camera, and its tracker.

use std::time::{Duration, Instant};

use aether_bridge::geometry::Position;
use aether_bridge::teleop::{Frame, GripperInput, Target};
use nalgebra::{Point3, Vector3};

use crate::script::Loss;

pub struct Hand {
    at: Point3<f64>,
    goal: Point3<f64>,
    speed: f64,
    pub opening: f64,
    lost: Option<(Loss, Instant)>,
    frozen_at: Point3<f64>,
    period: Duration,
    pub next: Instant,
    count: u64,
}

/// A message of the tracker.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Sample {
    Target(Target),
    Invalid,
    Nothing,
}

impl Hand {
    pub fn new(now: Instant, period: Duration) -> Self {
        let at = Point3::new(0.2, 0.0, 0.2);
        let (speed, opening) = (0.0, 1.0);
        Self { at, goal: at, speed, opening, lost: None, frozen_at: at, period, next: now + period, count: 0 }
    }

    pub fn goes(&mut self, to: [f64; 3], speed: f64) {
        (self.goal, self.speed) = (to.into(), speed);
    }

    pub fn jumps(&mut self, to: [f64; 3]) {
        (self.at, self.goal) = (to.into(), to.into());
    }

    pub fn lose(&mut self, how: Loss, until: Instant) {
        (self.lost, self.frozen_at) = (Some((how, until)), self.at);
    }

    /// Returns the sample that is due now.
    pub fn sample(&mut self, now: Instant) -> Sample {
        self.next = now + self.period;
        self.count += 1;
        let way = self.goal - self.at;
        let reach = self.speed * self.period.as_secs_f64();
        self.at += if way.norm() > reach { way * (reach / way.norm()) } else { way };
        if self.lost.is_some_and(|(_, until)| until <= now) {
            self.lost = None;
        }
        // A real hand always trembles a little.
        let phase = self.count as f64;
        let tremble = Vector3::new((phase * 1.7).sin(), (phase * 2.3).cos(), (phase * 0.9).sin()) * 2e-4;
        match self.lost.map(|(how, _)| how) {
            Some(Loss::Silence) => Sample::Nothing,
            Some(Loss::Invalid) => Sample::Invalid,
            Some(Loss::Zeros) => self.target(Point3::origin()),
            Some(Loss::Frozen) => self.target(self.frozen_at),
            None => self.target(self.at + tremble),
        }
    }

    fn target(&self, at: Point3<f64>) -> Sample {
        Sample::Target(Target {
            position: Position::new(at.x, at.y, at.z).expect("a hand is near"),
            orientation: None,
            frame: Frame::Base,
            stamp: None,
            gripper: Some(GripperInput::Opening(self.opening)),
            stall: Duration::ZERO,
            publisher: None,
        })
    }
}
