//! New parameters while teleoperation and link run, joined, in virtual time.
#![allow(clippy::disallowed_methods)] // one base instant; all else is virtual time

use std::time::{Duration, Instant};

use aether_bridge::app::Bridge;
use aether_bridge::app::joint::{Joint, Outgoing};
use aether_bridge::arm::ReportedState;
use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::geometry::Position;
use aether_bridge::link::{Action, LinkError, LinkState, PeerId};
use aether_bridge::status::{Observer, SentCommand, Status};
use aether_bridge::teleop::Target;
use aether_bridge::wire::{Reply, ReplyStatus};

fn config(settings: &[(&str, Value)]) -> Config {
    Config::new(&Parameters::with(settings).unwrap()).unwrap()
}

fn reals(values: [f64; 3]) -> Value {
    Value::Reals(values.into())
}

/// Joined, connected, tracking, and disarmed by a person, having acknowledged a command away from `home`.
fn disarmed(now: Instant) -> Joint {
    let config = config(&[("settle_time", Value::Real(0.0))]);
    let mut joint = Joint::new(config.teleop, config.link, "one:5000".into(), now, 7);
    assert_eq!(joint.poll_action(), Some(Action::Connect));
    joint.handle_connected(now);
    joint.handle_target(now, Ok(Target::new(0.1, 0.1, 0.1, None).unwrap())).unwrap();
    let planned = joint.poll_transmit(now).unwrap();
    joint.handle_transmitted(now, now, &planned, 60, [(PeerId::ONLY, Ok(60))]).unwrap();
    joint.handle_reply(now, PeerId::ONLY, &ok(None));
    joint.handle_set_armed(now, false).unwrap();
    joint
}

fn ok(position: Option<Position>) -> Reply {
    let state =
        position.map(|position| ReportedState { position: Some(position), ..ReportedState::default() });
    Reply { status: ReplyStatus::Ok, message: String::new(), seq: None, state }
}

/// Where the first command leads after the link is back.
fn first_command(joint: &mut Joint, now: Instant) -> [f64; 3] {
    assert_eq!(joint.poll_action(), Some(Action::Connect));
    joint.handle_connected(now);
    joint.handle_target(now, Ok(Target::new(0.1, 0.1, 0.1, None).unwrap())).unwrap();
    joint.handle_set_armed(now, true).unwrap();
    match joint.poll_transmit(now) {
        Some(Outgoing::Command(planned)) => planned.command.position.coordinates(),
        line => panic!("{line:?}"),
    }
}

fn distance(position: [f64; 3], other: [f64; 3]) -> f64 {
    position.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[test]
fn after_a_change_of_the_arm_the_first_approach_starts_at_home() {
    let now = Instant::now();
    let link = config(&[]).link;
    for other_arm in [true, false] {
        let mut joint = disarmed(now);
        // A step and a half from home.
        let home = config(&[("home", reals([0.1, 0.2, 0.1])), ("settle_time", Value::Real(0.0))]).teleop;
        joint.handle_config(now, home);
        joint.handle_link_config(now, link.clone(), "other:5000".into(), other_arm);
        assert_eq!(joint.status(now).peer, "other:5000");
        assert_eq!((joint.status(now).sent, joint.status(now).acknowledged), (1, 1));
        let first = first_command(&mut joint, now + Duration::from_secs(10));
        assert_eq!(distance(first, [0.1, 0.2, 0.1]) < 0.01, other_arm, "{first:?}");
    }
}

#[test]
fn what_the_connection_before_still_says_is_not_taken_for_the_next_one() {
    let now = Instant::now();
    let mut joint = disarmed(now);
    joint.handle_link_config(now, config(&[]).link, "other:5000".into(), true);
    // The driver has not looked yet.
    joint.handle_connected(now);
    joint.handle_reply(now, PeerId::ONLY, &ok(Some(Position::new(0.25, 0.25, 0.1).unwrap())));
    joint.handle_failed(now, LinkError::Closed);
    assert_eq!(joint.status(now).state, LinkState::Connecting);
    let first = first_command(&mut joint, now);
    assert!(distance(first, [0.2, 0.0, 0.2]) < 0.01, "{first:?}");
}

struct Deaf;

impl Observer for Deaf {
    fn handle_command(&mut self, _: &SentCommand) {}
    fn handle_status(&mut self, _: &Status) {}
    fn handle_arm_state(&mut self, _: &ReportedState) {}
    fn handle_diagnostics(&mut self, _: &Status) {}
    fn handle_config(&mut self, _: &Config) {}
}

#[test]
fn a_bridge_refuses_all_of_a_configuration_or_takes_all_of_it() {
    let bridge = Bridge::new(&config(&[]), Deaf);
    bridge.set_armed(true).unwrap();
    let both = config(&[("limits.speed", Value::Real(0.2)), ("host", Value::Text("other".into()))]);
    let refused = bridge.reconfigure(&both).unwrap_err().to_string();
    assert!(refused.contains("'host' is '127.0.0.1'") && refused.contains("while armed"), "{refused}");
    bridge.set_armed(false).unwrap();
    bridge.reconfigure(&both).unwrap();
    bridge.set_armed(true).unwrap();
    // Taken while disarmed, it is what the next one is compared with: only the speed differs.
    bridge.reconfigure(&config(&[("host", Value::Text("other".into()))])).unwrap();
    let typed =
        config(&[("host", Value::Text("other".into())), ("gripper.initial", Value::Text("closed".into()))]);
    assert!(bridge.reconfigure(&typed).unwrap_err().to_string().contains("read-only"));
}
