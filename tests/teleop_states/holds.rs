//! Tests of the lines that the controller receives during a hold, and of the gripper during a hold.

use aether_bridge::arm::{Gripper, ReportedState};
use aether_bridge::config::Value;
use aether_bridge::teleop::{CommandKind, GripperInput, LinkView, Motion, ReportAbout};

use crate::scene::{Scene, at, config, text};

fn holding(line: &str) -> Scene {
    holding_with(line, &[])
}

fn holding_with(line: &str, settings: &[(&str, Value)]) -> Scene {
    let mut scene = Scene::tracking(&[&[("teleop.hold_behavior", text(line))], settings].concat());
    scene.hand = [0.28, 0.0, 0.2];
    scene.move_for(200);
    assert!(scene.stops.is_empty());
    scene
}

#[test]
fn hold_is_silent_by_default() {
    let mut scene = holding("silent");
    let count = scene.sent.len();
    scene.wait(190);
    scene.wait(1000);
    assert_eq!(scene.motion(), Motion::Holding);
    let on_the_way = scene.sent.len() - count;
    assert!(on_the_way < 11 && scene.stops.is_empty(), "{on_the_way}");
}

#[test]
fn hold_sends_one_stop_line_first() {
    let mut scene = holding("stop");
    scene.wait(1000);
    assert_eq!(scene.stops, [scene.sent.len()]);
    scene.move_for(1000);
    assert_eq!((scene.motion(), scene.stops.len()), (Motion::Tracking, 1));
    scene.wait(1000);
    assert_eq!(scene.stops.len(), 2);
}

#[test]
fn gap_without_timeout_call_is_a_hold() {
    let mut scene = holding("stop");
    scene.now += config(&[]).input_timeout;
    let count = scene.sent.len();
    scene.target();
    assert_eq!((scene.motion(), scene.stops.as_slice()), (Motion::Approach, [count].as_slice()));
    scene.wait(20);
    assert!(scene.sent[count..].iter().all(|(_, planned)| planned.kind == CommandKind::Approach));
}

#[test]
fn disarm_stop_and_shutdown_send_stop_lines() {
    let mut scene = holding("stop");
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    scene.send();
    assert_eq!(scene.stops.len(), 1);
    // A stop request sends a stop line even if motion is already held.
    scene.teleop.handle_stop();
    scene.send();
    assert_eq!(scene.stops.len(), 2);
    scene.teleop.handle_reset();
    scene.send();
    assert_eq!(scene.stops.len(), 2, "nothing was moving");
    for _ in 0..2 {
        scene.teleop.handle_shutdown(scene.now);
        scene.send();
        assert_eq!(scene.stops.len(), 3, "once, at the first call");
    }
}

#[test]
fn reset_during_motion_sends_a_stop_line() {
    let mut scene = holding("stop");
    scene.teleop.handle_reset();
    scene.send();
    assert_eq!((scene.motion(), scene.stops.len()), (Motion::Disarmed, 1));
}

#[test]
fn due_stop_line_ends_with_its_connection() {
    let mut scene = holding("stop");
    scene.link(LinkView::Down);
    assert!(!scene.teleop.poll_stop_line());
    scene.teleop.handle_stop();
    assert!(!scene.teleop.poll_stop_line());
    scene.link(LinkView::Ready);
    assert!(!scene.teleop.poll_stop_line());
    // A controller that does not reply may still read.
    scene.link(LinkView::Unresponsive);
    scene.teleop.handle_stop();
    assert!(scene.teleop.poll_stop_line());
    scene.link(LinkView::Down);
    assert!(!scene.teleop.poll_stop_line());
}

#[test]
fn no_command_precedes_a_due_stop_line() {
    let mut scene = holding("stop");
    let [x, y, z] = scene.hand;
    scene.now += std::time::Duration::from_millis(500);
    scene.teleop.handle_timeout(scene.now);
    let target = aether_bridge::teleop::Target::new(x, y, z, None).unwrap();
    scene.teleop.handle_target(scene.now, target).unwrap();
    assert_eq!(scene.motion(), Motion::Approach);
    assert_eq!(scene.teleop.poll_command_at(scene.now), None);
    assert_eq!(scene.teleop.poll_command(scene.now), None);
    scene.send();
    assert_eq!((scene.stops.len(), scene.sent.last().unwrap().1.kind), (1, CommandKind::Approach));
}

