//! What holds for every walk, whatever the goals and the timers do.
#![allow(clippy::disallowed_methods)] // tests need some instant to start from

use proptest::prelude::{Strategy, any, prop};
use proptest::{prop_assert, proptest};

use super::*;
use crate::teleop::config::tests::settings;
use crate::teleop::workspace::Policy;

const LIMITS: Limits = Limits { speed: 0.25, acceleration: 1.5 };
const PERIOD: Duration = Duration::from_millis(20);
/// The longest time-step by the settings of tests.
const LONGEST: Duration = Duration::from_millis(200);
/// The arithmetic's own noise, in metres.
const NOISE: f64 = 1e-9;

fn at(x: f64, y: f64, z: f64) -> Position {
    Position::new(x, y, z).unwrap()
}

fn corner_box(half: f64) -> Workspace {
    Workspace::new(at(-half, -half, -half), at(half, half, half), Policy::Clamp).unwrap()
}

/// A walk in a workspace, and what it does.
struct Walk {
    limiter: Limiter,
    config: TeleopConfig,
    now: Instant,
}

impl Walk {
    fn new(workspace: Workspace, start: Position) -> Self {
        let config = TeleopConfig { workspace, ..settings() };
        Self { limiter: Limiter::at_rest(start, None), config, now: Instant::now() }
    }

    fn step(&mut self, goal: Position, after: Duration) -> Step {
        self.now += after;
        let step = self.limiter.step(self.now, goal, LIMITS, &self.config);
        self.limiter.take(self.now, &step);
        step
    }
}

/// Where the hand is, and for how many steps it stays there; how long each step takes.
fn walks() -> impl Strategy<Value = Vec<(Position, Vec<Duration>)>> {
    let face = || proptest::prop_oneof![2 => -0.35..0.35, 1 => any::<bool>().prop_map(|up| if up { 0.3 } else { -0.3 })];
    let goal = (face(), face(), face()).prop_map(|(x, y, z)| at(x, y, z));
    let steps = prop::collection::vec((1_u64..40).prop_map(Duration::from_millis), 1..30);
    prop::collection::vec((goal, steps), 1..20)
}

proptest! {
    /// Not even where it turns at a wall does a walk change its velocity by more than it may: it need never stand at
    /// once.
    #[test]
    fn every_step_keeps_speed_acceleration_and_workspace(walk in walks(), reach in any::<bool>()) {
        let workspace = corner_box(0.3);
        let workspace = if reach { workspace.with_reach(0.12, 0.4) } else { workspace };
        let start = at(0.2, 0.0, 0.0);
        let mut walk_of = Walk::new(workspace, start);
        for (hand, steps) in walk {
            let Ok((goal, _)) = workspace.admit(hand) else { continue };
            for after in steps {
                let before = walk_of.limiter.clone();
                let first = before.last.is_none();
                let seconds = if first { PERIOD } else { after.min(LONGEST) }.as_secs_f64();
                let step = walk_of.step(goal, after);
                let velocity = (step.exact - before.exact) / seconds;
                // Where it has landed it stands one period later.
                let landed = if before.resting { seconds.max(PERIOD.as_secs_f64()) } else { seconds };
                let from = if before.resting && after > PERIOD { Vector3::zeros() } else { before.velocity };
                let change = (velocity - from).norm();
                let allowed = LIMITS.acceleration * landed + NOISE / seconds;
                prop_assert!(change <= allowed, "{change} m/s, {allowed} allowed: {before:?} {step:?}");
                prop_assert!(velocity.norm() <= LIMITS.speed + NOISE / seconds, "{velocity}");
                prop_assert!(workspace.contains(step.position), "{step:?}");
            }
        }
    }
}

#[test]
fn a_wall_behind_the_goal_slows_nothing() {
    let goal = at(0.3, 0.3, 0.0);
    let [mut free, mut walled] =
        [corner_box(9.0), corner_box(0.3)].map(|it| Walk::new(it, at(-0.1, 0.2, 0.0)));
    while !free.limiter.rests_at(goal) {
        let steps = [&mut free, &mut walled].map(|walk| walk.step(goal, PERIOD).position);
        assert!(steps[0].distance(steps[1]) < 2e-6, "{steps:?}");
    }
    assert!(walled.limiter.rests_at(goal));
}

/// Straight towards an edge of the workspace at x = 0.3 m, as fast as it lets the walk; then along the edge. Returns how
/// near to the edge the way to a stand comes, in metres.
fn turn_at_the_edge(workspace: Workspace) -> f64 {
    let mut walk = Walk::new(workspace, at(0.0, 0.0, 0.0));
    while walk.limiter.position().coordinates()[0] < 0.284 {
        walk.step(at(0.3, 0.0, 0.0), PERIOD);
    }
    let mut nearest = f64::INFINITY;
    for _ in 0..200 {
        let before = walk.limiter.velocity;
        walk.step(at(0.2, 0.22, 0.0), PERIOD);
        let velocity = walk.limiter.velocity;
        let change = (velocity - before).norm();
        let allowed = LIMITS.acceleration * PERIOD.as_secs_f64();
        assert!(change <= allowed + NOISE, "{change} m/s, {allowed} m/s allowed");
        let stop = walk.limiter.exact + velocity * velocity.norm() / (2.0 * LIMITS.acceleration);
        nearest = nearest.min(workspace_edge(workspace, stop));
    }
    assert!(walk.limiter.rests_at(at(0.2, 0.22, 0.0)));
    nearest
}

fn workspace_edge(workspace: Workspace, point: Point3<f64>) -> f64 {
    if workspace.contains(at(0.3, 0.01, 0.0)) { 0.3 - point.x } else { 0.3 - point.coords.norm() }
}

#[test]
fn a_walk_that_turns_at_the_edge_brakes_as_it_may_and_no_more_than_the_edge_asks_for() {
    for workspace in [corner_box(0.3), corner_box(9.0).with_reach(0.0, 0.3)] {
        let nearest = turn_at_the_edge(workspace);
        assert!((-NOISE..1e-4).contains(&nearest), "{nearest} m before the edge of {workspace:?}");
    }
}

#[test]
fn what_is_allowed_is_as_near_to_what_is_wanted_as_the_workspace_lets_it() {
    // At 0.12 m/s the way to a stand ends at the wall: 2.4 mm by this step, and 4.8 mm of braking.
    let workspace = Workspace::new(at(-0.3, -0.3, -0.3), at(0.007_2, 0.3, 0.3), Policy::Clamp).unwrap();
    let walk = Limiter::at_rest(at(0.0, 0.0, 0.0), None);
    let wanted = Vector3::new(0.2, 0.0, 0.0);
    let allowed = walk.allowed(Vector3::zeros(), wanted, 0.02, LIMITS.acceleration, &workspace);
    assert!((0.119_7..=0.12).contains(&allowed.x), "{allowed}");
}
