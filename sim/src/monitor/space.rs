//! The allowed positions and straight paths between commands. Shares no code with the bridge.

use aether_bridge::geometry::Position;
use aether_bridge::teleop::Workspace;

type Point = [f64; 3];

/// A box, limited to a range of distances from the origin, without the keep-out boxes. In metres.
#[derive(Debug, Clone)]
pub struct Space {
    bounds: [Point; 2],
    reach: (f64, f64),
    keep_out: Vec<[Point; 2]>,
}

impl From<&Workspace> for Space {
    fn from(workspace: &Workspace) -> Self {
        let corners = |corners: [Position; 2]| corners.map(Position::coordinates);
        Self {
            bounds: corners(workspace.corners()),
            reach: workspace.reach(),
            keep_out: workspace.keep_out().iter().map(|keep_out| corners(keep_out.corners())).collect(),
        }
    }
}

impl Space {
    /// Returns what is wrong with a position, or `None` if it is allowed.
    pub fn fault_at(&self, place: Position) -> Option<String> {
        let point = place.coordinates();
        let [min, max] = self.bounds;
        let in_box = (0..3).all(|axis| (min[axis]..=max[axis]).contains(&point[axis]));
        let from_base = length(point);
        if !in_box || !(self.reach.0..=self.reach.1).contains(&from_base) {
            return Some("outside the workspace".to_owned());
        }
        let inside =
            |[low, high]: &[Point; 2]| (0..3).all(|axis| low[axis] < point[axis] && point[axis] < high[axis]);
        self.keep_out.iter().position(inside).map(|index| format!("in keep-out box {}", index + 1))
    }

    /// Returns what is wrong with the straight path between two positions, or `None` if it is
    /// allowed.
    pub fn fault_between(&self, from: Position, to: Position) -> Option<String> {
        let (from, to) = (from.coordinates(), to.coordinates());
        let nearest = nearest_to_base(from, to);
        // The path may begin outside the reach, if the reach has just been changed.
        if nearest < self.reach.0.min(length(from)) - NOISE {
            let (nearest, allowed) = (nearest * 1e3, self.reach.0 * 1e3);
            return Some(format!(
                "the path to it passes the base at {nearest:.3} mm, {allowed:.3} mm allowed"
            ));
        }
        let cut = |corners: &[Point; 2]| is_cut(from, to, corners);
        self.keep_out
            .iter()
            .position(cut)
            .map(|index| format!("the path to it cuts keep-out box {}", index + 1))
    }
}

fn length(point: Point) -> f64 {
    point.iter().map(|coordinate| coordinate * coordinate).sum::<f64>().sqrt()
}

/// Returns the smallest distance of a path from the origin. The path and the origin form a
/// triangle. If the foot of its height from the origin is on the path, the distance is this
/// height.
fn nearest_to_base(from: Point, to: Point) -> f64 {
    let way: Point = std::array::from_fn(|axis| to[axis] - from[axis]);
    let (near, far, base) = (length(from), length(to), length(way));
    let is_sharp = |side: f64, other: f64| side * side + base * base > other * other;
    if base < NOISE || !is_sharp(near, far) || !is_sharp(far, near) {
        return near.min(far);
    }
    let [[a, b, c], [x, y, z]] = [from, way];
    length([b * z - c * y, c * x - a * z, a * y - b * x]) / base
}

/// Returns whether a path has a point inside a box. Halves the path down to a nanometre, and
/// compares the bounding box of each half.
fn is_cut(from: Point, to: Point, corners: &[Point; 2]) -> bool {
    let [low, high] = corners;
    let inside =
        |point: Point| (0..3).all(|axis| low[axis] + NOISE < point[axis] && point[axis] < high[axis] - NOISE);
    let apart = (0..3).any(|axis| {
        let (least, most) = (from[axis].min(to[axis]), from[axis].max(to[axis]));
        most <= low[axis] + NOISE || least >= high[axis] - NOISE
    });
    if apart {
        return false;
    }
    let middle: Point = std::array::from_fn(|axis| 0.5 * (from[axis] + to[axis]));
    if inside(from) || inside(to) || inside(middle) {
        return true;
    }
    let longest = (0..3).map(|axis| (to[axis] - from[axis]).abs()).fold(0.0, f64::max);
    longest > NOISE && (is_cut(from, middle, corners) || is_cut(middle, to, corners))
}

/// Differences below this are ignored, in metres. It is a thousandth of the resolution of numbers
/// in a line.
const NOISE: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_through_a_box_is_cut() {
        let corners = [[-0.1; 3], [0.1; 3]];
        for (from, to, cut) in [
            ([-0.3, 0.0, 0.0], [0.3, 0.0, 0.0], true),
            ([-0.3, 0.1, 0.0], [0.3, 0.1, 0.0], false),
            ([-0.3, 0.099_999, 0.0], [0.3, 0.099_999, 0.0], true),
            ([-0.3, 0.0, 0.0], [0.0, 0.3, 0.0], false),
            ([-0.101, 0.098, 0.0], [-0.098, 0.101, 0.0], true),
            ([-0.101, 0.1, 0.0], [-0.1, 0.101, 0.0], false),
            ([0.0; 3], [0.0; 3], true),
        ] {
            assert_eq!(is_cut(from, to, &corners), cut, "{from:?} {to:?}");
        }
    }

    #[test]
    fn path_past_the_base_has_its_nearest_distance() {
        for (from, to, nearest) in [
            ([-0.3, 0.1, 0.0], [0.3, 0.1, 0.0], 0.1),
            ([0.2, 0.1, 0.0], [0.3, 0.1, 0.0], 0.05_f64.sqrt()),
            ([0.3, 0.1, 0.0], [0.2, 0.1, 0.0], 0.05_f64.sqrt()),
            ([0.0, 0.0, 0.2], [0.0, 0.0, 0.2], 0.2),
            ([0.0, 0.0, -0.2], [0.0, 0.0, 0.2], 0.0),
        ] {
            assert!((nearest_to_base(from, to) - nearest).abs() < 1e-12, "{from:?} {to:?}");
        }
    }
}
