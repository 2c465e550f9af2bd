//! Both machines, joined, in virtual time.
#![allow(clippy::disallowed_methods)] // one base instant; all else is virtual time

use std::time::{Duration, Instant};

use aether_bridge::app::joint::Joint;
use aether_bridge::config::{Config, Parameters};
use aether_bridge::link::{Action, LinkError, LinkState};
use aether_bridge::teleop::{Command, Position, Target};
use aether_bridge::wire::{Reply, ReplyStatus, ReportedState};

struct Scene {
    joint: Joint,
    now: Instant,
    home: Position,
}

impl Scene {
    /// A bridge with the defaults, connected.
    fn connected() -> Self {
        let config = Config::new(&Parameters::default()).unwrap();
        let home = config.teleop.home;
        let now = Instant::now();
        let joint = Joint::new(config.teleop, config.link, "controller".into(), now, 7);
        let mut scene = Self { joint, now, home };
        scene.connect();
        scene
    }

    fn connect(&mut self) {
        assert_eq!(self.joint.poll_action(), Some(Action::Connect));
        self.joint.handle_connected(self.now);
    }

    /// Lets the next connection come about.
    fn reconnect(&mut self) {
        assert_eq!(self.joint.poll_action(), Some(Action::Close));
        self.now += Duration::from_secs(5);
        self.joint.handle_timeout(self.now);
        self.connect();
    }

    /// Holds the hand there until a command goes out, and says which.
    fn first_command(&mut self) -> Command {
        for _ in 0..200 {
            self.now += Duration::from_millis(20);
            self.joint.handle_target(self.now, Ok(Target::new(-0.2, 0.2, 0.1, None).unwrap())).unwrap();
            self.joint.handle_timeout(self.now);
            if let Some(planned) = self.joint.poll_transmit(self.now) {
                self.joint.handle_transmitted(self.now, &planned, 70, Ok(70)).unwrap();
                return planned.command;
            }
        }
        panic!("nothing is sent: {:?}", self.joint.status(self.now));
    }

    fn reply(&mut self, status: ReplyStatus, position: Option<Position>) {
        let state = position.map(|_| ReportedState {
            position,
            gripper: None,
            moving: None,
            fault: None,
            raw: String::new(),
        });
        self.joint.handle_reply(self.now, &Reply { status, message: String::new(), state });
    }

    fn link(&self) -> LinkState {
        self.joint.status(self.now).state
    }
}

fn elsewhere() -> Position {
    Position::new(-0.1, -0.1, 0.3).unwrap()
}

/// More than one step of an approach, and far less than the way elsewhere.
const NEAR: f64 = 0.01;

#[test]
fn a_position_in_a_reply_to_a_command_is_where_the_approach_starts() {
    let mut scene = Scene::connected();
    assert!(scene.first_command().position.distance(scene.home) < NEAR);
    // Refused, so that nothing is acknowledged; and lost, so that the approach begins anew.
    scene.reply(ReplyStatus::Error, Some(elsewhere()));
    scene.joint.handle_failed(scene.now, LinkError::Closed);
    scene.reconnect();
    assert!(scene.first_command().position.distance(elsewhere()) < NEAR);
}

#[test]
fn a_position_in_a_reply_that_nothing_waited_for_is_not_taken() {
    let mut scene = Scene::connected();
    scene.reply(ReplyStatus::Ok, Some(elsewhere()));
    assert_eq!(scene.link(), LinkState::Backoff);
    // And what else was read with it.
    scene.reply(ReplyStatus::Ok, Some(elsewhere()));
    scene.reconnect();
    assert!(scene.first_command().position.distance(scene.home) < NEAR);
}
