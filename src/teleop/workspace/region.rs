//! The free region: the part of a box that is within the arm's reach and outside the keep-out
//! boxes.
//!
//! Invariants:
//! - A free path keeps a distance of [`MARGIN`] from each obstacle. If the path begins nearer to an
//!   obstacle, it does not come nearer than its start. So if the ends of the path are rounded to a
//!   micrometre, the path between the rounded ends is free too.
//! - A path that begins inside a keep-out box is not free.

use std::sync::Arc;

use nalgebra::{Point3, Vector3};

use super::keep_out::KeepOut;
use crate::geometry::Position;

/// The positions that commands may have.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Region {
    pub min: Position,
    pub max: Position,
    /// The smallest and the largest distance from the origin, in metres.
    pub reach: (f64, f64),
    pub keep_out: Arc<[KeepOut]>,
}

impl Region {
    /// Returns whether a position lies in the region. The faces of its box belong to it.
    pub(super) fn contains(&self, position: Position) -> bool {
        let point = position.point();
        let (nearest, farthest) = self.reach;
        self.box_holds(point, 0.0)
            && (nearest..=farthest).contains(&point.coords.norm())
            && !self.keep_out.iter().any(|keep_out| keep_out.contains(position))
    }

    /// Returns whether a point lies in the box of the region, to within `slack` (metres). Ignores
    /// reach and keep-out boxes.
    pub(super) fn box_holds(&self, point: Point3<f64>, slack: f64) -> bool {
        let (min, max) = (self.min.point(), self.max.point());
        (0..3).all(|axis| min[axis] - slack <= point[axis] && point[axis] <= max[axis] + slack)
    }

    /// Returns whether the straight path between two points stays inside, if it starts inside.
    pub(super) fn holds_path(&self, from: Point3<f64>, to: Point3<f64>) -> bool {
        self.box_holds(to, SLACK)
            && to.coords.norm() <= (self.reach.1 - MARGIN).max(from.coords.norm())
            && self.is_clear(from, to, MARGIN, &[from])
    }

    /// Returns whether the straight path between two commands, at their rounded positions, stays
    /// inside.
    pub(super) fn holds_step(&self, from: Position, to: Position) -> bool {
        self.contains(to) && self.is_clear(from.point(), to.point(), 0.0, &[from.point()])
    }

    /// Returns whether the straight path between two points keeps a distance of `margin` from the
    /// keep-out boxes and from the inner reach. If a point of `near` is nearer to an obstacle, the
    /// path must not come nearer than that point.
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

    /// Returns the same as [`Region::is_clear`], but checks only the keep-out boxes.
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

    /// Returns whether a point keeps a distance of `margin` from the inner reach and the keep-out
    /// boxes, and is within the outer reach. Ignores the box of the region.
    pub(super) fn keeps_off(&self, point: Point3<f64>, margin: f64) -> bool {
        let (nearest, farthest) = self.reach;
        let distance = point.coords.norm();
        (nearest == 0.0 || distance >= nearest + margin)
            && distance <= farthest - MARGIN
            && self.keep_out.iter().all(|keep_out| keep_out.distance(point) >= margin)
    }

    /// Returns `position` if it is inside, or the nearest point inside that the search finds. The
    /// result lies a few micrometres inside, so that commands can reach it.
    pub(super) fn nearest(&self, position: Position) -> Option<Position> {
        let inner = self.within_reach(position);
        if self.keep_out.is_empty() {
            return self.contains(inner).then_some(inner);
        }
        let blocking =
            |point: Position| self.keep_out.iter().find(|it| it.distance(point.point()) < 2.0 * MARGIN);
        let Some(first) = blocking(inner) else { return self.contains(inner).then_some(inner) };
        // Each coordinate of the nearest point is either a coordinate of `inner` or lies on a face
        // of a box that blocks it.
        let mut boxes = vec![*first];
        loop {
            let mut best: Option<(f64, Position)> = None;
            let mut others: Vec<(f64, KeepOut)> = Vec::new();
            let [xs, ys, zs] = std::array::from_fn(|axis| {
                let faces = boxes.iter().flat_map(|it| {
                    let [min, max] = it.corners().map(|corner| corner.point()[axis]);
                    [min - 3.0 * MARGIN, max + 3.0 * MARGIN]
                });
                std::iter::once(inner.point()[axis]).chain(faces).collect::<Vec<_>>()
            });
            for x in &xs {
                for (y, z) in ys.iter().flat_map(|y| zs.iter().map(move |z| (y, z))) {
                    let candidate = self.within_reach(Position::from_exact(Point3::new(*x, *y, *z)));
                    let distance = candidate.distance(position);
                    match blocking(candidate) {
                        Some(other) => others.push((distance, *other)),
                        None if !self.contains(candidate) => {}
                        None if best.is_some_and(|(least, _)| least <= distance) => {}
                        None => best = Some((distance, candidate)),
                    }
                }
            }
            let known = boxes.len();
            for (distance, other) in others {
                let nearer = best.is_none_or(|(least, _)| distance < least);
                if nearer && boxes.len() < MOST_BLOCKING_BOXES && !boxes.contains(&other) {
                    boxes.push(other);
                }
            }
            if boxes.len() == known {
                return best.map(|(_, position)| position);
            }
        }
    }

    /// Returns the nearest point within box and reach by projecting onto them in turn. Ignores the
    /// keep-out boxes.
    pub(super) fn within_reach(&self, position: Position) -> Position {
        let (nearest, farthest) = (self.reach.0 + 2.0 * MARGIN, self.reach.1 - 2.0 * MARGIN);
        let mut inner = position.clamped(self.min, self.max);
        if self.reach == (0.0, f64::INFINITY) {
            return inner;
        }
        for _ in 0..PROJECTIONS {
            let point = inner.point();
            let distance = point.coords.norm();
            if (nearest..=farthest).contains(&distance) {
                break;
            }
            let outward = point.coords.try_normalize(NEGLIGIBLE).unwrap_or(Vector3::z());
            // Aim between the two bounds of the projection, so that rounding does not lead outside
            // again.
            let aim = distance.max(nearest + MARGIN).min(farthest - MARGIN);
            inner = Position::from_exact(Point3::from(outward * aim)).clamped(self.min, self.max);
        }
        inner
    }
}

/// Returns the smallest distance of the straight path between two points from the origin, in
/// metres.
pub(super) fn distance_to_origin(from: Point3<f64>, to: Point3<f64>) -> f64 {
    let path = to - from;
    let length_squared = path.norm_squared();
    let share = if length_squared > 0.0 { -from.coords.dot(&path) / length_squared } else { 0.0 };
    (from.coords + path * share.clamp(0.0, 1.0)).norm()
}

/// Allowance for the rounding error of the arithmetic, in metres. It disappears when a command is
/// rounded to a micrometre.
pub(super) const SLACK: f64 = 1e-9;
/// The distance that paths keep from the boundary, in metres, because a command is rounded to a
/// micrometre on each axis.
pub(super) const MARGIN: f64 = 1e-6;
/// A distance below the resolution of a command, in metres.
pub(super) const NEGLIGIBLE: f64 = 0.5e-6;
/// Enough projections, unless box and reach meet at a very flat angle.
const PROJECTIONS: usize = 16;
/// The largest number of boxes that one search for the nearest position examines together. It
/// limits the search time.
const MOST_BLOCKING_BOXES: usize = 6;
