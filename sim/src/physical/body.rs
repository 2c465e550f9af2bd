//! The mechanics of the arm: its position and the causes of its motion.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use aether_bridge::arm::{Command, Gripper};
use aether_bridge::geometry::{Orientation, Position};
use nalgebra::{Point3, Vector3};

/// The cause of a motion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mover {
    /// A command of the bridge.
    Command,
    /// The controller, which homes the arm.
    Homing,
    /// A hand on the arm, a pendant, or another program.
    Person,
    /// Gravity.
    Gravity,
}

/// A tool centre point with an orientation, and a gripper.
#[derive(Debug, Clone)]
pub struct Body {
    // Not a `Position`, because `Position` rounds to a micrometre and shorter steps must add up.
    at: Point3<f64>,
    velocity: Vector3<f64>,
    orientation: Orientation,
    gripper: Gripper,
    legs: VecDeque<Leg>,
    stalled: bool,
    acceleration: f64,
    moved_until: Instant,
    travelled: [f64; MOVERS],
}

#[derive(Debug, Clone, Copy)]
struct Leg {
    goal: Point3<f64>,
    orientation: Option<Orientation>,
    speed: f64,
    rotation_speed: f64,
    mover: Mover,
}

const MOVERS: usize = 4;

impl Body {
    /// Creates a body at rest with an open gripper.
    pub fn new(now: Instant, at: Position, orientation: Orientation, acceleration: f64) -> Self {
        Self {
            at: at.point(),
            velocity: Vector3::zeros(),
            orientation,
            gripper: Gripper::Open,
            legs: VecDeque::with_capacity(8),
            stalled: false,
            acceleration,
            moved_until: now,
            travelled: [0.0; MOVERS],
        }
    }

