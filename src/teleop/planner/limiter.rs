//! Speed and acceleration: how far the next command may be from the last.
//!
//! A walk goes from one commanded position to the next. With `dt` the time between two commands, `v = Δp / dt` is the
//! velocity of a command, and the limiter keeps, for every pair of commands and whatever the timers do,
//!
//! - `|v| ≤ speed`,
//! - `|v - v_before| ≤ acceleration · dt`,
//! - the straight way to the *stop point* `p + v·|v| / (2·acceleration)` inside the workspace: in its box and its reach, and
//!   past what is too near to the base and past the keep-out boxes. So the straight way from each command to the next is too.
//!
//! The third is what makes the first two keepable. A walk that brakes straight at the full deceleration gets no farther
//! than its stop point, whatever the steps: with `vᵢ = vᵢ₋₁ - a·dtᵢ` the way is `Σ vᵢ·dtᵢ`, a lower sum of the integral
//! `v² / 2a`. So braking is always among the steps allowed, and where the wanted step is not, the limiter goes from
//! braking towards it as far as it may. For the same reason a step towards a resting goal at distance `d` is no faster
//! than `a·(√(dt² + 2d/a) - dt)`, the speed from which the walk can still stop at the goal: it comes to rest there and
//! does not overshoot. Where the straight way to the goal is not free, the next point of the way around takes the place of
//! the goal for this: the walk can stop there, and from there the rest of the way is free.
//!
//! No step is longer than `limits.step`: for a step that has much time the speed limit is `limits.step / dt`, if that is lower.
//! A step that comes so late may have to be slower by more than the acceleration allows, but only towards standing, and straight
//! on. So its stop point lies on the way to the one before.

use std::time::{Duration, Instant};

use nalgebra::{Point3, Vector3};

use crate::geometry::Position;
use crate::teleop::config::{Limits, TeleopConfig};
use crate::teleop::workspace::Workspace;

/// A walk from one commanded position to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limiter {
    /// The exact position; commands are its rounding to a micrometre, so that slow ramps lose nothing.
    exact: Point3<f64>,
    velocity: Vector3<f64>,
    last: Option<Instant>,
    /// Whether the last command reached its goal, and slowly enough to stand there.
    resting: bool,
}

/// A step that could be taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    exact: Point3<f64>,
    velocity: Vector3<f64>,
    /// The position to command.
    pub position: Position,
    /// What kept it from the goal; none if it is there to stay.
    pub limit: Option<Limit>,
    /// How long the way to the goal was before the step, in metres. `None` if no way was found.
    pub remaining: Option<f64>,
}

/// What keeps a step from its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The speed limit: the step is as long as it allows.
    Speed,
    /// Speeding up, braking, or the way around.
    Acceleration,
}

impl Limiter {
    /// Starts at rest where no command of this walk has led yet. `last` is when the arm came to rest there, if it was moved.
    pub fn at_rest(start: Position, last: Option<Instant>) -> Self {
        Self { exact: start.point(), velocity: Vector3::zeros(), last, resting: true }
    }

    /// Returns where the walk is.
    pub fn position(&self) -> Position {
        Position::from_exact(self.exact)
    }

    /// Returns whether the walk stands at `goal`, so that no further command is needed.
    pub fn rests_at(&self, goal: Position) -> bool {
        self.resting && self.position() == goal
    }

    /// Returns the step towards `goal` at `now`. Nothing changes until [`Limiter::take`].
    pub fn step(&self, now: Instant, goal: Position, limits: Limits, config: &TeleopConfig) -> Step {
        let (period, workspace) = (config.ramp_period(), &config.workspace);
        let elapsed = self.last.map_or(period, |last| now.saturating_duration_since(last));
        let (before, dt) = self.before(elapsed, config);
        let seconds = dt.as_secs_f64();
        let course = workspace.course(self.exact, goal.point());
        let remaining = course.map(|course| course.remaining);
        if seconds <= 0.0 {
            let (Self { exact, velocity, .. }, position) = (*self, self.position());
            return Step { exact, velocity, position, limit: Some(Limit::Acceleration), remaining };
        }
        let acceleration = limits.acceleration;
        let speed = limits.speed.min(config.step_length() / seconds);
        let change = acceleration * seconds;
        let way = goal.point() - self.exact;

        // It lands if it is at the goal by this very step, the way there is free, and it is slow enough to stand there one
        // period later.
        let landing = way / seconds;
        let standing = acceleration * dt.min(period).as_secs_f64();
        if way.norm() <= (speed.min(standing) * seconds).max(NEGLIGIBLE)
            && (landing - before).norm() <= change
            && self.may_step(goal.point(), goal.point(), workspace)
        {
            return Step { remaining, ..self.to(goal.point(), elapsed, None) };
        }

        let wanted = course.map_or_else(Vector3::zeros, |course| {
            let distance = course.distance;
            let braking =
                acceleration * ((seconds * seconds + 2.0 * distance / acceleration).sqrt() - seconds);
            course.direction * braking.min(speed)
        });
        let reachable = (before + (wanted - before).cap_magnitude(change)).cap_magnitude(speed);
        let stopping = (before - before.cap_magnitude(change)).cap_magnitude(speed);
        let velocity = self.allowed(stopping, reachable, seconds, acceleration, workspace);
        let limit = if velocity.norm() >= NEARLY * speed { Limit::Speed } else { Limit::Acceleration };
        Step { remaining, ..self.to(self.exact + velocity * seconds, elapsed, Some(limit)) }
    }

    /// Returns the step that leads nowhere.
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

