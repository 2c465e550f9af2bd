//! Both state machines, joined by the coordinator, in virtual time.
#![allow(clippy::disallowed_methods)] // one base instant; all else is virtual time

use std::time::{Duration, Instant};

use aether_bridge::app::{Coordinator, Outgoing, Sent};
use aether_bridge::arm::ReportedState;
use aether_bridge::arm::{Command, Gripper};
use aether_bridge::config::{Config, Parameters, Value};
use aether_bridge::geometry::Position;
use aether_bridge::link::{Action, LinkError, LinkState, PeerId, Role, Stage};
use aether_bridge::status::SentCommand;
use aether_bridge::teleop::{CommandKind, InputFault, Motion, Target};
use aether_bridge::wire::{Reply, ReplyStatus};

struct Scene {
    coordinator: Coordinator,
    now: Instant,
    home: Position,
    /// The position of the arm. The controller reports it after connecting and in replies to a
    /// position request.
    arm: Position,
    commanded: Position,
    /// The number of lines sent.
    lines: u64,
    server: bool,
}

impl Scene {
    /// Creates a connected bridge with the default parameters.
    fn connected() -> Self {
        Self::with(&Parameters::default())
    }

    fn with(parameters: &Parameters) -> Self {
        let config = Config::new(parameters).unwrap();
        let home = config.teleop.home;
        let now = Instant::now();
        let server = matches!(config.link.role, Role::TcpServer { .. });
        let coordinator = Coordinator::new(config.teleop, config.link, "controller".into(), now, 7);
        let mut scene = Self { coordinator, now, home, arm: home, commanded: home, lines: 0, server };
        scene.connect();
        scene
    }

    fn connect(&mut self) {
        assert_eq!(self.coordinator.link.poll_action(), Some(Action::Connect));
        self.coordinator.handle_connected(self.now);
        if !self.server {
            self.report();
        }
    }

    /// Reports the position of the arm from every controller.
    fn report(&mut self) {
        let state =
            ReportedState { position: Some(self.arm), moving: Some(false), ..ReportedState::default() };
        let peers: Vec<_> = self.coordinator.link.peers().map(|peer| peer.id).collect();
        for peer in peers {
            assert!(self.coordinator.handle_state(self.now, peer, &state));
        }
    }

    /// Arms as the operator does, after a report from all controllers.
    fn set_armed(&mut self) {
        self.report();
        self.coordinator.teleop.handle_set_armed(self.now, true).unwrap();
    }

    /// Sends the next line. If it requests the position, replies with it.
    fn take(&mut self, line: &Outgoing) -> Option<Sent> {
        let peers: Vec<_> = self.coordinator.link.peers().map(|peer| peer.id).collect();
        let taken = peers.iter().map(|peer| (*peer, Ok(70)));
        let sent = self.coordinator.handle_transmitted(self.now, self.now, line, 70, taken);
        self.lines += u64::from(sent.is_some());
        if *line == Outgoing::Question {
            for peer in peers {
                let state = ReportedState {
                    position: Some(self.arm),
                    moving: Some(false),
                    ..ReportedState::default()
                };
                // Only datagrams need the number.
                let seq = (self.coordinator.link.config().role == Role::Udp).then_some(self.lines);
                let status = ReplyStatus::Ok;
                let reply = Reply { status, message: String::new(), seq, state: Some(state) };
                self.coordinator.handle_reply(self.now, peer, &reply);
            }
        }
        sent
    }

    /// Takes the connect action without completing it.
    fn connect_later(&mut self) {
        assert_eq!(self.coordinator.link.poll_action(), Some(Action::Connect));
    }

    /// Opens the next connection.
    fn reconnect(&mut self) {
        assert_eq!(self.coordinator.link.poll_action(), Some(Action::Close));
        self.now += Duration::from_secs(5);
        self.coordinator.handle_timeout(self.now);
        self.connect();
    }

    /// Holds the hand at one position until a command is sent. Returns the command.
    fn first_command(&mut self) -> Command {
        for _ in 0..200 {
            self.now += Duration::from_millis(20);
            self.coordinator
                .teleop
                .handle_target(self.now, Target::new(-0.2, 0.2, 0.1, None).unwrap())
                .unwrap();
            self.coordinator.handle_timeout(self.now);
            while let Some(line) = self.coordinator.poll_transmit(self.now) {
                self.take(&line).unwrap();
                if let Outgoing::Command(planned) = line {
                    self.commanded = planned.command.position;
                    return planned.command;
                }
                assert_eq!(line, Outgoing::Question);
            }
        }
        panic!("nothing is sent: {:?}", self.coordinator.status(self.now));
    }

    fn reply(&mut self, status: ReplyStatus, position: Option<Position>) {
        self.arm = match (status, position) {
            (_, Some(position)) => position,
            (ReplyStatus::Ok, None) => self.commanded,
            (ReplyStatus::Error, None) => self.arm,
        };
        let state = position.map(|_| ReportedState { position, ..ReportedState::default() });
        self.coordinator.handle_reply(
            self.now,
            PeerId::ONLY,
            &Reply { status, message: String::new(), seq: None, state },
        );
    }

    fn link(&self) -> LinkState {
        self.coordinator.status(self.now).state
    }
}

fn elsewhere() -> Position {
    Position::new(-0.1, -0.1, 0.3).unwrap()
}

/// More than one step of an approach, and far less than the distance to `elsewhere`.
const NEAR: f64 = 0.01;

