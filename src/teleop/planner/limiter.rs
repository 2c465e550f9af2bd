//! The limiter: speed and acceleration limits for the sequence of commanded positions.
//!
//! A *walk* is the sequence of commanded positions of one motion. Let `p` be the position of a
//! command, `Δp` its difference to the position before, and `dt` the time between the two commands.
//! Then `v = Δp / dt` is the velocity of the command, and `v_before` is the velocity of the command
//! before. For each command, at any timing, the limiter keeps three rules. The only exception is a
//! late step (last paragraph), which may slow down by more than rule 2 allows.
//!
//! - Rule 1, speed: `|v| ≤ speed`.
//! - Rule 2, acceleration: `|v - v_before| ≤ acceleration · dt`.
//! - Rule 3, room to stop: the straight path from the position before, through `p`, to the *stop
//!   point* `p + v·|v| / (2·acceleration)` is inside the workspace. "Inside" means: inside the box
//!   and the outer reach, not too near to the base, and outside all keep-out boxes. So the straight
//!   path from each command to the next is inside too.
//!
//! **Rule 3 makes it possible to keep rules 1 and 2.** Let `a` be the acceleration limit. A walk
//! that brakes straight ahead with the full deceleration never passes its stop point, whatever the
//! lengths of the steps. Proof: with `vᵢ = vᵢ₋₁ - a·dtᵢ`, the braking distance is the sum of all
//! `vᵢ·dtᵢ`. Each `vᵢ` is the speed that continuous braking has at the end of step `i`. So the sum
//! is a lower sum of the integral of that speed over time. The integral is `v² / 2a`, the distance
//! from `p` to the stop point. Therefore braking is always an allowed step. If the wanted step
//! breaks rule 3, the limiter takes a step between braking and the wanted step, as near to the
//! wanted step as the rule permits.
//!
//! **The walk does not overshoot.** For a goal at rest at the distance `d`, the limiter limits the
//! speed of the step to `a·(√(dt² + 2d/a) - dt)`. From this speed the walk can still stop at the
//! goal, for the same reason. So it comes to rest there. If the straight path to the goal is
//! blocked, the next point of the route replaces the goal in this formula. The walk can stop at
//! that point, and from there the rest of the route is free.
//!
//! **No step is longer than `limits.step`.** If `limits.step / dt` is lower than `speed`, it is the
//! speed limit of the step. A late step may therefore have to slow down by more than the
//! acceleration limit allows. But it only slows down, and keeps its direction. So its stop point
//! lies on the straight path to the stop point before.

use std::time::{Duration, Instant};

use nalgebra::{Point3, Vector3};

use crate::geometry::Position;
use crate::teleop::config::{Limits, TeleopConfig};
use crate::teleop::workspace::Workspace;

/// The state of a walk: the sequence of commanded positions of one motion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limiter {
    /// The exact position in metres. A command contains it rounded to a micrometre. So slow ramps
    /// lose nothing.
    exact: Point3<f64>,
    /// In m/s.
    velocity: Vector3<f64>,
    /// When the last command was sent, or when the arm came to rest.
    last: Option<Instant>,
    /// Whether the last command reached its goal, slowly enough to stay there.
    resting: bool,
}

/// A step of the walk that is planned but not sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    exact: Point3<f64>,
    velocity: Vector3<f64>,
    /// The position to command.
    pub position: Position,
    /// What prevents the step from reaching the goal. `None` if the step comes to rest at the goal.
    pub limit: Option<Limit>,
    /// The length of the route to the goal before the step, in metres. `None` if no route was
    /// found.
    pub remaining: Option<f64>,
}

/// What prevents a step from reaching its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The speed limit: the step is as long as this limit allows.
    Speed,
    /// The acceleration limit, while the walk speeds up, brakes, or follows a route.
    Acceleration,
}

impl Step {
    /// Returns the speed of this step, in m/s.
    pub fn speed(&self) -> f64 {
        self.velocity.norm()
    }
}

impl Limiter {
    /// Creates a walk that is at rest at `start`. `last` is when the arm came to rest there, or
    /// `None` if the bridge has not moved it.
    pub fn at_rest(start: Position, last: Option<Instant>) -> Self {
        Self { exact: start.point(), velocity: Vector3::zeros(), last, resting: true }
    }

    /// Returns the position of the last step.
    pub fn position(&self) -> Position {
        Position::from_exact(self.exact)
    }

    /// Returns whether the walk is at rest at `goal`, so that no further command is needed.
    pub fn rests_at(&self, goal: Position) -> bool {
        self.resting && self.position() == goal
    }

