//! The workspace: the positions that commands may have. It is a box, limited by the arm's reach and
//! without keep-out boxes.
//!
//! Invariants:
//! - [`Workspace::admit`] returns only positions inside the workspace.
//! - A target that is farther outside than the tolerance is rejected.
//! - The path to the first point of a [`Route`] is free.

mod keep_out;
mod region;
mod routes;

use std::sync::Arc;

use nalgebra::{Point3, Vector3};

pub use self::keep_out::KeepOut;
use self::region::{MARGIN, NEGLIGIBLE, Region, SLACK};
pub use self::routes::Route;
use self::routes::{CLEARANCE, RouteGraph};
use super::input_fault::InputFault;
use crate::geometry::Position;

/// What happens to a target outside the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Clamp the target to the nearest point inside, or to a point close to that.
    Clamp,
    /// Reject the target, and hold the motion.
    Reject,
}

/// An axis-aligned box in the arm's base frame, in metres. Points nearer to the origin than the
/// inner reach, points farther away than the outer reach, and the keep-out boxes are outside.
#[derive(Debug, Clone)]
pub struct Workspace {
    region: Region,
    policy: Policy,
    /// How far outside box and reach a target may be before it is rejected, in metres.
    tolerance: f64,
    graph: Arc<RouteGraph>,
}

/// The result of [`Workspace::admit`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Admitted {
    /// The position inside the workspace that replaces the target.
    pub position: Position,
    /// How far outside the workspace the target is, in metres; 0 inside.
    pub outside: f64,
}

impl Workspace {
    /// Creates a workspace from two corners of its box. Returns `None` unless `min` is below `max`
    /// on every axis.
    pub fn new(min: Position, max: Position, policy: Policy) -> Option<Self> {
        let ordered = min.coordinates().iter().zip(max.coordinates()).all(|(low, high)| *low < high);
        let region = Region { min, max, reach: (0.0, f64::INFINITY), keep_out: Arc::default() };
        ordered.then(|| Self { region, policy, tolerance: f64::INFINITY, graph: Arc::default() })
    }

    /// Limits the distance from the origin of the arm's base frame, in metres. 0 means no limit.
    #[must_use]
    pub fn with_reach(self, min: f64, max: f64) -> Self {
        let reach = (min, if max > 0.0 { max } else { f64::INFINITY });
        self.with_region(|region| Region { reach, ..region })
    }

    /// Sets the keep-out boxes.
    #[must_use]
    pub fn with_keep_out(self, keep_out: &[KeepOut]) -> Self {
        self.with_region(|region| Region { keep_out: keep_out.into(), ..region })
    }

    /// Sets the tolerance: targets farther outside box and reach than `tolerance` metres are
    /// rejected.
    #[must_use]
    pub fn with_tolerance(self, tolerance: f64) -> Self {
        Self { tolerance, ..self }
    }

    fn with_region(self, change: impl FnOnce(Region) -> Region) -> Self {
        let region = change(self.region);
        let graph = Arc::new(RouteGraph::new(&region));
        Self { region, graph, ..self }
    }

    /// Returns `position` if it is inside, or the nearest position inside that the search finds.
    /// `None` if it finds none.
    pub fn nearest(&self, position: Position) -> Option<Position> {
        self.region.nearest(position)
    }

    /// Returns the lower and the upper corner of the box.
    pub fn corners(&self) -> [Position; 2] {
        [self.region.min, self.region.max]
    }

    /// Returns the smallest and the largest allowed distance from the origin, in metres.
    pub fn reach(&self) -> (f64, f64) {
        self.region.reach
    }

    /// Returns the keep-out boxes.
    pub fn keep_out(&self) -> &[KeepOut] {
        &self.region.keep_out
    }

    /// Returns whether a position lies in the workspace. The faces of the workspace's box belong to
    /// it.
    pub fn contains(&self, position: Position) -> bool {
        self.region.contains(position)
    }

