//! Where commands may lie: a box, the arm's reach, and keep-out boxes.
//!
//! Invariants:
//! - What [`Workspace::admit`] returns lies inside.
//! - A target that is farther outside than the tolerance stands for no place.
//! - The way to where a [`Course`] leads first is free.

mod keep_out;
mod region;
mod ways;

use std::sync::Arc;

use nalgebra::{Point3, Vector3};

pub use self::keep_out::KeepOut;
use self::region::{MARGIN, NEGLIGIBLE, Region, SLACK};
pub use self::ways::Course;
use self::ways::{CLEARANCE, Ways};
use super::input_fault::InputFault;
use crate::geometry::Position;

/// What happens to a target outside the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// It is taken to the nearest point inside, or close to it.
    Clamp,
    /// It is refused, and motion holds.
    Reject,
}

/// An axis-aligned box in the arm's base frame, in metres, without what is nearer to the frame's origin than the arm can
/// fold or farther than it can reach, and without the keep-out boxes.
#[derive(Debug, Clone)]
pub struct Workspace {
    region: Region,
    policy: Policy,
    /// How far outside box and reach a target may be and still be clamped, in metres.
    tolerance: f64,
    ways: Arc<Ways>,
}

/// The place that a target stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Admitted {
    /// A place inside the workspace.
    pub position: Position,
    /// How far outside the workspace the target is, in metres; 0 inside.
    pub outside: f64,
}

impl Workspace {
    /// Makes a box from two corners; `None` unless `min` is below `max` on every axis.
    pub fn new(min: Position, max: Position, policy: Policy) -> Option<Self> {
        let ordered = min.coordinates().iter().zip(max.coordinates()).all(|(low, high)| *low < high);
        let region = Region { min, max, reach: (0.0, f64::INFINITY), keep_out: Arc::default() };
        ordered.then(|| Self { region, policy, tolerance: f64::INFINITY, ways: Arc::default() })
    }

    /// Bounds the distance to the origin of the arm's base frame too, in metres; 0: no such bound.
    #[must_use]
    pub fn with_reach(self, min: f64, max: f64) -> Self {
        let reach = (min, if max > 0.0 { max } else { f64::INFINITY });
        self.with_region(|region| Region { reach, ..region })
    }

    /// Keeps commands out of boxes.
    #[must_use]
    pub fn with_keep_out(self, keep_out: &[KeepOut]) -> Self {
        self.with_region(|region| Region { keep_out: keep_out.into(), ..region })
    }

    /// Refuses targets that are farther outside box and reach than so many metres.
    #[must_use]
    pub fn with_tolerance(self, tolerance: f64) -> Self {
        Self { tolerance, ..self }
    }

    fn with_region(self, change: impl FnOnce(Region) -> Region) -> Self {
        let region = change(self.region);
        let ways = Arc::new(Ways::new(&region));
        Self { region, ways, ..self }
    }

    /// Returns `position`, or the nearest place inside that is found, if there is one.
    pub fn nearest(&self, position: Position) -> Option<Position> {
        self.region.nearest(position)
    }

    /// Returns the lower and the upper corner of the box.
    pub fn corners(&self) -> [Position; 2] {
        [self.region.min, self.region.max]
    }

    /// Returns the least and the greatest distance from the origin, in metres.
    pub fn reach(&self) -> (f64, f64) {
        self.region.reach
    }

    /// Returns the boxes that commands keep out of.
    pub fn keep_out(&self) -> &[KeepOut] {
        &self.region.keep_out
    }

    /// Returns whether a position lies in the workspace, faces included.
    pub fn contains(&self, position: Position) -> bool {
        self.region.contains(position)
    }

