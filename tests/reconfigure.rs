//! New parameters while teleoperation and link run, joined by the coordinator, in virtual time.
#![allow(clippy::disallowed_methods)] // one base instant; all else is virtual time

use std::time::{Duration, Instant};

use aether_bridge::app::{Bridge, Coordinator, Outgoing};
use aether_bridge::arm::ReportedState;
use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::geometry::Position;
use aether_bridge::link::{Action, LinkError, LinkState, PeerId};
use aether_bridge::status::Observer;
use aether_bridge::teleop::Target;
use aether_bridge::wire::{Reply, ReplyStatus};

fn config(settings: &[(&str, Value)]) -> Config {
    Config::new(&Parameters::with(settings).unwrap()).unwrap()
}

fn reals(values: [f64; 3]) -> Value {
    Value::Reals(values.into())
}

/// Returns a coordinator that has been connected and tracking, and that the operator has disarmed.
/// The last acknowledged command was away from `arm.home`.
fn disarmed(now: Instant) -> Coordinator {
    let config = config(&[stays_at_last(), ("teleop.settle_time", Value::Real(0.0))]);
    let mut coordinator = Coordinator::new(config.teleop, config.link, "one:5000".into(), now, 7);
    assert_eq!(coordinator.link.poll_action(), Some(Action::Connect));
    coordinator.handle_connected(now);
    arm(&mut coordinator, now);
    coordinator.teleop.handle_target(now, Target::new(0.1, 0.1, 0.1, None).unwrap()).unwrap();
    let planned = coordinator.poll_transmit(now).unwrap();
    coordinator.handle_transmitted(now, now, &planned, 60, [(PeerId::ONLY, Ok(60))]).unwrap();
    coordinator.handle_reply(now, PeerId::ONLY, &ok(None));
    coordinator.teleop.handle_set_armed(now, false).unwrap();
    coordinator
}

/// The setting that assumes that the arm stays at the last command. Use it if the controller does
/// not report positions.
fn stays_at_last() -> (&'static str, Value) {
    ("arm.assume_position", Value::Text("last".into()))
}

/// Arms. If the position of the arm is unknown, a second call is needed.
fn arm(coordinator: &mut Coordinator, now: Instant) {
    if coordinator.teleop.handle_set_armed(now, true).is_err() {
        coordinator.teleop.handle_set_armed(now, true).unwrap();
    }
}

fn ok(position: Option<Position>) -> Reply {
    let state =
        position.map(|position| ReportedState { position: Some(position), ..ReportedState::default() });
    Reply { status: ReplyStatus::Ok, message: String::new(), seq: None, state }
}

/// Returns the position of the first command after the link has reconnected.
fn first_command(coordinator: &mut Coordinator, now: Instant) -> [f64; 3] {
    assert_eq!(coordinator.link.poll_action(), Some(Action::Connect));
    coordinator.handle_connected(now);
    coordinator.teleop.handle_target(now, Target::new(0.1, 0.1, 0.1, None).unwrap()).unwrap();
    arm(coordinator, now);
    match coordinator.poll_transmit(now) {
        Some(Outgoing::Command(planned)) => planned.command.position.coordinates(),
        line => panic!("{line:?}"),
    }
}

fn distance(position: [f64; 3], other: [f64; 3]) -> f64 {
    position.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn approach_of_a_new_arm_starts_at_home() {
    let now = Instant::now();
    let link = config(&[]).link;
    for other_arm in [true, false] {
        let mut coordinator = disarmed(now);
        // One and a half steps from home.
        let home =
            [stays_at_last(), ("arm.home", reals([0.1, 0.2, 0.1])), ("teleop.settle_time", Value::Real(0.0))];
        coordinator.teleop.handle_config(now, config(&home).teleop);
        coordinator.handle_link_config(now, link.clone(), "other:5000".into(), other_arm);
        assert_eq!(coordinator.status(now).peer, "other:5000");
        assert_eq!((coordinator.status(now).sent, coordinator.status(now).acknowledged), (1, 1));
        let first = first_command(&mut coordinator, now + Duration::from_secs(10));
        assert_eq!(distance(first, [0.1, 0.2, 0.1]) < 0.01, other_arm, "{first:?}");
    }
}

#[test]
fn late_input_of_the_previous_connection_is_ignored() {
    let now = Instant::now();
    let mut coordinator = disarmed(now);
    coordinator.handle_link_config(now, config(&[]).link, "other:5000".into(), true);
    // The driver task has not run yet.
    coordinator.handle_connected(now);
    coordinator.handle_reply(now, PeerId::ONLY, &ok(Some(Position::new(0.25, 0.25, 0.1).unwrap())));
    coordinator.handle_failed(now, LinkError::Closed);
    assert_eq!(coordinator.status(now).state, LinkState::Connecting);
    let first = first_command(&mut coordinator, now);
    assert!(distance(first, [0.2, 0.0, 0.2]) < 0.01, "{first:?}");
}

struct Deaf;

impl Observer for Deaf {}

#[test]
fn configuration_is_applied_or_rejected_as_a_whole() {
    let bridge = Bridge::new(&config(&[]), Deaf);
    bridge.set_armed(true).unwrap();
    let both = config(&[("limits.speed", Value::Real(0.2)), ("link.host", Value::Text("other".into()))]);
    let refused = bridge.reconfigure(&both).unwrap_err().to_string();
    assert!(refused.contains("'link.host' is '127.0.0.1'") && refused.contains("while armed"), "{refused}");
    bridge.set_armed(false).unwrap();
    bridge.reconfigure(&both).unwrap();
    bridge.set_armed(true).unwrap();
    // Disarmed, the bridge accepts it. The next configuration is compared with it, so only the
    // speed differs.
    bridge.reconfigure(&config(&[("link.host", Value::Text("other".into()))])).unwrap();
    let typed = config(&[
        ("link.host", Value::Text("other".into())),
        ("gripper.initial", Value::Text("closed".into())),
    ]);
    assert!(bridge.reconfigure(&typed).unwrap_err().to_string().contains("read-only"));
}
