//! Tests of a physical arm, observed at its body.
#![allow(clippy::disallowed_methods)] // a start time; the tests advance time themselves

use std::time::{Duration, Instant};

use aether_bridge::arm::{Command, Gripper};
use aether_bridge::geometry::{Orientation, Position};
use aether_bridge::wire::Order;

use super::{AfterRestart, FaultWord, Intake, Mover, PhysicalArm, PhysicalConfig, Refusal, Reports};

fn at(x: f64, y: f64, z: f64) -> Position {
    Position::new(x, y, z).unwrap()
}

fn to(x: f64) -> Order {
    Order::Command(Command { position: at(x, 0.0, 0.2), gripper: Gripper::Closed, orientation: None })
}

/// An arm at x = 0.2 with a speed of 0.5 m/s, and the present time.
struct Scene {
    arm: PhysicalArm,
    now: Instant,
}

impl Scene {
    fn with(change: impl FnOnce(&mut PhysicalConfig)) -> Self {
        let (mut config, now) = (PhysicalConfig::default(), Instant::now());
        change(&mut config);
        Self { arm: PhysicalArm::new(now, config), now }
    }

    fn new() -> Self {
        Self::with(|_| {})
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.arm.handle_timeout(self.now);
    }

    fn order(&mut self, order: Order) -> Result<(), Refusal> {
        self.arm.handle_order(self.now, &order).verdict
    }

    fn x(&self) -> f64 {
        self.arm.body().point().x
    }

    /// Returns the position in the reply to a heartbeat, and whether the arm moves.
    fn reported(&mut self) -> (Position, Option<bool>) {
        let state = self.arm.handle_order(self.now, &Order::Heartbeat).state.unwrap();
        (state.position.unwrap(), state.moving)
    }
}

#[test]
fn arm_goes_to_newest_command_at_its_speed() {
    let mut scene = Scene::new();
    scene.order(to(0.5)).unwrap();
    scene.pass(200);
    assert!((scene.x() - 0.3).abs() < 1e-9);
    scene.order(to(0.2)).unwrap();
    scene.pass(100);
    assert!((scene.x() - 0.25).abs() < 1e-9 && scene.arm.body().is_moving());
    scene.pass(1000);
    assert!(scene.x() == 0.2 && !scene.arm.body().is_moving());
    assert!((scene.arm.body().travelled(Mover::Command) - 0.2).abs() < 1e-9);
}

#[test]
fn full_queue_refuses_further_commands() {
    let mut scene = Scene::with(|config| config.intake = Intake::Queue { size: 2 });
    scene.order(to(0.3)).unwrap();
    scene.order(to(0.2)).unwrap();
    assert_eq!(scene.order(to(0.4)), Err(Refusal::Busy));
    scene.pass(200);
    assert!((scene.x() - 0.3).abs() < 1e-9);
    scene.pass(200);
    assert_eq!((scene.x(), scene.arm.body().legs()), (0.2, 0));
}

#[test]
fn heavy_arm_keeps_its_acceleration_and_lands() {
    let mut scene = Scene::with(|config| config.acceleration = 1.0);
    scene.order(to(0.5)).unwrap();
    scene.pass(100);
    assert!((0.001..0.008).contains(&(scene.x() - 0.2)), "{}", scene.x());
    for _ in 0..500 {
        scene.pass(10);
        assert!(scene.x() < 0.5 + 1e-3, "{}", scene.x());
    }
    assert_eq!((scene.x(), scene.arm.body().is_moving()), (0.5, false));
}

#[test]
fn refused_order_changes_nothing() {
    let wall = [at(0.25, -1.0, 0.0), at(0.3, 1.0, 1.0)];
    let mut scene = Scene::with(|config| (config.wall, config.reach) = (Some(wall), Some(0.6)));
    for (x, why) in [(0.27, Refusal::Wall), (0.65, Refusal::Reach)] {
        assert_eq!(scene.order(to(x)), Err(why));
        scene.pass(1000);
        assert_eq!((scene.x(), scene.arm.body().gripper()), (0.2, Gripper::Open));
    }
    let mut scene = Scene::with(|config| (config.knows_stop, config.knows_heartbeat) = (false, false));
    scene.order(to(0.4)).unwrap();
    assert_eq!(
        (scene.order(Order::Stop), scene.order(Order::Heartbeat)),
        (Err(Refusal::Unknown), Err(Refusal::Unknown))
    );
    assert!(scene.arm.body().is_moving());
}

#[test]
fn fault_stops_arm_until_it_is_cleared() {
    for (word, verdict, has_fault) in [
        (FaultWord::Reported, Err(Refusal::Fault), true),
        (FaultWord::OnlyRefuses, Err(Refusal::Fault), false),
        (FaultWord::ReportedAndAccepts, Ok(()), true),
    ] {
        let mut scene = Scene::with(|config| config.fault_word = word);
        scene.order(to(0.5)).unwrap();
        scene.pass(100);
        scene.arm.handle_fault(scene.now, "emergency stop");
        let answer = scene.arm.handle_order(scene.now, &to(0.4));
        assert_eq!((answer.verdict, answer.state.unwrap().fault.is_some()), (verdict, has_fault));
        let before = scene.x();
        scene.pass(1000);
        assert_eq!(scene.x(), before);
        scene.arm.handle_fault_cleared();
        scene.order(to(0.4)).unwrap();
        scene.pass(1000);
        assert_eq!(scene.x(), 0.4);
    }
}

