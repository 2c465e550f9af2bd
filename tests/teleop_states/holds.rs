//! What the controller gets to hear while motion is held, and when the gripper is told.

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
fn a_hold_is_silent_unless_asked_otherwise() {
    let mut scene = holding("silent");
    let count = scene.sent.len();
    scene.wait(190);
    scene.wait(1000);
    assert_eq!(scene.motion(), Motion::Holding);
    let on_the_way = scene.sent.len() - count;
    assert!(on_the_way < 11 && scene.stops.is_empty(), "{on_the_way}");
}

#[test]
fn a_stop_line_is_sent_once_for_a_hold_and_before_anything_else() {
    let mut scene = holding("stop");
    scene.wait(1000);
    assert_eq!(scene.stops, [scene.sent.len()]);
    scene.move_for(1000);
    assert_eq!((scene.motion(), scene.stops.len()), (Motion::Tracking, 1));
    scene.wait(1000);
    assert_eq!(scene.stops.len(), 2);
}

#[test]
fn a_gap_that_no_timer_has_told_of_is_a_hold_all_the_same() {
    let mut scene = holding("stop");
    scene.now += config(&[]).input_timeout;
    let count = scene.sent.len();
    scene.target();
    assert_eq!((scene.motion(), scene.stops.as_slice()), (Motion::Approach, [count].as_slice()));
    scene.wait(20);
    assert!(scene.sent[count..].iter().all(|(_, planned)| planned.kind == CommandKind::Approach));
}

