//! What is wanted of the gripper, over motions, holds, refusals, and publishers that come and go.

use std::time::Duration;

use aether_bridge::arm::Gripper;
use aether_bridge::config::Value;
use aether_bridge::teleop::{GraphNews, GripperInput, LinkView, Motion, Target};

use crate::scene::{Scene, config, text};

const OPEN: GripperInput = GripperInput::Wanted(Gripper::Open);
const CLOSED: GripperInput = GripperInput::Wanted(Gripper::Closed);

fn say(scene: &mut Scene, input: GripperInput) {
    scene.teleop.handle_gripper(scene.now, input);
}

/// A number of the topic, twice.
fn say_twice(scene: &mut Scene, opening: f64) {
    say(scene, GripperInput::Opening(opening));
    say(scene, GripperInput::Opening(opening));
}

/// In motion with the gripper closed, by one who said so once.
fn holding_something() -> Scene {
    let mut scene = Scene::tracking(&[]);
    say(&mut scene, CLOSED);
    scene.move_for(200);
    assert_eq!(last_gripper(&scene), Gripper::Closed);
    scene.sent.clear();
    scene
}

fn last_gripper(scene: &Scene) -> Gripper {
    scene.sent.last().unwrap().1.command.gripper
}

/// What the commands say from the next motion on, for a second.
fn said_in_next_motion(scene: &mut Scene) -> Vec<Gripper> {
    scene.sent.clear();
    scene.move_for(1000);
    let mut said: Vec<_> = scene.sent.iter().map(|(_, planned)| planned.command.gripper).collect();
    assert!(!said.is_empty(), "{}", scene.reason());
    said.dedup();
    said
}

/// Targets at 100 Hz for a while, each of which says this of the gripper, too.
fn move_and_say(scene: &mut Scene, at: [f64; 3], input: GripperInput, millis: u64) {
    for _ in 0..millis / 10 {
        let target = Target { gripper: Some(input), ..Target::new(at[0], at[1], at[2], None).unwrap() };
        scene.teleop.handle_target(scene.now, target).ok();
        scene.send();
        scene.wait(10);
    }
}

const PLACE: [f64; 3] = [0.2, 0.0, 0.2];

#[test]
fn a_word_said_once_is_in_every_command() {
    for said in [say as fn(&mut Scene, GripperInput), |scene, _| say_twice(scene, 0.1)] {
        for settle_time in [0.0, 1.0] {
            let mut scene = Scene::new(&[("teleop.settle_time", Value::Real(settle_time))]);
            said(&mut scene, CLOSED);
            scene.wait(60_000);
            scene.link(LinkView::Ready);
            scene.move_for(2000);
            assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
            assert!(!scene.sent.is_empty());
        }
    }
}

#[test]
fn single_number_and_then_silence_is_no_wish() {
    for settle_time in [0.0, 1.0] {
        let mut scene = Scene::new(&[("teleop.settle_time", Value::Real(settle_time))]);
        say(&mut scene, GripperInput::Opening(0.1));
        scene.wait(60_000);
        scene.link(LinkView::Ready);
        scene.move_for(2000);
        assert!(!scene.sent.is_empty());
        assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Open));
    }
    let mut scene = holding_something();
    say(&mut scene, GripperInput::Opening(0.9));
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed]);
    // A flicker in one target, and its tracker says no more of the gripper.
    let mut scene = holding_something();
    move_and_say(&mut scene, PLACE, OPEN, 10);
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn first_motion_waits_for_a_second_number() {
    let mut scene = Scene::new(&[("teleop.settle_time", Value::Real(0.0))]);
    scene.link(LinkView::Ready);
    move_and_say(&mut scene, PLACE, CLOSED, 10);
    assert!(scene.sent.is_empty(), "{:?}", scene.sent);
    assert!(scene.reason().contains("waiting"), "{}", scene.reason());
    move_and_say(&mut scene, PLACE, CLOSED, 500);
    assert!(!scene.sent.is_empty(), "{}", scene.reason());
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
}

