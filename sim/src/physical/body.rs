//! The metal: where the arm is, and what moves it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use aether_bridge::arm::{Command, Gripper};
use aether_bridge::geometry::{Orientation, Position};
use nalgebra::{Point3, Vector3};

/// What moves an arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mover {
    /// A command of the bridge.
    Command,
    /// The controller, which homes it.
    Homing,
    /// A person: a hand on the arm, or a pendant; or another program.
    Person,
    /// Its own weight.
    Gravity,
}

/// A tool centre point with a turning, and a gripper.
#[derive(Debug, Clone)]
pub struct Body {
    // Not a `Position`: steps of less than a micrometre must add up.
    at: Point3<f64>,
    velocity: Vector3<f64>,
    turning: Orientation,
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
    turning: Option<Orientation>,
    speed: f64,
    turning_speed: f64,
    mover: Mover,
}

const MOVERS: usize = 4;

impl Body {
    /// A body at rest with an open gripper.
    pub fn new(now: Instant, at: Position, turning: Orientation, acceleration: f64) -> Self {
        Self {
            at: at.point(),
            velocity: Vector3::zeros(),
            turning,
            gripper: Gripper::Open,
            legs: VecDeque::with_capacity(8),
            stalled: false,
            acceleration,
            moved_until: now,
            travelled: [0.0; MOVERS],
        }
    }

    /// Lets time pass, up to now.
    pub fn handle_timeout(&mut self, now: Instant) {
        let mut left = now.saturating_duration_since(self.moved_until).as_secs_f64();
        self.moved_until = self.moved_until.max(now);
        while left > 0.0 {
            let Some(&leg) = self.legs.front() else { return };
            if self.blocks(&leg) {
                self.velocity = Vector3::zeros();
                return;
            }
            if let Some(goal) = leg.turning {
                let most = leg.turning_speed * left.min(SLICE);
                self.turning = self.turning.towards(goal, most);
            }
            left -= if self.acceleration.is_finite() && leg.mover == Mover::Command {
                self.accelerate(&leg, left.min(SLICE))
            } else {
                self.glide(&leg, left)
            };
        }
    }

    /// Whether the obstacle keeps the arm from this leg. A person takes it out of the obstacle's way, and it falls beside it.
    fn blocks(&self, leg: &Leg) -> bool {
        self.stalled && matches!(leg.mover, Mover::Command | Mover::Homing)
    }

    /// Goes along a leg at its speed for so many seconds at most, and returns for how many it went.
    fn glide(&mut self, leg: &Leg, seconds: f64) -> f64 {
        // The turning is looked at again after each slice.
        let seconds = if leg.turning.is_some() { seconds.min(SLICE) } else { seconds };
        let way = leg.goal - self.at;
        let (distance, reach) = (way.norm(), leg.speed * seconds);
        if reach < distance - ROUNDING {
            self.at += way * (reach / distance);
            self.travelled[leg.mover as usize] += reach;
            return seconds;
        }
        self.at = leg.goal;
        self.travelled[leg.mover as usize] += distance;
        if leg.turning.is_none_or(|goal| self.turning.angle_to(goal) < SAME_ANGLE) {
            self.legs.pop_front();
            return if leg.speed > 0.0 { distance / leg.speed } else { seconds };
        }
        seconds
    }

    /// The same within the arm's acceleration. A goal that changes is passed and come back to.
    fn accelerate(&mut self, leg: &Leg, seconds: f64) -> f64 {
        let way = leg.goal - self.at;
        let distance = way.norm();
        let wanted = if distance > 0.0 {
            // It brakes with four fifths of what it can, because it looks at the way only once a slice.
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
        if there && leg.turning.is_none_or(|goal| self.turning.angle_to(goal) < SAME_ANGLE) {
            self.travelled[leg.mover as usize] += (leg.goal - self.at).norm();
            (self.at, self.velocity) = (leg.goal, Vector3::zeros());
            self.legs.pop_front();
        }
        seconds
    }

    /// Takes a command: the gripper obeys at once. It waits for the legs before it, or takes their place.
    pub fn handle_command(&mut self, command: &Command, speed: f64, turning_speed: f64, replaces: bool) {
        let leg = Leg {
            goal: command.position.point(),
            turning: command.orientation,
            speed,
            turning_speed,
            mover: Mover::Command,
        };
        self.gripper = command.gripper;
        self.begin(leg, replaces);
    }

    /// Is moved to a place by something else than a command, at a speed in m/s. What it was to do before is forgotten.
    pub fn handle_moved(&mut self, to: Position, speed: f64, mover: Mover) {
        self.velocity = Vector3::zeros();
        self.begin(Leg { goal: to.point(), turning: None, speed, turning_speed: 0.0, mover }, true);
    }

    fn begin(&mut self, leg: Leg, replaces: bool) {
        if replaces {
            self.legs.clear();
        }
        self.legs.push_back(leg);
    }

    /// Stands still where it is, and forgets what it was to do.
    pub fn halt(&mut self) {
        self.legs.clear();
        self.velocity = Vector3::zeros();
    }

    /// Is blocked by an obstacle, or free again.
    pub fn set_stalled(&mut self, stalled: bool) {
        self.stalled = stalled;
    }

    /// Is set to a gripper by something else than a command.
    pub fn set_gripper(&mut self, gripper: Gripper) {
        self.gripper = gripper;
    }

    /// Where the tool centre point is.
    pub fn position(&self) -> Position {
        // Every coordinate lies between positions.
        Position::new(self.at.x, self.at.y, self.at.z).expect("a body stays among its goals")
    }

    /// Where it is without rounding.
    pub fn point(&self) -> Point3<f64> {
        self.at
    }

    /// How the tool is turned.
    pub fn turning(&self) -> Orientation {
        self.turning
    }

    /// What the gripper is.
    pub fn gripper(&self) -> Gripper {
        self.gripper
    }

    /// Whether it is on its way, or would be if nothing blocked it.
    pub fn is_under_way(&self) -> bool {
        !self.legs.is_empty()
    }

    /// Whether it moves.
    pub fn is_moving(&self) -> bool {
        self.mover().is_some()
    }

    /// Whether it is blocked.
    pub fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// What moves it now.
    pub fn mover(&self) -> Option<Mover> {
        self.legs.front().filter(|leg| !self.blocks(leg)).map(|leg| leg.mover)
    }

    /// Where the last leg leads, if it is on its way.
    pub fn goal(&self) -> Option<Point3<f64>> {
        self.legs.back().map(|leg| leg.goal)
    }

    /// How many legs wait, the present one included.
    pub fn legs(&self) -> usize {
        self.legs.len()
    }

    /// How far it is to the end of the last leg, along all of them, in metres.
    pub fn way_left(&self) -> f64 {
        let mut at = self.at;
        self.legs.iter().map(|leg| (leg.goal - std::mem::replace(&mut at, leg.goal)).norm()).sum()
    }

    /// How far it has gone since the start because of `mover`, in metres.
    pub fn travelled(&self, mover: Mover) -> f64 {
        self.travelled[mover as usize]
    }

    /// When it will have worked off its legs, with its acceleration left out of account.
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

/// How finely acceleration and turning are reckoned, in seconds.
const SLICE: f64 = 0.005;
/// Nearer than this to the goal it stands at the goal, in metres.
const LANDED: f64 = 1e-5;
/// What seconds and metres differ by in arithmetic alone.
const ROUNDING: f64 = 1e-12;
const SAME_ANGLE: f64 = 1e-6;