    /// Returns the position inside the workspace that replaces a target, and how far outside the
    /// target is.
    ///
    /// # Errors
    /// - [`InputFault::TargetFarOutside`] if the target is farther outside than the tolerance.
    /// - [`InputFault::OutsideWorkspace`] if the target is outside and the policy is
    ///   [`Policy::Reject`], or if the search finds no position inside near it.
    pub fn admit(&self, position: Position) -> Result<Admitted, InputFault> {
        let inside = self.contains(position);
        if !inside {
            let distance = position.distance(self.region.within_reach(position));
            if distance > self.tolerance {
                return Err(InputFault::TargetFarOutside { position, distance, tolerance: self.tolerance });
            }
            if self.policy == Policy::Reject {
                return Err(InputFault::OutsideWorkspace { position });
            }
        }
        let nearest = self.region.nearest(position).ok_or(InputFault::OutsideWorkspace { position })?;
        // A target inside may be moved by a few micrometres. This does not count as outside.
        let outside = if inside { 0.0 } else { position.distance(nearest) };
        Ok(Admitted { position: nearest, outside })
    }

    /// Returns whether the straight path between two points stays inside, if it starts inside.
    pub fn holds_path(&self, from: Point3<f64>, to: Point3<f64>) -> bool {
        self.region.holds_path(from, to)
    }

    /// Returns whether the straight path between two successive commands stays inside.
    pub fn holds_step(&self, from: Position, to: Position) -> bool {
        self.region.holds_step(from, to)
    }

    /// Returns whether the search finds a route from one position to another.
    pub fn has_route(&self, from: Position, to: Position) -> bool {
        self.route(from.point(), to.point()).is_some()
    }

    /// Returns a route from one point to another: straight if that path is free, otherwise around
    /// the base, otherwise through the points around the obstacles. `None` if there is no such
    /// route.
    pub fn route(&self, from: Point3<f64>, to: Point3<f64>) -> Option<Route> {
        let path = to - from;
        let distance = path.norm();
        if self.region.is_clear(from, to, MARGIN, &[from, to]) {
            let direction = path.try_normalize(NEGLIGIBLE).unwrap_or_default();
            return Some(Route { direction, distance, remaining: distance });
        }
        self.around_base(from, to).or_else(|| self.graph.route(&self.region, from, to))
    }

    /// Returns the route around the base, if nothing else blocks it. It follows an arc in the plane
    /// of both points and the origin. The arc lies on a sphere that is slightly larger than the
    /// inner reach.
    fn around_base(&self, from: Point3<f64>, to: Point3<f64>) -> Option<Route> {
        let region = &self.region;
        let (nearest, _) = region.reach;
        if nearest == 0.0 {
            return None;
        }
        let outward = from.coords.try_normalize(NEGLIGIBLE).unwrap_or(Vector3::z());
        let sideways = [to.coords, Vector3::z(), Vector3::x()]
            .into_iter()
            .find_map(|aim| (aim - outward * outward.dot(&aim)).try_normalize(SLACK))?;
        let radius = nearest + CLEARANCE;
        // The angles, seen from the origin, at which the route meets the sphere and leaves it.
        let [on, off] = [from, to].map(|point| (radius / point.coords.norm()).min(1.0).acos());
        let span = to.coords.dot(&sideways).atan2(to.coords.dot(&outward)) - on - off;
        if span <= 0.0 {
            return None;
        }
        // The parts of the arc are so short that the sphere of the inner reach never hides the next
        // point of the arc.
        let parts = (span / (0.9 * (nearest / radius).acos())).ceil();
        let at = |part: f64| {
            let (sine, cosine) = (on + span * part / parts).sin_cos();
            Point3::from((outward * cosine + sideways * sine) * radius)
        };
        let arc: Vec<_> = (0..=parts as usize).map(|part| at(part as f64)).collect();
        let path: Vec<_> = std::iter::once(from).chain(arc.iter().copied()).chain([to]).collect();
        let inside = |point: &Point3<f64>| region.box_holds(*point, 0.0) && radius <= region.reach.1 - MARGIN;
        let free = |ends: &[Point3<f64>]| region.is_clear_of_boxes(ends[0], ends[1], MARGIN, &[from, to]);
        if !arc.iter().all(inside) || !path.windows(2).all(free) {
            return None;
        }
        let first = arc.iter().rev().find(|point| region.is_clear(from, **point, MARGIN, &[from]))?;
        let distance = nalgebra::distance(&from, first);
        let direction = (first - from).try_normalize(NEGLIGIBLE)?;
        let remaining = path.windows(2).map(|ends| nalgebra::distance(&ends[0], &ends[1])).sum();
        Some(Route { direction, distance, remaining })
    }
}

