//! From the tracker's frame to the arm's base frame: scale per axis, then rotate, then translate.

use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};

use crate::geometry::{Orientation, Position, PositionError};

/// A retargeting: `base = translation + rotation · (scale ∘ tracker)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retarget {
    scale: Vector3<f64>,
    isometry: Isometry3<f64>,
}

impl Retarget {
    /// `translation` in metres, `rpy` roll, pitch, yaw in radians about fixed axes (REP 103), `scale` per axis of the
    /// tracker's frame; a negative factor mirrors.
    pub fn new(translation: [f64; 3], rpy: [f64; 3], scale: [f64; 3]) -> Self {
        let [roll, pitch, yaw] = rpy;
        let rotation = UnitQuaternion::from_euler_angles(roll, pitch, yaw);
        Self {
            scale: Vector3::from(scale),
            isometry: Isometry3::from_parts(Translation3::from(translation), rotation),
        }
    }

    /// A position in the tracker's frame as one in the arm's base frame.
    ///
    /// # Errors
    /// When the result lies beyond what can be a position.
    pub fn apply(&self, tracker: Position) -> Result<Position, PositionError> {
        let scaled = nalgebra::Point3::from(tracker.point().coords.component_mul(&self.scale));
        let base = self.isometry * scaled;
        Position::new(base.x, base.y, base.z)
    }

    /// An orientation in the tracker's frame as one in the arm's base frame. What a negative scale mirrors is turned the
    /// other way about the axes that it leaves as they are.
    pub fn turn(&self, tracker: Orientation) -> Orientation {
        let sign = self.scale.map(f64::signum);
        tracker.mirrored(sign).rotated(&self.isometry.rotation)
    }
}

impl Default for Retarget {
    fn default() -> Self {
        Self::new([0.0; 3], [0.0; 3], [1.0; 3])
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use super::{Orientation, Position, Retarget};

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
}