    /// Takes a step whose command has been sent.
    pub fn take(&mut self, now: Instant, step: &Step) {
        let (resting, Step { exact, velocity, .. }) = (step.limit.is_none(), *step);
        *self = Self { exact, velocity, last: Some(now), resting };
    }

    /// Returns the velocity before a step that comes `elapsed` after the last command, and the time that the step has.
    fn before(&self, elapsed: Duration, config: &TeleopConfig) -> (Vector3<f64>, Duration) {
        if !self.resting || elapsed <= config.ramp_period() {
            return (self.velocity, elapsed.min(config.longest_step()));
        }
        // It stands, and a rest is no credit to be spent at once.
        (Vector3::zeros(), config.ramp_period())
    }

    /// Returns a step to `exact`. Its velocity is the one that the wire shows: over the whole time since the last command.
    fn to(&self, exact: Point3<f64>, elapsed: Duration, limit: Option<Limit>) -> Step {
        let velocity = (exact - self.exact) / elapsed.as_secs_f64();
        Step { exact, velocity, position: Position::from_exact(exact), limit, remaining: None }
    }

    /// Returns whether the way to `next`, and straight on to `stop`, is free, exactly and as it is sent.
    fn may_step(&self, next: Point3<f64>, stop: Point3<f64>, workspace: &Workspace) -> bool {
        workspace.holds_way(self.exact, stop)
            && workspace.holds_step(self.position(), Position::from_exact(next))
    }

    /// Returns the velocity from `stopping` as far towards `wanted` as the stop point stays inside the workspace.
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
        // Braking is inside while the limits stay what they were. If they have been tightened, standing is.
        let sure = if keeps_inside(&stopping) { stopping } else { Vector3::zeros() };
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..BISECTIONS {
            let middle = 0.5 * (low + high);
            let bound = if keeps_inside(&sure.lerp(&wanted, middle)) { &mut low } else { &mut high };
            *bound = middle;
        }
        sure.lerp(&wanted, low)
    }
}

/// Below the wire's resolution, in metres.
const NEGLIGIBLE: f64 = 0.5e-6;
/// A step this near to the speed limit, as a share of it, is as fast as it may be.
const NEARLY: f64 = 0.999;
/// Enough for a thousandth of the wanted velocity.
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

    /// A walk, and when it took its last step.
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
    fn a_walk_rests_only_where_it_has_come_to_stand() {
        let mut walk = Walk::at_full_speed();
        assert!(!walk.0.rests_at(walk.0.position()), "it only passes there");
        let goal = at(0.3);
        while !walk.0.rests_at(goal) {
            walk.step(goal, PERIOD);
        }
        assert!(!walk.0.rests_at(at(0.31)));
    }

    #[test]
    fn a_goal_at_hand_is_not_landed_on_at_full_speed() {
        let mut walk = Walk::at_full_speed();
        let before = walk.0.position().coordinates()[0];
        // The very next step would be there, and the arm could not stand still after it.
        let goal = at(before + 0.004);
        let step = walk.step(goal, PERIOD);
        assert!(step.limit.is_some());
        // Nor is a goal behind landed on by a step back.
        let mut walk = Walk::at_full_speed();
        let behind = at(walk.0.position().coordinates()[0] - 0.000_5);
        let step = walk.step(behind, PERIOD);
        assert!(step.position.coordinates()[0] > before, "{step:?}");
    }

    #[test]
    fn a_goal_that_is_near_but_behind_is_not_landed_on_by_turning_at_once() {
        // At 0.03 m/s; a step may change that by 0.04 m/s, and to be there it would have to by 0.055 m/s.
        let mut walk = Walk(Limiter::at_rest(at(0.0), None), Instant::now());
        assert!(walk.step(at(0.000_83), PERIOD).limit.is_some());
        let behind = at(walk.0.position().coordinates()[0] - 0.000_5);
        assert!(walk.step(behind, PERIOD).limit.is_some());
    }

    #[test]
    fn a_rest_is_no_credit() {
        let mut walk = Walk(Limiter::at_rest(at(0.0), None), Instant::now());
        let step = walk.step(at(0.5), Duration::from_secs(10));
        assert!(step.position.coordinates()[0] <= 2.0 * 0.02 * 0.02, "{step:?}");
        // Nor is a controller that takes its time: no step is longer than the longest.
        let mut walk = Walk::at_full_speed();
        let before = walk.0.position().coordinates()[0];
        let step = walk.step(at(0.9), Duration::from_secs(10));
        assert!(step.position.coordinates()[0] - before <= 0.2 * 0.2 + 1e-6, "{step:?}");
    }

    #[test]
    fn no_time_is_no_step() {
        let mut walk = Walk::at_full_speed();
        let before = walk.0.position();
        let step = walk.step(at(0.9), Duration::ZERO);
        assert_eq!((step.position, step.limit), (before, Some(Limit::Acceleration)));
        assert_eq!(walk.step(at(0.9), PERIOD).limit, Some(Limit::Speed), "it goes on as before");
    }

    #[test]
    fn a_step_says_what_kept_it_from_its_goal() {
        let mut walk = Walk(Limiter::at_rest(at(0.0), None), Instant::now());
        assert_eq!(walk.step(at(0.9), PERIOD).limit, Some(Limit::Acceleration));
        let mut walk = Walk::at_full_speed();
        assert_eq!(walk.step(at(0.9), PERIOD).limit, Some(Limit::Speed));
        let mut walk = Walk(Limiter::at_rest(at(0.0), None), Instant::now());
        assert_eq!(walk.step(at(0.000_5), PERIOD).limit, None);
    }
}