#[test]
fn approach_starts_at_position_in_a_reply() {
    let mut scene = Scene::connected();
    assert!(scene.first_command().position.distance(scene.home) < NEAR);
    // The command is rejected, so it is not acknowledged. The connection is lost, so the next
    // motion is a new approach.
    scene.reply(ReplyStatus::Error, Some(elsewhere()));
    scene.coordinator.handle_failed(scene.now, LinkError::Closed);
    scene.reconnect();
    assert!(scene.first_command().position.distance(elsewhere()) < NEAR);
}

#[test]
fn position_in_an_unsolicited_reply_is_ignored() {
    let mut scene = Scene::connected();
    scene.reply(ReplyStatus::Ok, Some(elsewhere()));
    assert_eq!(scene.link(), LinkState::Backoff);
    // A second reply that was read together with the first.
    scene.reply(ReplyStatus::Ok, Some(elsewhere()));
    scene.arm = scene.home;
    scene.reconnect();
    assert!(scene.first_command().position.distance(scene.home) < NEAR);
}

#[test]
fn fault_in_an_unsolicited_reply_disarms() {
    let fault = || ReportedState { fault: Some("emergency stop".into()), ..ReportedState::default() };
    let reports: [fn(&mut Scene, ReportedState); 2] = [
        |scene, state| {
            let (status, message) = (ReplyStatus::Ok, String::new());
            let reply = Reply { status, message, seq: None, state: Some(state) };
            assert!(!scene.coordinator.handle_reply(scene.now, PeerId::ONLY, &reply));
        },
        |scene, state| {
            scene.reply(ReplyStatus::Ok, None);
            assert!(!scene.coordinator.handle_state(scene.now, PeerId::ONLY, &state));
        },
    ];
    for report in reports {
        let mut scene = Scene::connected();
        scene.first_command();
        scene.reply(ReplyStatus::Ok, None);
        report(&mut scene, fault());
        scene.reconnect();
        assert_eq!(scene.coordinator.teleop.motion(), Motion::Disarmed);
        scene.set_armed();
        scene.first_command();
    }
}

/// Returns a bridge that sends stop lines, with one command without a reply, while the hand is
/// gone.
fn held() -> Scene {
    held_with(&[])
}

fn held_with(settings: &[(&str, Value)]) -> Scene {
    let settings = [settings, &[("teleop.hold_behavior", Value::Text("stop".into()))]].concat();
    let mut scene = Scene::with(&Parameters::with(&settings).unwrap());
    scene.first_command();
    scene.now += Duration::from_millis(300);
    scene.coordinator.handle_timeout(scene.now);
    scene
}

#[test]
fn stop_line_does_not_wait_for_replies() {
    let mut scene = held();
    assert_eq!(scene.coordinator.poll_transmit(scene.now), Some(Outgoing::Stop));
    let sent = scene.coordinator.handle_transmitted(
        scene.now,
        scene.now,
        &Outgoing::Stop,
        16,
        [(PeerId::ONLY, Ok(16))],
    );
    assert_eq!(sent, Some(Sent::Stop));
    assert_eq!(scene.coordinator.poll_transmit(scene.now), None);
    assert_eq!(scene.coordinator.status(scene.now).sent, 1, "a stop does not count as a command");
}

#[test]
fn blocked_stop_line_is_sent_when_writable() {
    let mut scene = held();
    let full = Err(std::io::ErrorKind::WouldBlock.into());
    assert_eq!(
        scene.coordinator.handle_transmitted(
            scene.now,
            scene.now,
            &Outgoing::Stop,
            16,
            [(PeerId::ONLY, full)]
        ),
        None
    );
    assert_eq!(scene.coordinator.poll_transmit(scene.now), None);
    scene.coordinator.handle_writable(scene.now);
    assert_eq!(scene.coordinator.poll_transmit(scene.now), Some(Outgoing::Stop));
}

fn reason_and_kind(scene: &Scene) -> (String, &'static str) {
    let status = scene.coordinator.status(scene.now);
    (status.reason, status.reason_kind.as_str())
}

/// Sends the stop line that is due. Replies to it if `answer` is set.
fn stop(scene: &mut Scene, answer: Option<ReplyStatus>) {
    assert_eq!(scene.coordinator.poll_transmit(scene.now), Some(Outgoing::Stop));
    scene
        .coordinator
        .handle_transmitted(scene.now, scene.now, &Outgoing::Stop, 16, [(PeerId::ONLY, Ok(16))])
        .unwrap();
    if let Some(status) = answer {
        // The reply to the command before is still missing.
        scene.reply(ReplyStatus::Ok, None);
        scene.reply(status, None);
    }
}

#[test]
fn rejected_stop_line_is_the_reason() {
    let mut scene = held();
    stop(&mut scene, Some(ReplyStatus::Error));
    assert_eq!(reason_and_kind(&scene).1, "stop_refused");
    assert!(
        reason_and_kind(&scene)
            .0
            .starts_with("holding, but the controller rejected the stop line: no new target")
    );
    scene.coordinator.teleop.handle_stop();
    stop(&mut scene, None);
    scene.reply(ReplyStatus::Ok, None);
    assert_eq!(reason_and_kind(&scene).1, "stopped");
}

