//! A rotation.

use nalgebra::{Quaternion, UnitQuaternion, Vector3};

/// An orientation: a unit quaternion by construction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orientation(UnitQuaternion<f64>);

/// Why four numbers are not an orientation: they are not a unit quaternion.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "[{}, {}, {}, {}] (x, y, z, w) is no unit quaternion; send 0, 0, 0, 1 if there is none", xyzw[0], xyzw[1], xyzw[2],
    xyzw[3]
)]
pub struct OrientationError {
    /// The numbers as they came.
    pub xyzw: [f64; 4],
}

impl Orientation {
    /// Takes a quaternion x, y, z, w of unit length, within tf2's tolerance.
    ///
    /// # Errors
    /// If it is zero, not finite or not of unit length.
    pub fn new(xyzw: [f64; 4]) -> Result<Self, OrientationError> {
        let [x, y, z, w] = xyzw;
        let norm_squared: f64 = xyzw.iter().map(|part| part * part).sum();
        // NaN is within no tolerance.
        if (norm_squared - 1.0).abs() < TOLERANCE {
            Ok(Self(UnitQuaternion::new_normalize(Quaternion::new(w, x, y, z))))
        } else {
            Err(OrientationError { xyzw })
        }
    }

    /// Takes roll, pitch and yaw in radians about fixed axes (REP 103).
    pub fn from_rpy([roll, pitch, yaw]: [f64; 3]) -> Self {
        Self(UnitQuaternion::from_euler_angles(roll, pitch, yaw))
    }

    /// Returns roll, pitch and yaw in radians about fixed axes (REP 103).
    pub fn rpy(self) -> [f64; 3] {
        let (roll, pitch, yaw) = self.0.euler_angles();
        [roll, pitch, yaw]
    }

    /// Returns the quaternion as x, y, z, w.
    pub fn xyzw(self) -> [f64; 4] {
        let quaternion = self.0.quaternion();
        [quaternion.i, quaternion.j, quaternion.k, quaternion.w]
    }

    /// Returns the angle between two orientations, in radians, from 0 to pi.
    pub fn angle_to(self, other: Self) -> f64 {
        self.0.angle_to(&other.0)
    }

    /// Writes the orientation with the sign that is nearer to another, because a controller may interpolate the numbers.
    pub fn near(self, other: Self) -> Self {
        if self.0.coords.dot(&other.0.coords) < 0.0 {
            Self(UnitQuaternion::new_unchecked(-self.0.into_inner()))
        } else {
            self
        }
    }

    /// Turns the shortest way to `goal`, by at most `angle` radians. Returns `goal` itself if that is no farther.
    pub fn towards(self, goal: Self, angle: f64) -> Self {
        let whole = self.angle_to(goal);
        // From exactly opposite there are two ways, and `slerp` would choose neither.
        let way = self.0.rotation_to(&goal.0);
        if whole <= angle {
            return goal;
        }
        Self(UnitQuaternion::new_normalize((way.powf(angle / whole) * self.0).into_inner()))
    }

    /// Mirrors the orientation: each axis stays (1) or is turned round (-1).
    pub(crate) fn mirrored(self, sign: Vector3<f64>) -> Self {
        let quaternion = self.0.quaternion();
        let axis = quaternion.imag().component_mul(&sign) * sign.product();
        Self(UnitQuaternion::new_normalize(Quaternion::from_parts(quaternion.w, axis)))
    }

    /// Returns this orientation as it is seen from another. [`Orientation::carrying`] undoes it.
    pub(crate) fn seen_from(self, other: Self) -> Self {
        Self(other.0.inverse() * self.0)
    }

    /// Returns how a thing is turned that is seen from this orientation as `held`.
    pub(crate) fn carrying(self, held: Self) -> Self {
        Self(self.0 * held.0)
    }

    /// Turns the orientation by `rotation`.
    pub(crate) fn rotated(self, rotation: &UnitQuaternion<f64>) -> Self {
        Self(rotation * self.0)
    }
}

/// tf2's `QUATERNION_NORMALIZATION_TOLERANCE`.
const TOLERANCE: f64 = 1e-2;

#[cfg(test)]
mod tests {
    use std::f64::consts::{FRAC_PI_2, PI};

    use super::*;

    #[test]
    fn only_a_unit_quaternion_is_an_orientation() {
        let half = 0.5_f64.sqrt();
        for xyzw in [[0.0, 0.0, 0.0, 1.0], [0.0, half, 0.0, -half], [0.0, 0.0, 0.0, 1.004]] {
            let norm: f64 = Orientation::new(xyzw).unwrap().xyzw().iter().map(|part| part * part).sum();
            assert!((norm - 1.0).abs() < 1e-12, "{xyzw:?}");
        }
        let bad = [
            [0.0; 4],
            [0.0, 0.0, 0.0, 2.0],
            [0.0, 0.0, 0.0, 0.99],
            [f64::NAN, 0.0, 0.0, 1.0],
            [0.0, f64::INFINITY, 0.0, 1.0],
            [1e300, 0.0, 0.0, 1.0],
        ];
        for xyzw in bad {
            assert!(matches!(Orientation::new(xyzw), Err(OrientationError { .. })), "{xyzw:?}");
        }
        let refused = Orientation::new([0.0; 4]).unwrap_err().to_string();
        assert!(refused.contains("[0, 0, 0, 0]") && refused.contains("0, 0, 0, 1"), "{refused}");
    }

    #[test]
    fn angles_are_about_fixed_axes() {
        // Yaw after roll, both about the axes of the base: z of the tool, tipped to -y by the roll, is turned to +x.
        let orientation = Orientation::from_rpy([FRAC_PI_2, 0.0, FRAC_PI_2]);
        let turned = orientation.0 * nalgebra::Vector3::z();
        assert!((turned - nalgebra::Vector3::x()).norm() < 1e-12, "{turned}");
        let [roll, pitch, yaw] = orientation.rpy();
        assert!((roll - FRAC_PI_2).abs() + pitch.abs() + (yaw - FRAC_PI_2).abs() < 1e-9);
    }

    #[test]
    fn a_step_turns_by_no_more_than_its_angle_and_arrives_exactly() {
        let (start, goal) = (Orientation::from_rpy([0.0; 3]), Orientation::from_rpy([0.0, 0.0, 1.0]));
        let step = start.towards(goal, 0.3);
        assert!((step.angle_to(start) - 0.3).abs() < 1e-9 && (step.angle_to(goal) - 0.7).abs() < 1e-9);
        assert_eq!(step.towards(goal, 0.8), goal);
        // The same rotation, written with the other sign, is no way at all.
        let [x, y, z, w] = goal.xyzw();
        assert!(goal.angle_to(Orientation::new([-x, -y, -z, -w]).unwrap()) < 1e-9);
        let opposite = Orientation::from_rpy([0.0, 0.0, PI]);
        let step = start.towards(opposite, 0.1);
        assert!((step.angle_to(start) - 0.1).abs() < 1e-6, "{step:?}");
    }
}
