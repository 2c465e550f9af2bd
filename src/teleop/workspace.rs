//! Where commands may lie: a box, and the arm's reach.
//!
//! Invariant: what [`Workspace::admit`] returns lies inside.

use nalgebra::{Point3, Vector3};

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
/// fold or farther than it can reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Workspace {
    min: Position,
    max: Position,
    policy: Policy,
    /// The least and the greatest distance from the origin, in metres.
    reach: (f64, f64),
}

impl Workspace {
    /// Makes a box from two corners; `None` unless `min` is below `max` on every axis.
    pub fn new(min: Position, max: Position, policy: Policy) -> Option<Self> {
        let ordered = min.coordinates().iter().zip(max.coordinates()).all(|(low, high)| *low < high);
        ordered.then_some(Self { min, max, policy, reach: (0.0, f64::INFINITY) })
    }

    /// Bounds the distance to the origin of the arm's base frame too, in metres; 0: no such bound.
    #[must_use]
    pub fn with_reach(self, min: f64, max: f64) -> Self {
        Self { reach: (min, if max > 0.0 { max } else { f64::INFINITY }), ..self }
    }

    /// Returns whether a position lies in the workspace, faces included.
    pub fn contains(&self, position: Position) -> bool {
        let point = position.point();
        let (nearest, farthest) = self.reach;
        self.box_holds(point, 0.0) && (nearest..=farthest).contains(&point.coords.norm())
    }

    /// Returns the position that a target stands for, and whether it had to be clamped.
    ///
    /// # Errors
    /// [`InputFault::OutsideWorkspace`] if the policy is to reject, or if nothing inside is found near it.
    pub fn admit(&self, position: Position) -> Result<(Position, bool), InputFault> {
        let outside = !self.contains(position);
        match (self.policy, self.nearest(position)) {
            (Policy::Clamp, Some(nearest)) => Ok((nearest, outside)),
            (Policy::Reject, Some(nearest)) if !outside => Ok((nearest, false)),
            (Policy::Clamp | Policy::Reject, _) => Err(InputFault::OutsideWorkspace { position }),
        }
    }

    /// Returns whether the straight way between two points keeps inside, if it starts inside.
    pub fn holds_way(&self, from: Point3<f64>, to: Point3<f64>) -> bool {
        let (nearest, farthest) = self.reach;
        let start = from.coords.norm();
        self.box_holds(to, SLACK)
            && to.coords.norm() <= (farthest - MARGIN).max(start)
            && distance_to_origin(from, to) >= (nearest + MARGIN).min(start) - SLACK
    }

    /// Returns the direction in which to leave `from` for `to`: straight, or around what the arm cannot reach into.
    pub fn direction(&self, from: Point3<f64>, to: Point3<f64>) -> Vector3<f64> {
        let straight = (to - from).try_normalize(NEGLIGIBLE).unwrap_or_default();
        let (nearest, _) = self.reach;
        let start = from.coords.norm();
        let free = (nearest + MARGIN).min(start).min(to.coords.norm());
        if nearest == 0.0 || distance_to_origin(from, to) >= free - SLACK {
            return straight;
        }
        // Along the tangent to a slightly larger sphere, in the plane of both points and the origin.
        let outward = from.coords.try_normalize(NEGLIGIBLE).unwrap_or(Vector3::z());
        let sideways = [to.coords, Vector3::z(), Vector3::x()]
            .into_iter()
            .find_map(|aim| (aim - outward * outward.dot(&aim)).try_normalize(SLACK))
            .unwrap_or_default();
        let sine = ((nearest + CLEARANCE) / start).min(1.0);
        sideways * sine - outward * (1.0 - sine * sine).sqrt()
    }

    fn box_holds(&self, point: Point3<f64>, slack: f64) -> bool {
        let (min, max) = (self.min.point(), self.max.point());
        (0..3).all(|axis| min[axis] - slack <= point[axis] && point[axis] <= max[axis] + slack)
    }

    /// Returns `position`, or a point inside near to it, found by going back and forth between box and reach, if there is
    /// one. It is a hair inside, so that commands can get there.
    pub fn nearest(&self, position: Position) -> Option<Position> {
        let (nearest, farthest) = (self.reach.0 + 2.0 * MARGIN, self.reach.1 - 2.0 * MARGIN);
        let mut place = position.clamped(self.min, self.max);
        if self.reach == (0.0, f64::INFINITY) {
            return Some(place);
        }
        for _ in 0..PROJECTIONS {
            let point = place.point();
            let distance = point.coords.norm();
            if (nearest..=farthest).contains(&distance) {
                break;
            }
            let outward = point.coords.try_normalize(NEGLIGIBLE).unwrap_or(Vector3::z());
            // Between the two bounds of the projection, so that rounding does not lead out again.
            let aim = distance.max(nearest + MARGIN).min(farthest - MARGIN);
            place = Position::from_exact(Point3::from(outward * aim)).clamped(self.min, self.max);
        }
        self.contains(place).then_some(place)
    }
}