#[test]
fn blocked_stop_line_is_the_reason() {
    let mut scene = held();
    scene.coordinator.handle_transmit_end();
    let full = Err(std::io::ErrorKind::WouldBlock.into());
    let written = [(PeerId::ONLY, full)];
    scene.coordinator.handle_transmitted(scene.now, scene.now, &Outgoing::Stop, 16, written);
    scene.coordinator.handle_transmit_end();
    assert_eq!(reason_and_kind(&scene).1, "stop_unsent");
    assert!(
        reason_and_kind(&scene).0.starts_with("holding, but the stop line is not yet sent"),
        "{}",
        reason_and_kind(&scene).0
    );
    scene.coordinator.handle_writable(scene.now);
    stop(&mut scene, Some(ReplyStatus::Ok));
    scene.coordinator.handle_transmit_end();
    assert_eq!(reason_and_kind(&scene).1, "input_stale");
}

#[test]
fn connection_end_without_stop_reply_is_the_reason() {
    let mut scene = held();
    stop(&mut scene, None);
    scene.coordinator.handle_failed(scene.now, LinkError::Closed);
    let (reason, kind) = reason_and_kind(&scene);
    assert_eq!(kind, "stop_unanswered");
    let begins = "holding, but the controller has not replied to the stop line: no connection to the controller: the \
                  controller closed the connection";
    assert!(reason.starts_with(begins), "{reason}");
}

#[test]
fn after_a_sleep_link_reconnects_and_hand_settles() {
    let mut scene = Scene::connected();
    scene.first_command();
    scene.reply(ReplyStatus::Ok, None);
    scene.coordinator.handle_slept(scene.now, Duration::from_secs(60));
    let (reason, kind) = reason_and_kind(&scene);
    assert_eq!((kind, scene.link()), ("link_down", LinkState::Backoff));
    assert!(reason.contains("because this computer slept for 60.0 s"), "{reason}");
    // A target from before the sleep is rejected.
    let target = Target::new(-0.2, 0.2, 0.1, None).unwrap();
    let refused = scene.coordinator.teleop.handle_target(scene.now, target);
    assert!(matches!(refused, Err(InputFault::ComputerSlept { .. })));
    scene.reconnect();
    assert_eq!(scene.coordinator.poll_transmit(scene.now), None);
    scene.coordinator.teleop.handle_target(scene.now, target).unwrap();
    assert_eq!((scene.coordinator.poll_transmit(scene.now), reason_and_kind(&scene).1), (None, "settling"));
    // Longer than teleop.rearm_after.
    scene.coordinator.handle_slept(scene.now, Duration::from_secs(3600));
    assert_eq!(reason_and_kind(&scene).1, "awaiting_operator");
}

#[test]
fn approach_starts_where_the_arm_has_stopped() {
    let mut scene = held();
    scene
        .coordinator
        .handle_transmitted(scene.now, scene.now, &Outgoing::Stop, 16, [(PeerId::ONLY, Ok(16))])
        .unwrap();
    scene.reply(ReplyStatus::Ok, None);
    scene.reply(ReplyStatus::Ok, Some(elsewhere()));
    assert!(scene.first_command().position.distance(elsewhere()) < NEAR);
}

#[test]
fn rejected_stop_does_not_count_as_rejected_command() {
    let mut scene = held();
    scene
        .coordinator
        .handle_transmitted(scene.now, scene.now, &Outgoing::Stop, 16, [(PeerId::ONLY, Ok(16))])
        .unwrap();
    scene.reply(ReplyStatus::Ok, None);
    scene.reply(ReplyStatus::Error, None);
    assert_eq!((scene.link(), scene.coordinator.status(scene.now).rejected), (LinkState::Connected, 0));
    // The rejected stop does not prevent the next motion.
    scene.first_command();
}

#[test]
fn first_motion_waits_for_the_stop_reply() {
    let mut parameters = Parameters::default();
    parameters.set("teleop.hold_behavior", Value::Text("stop".into())).unwrap();
    parameters.set("link.max_in_flight", Value::Integer(4)).unwrap();
    parameters.set("teleop.settle_time", Value::Real(0.0)).unwrap();
    let mut scene = Scene::with(&parameters);
    scene.coordinator.teleop.handle_stop();
    scene
        .coordinator
        .handle_transmitted(scene.now, scene.now, &Outgoing::Stop, 16, [(PeerId::ONLY, Ok(16))])
        .unwrap();
    scene.coordinator.teleop.handle_reset();
    scene.set_armed();
    // Less than the reply timeout.
    for _ in 0..20 {
        scene.now += Duration::from_millis(20);
        scene
            .coordinator
            .teleop
            .handle_target(scene.now, Target::new(-0.2, 0.2, 0.1, None).unwrap())
            .unwrap();
        assert_eq!(scene.coordinator.poll_transmit(scene.now), None);
    }
    scene.reply(ReplyStatus::Ok, Some(elsewhere()));
    assert!(scene.first_command().position.distance(elsewhere()) < NEAR);
}

#[test]
fn without_expected_replies_motion_continues_after_a_stop() {
    let mut scene = held_with(&[("link.expect_reply", Value::Boolean(false))]);
    scene
        .coordinator
        .handle_transmitted(scene.now, scene.now, &Outgoing::Stop, 16, [(PeerId::ONLY, Ok(16))])
        .unwrap();
    scene.first_command();
}

