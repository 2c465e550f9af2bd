//! New parameters while teleoperation and link run, joined, in virtual time.
#![allow(clippy::disallowed_methods)] // one base instant; all else is virtual time

use std::time::{Duration, Instant};

use aether_bridge::app::Bridge;
use aether_bridge::app::joint::{Joint, Outgoing};
use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::link::{Action, LinkError, LinkState};
use aether_bridge::status::{Observer, SentCommand, Status};
use aether_bridge::teleop::{ConfigRefused, LinkView, Motion, Position, Target, Teleop};
use aether_bridge::wire::{Reply, ReplyStatus, ReportedState};

fn config(settings: &[(&str, Value)]) -> Config {
    let mut parameters = Parameters::default();
    for (name, value) in settings {
        parameters.set(name, value.clone()).unwrap();
    }
    Config::new(&parameters).unwrap()
}

fn reals(values: [f64; 3]) -> Value {
    Value::Reals(values.into())
}

fn workspace(min: [f64; 3], max: [f64; 3]) -> Config {
    config(&[("workspace.min", reals(min)), ("workspace.max", reals(max)), ("home", reals(max))])
}

/// A machine, a hand and a controller that answers at once.
struct Motions {
    teleop: Teleop,
    now: Instant,
    hand: [f64; 3],
    sent: Vec<(Instant, [f64; 3])>,
}

impl Motions {
    /// Following a hand at `home`.
    fn tracking(settings: &[(&str, Value)]) -> Self {
        let teleop = Teleop::new(config(settings).teleop);
        let mut motions = Self { teleop, now: Instant::now(), hand: [0.2, 0.0, 0.2], sent: Vec::new() };
        motions.teleop.handle_link(motions.now, LinkView::Ready);
        motions.pass(1100);
        assert_eq!(motions.teleop.motion(), Motion::Tracking);
        motions
    }

    /// Targets at 100 Hz for a while.
    fn pass(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            let [x, y, z] = self.hand;
            // A refused one holds the motion, which is looked at.
            let _ = self.teleop.handle_target(self.now, Target::new(x, y, z, None).unwrap());
            self.wait(10);
        }
    }

    /// No target for a while.
    fn wait(&mut self, millis: u64) {
        for _ in 0..millis / 10 {
            self.teleop.handle_timeout(self.now);
            while let Some(planned) = self.teleop.poll_command(self.now) {
                self.teleop.handle_sent(self.now, &planned);
                self.teleop.handle_acknowledged(self.now, &planned.command);
                self.sent.push((self.now, planned.command.position.coordinates()));
            }
            self.now += Duration::from_millis(10);
        }
    }

    /// The speeds of the commands from number `first` on, each over the time since the one before.
    fn speeds(&self, first: usize) -> Vec<f64> {
        let way =
            |a: &[f64; 3], b: &[f64; 3]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
        let speed = |pair: &[(Instant, [f64; 3])]| {
            way(&pair[0].1, &pair[1].1) / (pair[1].0 - pair[0].0).as_secs_f64()
        };
        self.sent[first - 1..].windows(2).map(speed).collect()
    }
}

#[test]
fn a_speed_limit_that_is_tightened_in_motion_holds_from_the_next_command_on() {
    let settings = [("limits.acceleration", Value::Real(10.0)), ("limits.jump", Value::Real(0.0))];
    let mut motions = Motions::tracking(&settings);
    motions.hand = [-0.3, 0.0, 0.2];
    motions.pass(500);
    let fast = motions.speeds(motions.sent.len() - 2);
    assert!(fast.iter().all(|speed| (speed - 0.25).abs() < 1e-3), "{fast:?}");
    let first = motions.sent.len();
    let slower = config(&[settings.as_slice(), &[("limits.speed", Value::Real(0.125))]].concat()).teleop;
    motions.teleop.check_config(&slower).unwrap();
    motions.teleop.handle_config(motions.now, slower);
    motions.pass(500);
    let slow = motions.speeds(first);
    assert!(slow.len() > 20 && slow.iter().all(|speed| *speed <= 0.125 + 1e-3), "{slow:?}");
    assert_eq!(motions.teleop.motion(), Motion::Tracking);
}

