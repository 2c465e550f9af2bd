//! Properties that hold for every walk, at any goals and any timing.
#![allow(clippy::disallowed_methods)] // tests need some instant to start from

use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop};
use proptest::{prop_assert, proptest};

use super::*;
use crate::teleop::config::tests::settings;
use crate::teleop::workspace::{Admitted, KeepOut, Policy};

const LIMITS: Limits = Limits { speed: 0.25, acceleration: 1.5 };
const PERIOD: Duration = Duration::from_millis(20);
/// The longest time step with the settings of the tests.
const LONGEST: Duration = Duration::from_millis(200);
/// The rounding error of the arithmetic, in metres.
const NOISE: f64 = 1e-9;

fn at(x: f64, y: f64, z: f64) -> Position {
    Position::new(x, y, z).unwrap()
}

fn corner_box(half: f64) -> Workspace {
    Workspace::new(at(-half, -half, -half), at(half, half, half), Policy::Clamp).unwrap()
}

/// A walk in a workspace, in virtual time.
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
        self.step_by(goal, after, LIMITS)
    }

    fn step_by(&mut self, goal: Position, after: Duration, limits: Limits) -> Step {
        self.now += after;
        let step = self.limiter.step(self.now, goal, limits, &self.config);
        self.limiter.take(self.now, &step);
        step
    }
}

/// Returns positions of the hand. Each has the durations of the steps during which the hand stays
/// there.
fn walks() -> impl Strategy<Value = Vec<(Position, Vec<Duration>)>> {
    let face = || proptest::prop_oneof![2 => -0.35..0.35, 1 => any::<bool>().prop_map(|up| if up { 0.3 } else { -0.3 })];
    let goal = (face(), face(), face()).prop_map(|(x, y, z)| at(x, y, z));
    let steps = prop::collection::vec((1_u64..40).prop_map(Duration::from_millis), 1..30);
    prop::collection::vec((goal, steps), 1..20)
}

