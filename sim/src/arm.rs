//! The arm of the controller: a point that moves at a finite speed, and a gripper. Pure.

use std::time::Duration;

use nalgebra::Point3;

use aether_bridge::arm::{Command, Gripper};
use aether_bridge::geometry::Position;

/// A simulated arm. Its tool centre point moves in a straight line at a constant speed towards the
/// last commanded position, in the arm's base frame. The gripper changes immediately.
#[derive(Debug, Clone)]
pub struct Arm {
    // Not a `Position`, because `Position` rounds to a micrometre and shorter steps must add up.
    at: Point3<f64>,
    target: Position,
    gripper: Gripper,
    speed: f64,
}

/// The state of the arm at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArmState {
    /// The position of the tool centre point.
    pub position: Position,
    /// The state of the gripper.
    pub gripper: Gripper,
    /// Whether the arm moves.
    pub moving: bool,
}

impl Arm {
    /// Creates an arm at rest with an open gripper. Its speed is `speed` m/s.
    pub fn new(home: Position, speed: f64) -> Self {
        Self { at: home.point(), target: home, gripper: Gripper::Open, speed }
    }

    /// Sets a new target. The motion begins with the next [`Arm::step`].
    pub fn command(&mut self, command: Command) {
        self.target = command.position;
        self.gripper = command.gripper;
    }

    /// Moves the arm for the time `dt`.
    pub fn step(&mut self, dt: Duration) {
        let way = self.target.point() - self.at;
        let (distance, reach) = (way.norm(), self.speed * dt.as_secs_f64());
        if reach < distance {
            self.at += way * (reach / distance);
        } else {
            self.at = self.target.point();
        }
    }

    /// Stops the arm at its position.
    pub fn halt(&mut self) {
        self.target = self.position();
        self.at = self.target.point();
    }

    /// Returns the present state.
    pub fn state(&self) -> ArmState {
        let moving = self.at != self.target.point();
        ArmState { position: self.position(), gripper: self.gripper, moving }
    }

    fn position(&self) -> Position {
        // Each coordinate is between the coordinates of two valid positions, so it is valid too.
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
    fn arm_moves_straight_and_stops_at_target() {
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
    fn steps_below_a_micrometre_add_up() {
        let mut arm = arm_on_its_way();
        for _ in 0..1_000_000 {
            arm.step(Duration::from_nanos(500));
        }
        assert!(arm.state().position.distance(at(0.15, 0.0, 0.2)) < 2e-6);
    }

    #[test]
    fn gripper_is_immediate_and_new_target_replaces_old() {
        let mut arm = arm_on_its_way();
        assert_eq!(arm.state().gripper, Gripper::Closed);
        arm.step(Duration::from_millis(500));
        arm.command(Command { position: at(0.15, 0.25, 0.2), gripper: Gripper::Open, orientation: None });
        arm.step(Duration::from_millis(500));
        assert_eq!(arm.state().position, at(0.15, 0.25, 0.2));
        assert_eq!(arm.state().gripper, Gripper::Open);
    }

    #[test]
    fn halted_arm_stays() {
        let mut arm = arm_on_its_way();
        arm.step(Duration::from_millis(100));
        arm.halt();
        let halted = arm.state();
        assert!(!halted.moving);
        arm.step(Duration::from_secs(1));
        assert_eq!(arm.state(), halted);
    }

    #[test]
    fn zero_time_moves_nothing() {
        let mut arm = arm_on_its_way();
        arm.step(Duration::ZERO);
        assert_eq!(arm.state().position, at(0.0, 0.0, 0.0));
    }
}