    /// Returns the step towards `goal` at the time `now`. Call [`Limiter::take`] after its command
    /// has been sent.
    pub fn step(&self, now: Instant, goal: Position, limits: Limits, config: &TeleopConfig) -> Step {
        let (period, workspace) = (config.ramp_period(), &config.workspace);
        let elapsed = self.last.map_or(period, |last| now.saturating_duration_since(last));
        let (before, dt) = self.before(elapsed, config);
        let seconds = dt.as_secs_f64();
        let route = workspace.route(self.exact, goal.point());
        let remaining = route.map(|route| route.remaining);
        if seconds <= 0.0 {
            let (Self { exact, velocity, .. }, position) = (*self, self.position());
            return Step { exact, velocity, position, limit: Some(Limit::Acceleration), remaining };
        }
        let acceleration = limits.acceleration;
        let speed = limits.speed.min(config.step_length() / seconds);
        let change = acceleration * seconds;
        let path = goal.point() - self.exact;

        // The step ends the walk if it reaches the goal, if the path there is free, and if the step
        // is slow enough to be at rest one period later.
        let landing = path / seconds;
        let stopping_speed = acceleration * dt.min(period).as_secs_f64();
        if path.norm() <= (speed.min(stopping_speed) * seconds).max(NEGLIGIBLE)
            && (landing - before).norm() <= change
            && self.may_step(goal.point(), goal.point(), workspace)
        {
            return Step { remaining, ..self.to(goal.point(), elapsed, None) };
        }

        let wanted = route.map_or_else(Vector3::zeros, |route| {
            let distance = route.distance;
            let braking =
                acceleration * ((seconds * seconds + 2.0 * distance / acceleration).sqrt() - seconds);
            route.direction * braking.min(speed)
        });
        let reachable = (before + (wanted - before).cap_magnitude(change)).cap_magnitude(speed);
        let stopping = (before - before.cap_magnitude(change)).cap_magnitude(speed);
        let velocity = self.allowed(stopping, reachable, seconds, acceleration, workspace);
        let limit = if velocity.norm() >= NEARLY * speed { Limit::Speed } else { Limit::Acceleration };
        Step { remaining, ..self.to(self.exact + velocity * seconds, elapsed, Some(limit)) }
    }

    /// Returns the step that stays at the present position.
    pub fn stay(&self) -> Step {
        let limit = Some(Limit::Acceleration);
        Step {
            exact: self.exact,
            velocity: Vector3::zeros(),
            position: self.position(),
            limit,
            remaining: None,
        }
    }

    /// Records that the command of a step has been sent.
    pub fn take(&mut self, now: Instant, step: &Step) {
        let (resting, Step { exact, velocity, .. }) = (step.limit.is_none(), *step);
        *self = Self { exact, velocity, last: Some(now), resting };
    }

    /// Returns the velocity before a step, `elapsed` after the last command, and the time over
    /// which the step may move.
    fn before(&self, elapsed: Duration, config: &TeleopConfig) -> (Vector3<f64>, Duration) {
        if !self.resting || elapsed <= config.ramp_period() {
            return (self.velocity, elapsed.min(config.longest_step()));
        }
        // The walk is at rest. The time at rest must not make the next step longer.
        (Vector3::zeros(), config.ramp_period())
    }

    /// Returns a step to `exact`. Its velocity is the mean velocity over the whole time since the
    /// last command, as the controller sees it.
    fn to(&self, exact: Point3<f64>, elapsed: Duration, limit: Option<Limit>) -> Step {
        let velocity = (exact - self.exact) / elapsed.as_secs_f64();
        Step { exact, velocity, position: Position::from_exact(exact), limit, remaining: None }
    }

    /// Returns whether the straight path to `next` and on to `stop` is inside the workspace. Checks
    /// both the exact positions and the rounded positions of the commands.
    fn may_step(&self, next: Point3<f64>, stop: Point3<f64>, workspace: &Workspace) -> bool {
        workspace.holds_path(self.exact, stop)
            && workspace.holds_step(self.position(), Position::from_exact(next))
    }

    /// Returns the velocity between `stopping` and `wanted` that is nearest to `wanted` and keeps
    /// the stop point inside the workspace.
    fn allowed(
        &self,
        stopping: Vector3<f64>,
        wanted: Vector3<f64>,
        seconds: f64,
        acceleration: f64,
        workspace: &Workspace,
    ) -> Vector3<f64> {
        let keeps_inside = |velocity: &Vector3<f64>| {
            let next = self.exact + velocity * seconds;
            let stop = next + velocity * (velocity.norm() / (2.0 * acceleration));
            self.may_step(next, stop, workspace)
        };
        if keeps_inside(&wanted) {
            return wanted;
        }
        // Braking keeps the walk inside the workspace unless the limits have become stricter.
        // Standing still always keeps the walk inside.
        let safe = if keeps_inside(&stopping) { stopping } else { Vector3::zeros() };
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..BISECTIONS {
            let middle = 0.5 * (low + high);
            let bound = if keeps_inside(&safe.lerp(&wanted, middle)) { &mut low } else { &mut high };
            *bound = middle;
        }
        safe.lerp(&wanted, low)
    }
}