#[test]
fn what_is_no_number_opens_and_closes_nothing() {
    for said in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        for state in [OPEN, CLOSED] {
            let mut scene = Scene::tracking(&[]);
            say(&mut scene, state);
            scene.move_for(400);
            let before = last_gripper(&scene);
            for _ in 0..100 {
                say(&mut scene, GripperInput::Opening(said));
                move_and_say(&mut scene, PLACE, GripperInput::Opening(said), 10);
            }
            assert_eq!(said_in_next_motion(&mut scene), [before], "{said}");
        }
        // Nor is it a first wish.
        let mut scene = Scene::new(&[]);
        scene.link(LinkView::Ready);
        move_and_say(&mut scene, PLACE, GripperInput::Opening(said), 2000);
        assert_eq!(last_gripper(&scene), Gripper::Open, "{said}");
    }
}

#[test]
fn what_the_controller_reports_counts_before_any_word() {
    let mut scene = Scene::new(&[]);
    scene.report_gripper(Gripper::Closed);
    scene.link(LinkView::Ready);
    scene.move_for(2000);
    assert!(!scene.sent.is_empty());
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
    // From now on it is known, and a report is no wish.
    scene.report_gripper(Gripper::Open);
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn a_reported_gripper_outweighs_a_kept_word() {
    for reported_first in [true, false] {
        let mut scene = Scene::new(&[]);
        let report = |scene: &mut Scene| scene.report_gripper(Gripper::Closed);
        if reported_first {
            report(&mut scene);
        }
        scene.teleop.handle_kept_gripper(scene.now, OPEN);
        if !reported_first {
            report(&mut scene);
        }
        scene.link(LinkView::Ready);
        scene.move_for(4000);
        assert!(!scene.sent.is_empty(), "{}", scene.reason());
        assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
    }
}

#[test]
fn flicker_after_a_report_opens_nothing() {
    let mut scene = Scene::new(&[("teleop.settle_time", Value::Real(0.0))]);
    scene.report_gripper(Gripper::Closed);
    scene.link(LinkView::Ready);
    say(&mut scene, OPEN);
    scene.move_for(50);
    say(&mut scene, CLOSED);
    scene.move_for(1000);
    assert!(!scene.sent.is_empty());
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
}

#[test]
fn report_on_a_new_connection_outweighs_the_old_one() {
    let mut scene = holding_something();
    say(&mut scene, OPEN);
    scene.move_for(400);
    assert_eq!(last_gripper(&scene), Gripper::Open);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    scene.link(LinkView::Down);
    // Somebody has put something into the gripper meanwhile.
    scene.wait(300);
    scene.link(LinkView::Ready);
    scene.report_gripper(Gripper::Closed);
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn report_of_open_counts_on_a_new_connection() {
    let mut scene = holding_something();
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    scene.link(LinkView::Down);
    scene.link(LinkView::Ready);
    scene.report_gripper(Gripper::Open);
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Open]);
}

#[test]
fn numbers_from_before_a_stop_do_not_count() {
    let mut scene = holding_something();
    scene.link(LinkView::Unresponsive);
    scene.move_for(100);
    say_twice(&mut scene, 0.9);
    scene.move_for(400);
    assert_eq!(scene.motion(), Motion::Holding);
    scene.teleop.handle_stop();
    scene.teleop.handle_reset();
    scene.link(LinkView::Ready);
    scene.teleop.handle_set_armed(scene.now, true).unwrap();
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn gripper_closed_by_others_during_a_hold_stays_closed() {
    for hold in ["repeat", "silent"] {
        let mut scene = Scene::tracking(&[("teleop.hold_behavior", text(hold))]);
        scene.target();
        scene.wait(2000);
        assert_eq!(scene.motion(), Motion::Holding);
        scene.report_gripper(Gripper::Closed);
        assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed], "{hold}");
        // A gripper that holds something may report that it is not shut.
        scene.wait(2000);
        scene.report_gripper(Gripper::Open);
        assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed], "{hold}");
        // One that was shut has been opened by others.
        scene.wait(2000);
        scene.report_gripper(Gripper::Closed);
        scene.report_gripper(Gripper::Open);
        assert_eq!(said_in_next_motion(&mut scene), [Gripper::Open], "{hold}");
    }
}

