//! What is wanted of the gripper, over motions, holds and publishers that come and go.

use std::time::Duration;

use aether_bridge::arm::Gripper;
use aether_bridge::config::Value;
use aether_bridge::teleop::{GraphNews, GripperInput, LinkView, Motion, Target};

use crate::scene::{Scene, text};

const OPEN: GripperInput = GripperInput::Wanted(Gripper::Open);
const CLOSED: GripperInput = GripperInput::Wanted(Gripper::Closed);

fn say(scene: &mut Scene, input: GripperInput) {
    scene.teleop.handle_gripper(scene.now, input);
}

/// In motion with the gripper closed, by one who said so once.
fn holding_something() -> Scene {
    let mut scene = Scene::tracking(&[]);
    say(&mut scene, CLOSED);
    scene.move_for(200);
    assert_eq!(scene.sent.last().unwrap().1.command.gripper, Gripper::Closed);
    scene.sent.clear();
    scene
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

#[test]
fn a_word_said_once_is_in_every_command() {
    for input in [CLOSED, GripperInput::Opening(0.1)] {
        for settle_time in [0.0, 1.0] {
            let mut scene = Scene::new(&[("teleop.settle_time", Value::Real(settle_time))]);
            say(&mut scene, input);
            scene.wait(60_000);
            scene.link(LinkView::Ready);
            scene.move_for(2000);
            assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
            assert!(!scene.sent.is_empty());
        }
    }
}

#[test]
fn what_the_controller_reports_counts_before_any_word() {
    let mut scene = Scene::new(&[]);
    scene.teleop.handle_reported_gripper(Gripper::Closed);
    scene.link(LinkView::Ready);
    scene.move_for(2000);
    assert!(!scene.sent.is_empty());
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
    // From now on it is known, and a report is no wish.
    scene.teleop.handle_reported_gripper(Gripper::Open);
    assert_eq!(said_in_next_motion(&mut scene), [Gripper::Closed]);
}

#[test]
fn a_reported_gripper_outweighs_a_kept_word() {
    for reported_first in [true, false] {
        let mut scene = Scene::new(&[]);
        let report = |scene: &mut Scene| scene.teleop.handle_reported_gripper(Gripper::Closed);
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
    assert_eq!(scene.sent.last().unwrap().1.command.gripper, Gripper::Open);
    let mut scene = holding_something();
    say(&mut scene, OPEN);
    scene.move_for(100);
    scene.teleop.handle_graph(scene.now, GraphNews::GripperLeft);
    scene.wait(300);
    assert_eq!(scene.motion(), Motion::Holding);
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
    let send = |scene: &mut Scene, at: [f64; 3], input: GripperInput, millis: u64| {
        for _ in 0..millis / 10 {
            let target = Target { gripper: Some(input), ..Target::new(at[0], at[1], at[2], None).unwrap() };
            scene.teleop.handle_target(scene.now, target).ok();
            scene.send();
            scene.wait(10);
        }
    };
    // A lost hand is no first word.
    send(&mut scene, [0.0; 3], OPEN, 200);
    send(&mut scene, [0.2, 0.0, 0.2], CLOSED, 2000);
    send(&mut scene, [0.0; 3], OPEN, 1000);
    assert_eq!(scene.motion(), Motion::Holding);
    send(&mut scene, [0.2, 0.0, 0.2], CLOSED, 2000);
    assert!(scene.sent.iter().all(|(_, planned)| planned.command.gripper == Gripper::Closed));
    send(&mut scene, [0.2, 0.0, 0.2], OPEN, 310);
    assert_eq!(scene.sent.last().unwrap().1.command.gripper, Gripper::Open);
}
