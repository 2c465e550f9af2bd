//! Routes around obstacles: a graph of points that are visible from each other.
//!
//! Invariants:
//! - The path from the start of a route to its first point is free.
//! - The remaining route becomes shorter with each step along a route. So a walk that follows its
//!   routes to one goal does not go in circles.
//! - If there is a route to a goal, there is a route from each of its points too.
//!
//! The points lie slightly outside the edges of the keep-out boxes and slightly outside the inner
//! reach. Two points are *visible* from each other if the straight path between them is free. The
//! graph is calculated once, when the region changes. A route is the shortest path through the
//! graph. It is searched only if the straight path is not free.

use nalgebra::{Point3, Vector3};

use super::keep_out::KeepOut;
use super::region::{MARGIN, NEGLIGIBLE, Region};

/// The route graph of a region.
#[derive(Debug, Clone, Default)]
pub(super) struct RouteGraph {
    points: Vec<Point3<f64>>,
    /// For each point: the indices of the visible points, and their distances in metres.
    links: Vec<Vec<(usize, f64)>>,
}

/// The next part of a route to a goal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Route {
    /// The direction to the first point of the route. Its length is 1, or 0 at the goal.
    pub direction: Vector3<f64>,
    /// The distance to the first point, in metres. The path to it is free, and the walk can stop
    /// there.
    pub distance: f64,
    /// The length of the whole route to the goal, in metres.
    pub remaining: f64,
}

impl RouteGraph {
    /// Calculates the graph of a region.
    pub(super) fn new(region: &Region) -> Self {
        let parts = match region.keep_out.len() {
            0..=3 => 4,
            4..=10 => 2,
            11..=MOST_BOXES => 1,
            _ => return Self::default(),
        };
        let edges = region.keep_out.iter().flat_map(|keep_out| around_box(keep_out, region, parts));
        let points: Vec<_> = edges
            .chain(around_base(region))
            .filter(|point| region.box_holds(*point, 0.0) && region.keeps_off(*point, SIGHT))
            .collect();
        let mut links = vec![Vec::new(); points.len()];
        for one in 0..points.len() {
            for other in 0..one {
                if region.is_clear(points[one], points[other], SIGHT, &[]) {
                    let length = nalgebra::distance(&points[one], &points[other]);
                    links[one].push((other, length));
                    links[other].push((one, length));
                }
            }
        }
        Self { points, links }
    }

    /// Returns the shortest route through the graph, if there is one.
    pub(super) fn route(&self, region: &Region, from: Point3<f64>, to: Point3<f64>) -> Option<Route> {
        let sees = |viewer, point| region.is_clear(viewer, point, MARGIN, &[viewer]);
        let left = self.distances_to(|point| sees(to, point).then(|| nalgebra::distance(&to, &point)));
        let ahead = self.points.iter().zip(left).filter_map(|(point, left)| {
            let distance = nalgebra::distance(&from, point);
            // A point that has been reached is skipped. The points visible from it are visible from
            // here too.
            (left.is_finite() && distance > NEGLIGIBLE).then_some((point, distance, distance + left))
        });
        let mut ahead: Vec<_> = ahead.collect();
        ahead.sort_unstable_by(|(.., one), (.., other)| one.total_cmp(other));
        let (point, distance, remaining) = ahead.into_iter().find(|(point, ..)| sees(from, **point))?;
        Some(Route { direction: (point - from) / distance, distance, remaining })
    }

    /// Returns the length of the shortest route from each point to a goal. `sees` returns the
    /// distance of the goal from a point if the goal is visible from that point.
    fn distances_to(&self, sees: impl Fn(Point3<f64>) -> Option<f64>) -> Vec<f64> {
        let direct = self.points.iter().map(|point| sees(*point).unwrap_or(f64::INFINITY));
        let mut left: Vec<f64> = direct.collect();
        let mut open: Vec<usize> = (0..left.len()).collect();
        // Dijkstra's algorithm.
        while let Some(next) = (0..open.len()).min_by(|a, b| left[open[*a]].total_cmp(&left[open[*b]])) {
            let point = open.swap_remove(next);
            if left[point].is_infinite() {
                break;
            }
            for (other, length) in &self.links[point] {
                left[*other] = left[*other].min(left[point] + length);
            }
        }
        left
    }
}

/// Returns points on the edges of a box, clipped to the box of the region. Each edge is divided
/// into `parts` parts.
fn around_box(keep_out: &KeepOut, region: &Region, parts: u32) -> Vec<Point3<f64>> {
    let [min, max] = keep_out.corners().map(|corner| corner.point());
    let (least, most) = (region.min.point(), region.max.point());
    let low = min.map(|coordinate| coordinate - CLEARANCE).sup(&least).inf(&most);
    let high = max.map(|coordinate| coordinate + CLEARANCE).sup(&least).inf(&most);
    let mut points = Vec::new();
    for axis in 0..3 {
        for side in 0..4 {
            for part in 0..=parts {
                // Each corner belongs to three edges. Only the edges along x include it.
                if axis > 0 && (part == 0 || part == parts) {
                    continue;
                }
                let mut point = low;
                point[axis] += (high[axis] - low[axis]) * f64::from(part) / f64::from(parts);
                for (bit, across) in [(axis + 1) % 3, (axis + 2) % 3].into_iter().enumerate() {
                    if side & (1 << bit) != 0 {
                        point[across] = high[across];
                    }
                }
                points.push(point);
            }
        }
    }
    points.into_iter().map(|point| within(point, region)).collect()
}

/// Returns points around the sphere of the inner reach: the corners of an icosahedron and of a
/// dodecahedron. From each point on the sphere at least one of them is visible, because the nearest
/// one is at most 23° away.
fn around_base(region: &Region) -> Vec<Point3<f64>> {
    let (nearest, _) = region.reach;
    if nearest == 0.0 {
        return Vec::new();
    }
    let golden = 0.5 * (1.0 + 5.0_f64.sqrt());
    let signs = [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)];
    let mut directions = Vec::new();
    for (one, other) in signs {
        for (a, b) in [(one, other * golden), (one / golden, other * golden)] {
            directions.extend([Vector3::new(0.0, a, b), Vector3::new(a, b, 0.0), Vector3::new(b, 0.0, a)]);
        }
        directions.extend([1.0, -1.0].map(|third| Vector3::new(one, other, third)));
    }
    let radius = nearest / HORIZON.cos() + CLEARANCE;
    let points = directions.into_iter().map(|direction| Point3::from(direction.normalize() * radius));
    points.map(|point| within(point, region)).collect()
}

/// Returns a point moved into the region's box and its outer reach.
fn within(point: Point3<f64>, region: &Region) -> Point3<f64> {
    let farthest = region.reach.1 - 2.0 * MARGIN;
    let distance = point.coords.norm();
    let point = if distance > farthest { point * (farthest / distance) } else { point };
    point.sup(&region.min.point()).inf(&region.max.point())
}

/// The distance of the points from boxes and sphere, in metres.
pub(super) const CLEARANCE: f64 = 2e-3;
/// The distance that the path between two points keeps from boxes and sphere, in metres. If a
/// position is at most this far from a point of the graph, the same points are visible from both.
const SIGHT: f64 = 0.5 * CLEARANCE;
/// A point around the base is visible from a point on the sphere if the angle between them, seen
/// from the origin, is at most this: 25°, in radians.
const HORIZON: f64 = 0.436;
/// With more boxes the graph is empty, because the search would take too long.
const MOST_BOXES: usize = 100;