#[test]
fn without_a_word_the_gripper_is_as_the_parameter_says() {
    let mut scene = Scene::new(&[("gripper.initial", text("closed"))]);
    scene.link(LinkView::Ready);
    // What is no wish does not change that.
    say(&mut scene, GripperInput::Opening(f64::NAN));
    scene.move_for(2000);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
}

#[test]
fn a_lost_hand_that_says_open_has_to_say_it_again() {
    let mut scene = holding_something();
    say(&mut scene, OPEN);
    scene.wait(900);
    assert_eq!(scene.motion(), Motion::Holding);
    let back = scene.now;
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed, Gripper::Open]);
    let opened = scene.sent.iter().find(|(_, planned)| planned.command.gripper == Gripper::Open).unwrap().0;
    assert_eq!(opened - back, Duration::from_millis(300), "gripper.open_debounce");
}

#[test]
fn numbers_said_while_the_hand_was_lost_open_nothing() {
    let mut scene = holding_something();
    for _ in 0..100 {
        say(&mut scene, GripperInput::Opening(0.9));
        scene.wait(10);
    }
    assert_eq!(scene.motion(), Motion::Holding);
    say(&mut scene, GripperInput::Opening(0.9));
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed]);
    say_twice(&mut scene, 0.9);
    assert_eq!(said_in_next_motion(&mut scene).last(), Some(&Gripper::Open));
}

#[test]
fn refused_decision_is_debounced_again() {
    let mut scene = Scene::tracking(&[]);
    scene.answers = false;
    say(&mut scene, CLOSED);
    let mut changes = Vec::new();
    for _ in 0..100 {
        let count = scene.sent.len();
        scene.move_for(10);
        for (at, planned) in scene.sent[count..].iter().copied() {
            if planned.command.gripper == Gripper::Closed {
                scene.teleop.handle_rejected(at);
                changes.push(at);
            } else {
                scene.teleop.handle_acknowledged(at, &planned.command);
            }
        }
    }
    assert!(changes.len() >= 5, "the word stands: {changes:?}");
    let soonest = changes.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
    assert!(soonest >= Duration::from_millis(100), "gripper.close_debounce: {soonest:?}");
}

/// Until a command says "closed". All before it are accepted.
fn move_until_closed(scene: &mut Scene) {
    scene.answers = false;
    while scene.sent.last().is_none_or(|(_, planned)| planned.command.gripper == Gripper::Open) {
        let count = scene.sent.len();
        scene.target();
        for (at, planned) in scene.sent[count..].iter().copied() {
            if planned.command.gripper == Gripper::Open {
                scene.teleop.handle_acknowledged(at, &planned.command);
            }
        }
        scene.now += Duration::from_millis(10);
    }
}

/// A hand says once what the gripper is to be, and falls silent. The decision is sent, and not accepted.
fn undelivered(undo: impl Fn(&mut Scene)) -> Scene {
    let mut scene = Scene::tracking(&[]);
    say_twice(&mut scene, 0.1);
    move_until_closed(&mut scene);
    undo(&mut scene);
    scene.answers = true;
    scene
}

#[test]
fn decision_that_was_not_accepted_does_not_come_out_later() {
    type Undo = fn(&mut Scene);
    let undo: [(&str, Undo); 5] = [
        ("refused", |scene| scene.teleop.handle_rejected(scene.now)),
        ("lost", |scene| scene.teleop.handle_lost()),
        ("link lost", |scene| {
            scene.link(LinkView::Down);
            scene.link(LinkView::Ready);
        }),
        ("disarmed", |scene| {
            scene.teleop.handle_set_armed(scene.now, false).unwrap();
            scene.teleop.handle_lost();
            scene.set_armed().unwrap();
        }),
        ("stopped", |scene| {
            scene.teleop.handle_stop();
            scene.teleop.handle_rejected(scene.now);
            scene.teleop.handle_reset();
            scene.set_armed().unwrap();
        }),
    ];
    for (case, undo) in undo {
        let mut scene = undelivered(undo);
        assert_eq!(said_in_next_motion(&mut scene), [Gripper::Open], "{case}");
        // What is wanted now counts.
        say_twice(&mut scene, 0.1);
        assert_eq!(said_in_next_motion(&mut scene), [Gripper::Open, Gripper::Closed], "{case}");
    }
}

