//! Compares the motion of the arm with the command: direction and distance. Pure. All lengths are
//! in millimetres.

use std::fmt;

use nalgebra::{Matrix3, Rotation3, Vector3};

/// A direction along an axis of the arm's base frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Direction {
    /// The axis: 0, 1 or 2 for x, y or z.
    pub axis: usize,
    pub backwards: bool,
}

impl Direction {
    /// Returns the positive direction of an axis.
    pub fn up(axis: usize) -> Self {
        Self { axis, backwards: false }
    }

    /// Returns the direction as a vector of length 1.
    fn unit(self) -> Vector3<f64> {
        let mut unit = Vector3::zeros();
        unit[self.axis] = if self.backwards { -1.0 } else { 1.0 };
        unit
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", if self.backwards { '-' } else { '+' }, AXES[self.axis])
    }
}

/// How the arm moved after a command along one axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Went {
    /// The commanded distance, along this direction.
    Along(Direction),
    /// Along an axis, but the distance is wrong by this factor (10, 100, 1000 or 0.1).
    Scaled(f64),
    /// It did not move.
    Nowhere,
    /// Any other motion.
    Astray,
}

/// Judges a motion from the commanded distance along an axis and the motion along each axis.
pub(super) fn judge(sent: f64, moved: [f64; 3]) -> Went {
    let moved = Vector3::from(moved);
    let (axis, length) = (moved.iamax(), moved.norm());
    if length < sent * STILL {
        return Went::Nowhere;
    }
    let direction = Direction { axis, backwards: moved[axis] < 0.0 };
    if (moved - direction.unit() * length).norm() > length * ASKEW {
        return Went::Astray;
    }
    let is_near = |factor: &f64| (length - factor * sent).abs() <= SLACK * factor * sent;
    match [1.0, 10.0, 100.0, 1000.0, 0.1].into_iter().find(is_near) {
        Some(1.0) => Went::Along(direction),
        Some(factor) => Went::Scaled(factor),
        None => Went::Astray,
    }
}

/// Explains why an arm leaves its position after a command to that position: how the controller may
/// have read the numbers.
pub(super) fn explain_jump(place: [f64; 3], moved: [f64; 3]) -> Option<String> {
    let (place, moved) = (Vector3::from(place), Vector3::from(moved));
    let mut causes: Vec<(String, Vector3<f64>)> = Vec::new();
    for factor in [0.001, 0.01, 0.1, 10.0, 100.0, 1000.0] {
        causes.push((
            format!("the controller reads numbers as {factor} times their value, a wrong unit"),
            place * factor,
        ));
    }
    for (axis, name) in AXES.iter().enumerate() {
        let mut mirrored = place;
        mirrored[axis] = -mirrored[axis];
        causes.push((format!("{name} is mirrored"), mirrored));
        let other = (axis + 1) % 3;
        let mut swapped = place;
        swapped.swap_rows(axis, other);
        causes.push((format!("{name} and {} are swapped", AXES[other]), swapped));
    }
    // The arm may still be on its way.
    let fits = |target: &Vector3<f64>| {
        let way = target - place;
        let along = moved.dot(&way) / way.norm().max(f64::MIN_POSITIVE);
        along > 0.0
            && along <= way.norm() * (1.0 + SLACK)
            && (moved - way.normalize() * along).norm() < along * 0.1
    };
    let mut fitting = causes.into_iter().filter(|(_, target)| fits(target)).map(|(cause, _)| cause);
    let causes: Vec<_> = fitting.by_ref().collect();
    (!causes.is_empty()).then(|| causes.join(", or "))
}