/// A distance below the resolution of a command, in metres.
const NEGLIGIBLE: f64 = 0.5e-6;
/// A step with at least this share of the speed limit counts as limited by speed.
const NEARLY: f64 = 0.999;
/// Enough steps to find the velocity to a thousandth of the wanted velocity.
const BISECTIONS: u32 = 10;

#[cfg(test)]
mod properties;

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;
    use crate::teleop::config::tests::settings;

    const LIMITS: Limits = Limits { speed: 0.2, acceleration: 2.0 };
    const PERIOD: Duration = Duration::from_millis(20);

    fn at(x: f64) -> Position {
        Position::new(x, 0.0, 0.0).unwrap()
    }

    /// A walk, and the time of its last step.
    struct Walk(Limiter, Instant);

    impl Walk {
        fn step(&mut self, goal: Position, after: Duration) -> Step {
            self.1 += after;
            let step = self.0.step(self.1, goal, LIMITS, &settings());
            self.0.take(self.1, &step);
            step
        }

        fn at_full_speed() -> Self {
            let mut walk = Self(Limiter::at_rest(at(0.0), None), Instant::now());
            while walk.step(at(0.9), PERIOD).limit != Some(Limit::Speed) {}
            walk
        }
    }

    #[test]
    fn walk_rests_only_at_its_goal() {
        let mut walk = Walk::at_full_speed();
        assert!(!walk.0.rests_at(walk.0.position()), "the walk only passes this position");
        let goal = at(0.3);
        while !walk.0.rests_at(goal) {
            walk.step(goal, PERIOD);
        }
        assert!(!walk.0.rests_at(at(0.31)));
    }

    #[test]
    fn near_goal_is_not_reached_at_full_speed() {
        let mut walk = Walk::at_full_speed();
        let before = walk.0.position().coordinates()[0];
        // The next step would reach the goal, but the arm could not be at rest after it.
        let goal = at(before + 0.004);
        let step = walk.step(goal, PERIOD);
        assert!(step.limit.is_some());
        // If the goal is behind the walk, the next step does not end there either: the walk brakes.
        let mut walk = Walk::at_full_speed();
        let behind = at(walk.0.position().coordinates()[0] - 0.000_5);
        let step = walk.step(behind, PERIOD);
        assert!(step.position.coordinates()[0] > before, "{step:?}");
    }

    #[test]
    fn goal_behind_is_not_reached_by_sudden_reversal() {
        // The walk moves at 0.03 m/s. One step may change this by 0.04 m/s; to reach the goal it
        // would have to change by 0.055 m/s.
        let mut walk = Walk(Limiter::at_rest(at(0.0), None), Instant::now());
        assert!(walk.step(at(0.000_83), PERIOD).limit.is_some());
        let behind = at(walk.0.position().coordinates()[0] - 0.000_5);
        assert!(walk.step(behind, PERIOD).limit.is_some());
    }

    #[test]
    fn time_at_rest_does_not_lengthen_step() {
        let mut walk = Walk(Limiter::at_rest(at(0.0), None), Instant::now());
        let step = walk.step(at(0.5), Duration::from_secs(10));
        assert!(step.position.coordinates()[0] <= 2.0 * 0.02 * 0.02, "{step:?}");
        // A slow controller does not make the step longer either: no step is longer than the
        // longest step.
        let mut walk = Walk::at_full_speed();
        let before = walk.0.position().coordinates()[0];
        let step = walk.step(at(0.9), Duration::from_secs(10));
        assert!(step.position.coordinates()[0] - before <= 0.2 * 0.2 + 1e-6, "{step:?}");
    }

    #[test]
    fn step_without_elapsed_time_stays() {
        let mut walk = Walk::at_full_speed();
        let before = walk.0.position();
        let step = walk.step(at(0.9), Duration::ZERO);
        assert_eq!((step.position, step.limit), (before, Some(Limit::Acceleration)));
        assert_eq!(walk.step(at(0.9), PERIOD).limit, Some(Limit::Speed), "the walk continues as before");
    }

    #[test]
    fn step_names_its_limit() {
        let mut walk = Walk(Limiter::at_rest(at(0.0), None), Instant::now());
        assert_eq!(walk.step(at(0.9), PERIOD).limit, Some(Limit::Acceleration));
        let mut walk = Walk::at_full_speed();
        assert_eq!(walk.step(at(0.9), PERIOD).limit, Some(Limit::Speed));
        let mut walk = Walk(Limiter::at_rest(at(0.0), None), Instant::now());
        assert_eq!(walk.step(at(0.000_5), PERIOD).limit, None);
    }
}