#[test]
fn shutdown_sends_stop_before_closing_the_connection() {
    let mut scene = held();
    scene
        .coordinator
        .handle_transmitted(scene.now, scene.now, &Outgoing::Stop, 16, [(PeerId::ONLY, Ok(16))])
        .unwrap();
    scene.coordinator.teleop.handle_shutdown(scene.now);
    assert_eq!(scene.coordinator.poll_transmit(scene.now), Some(Outgoing::Stop));
    assert_eq!(scene.link(), LinkState::Connected);
    scene.coordinator.handle_end(scene.now);
    assert_eq!(scene.coordinator.link.poll_action(), Some(Action::Close));
    assert_eq!(scene.coordinator.poll_transmit(scene.now), None);
}

#[test]
fn heartbeat_is_sent_after_stops_and_commands() {
    let mut parameters = Parameters::default();
    parameters.set("link.heartbeat.period", Value::Real(0.1)).unwrap();
    parameters.set("teleop.hold_behavior", Value::Text("stop".into())).unwrap();
    parameters.set("teleop.settle_time", Value::Real(0.0)).unwrap();
    let mut scene = Scene::with(&parameters);
    assert_eq!(scene.coordinator.poll_timeout(scene.now), Some(scene.now + Duration::from_millis(100)));
    scene.now += Duration::from_millis(100);
    assert_eq!(scene.coordinator.poll_transmit(scene.now), Some(Outgoing::Heartbeat));
    scene.coordinator.teleop.handle_target(scene.now, Target::new(-0.2, 0.2, 0.1, None).unwrap()).unwrap();
    let line = scene.coordinator.poll_transmit(scene.now).unwrap();
    assert!(matches!(line, Outgoing::Command(_)), "{line:?}");
    scene.coordinator.teleop.handle_stop();
    assert_eq!(scene.coordinator.poll_transmit(scene.now), Some(Outgoing::Stop));
    scene
        .coordinator
        .handle_transmitted(scene.now, scene.now, &Outgoing::Stop, 16, [(PeerId::ONLY, Ok(16))])
        .unwrap();
    scene.reply(ReplyStatus::Ok, None);
    // The bridge is stopped, and still sends heartbeats.
    scene.now += Duration::from_millis(100);
    let sent = scene.coordinator.handle_transmitted(
        scene.now,
        scene.now,
        &Outgoing::Heartbeat,
        21,
        [(PeerId::ONLY, Ok(21))],
    );
    assert_eq!(sent, Some(Sent::Heartbeat));
    assert_eq!(scene.coordinator.poll_transmit(scene.now), None);
    scene.reply(ReplyStatus::Ok, None);
    assert_eq!((scene.link(), scene.coordinator.status(scene.now).sent), (LinkState::Connected, 0));
}

/// Returns a disarmed bridge after an accepted command and a heartbeat whose reply contained this
/// position.
fn disarmed_at(position: Position) -> (Scene, Command) {
    // The test sends the heartbeats.
    let parameters = Parameters::with(&[("link.heartbeat.period", Value::Real(60.0))]);
    let mut scene = Scene::with(&parameters.unwrap());
    let commanded = scene.first_command();
    scene.reply(ReplyStatus::Ok, None);
    scene.coordinator.teleop.handle_set_armed(scene.now, false).unwrap();
    scene.now += Duration::from_secs(1);
    scene
        .coordinator
        .handle_transmitted(scene.now, scene.now, &Outgoing::Heartbeat, 21, [(PeerId::ONLY, Ok(21))])
        .unwrap();
    scene.reply(ReplyStatus::Ok, Some(position));
    scene.set_armed();
    (scene, commanded)
}

#[test]
fn approach_starts_where_a_moved_arm_is_reported() {
    let (mut scene, _) = disarmed_at(elsewhere());
    assert!(scene.first_command().position.distance(elsewhere()) < NEAR);
    // The next accepted command replaces the reported position.
    let (mut scene, _) = disarmed_at(elsewhere());
    let commanded = scene.first_command();
    scene.reply(ReplyStatus::Ok, None);
    scene.coordinator.handle_failed(scene.now, LinkError::Closed);
    scene.reconnect();
    assert!(scene.first_command().position.distance(commanded.position) < NEAR);
}

#[test]
fn small_position_error_does_not_change_the_start() {
    // This also holds outside of the workspace: otherwise an arm at its edge could never move
    // again.
    let (_, commanded) = disarmed_at(elsewhere());
    let [x, y, z] = commanded.position.coordinates();
    let beside = Position::new(x + 0.004, y, z).unwrap();
    let (mut scene, _) = disarmed_at(beside);
    assert!(
        scene.first_command().position.distance(commanded.position) <= 0.002_001,
        "one step of the approach"
    );
}

fn server(min_clients: i64, more: &[(&str, Value)]) -> Scene {
    let role = [
        ("link.transport", Value::Text("tcp_server".into())),
        ("link.min_clients", Value::Integer(min_clients)),
    ];
    Scene::with(&Parameters::with(&[&role, more].concat()).unwrap())
}

impl Scene {
    fn join(&mut self, name: &str) -> PeerId {
        let peer = self.coordinator.handle_joined(self.now, name.into()).unwrap();
        self.report();
        peer
    }

    /// Sends the next line to all of these.
    fn transmit(&mut self, peers: &[PeerId]) -> Sent {
        let line = self.coordinator.poll_transmit(self.now).expect("something to send");
        self.lines += 1;
        self.coordinator
            .handle_transmitted(self.now, self.now, &line, 70, peers.iter().map(|peer| (*peer, Ok(70))))
            .unwrap()
    }