#[test]
fn hand_moves_arm_in_motion_or_at_rest() {
    let mut scene = Scene::new();
    scene.order(to(0.5)).unwrap();
    scene.pass(100);
    scene.arm.handle_moved_by_person(scene.now, at(0.25, 0.1, 0.2), 0.2);
    assert_eq!((scene.arm.body().mover(), scene.reported().1), (Some(Mover::Person), Some(true)));
    scene.pass(2000);
    assert_eq!((scene.arm.body().position(), scene.reported().1), (at(0.25, 0.1, 0.2), Some(false)));
    assert!((scene.arm.body().travelled(Mover::Person) - 0.1).abs() < 1e-9);
    assert!((scene.arm.body().travelled(Mover::Command) - 0.05).abs() < 1e-9);
}

#[test]
fn stalled_arm_accepts_and_stays() {
    let mut scene = Scene::new();
    scene.arm.handle_stalled(scene.now, true);
    scene.order(to(0.4)).unwrap();
    scene.pass(1000);
    assert_eq!((scene.x(), scene.arm.body().is_moving()), (0.2, false));
    scene.arm.handle_stalled(scene.now, false);
    scene.pass(100);
    assert!((scene.x() - 0.25).abs() < 1e-9);
}

#[test]
fn restarted_controller_keeps_or_homes_arm() {
    for (after, x) in [(AfterRestart::Keeps, 0.25), (AfterRestart::Homes, 0.2)] {
        let mut scene = Scene::with(|config| config.after_restart = after);
        scene.order(to(0.5)).unwrap();
        scene.pass(100);
        scene.arm.handle_restart(scene.now, Duration::from_millis(300));
        scene.pass(200);
        assert!(!scene.arm.is_up() && (scene.x() - 0.25).abs() < 1e-9);
        scene.pass(200);
        assert!(scene.arm.is_up());
        scene.pass(1000);
        assert!((scene.x() - x).abs() < 1e-9, "{after:?}");
    }
}

#[test]
fn arm_without_power_sinks() {
    let mut scene = Scene::new();
    scene.arm.handle_power_loss(scene.now, Duration::from_secs(1));
    scene.pass(2000);
    assert_eq!(scene.arm.body().position(), at(0.2, 0.0, 0.15));
    assert!((scene.arm.body().travelled(Mover::Gravity) - 0.05).abs() < 1e-9);
}

#[test]
fn reports_have_configured_sag_noise_and_unit() {
    let mut scene = Scene::with(|config| config.sag = 0.004);
    assert_eq!(scene.reported().0, at(0.2, 0.0, 0.196));
    let mut scene = Scene::with(|config| (config.noise, config.seed) = (0.001, 7));
    let (first, second) = (scene.reported().0, scene.reported().0);
    assert!(first != second && first.distance(at(0.2, 0.0, 0.2)) < 0.002);
    let mut scene = Scene::with(|config| config.unit_factor = 0.001);
    assert_eq!(scene.reported().0, at(0.0002, 0.0, 0.0002));
    let mut scene = Scene::with(|config| config.zero_before_homing = true);
    assert_eq!(scene.reported().0, at(0.0, 0.0, 0.0));
    scene.arm.handle_homed(scene.now);
    scene.pass(1000);
    assert_eq!(scene.reported().0, at(0.2, 0.0, 0.2));
}

#[test]
fn unsolicited_state_comes_only_if_configured() {
    let mut scene = Scene::with(|config| config.reports = Reports::default());
    assert_eq!(scene.arm.handle_order(scene.now, &Order::Heartbeat).state, None);
    assert_eq!(scene.arm.poll_state(scene.now), None);
    let period = Duration::from_millis(50);
    let mut scene = Scene::with(|config| config.reports.unasked = Some(period));
    assert_eq!(scene.arm.poll_state(scene.now), None);
    scene.now += period;
    assert!(scene.arm.poll_state(scene.now).is_some());
    assert_eq!(scene.arm.poll_state_at(), Some(scene.now + period));
}

#[test]
fn unhomed_arm_refuses_until_it_is_homed() {
    let mut scene = Scene::with(|config| config.needs_homing = true);
    assert_eq!(scene.order(to(0.21)), Err(Refusal::NotHomed));
    scene.arm.handle_homed(scene.now);
    scene.pass(1000);
    assert_eq!(scene.order(to(0.21)), Ok(()));
}

#[test]
fn tool_rotates_at_its_own_speed() {
    let mut scene = Scene::new();
    let goal = Orientation::from_rpy([0.0, 0.0, 1.5]);
    let command = Command { position: at(0.2, 0.0, 0.2), gripper: Gripper::Open, orientation: Some(goal) };
    scene.order(Order::Command(command)).unwrap();
    scene.pass(100);
    assert!((scene.arm.body().orientation().angle_to(goal) - 1.2).abs() < 0.02);
    scene.pass(1000);
    assert!(scene.arm.body().orientation().angle_to(goal) < 1e-6 && !scene.arm.body().is_moving());
}
