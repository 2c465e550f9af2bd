//! Transforms the hand from the tracker's frame to the arm's base frame, and couples it to the arm
//! if motion is relative.
//!
//! Invariants:
//! - The hand and the arm are coupled once in each motion. The coupling lasts until the motion
//!   ends.
//! - In [`RetargetMode::Relative`] the first command of a motion does not move the arm.

use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};

use super::input_fault::InputFault;
use super::workspace::{Admitted, Workspace};
use crate::geometry::{Orientation, Position, PositionError};

/// The transform from the tracker's frame to the arm's base frame: `base = translation + rotation ·
/// (scale ∘ tracker)`. The operator `∘` multiplies each axis separately.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retarget {
    scale: Vector3<f64>,
    isometry: Isometry3<f64>,
}

impl Retarget {
    /// Creates a transform.
    ///
    /// - `translation`: metres, in the arm's base frame.
    /// - `[roll, pitch, yaw]`: radians about fixed axes (REP 103).
    /// - `scale`: a factor for each axis of the tracker's frame. A negative factor mirrors the
    ///   axis.
    pub fn new(translation: [f64; 3], [roll, pitch, yaw]: [f64; 3], scale: [f64; 3]) -> Self {
        let rotation = UnitQuaternion::from_euler_angles(roll, pitch, yaw);
        let isometry = Isometry3::from_parts(Translation3::from(translation), rotation);
        Self { scale: Vector3::from(scale), isometry }
    }

    /// Transforms a position in metres from the tracker's frame to the arm's base frame.
    ///
    /// # Errors
    /// The result is not a valid [`Position`].
    pub fn apply(&self, tracker: Position) -> Result<Position, PositionError> {
        let scaled = nalgebra::Point3::from(tracker.point().coords.component_mul(&self.scale));
        let base = self.isometry * scaled;
        Position::new(base.x, base.y, base.z)
    }

    /// Rotates an orientation from the tracker's frame to the arm's base frame.
    ///
    /// If a negative scale mirrors an axis, rotations about the other axes are reversed.
    pub fn rotate(&self, tracker: Orientation) -> Orientation {
        tracker.mirrored(self.scale.map(f64::signum)).rotated(&self.isometry.rotation)
    }
}

impl Default for Retarget {
    fn default() -> Self {
        Self::new([0.0; 3], [0.0; 3], [1.0; 3])
    }
}

/// How the hand's position is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetargetMode {
    /// The arm moves to the position of the hand.
    Absolute,
    /// The arm moves by the same distance and direction as the hand has moved since motion began.
    Relative,
}

/// Couples the hand to the arm when motion begins, and releases it when motion ends.
///
/// In [`RetargetMode::Relative`] the first target of a motion corresponds to the arm's position.
/// The next targets are measured from there. Between motions the hand may move freely, like a
/// computer mouse that is lifted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Clutch {
    /// The offset from hand to arm, in metres in the arm's base frame. `None` while they are not
    /// coupled.
    offset: Option<Vector3<f64>>,
    /// The tool's orientation relative to the hand. `None` while they are not coupled.
    rotation: Option<Orientation>,
}