#[test]
fn a_disarm_a_stop_request_and_the_end_send_a_stop_line_too() {
    let mut scene = holding("stop");
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    scene.send();
    assert_eq!(scene.stops.len(), 1);
    // A person who asks for a stop is not told that it is held already.
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
fn a_reset_in_motion_sends_a_stop_line() {
    let mut scene = holding("stop");
    scene.teleop.handle_reset();
    scene.send();
    assert_eq!((scene.motion(), scene.stops.len()), (Motion::Disarmed, 1));
}

#[test]
fn what_was_due_on_a_connection_that_is_gone_is_due_no_more() {
    let mut scene = holding("stop");
    scene.link(LinkView::Down);
    assert!(!scene.teleop.poll_stop_line());
    scene.teleop.handle_stop();
    assert!(!scene.teleop.poll_stop_line());
    scene.link(LinkView::Ready);
    assert!(!scene.teleop.poll_stop_line());
    // A controller that does not answer may still listen.
    scene.link(LinkView::Unresponsive);
    scene.teleop.handle_stop();
    assert!(scene.teleop.poll_stop_line());
    scene.link(LinkView::Down);
    assert!(!scene.teleop.poll_stop_line());
}

#[test]
fn nothing_moves_before_a_stop_line_has_gone_out() {
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
fn the_approach_after_a_stop_starts_where_the_controller_says_the_arm_has_stopped() {
    let mut scene = holding("stop");
    scene.answers = false;
    let answered = scene.sent.len();
    scene.wait(500);
    let count = scene.sent.len();
    for (_, planned) in &scene.sent[answered..] {
        scene.teleop.handle_acknowledged(scene.now, &planned.command);
    }
    scene.move_for(500);
    assert_eq!(scene.sent.len(), count, "where the arm has stopped is not known yet");
    let stopped = ReportedState { position: Some(at(0.21, 0.01, 0.2)), ..ReportedState::default() };
    scene.teleop.handle_report(scene.now, 0, ReportAbout::Stopped, Some(&stopped));
    scene.teleop.handle_stop_answered(true);
    (scene.arm, scene.answers) = (at(0.21, 0.01, 0.2), true);
    scene.move_for(10);
    assert!(
        scene.positions()[count].distance(at(0.21, 0.01, 0.2)) <= 0.004,
        "{:?}",
        scene.positions()[count]
    );
}

#[test]
fn repeating_sends_the_last_command_at_command_rate_until_motion_goes_on_or_the_bridge_ends() {
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
    // Nor does an unresponsive or refusing controller get more, nor the next connection anything.
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

/// Motion held with repetitions on, some of them sent.
fn repeating() -> Scene {
    let mut scene = holding("repeat");
    scene.wait(1000);
    assert!(scene.sent.last().is_some_and(|(_, planned)| planned.kind == CommandKind::Repetition));
    scene
}

fn repeats(scene: &mut Scene) -> bool {
    scene.send();
    let count = scene.sent.len();
    scene.wait(3000);
    scene.sent.len() > count
}

#[test]
fn a_command_that_was_refused_is_not_repeated_until_it_is_accepted() {
    // Somebody clears the controller's fault: the arm is not to go off then.
    let mut scene = repeating();
    scene.answers = false;
    scene.wait(20);
    scene.teleop.handle_rejected(scene.now);
    scene.answers = true;
    assert!(!repeats(&mut scene));
    // With the next motion it is another command.
    scene.move_for(1500);
    assert!(repeats(&mut scene));
}

#[test]
fn controller_that_can_be_asked_is_asked_before_a_repetition() {
    let mut scene = holding_with("repeat", &[("link.heartbeat.period", Value::Real(60.0))]);
    scene.wait(1000);
    assert!(repeats(&mut scene));
    // The process was held up for two seconds, and somebody has moved the arm.
    scene.now += std::time::Duration::from_secs(2);
    scene.answers = false;
    assert!(scene.teleop.poll_command(scene.now).is_none());
    assert!(scene.teleop.poll_question_at(scene.now).is_some_and(|due| due <= scene.now));
    let [x, y, z] = scene.arm.coordinates();
    scene.arm = at(x, y + 0.1, z);
    scene.answers = true;
    assert!(!repeats(&mut scene));
}

#[test]
fn nothing_is_repeated_while_the_arm_is_seen_moving() {
    let mut scene = repeating();
    scene.report(scene.arm, Some(true));
    assert!(!repeats(&mut scene));
}

#[test]
fn nothing_is_repeated_that_changes_the_gripper() {
    let mut scene = repeating();
    scene.wait(2000);
    scene.report_gripper(Gripper::Closed);
    assert!(!repeats(&mut scene));
}

#[test]
fn a_command_that_is_not_answered_yet_is_not_repeated() {
    let mut scene = repeating();
    scene.answers = false;
    scene.wait(20);
    assert!(!repeats(&mut scene));
}

#[test]
fn nothing_is_repeated_while_disarmed_nor_when_armed_again() {
    // A person has moved the arm in between.
    let mut scene = repeating();
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    assert!(!repeats(&mut scene));
    scene.set_armed().unwrap();
    assert_eq!(scene.motion(), Motion::Holding);
    assert!(!repeats(&mut scene));
    // A stop request is a hold like another, its release is not.
    let mut scene = repeating();
    scene.teleop.handle_stop();
    assert!(repeats(&mut scene));
    scene.teleop.handle_reset();
    assert!(!repeats(&mut scene));
}

#[test]
fn an_answer_that_comes_after_disarming_makes_nothing_repeat() {
    let mut scene = repeating();
    scene.answers = false;
    scene.wait(20);
    let (_, last) = *scene.sent.last().unwrap();
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    scene.set_armed().unwrap();
    scene.teleop.handle_acknowledged(scene.now, &last.command);
    scene.answers = true;
    assert!(!repeats(&mut scene));
}

#[test]
fn what_was_held_in_silence_is_not_repeated_when_that_is_set_later() {
    let mut scene = holding("silent");
    scene.wait(1000);
    let config = config(&[("teleop.hold_behavior", text("repeat"))]);
    scene.teleop.handle_config(scene.now, config);
    assert!(!repeats(&mut scene));
}

#[test]
fn other_settings_do_not_end_repeating() {
    let mut scene = repeating();
    let slower = config(&[("teleop.hold_behavior", text("repeat")), ("limits.speed", Value::Real(0.2))]);
    scene.teleop.handle_config(scene.now, slower);
    assert!(repeats(&mut scene));
    // What is set in motion is for the next hold.
    let mut scene = holding("silent");
    scene.teleop.handle_config(scene.now, config(&[("teleop.hold_behavior", text("repeat"))]));
    scene.wait(1000);
    assert!(repeats(&mut scene));
}

#[test]
fn repeating_ends_with_the_bridge() {
    let mut scene = holding("repeat");
    scene.teleop.handle_shutdown(scene.now);
    let count = scene.sent.len();
    scene.wait(1000);
    assert_eq!(scene.sent.len(), count);
}

#[test]
fn a_gripper_change_is_sent_at_once_and_not_at_command_rate() {
    let rate = ("teleop.command_rate", Value::Real(2.0));
    let mut scene = Scene::tracking(&[rate, ("teleop.settle_time", Value::Real(0.1))]);
    scene.move_for(500);
    scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(Gripper::Closed));
    let (asked, count) = (scene.now, scene.sent.len());
    scene.move_for(110);
    let (sent_at, planned) =
        scene.sent[count..].iter().find(|(_, p)| p.command.gripper == Gripper::Closed).unwrap();
    assert_eq!((*sent_at - asked).as_millis(), 100, "the debounce time, and no wait for the next command");
    assert_eq!(planned.command.position, at(0.2, 0.0, 0.2));
}

#[test]
fn a_disarmed_or_held_gripper_stays() {
    let mut scene = Scene::tracking(&[]);
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    scene.teleop.handle_gripper(scene.now, GripperInput::Wanted(Gripper::Closed));
    scene.move_for(2000);
    assert!(scene.sent.is_empty());
}

#[test]
fn a_stop_line_that_got_lost_is_due_again_and_keeps_no_later_motion_from_beginning() {
    let mut scene = Scene::tracking(&[("teleop.hold_behavior", text("stop"))]);
    scene.answers = false;
    scene.wait(300);
    assert_eq!((scene.motion(), scene.stops.len()), (Motion::Holding, 1));
    scene.teleop.handle_stop_lost();
    scene.send();
    assert_eq!(scene.stops.len(), 2);
    scene.teleop.handle_stop_answered(false);
    scene.answers = true;
    let sent = scene.sent.len();
    scene.move_for(200);
    assert!(scene.sent.len() > sent, "{}", scene.reason());
}

#[test]
fn a_stop_line_that_got_lost_is_not_said_to_an_arm_that_is_to_move_again() {
    let mut scene = Scene::tracking(&[("teleop.hold_behavior", text("stop"))]);
    scene.answers = false;
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