#[test]
fn approach_after_stop_starts_at_reported_position() {
    let mut scene = holding("stop");
    scene.replies = false;
    let answered = scene.sent.len();
    scene.wait(500);
    let count = scene.sent.len();
    for (_, planned) in &scene.sent[answered..] {
        scene.teleop.handle_acknowledged(scene.now, &planned.command);
    }
    scene.move_for(500);
    assert_eq!(scene.sent.len(), count, "the position at which the arm stopped is still unknown");
    let stopped = ReportedState { position: Some(at(0.21, 0.01, 0.2)), ..ReportedState::default() };
    scene.teleop.handle_report(scene.now, 0, ReportAbout::Stopped, Some(&stopped));
    scene.teleop.handle_stop_answered(true);
    (scene.arm, scene.replies) = (at(0.21, 0.01, 0.2), true);
    scene.move_for(10);
    assert!(
        scene.positions()[count].distance(at(0.21, 0.01, 0.2)) <= 0.004,
        "{:?}",
        scene.positions()[count]
    );
}

#[test]
fn hold_repeats_last_command_at_command_rate() {
    let mut scene = holding("repeat");
    scene.wait(190);
    scene.teleop.handle_stop();
    let held = scene.sent.len();
    let last = scene.sent[held - 1].1.command;
    scene.wait(1000);
    let repeated = &scene.sent[held..];
    assert!((48..=51).contains(&repeated.len()), "{}", repeated.len());
    assert!(
        repeated
            .iter()
            .all(|(_, planned)| planned.command == last && planned.kind == CommandKind::Repetition)
    );
    assert_eq!(repeated[0].1.altered_by().collect::<Vec<_>>(), ["repeated"]);
    // A controller that is unresponsive gets no repetitions, and neither does the next connection.
    let count = |scene: &mut Scene| {
        let before = scene.sent.len();
        scene.wait(100);
        scene.sent.len() - before
    };
    scene.link(LinkView::Unresponsive);
    assert_eq!(count(&mut scene), 0);
    scene.link(LinkView::Ready);
    scene.send();
    assert_eq!(count(&mut scene), 5);
    scene.link(LinkView::Down);
    scene.link(LinkView::Ready);
    assert_eq!(count(&mut scene), 0);
}

/// Creates a scene that holds and has sent repetitions.
fn repeating() -> Scene {
    let mut scene = holding("repeat");
    scene.wait(1000);
    assert!(scene.sent.last().is_some_and(|(_, planned)| planned.kind == CommandKind::Repetition));
    scene
}

/// Returns whether the bridge repeats a command within the next 3 s.
fn repeats(scene: &mut Scene) -> bool {
    scene.send();
    let count = scene.sent.len();
    scene.wait(3000);
    scene.sent.len() > count
}

#[test]
fn refused_command_is_not_repeated_until_accepted() {
    // An operator clears the controller's fault. The arm must not move then.
    let mut scene = repeating();
    scene.replies = false;
    scene.wait(20);
    scene.teleop.handle_rejected(scene.now);
    scene.replies = true;
    assert!(!repeats(&mut scene));
    // The next motion sends another command.
    scene.move_for(1500);
    assert!(repeats(&mut scene));
}

#[test]
fn position_is_requested_before_a_repetition() {
    let mut scene = holding_with("repeat", &[("link.heartbeat.period", Value::Real(60.0))]);
    scene.wait(1000);
    assert!(repeats(&mut scene));
    // The process was stalled for two seconds, and an operator has moved the arm.
    scene.now += std::time::Duration::from_secs(2);
    scene.replies = false;
    assert!(scene.teleop.poll_command(scene.now).is_none());
    assert!(scene.teleop.poll_question_at(scene.now).is_some_and(|due| due <= scene.now));
    let [x, y, z] = scene.arm.coordinates();
    scene.arm = at(x, y + 0.1, z);
    scene.replies = true;
    assert!(!repeats(&mut scene));
}

#[test]
fn moving_arm_gets_no_repetition() {
    let mut scene = repeating();
    scene.report(scene.arm, Some(true));
    assert!(!repeats(&mut scene));
}

#[test]
fn repetition_never_changes_the_gripper() {
    let mut scene = repeating();
    scene.wait(2000);
    scene.report_gripper(Gripper::Closed);
    assert!(!repeats(&mut scene));
}

