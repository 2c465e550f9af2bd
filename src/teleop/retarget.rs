//! From the tracker's frame to the arm's base frame: scale per axis, then rotate, then translate.

use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};

use super::command::{Position, PositionError};

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
}

impl Default for Retarget {
    fn default() -> Self {
        Self::new([0.0; 3], [0.0; 3], [1.0; 3])
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use super::{Position, Retarget};

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
