//! An orientation in space.

use std::f64::consts::{PI, TAU};

use nalgebra::{Quaternion, UnitQuaternion, Vector3};

/// An orientation: a unit quaternion by construction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Orientation(UnitQuaternion<f64>);

/// Why four numbers are not an orientation: they are not a unit quaternion.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "[{}, {}, {}, {}] (x, y, z, w) is not a unit quaternion; send 0, 0, 0, 1 if the sender has no orientation",
    xyzw[0], xyzw[1], xyzw[2], xyzw[3]
)]
pub struct OrientationError {
    /// The numbers as received.
    pub xyzw: [f64; 4],
}

impl Orientation {
    /// Creates an orientation from a quaternion x, y, z, w of unit length, within the tolerance of
    /// tf2.
    ///
    /// # Errors
    /// The quaternion is zero, not finite or not of unit length.
    pub fn new(xyzw: [f64; 4]) -> Result<Self, OrientationError> {
        let [x, y, z, w] = xyzw;
        let norm_squared: f64 = xyzw.iter().map(|part| part * part).sum();
        // A NaN fails this comparison.
        if (norm_squared - 1.0).abs() < TOLERANCE {
            Ok(Self(UnitQuaternion::new_normalize(Quaternion::new(w, x, y, z))))
        } else {
            Err(OrientationError { xyzw })
        }
    }

    /// Creates an orientation from roll, pitch and yaw in radians about fixed axes (REP 103).
    pub fn from_rpy([roll, pitch, yaw]: [f64; 3]) -> Self {
        Self(UnitQuaternion::from_euler_angles(roll, pitch, yaw))
    }

    /// Returns roll, pitch and yaw in radians about fixed axes (REP 103).
    pub fn rpy(self) -> [f64; 3] {
        let (roll, pitch, yaw) = self.0.euler_angles();
        [roll, pitch, yaw]
    }

    /// Returns roll, pitch and yaw in radians, like [`Orientation::rpy`], but chooses the angles
    /// nearest to `last`.
    ///
    /// The angles may exceed half a turn, and the pitch may exceed a quarter turn. Every
    /// orientation has two sets of angles, and whole turns may be added to each angle. If the pitch
    /// is a quarter turn (gimbal lock), there are infinitely many sets, because roll and yaw then
    /// rotate about the same axis.
    pub fn rpy_near(self, last: [f64; 3]) -> [f64; 3] {
        let [roll, pitch, yaw] = self.rpy();
        let other = [roll + PI, PI - pitch, yaw + PI];
        let sets = [[roll, pitch, yaw], other].map(|angles: [f64; 3]| {
            std::array::from_fn(|part| last[part] + remainder(angles[part] - last[part]))
        });
        let distance = |angles: &[f64; 3]| -> f64 { (0..3).map(|i| (angles[i] - last[i]).powi(2)).sum() };
        let [first, second] = sets;
        let nearest: [f64; 3] = if distance(&second) < distance(&first) { second } else { first };
        if nalgebra::ComplexField::cos(pitch) > GIMBAL_LOCK {
            return nearest;
        }
        // Here the orientation determines only the difference of roll and yaw, or their sum if the
        // pitch is negative. Roll and yaw each take half of its change.
        let [x, _, _, w] = self.xyzw();
        let turned = 2.0 * nalgebra::RealField::atan2(x, w);
        let sign = if pitch > 0.0 { -1.0 } else { 1.0 };
        let half = remainder(turned - (last[0] + sign * last[2])) / 2.0;
        [last[0] + half, nearest[1], last[2] + sign * half]
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

    /// Returns the same orientation with the quaternion sign that is nearer to `other`, because a
    /// controller may interpolate the numbers.
    pub fn near(self, other: Self) -> Self {
        if self.0.coords.dot(&other.0.coords) < 0.0 {
            Self(UnitQuaternion::new_unchecked(-self.0.into_inner()))
        } else {
            self
        }
    }

    /// Rotates towards `goal` by the shortest rotation, but by at most `angle` radians. If `goal`
    /// is within this angle, returns `goal` itself.
    pub fn towards(self, goal: Self, angle: f64) -> Self {
        let whole = self.angle_to(goal);
        // Between opposite orientations there are two shortest rotations, and `slerp` would choose
        // neither.
        let way = self.0.rotation_to(&goal.0);
        if whole <= angle {
            return goal;
        }
        Self(UnitQuaternion::new_normalize((way.powf(angle / whole) * self.0).into_inner()))
    }

    /// Mirrors the orientation. In `sign`, 1 keeps an axis and -1 reverses it.
    pub(crate) fn mirrored(self, sign: Vector3<f64>) -> Self {
        let quaternion = self.0.quaternion();
        let axis = quaternion.imag().component_mul(&sign) * sign.product();
        Self(UnitQuaternion::new_normalize(Quaternion::from_parts(quaternion.w, axis)))
    }

    /// Returns this orientation relative to another orientation. [`Orientation::carrying`] is the
    /// inverse.
    pub(crate) fn seen_from(self, other: Self) -> Self {
        Self(other.0.inverse() * self.0)
    }

    /// Returns the absolute orientation of an object whose orientation relative to this one is
    /// `held`.
    pub(crate) fn carrying(self, held: Self) -> Self {
        Self(self.0 * held.0)
    }

    /// Rotates the orientation by `rotation`, about axes of the base frame.
    pub(crate) fn rotated(self, rotation: &UnitQuaternion<f64>) -> Self {
        Self(rotation * self.0)
    }
}

/// Removes whole turns from an angle in radians. The result is at most half a turn in either
/// direction.
fn remainder(angle: f64) -> f64 {
    angle - TAU * (angle / TAU).round()
}

/// The cosine of the pitch below which roll and yaw cannot be distinguished, because of the
/// resolution of the wire.
const GIMBAL_LOCK: f64 = 1e-6;

/// The value of tf2's `QUATERNION_NORMALIZATION_TOLERANCE`.
const TOLERANCE: f64 = 1e-2;

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_unit_quaternions_are_accepted() {
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
        // Yaw after roll, both about the axes of the base. The roll tips the tool's z axis to -y,
        // and the yaw rotates it to +x.
        let orientation = Orientation::from_rpy([FRAC_PI_2, 0.0, FRAC_PI_2]);
        let turned = orientation.0 * nalgebra::Vector3::z();
        assert!((turned - nalgebra::Vector3::x()).norm() < 1e-12, "{turned}");
        let [roll, pitch, yaw] = orientation.rpy();
        assert!((roll - FRAC_PI_2).abs() + pitch.abs() + (yaw - FRAC_PI_2).abs() < 1e-9);
    }

