//! Each rule, red on a stream that breaks it and green on one that keeps it, in virtual time.
#![allow(clippy::disallowed_methods)] // a first instant; time goes on by hand

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

/// A bridge and a controller on one connection after the other, by the defaults: home is at x = 200 mm, an approach
/// begins with 2 mm, and a period of 10 ms has room for 2.5 mm.
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

    /// A connection that has come to x = 205 mm and is in motion, a command every 10 ms.
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

    /// Time in which the socket is looked at and nothing comes.
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

    /// A command 10 ms after the last reply.
    fn command(&mut self, x: f64) -> Vec<Violation> {
        self.pass(10);
        self.line(&command(x, "open"))
    }

    /// A command, answered at once.
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

/// What was found is one violation, of this rule, with this in its words; and how it is told.
fn assert_only(found: &[Violation], rule: Rule, words: &str) {
    assert!(found.len() == 1 && found[0].rule == rule && found[0].why.contains(words), "{found:?}");
}

#[test]
fn motion_within_the_limits_is_right() {
    let mut wire = Wire::moving(&[]);
    for number in 0..200 {
        assert_eq!(wire.step(205.0 + 0.4 * f64::from(number)), []);
    }
}

#[test]
fn a_line_is_byte_for_byte_as_the_protocol_has_it() {
    let mut wire = Wire::new(&[]);
    for (line, words) in [
        ("nonsense", "not a JSON object"),
        (r#"{"type":"command","x":200.0,"y":0.0,"z":200.0}"#, "gripper is missing"),
        (
            r#"{"type":"command","x":200,"y":0.0,"z":200.0,"gripper":"open"}"#,
            r#"as {"type":"command","x":200.0,"#,
        ),
        (r#"{"type": "command","x":200.0,"y":0.0,"z":200.0,"gripper":"open"}"#, "the protocol has it as"),
        (r#"{"type":"command","x":200.0004,"y":0.0,"z":200.0,"gripper":"open"}"#, r#""x":200.0,"#),
        (r#"{"type":"command","x":200.0,"x":200.0,"y":0.0,"z":200.0,"gripper":"open"}"#, "duplicate"),
        (r#"{"type":"command","x":200.0,"y":-0.0,"z":200.0,"gripper":"open"}"#, r#""y":0.0"#),
        (
            r#"{"type":"command","x":200.0,"y":0.0,"z":200.0,"gripper":"open","a":1}"#,
            "the protocol has it as",
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
fn stops_and_heartbeats_come_where_they_are_asked_for() {
    for (line, setting) in [(STOP, "teleop.hold_behavior:=stop"), (HEARTBEAT, "link.heartbeat.period:=0.1")] {
        assert_only(&Wire::new(&[]).line(line), Rule::Asked, "no parameter asks");
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
    // A line that the network has held back comes after those of the next connection, and must be older.
    wire.reconnect();
    assert_eq!(wire.line(&line(9)), []);
    wire.reply(OK);
    wire.connection = 1;
    assert_eq!(wire.line(&line(8)), []);
    wire.reply(OK);
    assert_only(&wire.line(&line(9)), Rule::Numbering, "line 9 on a connection before that of line 9");
    wire.connection = 2;
    wire.reply(OK);
    assert_only(&wire.line(&command(202.0, "open")), Rule::Form, r#""seq":0"#);
}

#[test]
fn nothing_but_a_stop_is_sent_while_a_line_is_unanswered() {
    let mut wire = Wire::moving(&["teleop.hold_behavior:=stop"]);
    assert_eq!(wire.command(206.0), []);
    assert_eq!(wire.line(STOP), []);
    assert_only(&wire.command(206.0), Rule::Pace, "2 lines unanswered, where 1 may be");
    let mut wire = Wire::moving(&["link.max_in_flight:=2"]);
    assert_eq!((wire.command(206.0), wire.command(207.0)), (vec![], vec![]));
    assert_only(&wire.command(207.0), Rule::Pace, "2 lines unanswered, where 2 may be");
}

#[test]
fn what_waits_behind_a_line_was_sent_before_its_reply() {
    let mut wire = Wire::moving(&["teleop.hold_behavior:=stop"]);
    assert_eq!(wire.command(206.0), []);
    let (stop, command) = (format!("{STOP}\n"), format!("{}\n", command(207.0, "open")));
    assert_eq!(wire.monitor.handle_ahead(0, b""), []);
    assert_eq!(wire.monitor.handle_ahead(0, stop.as_bytes()), []);
    assert_eq!(wire.monitor.handle_ahead(0, b"{\"type\":"), []);
    assert_only(&wire.monitor.handle_ahead(0, command.as_bytes()), Rule::Pace, "1 lines unanswered");
}

#[test]
fn what_is_no_reply_answers_nothing() {
    for text in [&b"{\"status\":\"maybe\"}\n"[..], b"{\"status\":\"o", b"\xff\n"] {
        let mut wire = Wire::moving(&[]);
        assert_eq!(wire.command(206.0), []);
        wire.reply(text);
        assert_only(&wire.command(207.0), Rule::Pace, "1 lines unanswered");
    }
}

#[test]
fn a_command_is_inside_the_workspace() {
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
fn straight_way_between_commands_is_free() {
    // A box as thin as a sheet, between two commands of which neither is in it.
    let thin = "workspace.keep_out:=[0.2010, -0.1, 0.0, 0.2011, 0.1, 0.4]";
    let mut wire = Wire::new(&[thin]);
    assert_eq!(wire.step(200.5), []);
    assert_only(&wire.step(202.0), Rule::Workspace, "the way there cuts keep-out box 1");
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
    assert_only(&found, Rule::Workspace, "the way there passes the base at 48.");
    assert_only(&found, Rule::Workspace, "mm, 50.000 mm allowed");
}

#[test]
fn a_step_is_no_longer_than_there_was_time_for() {
    let mut wire = Wire::moving(&[]);
    // From before the reply to the line before the last: 20 ms.
    assert_eq!(wire.step(210.0), []);
    let found = wire.step(215.1);
    assert_only(&found, Rule::Speed, "5.100 mm in at most 0.0200 s, 5.000 mm allowed");
    assert_eq!(found[0].before.as_deref(), Some(command(210.0, "open").as_str()));
}

#[test]
fn many_steps_are_not_a_little_too_long() {
    let mut wire = Wire::moving(&[]);
    // 20 % too fast: a single step of 3 mm may have had the time that it needs.
    let first = (0..40)
        .map(|number| (number, wire.step(205.0 + 3.0 * f64::from(number + 1))))
        .find(|(_, found)| !found.is_empty());
    let (number, found) = first.expect("120 mm in 0.4 s");
    assert_only(&found, Rule::Speed, "allowed");
    assert!((5..=40).contains(&number), "{number}");
}

#[test]
fn a_look_at_an_empty_socket_tells_that_the_line_was_sent_later() {
    let mut wire = Wire::moving(&[]);
    wire.pause(100);
    assert_eq!(wire.line(&command(206.0, "open")), []);
    wire.reply(OK);
    assert_only(&wire.step(210.0), Rule::Speed, "in at most 0.0150 s");
}

#[test]
fn a_pause_in_mid_motion_is_no_credit() {
    // Motion goes on for 0.2 s without a target: 50 mm. But a step is no longer than 0.1 s leads.
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
fn the_way_back_from_commands_that_were_refused_may_be_long() {
    let mut wire = Wire::moving(&[]);
    for number in 1..=25 {
        assert_eq!(wire.command(205.0 + 2.4 * f64::from(number)), []);
        wire.reply(ERROR);
    }
    wire.pause(1000);
    assert_eq!(wire.step(206.0), []);
}

#[test]
fn the_first_motion_of_all_begins_at_home() {
    assert_eq!(Wire::new(&[]).step(198.0), []);
    assert_only(&Wire::new(&[]).step(197.9), Rule::Approach, "the first after a new connection is 2.100 mm");
    assert_only(&Wire::new(&["limits.approach_speed:=0.05"]).step(198.0), Rule::Approach, "1.000 mm allowed");
}

#[test]
fn a_motion_on_a_new_connection_begins_where_a_command_was_acknowledged() {
    let mut wire = Wire::moving(&[]);
    wire.reconnect();
    // It has the reply to 204, since 205 followed.
    assert_only(&wire.step(201.9), Rule::Approach, "a new connection is 2.100 mm");

    let mut wire = Wire::moving(&[]);
    wire.step(211.0);
    wire.reconnect();
    // The last reply may have been lost, or not.
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
    // That 211 was acknowledged is known by the line that followed.
    assert_only(&wire.step(205.0), Rule::Approach, "6.000 mm");

    // Not so where it may have followed before the reply.
    let mut wire = Wire::moving(&["link.max_in_flight:=2"]);
    assert_eq!((wire.step(206.0), wire.step(209.0)), (vec![], vec![]));
    wire.reconnect();
    assert_eq!(wire.step(203.5), []);
}

#[test]
fn a_silence_or_a_late_reply_is_followed_by_an_approach() {
    let mut wire = Wire::moving(&[]);
    wire.pause(520);
    assert_only(&wire.step(208.0), Rule::Approach, "a silence of 0.52 s is 3.000 mm");
    let mut wire = Wire::moving(&[]);
    wire.pause(520);
    assert_eq!(wire.step(207.0), []);

    // It may have been sent at once, and have waited for a controller that was stopped.
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
fn heartbeats_break_no_silence_but_may_be_what_is_waited_for() {
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
fn after_a_stop_motion_begins_where_the_arm_has_stopped() {
    let stopped = b"{\"status\":\"ok\",\"position\":{\"x\":203.0,\"y\":0.0,\"z\":200.0}}\n";
    for (reply, from) in [(OK, 205.0), (stopped, 203.0)] {
        let mut wire = Wire::moving(&["teleop.hold_behavior:=stop"]);
        assert_eq!(wire.line(STOP), []);
        wire.reply(reply);
        assert_only(&wire.step(from + 2.1), Rule::Approach, "the first after a stop is 2.100 mm");
        let mut wire = Wire::moving(&["teleop.hold_behavior:=stop"]);
        assert_eq!(wire.line(STOP), []);
        wire.reply(reply);
        assert_eq!(wire.step(from - 2.0), []);
    }
}

#[test]
fn an_arm_that_others_have_moved_is_approached_from_where_it_is_seen() {
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
fn nothing_of_a_dead_connection_is_sent_on_the_next() {
    // What the last command was, how long ago, and what the next connection begins with.
    let replay = |last: f64, pause: u64, first: [f64; 2]| {
        let mut wire = Wire::moving(&[]);
        assert_eq!(wire.command(last), []);
        wire.pause(pause);
        wire.reconnect();
        assert_eq!(wire.step(first[0]), []);
        wire.step(first[1])
    };
    // One step from where the arm is, and a replay all the same.
    let found = replay(206.0, 600, [206.0, 207.0]);
    assert_only(&found, Rule::Replay, "the last of the one before, 0.59 s later");
    assert_eq!(found[0].line, command(206.0, "open"));
    // At once it may be for the same target.
    assert_eq!(replay(206.0, 400, [206.0, 207.0]), []);
    // An arm that stands may be told to stand there.
    assert_eq!(replay(205.0, 600, [205.0, 206.0]), []);
    assert_eq!(replay(206.0, 600, [206.0, 206.0]), []);
    assert_eq!(replay(206.0, 600, [206.5, 207.0]), []);

    // A controller that was gone knows for how long it was.
    let mut wire = Wire::moving(&[]);
    wire.pass(600);
    wire.monitor.handle_listening(wire.now);
    wire.reconnect();
    assert_eq!(wire.step(205.0), []);
    assert_only(&wire.step(206.0), Rule::Replay, "0.60 s later");
}

#[test]
fn what_is_read_late_of_a_dead_connection_is_judged_by_itself() {
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
fn the_gripper_changes_no_sooner_than_its_debounce() {
    for (wait, right) in [(40, true), (10, false)] {
        let mut wire = Wire::moving(&[]);
        let say = |wire: &mut Wire, gripper: &str, wait: u64| {
            wire.pass(wait);
            let found = wire.line(&command(205.0, gripper));
            wire.reply(OK);
            found
        };
        assert_eq!(say(&mut wire, "closed", 10), []);
        for _ in 0..25 {
            assert_eq!(say(&mut wire, "closed", 10), []);
        }
        let found = say(&mut wire, "open", wait);
        if right { assert_eq!(found, []) } else { assert_only(&found, Rule::Gripper, "not before 0.300 s") }
    }
}

#[test]
fn gripper_goes_back_at_once_only_after_a_refusal() {
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
            assert_only(&found, Rule::Gripper, "not before 0.300 s");
            continue;
        }
        assert_eq!(found, []);
        wire.reply(OK);
        // What is wanted has to stand again.
        wire.pass(20);
        assert_only(&wire.line(&command(205.0, "closed")), Rule::Gripper, "not before 0.100 s");
    }
}

#[test]
fn other_rules_hold_from_when_they_are_told() {
    let mut wire = Wire::moving(&[]);
    let slower: [Setting; 2] =
        ["limits.approach_speed:=0.05", "limits.speed:=0.05"].map(|text| text.parse().unwrap());
    wire.monitor.handle_rules(wire.monitor.rules().with(&slower).unwrap());
    assert_eq!((wire.step(206.0), wire.step(206.5)), (vec![], vec![]));
    assert_only(&wire.step(209.0), Rule::Speed, "1.000 mm allowed");
}

#[test]
fn a_violation_is_told_as_a_line_of_json() {
    let mut wire = Wire::moving(&[]);
    let found = wire.step(250.0);
    assert_eq!(
        found[0].to_string(),
        r#"{"before":"{\"type\":\"command\",\"x\":205.0,\"y\":0.0,\"z\":200.0,\"gripper\":\"open\"}","connection":0,"line":"{\"type\":\"command\",\"x\":250.0,\"y\":0.0,\"z\":200.0,\"gripper\":\"open\"}","violation":"speed","why":"45.000 mm in at most 0.0200 s, 5.000 mm allowed"}"#
    );
}

#[test]
fn exact_times_leave_no_room_beyond_each_limit() {
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
    assert_only(&monitor.check(&at(0, 0.2021), Step::Start, &home), Rule::Approach, "begins 2.100 mm away");
    monitor.handle_sent(at(0, 0.202));
    assert_eq!(monitor.check(&at(20, 0.204), Step::Approach, &home), []);
    let found = monitor.check(&at(20, 0.2041), Step::Approach, &home);
    assert_only(&found, Rule::Speed, "2.100 mm in at most 0.0200 s, 2.000 mm allowed");
    assert_eq!(found[0].before.as_deref(), Some("to 0.202"));
    assert_eq!(monitor.check(&at(20, 0.207), Step::Continue, &home), []);
    assert_only(&monitor.check(&at(20, 0.2071), Step::Continue, &home), Rule::Speed, "5.000 mm allowed");
    // Tighter limits hold for the next step, and none leads over to a new connection.
    let slower: Setting = "workspace.max:=[0.203, 0.1, 0.3]".parse().unwrap();
    monitor.handle_limits(Rules::default().with([&slower]).unwrap().motion);
    assert_only(&monitor.check(&at(20, 0.204), Step::Approach, &home), Rule::Workspace, "outside");
    monitor.handle_connected();
    assert_eq!(monitor.check(&at(20, 0.15), Step::Continue, &home), []);
}

/// A physical arm, and what the judge says of its motion.
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
fn arm_that_is_led_step_by_step_moves_right() {
    let mut bench = Bench::new(|config| config.speed = 0.05);
    for step in 1..40 {
        assert_eq!(bench.to(200.0 + 5.0 * f64::from(step)), []);
        assert_eq!(bench.pass(20), []);
    }
    // The slow arm goes on for what it is behind.
    assert_eq!(bench.pass(3000), []);
}

#[test]
fn one_line_leads_the_arm_no_farther_than_a_step() {
    let mut bench = Bench::new(|_| {});
    assert_only(&bench.to(300.0), Rule::Leap, "leads the arm 100.0 mm away, 35.0 mm allowed");
    // An arm that reports nothing may be sent home by a person's word, and then no farther.
    let mut bench = Bench::new(|config| config.reports = Reports::default());
    assert_eq!(bench.to(300.0), []);
    assert_only(&bench.to(400.0), Rule::Leap, "leads the arm");
}

#[test]
fn repeated_line_moves_no_arm_that_others_have_moved() {
    let mut bench = Bench::new(|_| {});
    assert_eq!(bench.to(205.0), []);
    assert_eq!(bench.pass(100), []);
    assert_eq!(bench.to(205.0), []);
    bench.arm.handle_moved_by_person(bench.now, Position::new(0.24, 0.0, 0.2).unwrap(), 1.0);
    assert_eq!(bench.pass(1000), []);
    assert_only(&bench.to(205.0), Rule::Repeat, "leads the arm 35.0 mm away, 10.0 mm allowed");
}

#[test]
fn arm_obeys_no_client_that_has_gone() {
    let mut bench = Bench::new(|_| {});
    let found = bench.order(0, bench_order(205.0), true);
    assert_only(&found, Rule::Alone, "obeys a client that has closed its connection");
}

#[test]
fn arm_that_goes_on_after_a_stop_is_told_once() {
    let mut bench = Bench::new(|config| config.speed = 0.01);
    bench.to(240.0);
    assert_eq!(bench.pass(100), []);
    // Taken, and not obeyed.
    bench.monitor.handle_obeyed(0, "the line", &Order::Stop, &bench.arm);
    assert_only(&bench.pass(100), Rule::Stop, "the arm has gone 1.0 mm since it took a stop");
    assert_eq!(bench.pass(100), []);
}

#[test]
fn arm_moves_no_longer_than_its_last_line_needs() {
    let mut bench = Bench::new(|_| {});
    bench.to(205.0);
    assert_eq!(bench.pass(100), []);
    // Some way on which no line leads.
    bench.arm.handle_order(bench.now, &bench_order(240.0));
    assert_only(&bench.pass(5000), Rule::Alone, "the arm still moves, 35.0 mm since its last line was done");
}