#[test]
fn decision_that_was_never_sent_does_not_come_out_later() {
    // The command has no room while the last one is unanswered; then the link breaks.
    let mut scene = holding_something();
    say_twice(&mut scene, 0.9);
    for _ in 0..40 {
        let [x, y, z] = scene.hand;
        scene.teleop.handle_target(scene.now, Target::new(x, y, z, None).unwrap()).unwrap();
        scene.now += Duration::from_millis(10);
        scene.teleop.handle_timeout(scene.now);
    }
    assert_eq!(scene.teleop.poll_command(scene.now).unwrap().command.gripper, Gripper::Open, "it is due");
    scene.link(LinkView::Down);
    scene.link(LinkView::Ready);
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn command_accepted_after_the_motion_counts() {
    let mut scene = undelivered(|scene| {
        scene.wait(1000);
        assert_eq!(scene.motion(), Motion::Holding);
        let command = scene.sent.last().unwrap().1.command;
        scene.teleop.handle_acknowledged(scene.now, &command);
    });
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn no_command_follows_a_refused_one_before_all_are_answered() {
    let mut scene = Scene::tracking(&[]);
    scene.answers = false;
    say(&mut scene, CLOSED);
    scene.hand = [0.28, 0.0, 0.2];
    // Several commands are on their way, the last ones with a closed gripper.
    while scene.sent.iter().filter(|(_, planned)| planned.command.gripper == Gripper::Closed).count() < 3 {
        scene.move_for(10);
    }
    let sent: Vec<_> = scene.sent.iter().map(|(_, planned)| planned.command).collect();
    let (refused, rest) = sent.split_at(sent.len() - 2);
    for command in refused {
        match command.gripper {
            Gripper::Open => scene.teleop.handle_acknowledged(scene.now, command),
            Gripper::Closed => scene.teleop.handle_rejected(scene.now),
        }
    }
    scene.move_for(50);
    assert_eq!(scene.sent.len(), sent.len(), "the gripper may be open or closed");
    for command in rest {
        scene.teleop.handle_acknowledged(scene.now, command);
    }
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed], "it does not open between");
}

#[test]
fn word_of_a_publisher_that_left_is_void_after_a_refusal() {
    let mut scene = Scene::tracking(&[]);
    say(&mut scene, CLOSED);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    move_until_closed(&mut scene);
    scene.teleop.handle_rejected(scene.now);
    scene.answers = true;
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Open]);
}

#[test]
fn another_arm_inherits_nothing() {
    for reports in [false, true] {
        let mut scene = holding_something();
        scene.teleop.handle_set_armed(scene.now, false).unwrap();
        scene.link(LinkView::Down);
        scene.teleop.handle_other_arm();
        scene.link(LinkView::Ready);
        if reports {
            scene.report_gripper(Gripper::Open);
        }
        scene.set_armed().unwrap();
        assert_eq!(said_in_next_motion(&mut scene), [Gripper::Open]);
    }
}

#[test]
fn changed_settings_of_the_gripper_begin_from_fresh_samples() {
    let change = |scene: &mut Scene, name: &'static str, value: f64| {
        scene.teleop.handle_config(scene.now, config(&[(name, Value::Real(value))]));
    };
    // What was no opening becomes one, and a wish that has not stood becomes one that has.
    for (name, value) in [("gripper.open_above", 0.35), ("gripper.open_debounce", 0.0)] {
        let mut scene = holding_something();
        for _ in 0..10 {
            say(&mut scene, GripperInput::Opening(0.9));
            scene.move_for(10);
        }
        change(&mut scene, name, value);
        assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed], "{name}");
        say_twice(&mut scene, 0.9);
        assert_eq!(said_in_next_motion(&mut scene).last(), Some(&Gripper::Open), "{name}");
    }
    // Other parameters do not disturb a wish.
    let mut scene = holding_something();
    say_twice(&mut scene, 0.9);
    scene.move_for(200);
    change(&mut scene, "limits.speed", 0.2);
    scene.move_for(110);
    assert_eq!(last_gripper(&scene), Gripper::Open);
}