    #[test]
    fn step_rotates_by_its_angle_and_reaches_goal() {
        let (start, goal) = (Orientation::from_rpy([0.0; 3]), Orientation::from_rpy([0.0, 0.0, 1.0]));
        let step = start.towards(goal, 0.3);
        assert!((step.angle_to(start) - 0.3).abs() < 1e-9 && (step.angle_to(goal) - 0.7).abs() < 1e-9);
        assert_eq!(step.towards(goal, 0.8), goal);
        // The same rotation with the other sign has distance 0.
        let [x, y, z, w] = goal.xyzw();
        assert!(goal.angle_to(Orientation::new([-x, -y, -z, -w]).unwrap()) < 1e-9);
        let opposite = Orientation::from_rpy([0.0, 0.0, PI]);
        let step = start.towards(opposite, 0.1);
        assert!((step.angle_to(start) - 0.1).abs() < 1e-6, "{step:?}");
    }

    /// Returns the largest difference between two sets of angles, axis by axis.
    fn jump(a: [f64; 3], b: [f64; 3]) -> f64 {
        (0..3).map(|part| (a[part] - b[part]).abs()).fold(0.0, f64::max)
    }

    /// Follows a path. Returns the angles of each orientation, chosen near the previous angles.
    fn followed(path: &[Orientation]) -> Vec<[f64; 3]> {
        let mut last = path[0].rpy();
        path.iter()
            .map(|orientation| {
                last = orientation.rpy_near(last);
                last
            })
            .collect()
    }

    #[test]
    fn angles_continue_beyond_half_a_turn() {
        for axis in 0..3 {
            let path: Vec<_> = (0..1000)
                .map(|step| {
                    let mut angles = [0.0; 3];
                    angles[axis] = f64::from(step) * 0.02;
                    Orientation::from_rpy(angles)
                })
                .collect();
            let followed = followed(&path);
            for (step, angles) in followed.iter().enumerate() {
                let mut expected = [0.0; 3];
                expected[axis] = step as f64 * 0.02;
                assert!(jump(*angles, expected) < 1e-6, "axis {axis}, step {step}: {angles:?}");
            }
        }
    }

    #[test]
    fn gimbal_lock_keeps_angles_near_the_last() {
        for (pitch, sign) in [(FRAC_PI_2, -1.0), (-FRAC_PI_2, 1.0)] {
            let last = [0.7, pitch - 0.01, 0.2 * sign];
            let there = Orientation::from_rpy([0.8, pitch, 0.3 * sign]);
            let angles = there.rpy_near(last);
            assert!(Orientation::from_rpy(angles).angle_to(there) < 1e-6, "{angles:?}");
            assert!((angles[1] - pitch).abs() < 1e-6 && jump(angles, last) < 0.2, "{angles:?}");
        }
    }

    proptest! {
        #[test]
        fn followed_angles_match_orientation_and_never_jump(
            start in prop::array::uniform3(-4.0..4.0_f64),
            turns in prop::collection::vec((prop::array::uniform3(-1.0..1.0_f64), 1..60_u32), 1..8),
            step in 0.001..0.05_f64,
            through_the_lock in any::<bool>(),
        ) {
            let first = if through_the_lock { [start[0], FRAC_PI_2.copysign(start[1]), start[2]] } else { start };
            let mut path = vec![Orientation::from_rpy(first)];
            for (axis, times) in turns {
                let axis = nalgebra::Vector3::from(axis).try_normalize(1e-3).unwrap_or(nalgebra::Vector3::y());
                for _ in 0..times {
                    path.push(path[path.len() - 1].rotated(&UnitQuaternion::new(axis * step)));
                }
            }
            let followed = followed(&path);
            for (angles, orientation) in followed.iter().zip(&path) {
                // A cosine of 1e-6 counts as gimbal lock. At twice this distance the angle to
                // another orientation is exact.
                prop_assert!(Orientation::from_rpy(*angles).angle_to(*orientation) < 5e-6, "{angles:?} {orientation:?}");
            }
            for index in 1..followed.len() {
                let pitches = [followed[index - 1][1], followed[index][1]];
                let away = pitches.map(|pitch| pitch.cos().abs()).into_iter().fold(1.0, f64::min);
                // Roll and yaw change by the tool's rotation divided by the cosine. Nearer to the
                // lock there is no bound.
                if away > 4.0 * step {
                    let jump = jump(followed[index - 1], followed[index]);
                    prop_assert!(jump < 2.0 * step / away, "{jump} at {:?} {:?}", followed[index - 1], followed[index]);
                }
            }
        }
    }
}
