//! The clutch: from where the hand is to where the arm is to go.
//!
//! Invariants:
//! - The hand and the arm are coupled once in a motion, and the coupling lasts as long as the motion.
//! - In [`RetargetMode::Relative`] the first command of a motion leaves the arm where it is.

use nalgebra::Vector3;

use crate::geometry::{Orientation, Position};
use crate::teleop::config::RetargetMode;
use crate::teleop::input_fault::InputFault;
use crate::teleop::workspace::Workspace;

/// Couples the hand to the arm when motion begins, and releases it when motion ends.
///
/// In [`RetargetMode::Relative`] the first target of a motion stands for where the arm is, and the next ones are measured
/// from there. Between motions the hand may move freely, like a mouse that is lifted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clutch {
    /// From the hand to the arm, in the arm's base frame. `None` while they are not coupled.
    offset: Option<Vector3<f64>>,
    /// The tool's orientation, seen from the hand. `None` while they are not coupled.
    rotation: Option<Orientation>,
}

impl Clutch {
    /// Returns where the arm is to go for a hand at `hand`, and whether that had to be clamped. `arm` is where the arm is.
    /// Fails if the workspace's policy is to reject, or if the result lies beyond what can be a position.
    pub(super) fn place(
        self,
        mode: RetargetMode,
        hand: Position,
        arm: Position,
        workspace: &Workspace,
    ) -> Result<(Position, bool), InputFault> {
        match (mode, self.offset) {
            (RetargetMode::Absolute, _) => workspace.admit(hand),
            (RetargetMode::Relative, None) => Ok((arm, false)),
            (RetargetMode::Relative, Some(offset)) => {
                let place = hand.point() + offset;
                workspace.admit(Position::new(place.x, place.y, place.z)?)
            }
        }
    }

    /// Returns how the tool is to be oriented for the orientation `hand` of the hand. `tool` is the tool's orientation now.
    pub(super) fn orient(self, mode: RetargetMode, hand: Orientation, tool: Orientation) -> Orientation {
        match (mode, self.rotation) {
            (RetargetMode::Absolute, _) => hand,
            (RetargetMode::Relative, None) => tool,
            (RetargetMode::Relative, Some(rotation)) => hand.carrying(rotation),
        }
    }

    /// Couples a hand at `hand` to an arm at `arm`, because motion begins. Does nothing if they are coupled already.
    pub(super) fn engage(&mut self, hand: Position, arm: Position) {
        self.offset.get_or_insert(arm.point() - hand.point());
    }

    /// Couples the orientations of hand and tool, because motion begins. Does nothing if they are coupled already.
    pub(super) fn engage_orientation(&mut self, hand: Orientation, tool: Orientation) {
        self.rotation.get_or_insert(tool.seen_from(hand));
    }

    /// Releases the hand, because motion ends.
    pub(super) fn release(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::teleop::workspace::Policy;

    fn at(x: f64) -> Position {
        Position::new(x, 0.0, 0.0).unwrap()
    }

    fn place(clutch: Clutch, mode: RetargetMode, hand: f64) -> (Position, bool) {
        let [min, max] = [-0.5, 0.5].map(|by| Position::new(by, by, by).unwrap());
        let workspace = Workspace::new(min, max, Policy::Clamp).unwrap();
        clutch.place(mode, at(hand), at(0.2), &workspace).unwrap()
    }

    #[test]
    fn relative_motion_begins_at_the_arm_and_follows_the_hand() {
        let mut clutch = Clutch::default();
        assert_eq!(place(clutch, RetargetMode::Relative, 9.0), (at(0.2), false));
        clutch.engage(at(9.0), at(0.2));
        assert_eq!(place(clutch, RetargetMode::Relative, 9.1), (at(0.3), false));
        assert_eq!(place(clutch, RetargetMode::Relative, 9.9), (at(0.5), true));
        assert_eq!(place(clutch, RetargetMode::Absolute, 0.4), (at(0.4), false));
    }

    #[test]
    fn coupling_lasts_until_the_hand_is_released() {
        let mut clutch = Clutch::default();
        clutch.engage(at(1.0), at(0.2));
        clutch.engage(at(5.0), at(0.4));
        assert_eq!(place(clutch, RetargetMode::Relative, 1.1), (at(0.3), false));
        clutch.release();
        assert_eq!(place(clutch, RetargetMode::Relative, 1.1), (at(0.2), false));
    }

    #[test]
    fn relative_orientation_turns_the_tool_with_the_hand() {
        let yaw = |angle| Orientation::from_rpy([0.0, 0.0, angle]);
        let mut clutch = Clutch::default();
        assert_eq!(clutch.orient(RetargetMode::Relative, yaw(1.0), yaw(0.1)), yaw(0.1));
        assert_eq!(clutch.orient(RetargetMode::Absolute, yaw(1.0), yaw(0.1)), yaw(1.0));
        clutch.engage_orientation(yaw(1.0), yaw(0.1));
        clutch.engage_orientation(yaw(2.0), yaw(0.1));
        assert!(clutch.orient(RetargetMode::Relative, yaw(1.3), yaw(0.1)).angle_to(yaw(0.4)) < 1e-9);
    }
}
