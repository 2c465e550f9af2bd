//! From the hand to the arm: out of the tracker's frame, and coupled to the arm if motion is relative.
//!
//! Invariants:
//! - The hand and the arm are coupled once in a motion, and the coupling lasts as long as the motion.
//! - In [`RetargetMode::Relative`] the first command of a motion leaves the arm where it is.

use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};

use super::input_fault::InputFault;
use super::workspace::{Admitted, Workspace};
use crate::geometry::{Orientation, Position, PositionError};

/// From the tracker's frame to the arm's base frame: `base = translation + rotation · (scale ∘ tracker)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retarget {
    scale: Vector3<f64>,
    isometry: Isometry3<f64>,
}

impl Retarget {
    /// Takes metres, radians about fixed axes (REP 103), and a factor per axis of the tracker's frame; a negative one mirrors.
    pub fn new(translation: [f64; 3], [roll, pitch, yaw]: [f64; 3], scale: [f64; 3]) -> Self {
        let rotation = UnitQuaternion::from_euler_angles(roll, pitch, yaw);
        let isometry = Isometry3::from_parts(Translation3::from(translation), rotation);
        Self { scale: Vector3::from(scale), isometry }
    }

    /// Takes a position in the tracker's frame to the arm's base frame.
    ///
    /// # Errors
    /// If the result lies beyond what can be a position.
    pub fn apply(&self, tracker: Position) -> Result<Position, PositionError> {
        let scaled = nalgebra::Point3::from(tracker.point().coords.component_mul(&self.scale));
        let base = self.isometry * scaled;
        Position::new(base.x, base.y, base.z)
    }

    /// Takes an orientation in the tracker's frame to the arm's base frame. What a negative scale mirrors is turned the
    /// other way about the axes that it leaves as they are.
    pub fn turn(&self, tracker: Orientation) -> Orientation {
        tracker.mirrored(self.scale.map(f64::signum)).rotated(&self.isometry.rotation)
    }
}

impl Default for Retarget {
    fn default() -> Self {
        Self::new([0.0; 3], [0.0; 3], [1.0; 3])
    }
}

/// What a hand's position means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetargetMode {
    /// The arm goes to where the hand is.
    Absolute,
    /// The arm goes as far, and in the direction, as the hand has gone since motion began.
    Relative,
}

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
    /// Returns where the arm is to go for a hand at `hand`, and how far outside the workspace the hand is. `arm` is where the
    /// arm is. Fails if the workspace does not admit the hand, or if the result lies beyond what can be a position.
    pub(super) fn place(
        self,
        mode: RetargetMode,
        hand: Position,
        arm: Position,
        workspace: &Workspace,
    ) -> Result<Admitted, InputFault> {
        match (mode, self.offset) {
            (RetargetMode::Absolute, _) => workspace.admit(hand),
            (RetargetMode::Relative, None) => Ok(Admitted { position: arm, outside: 0.0 }),
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
    use std::f64::consts::FRAC_PI_2;

    use super::*;
    use crate::teleop::workspace::Policy;

    #[test]
    fn an_orientation_is_turned_with_its_frame_and_mirrored_with_it() {
        let [roll, yaw] = [[0.3, 0.0, 0.0], [0.0, 0.0, 0.3]].map(Orientation::from_rpy);
        let turned = Retarget::new([1.0; 3], [0.0, 0.0, FRAC_PI_2], [2.0; 3]).turn(roll);
        // Roll about the tracker's x is, seen from the base, first a quarter about z, then about y.
        let expected = nalgebra::UnitQuaternion::from_euler_angles(0.0, 0.3, 0.0)
            * nalgebra::UnitQuaternion::from_euler_angles(0.0, 0.0, FRAC_PI_2);
        let [x, y, z, w] = turned.xyzw();
        let turned = nalgebra::UnitQuaternion::new_normalize(nalgebra::Quaternion::new(w, x, y, z));
        assert!(turned.angle_to(&expected) < 1e-9);
        // In a mirror that swaps left and right, a head that tips keeps tipping about the axis across, and turns the
        // other way about the others.
        let mirror = Retarget::new([0.0; 3], [0.0; 3], [-1.0, 1.0, 1.0]);
        assert!(mirror.turn(roll).angle_to(roll) < 1e-9);
        assert!(mirror.turn(yaw).angle_to(Orientation::from_rpy([0.0, 0.0, -0.3])) < 1e-9);
    }

    fn applied(retarget: Retarget, [x, y, z]: [f64; 3]) -> [f64; 3] {
        retarget.apply(Position::new(x, y, z).unwrap()).unwrap().coordinates()
    }

    #[test]
    fn the_default_changes_nothing() {
        assert_eq!(applied(Retarget::default(), [0.1, -0.2, 0.3]), [0.1, -0.2, 0.3]);
    }

    #[test]
    fn scale_comes_before_rotation_and_rotation_before_translation() {
        let retarget = Retarget::new([1.0, 0.0, 0.0], [0.0, 0.0, FRAC_PI_2], [2.0, 1.0, -1.0]);
        assert_eq!(applied(retarget, [0.1, 0.0, 0.3]), [1.0, 0.2, -0.3]);
    }

    #[test]
    fn a_result_beyond_any_arm_is_refused() {
        let retarget = Retarget::new([0.0; 3], [0.0; 3], [1e6, 1.0, 1.0]);
        assert!(retarget.apply(Position::new(1.0, 0.0, 0.0).unwrap()).is_err());
    }

    fn at(x: f64) -> Position {
        Position::new(x, 0.0, 0.0).unwrap()
    }

    fn place(clutch: Clutch, mode: RetargetMode, hand: f64) -> (Position, bool) {
        let [min, max] = [-0.5, 0.5].map(|by| Position::new(by, by, by).unwrap());
        let workspace = Workspace::new(min, max, Policy::Clamp).unwrap();
        let Admitted { position, outside } = clutch.place(mode, at(hand), at(0.2), &workspace).unwrap();
        (position, outside > 0.0)
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