#[test]
fn a_wish_that_stood_while_the_link_was_down_is_in_the_first_command() {
    let mut scene = holding_something();
    scene.link(LinkView::Down);
    scene.move_for(100);
    say(&mut scene, OPEN);
    scene.move_for(300);
    scene.link(LinkView::Ready);
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Open]);
}

#[test]
fn a_wish_of_a_publisher_that_went_during_a_hold_is_dropped() {
    let mut scene = holding_something();
    say(&mut scene, OPEN);
    scene.wait(1000);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn a_wish_of_a_publisher_that_went_in_motion_lasts_until_its_end() {
    // As of `ros2 topic pub --once`, which is gone before the debounce time is over.
    let mut scene = holding_something();
    say(&mut scene, OPEN);
    scene.move_for(100);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    scene.move_for(300);
    assert_eq!(last_gripper(&scene), Gripper::Open);
    let mut scene = holding_something();
    say(&mut scene, OPEN);
    scene.move_for(100);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    scene.wait(300);
    assert_eq!(scene.motion(), Motion::Holding);
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn a_wish_of_a_publisher_that_no_look_at_the_graph_has_shown_is_dropped() {
    let mut scene = holding_something();
    say(&mut scene, OPEN);
    scene.wait(1000);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperAbsent);
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn a_gripper_that_was_decided_stays_when_its_publisher_has_gone() {
    let mut scene = holding_something();
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    scene.wait(1000);
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed]);
    let mut scene = Scene::new(&[]);
    say(&mut scene, CLOSED);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    scene.link(LinkView::Ready);
    scene.move_for(1200);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
}

#[test]
fn a_word_in_a_target_counts_if_the_target_does() {
    let mut scene = Scene::new(&[]);
    scene.link(LinkView::Ready);
    // A lost hand is no first word.
    move_and_say(&mut scene, [0.0; 3], OPEN, 200);
    move_and_say(&mut scene, PLACE, CLOSED, 2000);
    move_and_say(&mut scene, [0.0; 3], OPEN, 1000);
    assert_eq!(scene.motion(), Motion::Holding);
    move_and_say(&mut scene, PLACE, CLOSED, 2000);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
    move_and_say(&mut scene, PLACE, OPEN, 310);
    assert_eq!(last_gripper(&scene), Gripper::Open);
}

#[test]
fn gripping_hand_that_is_not_seen_never_opens() {
    let mut scene = Scene::new(&[]);
    scene.link(LinkView::Ready);
    move_and_say(&mut scene, PLACE, CLOSED, 2000);
    for _ in 0..100 {
        // It flickers, as trackers do before they give a hand up.
        move_and_say(&mut scene, PLACE, OPEN, 250);
        move_and_say(&mut scene, PLACE, GripperInput::UNSEEN, 10);
    }
    move_and_say(&mut scene, PLACE, GripperInput::UNSEEN, 10_000);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
    move_and_say(&mut scene, PLACE, OPEN, 310);
    assert_eq!(last_gripper(&scene), Gripper::Open);
}

#[test]
fn target_that_may_only_close_leaves_opening_to_the_topic() {
    let settings = [
        ("input.type", text("geometry_msgs/msg/Twist")),
        ("input.gripper", text("angular.z")),
        ("gripper.opened_by", text("topic")),
    ];
    let mut scene = Scene::new(&settings);
    scene.link(LinkView::Ready);
    move_and_say(&mut scene, PLACE, CLOSED, 2000);
    assert_eq!(last_gripper(&scene), Gripper::Closed);
    scene.sent.clear();
    move_and_say(&mut scene, PLACE, OPEN, 60_000);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
    say(&mut scene, OPEN);
    move_and_say(&mut scene, PLACE, OPEN, 310);
    assert_eq!(last_gripper(&scene), Gripper::Open);
    // The hand closes it again, and the word does not open it a second time.
    move_and_say(&mut scene, PLACE, CLOSED, 200);
    assert_eq!(last_gripper(&scene), Gripper::Closed);
    move_and_say(&mut scene, PLACE, OPEN, 2000);
    assert_eq!(last_gripper(&scene), Gripper::Closed);
}
