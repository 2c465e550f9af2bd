//! A rotation.

use std::f64::consts::{PI, TAU};

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

    /// Returns roll, pitch and yaw as [`Orientation::rpy`] does, but of all that describe this orientation those that are
    /// nearest to `last`. They may be beyond half a turn, and the pitch beyond a quarter.
    ///
    /// Every orientation has two sets of angles, each with any number of whole turns. Where the pitch is a quarter turn (the
    /// gimbal lock) it has infinitely many, because roll and yaw turn about the same axis.
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
        // Only the difference of roll and yaw tells the orientation here, or only their sum where the pitch is negative. Each
        // takes half of what that has changed.
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

/// Takes whole turns off an angle: what is left is half a turn at most, in radians.
fn remainder(angle: f64) -> f64 {
    angle - TAU * (angle / TAU).round()
}

/// The cosine of the pitch below which roll and yaw are not told apart: the resolution of the wire.
const GIMBAL_LOCK: f64 = 1e-6;

/// tf2's `QUATERNION_NORMALIZATION_TOLERANCE`.
const TOLERANCE: f64 = 1e-2;

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use proptest::prelude::*;

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

    /// How far two sets of angles are apart, each for itself.
    fn leap(a: [f64; 3], b: [f64; 3]) -> f64 {
        (0..3).map(|part| (a[part] - b[part]).abs()).fold(0.0, f64::max)
    }

    /// Follows a path and returns the angles that are told, each near the last.
    fn told(path: &[Orientation]) -> Vec<[f64; 3]> {
        let mut last = path[0].rpy();
        path.iter()
            .map(|orientation| {
                last = orientation.rpy_near(last);
                last
            })
            .collect()
    }

    #[test]
    fn angles_go_on_past_half_a_turn_and_a_quarter_of_pitch() {
        for axis in 0..3 {
            let path: Vec<_> = (0..1000)
                .map(|step| {
                    let mut angles = [0.0; 3];
                    angles[axis] = f64::from(step) * 0.02;
                    Orientation::from_rpy(angles)
                })
                .collect();
            let told = told(&path);
            for (step, angles) in told.iter().enumerate() {
                let mut expected = [0.0; 3];
                expected[axis] = step as f64 * 0.02;
                assert!(leap(*angles, expected) < 1e-6, "axis {axis}, step {step}: {angles:?}");
            }
        }
    }

    #[test]
    fn the_gimbal_lock_keeps_the_angles_where_they_were() {
        for (pitch, sign) in [(FRAC_PI_2, -1.0), (-FRAC_PI_2, 1.0)] {
            let last = [0.7, pitch - 0.01, 0.2 * sign];
            let there = Orientation::from_rpy([0.8, pitch, 0.3 * sign]);
            let angles = there.rpy_near(last);
            assert!(Orientation::from_rpy(angles).angle_to(there) < 1e-6, "{angles:?}");
            assert!((angles[1] - pitch).abs() < 1e-6 && leap(angles, last) < 0.2, "{angles:?}");
        }
    }

    proptest! {
        #[test]
        fn told_angles_are_the_orientation_and_never_leap(
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
            let told = told(&path);
            for (angles, orientation) in told.iter().zip(&path) {
                // A cosine of 1e-6 is taken for the lock; and twice as far the angle to another orientation is exact.
                prop_assert!(Orientation::from_rpy(*angles).angle_to(*orientation) < 5e-6, "{angles:?} {orientation:?}");
            }
            for index in 1..told.len() {
                let pitches = [told[index - 1][1], told[index][1]];
                let away = pitches.map(|pitch| pitch.cos().abs()).into_iter().fold(1.0, f64::min);
                // Roll and yaw turn by the cosine's inverse of what the tool turns; closer to the lock nothing bounds them.
                if away > 4.0 * step {
                    let leap = leap(told[index - 1], told[index]);
                    prop_assert!(leap < 2.0 * step / away, "{leap} at {:?} {:?}", told[index - 1], told[index]);
                }
            }
        }
    }
}
