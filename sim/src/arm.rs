//! The arm behind the controller: a point that moves at a finite speed, and a gripper. Pure.

use std::time::Duration;

use nalgebra::Point3;

use aether_bridge::arm::{Command, Gripper};
use aether_bridge::geometry::Position;

/// A simulated arm: the tool centre point goes in a straight line at a constant speed towards the last commanded
/// position, in the arm's base frame; the gripper obeys at once.
#[derive(Debug, Clone)]
pub struct Arm {
    // Not a `Position`: steps of less than a micrometre must add up.
    at: Point3<f64>,
    target: Position,
    gripper: Gripper,
    speed: f64,
}

/// What an arm does at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArmState {
    /// Where the tool centre point is.
    pub position: Position,
    /// What the gripper is.
    pub gripper: Gripper,
    /// Whether the arm is on its way.
    pub moving: bool,
}

impl Arm {
    /// An arm at rest with an open gripper that moves at `speed` m/s.
    pub fn new(home: Position, speed: f64) -> Self {
        Self { at: home.point(), target: home, gripper: Gripper::Open, speed }
    }

    /// Takes a new target; motion begins with the next [`Arm::step`].
    pub fn command(&mut self, command: Command) {
        self.target = command.position;
        self.gripper = command.gripper;
    }

    /// Lets `dt` pass.
    pub fn step(&mut self, dt: Duration) {
        let way = self.target.point() - self.at;
        let (distance, reach) = (way.norm(), self.speed * dt.as_secs_f64());
        if reach < distance {
            self.at += way * (reach / distance);
        } else {
            self.at = self.target.point();
        }
    }

    /// Stops where it is.
    pub fn halt(&mut self) {
        self.target = self.position();
        self.at = self.target.point();
    }

    /// What it does now.
    pub fn state(&self) -> ArmState {
        let moving = self.at != self.target.point();
        ArmState { position: self.position(), gripper: self.gripper, moving }
    }

    fn position(&self) -> Position {
        // Between two positions every coordinate lies within the bounds of both.
        Position::new(self.at.x, self.at.y, self.at.z).unwrap_or(self.target)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Arm;
    use aether_bridge::arm::{Command, Gripper};
    use aether_bridge::geometry::Position;

    fn at(x: f64, y: f64, z: f64) -> Position {
        Position::new(x, y, z).unwrap()
    }

    fn arm_on_its_way() -> Arm {
        let mut arm = Arm::new(at(0.0, 0.0, 0.0), 0.5);
        arm.command(Command { position: at(0.3, 0.0, 0.4), gripper: Gripper::Closed, orientation: None });
        arm
    }

    #[test]
    fn an_arm_goes_straight_at_its_speed_and_stops_at_the_target() {
        let mut arm = arm_on_its_way();
        assert!(arm.state().moving);
        arm.step(Duration::from_millis(500));
        assert_eq!(arm.state().position, at(0.15, 0.0, 0.2));
        assert!(arm.state().moving);
        arm.step(Duration::from_millis(600));
        assert_eq!(arm.state().position, at(0.3, 0.0, 0.4));
        assert!(!arm.state().moving);
        arm.step(Duration::from_secs(60));
        assert_eq!(arm.state().position, at(0.3, 0.0, 0.4));
    }

    #[test]
    fn steps_far_below_a_micrometre_add_up() {
        let mut arm = arm_on_its_way();
        for _ in 0..1_000_000 {
            arm.step(Duration::from_nanos(500));
        }
        assert!(arm.state().position.distance(at(0.15, 0.0, 0.2)) < 2e-6);
    }

    #[test]
    fn the_gripper_obeys_at_once_and_a_new_target_replaces_the_old() {
        let mut arm = arm_on_its_way();
        assert_eq!(arm.state().gripper, Gripper::Closed);
        arm.step(Duration::from_millis(500));
        arm.command(Command { position: at(0.15, 0.25, 0.2), gripper: Gripper::Open, orientation: None });
        arm.step(Duration::from_millis(500));
        assert_eq!(arm.state().position, at(0.15, 0.25, 0.2));
        assert_eq!(arm.state().gripper, Gripper::Open);
    }

    #[test]
    fn a_halted_arm_stays_where_it_is() {
        let mut arm = arm_on_its_way();
        arm.step(Duration::from_millis(100));
        arm.halt();
        let halted = arm.state();
        assert!(!halted.moving);
        arm.step(Duration::from_secs(1));
        assert_eq!(arm.state(), halted);
    }

    #[test]
    fn no_time_moves_nothing() {
        let mut arm = arm_on_its_way();
        arm.step(Duration::ZERO);
        assert_eq!(arm.state().position, at(0.0, 0.0, 0.0));
    }
}