/// Returns the `retarget.rotation_rpy` and `retarget.scale` that correct the observed directions.
/// Returns `None` if the directions are right, or if two axes move the same way.
pub(super) fn retarget(ways: [Direction; 3]) -> Option<([f64; 3], [f64; 3])> {
    let went = Matrix3::from_columns(&ways.map(Direction::unit));
    if went == Matrix3::identity() || went.determinant() == 0.0 {
        return None;
    }
    let back = went.transpose();
    let mut scales = vec![[1.0; 3], [-1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0]];
    scales.retain(|scale| (scale.iter().product::<f64>() < 0.0) == (back.determinant() < 0.0));
    let rotation = |scale: [f64; 3]| back * Matrix3::from_diagonal(&Vector3::from(scale));
    // Prefer a pure mirror, if it is sufficient.
    let scale =
        scales.iter().copied().find(|scale| rotation(*scale) == Matrix3::identity()).unwrap_or(scales[0]);
    let (roll, pitch, yaw) = Rotation3::from_matrix_unchecked(rotation(scale)).euler_angles();
    Some(([roll, pitch, yaw], scale))
}

/// The names of the axes.
pub(super) const AXES: [&str; 3] = ["x", "y", "z"];

/// A motion shorter than this share of the command counts as no motion.
const STILL: f64 = 0.06;

/// A motion farther off the axis than this share of its length counts as another direction.
const ASKEW: f64 = 0.3;

/// A motion may be longer or shorter by this share.
const SLACK: f64 = 0.35;

#[cfg(test)]
mod tests {
    use nalgebra::{Matrix3, Rotation3, Vector3};

    use super::{Direction, Went, explain_jump, judge, retarget};

    fn along(axis: usize, backwards: bool) -> Went {
        Went::Along(Direction { axis, backwards })
    }

    #[test]
    fn motion_is_judged_by_axis_sign_and_length() {
        for (moved, went) in [
            ([5.0, 0.0, 0.0], along(0, false)),
            ([4.1, 0.4, -0.3], along(0, false)),
            ([-5.0, 0.0, 0.0], along(0, true)),
            ([0.2, 0.0, -5.3], along(2, true)),
            ([0.1, -0.1, 0.2], Went::Nowhere),
            ([50.0, 0.0, 0.0], Went::Scaled(10.0)),
            ([0.0, -5000.0, 0.0], Went::Scaled(1000.0)),
            ([0.5, 0.0, 0.0], Went::Scaled(0.1)),
            ([3.5, 3.5, 0.0], Went::Astray),
            ([20.0, 0.0, 0.0], Went::Astray),
        ] {
            assert_eq!(judge(5.0, moved), went, "{moved:?}");
        }
    }

    #[test]
    fn jump_is_explained_by_its_direction() {
        let place = [200.0, 50.0, 300.0];
        for (moved, words) in [
            ([-400.0, 0.0, 0.0], "x is mirrored"),
            ([-90.0, 0.0, 0.0], "x is mirrored"),
            ([-150.0, 150.0, 0.0], "x and y are swapped"),
            ([-199.8, -49.95, -299.7], "0.001 times"),
            ([1800.0, 450.0, 2700.0], "10 times"),
        ] {
            assert!(explain_jump(place, moved).unwrap().contains(words), "{moved:?}");
        }
        assert_eq!(explain_jump(place, [0.0, 77.0, 3.0]), None);
        assert_eq!(explain_jump([0.0; 3], [5.0, 0.0, 0.0]), None);
    }

    #[test]
    fn retarget_corrects_every_axis_order_and_sign() {
        let mut right = 0;
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            for signs in 0..8 {
                let ways =
                    [0, 1, 2].map(|nth| Direction { axis: order[nth], backwards: signs >> nth & 1 == 1 });
                let Some((rpy, scale)) = retarget(ways) else {
                    right += 1;
                    continue;
                };
                let turned = Rotation3::from_euler_angles(rpy[0], rpy[1], rpy[2]);
                let scaled = Matrix3::from_diagonal(&Vector3::from(scale));
                let went = Matrix3::from_columns(&ways.map(Direction::unit));
                let all = went * turned.matrix() * scaled;
                assert!((all - Matrix3::identity()).norm() < 1e-9, "{ways:?}");
            }
        }
        assert_eq!(right, 1);
        let mirrored = [Direction { axis: 0, backwards: true }, Direction::up(1), Direction::up(2)];
        assert_eq!(retarget(mirrored), Some(([0.0; 3], [-1.0, 1.0, 1.0])));
        assert_eq!(retarget([Direction::up(0), Direction::up(0), Direction::up(2)]), None);
    }
}