    /// Returns the position that a target stands for, and how far outside the target is.
    ///
    /// # Errors
    /// [`InputFault::TargetFarOutside`] if the target is farther outside than the tolerance.
    /// [`InputFault::OutsideWorkspace`] if it is outside and the policy is to reject, or if nothing inside is found near it.
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
        // Inside it may be moved by a hair, and that is not worth a word.
        let outside = if inside { 0.0 } else { position.distance(nearest) };
        Ok(Admitted { position: nearest, outside })
    }

    /// Returns whether the straight way between two points keeps inside, if it starts inside.
    pub fn holds_way(&self, from: Point3<f64>, to: Point3<f64>) -> bool {
        self.region.holds_way(from, to)
    }

    /// Returns whether the straight way between two successive commands keeps inside.
    pub fn holds_step(&self, from: Position, to: Position) -> bool {
        self.region.holds_step(from, to)
    }

    /// Returns whether a course is found from one place to another.
    pub fn has_way(&self, from: Position, to: Position) -> bool {
        self.course(from.point(), to.point()).is_some()
    }

    /// Returns how to go from one place to another: straight if that way is free, else around the base, else over the points
    /// around what is in the way. `None` if no way is found.
    pub fn course(&self, from: Point3<f64>, to: Point3<f64>) -> Option<Course> {
        let way = to - from;
        let distance = way.norm();
        if self.region.is_clear(from, to, MARGIN, &[from, to]) {
            let direction = way.try_normalize(NEGLIGIBLE).unwrap_or_default();
            return Some(Course { direction, distance, remaining: distance });
        }
        self.around_base(from, to).or_else(|| self.ways.course(&self.region, from, to))
    }

    /// Returns the course around a sphere that is slightly larger than the one that the arm cannot reach into, in the plane of
    /// both points and the origin, if nothing else is in the way.
    fn around_base(&self, from: Point3<f64>, to: Point3<f64>) -> Option<Course> {
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
        // The angles, seen from the origin, at which the way comes to the sphere and leaves it.
        let [on, off] = [from, to].map(|point| (radius / point.coords.norm()).min(1.0).acos());
        let span = to.coords.dot(&sideways).atan2(to.coords.dot(&outward)) - on - off;
        if span <= 0.0 {
            return None;
        }
        // From wherever the way may lead, at least the next point of the arc is seen past the smaller sphere.
        let parts = (span / (0.9 * (nearest / radius).acos())).ceil();
        let at = |part: f64| {
            let (sine, cosine) = (on + span * part / parts).sin_cos();
            Point3::from((outward * cosine + sideways * sine) * radius)
        };
        let arc: Vec<_> = (0..=parts as usize).map(|part| at(part as f64)).collect();
        let way: Vec<_> = std::iter::once(from).chain(arc.iter().copied()).chain([to]).collect();
        let inside = |point: &Point3<f64>| region.box_holds(*point, 0.0) && radius <= region.reach.1 - MARGIN;
        let free = |ends: &[Point3<f64>]| region.is_clear_of_boxes(ends[0], ends[1], MARGIN, &[from, to]);
        if !arc.iter().all(inside) || !way.windows(2).all(free) {
            return None;
        }
        let first = arc.iter().rev().find(|point| region.is_clear(from, **point, MARGIN, &[from]))?;
        let distance = nalgebra::distance(&from, first);
        let direction = (first - from).try_normalize(NEGLIGIBLE)?;
        let remaining = way.windows(2).map(|ends| nalgebra::distance(&ends[0], &ends[1])).sum();
        Some(Course { direction, distance, remaining })
    }
}

impl PartialEq for Workspace {
    fn eq(&self, other: &Self) -> bool {
        // The ways follow from the region.
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
        workspace.course(from, to).unwrap().direction
    }

    #[test]
    fn clamping_takes_the_nearest_point_of_the_box_and_says_so() {
        let clamp = workspace(Policy::Clamp);
        let outside = at(0.5, 0.1, -0.2).distance(at(0.3, 0.1, 0.0));
        assert_eq!(clamp.admit(at(0.5, 0.1, -0.2)).unwrap(), admitted(at(0.3, 0.1, 0.0), outside));
        assert_eq!(clamp.admit(at(0.3, 0.1, 0.0)).unwrap(), admitted(at(0.3, 0.1, 0.0), 0.0));
    }

    #[test]
    fn rejecting_refuses_what_is_outside_and_names_it() {
        let reject = workspace(Policy::Reject);
        assert!(reject.admit(at(0.3, 0.3, 0.4)).is_ok());
        let fault = reject.admit(at(0.5, 0.1, 0.2)).unwrap_err();
        assert!(matches!(fault, InputFault::OutsideWorkspace { .. }));
        assert!(fault.to_string().contains("[0.500, 0.100, 0.200]"), "{fault}");
    }

    #[test]
    fn a_box_without_room_is_no_workspace() {
        assert!(Workspace::new(at(0.0, 0.0, 0.0), at(0.1, 0.0, 0.1), Policy::Clamp).is_none());
    }

    #[test]
    fn the_reach_bounds_the_distance_from_the_origin() {
        let reach = workspace(Policy::Clamp).with_reach(0.1, 0.25);
        assert!(reach.contains(at(0.0, 0.0, 0.1)) && reach.contains(at(0.0, 0.25, 0.0)));
        assert!(!reach.contains(at(0.0, 0.0, 0.099)) && !reach.contains(at(0.0, 0.251, 0.0)));
        assert!(!reach.contains(at(0.0, 0.2, -0.01)));
        let unbounded = workspace(Policy::Clamp).with_reach(0.0, 0.0);
        assert!(unbounded.contains(at(0.0, 0.0, 0.0)) && unbounded.contains(at(0.3, 0.3, 0.4)));
    }