#[test]
fn a_goal_outside_the_new_workspace_is_taken_to_its_edge_before_the_next_target_comes() {
    let mut motions =
        Motions::tracking(&[("limits.jump", Value::Real(0.0)), ("input_timeout", Value::Real(10.0))]);
    motions.hand = [0.0, 0.0, 0.2];
    motions.pass(100);
    let smaller =
        config(&[("workspace.min", reals([0.15, -0.3, 0.0])), ("input_timeout", Value::Real(10.0))]);
    motions.teleop.check_config(&smaller.teleop).unwrap();
    motions.teleop.handle_config(motions.now, smaller.teleop);
    motions.wait(3000);
    assert_eq!(motions.sent.last().unwrap().1, [0.15, 0.0, 0.2]);
    assert!(motions.sent.iter().all(|(_, [x, ..])| *x >= 0.15));
    // It stands there, and does not try for the place outside.
    let sent = motions.sent.len();
    motions.wait(1000);
    assert_eq!((motions.sent.len(), motions.teleop.motion()), (sent, Motion::Tracking));
}

#[test]
fn a_workspace_that_excludes_the_arm_is_refused_with_where_it_is() {
    let mut motions = Motions::tracking(&[]);
    let without = workspace([-0.3, -0.3, 0.0], [0.1, 0.3, 0.4]).teleop;
    let position = Position::new(0.2, 0.0, 0.2).unwrap();
    let refused = motions.teleop.check_config(&without).unwrap_err();
    assert_eq!(refused, ConfigRefused::WorkspaceExcludesArm { position });
    assert!(refused.to_string().contains("[0.200, 0.000, 0.200] m"), "{refused}");
    // Disarmed it is where it was told to be last, too.
    motions.teleop.handle_set_armed(motions.now, false).unwrap();
    assert_eq!(motions.teleop.check_config(&without).unwrap_err(), refused);
    // An arm that is outside already is no reason against anything.
    motions.teleop.handle_other_arm();
    motions.teleop.handle_reported(Position::new(0.0, 0.0, 0.39).unwrap());
    motions.teleop.handle_config(motions.now, workspace([0.1, -0.3, 0.0], [0.3, 0.3, 0.3]).teleop);
    assert_eq!(motions.teleop.check_config(&workspace([0.1, -0.3, 0.0], [0.3, 0.3, 0.35]).teleop), Ok(()));
}

#[test]
fn arming_that_becomes_the_operators_no_longer_happens_by_itself() {
    let mut motions = Motions::tracking(&[]);
    motions.teleop = Teleop::new(config(&[]).teleop);
    motions.teleop.handle_config(motions.now, config(&[("arming", Value::Text("operator".into()))]).teleop);
    motions.teleop.handle_link(motions.now, LinkView::Ready);
    motions.pass(3000);
    assert_eq!(motions.teleop.motion(), Motion::Disarmed);
    // Nor does the way back arm anything.
    motions.teleop.handle_config(motions.now, config(&[]).teleop);
    motions.pass(3000);
    assert_eq!(motions.teleop.motion(), Motion::Disarmed);
}

/// Joined, connected, tracking, and disarmed by a person, having acknowledged a command away from `home`.
fn disarmed(now: Instant) -> Joint {
    let config = config(&[("settle_time", Value::Real(0.0))]);
    let mut joint = Joint::new(config.teleop, config.link, "one:5000".into(), now, 7);
    assert_eq!(joint.poll_action(), Some(Action::Connect));
    joint.handle_connected(now);
    joint.handle_target(now, Ok(Target::new(0.1, 0.1, 0.1, None).unwrap())).unwrap();
    let planned = joint.poll_transmit(now).unwrap();
    joint.handle_transmitted(now, &planned, 60, Ok(60)).unwrap();
    joint.handle_reply(now, &ok(None));
    joint.handle_set_armed(now, false).unwrap();
    joint
}

fn ok(position: Option<Position>) -> Reply {
    let state = position.map(|position| ReportedState {
        position: Some(position),
        gripper: None,
        moving: None,
        fault: None,
        raw: String::new(),
    });
    Reply { status: ReplyStatus::Ok, message: String::new(), state }
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
    joint.handle_reply(now, &ok(Some(Position::new(0.25, 0.25, 0.1).unwrap())));
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
