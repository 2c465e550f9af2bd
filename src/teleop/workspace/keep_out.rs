//! A keep-out box: where no command may lead, and through which no way may lead.

use nalgebra::Point3;

use crate::geometry::Position;

/// An axis-aligned box in the arm's base frame, in metres. Its faces are not part of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeepOut {
    min: Position,
    max: Position,
}

impl KeepOut {
    /// Makes a box from two corners; `None` unless `min` is below `max` on every axis.
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

    /// Returns how far outside the box a point is, along the axis on which it is farthest. It is negative inside.
    pub(super) fn distance(&self, point: Point3<f64>) -> f64 {
        let (min, max) = (self.min.point(), self.max.point());
        (0..3)
            .map(|axis| (min[axis] - point[axis]).max(point[axis] - max[axis]))
            .fold(f64::NEG_INFINITY, f64::max)
    }

    /// Returns whether the straight way between two points leads through the box, which is `margin` larger on each side.
    pub(super) fn cuts(&self, from: Point3<f64>, to: Point3<f64>, margin: f64) -> bool {
        // The shares of the way at which it comes in and goes out.
        let (mut first, mut last) = (0.0_f64, 1.0_f64);
        for axis in 0..3 {
            let (low, high) = (self.min.point()[axis] - margin, self.max.point()[axis] + margin);
            let (start, way) = (from[axis], to[axis] - from[axis]);
            if way == 0.0 {
                if start <= low || start >= high {
                    return false;
                }
                continue;
            }
            let (one, other) = ((low - start) / way, (high - start) / way);
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
    fn box_without_room_is_none() {
        assert!(KeepOut::new(at(0.0, 0.0, 0.0), at(0.1, 0.0, 0.1)).is_none());
        assert!(KeepOut::new(at(0.0, 0.2, 0.0), at(0.1, 0.1, 0.1)).is_none());
    }

    #[test]
    fn face_of_the_box_is_outside() {
        assert!(cube().contains(at(0.099_999, 0.0, 0.0)) && !cube().contains(at(0.1, 0.0, 0.0)));
        assert!((cube().distance(Point3::new(0.3, 0.15, 0.0)) - 0.2).abs() < 1e-12);
        assert!((cube().distance(Point3::origin()) + 0.1).abs() < 1e-12);
    }

    #[test]
    fn way_through_the_box_is_cut() {
        let point = Point3::new;
        for (from, to, cut) in [
            (point(-0.3, 0.0, 0.0), point(0.3, 0.0, 0.0), true),
            (point(-0.3, 0.0, 0.0), point(-0.2, 0.0, 0.0), false),
            (point(-0.3, 0.0, 0.0), point(-0.1, 0.0, 0.0), false),
            (point(-0.3, 0.1, 0.0), point(0.3, 0.1, 0.0), false),
            (point(-0.3, 0.099, 0.0), point(0.3, 0.099, 0.0), true),
            // Past a corner, and through it.
            (point(-0.3, 0.0, 0.0), point(0.0, 0.3, 0.0), false),
            (point(-0.15, 0.0, 0.0), point(0.0, 0.15, 0.0), true),
            // It begins or ends inside.
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
