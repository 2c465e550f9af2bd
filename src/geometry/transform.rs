//! The pose of one frame in another frame.

use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};

use super::{Orientation, Position, PositionError};

/// The pose of a frame in the base frame: `base = translation + rotation · frame`. There is no
/// scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transform(Isometry3<f64>);

impl Transform {
    /// Creates a transform from a translation in metres and a quaternion `[x, y, z, w]`, which is
    /// normalized.
    pub fn new(translation: [f64; 3], [x, y, z, w]: [f64; 4]) -> Self {
        let rotation = UnitQuaternion::from_quaternion(Quaternion::new(w, x, y, z));
        Self(Isometry3::from_parts(Translation3::from(translation), rotation))
    }

    /// Transforms a position from the frame to the base frame.
    ///
    /// # Errors
    /// The result is not a valid [`Position`].
    pub fn position(&self, position: Position) -> Result<Position, PositionError> {
        let base = self.0 * position.point();
        Position::new(base.x, base.y, base.z)
    }

    /// Transforms an orientation from the frame to the base frame.
    pub fn orientation(&self, orientation: Orientation) -> Orientation {
        orientation.rotated(&self.0.rotation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a frame that is 1 m ahead, 0.5 m up, and rotated to the left by a quarter turn.
    fn turned() -> Transform {
        let half = 0.5_f64.sqrt();
        Transform::new([1.0, 0.0, 0.5], [0.0, 0.0, half, half])
    }

    #[test]
    fn position_is_rotated_and_then_translated() {
        let base = turned().position(Position::new(0.2, 0.1, -0.1).unwrap()).unwrap();
        assert_eq!(base.coordinates(), [0.9, 0.2, 0.4]);
    }

    #[test]
    fn orientation_is_rotated() {
        let half = 0.5_f64.sqrt();
        let about_x = [half, 0.0, 0.0, half];
        let base = turned().orientation(Orientation::new(about_x).unwrap()).xyzw();
        for (is, should) in base.into_iter().zip([0.5, 0.5, 0.5, 0.5]) {
            assert!((is - should).abs() < 1e-12, "{base:?}");
        }
    }

    #[test]
    fn quaternion_near_unit_length_scales_nothing() {
        let base =
            Transform::new([0.0; 3], [0.0, 0.0, 0.0, 1.004]).position(Position::new(1.0, 2.0, 3.0).unwrap());
        assert_eq!(base.unwrap().coordinates(), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn out_of_range_or_infinite_result_is_refused() {
        let origin = Position::new(0.0, 0.0, 0.0).unwrap();
        assert!(Transform::new([1e6, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]).position(origin).is_err());
        assert!(Transform::new([f64::INFINITY, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]).position(origin).is_err());
    }
}
