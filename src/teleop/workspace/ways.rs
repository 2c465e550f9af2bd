//! Ways around what stands between two places: a graph of points that see each other.
//!
//! Invariants:
//! - The way from a place to the first point of its course is free.
//! - What is left of the way gets shorter by each step along a course. So a walk that follows its courses to one goal does
//!   not go in a circle.
//! - If there is a course to a goal, there is one from each point of it.
//!
//! The points lie on the edges of the keep-out boxes, and around the sphere that the arm cannot reach into, a little outside
//! of them. Which of them see each other is found once, when the region changes. A course is the shortest way over them. It is
//! looked for only if the straight way is not free.

use nalgebra::{Point3, Vector3};

use super::keep_out::KeepOut;
use super::region::{MARGIN, NEGLIGIBLE, Region};

/// The points of a region around which ways lead.
#[derive(Debug, Clone, Default)]
pub(super) struct Ways {
    points: Vec<Point3<f64>>,
    /// Which points each point sees, and how far away they are.
    links: Vec<Vec<(usize, f64)>>,
}

/// How to go on from a place to a goal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Course {
    /// Where to go first. Its length is 1, or 0 at the goal.
    pub direction: Vector3<f64>,
    /// How far that is free, in metres, if the walk stops there.
    pub distance: f64,
    /// How long the way to the goal is, in metres.
    pub remaining: f64,
}

impl Ways {
    /// Finds the points of a region.
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

    /// Returns the shortest course over the points, if there is one.
    pub(super) fn course(&self, region: &Region, from: Point3<f64>, to: Point3<f64>) -> Option<Course> {
        let sees = |place, point| region.is_clear(place, point, MARGIN, &[place]);
        let left = self.distances_to(|point| sees(to, point).then(|| nalgebra::distance(&to, &point)));
        let ahead = self.points.iter().zip(left).filter_map(|(point, left)| {
            let distance = nalgebra::distance(&from, point);
            // A point that is reached leads nowhere any more; what it sees is seen from here.
            (left.is_finite() && distance > NEGLIGIBLE).then_some((point, distance, distance + left))
        });
        let mut ahead: Vec<_> = ahead.collect();
        ahead.sort_unstable_by(|(.., one), (.., other)| one.total_cmp(other));
        let (point, distance, remaining) = ahead.into_iter().find(|(point, ..)| sees(from, **point))?;
        Some(Course { direction: (point - from) / distance, distance, remaining })
    }

    /// Returns how long the shortest way from each point to a goal is, if `sees` tells how far the goal is from the points
    /// that see it.
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

/// Returns points on the edges of a box, and on what the region's box leaves of them, each edge cut into so many parts.
fn around_box(keep_out: &KeepOut, region: &Region, parts: u32) -> Vec<Point3<f64>> {
    let [min, max] = keep_out.corners().map(|corner| corner.point());
    let (least, most) = (region.min.point(), region.max.point());
    let low = min.map(|coordinate| coordinate - CLEARANCE).sup(&least).inf(&most);
    let high = max.map(|coordinate| coordinate + CLEARANCE).sup(&least).inf(&most);
    let mut points = Vec::new();
    for axis in 0..3 {
        for side in 0..4 {
            for part in 0..=parts {
                // Corners belong to three edges; the edges along x have them.
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

/// Returns points around the sphere that the arm cannot reach into: the corners of an icosahedron and of a dodecahedron. From
/// each point on the sphere one of them is seen, because none is more than 23° from it.
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

/// How far outside boxes and sphere the points are, in metres.
pub(super) const CLEARANCE: f64 = 2e-3;
/// How far off boxes and sphere the way from one point to the next keeps, in metres. A place this near to a point, or nearer,
/// sees what the point sees.
const SIGHT: f64 = 0.5 * CLEARANCE;
/// The angle, seen from the origin, at which a point around the base is just seen from the sphere: 25°.
const HORIZON: f64 = 0.436;
/// Around more boxes no way is looked for, because it would take too long.
const MOST_BOXES: usize = 100;
