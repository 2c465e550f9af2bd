//! The region that is free: a box, of it what is within the arm's reach, without the keep-out boxes.
//!
//! Invariants:
//! - A way that is free keeps [`MARGIN`] off what it leads past, or begins nearer and comes no nearer. So the way between
//!   its ends, each rounded to a micrometre, is free too.
//! - No way is free that begins inside a keep-out box.

use std::sync::Arc;

use nalgebra::{Point3, Vector3};

use super::keep_out::KeepOut;
use crate::geometry::Position;

/// Where commands may lie.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Region {
    pub min: Position,
    pub max: Position,
    /// The least and the greatest distance from the origin, in metres.
    pub reach: (f64, f64),
    pub keep_out: Arc<[KeepOut]>,
}

impl Region {
    /// Returns whether a position lies in the region, faces included.
    pub(super) fn contains(&self, position: Position) -> bool {
        let point = position.point();
        let (nearest, farthest) = self.reach;
        self.box_holds(point, 0.0)
            && (nearest..=farthest).contains(&point.coords.norm())
            && !self.keep_out.iter().any(|keep_out| keep_out.contains(position))
    }

    /// Returns whether the box, and it alone, holds a point, to within `slack`.
    pub(super) fn box_holds(&self, point: Point3<f64>, slack: f64) -> bool {
        let (min, max) = (self.min.point(), self.max.point());
        (0..3).all(|axis| min[axis] - slack <= point[axis] && point[axis] <= max[axis] + slack)
    }

    /// Returns whether the straight way between two points keeps inside, if it starts inside.
    pub(super) fn holds_way(&self, from: Point3<f64>, to: Point3<f64>) -> bool {
        self.box_holds(to, SLACK)
            && to.coords.norm() <= (self.reach.1 - MARGIN).max(from.coords.norm())
            && self.is_clear(from, to, MARGIN, &[from])
    }

    /// Returns whether the straight way between two commands, as they are sent, keeps inside.
    pub(super) fn holds_step(&self, from: Position, to: Position) -> bool {
        self.contains(to) && self.is_clear(from.point(), to.point(), 0.0, &[from.point()])
    }

    /// Returns whether the straight way between two points keeps `margin` off the keep-out boxes and off what is too near to
    /// the origin. One of `near` may be nearer, and then the way comes no nearer than that.
    pub(super) fn is_clear(
        &self,
        from: Point3<f64>,
        to: Point3<f64>,
        margin: f64,
        near: &[Point3<f64>],
    ) -> bool {
        let (nearest, _) = self.reach;
        if nearest > 0.0 {
            let least = near.iter().fold(nearest + margin, |least, point| least.min(point.coords.norm()));
            if distance_to_origin(from, to) < least - SLACK {
                return false;
            }
        }
        self.is_clear_of_boxes(from, to, margin, near)
    }

    /// Returns the same of the keep-out boxes alone.
    pub(super) fn is_clear_of_boxes(
        &self,
        from: Point3<f64>,
        to: Point3<f64>,
        margin: f64,
        near: &[Point3<f64>],
    ) -> bool {
        self.keep_out.iter().all(|keep_out| {
            let off = near.iter().fold(margin, |off, point| off.min(keep_out.distance(*point)));
            !keep_out.cuts(from, to, off.max(0.0) - SLACK)
        })
    }

    /// Returns whether a point keeps `margin` off everything that bounds the region but its box.
    pub(super) fn keeps_off(&self, point: Point3<f64>, margin: f64) -> bool {
        let (nearest, farthest) = self.reach;
        let distance = point.coords.norm();
        (nearest == 0.0 || distance >= nearest + margin)
            && distance <= farthest - MARGIN
            && self.keep_out.iter().all(|keep_out| keep_out.distance(point) >= margin)
    }

    /// Returns `position`, or the nearest point inside that is found, if there is one. It is a hair inside, so that commands
    /// can get there.
    pub(super) fn nearest(&self, position: Position) -> Option<Position> {
        let place = self.within_reach(position);
        if self.keep_out.is_empty() {
            return self.contains(place).then_some(place);
        }
        let inside =
            |place: Position| self.keep_out.iter().find(|it| it.distance(place.point()) < 2.0 * MARGIN);
        let Some(first) = inside(place) else { return self.contains(place).then_some(place) };
        // The nearest point has each coordinate either of `place` or on a face of a box that is in the way.
        let mut boxes = vec![*first];
        loop {
            let mut best: Option<(f64, Position)> = None;
            let mut others: Vec<(f64, KeepOut)> = Vec::new();
            let [xs, ys, zs] = std::array::from_fn(|axis| {
                let faces = boxes.iter().flat_map(|it| {
                    let [min, max] = it.corners().map(|corner| corner.point()[axis]);
                    [min - 3.0 * MARGIN, max + 3.0 * MARGIN]
                });
                std::iter::once(place.point()[axis]).chain(faces).collect::<Vec<_>>()
            });
            for x in &xs {
                for (y, z) in ys.iter().flat_map(|y| zs.iter().map(move |z| (y, z))) {
                    let candidate = self.within_reach(Position::from_exact(Point3::new(*x, *y, *z)));
                    let way = candidate.distance(position);
                    match inside(candidate) {
                        Some(other) => others.push((way, *other)),
                        None if !self.contains(candidate) => {}
                        None if best.is_some_and(|(least, _)| least <= way) => {}
                        None => best = Some((way, candidate)),
                    }
                }
            }
            let known = boxes.len();
            for (way, other) in others {
                let nearer = best.is_none_or(|(least, _)| way < least);
                if nearer && boxes.len() < MOST_IN_THE_WAY && !boxes.contains(&other) {
                    boxes.push(other);
                }
            }
            if boxes.len() == known {
                return best.map(|(_, place)| place);
            }
        }
    }

    /// Returns the nearest point within box and reach, keep-out boxes aside, by going back and forth between them.
    pub(super) fn within_reach(&self, position: Position) -> Position {
        let (nearest, farthest) = (self.reach.0 + 2.0 * MARGIN, self.reach.1 - 2.0 * MARGIN);
        let mut place = position.clamped(self.min, self.max);
        if self.reach == (0.0, f64::INFINITY) {
            return place;
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
        place
    }
}

/// Returns how near the straight way between two points comes to the origin.
pub(super) fn distance_to_origin(from: Point3<f64>, to: Point3<f64>) -> f64 {
    let way = to - from;
    let length_squared = way.norm_squared();
    let share = if length_squared > 0.0 { -from.coords.dot(&way) / length_squared } else { 0.0 };
    (from.coords + way * share.clamp(0.0, 1.0)).norm()
}

/// For the arithmetic's own noise, in metres; lost in the rounding to a micrometre.
pub(super) const SLACK: f64 = 1e-9;
/// How far inside the way keeps, in metres: a command is rounded to a micrometre on each axis.
pub(super) const MARGIN: f64 = 1e-6;
/// Below the wire's resolution, in metres.
pub(super) const NEGLIGIBLE: f64 = 0.5e-6;
/// Enough for where box and reach meet at any but the flattest angle.
const PROJECTIONS: usize = 16;
/// The most boxes that are looked at together for the nearest place outside them. It bounds the time that takes.
const MOST_IN_THE_WAY: usize = 6;