impl Clutch {
    /// Returns the position to which the arm is to move, and how far outside the workspace the hand
    /// is.
    ///
    /// `hand` and `arm` are the current positions in the arm's base frame.
    ///
    /// # Errors
    /// The workspace rejects the position of the hand, or the result is not a valid [`Position`].
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
                let target = hand.point() + offset;
                workspace.admit(Position::new(target.x, target.y, target.z)?)
            }
        }
    }

    /// Returns the goal orientation of the tool. `hand` and `tool` are the current orientations.
    pub(super) fn orient(self, mode: RetargetMode, hand: Orientation, tool: Orientation) -> Orientation {
        match (mode, self.rotation) {
            (RetargetMode::Absolute, _) => hand,
            (RetargetMode::Relative, None) => tool,
            (RetargetMode::Relative, Some(rotation)) => hand.carrying(rotation),
        }
    }

    /// Couples the positions of hand and arm, because motion begins. If they are already coupled,
    /// does nothing.
    pub(super) fn engage(&mut self, hand: Position, arm: Position) {
        self.offset.get_or_insert(arm.point() - hand.point());
    }

    /// Couples the orientations of hand and tool, because motion begins. If they are already
    /// coupled, does nothing.
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
    fn orientation_is_rotated_and_mirrored_with_its_frame() {
        let [roll, yaw] = [[0.3, 0.0, 0.0], [0.0, 0.0, 0.3]].map(Orientation::from_rpy);
        let turned = Retarget::new([1.0; 3], [0.0, 0.0, FRAC_PI_2], [2.0; 3]).rotate(roll);
        // In the base frame, a roll about the tracker's x is a quarter turn about z followed by a
        // rotation about y.
        let expected = nalgebra::UnitQuaternion::from_euler_angles(0.0, 0.3, 0.0)
            * nalgebra::UnitQuaternion::from_euler_angles(0.0, 0.0, FRAC_PI_2);
        let [x, y, z, w] = turned.xyzw();
        let turned = nalgebra::UnitQuaternion::new_normalize(nalgebra::Quaternion::new(w, x, y, z));
        assert!(turned.angle_to(&expected) < 1e-9);
        // A mirror that swaps left and right keeps a rotation about the mirrored axis and reverses
        // rotations about the other axes.
        let mirror = Retarget::new([0.0; 3], [0.0; 3], [-1.0, 1.0, 1.0]);
        assert!(mirror.rotate(roll).angle_to(roll) < 1e-9);
        assert!(mirror.rotate(yaw).angle_to(Orientation::from_rpy([0.0, 0.0, -0.3])) < 1e-9);
    }

    fn applied(retarget: Retarget, [x, y, z]: [f64; 3]) -> [f64; 3] {
        retarget.apply(Position::new(x, y, z).unwrap()).unwrap().coordinates()
    }

    #[test]
    fn default_transform_changes_nothing() {
        assert_eq!(applied(Retarget::default(), [0.1, -0.2, 0.3]), [0.1, -0.2, 0.3]);
    }

    #[test]
    fn transform_scales_then_rotates_then_translates() {
        let retarget = Retarget::new([1.0, 0.0, 0.0], [0.0, 0.0, FRAC_PI_2], [2.0, 1.0, -1.0]);
        assert_eq!(applied(retarget, [0.1, 0.0, 0.3]), [1.0, 0.2, -0.3]);
    }

    #[test]
    fn position_out_of_range_is_refused() {
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
    fn relative_motion_begins_at_arm_and_follows_hand() {
        let mut clutch = Clutch::default();
        assert_eq!(place(clutch, RetargetMode::Relative, 9.0), (at(0.2), false));
        clutch.engage(at(9.0), at(0.2));
        assert_eq!(place(clutch, RetargetMode::Relative, 9.1), (at(0.3), false));
        assert_eq!(place(clutch, RetargetMode::Relative, 9.9), (at(0.5), true));
        assert_eq!(place(clutch, RetargetMode::Absolute, 0.4), (at(0.4), false));
    }

    #[test]
    fn coupling_lasts_until_hand_is_released() {
        let mut clutch = Clutch::default();
        clutch.engage(at(1.0), at(0.2));
        clutch.engage(at(5.0), at(0.4));
        assert_eq!(place(clutch, RetargetMode::Relative, 1.1), (at(0.3), false));
        clutch.release();
        assert_eq!(place(clutch, RetargetMode::Relative, 1.1), (at(0.2), false));
    }

    #[test]
    fn relative_orientation_rotates_tool_with_hand() {
        let yaw = |angle| Orientation::from_rpy([0.0, 0.0, angle]);
        let mut clutch = Clutch::default();
        assert_eq!(clutch.orient(RetargetMode::Relative, yaw(1.0), yaw(0.1)), yaw(0.1));
        assert_eq!(clutch.orient(RetargetMode::Absolute, yaw(1.0), yaw(0.1)), yaw(1.0));
        clutch.engage_orientation(yaw(1.0), yaw(0.1));
        clutch.engage_orientation(yaw(2.0), yaw(0.1));
        assert!(clutch.orient(RetargetMode::Relative, yaw(1.3), yaw(0.1)).angle_to(yaw(0.4)) < 1e-9);
    }
}