proptest! {
    /// A walk never changes its velocity by more than the limit, not even where it turns at a wall.
    /// So it never has to stop suddenly.
    #[test]
    fn every_step_keeps_speed_acceleration_and_workspace(walk in walks(), reach in any::<bool>()) {
        let workspace = corner_box(0.3);
        let workspace = if reach { workspace.with_reach(0.12, 0.4) } else { workspace };
        let start = at(0.2, 0.0, 0.0);
        let mut walker = Walk::new(workspace.clone(), start);
        for (hand, steps) in walk {
            let Ok(Admitted { position: goal, .. }) = workspace.admit(hand) else { continue };
            for after in steps {
                let before = walker.limiter;
                let first = before.last.is_none();
                let seconds = if first { PERIOD } else { after.min(LONGEST) }.as_secs_f64();
                let step = walker.step(goal, after);
                let velocity = (step.exact - before.exact) / seconds;
                // After a step to the goal, the walk is at rest one period later.
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
fn wall_behind_goal_does_not_slow_walk() {
    let goal = at(0.3, 0.3, 0.0);
    let [mut free, mut walled] =
        [corner_box(9.0), corner_box(0.3)].map(|it| Walk::new(it, at(-0.1, 0.2, 0.0)));
    while !free.limiter.rests_at(goal) {
        let steps = [&mut free, &mut walled].map(|walk| walk.step(goal, PERIOD).position);
        assert!(steps[0].distance(steps[1]) < 2e-6, "{steps:?}");
    }
    assert!(walled.limiter.rests_at(goal));
}

/// Walks straight towards an edge of the workspace at x = 0.3 m, as fast as the workspace allows,
/// then along the edge. Returns the smallest distance of the stop point from the edge, in metres.
fn turn_at_the_edge(workspace: &Workspace) -> f64 {
    let mut walk = Walk::new(workspace.clone(), at(0.0, 0.0, 0.0));
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

fn workspace_edge(workspace: &Workspace, point: Point3<f64>) -> f64 {
    if workspace.contains(at(0.3, 0.01, 0.0)) { 0.3 - point.x } else { 0.3 - point.coords.norm() }
}

#[test]
fn walk_brakes_no_more_than_edge_requires() {
    for workspace in [corner_box(0.3), corner_box(9.0).with_reach(0.0, 0.3)] {
        let nearest = turn_at_the_edge(&workspace);
        assert!((-NOISE..1e-4).contains(&nearest), "{nearest} m before the edge of {workspace:?}");
    }
}

#[test]
fn allowed_velocity_is_nearest_to_wanted_velocity() {
    // At 0.12 m/s the stop point is at the wall: 2.4 mm for this step, and 4.8 mm for braking.
    let workspace = Workspace::new(at(-0.3, -0.3, -0.3), at(0.007_2, 0.3, 0.3), Policy::Clamp).unwrap();
    let walk = Limiter::at_rest(at(0.0, 0.0, 0.0), None);
    let wanted = Vector3::new(0.2, 0.0, 0.0);
    let allowed = walk.allowed(Vector3::zeros(), wanted, 0.02, LIMITS.acceleration, &workspace);
    assert!((0.119_7..=0.12).contains(&allowed.x), "{allowed}");
}

/// A random workspace with boxes, reach and limits, and random positions of the hand.
#[derive(Debug, Clone)]
struct Journey {
    workspace: Workspace,
    limits: Limits,
    step: f64,
    rate: f64,
    /// The time between two commands, as a share of the period.
    lateness: Vec<f64>,
    start: Position,
    hands: Vec<(Position, usize)>,
}

fn journeys() -> impl Strategy<Value = Journey> {
    let point = || prop::array::uniform3(-0.32..0.32);
    let keep_out = (point(), prop::array::uniform3(0.01..0.3))
        .prop_map(|([x, y, z], [dx, dy, dz])| KeepOut::new(at(x, y, z), at(x + dx, y + dy, z + dz)).unwrap());
    let reach =
        proptest::prop_oneof![1 => Just((0.0, 0.0)), 2 => Just((0.05, 0.0)), 1 => (0.01..0.15, 0.2..0.5)];
    let limits = (0.01..2.0, 0.1..20.0).prop_map(|(speed, acceleration)| Limits { speed, acceleration });
    let step = proptest::prop_oneof![2 => Just(0.0), 1 => 0.001..0.5];
    let rate = proptest::prop_oneof![1 => 0.5..5.0, 1 => 5.0..100.0, 1 => 100.0..1000.0];
    let hands = prop::collection::vec((point(), 1_usize..60), 1..8);
    let lateness = prop::collection::vec(0.1..3.0, 1..20);
    let boxes = prop::collection::vec(keep_out, 0..6);
    (boxes, reach, limits, step, rate, lateness, point(), hands).prop_filter_map(
        "no room",
        |(boxes, (near, far), limits, step, rate, lateness, [x, y, z], hands)| {
            let workspace = corner_box(0.3).with_reach(near, far).with_keep_out(&boxes);
            let start = workspace.admit(at(x, y, z)).ok()?.position;
            let hands = hands.into_iter().map(|([x, y, z], steps)| (at(x, y, z), steps)).collect();
            Some(Journey { workspace, limits, step, rate, lateness, start, hands })
        },
    )
}

impl Journey {
    fn walk(&self) -> Walk {
        let mut walk = Walk::new(self.workspace.clone(), self.start);
        walk.config.step = self.step;
        walk.config.limits = self.limits;
        walk.config.command_period = Some(Duration::from_secs_f64(1.0 / self.rate));
        walk
    }
}

/// Returns whether a straight path leaves the workspace, by checking many of its points.
fn leaves(workspace: &Workspace, from: Position, to: Position) -> bool {
    (0..=100).any(|share| {
        let point = from.point().lerp(&to.point(), f64::from(share) / 100.0);
        let inside = |point: Point3<f64>, slack: f64| {
            let (nearest, farthest) = workspace.reach();
            let distance = point.coords.norm();
            (nearest - slack..=farthest + slack).contains(&distance)
                && !workspace.keep_out().iter().any(|keep_out| {
                    let [min, max] = keep_out.corners().map(|corner| corner.point());
                    (0..3).all(|axis| min[axis] + slack < point[axis] && point[axis] < max[axis] - slack)
                })
        };
        !inside(point, NOISE)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// For any boxes, reach, rate, speed, acceleration and lateness: no straight path from one
    /// command to the next leads through a box or too near to the base, and no step is longer than
    /// `limits.step`.
    #[test]
    fn every_path_between_commands_is_free(journey in journeys()) {
        let mut walk = journey.walk();
        let longest = if journey.step > 0.0 { journey.step } else { 0.1 * journey.limits.speed };
        let mut lateness = journey.lateness.iter().cycle();
        for (hand, steps) in &journey.hands {
            let Ok(Admitted { position: goal, .. }) = journey.workspace.admit(*hand) else { continue };
            for _ in 0..*steps {
                let before = walk.limiter.position();
                let after = Duration::from_secs_f64(lateness.next().unwrap() / journey.rate);
                let step = walk.step_by(goal, after, journey.limits);
                prop_assert!(journey.workspace.contains(step.position), "{step:?}");
                prop_assert!(!leaves(&journey.workspace, before, step.position), "{before:?} {step:?}");
                let length = before.distance(step.position);
                prop_assert!(length <= longest + 2e-6, "{length} m, {longest} m allowed");
            }
        }
    }

    /// If a route is found, the walk follows it to its end and comes to rest at the goal.
    #[test]
    fn walk_reaches_goal_if_route_exists(journey in journeys()) {
        let mut walk = journey.walk();
        // With these limits a walk crosses the workspace in a thousand commands.
        let limits = Limits { speed: journey.limits.speed.max(0.01 * journey.rate), acceleration: journey.limits.acceleration.max(0.05 * journey.rate) };
        (walk.config.limits, walk.config.step) = (limits, 0.5);
        let period = walk.config.ramp_period();
        for (hand, _) in &journey.hands {
            let Ok(Admitted { position: goal, .. }) = journey.workspace.admit(*hand) else { continue };
            if !journey.workspace.has_route(walk.limiter.position(), goal) {
                continue;
            }
            let mut steps = 0;
            while !walk.limiter.rests_at(goal) {
                let step = walk.step_by(goal, period, limits);
                steps += 1;
                prop_assert!(steps < 5000, "{:?} does not reach {goal:?}: {step:?}", walk.limiter);
            }
        }
    }
}

#[test]
fn last_step_leads_around_base() {
    // At one command a second, the whole route fits into one step.
    let workspace = corner_box(0.3).with_reach(0.05, 0.0);
    let mut walk = Walk::new(workspace.clone(), at(0.06, 0.01, 0.0));
    walk.config.command_period = Some(Duration::from_secs(1));
    walk.config.step = 0.5;
    let goal = at(-0.06, 0.01, 0.0);
    let limits = Limits { speed: 2.0, acceleration: 10.0 };
    while !walk.limiter.rests_at(goal) {
        let before = walk.limiter.position();
        let step = walk.step_by(goal, Duration::from_secs(1), limits);
        assert!(!leaves(&workspace, before, step.position), "{before:?} {step:?}");
    }
}

#[test]
fn late_step_keeps_step_limit() {
    let mut walk = Walk::new(corner_box(0.3), at(0.2, 0.0, 0.0));
    walk.config.step = 0.003;
    let goal = at(-0.3, 0.0, 0.0);
    for after in [20, 20, 20, 20, 200, 20, 200, 5000, 20] {
        let before = walk.limiter.position();
        let step = walk.step(goal, Duration::from_millis(after));
        let length = step.position.distance(before);
        assert!(length > 0.000_3 && length <= 0.003 + 2e-6, "{length} m after {after} ms");
    }
}

#[test]
fn wall_without_gap_stops_walk() {
    let wall = KeepOut::new(at(0.0, -1.0, -1.0), at(0.05, 1.0, 1.0)).unwrap();
    let mut walk = Walk::new(corner_box(0.3).with_keep_out(&[wall]), at(0.2, 0.0, 0.0));
    let goal = at(-0.2, 0.0, 0.0);
    for _ in 0..100 {
        let step = walk.step(goal, PERIOD);
        assert_eq!((step.remaining, step.position), (None, at(0.2, 0.0, 0.0)));
    }
}