    /// Moves the body up to the time `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut left = now.saturating_duration_since(self.moved_until).as_secs_f64();
        self.moved_until = self.moved_until.max(now);
        while left > 0.0 {
            let Some(&leg) = self.legs.front() else { return };
            if self.blocks(&leg) {
                self.velocity = Vector3::zeros();
                return;
            }
            if let Some(goal) = leg.orientation {
                let most = leg.rotation_speed * left.min(SLICE);
                self.orientation = self.orientation.towards(goal, most);
            }
            left -= if self.acceleration.is_finite() && leg.mover == Mover::Command {
                self.accelerate(&leg, left.min(SLICE))
            } else {
                self.glide(&leg, left)
            };
        }
    }

    /// Returns whether the obstacle blocks this leg. A hand can move the arm around the obstacle,
    /// and gravity can move it past the obstacle.
    fn blocks(&self, leg: &Leg) -> bool {
        self.stalled && matches!(leg.mover, Mover::Command | Mover::Homing)
    }

    /// Moves along a leg at its speed for at most `seconds`. Returns how long it moved, in seconds.
    fn glide(&mut self, leg: &Leg, seconds: f64) -> f64 {
        // The orientation is updated after each time slice.
        let seconds = if leg.orientation.is_some() { seconds.min(SLICE) } else { seconds };
        let way = leg.goal - self.at;
        let (distance, reach) = (way.norm(), leg.speed * seconds);
        if reach < distance - ROUNDING {
            self.at += way * (reach / distance);
            self.travelled[leg.mover as usize] += reach;
            return seconds;
        }
        self.at = leg.goal;
        self.travelled[leg.mover as usize] += distance;
        if leg.orientation.is_none_or(|goal| self.orientation.angle_to(goal) < SAME_ANGLE) {
            self.legs.pop_front();
            return if leg.speed > 0.0 { distance / leg.speed } else { seconds };
        }
        seconds
    }

    /// Like [`Body::glide`], but with limited acceleration. If the goal changes, the arm may move
    /// beyond the goal and come back.
    fn accelerate(&mut self, leg: &Leg, seconds: f64) -> f64 {
        let way = leg.goal - self.at;
        let distance = way.norm();
        let wanted = if distance > 0.0 {
            // Brake with four fifths of the possible deceleration, because the distance is checked
            // only once a slice.
            let brakes = (1.6 * self.acceleration * distance).sqrt().min(distance / seconds.max(SLICE));
            way * (leg.speed.min(brakes) / distance)
        } else {
            Vector3::zeros()
        };
        let change = wanted - self.velocity;
        let most = self.acceleration * seconds;
        self.velocity += if change.norm() > most { change * (most / change.norm()) } else { change };
        let step = self.velocity * seconds;
        self.travelled[leg.mover as usize] += step.norm();
        self.at += step;
        let there = (leg.goal - self.at).norm() < LANDED && self.velocity.norm() < LANDED / SLICE;
        if there && leg.orientation.is_none_or(|goal| self.orientation.angle_to(goal) < SAME_ANGLE) {
            self.travelled[leg.mover as usize] += (leg.goal - self.at).norm();
            (self.at, self.velocity) = (leg.goal, Vector3::zeros());
            self.legs.pop_front();
        }
        seconds
    }

    /// Adds a command as a leg, after the present legs or instead of them (`replaces`). The gripper
    /// changes immediately.
    pub fn handle_command(&mut self, command: &Command, speed: f64, rotation_speed: f64, replaces: bool) {
        let leg = Leg {
            goal: command.position.point(),
            orientation: command.orientation,
            speed,
            rotation_speed,
            mover: Mover::Command,
        };
        self.gripper = command.gripper;
        self.begin(leg, replaces);
    }

    /// Starts a motion whose cause is not a command, at `speed` in m/s. Deletes the present legs.
    pub fn handle_moved(&mut self, to: Position, speed: f64, mover: Mover) {
        self.velocity = Vector3::zeros();
        self.begin(Leg { goal: to.point(), orientation: None, speed, rotation_speed: 0.0, mover }, true);
    }

    fn begin(&mut self, leg: Leg, replaces: bool) {
        if replaces {
            self.legs.clear();
        }
        self.legs.push_back(leg);
    }

    /// Stops at the present position and deletes all legs.
    pub fn halt(&mut self) {
        self.legs.clear();
        self.velocity = Vector3::zeros();
    }

    /// Sets or removes an obstacle.
    pub fn set_stalled(&mut self, stalled: bool) {
        self.stalled = stalled;
    }

    /// Sets the gripper without a command.
    pub fn set_gripper(&mut self, gripper: Gripper) {
        self.gripper = gripper;
    }

    /// Returns the position of the tool centre point.
    pub fn position(&self) -> Position {
        // Every coordinate is between the coordinates of valid positions.
        Position::new(self.at.x, self.at.y, self.at.z).expect("a body stays among its goals")
    }

    /// Returns the position without rounding.
    pub fn point(&self) -> Point3<f64> {
        self.at
    }

    /// Returns the orientation of the tool.
    pub fn orientation(&self) -> Orientation {
        self.orientation
    }

    /// Returns the state of the gripper.
    pub fn gripper(&self) -> Gripper {
        self.gripper
    }

    /// Returns whether there is a leg to execute, even if an obstacle blocks it.
    pub fn is_under_way(&self) -> bool {
        !self.legs.is_empty()
    }

    /// Returns whether the body moves.
    pub fn is_moving(&self) -> bool {
        self.mover().is_some()
    }

    /// Returns whether an obstacle blocks the body.
    pub fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Returns the cause of the present motion.
    pub fn mover(&self) -> Option<Mover> {
        self.legs.front().filter(|leg| !self.blocks(leg)).map(|leg| leg.mover)
    }

    /// Returns the goal of the last leg, if there is one.
    pub fn goal(&self) -> Option<Point3<f64>> {
        self.legs.back().map(|leg| leg.goal)
    }

    /// Returns the number of legs, including the present one.
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// Returns the remaining distance along all legs, in metres.
    pub fn way_left(&self) -> f64 {
        let mut at = self.at;
        self.legs.iter().map(|leg| (leg.goal - std::mem::replace(&mut at, leg.goal)).norm()).sum()
    }

    /// Returns the distance since the start that `mover` caused, in metres.
    pub fn travelled(&self, mover: Mover) -> f64 {
        self.travelled[mover as usize]
    }

    /// Returns when all legs will be done. Ignores the limit of the acceleration.
    pub fn at_rest_at(&self) -> Instant {
        let mut at = self.at;
        let seconds: f64 = self
            .legs
            .iter()
            .map(|leg| (leg.goal - std::mem::replace(&mut at, leg.goal)).norm() / leg.speed.max(1e-3))
            .sum();
        self.moved_until + Duration::from_secs_f64(seconds.min(3600.0))
    }
}

/// The time step for acceleration and rotation, in seconds.
const SLICE: f64 = 0.005;
/// Below this distance, in metres, the body is at its goal.
const LANDED: f64 = 1e-5;
/// The arithmetic error of times and distances, in seconds and metres.
const ROUNDING: f64 = 1e-12;
const SAME_ANGLE: f64 = 1e-6;