    /// Holds the hand at one position until a command is sent to all of these.
    fn command_to(&mut self, peers: &[PeerId]) -> SentCommand {
        for _ in 0..200 {
            self.now += Duration::from_millis(20);
            self.coordinator
                .teleop
                .handle_target(self.now, Target::new(-0.2, 0.2, 0.1, None).unwrap())
                .unwrap();
            self.coordinator.handle_timeout(self.now);
            while let Some(line) = self.coordinator.poll_transmit(self.now) {
                if line == Outgoing::Question {
                    self.take(&line).unwrap();
                    continue;
                }
                match self.transmit(peers) {
                    Sent::Command(command) => {
                        self.commanded = command.planned.command.position;
                        return command;
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        panic!("nothing is sent: {:?}", self.coordinator.status(self.now));
    }

    fn ok(&mut self, peer: PeerId) -> bool {
        let reply = Reply { status: ReplyStatus::Ok, message: String::new(), seq: None, state: None };
        self.coordinator.handle_reply(self.now, peer, &reply)
    }
}

#[test]
fn arm_moves_once_min_clients_are_connected() {
    let mut scene = server(2, &[]);
    let reason = |scene: &Scene| scene.coordinator.status(scene.now).reason;
    assert!(reason(&scene).ends_with(": 0 of 2 connected to controller"), "{}", reason(&scene));
    let left = scene.join("left");
    assert!(reason(&scene).ends_with(": 1 of 2 connected to controller"), "{}", reason(&scene));
    let right = scene.join("right");
    assert_eq!(scene.coordinator.status(scene.now).peer, "controller from left, right");
    let first = scene.command_to(&[left, right]);
    assert!(first.planned.command.position.distance(scene.home) < 0.005);
    assert!(scene.ok(right) && scene.coordinator.poll_transmit(scene.now).is_none());
    assert!(scene.ok(left));
    scene.command_to(&[left, right]);
    scene.coordinator.handle_ended(scene.now, right, LinkError::Closed);
    assert_eq!(scene.link(), LinkState::Listening);
    let expected =
        ": 1 of 2 connected to controller; last error: right: the controller closed the connection";
    assert!(reason(&scene).ends_with(expected), "{}", reason(&scene));
    assert!(scene.coordinator.link.wants_driver(), "to drop the connection");
    assert_eq!(scene.coordinator.link.poll_action(), Some(Action::Drop(right)));
    assert!(!scene.coordinator.link.wants_driver());
}

#[test]
fn remaining_controllers_receive_the_stop_line() {
    let mut scene = server(2, &[("teleop.hold_behavior", Value::Text("stop".into()))]);
    let [left, right] = ["left", "right"].map(|name| scene.join(name));
    scene.command_to(&[left, right]);
    scene.coordinator.handle_ended(scene.now, right, LinkError::Closed);
    assert_eq!(scene.coordinator.poll_transmit(scene.now), Some(Outgoing::Stop));
    assert_eq!(scene.transmit(&[left]), Sent::Stop);
    assert_eq!(scene.coordinator.poll_transmit(scene.now), None);
}

#[test]
fn controller_that_joins_during_motion_causes_an_approach() {
    let mut scene = server(1, &[]);
    let left = scene.join("left");
    for _ in 0..60 {
        scene.command_to(&[left]);
        scene.ok(left);
    }
    let right = scene.join("right");
    assert_eq!(
        scene.coordinator.status(scene.now).motion,
        Motion::Approach,
        "motion continues with an approach"
    );
    let next = scene.command_to(&[left, right]);
    assert_eq!(next.planned.kind, CommandKind::Approach);
    let mut operator = server(1, &[("teleop.arming", Value::Text("operator".into()))]);
    let left = operator.join("left");
    operator.set_armed();
    operator.command_to(&[left]);
    operator.join("right");
    assert_eq!(operator.coordinator.status(operator.now).motion, Motion::Disarmed);
}

#[test]
fn only_controller_that_does_not_read_is_dropped() {
    let mut scene = server(1, &[]);
    let [left, right] = ["left", "right"].map(|name| scene.join(name));
    for _ in 0..200 {
        scene.now += Duration::from_millis(20);
        scene
            .coordinator
            .teleop
            .handle_target(scene.now, Target::new(-0.2, 0.2, 0.1, None).unwrap())
            .unwrap();
        scene.coordinator.handle_timeout(scene.now);
        if scene.coordinator.poll_transmit(scene.now).is_some() {
            break;
        }
    }
    let line = scene.coordinator.poll_transmit(scene.now).unwrap();
    let full = || Err(std::io::ErrorKind::WouldBlock.into());
    let sent = scene.coordinator.handle_transmitted(
        scene.now,
        scene.now,
        &line,
        70,
        [(left, full()), (right, Ok(70))],
    );
    assert!(matches!(sent, Some(Sent::Command(_))));
    assert_eq!(scene.coordinator.link.poll_action(), Some(Action::Drop(left)));
    assert!(scene.ok(right));
    assert_eq!(scene.coordinator.status(scene.now).acknowledged, 1);
    // A line that was sent only in part ends the connection, here too.
    scene.now += Duration::from_millis(20);
    scene.coordinator.teleop.handle_target(scene.now, Target::new(-0.2, 0.2, 0.1, None).unwrap()).unwrap();
    let line = scene.coordinator.poll_transmit(scene.now).unwrap();
    assert_eq!(
        scene.coordinator.handle_transmitted(scene.now, scene.now, &line, 70, [(right, Ok(30))]),
        None
    );
    assert_eq!(
        (scene.coordinator.link.poll_action(), scene.link()),
        (Some(Action::Drop(right)), LinkState::Listening)
    );
}

#[test]
fn lost_stop_is_sent_again_lost_command_not() {
    let parameters = Parameters::with(&[
        ("link.transport", Value::Text("udp".into())),
        ("wire.extra_fields", Value::Texts(vec!["seq".into()])),
        ("teleop.hold_behavior", Value::Text("stop".into())),
        ("link.max_in_flight", Value::Integer(8)),
        ("link.heartbeat.period", Value::Real(0.1)),
        ("teleop.settle_time", Value::Real(0.0)),
    ]);
    let mut scene = Scene::with(&parameters.unwrap());
    scene.first_command();
    scene.coordinator.teleop.handle_stop();
    assert_eq!(scene.transmit(&[PeerId::ONLY]), Sent::Stop);
    assert_eq!(scene.coordinator.poll_transmit(scene.now), None);
    scene.now += Duration::from_millis(100);
    assert_eq!(scene.transmit(&[PeerId::ONLY]), Sent::Heartbeat);
    // The command was line 1 and the stop line 2. There is no reply to either.
    let reply = Reply { status: ReplyStatus::Ok, message: String::new(), seq: Some(3), state: None };
    assert!(scene.coordinator.handle_reply(scene.now, PeerId::ONLY, &reply));
    assert_eq!(scene.coordinator.status(scene.now).lost, 2);
    assert_eq!(scene.transmit(&[PeerId::ONLY]), Sent::Stop);
    assert_eq!(scene.coordinator.poll_transmit(scene.now), None);
}

#[test]
fn lost_command_does_not_prevent_later_motion() {
    let parameters = Parameters::with(&[
        ("link.transport", Value::Text("udp".into())),
        ("wire.extra_fields", Value::Texts(vec!["seq".into()])),
        ("link.max_in_flight", Value::Integer(8)),
        ("teleop.settle_time", Value::Real(0.0)),
    ]);
    let mut scene = Scene::with(&parameters.unwrap());
    scene.command_to(&[PeerId::ONLY]);
    scene.command_to(&[PeerId::ONLY]);
    let reply = Reply { status: ReplyStatus::Ok, message: String::new(), seq: Some(2), state: None };
    assert!(scene.coordinator.handle_reply(scene.now, PeerId::ONLY, &reply));
    assert_eq!(scene.coordinator.status(scene.now).lost, 1);
    scene.coordinator.teleop.handle_invalid_target(scene.now, InputFault::HandNotDetected);
    assert_eq!(scene.coordinator.status(scene.now).motion, Motion::Holding);
    assert_eq!(scene.command_to(&[PeerId::ONLY]).planned.kind, CommandKind::Approach);
}

#[test]
fn unsolicited_state_sets_start_of_the_approach() {
    let mut scene = Scene::connected();
    let seen = Position::new(0.1, 0.1, 0.1).unwrap();
    let state = ReportedState { position: Some(seen), ..ReportedState::default() };
    assert!(scene.coordinator.handle_state(scene.now, PeerId::ONLY, &state));
    let commanded = scene.first_command().position;
    assert!(commanded.distance(seen) < 0.005);
    scene.reply(ReplyStatus::Ok, None);
    scene.coordinator.handle_failed(scene.now, LinkError::Closed);
    let elsewhere =
        ReportedState { position: Position::new(0.2, -0.2, 0.3).ok(), ..ReportedState::default() };
    assert!(!scene.coordinator.handle_state(scene.now, PeerId::ONLY, &elsewhere), "the connection has ended");
    scene.reconnect();
    assert!(scene.first_command().position.distance(commanded) < 0.005);
}

#[test]
fn first_command_contains_the_reported_gripper() {
    let mut scene = Scene::connected();
    let closed = ReportedState { gripper: Some(Gripper::Closed), ..ReportedState::default() };
    assert!(scene.coordinator.handle_state(scene.now, PeerId::ONLY, &closed));
    assert_eq!(scene.first_command().gripper, Gripper::Closed);
    // A state from a connection that has ended is ignored.
    let mut scene = Scene::connected();
    scene.coordinator.handle_failed(scene.now, LinkError::Closed);
    assert!(!scene.coordinator.handle_state(scene.now, PeerId::ONLY, &closed));
    scene.reconnect();
    assert_eq!(scene.first_command().gripper, Gripper::Open);
}

#[test]
fn motion_starts_where_the_arm_rests() {
    for moving in [Some(true), Some(false), None] {
        let mut scene = Scene::connected();
        let commanded = scene.first_command().position;
        scene.reply(ReplyStatus::Ok, None);
        scene.coordinator.teleop.handle_set_armed(scene.now, false).unwrap();
        let [x, y, z] = commanded.coordinates();
        let seen = Position::new(x - 0.02, y, z).unwrap();
        let state = ReportedState { position: Some(seen), moving, ..ReportedState::default() };
        scene.coordinator.handle_state(scene.now, PeerId::ONLY, &state);
        scene.coordinator.teleop.handle_set_armed(scene.now, true).ok();
        if moving == Some(true) {
            scene.now += Duration::from_secs(5);
            scene.coordinator.handle_timeout(scene.now);
            assert_eq!(scene.coordinator.poll_transmit(scene.now), None);
            let state = ReportedState { moving: Some(false), ..state };
            scene.coordinator.handle_state(scene.now, PeerId::ONLY, &state);
            scene.coordinator.teleop.handle_set_armed(scene.now, true).unwrap();
        }
        let first = scene.first_command().position;
        assert!(first.distance(seen) < first.distance(commanded), "{moving:?}");
    }
}

#[test]
fn after_a_join_motion_waits_for_missing_replies() {
    let mut scene = server(1, &[("link.max_in_flight", Value::Integer(4))]);
    let left = scene.join("left");
    for _ in 0..20 {
        scene.command_to(&[left]);
        scene.ok(left);
    }
    scene.command_to(&[left]);
    let right = scene.join("right");
    for _ in 0..5 {
        scene.now += Duration::from_millis(20);
        scene
            .coordinator
            .teleop
            .handle_target(scene.now, Target::new(-0.2, 0.2, 0.1, None).unwrap())
            .unwrap();
        assert_eq!(scene.coordinator.poll_transmit(scene.now), None);
    }
    scene.ok(left);
    let next = scene.command_to(&[left, right]);
    assert_eq!(next.planned.kind, CommandKind::Approach);
}

#[test]
fn position_reply_before_a_join_starts_no_motion() {
    let mut scene = server(1, &[("link.heartbeat.period", Value::Real(10.0))]);
    let left = scene.join("left");
    let next = |scene: &mut Scene| {
        for _ in 0..200 {
            scene.now += Duration::from_millis(20);
            let target = Target::new(-0.2, 0.2, 0.1, None).unwrap();
            scene.coordinator.teleop.handle_target(scene.now, target).unwrap();
            scene.coordinator.handle_timeout(scene.now);
            if let Some(line) = scene.coordinator.poll_transmit(scene.now) {
                return line;
            }
        }
        panic!("nothing is sent: {:?}", scene.coordinator.status(scene.now));
    };
    let report = |scene: &mut Scene, peer, moving| {
        let state =
            ReportedState { position: Some(scene.arm), moving: Some(moving), ..ReportedState::default() };
        let reply = Reply { status: ReplyStatus::Ok, message: String::new(), seq: None, state: Some(state) };
        assert!(scene.coordinator.handle_reply(scene.now, peer, &reply));
    };
    // The hand settles meanwhile.
    for _ in 0..20 {
        assert_eq!(next(&mut scene), Outgoing::Question);
        scene.transmit(&[left]);
        report(&mut scene, left, true);
    }
    assert_eq!(next(&mut scene), Outgoing::Question);
    scene.transmit(&[left]);
    let right = scene.coordinator.handle_joined(scene.now, "right".into()).unwrap();
    report(&mut scene, left, false);
    assert_eq!(next(&mut scene), Outgoing::Question, "the other arm may be anywhere");
    scene.transmit(&[left, right]);
    report(&mut scene, left, false);
    assert_eq!(scene.coordinator.poll_transmit(scene.now), None);
    report(&mut scene, right, false);
    assert!(matches!(next(&mut scene), Outgoing::Command(_)));
}

#[test]
fn command_is_not_repeated_after_a_join() {
    let mut scene = server(1, &[("teleop.hold_behavior", Value::Text("repeat".into()))]);
    let left = scene.join("left");
    scene.command_to(&[left]);
    scene.ok(left);
    scene.coordinator.teleop.handle_stop();
    scene.now += Duration::from_millis(20);
    assert!(matches!(scene.coordinator.poll_transmit(scene.now), Some(Outgoing::Command(_))));
    scene.join("right");
    assert_eq!(scene.coordinator.poll_transmit(scene.now), None);
}

#[test]
fn position_in_late_or_duplicate_datagram_is_ignored() {
    let parameters = Parameters::with(&[
        ("link.transport", Value::Text("udp".into())),
        ("wire.extra_fields", Value::Texts(vec!["seq".into()])),
        ("teleop.settle_time", Value::Real(0.0)),
    ]);
    let mut scene = Scene::with(&parameters.unwrap());
    let there = |x| Position::new(x, 0.0, 0.2).unwrap();
    let reply = |seq, x| {
        let state = Some(ReportedState { position: Some(there(x)), ..ReportedState::default() });
        Reply { status: ReplyStatus::Ok, message: String::new(), seq, state }
    };
    scene.command_to(&[PeerId::ONLY]);
    assert!(scene.coordinator.handle_reply(scene.now, PeerId::ONLY, &reply(Some(1), 0.2)));
    // The arm is moved by hand, and the controller reports its new position.
    scene.coordinator.teleop.handle_set_armed(scene.now, false).unwrap();
    let seen = ReportedState { position: Some(there(0.1)), moving: Some(false), ..ReportedState::default() };
    assert!(scene.coordinator.handle_state(scene.now, PeerId::ONLY, &seen));
    for seq in [Some(1), Some(99), None] {
        assert!(
            !scene.coordinator.handle_reply(scene.now, PeerId::ONLY, &reply(seq, 0.25)),
            "an old state was published"
        );
    }
    scene.coordinator.teleop.handle_set_armed(scene.now, true).unwrap();
    let first = scene.command_to(&[PeerId::ONLY]).planned.command.position;
    assert!(first.distance(there(0.1)) < 0.005, "{first:?}");
}

#[test]
fn line_to_a_dropped_controller_does_not_count() {
    let mut scene = server(1, &[]);
    let [left, right] = ["left", "right"].map(|name| scene.join(name));
    scene.command_to(&[left, right]);
    scene.ok(right);
    scene.coordinator.handle_ended(scene.now, left, LinkError::Closed);
    scene.now += Duration::from_millis(20);
    scene.coordinator.teleop.handle_target(scene.now, Target::new(-0.2, 0.2, 0.1, None).unwrap()).unwrap();
    let line = scene.coordinator.poll_transmit(scene.now).unwrap();
    // The driver task has not closed the left socket yet. The right socket breaks now.
    let broken = Err(std::io::ErrorKind::BrokenPipe.into());
    assert_eq!(
        scene.coordinator.handle_transmitted(
            scene.now,
            scene.now,
            &line,
            70,
            [(left, Ok(70)), (right, broken)]
        ),
        None
    );
    assert_eq!(scene.link(), LinkState::Listening);
    let next = scene.join("next");
    scene.command_to(&[next]);
}

/// Creates a coordinator with these parameters that has not connected yet.
fn unconnected(settings: &[(&str, Value)]) -> Scene {
    let config = Config::new(&Parameters::with(settings).unwrap()).unwrap();
    let (home, now) = (config.teleop.home, Instant::now());
    let server = matches!(config.link.role, Role::TcpServer { .. });
    let coordinator = Coordinator::new(config.teleop, config.link, "arm:5000".into(), now, 7);
    Scene { coordinator, now, home, arm: home, commanded: home, lines: 0, server }
}

#[test]
fn first_status_names_the_cause_of_no_connection() {
    let mut scene = unconnected(&[]);
    let reason = |scene: &Scene| scene.coordinator.status(scene.now).reason;
    let down = "not armed yet: no connection to the controller";
    assert_eq!(reason(&scene), format!("{down}: connecting to arm:5000"));
    scene.connect_later();
    let before = scene.coordinator.status_key(scene.now);
    scene.coordinator.handle_stage(Stage::Banner { received: 1, wanted: 2 });
    assert_ne!(scene.coordinator.status_key(scene.now), before, "the status is not published");
    let greeting = "waiting for 2 banner lines of arm:5000 (link.banner_lines), 1 so far";
    assert_eq!(reason(&scene), format!("{down}: {greeting}"));
    assert_eq!(scene.coordinator.status(scene.now).state, LinkState::Connecting);
    scene.coordinator.handle_stage(Stage::Auth);
    assert_eq!(
        reason(&scene),
        format!("{down}: waiting for the reply of arm:5000 to the hello (link.auth.token_file)")
    );
    scene.coordinator.handle_failed(scene.now, LinkError::Closed);
    assert!(reason(&scene).contains("closed the connection; next attempt in 0."), "{}", reason(&scene));
    scene.now += Duration::from_secs(5);
    scene.coordinator.handle_timeout(scene.now);
    assert!(reason(&scene).ends_with("closed the connection; trying again"), "{}", reason(&scene));
    scene.connect_later();
    scene.coordinator.handle_stage(Stage::Banner { received: 0, wanted: 2 });
    assert!(
        reason(&scene).ends_with("0 so far; last error: the controller closed the connection"),
        "{}",
        reason(&scene)
    );
}

#[test]
fn first_status_names_the_cause_without_controllers() {
    let mut scene = unconnected(&[("link.transport", Value::Text("tcp_server".into()))]);
    let reason = |scene: &Scene| scene.coordinator.status(scene.now).reason;
    let down = "not armed yet: no connection to the controller";
    assert_eq!(reason(&scene), format!("{down}: opening the port arm:5000"));
    scene.connect();
    assert_eq!(reason(&scene), format!("{down}: 0 of 1 connected to arm:5000"));
    let before = scene.coordinator.status_key(scene.now);
    scene.coordinator.report.handle_arriving(1);
    assert_ne!(scene.coordinator.status_key(scene.now), before, "the status is not published");
    assert_eq!(reason(&scene), format!("{down}: 0 of 1 connected to arm:5000, 1 more connecting"));
    scene.coordinator.report.handle_arriving(0);
    scene.coordinator.link.handle_refused(scene.now, "guest".into(), LinkError::Closed);
    assert_eq!(
        reason(&scene),
        format!(
            "{down}: 0 of 1 connected to arm:5000; last error: guest: the controller closed the connection"
        )
    );
}

#[test]
fn unfinished_reply_is_quoted_while_overdue() {
    let mut scene = Scene::connected();
    scene.first_command();
    scene.now += Duration::from_millis(500);
    scene.coordinator.teleop.handle_target(scene.now, Target::new(-0.2, 0.2, 0.1, None).unwrap()).unwrap();
    scene.coordinator.handle_timeout(scene.now);
    assert!(scene.coordinator.link.is_overdue(scene.now));
    let reason = |scene: &Scene| scene.coordinator.status(scene.now).reason;
    assert_eq!(
        reason(&scene),
        "holding: the controller does not reply: no reply for link.reply_timeout 0.5 s"
    );
    scene.coordinator.link.handle_instead(PeerId::ONLY, Some("\"OK\" has come".into()));
    assert_eq!(reason(&scene), "holding: the controller does not reply: \"OK\" has come");
}

#[test]
fn newest_error_is_kept_with_its_age() {
    let mut scene = Scene::connected();
    scene.coordinator.handle_failed(scene.now, LinkError::Closed);
    scene.reconnect();
    let status = scene.coordinator.status(scene.now);
    assert_eq!(status.last_error, "the controller closed the connection");
    scene.now += Duration::from_secs(3);
    let status = scene.coordinator.status(scene.now);
    assert_eq!(status.last_error, "");
    let newest = ("the controller closed the connection".to_owned(), Duration::from_secs(8));
    assert_eq!(status.newest_error, Some(newest));
}
