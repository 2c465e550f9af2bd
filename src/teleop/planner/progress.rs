//! Progress: detects goals that the walk cannot reach.
//!
//! Invariants:
//! - A goal is out of reach in two cases: there is no route to it, or the walk has not come nearer
//!   to it for longer than a walk needs to turn around.
//! - It stays out of reach until the goal or the arm moves, or the settings change.
//! - The bridge never waits for a blocked walk without reporting it.

use std::time::{Duration, Instant};

use crate::geometry::Position;
use crate::teleop::config::{Limits, TeleopConfig};
use crate::teleop::workspace::Workspace;

/// What is known of the route to the goal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// There is no route from the arm to the goal.
    blocked: bool,
    /// The shortest remaining route so far.
    best: Option<Best>,
    /// Set when the walk no longer comes nearer.
    stuck: Option<Stuck>,
}

#[derive(Debug, Clone, Copy)]
struct Best {
    goal: Position,
    /// The length of the remaining route, in metres.
    remaining: f64,
    /// When the remaining route last became shorter.
    since: Instant,
    /// The number of steps since then.
    steps: u32,
}

#[derive(Debug, Clone, Copy)]
struct Stuck {
    goal: Position,
    arm: Position,
}

impl Progress {
    /// Returns whether the goal is out of reach.
    pub(super) fn is_out_of_reach(&self) -> bool {
        self.blocked || self.stuck.is_some()
    }

    /// Searches a route from `arm` to `goal`, because one of them may have moved.
    pub(super) fn update(&mut self, arm: Position, goal: Position, workspace: &Workspace) {
        self.blocked = !workspace.has_route(arm, goal);
        let moved = |stuck: &Stuck| stuck.goal.distance(goal) > MOVED || stuck.arm.distance(arm) > MOVED;
        if self.stuck.as_ref().is_some_and(moved) {
            self.forget();
        }
    }

    /// Records a step to `arm` towards `goal`. `remaining` is the length of the route before the
    /// step, in metres.
    pub(super) fn handle_step(
        &mut self,
        now: Instant,
        arm: Position,
        goal: Position,
        remaining: f64,
        config: &TeleopConfig,
    ) {
        let nearer = |best: &Best| best.goal.distance(goal) > MOVED || remaining < best.remaining - NEARER;
        match &mut self.best {
            Some(best) if !nearer(best) => {
                best.steps += 1;
                if remaining > MOVED
                    && best.steps >= PATIENT_STEPS
                    && now - best.since >= patience(config.limits)
                {
                    self.stuck = Some(Stuck { goal, arm });
                }
            }
            best => *best = Some(Best { goal, remaining, since: now, steps: 0 }),
        }
    }

    /// Forgets all progress, because another walk begins or the settings have changed.
    pub(super) fn forget(&mut self) {
        (self.best, self.stuck) = (None, None);
    }

    /// Starts to record another walk.
    pub(super) fn begin(&mut self) {
        self.best = None;
    }
}

/// Returns how long a walk may make no progress. It may first have to brake and turn around.
fn patience(limits: Limits) -> Duration {
    Duration::from_secs_f64((2.0 + 4.0 * limits.speed / limits.acceleration).min(MAX_PATIENCE))
}

/// How far the goal or the arm may move and still count as unmoved, in metres. A webcam tracker has
/// this much noise.
const MOVED: f64 = 0.005;
/// The remaining route counts as shorter only if it is shorter by this much, in metres.
const NEARER: f64 = 1e-4;
/// A walk is stuck only after this many steps without progress.
const PATIENT_STEPS: u32 = 20;
/// The longest patience, in seconds. Keeps the arithmetic finite.
const MAX_PATIENCE: f64 = 3600.0;

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // tests need some instant to start from
mod tests {
    use super::*;
    use crate::teleop::config::tests::settings;
    use crate::teleop::workspace::KeepOut;

    fn at(x: f64) -> Position {
        Position::new(x, 0.0, 0.2).unwrap()
    }

    /// Records a step every 100 ms, with the remaining route for each step.
    fn walk(progress: &mut Progress, steps: u32, remaining: impl Fn(u32) -> f64) {
        let start = Instant::now();
        for step in 0..steps {
            let now = start + step * Duration::from_millis(100);
            progress.handle_step(now, at(0.2), at(0.4), remaining(step), &settings());
        }
    }

    #[test]
    fn walk_that_comes_no_nearer_is_stuck() {
        let mut progress = Progress::default();
        walk(&mut progress, 100, |step| 0.3 - 0.001 * f64::from(step));
        assert!(!progress.is_out_of_reach(), "the walk comes nearer");
        walk(&mut progress, 100, |_| 0.001);
        assert!(!progress.is_out_of_reach(), "the walk is at the goal");
        // The patience is 2 s + 4 · 0.25 m/s / (1.5 m/s²) = 2.67 s.
        walk(&mut progress, 26, |step| 0.1 + 0.01 * f64::from(step % 2));
        assert!(!progress.is_out_of_reach(), "the walk may turn around");
        let mut progress = Progress::default();
        walk(&mut progress, 28, |step| 0.1 + 0.01 * f64::from(step % 2));
        assert!(progress.is_out_of_reach());
    }

    #[test]
    fn walk_is_stuck_until_goal_or_arm_moves() {
        let workspace = settings().workspace;
        for (arm, goal, stuck) in
            [(0.2, 0.404, true), (0.204, 0.4, true), (0.2, 0.406, false), (0.206, 0.4, false)]
        {
            let mut progress = Progress::default();
            walk(&mut progress, 40, |_| 0.1);
            progress.update(at(arm), at(goal), &workspace);
            assert_eq!(progress.is_out_of_reach(), stuck, "{arm} {goal}");
        }
    }

    #[test]
    fn goal_behind_wall_is_out_of_reach() {
        let corner = |x: f64, by: f64| Position::new(x, by, by).unwrap();
        let wall = KeepOut::new(corner(0.25, -2.0), corner(0.3, 2.0)).unwrap();
        let workspace = settings().workspace.with_keep_out(&[wall]);
        let mut progress = Progress::default();
        progress.update(at(0.2), at(0.4), &workspace);
        assert!(progress.is_out_of_reach());
        progress.update(at(0.2), at(0.24), &workspace);
        assert!(!progress.is_out_of_reach());
    }
}
