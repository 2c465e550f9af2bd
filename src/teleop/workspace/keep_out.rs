//! A keep-out box. No command may lie in it, and no path of the arm may lead through it.

use nalgebra::Point3;

use crate::geometry::Position;

/// An axis-aligned box in the arm's base frame, in metres. Its faces do not belong to the box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeepOut {
    min: Position,
    max: Position,
}

impl KeepOut {
    /// Creates a box from two corners. Returns `None` unless `min` is below `max` on every axis.
    pub fn new(min: Position, max: Position) -> Option<Self> {
        let ordered = min.coordinates().iter().zip(max.coordinates()).all(|(low, high)| *low < high);
        ordered.then_some(Self { min, max })
    }

    /// Returns the lower and the upper corner.
    pub fn corners(&self) -> [Position; 2] {
        [self.min, self.max]
    }

    /// Returns whether a position lies in the box.
    pub fn contains(&self, position: Position) -> bool {
        self.distance(position.point()) < 0.0
    }

    /// Returns the distance from the box in metres, along the axis on which the point is farthest
    /// outside. Negative inside the box.
    pub(super) fn distance(&self, point: Point3<f64>) -> f64 {
        let (min, max) = (self.min.point(), self.max.point());
        (0..3)
            .map(|axis| (min[axis] - point[axis]).max(point[axis] - max[axis]))
            .fold(f64::NEG_INFINITY, f64::max)
    }

    /// Returns whether the straight path between two points leads through the box, enlarged by
    /// `margin` (metres) on each side.
    pub(super) fn cuts(&self, from: Point3<f64>, to: Point3<f64>, margin: f64) -> bool {
        // The fractions of the path at which it enters and leaves the box.
        let (mut first, mut last) = (0.0_f64, 1.0_f64);
        for axis in 0..3 {
            let (low, high) = (self.min.point()[axis] - margin, self.max.point()[axis] + margin);
            let (start, length) = (from[axis], to[axis] - from[axis]);
            if length == 0.0 {
                if start <= low || start >= high {
                    return false;
                }
                continue;
            }
            let (one, other) = ((low - start) / length, (high - start) / length);
            first = first.max(one.min(other));
            last = last.min(one.max(other));
        }
        first < last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64, y: f64, z: f64) -> Position {
        Position::new(x, y, z).unwrap()
    }

    fn cube() -> KeepOut {
        KeepOut::new(at(-0.1, -0.1, -0.1), at(0.1, 0.1, 0.1)).unwrap()
    }

    #[test]
    fn box_without_volume_is_rejected() {
        assert!(KeepOut::new(at(0.0, 0.0, 0.0), at(0.1, 0.0, 0.1)).is_none());
        assert!(KeepOut::new(at(0.0, 0.2, 0.0), at(0.1, 0.1, 0.1)).is_none());
    }

    #[test]
    fn face_of_box_is_outside() {
        assert!(cube().contains(at(0.099_999, 0.0, 0.0)) && !cube().contains(at(0.1, 0.0, 0.0)));
        assert!((cube().distance(Point3::new(0.3, 0.15, 0.0)) - 0.2).abs() < 1e-12);
        assert!((cube().distance(Point3::origin()) + 0.1).abs() < 1e-12);
    }

    #[test]
    fn path_through_box_is_cut() {
        let point = Point3::new;
        for (from, to, cut) in [
            (point(-0.3, 0.0, 0.0), point(0.3, 0.0, 0.0), true),
            (point(-0.3, 0.0, 0.0), point(-0.2, 0.0, 0.0), false),
            (point(-0.3, 0.0, 0.0), point(-0.1, 0.0, 0.0), false),
            (point(-0.3, 0.1, 0.0), point(0.3, 0.1, 0.0), false),
            (point(-0.3, 0.099, 0.0), point(0.3, 0.099, 0.0), true),
            // Past a corner, and through a corner.
            (point(-0.3, 0.0, 0.0), point(0.0, 0.3, 0.0), false),
            (point(-0.15, 0.0, 0.0), point(0.0, 0.15, 0.0), true),
            // The path begins or ends inside the box.
            (point(0.0, 0.0, 0.0), point(0.3, 0.0, 0.0), true),
            (point(0.3, 0.0, 0.0), point(0.05, 0.0, 0.0), true),
        ] {
            assert_eq!(cube().cuts(from, to, 0.0), cut, "{from} {to}");
            assert_eq!(cube().cuts(to, from, 0.0), cut, "{to} {from}");
        }
        let beside = [point(-0.3, 0.100_5, 0.0), point(0.3, 0.100_5, 0.0)];
        assert!(cube().cuts(beside[0], beside[1], 0.001) && !cube().cuts(beside[0], beside[1], 0.000_4));
    }
}
