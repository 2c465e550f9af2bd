//! Tests each rule with a stream that breaks it and a stream that keeps it, in virtual time.
#![allow(clippy::disallowed_methods)] // a start time; the tests advance time themselves

use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio_util::codec::Decoder;

use super::{
    ArmMonitor, ConformanceMonitor, MotionMonitor, Rule, Rules, Setting, Step, TimedCommand, Violation,
};
use crate::controller::CommandDecoder;
use crate::physical::{PhysicalArm, PhysicalConfig, Reports};
use aether_bridge::arm::{Command, Gripper};
use aether_bridge::geometry::Position;
use aether_bridge::wire::{Order, PositionUnit};

const OK: &[u8] = b"{\"status\":\"ok\",\"message\":\"Command received\"}\n";
const ERROR: &[u8] = b"{\"status\":\"error\",\"message\":\"no\"}\n";
const STOP: &str = r#"{"type":"stop"}"#;
const HEARTBEAT: &str = r#"{"type":"heartbeat"}"#;

/// A bridge and a controller on one connection after another, with default parameters: home is at x
/// = 200 mm, an approach begins with at most 2 mm, and a period of 10 ms allows 2.5 mm.
struct Wire {
    monitor: ConformanceMonitor,
    now: Instant,
    connection: usize,
}

impl Wire {
    fn new(settings: &[&str]) -> Self {
        let settings: Vec<Setting> = settings.iter().map(|text| text.parse().unwrap()).collect();
        let rules = Rules::default().with(&settings).unwrap();
        let monitor = ConformanceMonitor::new(rules, PositionUnit::Millimetres);
        let mut wire = Self { monitor, now: Instant::now(), connection: 0 };
        wire.monitor.handle_connected(0);
        wire
    }