#[test]
fn command_without_reply_is_not_repeated() {
    let mut scene = repeating();
    scene.replies = false;
    scene.wait(20);
    assert!(!repeats(&mut scene));
}

#[test]
fn disarm_ends_repetition_also_after_rearming() {
    // An operator has moved the arm meanwhile.
    let mut scene = repeating();
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    assert!(!repeats(&mut scene));
    scene.set_armed().unwrap();
    assert_eq!(scene.motion(), Motion::Holding);
    assert!(!repeats(&mut scene));
    // A stop request is also a hold. Its release is not.
    let mut scene = repeating();
    scene.teleop.handle_stop();
    assert!(repeats(&mut scene));
    scene.teleop.handle_reset();
    assert!(!repeats(&mut scene));
}

#[test]
fn late_reply_after_disarm_starts_no_repetition() {
    let mut scene = repeating();
    scene.replies = false;
    scene.wait(20);
    let (_, last) = *scene.sent.last().unwrap();
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    scene.set_armed().unwrap();
    scene.teleop.handle_acknowledged(scene.now, &last.command);
    scene.replies = true;
    assert!(!repeats(&mut scene));
}

#[test]
fn silent_hold_is_not_repeated_after_changed_setting() {
    let mut scene = holding("silent");
    scene.wait(1000);
    let config = config(&[("teleop.hold_behavior", text("repeat"))]);
    scene.teleop.handle_config(scene.now, config);
    assert!(!repeats(&mut scene));
}

#[test]
fn unrelated_settings_do_not_end_repetition() {
    let mut scene = repeating();
    let slower = config(&[("teleop.hold_behavior", text("repeat")), ("limits.speed", Value::Real(0.2))]);
    scene.teleop.handle_config(scene.now, slower);
    assert!(repeats(&mut scene));
    // A setting that is changed during motion applies to the next hold.
    let mut scene = holding("silent");
    scene.teleop.handle_config(scene.now, config(&[("teleop.hold_behavior", text("repeat"))]));
    scene.wait(1000);
    assert!(repeats(&mut scene));
}

#[test]
fn shutdown_ends_repetition() {
    let mut scene = holding("repeat");
    scene.teleop.handle_shutdown(scene.now);
    let count = scene.sent.len();
    scene.wait(1000);
    assert_eq!(scene.sent.len(), count);
}

#[test]
fn gripper_change_is_sent_before_next_period() {
    let rate = ("teleop.command_rate", Value::Real(2.0));
    let mut scene = Scene::tracking(&[rate, ("teleop.settle_time", Value::Real(0.1))]);
    scene.move_for(500);
    scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(Gripper::Closed));
    let (asked, count) = (scene.now, scene.sent.len());
    scene.move_for(110);
    let (sent_at, planned) =
        scene.sent[count..].iter().find(|(_, p)| p.command.gripper == Gripper::Closed).unwrap();
    assert_eq!((*sent_at - asked).as_millis(), 100, "the debounce time, without a wait for the next command");
    assert_eq!(planned.command.position, at(0.2, 0.0, 0.2));
}

#[test]
fn gripper_stays_while_disarmed() {
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(Gripper::Closed));
    scene.move_for(2000);
    assert!(scene.sent.is_empty());
}

#[test]
fn lost_stop_line_is_due_again() {
    let mut scene = Scene::tracking(&[("teleop.hold_behavior", text("stop"))]);
    scene.replies = false;
    scene.wait(300);
    assert_eq!((scene.motion(), scene.stops.len()), (Motion::Holding, 1));
    scene.teleop.handle_stop_lost();
    scene.send();
    assert_eq!(scene.stops.len(), 2);
    scene.teleop.handle_stop_answered(false);
    scene.replies = true;
    let sent = scene.sent.len();
    scene.move_for(200);
    assert!(scene.sent.len() > sent, "{}", scene.reason());
}

#[test]
fn lost_stop_line_is_dropped_after_motion_begins() {
    let mut scene = Scene::tracking(&[("teleop.hold_behavior", text("stop"))]);
    scene.replies = false;
    scene.wait(300);
    assert_eq!((scene.motion(), scene.stops.len()), (Motion::Holding, 1));
    scene.target();
    assert_eq!(scene.motion(), Motion::Approach);
    let sent = scene.sent.len();
    scene.teleop.handle_stop_lost();
    scene.move_for(50);
    assert_eq!(scene.stops.len(), 1);
    assert!(scene.sent.len() > sent, "{}", scene.reason());
}
