//! The box that commands lie in.

use nalgebra::Point3;

use super::command::Position;
use super::target::InputFault;

/// What happens to a target outside the box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is taken to the nearest point of the box.
    Clamp,
    /// It is refused, and motion holds.
    Reject,
}

/// An axis-aligned box in the arm's base frame, in metres, with `min` below `max` on every axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workspace {
    min: Position,
    max: Position,
    policy: Policy,
}

impl Workspace {
    /// A box from two corners; `None` unless `min` is below `max` on every axis.
    pub fn new(min: Position, max: Position, policy: Policy) -> Option<Self> {
        let ordered = min.coordinates().iter().zip(max.coordinates()).all(|(low, high)| *low < high);
        ordered.then_some(Self { min, max, policy })
    }

    /// Whether a position lies in the box, faces included.
    pub fn contains(&self, position: Position) -> bool {
        self.holds(position.point(), 0.0)
    }

    /// Whether a point lies in the box, faces included and `slack` metres more.
    pub fn holds(&self, point: Point3<f64>, slack: f64) -> bool {
        let (min, max) = (self.min.point(), self.max.point());
        (0..3).all(|axis| min[axis] - slack <= point[axis] && point[axis] <= max[axis] + slack)
    }

    /// The position that a target stands for, and whether it had to be clamped.
    ///
    /// # Errors
    /// [`InputFault::OutsideWorkspace`] when the policy is to reject.
    pub fn admit(&self, position: Position) -> Result<(Position, bool), InputFault> {
        let nearest = self.nearest(position);
        let outside = nearest != position;
        match self.policy {
            Policy::Reject if outside => Err(InputFault::OutsideWorkspace { position }),
            _ => Ok((nearest, outside)),
        }
    }

    fn nearest(&self, position: Position) -> Position {
        position.clamped(self.min, self.max)
    }
}

#[cfg(test)]
mod tests {
    use super::{InputFault, Policy, Position, Workspace};

    fn at(x: f64, y: f64, z: f64) -> Position {
        Position::new(x, y, z).unwrap()
    }

    fn workspace(policy: Policy) -> Workspace {
        Workspace::new(at(-0.3, -0.3, 0.0), at(0.3, 0.3, 0.4), policy).unwrap()
    }

    #[test]
    fn clamping_takes_the_nearest_point_of_the_box_and_says_so() {
        let clamp = workspace(Policy::Clamp);
        assert_eq!(clamp.admit(at(0.5, 0.1, -0.2)).unwrap(), (at(0.3, 0.1, 0.0), true));
        assert_eq!(clamp.admit(at(0.3, 0.1, 0.0)).unwrap(), (at(0.3, 0.1, 0.0), false));
    }

    #[test]
    fn rejecting_refuses_what_is_outside_and_names_it() {
        let reject = workspace(Policy::Reject);
        assert!(reject.admit(at(0.3, 0.3, 0.4)).is_ok());
        let fault = reject.admit(at(0.5, 0.1, 0.2)).unwrap_err();
        assert!(matches!(fault, InputFault::OutsideWorkspace { .. }));
        assert!(fault.to_string().contains("[0.500, 0.100, 0.200]"), "{fault}");
    }

    #[test]
    fn a_box_without_room_is_no_workspace() {
        assert!(Workspace::new(at(0.0, 0.0, 0.0), at(0.1, 0.0, 0.1), Policy::Clamp).is_none());
    }
}
