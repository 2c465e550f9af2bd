//! Fixed sequences in which an arm once moved although no command should have moved it. Some are
//! shortened from random worlds, some come from issues.

use aether_bridge::config::Value;
use aether_sim::physical::{AfterRestart, FaultWord, Intake, PhysicalConfig, Reports};

use crate::play_with;
use crate::script::{Loss, Step, Trouble};
use crate::settings::Settings;

const GO: Step = Step::Pass { ms: 1500 };
const ARM: Step = Step::SetArmed { armed: true, twice: true };
const ARM_ONCE: Step = Step::SetArmed { armed: true, twice: false };

/// Runs a script, and returns how many commands the arm has executed.
fn obeyed(parameters: &[(&'static str, Value)], arm: PhysicalConfig, script: &[Step]) -> u64 {
    let settings = Settings::new(7, parameters.to_vec(), arm);
    let (result, counts) = play_with(settings, script);
    result.unwrap_or_else(|violation| panic!("{violation}"));
    counts.obeyed
}

fn heartbeats() -> (&'static str, Value) {
    ("link.heartbeat.period", Value::Real(0.1))
}

fn text(name: &'static str, value: &str) -> (&'static str, Value) {
    (name, Value::Text(value.into()))
}

fn silent() -> PhysicalConfig {
    PhysicalConfig { reports: Reports::default(), ..PhysicalConfig::default() }
}

fn away() -> Step {
    Step::HandGoes { to: [0.25, 0.1, 0.25], speed: 0.2 }
}

#[test]
fn silent_controller_needs_assumed_position() {
    assert_eq!(obeyed(&[], silent(), &[GO, ARM_ONCE, GO, away(), GO]), 0);
    assert!(obeyed(&[], silent(), &[GO, ARM, GO, away(), GO]) > 10);
}

#[test]
fn reporting_controller_moves_from_reported_position() {
    let start = aether_bridge::geometry::Position::new(0.1, 0.15, 0.3).unwrap();
    let arm = PhysicalConfig { start, ..PhysicalConfig::default() };
    assert!(obeyed(&[heartbeats()], arm, &[GO, away(), GO, GO]) > 10);
}

#[test]
fn broken_connection_makes_position_unknown() {
    for after_restart in [AfterRestart::Keeps, AfterRestart::Homes] {
        let arm = PhysicalConfig { after_restart, ..silent() };
        let dies = Step::ControllerDies { ms: 50, power: false };
        let script = [GO, ARM, away(), GO, GO, dies];
        let before = obeyed(&[], arm.clone(), &script);
        let after = obeyed(&[], arm, &[&script[..], &[GO, GO, GO, ARM_ONCE, GO]].concat());
        assert!(before > 10 && after == before, "{before} {after}");
    }
}

#[test]
fn bridge_requests_position_after_arm_restarts() {
    let arm = PhysicalConfig { after_restart: AfterRestart::Homes, ..PhysicalConfig::default() };
    let dies = Step::ControllerDies { ms: 50, power: false };
    assert!(obeyed(&[heartbeats()], arm, &[GO, away(), GO, dies, GO, GO, GO]) > 10);
}

#[test]
fn motion_continues_from_pushed_position() {
    let push = Step::Push { by: [0.0, -0.1, 0.0], speed: 0.1 };
    let lost = Step::HandLost { how: Loss::Silence, ms: 600 };
    for hold in ["silent", "repeat", "stop"] {
        let script = [GO, away(), GO, lost, Step::Pass { ms: 500 }, push, GO, GO, GO];
        assert!(
            obeyed(&[heartbeats(), text("teleop.hold_behavior", hold)], PhysicalConfig::default(), &script)
                > 10
        );
    }
}

#[test]
fn reported_fault_needs_the_operator() {
    for fault_word in [FaultWord::Reported, FaultWord::ReportedAndAccepts] {
        for hold in ["silent", "repeat", "stop"] {
            let arm = PhysicalConfig { fault_word, ..PhysicalConfig::default() };
            let fault = Step::Trouble { what: Trouble::Fault, ms: 400 };
            let script = [GO, away(), Step::Pass { ms: 600 }, fault, GO, GO, Step::Stop, GO];
            obeyed(&[heartbeats(), text("teleop.hold_behavior", hold)], arm, &script);
        }
    }
}

#[test]
fn acceptance_with_fault_sets_no_position() {
    // The arm accepts every command, is stopped by its emergency stop, and reports nothing else.
    let arm = PhysicalConfig {
        fault_word: FaultWord::ReportedAndAccepts,
        start: aether_bridge::geometry::Position::new(0.06, 0.14, 0.29).unwrap(),
        ..silent()
    };
    let fault = Step::Trouble { what: Trouble::Fault, ms: 368 };
    obeyed(&[], arm, &[GO, ARM, fault, Step::Pass { ms: 690 }, ARM_ONCE, GO, ARM, GO]);
}

#[test]
fn acceptance_after_disarm_sets_no_position() {
    let arm = PhysicalConfig { intake: Intake::Queue { size: 64 }, speed: 0.1, ..silent() };
    let parameters = [("link.max_in_flight", Value::Integer(4)), text("teleop.hold_behavior", "stop")];
    let disarm = Step::SetArmed { armed: false, twice: false };
    let slow = Step::Trouble { what: Trouble::Slow, ms: 300 };
    let push = Step::Push { by: [0.1, 0.1, 0.0], speed: 1.0 };
    obeyed(
        &parameters,
        arm,
        &[GO, ARM, away(), GO, slow, Step::Pass { ms: 50 }, disarm, push, GO, ARM_ONCE, GO],
    );
}

#[test]
fn position_outside_workspace_blocks_motion() {
    let wall = [[0.1, -1.0, -1.0], [0.223, 1.0, 1.0]]
        .map(|[x, y, z]| aether_bridge::geometry::Position::new(x, y, z).unwrap());
    let arm = PhysicalConfig {
        start: aether_bridge::geometry::Position::new(0.381, -0.102, 0.276).unwrap(),
        wall: Some(wall),
        ..PhysicalConfig::default()
    };
    let parameters = [("link.heartbeat.period", Value::Real(1.0)), ("workspace.reach_max", Value::Real(0.4))];
    assert_eq!(obeyed(&parameters, arm, &[GO, ARM, GO, GO]), 0);
}

#[test]
fn rejecting_arm_is_not_led_through_wall() {
    let wall = [[0.23, -1.0, -1.0], [0.3, 1.0, 1.0]]
        .map(|[x, y, z]| aether_bridge::geometry::Position::new(x, y, z).unwrap());
    for window in [1, 4] {
        let arm = PhysicalConfig { wall: Some(wall), ..silent() };
        let parameters = [
            ("link.max_in_flight", Value::Integer(window)),
            ("teleop.max_consecutive_errors", Value::Integer(64)),
        ];
        let through = Step::HandGoes { to: [0.4, 0.0, 0.2], speed: 0.5 };
        assert!(obeyed(&parameters, arm, &[GO, ARM, GO, through, GO, GO, GO]) > 5);
    }
}

#[test]
fn dead_bridge_moves_no_arm_from_backlog() {
    let arm = PhysicalConfig::default();
    let settings = Settings {
        server: crate::settings::Server::One { reads_to_end: false },
        ..Settings::new(7, vec![heartbeats()], arm)
    };
    // The controller serves another client while the bridge connects and while it ends.
    let busy = Step::Trouble { what: Trouble::Busy, ms: 6000 };
    let (result, counts) = play_with(
        settings,
        &[busy, GO, away(), GO, Step::BridgeDies { ms: 5000, machine: false }, GO, GO, GO],
    );
    result.unwrap_or_else(|violation| panic!("{violation}"));
    assert_eq!(counts.obeyed, 0);
}

#[test]
fn sagging_arm_does_not_creep_down() {
    let arm = PhysicalConfig { sag: 0.004, ..PhysicalConfig::default() };
    let settings = Settings::new(7, vec![heartbeats(), ("filter.kind", Value::Text("none".into()))], arm);
    let mut world = crate::world::World::new(settings);
    let play =
        |world: &mut crate::world::World, step| world.handle(&step).unwrap_or_else(|found| panic!("{found}"));
    // No target is lower than this target.
    play(&mut world, Step::HandGoes { to: [0.2, 0.0, 0.25], speed: 0.2 });
    for _ in 0..2 {
        play(&mut world, GO);
    }
    let before = world.arm.body().point().z;
    for _ in 0..30 {
        play(&mut world, Step::HandLost { how: Loss::Silence, ms: 400 });
        play(&mut world, Step::Pass { ms: 900 });
    }
    let sunk = before - world.arm.body().point().z;
    assert!(before > 0.22 && sunk < 0.002, "from {before} m by {sunk} m");
}

#[test]
fn lost_hand_resumes_on_open_connection() {
    let lost = Step::HandLost { how: Loss::Silence, ms: 60_000 };
    let script = [GO, ARM, away(), GO, lost, Step::Pass { ms: 61_000 }];
    let before = obeyed(&[], silent(), &script);
    let there = Step::HandGoes { to: [0.22, 0.05, 0.22], speed: 0.2 };
    let after = obeyed(&[], silent(), &[&script[..], &[there, GO, GO, GO]].concat());
    assert!(before > 10 && after > before, "{before} {after}");
}

#[test]
fn old_accepted_position_is_unknown() {
    let parameters = [("arm.position_timeout", Value::Real(5.0))];
    let lost = Step::HandLost { how: Loss::Silence, ms: 8000 };
    let script = [GO, ARM, away(), GO, lost, Step::Pass { ms: 8000 }];
    let before = obeyed(&parameters, silent(), &script);
    let after = obeyed(&parameters, silent(), &[&script[..], &[GO, GO, GO]].concat());
    assert!(before > 10 && after == before, "{before} {after}");
}

#[test]
fn unhomed_arm_that_reports_zero_is_not_moved() {
    let arm = PhysicalConfig { zero_before_homing: true, ..PhysicalConfig::default() };
    assert_eq!(obeyed(&[heartbeats()], arm.clone(), &[GO, ARM_ONCE, GO, away(), GO]), 0);
    assert!(obeyed(&[heartbeats()], arm, &[GO, Step::Home, GO, away(), GO, GO]) > 10);
}

#[test]
fn blocked_arm_is_not_led_on() {
    let arm = PhysicalConfig::default();
    let parameters = [heartbeats(), ("limits.following_error", Value::Real(0.05))];
    let settings = Settings::new(7, parameters.to_vec(), arm);
    let mut world = crate::world::World::new(settings);
    let script = [
        GO,
        Step::HandGoes { to: [0.2, 0.3, 0.2], speed: 0.15 },
        Step::Pass { ms: 300 },
        Step::Trouble { what: Trouble::Stall, ms: 6000 },
        Step::Pass { ms: 5000 },
    ];
    for step in &script {
        world.handle(step).unwrap_or_else(|found| panic!("{found}"));
    }
    // The commands may lead by the following error (0.05 m), plus the distance in the following
    // error time, plus a margin.
    let led = world.arm.body().way_left();
    assert!(led > 0.05 && led < 0.05 + 0.25 + 0.05, "{led} m");
}