    #[test]
    fn clamping_to_the_reach_goes_along_the_radius_and_into_the_box() {
        let reach = workspace(Policy::Clamp).with_reach(0.1, 0.25);
        let Admitted { position: near, outside } = reach.admit(at(0.0, 0.05, 0.0)).unwrap();
        assert!(outside > 0.0 && near.distance(at(0.0, 0.1, 0.0)) < 5e-6, "{near:?}");
        let Admitted { position: far, outside } = reach.admit(at(0.29, 0.0, 0.0)).unwrap();
        assert!((outside - 0.04).abs() < 1e-5 && far.distance(at(0.25, 0.0, 0.0)) < 5e-6, "{far:?}");
        // The origin has no direction; up is as good as any.
        assert!(reach.admit(at(0.0, 0.0, 0.0)).unwrap().position.distance(at(0.0, 0.0, 0.1)) < 5e-6);
        // Below the floor and out of reach.
        let Admitted { position: corner, outside } = reach.admit(at(9.0, 0.0, -9.0)).unwrap();
        assert!(outside > 9.0 && reach.contains(corner), "{corner:?}");
        assert_eq!(reach.admit(at(0.0, 0.2, 0.1)).unwrap(), admitted(at(0.0, 0.2, 0.1), 0.0));
    }

    #[test]
    fn a_reach_without_room_contains_nothing_and_refuses_everything() {
        let sliver = workspace(Policy::Clamp).with_reach(0.2, 0.200_001);
        assert!(sliver.admit(at(0.1, 0.1, 0.1)).is_err());
        let course = sliver.course(Point3::origin(), Point3::new(0.2, 0.0, 0.0)).unwrap();
        assert!(course.direction.iter().all(|part| part.is_finite()), "{course:?}");
    }

    #[test]
    fn rejecting_knows_the_reach() {
        let reject = workspace(Policy::Reject).with_reach(0.1, 0.25);
        assert!(reject.admit(at(0.0, 0.05, 0.0)).is_err() && reject.admit(at(0.2, 0.2, 0.0)).is_err());
        assert_eq!(reject.admit(at(0.0, 0.2, 0.1)).unwrap(), admitted(at(0.0, 0.2, 0.1), 0.0));
    }

    #[test]
    fn where_nothing_inside_is_near_a_target_is_refused_even_when_clamping() {
        let far = Workspace::new(at(0.2, 0.2, 0.2), at(0.3, 0.3, 0.3), Policy::Clamp).unwrap();
        assert!(far.with_reach(0.0, 0.1).admit(at(0.0, 0.0, 0.0)).is_err());
    }

    #[test]
    fn a_way_along_the_edge_is_inside() {
        let reach = workspace(Policy::Clamp).with_reach(0.1, 0.25);
        let floor = [Point3::new(0.15, 0.0, 0.0), Point3::new(0.0, 0.15, 0.0)];
        assert!(reach.holds_way(floor[0], floor[1]));
        let ceiling = workspace(Policy::Clamp);
        assert!(ceiling.holds_way(Point3::new(0.3, 0.3, 0.4), Point3::new(-0.3, 0.3, 0.4)));
        assert!(!ceiling.holds_way(floor[0], Point3::new(0.15, 0.0, -1e-6)));
        assert!(!ceiling.holds_way(floor[0], Point3::new(0.15, 0.0, 0.400_001)));
        // Out of where it can just fold to, and out of it straight.
        let folded = Point3::new(0.1, 0.0, 0.0);
        assert!(reach.holds_way(folded, floor[0]));
        assert_eq!(direction(&reach, folded, floor[0]), Vector3::x());
        assert!(!reach.holds_way(floor[0], Point3::new(0.250_1, 0.0, 0.0)));
    }

    #[test]
    fn the_way_around_leads_past_the_origin_and_straight_where_nothing_is_in_the_way() {
        let reach = workspace(Policy::Clamp).with_reach(0.1, 0.0);
        let (left, right) = (Point3::new(-0.2, 0.0, 0.01), Point3::new(0.2, 0.0, 0.01));
        assert!(!reach.holds_way(left, right));
        let way = direction(&reach, left, right);
        assert!(way.x > 0.5 && way.z > 0.1 && (way.norm() - 1.0).abs() < 1e-9, "{way}");
        let up = Point3::new(-0.2, 0.0, 0.3);
        assert_eq!(direction(&reach, left, up), Vector3::z());
        assert_eq!(direction(&workspace(Policy::Clamp), left, right), Vector3::x());
        // Straight opposite: over the top.
        let way = direction(&reach, Point3::new(-0.2, 0.0, 0.0), Point3::new(0.2, 0.0, 0.0));
        assert!(way.z > 0.1, "{way}");
    }
}