impl PartialEq for Workspace {
    fn eq(&self, other: &Self) -> bool {
        // The route graph depends only on the region.
        (&self.region, self.policy, self.tolerance) == (&other.region, other.policy, other.tolerance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64, y: f64, z: f64) -> Position {
        Position::new(x, y, z).unwrap()
    }

    fn workspace(policy: Policy) -> Workspace {
        Workspace::new(at(-0.3, -0.3, 0.0), at(0.3, 0.3, 0.4), policy).unwrap()
    }

    fn admitted(position: Position, outside: f64) -> Admitted {
        Admitted { position, outside }
    }

    fn direction(workspace: &Workspace, from: Point3<f64>, to: Point3<f64>) -> Vector3<f64> {
        workspace.route(from, to).unwrap().direction
    }

    #[test]
    fn clamp_returns_nearest_point_and_distance() {
        let clamp = workspace(Policy::Clamp);
        let outside = at(0.5, 0.1, -0.2).distance(at(0.3, 0.1, 0.0));
        assert_eq!(clamp.admit(at(0.5, 0.1, -0.2)).unwrap(), admitted(at(0.3, 0.1, 0.0), outside));
        assert_eq!(clamp.admit(at(0.3, 0.1, 0.0)).unwrap(), admitted(at(0.3, 0.1, 0.0), 0.0));
    }

    #[test]
    fn reject_policy_names_position_outside() {
        let reject = workspace(Policy::Reject);
        assert!(reject.admit(at(0.3, 0.3, 0.4)).is_ok());
        let fault = reject.admit(at(0.5, 0.1, 0.2)).unwrap_err();
        assert!(matches!(fault, InputFault::OutsideWorkspace { .. }));
        assert!(fault.to_string().contains("[0.500, 0.100, 0.200]"), "{fault}");
    }

    #[test]
    fn box_without_volume_is_rejected() {
        assert!(Workspace::new(at(0.0, 0.0, 0.0), at(0.1, 0.0, 0.1), Policy::Clamp).is_none());
    }

    #[test]
    fn reach_limits_distance_from_origin() {
        let reach = workspace(Policy::Clamp).with_reach(0.1, 0.25);
        assert!(reach.contains(at(0.0, 0.0, 0.1)) && reach.contains(at(0.0, 0.25, 0.0)));
        assert!(!reach.contains(at(0.0, 0.0, 0.099)) && !reach.contains(at(0.0, 0.251, 0.0)));
        assert!(!reach.contains(at(0.0, 0.2, -0.01)));
        let unbounded = workspace(Policy::Clamp).with_reach(0.0, 0.0);
        assert!(unbounded.contains(at(0.0, 0.0, 0.0)) && unbounded.contains(at(0.3, 0.3, 0.4)));
    }

    #[test]
    fn clamp_to_reach_stays_in_box() {
        let reach = workspace(Policy::Clamp).with_reach(0.1, 0.25);
        let Admitted { position: near, outside } = reach.admit(at(0.0, 0.05, 0.0)).unwrap();
        assert!(outside > 0.0 && near.distance(at(0.0, 0.1, 0.0)) < 5e-6, "{near:?}");
        let Admitted { position: far, outside } = reach.admit(at(0.29, 0.0, 0.0)).unwrap();
        assert!((outside - 0.04).abs() < 1e-5 && far.distance(at(0.25, 0.0, 0.0)) < 5e-6, "{far:?}");
        // The origin has no direction. The workspace uses the upward direction.
        assert!(reach.admit(at(0.0, 0.0, 0.0)).unwrap().position.distance(at(0.0, 0.0, 0.1)) < 5e-6);
        // Below the floor and out of reach.
        let Admitted { position: corner, outside } = reach.admit(at(9.0, 0.0, -9.0)).unwrap();
        assert!(outside > 9.0 && reach.contains(corner), "{corner:?}");
        assert_eq!(reach.admit(at(0.0, 0.2, 0.1)).unwrap(), admitted(at(0.0, 0.2, 0.1), 0.0));
    }

    #[test]
    fn reach_without_volume_rejects_every_target() {
        let sliver = workspace(Policy::Clamp).with_reach(0.2, 0.200_001);
        assert!(sliver.admit(at(0.1, 0.1, 0.1)).is_err());
        let route = sliver.route(Point3::origin(), Point3::new(0.2, 0.0, 0.0)).unwrap();
        assert!(route.direction.iter().all(|part| part.is_finite()), "{route:?}");
    }

    #[test]
    fn reject_policy_includes_reach() {
        let reject = workspace(Policy::Reject).with_reach(0.1, 0.25);
        assert!(reject.admit(at(0.0, 0.05, 0.0)).is_err() && reject.admit(at(0.2, 0.2, 0.0)).is_err());
        assert_eq!(reject.admit(at(0.0, 0.2, 0.1)).unwrap(), admitted(at(0.0, 0.2, 0.1), 0.0));
    }

    #[test]
    fn empty_workspace_rejects_target_despite_clamp() {
        let far = Workspace::new(at(0.2, 0.2, 0.2), at(0.3, 0.3, 0.3), Policy::Clamp).unwrap();
        assert!(far.with_reach(0.0, 0.1).admit(at(0.0, 0.0, 0.0)).is_err());
    }

    #[test]
    fn path_along_edge_is_inside() {
        let reach = workspace(Policy::Clamp).with_reach(0.1, 0.25);
        let floor = [Point3::new(0.15, 0.0, 0.0), Point3::new(0.0, 0.15, 0.0)];
        assert!(reach.holds_path(floor[0], floor[1]));
        let ceiling = workspace(Policy::Clamp);
        assert!(ceiling.holds_path(Point3::new(0.3, 0.3, 0.4), Point3::new(-0.3, 0.3, 0.4)));
        assert!(!ceiling.holds_path(floor[0], Point3::new(0.15, 0.0, -1e-6)));
        assert!(!ceiling.holds_path(floor[0], Point3::new(0.15, 0.0, 0.400_001)));
        // The path starts at the inner reach and leads straight outwards.
        let folded = Point3::new(0.1, 0.0, 0.0);
        assert!(reach.holds_path(folded, floor[0]));
        assert_eq!(direction(&reach, folded, floor[0]), Vector3::x());
        assert!(!reach.holds_path(floor[0], Point3::new(0.250_1, 0.0, 0.0)));
    }

    #[test]
    fn route_leads_around_base_or_straight() {
        let reach = workspace(Policy::Clamp).with_reach(0.1, 0.0);
        let (left, right) = (Point3::new(-0.2, 0.0, 0.01), Point3::new(0.2, 0.0, 0.01));
        assert!(!reach.holds_path(left, right));
        let heading = direction(&reach, left, right);
        assert!(heading.x > 0.5 && heading.z > 0.1 && (heading.norm() - 1.0).abs() < 1e-9, "{heading}");
        let up = Point3::new(-0.2, 0.0, 0.3);
        assert_eq!(direction(&reach, left, up), Vector3::z());
        assert_eq!(direction(&workspace(Policy::Clamp), left, right), Vector3::x());
        // If the points are exactly opposite, the route leads over the top.
        let heading = direction(&reach, Point3::new(-0.2, 0.0, 0.0), Point3::new(0.2, 0.0, 0.0));
        assert!(heading.z > 0.1, "{heading}");
    }
}