    /// Creates a connection in motion that has reached x = 205 mm, with a command every 10 ms.
    fn moving(settings: &[&str]) -> Self {
        let mut wire = Self::new(settings);
        for x in [202.0, 203.0, 204.0, 205.0] {
            assert_eq!(wire.step(x), []);
        }
        wire
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    /// Passes time in which the socket is polled and nothing comes.
    fn pause(&mut self, milliseconds: u64) {
        self.pass(milliseconds);
        self.monitor.handle_quiet(self.now, self.connection);
    }

    fn line(&mut self, text: &str) -> Vec<Violation> {
        let mut bytes = BytesMut::from(format!("{text}\n").as_bytes());
        let line = CommandDecoder::new(PositionUnit::Millimetres).decode(&mut bytes).unwrap().unwrap();
        self.monitor.handle_line(self.now, self.connection, &line)
    }

    fn reply(&mut self, text: &[u8]) {
        self.monitor.handle_replied(self.now, self.connection, text, 1);
    }

    /// Sends a command 10 ms after the last reply.
    fn command(&mut self, x: f64) -> Vec<Violation> {
        self.pass(10);
        self.line(&command(x, "open"))
    }

    /// Sends a command and replies immediately.
    fn step(&mut self, x: f64) -> Vec<Violation> {
        let found = self.command(x);
        self.reply(OK);
        found
    }

    fn reconnect(&mut self) {
        self.connection += 1;
        self.monitor.handle_connected(self.connection);
    }
}

fn command(x: f64, gripper: &str) -> String {
    format!(r#"{{"type":"command","x":{x:?},"y":0.0,"z":200.0,"gripper":"{gripper}"}}"#)
}

/// Asserts that there is exactly one violation, of this rule, and that its text contains `words`.
fn assert_only(found: &[Violation], rule: Rule, words: &str) {
    assert!(found.len() == 1 && found[0].rule == rule && found[0].why.contains(words), "{found:?}");
}

#[test]
fn motion_within_limits_has_no_violation() {
    let mut wire = Wire::moving(&[]);
    for number in 0..200 {
        assert_eq!(wire.step(205.0 + 0.4 * f64::from(number)), []);
    }
}

#[test]
fn line_must_match_the_protocol_byte_for_byte() {
    let mut wire = Wire::new(&[]);
    for (line, words) in [
        ("nonsense", "not a JSON object"),
        (r#"{"type":"command","x":200.0,"y":0.0,"z":200.0}"#, "gripper is missing"),
        (
            r#"{"type":"command","x":200,"y":0.0,"z":200.0,"gripper":"open"}"#,
            r#"requires {"type":"command","x":200.0,"#,
        ),
        (r#"{"type": "command","x":200.0,"y":0.0,"z":200.0,"gripper":"open"}"#, "the protocol requires {"),
        (r#"{"type":"command","x":200.0004,"y":0.0,"z":200.0,"gripper":"open"}"#, r#""x":200.0,"#),
        (r#"{"type":"command","x":200.0,"x":200.0,"y":0.0,"z":200.0,"gripper":"open"}"#, "duplicate"),
        (r#"{"type":"command","x":200.0,"y":-0.0,"z":200.0,"gripper":"open"}"#, r#""y":0.0"#),
        (
            r#"{"type":"command","x":200.0,"y":0.0,"z":200.0,"gripper":"open","a":1}"#,
            "the protocol requires {",
        ),
    ] {
        assert_only(&wire.line(line), Rule::Form, words);
        wire.reply(OK);
        wire.pass(10);
    }
    let torn = wire.monitor.handle_disconnected(0, Some("the stream ended in the middle of a line"));
    assert_only(&torn, Rule::Form, "in the middle");
    assert_eq!(wire.monitor.handle_disconnected(0, None), []);
}

#[test]
fn stops_and_heartbeats_come_only_if_enabled() {
    for (line, setting) in [(STOP, "teleop.hold_behavior:=stop"), (HEARTBEAT, "link.heartbeat.period:=0.1")] {
        assert_only(&Wire::new(&[]).line(line), Rule::Asked, "no parameter enables");
        assert_eq!(Wire::new(&[setting]).line(line), []);
    }
}

#[test]
fn numbers_grow_over_connections_too() {
    let mut wire = Wire::new(&[r#"wire.extra_fields:=["seq","ttl"]"#]);
    let line = |seq: u32| command(202.0, "open").replace('}', &format!(r#","seq":{seq},"ttl":500}}"#));
    for (seq, right) in [(1, true), (2, true), (2, false), (7, true)] {
        let found = wire.line(&line(seq));
        wire.reply(OK);
        wire.pass(10);
        if right {
            assert_eq!(found, [])
        } else {
            assert_only(&found, Rule::Numbering, "line 2 after line 2")
        }
    }
    wire.reconnect();
    assert_only(&wire.line(&line(3)), Rule::Numbering, "line 3 after line 7");
    wire.reply(OK);
    // A line that the network has delayed comes after the lines of the next connection, and must
    // have a lower number.
    wire.reconnect();
    assert_eq!(wire.line(&line(9)), []);
    wire.reply(OK);
    wire.connection = 1;
    assert_eq!(wire.line(&line(8)), []);
    wire.reply(OK);
    assert_only(&wire.line(&line(9)), Rule::Numbering, "line 9 is on an earlier connection than line 9");
    wire.connection = 2;
    wire.reply(OK);
    assert_only(&wire.line(&command(202.0, "open")), Rule::Form, r#""seq":0"#);
}

#[test]
fn only_a_stop_may_follow_an_unanswered_line() {
    let mut wire = Wire::moving(&["teleop.hold_behavior:=stop"]);
    assert_eq!(wire.command(206.0), []);
    assert_eq!(wire.line(STOP), []);
    assert_only(&wire.command(206.0), Rule::Pace, "2 unanswered lines; at most 1 are allowed");
    let mut wire = Wire::moving(&["link.max_in_flight:=2"]);
    assert_eq!((wire.command(206.0), wire.command(207.0)), (vec![], vec![]));
    assert_only(&wire.command(207.0), Rule::Pace, "2 unanswered lines; at most 2 are allowed");
}

#[test]
fn waiting_line_was_sent_before_the_reply() {
    let mut wire = Wire::moving(&["teleop.hold_behavior:=stop"]);
    assert_eq!(wire.command(206.0), []);
    let (stop, command) = (format!("{STOP}\n"), format!("{}\n", command(207.0, "open")));
    assert_eq!(wire.monitor.handle_ahead(0, b""), []);
    assert_eq!(wire.monitor.handle_ahead(0, stop.as_bytes()), []);
    assert_eq!(wire.monitor.handle_ahead(0, b"{\"type\":"), []);
    assert_only(&wire.monitor.handle_ahead(0, command.as_bytes()), Rule::Pace, "1 unanswered lines");
}

#[test]
fn malformed_reply_counts_for_no_line() {
    for text in [&b"{\"status\":\"maybe\"}\n"[..], b"{\"status\":\"o", b"\xff\n"] {
        let mut wire = Wire::moving(&[]);
        assert_eq!(wire.command(206.0), []);
        wire.reply(text);
        assert_only(&wire.command(207.0), Rule::Pace, "1 unanswered lines");
    }
}

#[test]
fn command_must_be_inside_the_workspace() {
    let mut wire = Wire::new(&["arm.home:=[0.299, 0.0, 0.2]"]);
    assert_eq!(wire.step(300.0), []);
    assert_only(&wire.step(300.001), Rule::Workspace, "outside the workspace");
    let mut wire = Wire::new(&["workspace.keep_out:=[0.201, -0.1, 0.0, 0.25, 0.1, 0.4]"]);
    assert_eq!(wire.step(201.0), []);
    assert_only(&wire.step(201.001), Rule::Workspace, "in keep-out box 1");
    let mut wire = Wire::new(&["arm.home:=[0.21, 0.0, 0.2]", "workspace.reach_max:=0.2901"]);
    assert_eq!(wire.step(210.0), []);
    assert_only(&wire.step(211.0), Rule::Workspace, "outside the workspace");
}

#[test]
fn straight_path_between_commands_must_be_free() {
    // A box as thin as a sheet between two commands that are both outside it.
    let thin = "workspace.keep_out:=[0.2010, -0.1, 0.0, 0.2011, 0.1, 0.4]";
    let mut wire = Wire::new(&[thin]);
    assert_eq!(wire.step(200.5), []);
    assert_only(&wire.step(202.0), Rule::Workspace, "the path to it cuts keep-out box 1");
    // A long step from one side of the base to the other.
    let long: [Setting; 2] = ["limits.step:=0.1", "input.timeout:=1.0"].map(|text| text.parse().unwrap());
    let mut monitor = MotionMonitor::new(Rules::default().with(&long).unwrap().motion);
    let now = Instant::now();
    let at = |x: f64, z: f64| {
        let position = Position::new(x, 0.0, z).unwrap();
        let command = Command { position, gripper: Gripper::Open, orientation: None };
        TimedCommand { command, not_before: None, at: now, line: String::new() }
    };
    monitor.handle_sent(at(-0.03, 0.045));
    let found = monitor.check(&at(0.015, 0.09), Step::Continue, &[]);
    assert_eq!(found, []);
    let found = monitor.check(&at(0.015, 0.05), Step::Continue, &[]);
    assert_only(&found, Rule::Workspace, "the path to it passes the base at 48.");
    assert_only(&found, Rule::Workspace, "mm, 50.000 mm allowed");
}

#[test]
fn step_length_is_limited_by_time() {
    let mut wire = Wire::moving(&[]);
    // The time since before the reply to the last line but one: 20 ms.
    assert_eq!(wire.step(210.0), []);
    let found = wire.step(215.1);
    assert_only(&found, Rule::Speed, "5.100 mm in at most 0.0200 s, 5.000 mm allowed");
    assert_eq!(found[0].before.as_deref(), Some(command(210.0, "open").as_str()));
}

#[test]
fn many_slightly_long_steps_are_a_violation() {
    let mut wire = Wire::moving(&[]);
    // The steps are 20 % too fast. A single step of 3 mm may have had enough time.
    let first = (0..40)
        .map(|number| (number, wire.step(205.0 + 3.0 * f64::from(number + 1))))
        .find(|(_, found)| !found.is_empty());
    let (number, found) = first.expect("120 mm in 0.4 s");
    assert_only(&found, Rule::Speed, "allowed");
    assert!((5..=40).contains(&number), "{number}");
}

#[test]
fn empty_socket_proves_a_later_send_time() {
    let mut wire = Wire::moving(&[]);
    wire.pause(100);
    assert_eq!(wire.line(&command(206.0, "open")), []);
    wire.reply(OK);
    assert_only(&wire.step(210.0), Rule::Speed, "in at most 0.0150 s");
}

#[test]
fn pause_within_motion_allows_no_longer_step() {
    // Motion continues for 0.2 s without a target: 50 mm. But a step is at most as long as the
    // motion in 0.1 s.
    for (step, allowed) in
        [("limits.step:=1.0", "50.000 mm allowed"), ("limits.step:=0.0", "25.000 mm allowed")]
    {
        let mut wire = Wire::moving(&[step]);
        assert_eq!(wire.command(206.0), []);
        wire.pass(450);
        wire.reply(OK);
        assert_only(&wire.step(257.0), Rule::Speed, allowed);
    }
}

#[test]
fn return_from_refused_commands_may_be_long() {
    let mut wire = Wire::moving(&[]);
    for number in 1..=25 {
        assert_eq!(wire.command(205.0 + 2.4 * f64::from(number)), []);
        wire.reply(ERROR);
    }
    wire.pause(1000);
    assert_eq!(wire.step(206.0), []);
}

#[test]
fn first_motion_begins_at_home() {
    assert_eq!(Wire::new(&[]).step(198.0), []);
    assert_only(
        &Wire::new(&[]).step(197.9),
        Rule::Approach,
        "the first command after a new connection is 2.100 mm",
    );
    assert_only(&Wire::new(&["limits.approach_speed:=0.05"]).step(198.0), Rule::Approach, "1.000 mm allowed");
}

#[test]
fn motion_after_reconnect_begins_at_acknowledged_command() {
    let mut wire = Wire::moving(&[]);
    wire.reconnect();
    // The bridge has read the reply to 204, because 205 followed.
    assert_only(&wire.step(201.9), Rule::Approach, "a new connection is 2.100 mm");

    let mut wire = Wire::moving(&[]);
    wire.step(211.0);
    wire.reconnect();
    // The last reply may have been lost.
    assert_eq!(wire.step(213.0), []);
    wire.reconnect();
    assert_eq!(wire.step(203.0), []);

    let mut wire = Wire::moving(&[]);
    assert_eq!(wire.command(210.0), []);
    wire.reply(ERROR);
    wire.reconnect();
    assert_only(&wire.step(213.0), Rule::Approach, "8.000 mm");

    let mut wire = Wire::moving(&[]);
    wire.step(211.0);
    wire.step(213.0);
    wire.reconnect();
    // The line that followed proves that 211 was acknowledged.
    assert_only(&wire.step(205.0), Rule::Approach, "6.000 mm");

    // This is not proven if the line may have been sent before the reply.
    let mut wire = Wire::moving(&["link.max_in_flight:=2"]);
    assert_eq!((wire.step(206.0), wire.step(209.0)), (vec![], vec![]));
    wire.reconnect();
    assert_eq!(wire.step(203.5), []);
}

#[test]
fn silence_or_late_reply_requires_an_approach() {
    let mut wire = Wire::moving(&[]);
    wire.pause(520);
    assert_only(&wire.step(208.0), Rule::Approach, "a silence of 0.52 s is 3.000 mm");
    let mut wire = Wire::moving(&[]);
    wire.pause(520);
    assert_eq!(wire.step(207.0), []);

    // The command may have been sent immediately and waited, because the controller was stopped.
    let mut wire = Wire::moving(&[]);
    wire.pass(520);
    assert_eq!(wire.step(208.0), []);

    let mut wire = Wire::moving(&[]);
    assert_eq!(wire.command(206.0), []);
    wire.pass(820);
    wire.reply(OK);
    assert_only(&wire.step(209.0), Rule::Approach, "a reply that took 0.82 s is 3.000 mm");
}

#[test]
fn heartbeat_ends_no_silence_but_delays_it() {
    let settings = ["link.heartbeat.period:=0.1"];
    for (pause, delay, right) in [(180, 0, false), (140, 120, true)] {
        let mut wire = Wire::moving(&settings);
        for _ in 0..3 {
            wire.pause(pause);
            assert_eq!(wire.line(HEARTBEAT), []);
            wire.pass(delay);
            wire.reply(OK);
        }
        wire.pause(20);
        let found = wire.command(208.0);
        if right { assert_eq!(found, []) } else { assert_only(&found, Rule::Approach, "a silence of") }
    }
}

#[test]
fn motion_after_stop_begins_where_arm_stopped() {
    let stopped = b"{\"status\":\"ok\",\"position\":{\"x\":203.0,\"y\":0.0,\"z\":200.0}}\n";
    for (reply, from) in [(OK, 205.0), (stopped, 203.0)] {
        let mut wire = Wire::moving(&["teleop.hold_behavior:=stop"]);
        assert_eq!(wire.line(STOP), []);
        wire.reply(reply);
        assert_only(&wire.step(from + 2.1), Rule::Approach, "the first command after a stop is 2.100 mm");
        let mut wire = Wire::moving(&["teleop.hold_behavior:=stop"]);
        assert_eq!(wire.line(STOP), []);
        wire.reply(reply);
        assert_eq!(wire.step(from - 2.0), []);
    }
}

#[test]
fn approach_begins_where_a_moved_arm_is_reported() {
    let seen = |x: f64| format!("{{\"status\":\"ok\",\"position\":[{x:?},0.0,200.0],\"moving\":false}}\n");
    for (at, from) in [(209.9, 205.0), (211.0, 211.0)] {
        let mut wire = Wire::moving(&["link.heartbeat.period:=0.1"]);
        wire.pause(800);
        assert_eq!(wire.line(HEARTBEAT), []);
        wire.reply(seen(at).as_bytes());
        wire.pause(10);
        assert_only(&wire.step(from - 2.1), Rule::Approach, "2.100 mm");
    }
}

#[test]
fn command_of_ended_connection_is_not_repeated() {
    // The last command, the time since then, and the first line of the next connection.
    let replay = |last: f64, pause: u64, first: [f64; 2]| {
        let mut wire = Wire::moving(&[]);
        assert_eq!(wire.command(last), []);
        wire.pause(pause);
        wire.reconnect();
        assert_eq!(wire.step(first[0]), []);
        wire.step(first[1])
    };
    // The repeated command is only one step from the arm, but still a replay.
    let found = replay(206.0, 600, [206.0, 207.0]);
    assert_only(&found, Rule::Replay, "repeats the last line of the previous connection, 0.59 s later");
    assert_eq!(found[0].line, command(206.0, "open"));
    // Immediately after the loss, the repeated command may be for the same target.
    assert_eq!(replay(206.0, 400, [206.0, 207.0]), []);
    // An arm at rest may get a command to stay there.
    assert_eq!(replay(205.0, 600, [205.0, 206.0]), []);
    assert_eq!(replay(206.0, 600, [206.0, 206.0]), []);
    assert_eq!(replay(206.0, 600, [206.5, 207.0]), []);

    // A controller that was down knows how long it was down.
    let mut wire = Wire::moving(&[]);
    wire.pass(600);
    wire.monitor.handle_listening(wire.now);
    wire.reconnect();
    assert_eq!(wire.step(205.0), []);
    assert_only(&wire.step(206.0), Rule::Replay, "0.60 s later");
}

#[test]
fn late_lines_of_ended_connection_are_judged_alone() {
    let mut wire = Wire::moving(&[]);
    assert_eq!(wire.command(206.0), []);
    wire.reconnect();
    assert_eq!(wire.step(203.0), []);
    wire.connection = 0;
    wire.reply(OK);
    assert_eq!(wire.command(207.0), []);
    wire.connection = 1;
    assert_eq!(wire.step(204.0), []);
}

#[test]
fn gripper_changes_no_sooner_than_its_debounce() {
    for (wait, right) in [(40, true), (10, false)] {
        let mut wire = Wire::moving(&[]);
        let send = |wire: &mut Wire, gripper: &str, wait: u64| {
            wire.pass(wait);
            let found = wire.line(&command(205.0, gripper));
            wire.reply(OK);
            found
        };
        assert_eq!(send(&mut wire, "closed", 10), []);
        for _ in 0..25 {
            assert_eq!(send(&mut wire, "closed", 10), []);
        }
        let found = send(&mut wire, "open", wait);
        if right {
            assert_eq!(found, [])
        } else {
            assert_only(&found, Rule::Gripper, "at least 0.300 s required")
        }
    }
}

#[test]
fn gripper_returns_immediately_only_after_a_refusal() {
    for (reply, right) in [(ERROR, true), (OK, false)] {
        let mut wire = Wire::moving(&[]);
        for _ in 0..40 {
            assert_eq!(wire.command(205.0), []);
            wire.reply(OK);
        }
        wire.pass(10);
        assert_eq!(wire.line(&command(205.0, "closed")), []);
        wire.reply(reply);
        wire.pass(10);
        let found = wire.line(&command(205.0, "open"));
        if !right {
            assert_only(&found, Rule::Gripper, "at least 0.300 s required");
            continue;
        }
        assert_eq!(found, []);
        wire.reply(OK);
        // A requested state must last for its debounce time again.
        wire.pass(20);
        assert_only(&wire.line(&command(205.0, "closed")), Rule::Gripper, "at least 0.100 s required");
    }
}

#[test]
fn new_rules_apply_to_later_lines_only() {
    let mut wire = Wire::moving(&[]);
    let slower: [Setting; 2] =
        ["limits.approach_speed:=0.05", "limits.speed:=0.05"].map(|text| text.parse().unwrap());
    wire.monitor.handle_rules(wire.monitor.rules().with(&slower).unwrap());
    assert_eq!((wire.step(206.0), wire.step(206.5)), (vec![], vec![]));
    assert_only(&wire.step(209.0), Rule::Speed, "1.000 mm allowed");
}

#[test]
fn violation_is_one_line_of_json() {
    let mut wire = Wire::moving(&[]);
    let found = wire.step(250.0);
    assert_eq!(
        found[0].to_string(),
        r#"{"before":"{\"type\":\"command\",\"x\":205.0,\"y\":0.0,\"z\":200.0,\"gripper\":\"open\"}","connection":0,"line":"{\"type\":\"command\",\"x\":250.0,\"y\":0.0,\"z\":200.0,\"gripper\":\"open\"}","violation":"speed","why":"45.000 mm in at most 0.0200 s, 5.000 mm allowed"}"#
    );
}

#[test]
fn exact_times_leave_no_tolerance() {
    let limits = Rules::default().motion;
    let start = Instant::now();
    let at = |milliseconds: u64, x: f64| {
        let at = start + Duration::from_millis(milliseconds);
        let position = Position::new(x, 0.0, 0.2).unwrap();
        let command = Command { position, gripper: Gripper::Open, orientation: None };
        TimedCommand { command, not_before: Some(at), at, line: format!("to {x}") }
    };
    let mut monitor = MotionMonitor::new(limits.clone());
    let home = [limits.home];
    assert_eq!(monitor.check(&at(0, 0.202), Step::Start, &home), []);
    assert_only(
        &monitor.check(&at(0, 0.2021), Step::Start, &home),
        Rule::Approach,
        "begins 2.100 mm from the arm",
    );
    monitor.handle_sent(at(0, 0.202));
    assert_eq!(monitor.check(&at(20, 0.204), Step::Approach, &home), []);
    let found = monitor.check(&at(20, 0.2041), Step::Approach, &home);
    assert_only(&found, Rule::Speed, "2.100 mm in at most 0.0200 s, 2.000 mm allowed");
    assert_eq!(found[0].before.as_deref(), Some("to 0.202"));
    assert_eq!(monitor.check(&at(20, 0.207), Step::Continue, &home), []);
    assert_only(&monitor.check(&at(20, 0.2071), Step::Continue, &home), Rule::Speed, "5.000 mm allowed");
    // Tighter limits apply to the next step. On a new connection, no earlier command limits the
    // first step.
    let slower: Setting = "workspace.max:=[0.203, 0.1, 0.3]".parse().unwrap();
    monitor.handle_limits(Rules::default().with([&slower]).unwrap().motion);
    assert_only(&monitor.check(&at(20, 0.204), Step::Approach, &home), Rule::Workspace, "outside");
    monitor.handle_connected();
    assert_eq!(monitor.check(&at(20, 0.15), Step::Continue, &home), []);
}

/// A physical arm, and the monitor of its motion.
struct Bench {
    monitor: ArmMonitor,
    arm: PhysicalArm,
    now: Instant,
}

impl Bench {
    fn new(change: impl FnOnce(&mut PhysicalConfig)) -> Self {
        let (mut config, now) = (PhysicalConfig::default(), Instant::now());
        change(&mut config);
        Self { monitor: ArmMonitor::new(&Rules::default()), arm: PhysicalArm::new(now, config), now }
    }

    fn pass(&mut self, milliseconds: u64) -> Vec<Violation> {
        self.now += Duration::from_millis(milliseconds);
        self.arm.handle_timeout(self.now);
        self.monitor.handle_time(self.now, &self.arm)
    }

    fn order(&mut self, connection: usize, order: Order, gone: bool) -> Vec<Violation> {
        let found = self.monitor.handle_order(connection, "the line", &order, &self.arm, gone);
        self.arm.handle_order(self.now, &order).verdict.unwrap();
        self.monitor.handle_obeyed(connection, "the line", &order, &self.arm);
        found
    }

    fn to(&mut self, millimetres: f64) -> Vec<Violation> {
        self.order(0, bench_order(millimetres), false)
    }
}

fn bench_order(millimetres: f64) -> Order {
    let position = Position::new(millimetres / 1e3, 0.0, 0.2).unwrap();
    Order::Command(Command { position, gripper: Gripper::Open, orientation: None })
}

#[test]
fn arm_in_small_steps_has_no_violation() {
    let mut bench = Bench::new(|config| config.speed = 0.05);
    for step in 1..40 {
        assert_eq!(bench.to(200.0 + 5.0 * f64::from(step)), []);
        assert_eq!(bench.pass(20), []);
    }
    // The slow arm continues until it reaches its last command.
    assert_eq!(bench.pass(3000), []);
}

#[test]
fn one_line_moves_arm_at_most_one_step() {
    let mut bench = Bench::new(|_| {});
    assert_only(&bench.to(300.0), Rule::Jump, "moves the arm by 100.0 mm, 35.0 mm allowed");
    // If an arm reports nothing, an operator may have confirmed its position. So the first command
    // may be far from the arm, but no later command.
    let mut bench = Bench::new(|config| config.reports = Reports::default());
    assert_eq!(bench.to(300.0), []);
    assert_only(&bench.to(400.0), Rule::Jump, "moves the arm by");
}

#[test]
fn repeated_line_never_moves_a_displaced_arm() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(bench.to(205.0), []);
    assert_eq!(bench.pass(100), []);
    assert_eq!(bench.to(205.0), []);
    bench.arm.handle_moved_by_person(bench.now, Position::new(0.24, 0.0, 0.2).unwrap(), 1.0);
    assert_eq!(bench.pass(1000), []);
    assert_only(&bench.to(205.0), Rule::Repeat, "moves the arm by 35.0 mm, 10.0 mm allowed");
}

#[test]
fn disconnected_client_moves_no_arm() {
    let mut bench = Bench::new(|_| {});
    let found = bench.order(0, bench_order(205.0), true);
    assert_only(&found, Rule::Alone, "executes a command of a client that has closed its connection");
}

#[test]
fn motion_after_a_stop_is_reported_once() {
    let mut bench = Bench::new(|config| config.speed = 0.01);
    bench.to(240.0);
    assert_eq!(bench.pass(100), []);
    // The stop is accepted, but not executed.
    bench.monitor.handle_obeyed(0, "the line", &Order::Stop, &bench.arm);
    assert_only(
        &bench.pass(100),
        Rule::Stop,
        "the arm has moved by 1.0 mm since the controller accepted a stop",
    );
    assert_eq!(bench.pass(100), []);
}

#[test]
fn arm_moves_no_longer_than_its_last_line() {
    let mut bench = Bench::new(|_| {});
    bench.to(205.0);
    assert_eq!(bench.pass(100), []);
    // A motion that no line has caused.
    bench.arm.handle_order(bench.now, &bench_order(240.0));
    assert_only(
        &bench.pass(5000),
        Rule::Alone,
        "the arm still moves: 35.0 mm after the motion of its last line ended",
    );
}