/// Returns how near the straight way between two points comes to the origin.
fn distance_to_origin(from: Point3<f64>, to: Point3<f64>) -> f64 {
    let way = to - from;
    let length_squared = way.norm_squared();
    let share = if length_squared > 0.0 { -from.coords.dot(&way) / length_squared } else { 0.0 };
    (from.coords + way * share.clamp(0.0, 1.0)).norm()
}

/// For the arithmetic's own noise, in metres; lost in the rounding to a micrometre.
const SLACK: f64 = 1e-9;
/// How far inside the reach the way keeps, in metres: a command is rounded to a micrometre on each axis.
const MARGIN: f64 = 1e-6;
/// Below the wire's resolution, in metres.
const NEGLIGIBLE: f64 = 0.5e-6;
/// How far around what the arm cannot reach into the way leads, in metres.
const CLEARANCE: f64 = 2e-3;
/// Enough for where box and reach meet at any but the flattest angle.
const PROJECTIONS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f64, y: f64, z: f64) -> Position {
        Position::new(x, y, z).unwrap()
    }

    fn workspace(policy: Policy) -> Workspace {
        Workspace::new(at(-0.3, -0.3, 0.0), at(0.3, 0.3, 0.4), policy).unwrap()
    }

    #[test]
    fn clamping_takes_the_nearest_point_of_the_box_and_says_so() {
        let clamp = workspace(Policy::Clamp);
        assert_eq!(clamp.admit(at(0.5, 0.1, -0.2)).unwrap(), (at(0.3, 0.1, 0.0), true));
        assert_eq!(clamp.admit(at(0.3, 0.1, 0.0)).unwrap(), (at(0.3, 0.1, 0.0), false));
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
        let (near, clamped) = reach.admit(at(0.0, 0.05, 0.0)).unwrap();
        assert!(clamped && near.distance(at(0.0, 0.1, 0.0)) < 5e-6, "{near:?}");
        let (far, clamped) = reach.admit(at(0.29, 0.0, 0.0)).unwrap();
        assert!(clamped && far.distance(at(0.25, 0.0, 0.0)) < 5e-6, "{far:?}");
        // The origin has no direction; up is as good as any.
        assert!(reach.admit(at(0.0, 0.0, 0.0)).unwrap().0.distance(at(0.0, 0.0, 0.1)) < 5e-6);
        // Below the floor and out of reach.
        let (corner, clamped) = reach.admit(at(9.0, 0.0, -9.0)).unwrap();
        assert!(clamped && reach.contains(corner), "{corner:?}");
        assert_eq!(reach.admit(at(0.0, 0.2, 0.1)).unwrap(), (at(0.0, 0.2, 0.1), false));
    }

    #[test]
    fn a_reach_without_room_contains_nothing_and_refuses_everything() {
        let sliver = workspace(Policy::Clamp).with_reach(0.2, 0.200_001);
        assert!(sliver.admit(at(0.1, 0.1, 0.1)).is_err());
        let direction = sliver.direction(Point3::origin(), Point3::new(0.2, 0.0, 0.0));
        assert!(direction.iter().all(|part| part.is_finite()), "{direction}");
    }

    #[test]
    fn rejecting_knows_the_reach() {
        let reject = workspace(Policy::Reject).with_reach(0.1, 0.25);
        assert!(reject.admit(at(0.0, 0.05, 0.0)).is_err() && reject.admit(at(0.2, 0.2, 0.0)).is_err());
        assert_eq!(reject.admit(at(0.0, 0.2, 0.1)).unwrap(), (at(0.0, 0.2, 0.1), false));
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
        assert_eq!(reach.direction(folded, floor[0]), Vector3::x());
        assert!(!reach.holds_way(floor[0], Point3::new(0.250_1, 0.0, 0.0)));
    }

    #[test]
    fn the_way_around_leads_past_the_origin_and_straight_where_nothing_is_in_the_way() {
        let reach = workspace(Policy::Clamp).with_reach(0.1, 0.0);
        let (left, right) = (Point3::new(-0.2, 0.0, 0.01), Point3::new(0.2, 0.0, 0.01));
        assert!(!reach.holds_way(left, right));
        let direction = reach.direction(left, right);
        assert!(
            direction.x > 0.5 && direction.z > 0.1 && (direction.norm() - 1.0).abs() < 1e-9,
            "{direction}"
        );
        let up = Point3::new(-0.2, 0.0, 0.3);
        assert_eq!(reach.direction(left, up), Vector3::z());
        assert_eq!(workspace(Policy::Clamp).direction(left, right), Vector3::x());
        // Straight opposite: over the top.
        let direction = reach.direction(Point3::new(-0.2, 0.0, 0.0), Point3::new(0.2, 0.0, 0.0));
        assert!(direction.z > 0.1, "{direction}");
    }
}
