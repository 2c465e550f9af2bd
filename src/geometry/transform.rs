//! Where one frame is in another: rotate, then translate.

use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};

use super::{Orientation, Position, PositionError};

/// Where a frame is in the base frame: `base = translation + rotation · frame`. Nothing is scaled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform(Isometry3<f64>);

impl Transform {
    /// Takes metres, and a quaternion, which is brought to unit length.
    pub fn new(translation: [f64; 3], [x, y, z, w]: [f64; 4]) -> Self {
        let rotation = UnitQuaternion::from_quaternion(Quaternion::new(w, x, y, z));
        Self(Isometry3::from_parts(Translation3::from(translation), rotation))
    }

    /// Takes a position in the frame to the arm's base frame.
    ///
    /// # Errors
    /// If the result lies beyond what can be a position.
    pub fn position(&self, position: Position) -> Result<Position, PositionError> {
        let base = self.0 * position.point();
        Position::new(base.x, base.y, base.z)
    }

    /// Takes an orientation in the frame to the arm's base frame.
    pub fn orientation(&self, orientation: Orientation) -> Orientation {
        orientation.rotated(&self.0.rotation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame a metre ahead, turned to the left.
    fn turned() -> Transform {
        let half = 0.5_f64.sqrt();
        Transform::new([1.0, 0.0, 0.5], [0.0, 0.0, half, half])
    }

    #[test]
    fn a_position_is_turned_and_then_moved() {
        let base = turned().position(Position::new(0.2, 0.1, -0.1).unwrap()).unwrap();
        assert_eq!(base.coordinates(), [0.9, 0.2, 0.4]);
    }

    #[test]
    fn an_orientation_is_turned() {
        let half = 0.5_f64.sqrt();
        let about_x = [half, 0.0, 0.0, half];
        let base = turned().orientation(Orientation::new(about_x).unwrap()).xyzw();
        for (is, should) in base.into_iter().zip([0.5, 0.5, 0.5, 0.5]) {
            assert!((is - should).abs() < 1e-12, "{base:?}");
        }
    }

    #[test]
    fn a_quaternion_a_little_off_unit_length_scales_nothing() {
        let base =
            Transform::new([0.0; 3], [0.0, 0.0, 0.0, 1.004]).position(Position::new(1.0, 2.0, 3.0).unwrap());
        assert_eq!(base.unwrap().coordinates(), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_result_beyond_any_arm_or_no_number_at_all_is_refused() {
        let origin = Position::new(0.0, 0.0, 0.0).unwrap();
        assert!(Transform::new([1e6, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]).position(origin).is_err());
        assert!(Transform::new([f64::INFINITY, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]).position(origin).is_err());
    }
}
