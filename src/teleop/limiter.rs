//! Speed: how far the next command may be from the last.

use std::time::{Duration, Instant};

use nalgebra::Point3;

use super::command::Position;

/// Walks from one commanded position to the next at no more than a given speed.
///
/// A step of `dt` seconds moves `p' = p + (g - p) · min(1, v·dt / |g - p|)` towards the goal `g`. `dt` is the time since
/// the last command, but no more than [`Pace::rest`] when the arm stood at its goal, since a rest is no credit to be
/// spent at once, and no more than [`Pace::moving`] when the ramp was held up by the controller's own pace.
#[derive(Debug, Clone, PartialEq)]
pub struct Limiter {
    /// The exact walk; commands are its rounding to a micrometre, so that slow ramps lose nothing.
    exact: Point3<f64>,
    last: Option<Instant>,
    resting: bool,
}

/// The bounds of a step's `dt`.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// The time-step of the very first command.
    pub first: Duration,
    /// The longest time-step out of a rest at the goal.
    pub rest: Duration,
    /// The longest time-step within a ramp.
    pub moving: Duration,
}

/// A step that could be taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    exact: Point3<f64>,
    /// The position to command.
    pub position: Position,
    /// Whether the speed kept it from the goal.
    pub limited: bool,
}

impl Limiter {
    /// Starts at rest, at a position that no command of this walk has been sent for. `last` is when the arm is taken
    /// to have come to rest there, if it was moved before.
    pub fn at(start: Position, last: Option<Instant>) -> Self {
        Self { exact: start.point(), last, resting: true }
    }

    /// Where the walk is.
    pub fn position(&self) -> Position {
        Position::from_exact(self.exact)
    }

    /// The step towards `goal` at `now`, at most at `speed` m/s. Nothing changes until [`Limiter::take`].
    pub fn step(&self, now: Instant, goal: Position, speed: f64, pace: Pace) -> Step {
        let elapsed = self.last.map_or(pace.first, |last| now.saturating_duration_since(last));
        let dt = elapsed.min(if self.resting { pace.rest } else { pace.moving });
        let reach = speed * dt.as_secs_f64();
        let way = goal.point() - self.exact;
        let distance = way.norm();
        if distance <= reach {
            Step { exact: goal.point(), position: goal, limited: false }
        } else {
            let exact = self.exact + way * (reach / distance);
            Step { exact, position: Position::from_exact(exact), limited: true }
        }
    }

    /// Takes a step whose command has been sent.
    pub fn take(&mut self, now: Instant, step: &Step) {
        self.exact = step.exact;
        self.last = Some(now);
        self.resting = !step.limited;
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        first: Duration::from_millis(20),
        rest: Duration::from_millis(40),
        moving: Duration::from_millis(200),
    };

    fn at(x: f64) -> Position {
        Position::new(x, 0.0, 0.0).unwrap()
    }

    #[test]
    fn a_long_rest_is_no_credit_for_a_leap() {
        let t = Instant::now();
        let mut limiter = Limiter::at(at(0.0), None);
        let step = limiter.step(t, at(0.0), 0.25, PACE);
        limiter.take(t, &step);
        let step = limiter.step(t + Duration::from_secs(60), at(0.3), 0.25, PACE);
        assert_eq!(step.position, at(0.25 * 0.040));
        assert!(step.limited);
    }

    #[test]
    fn a_ramp_goes_on_at_full_speed_for_a_controller_slower_than_the_tick() {
        let t = Instant::now();
        let mut limiter = Limiter::at(at(0.0), None);
        let step = limiter.step(t, at(0.3), 0.25, PACE);
        assert_eq!(step.position, at(0.005));
        limiter.take(t, &step);
        let step = limiter.step(t + Duration::from_millis(100), at(0.3), 0.25, PACE);
        assert_eq!(step.position, at(0.030));
        let step = limiter.step(t + Duration::from_secs(9), at(0.3), 0.25, PACE);
        assert_eq!(step.position, at(0.055));
    }

    #[test]
    fn steps_smaller_than_a_micrometre_add_up() {
        let t = Instant::now();
        let mut limiter = Limiter::at(at(0.0), None);
        for i in 1..=100 {
            let now = t + Duration::from_millis(i);
            let step = limiter.step(now, at(0.3), 0.000_1, PACE);
            limiter.take(now, &step);
        }
        // 20 ms for the first step and 99 of 1 ms at 0.1 mm/s
        assert_eq!(limiter.position(), at(0.000_012));
    }

    #[test]
    fn the_goal_is_reached_exactly_and_not_overshot() {
        let t = Instant::now();
        let limiter = Limiter::at(at(0.0), None);
        let step = limiter.step(t, at(0.004), 0.25, PACE);
        assert_eq!((step.position, step.limited), (at(0.004), false));
    }
}
