//! `retarget.mode` relative: the arm stays where it is when motion begins, and follows differences.

use aether_bridge::config::Value;
use aether_bridge::teleop::{LinkView, Motion};

use crate::scene::{Scene, at, text};

fn relative(settings: &[(&'static str, Value)]) -> Scene {
    let mode = ("retarget.mode", text("relative"));
    let mut scene = Scene::new(&[&[mode, ("limits.max_jump", Value::Integer(0))], settings].concat());
    scene.hand = [5.0, -3.0, 1.0];
    scene.link(LinkView::Ready);
    scene
}

#[test]
fn the_arm_stays_where_it_is_when_it_is_armed_and_then_goes_as_far_as_the_hand() {
    let mut scene = relative(&[]);
    scene.move_for(1500);
    assert_eq!(scene.motion(), Motion::Tracking);
    assert!(
        scene.positions().iter().all(|position| *position == at(0.2, 0.0, 0.2)),
        "{:?}",
        scene.positions()
    );
    scene.hand = [5.05, -3.02, 1.1];
    scene.move_for(2000);
    assert_eq!(*scene.positions().last().unwrap(), at(0.25, -0.02, 0.3));
}

#[test]
fn the_hand_may_move_while_motion_is_held_as_a_mouse_that_is_lifted() {
    let mut scene = relative(&[]);
    scene.move_for(1500);
    scene.hand[0] += 0.05;
    scene.move_for(2000);
    scene.teleop.handle_set_armed(scene.now, false).unwrap();
    scene.hand = [-1.0, 0.0, 0.0];
    scene.move_for(500);
    let held = scene.sent.len();
    scene.set_armed().unwrap();
    scene.move_for(2000);
    assert!(scene.positions()[held..].iter().all(|position| *position == at(0.25, 0.0, 0.2)));
    scene.hand[0] += 0.01;
    scene.move_for(2000);
    assert_eq!(*scene.positions().last().unwrap(), at(0.26, 0.0, 0.2));
}

#[test]
fn a_lost_hand_that_comes_back_elsewhere_moves_nothing() {
    let mut scene = relative(&[]);
    scene.move_for(1500);
    scene.wait(1000);
    assert_eq!(scene.motion(), Motion::Holding);
    scene.hand = [9.0, 9.0, 9.0];
    scene.move_for(1000);
    assert_eq!(scene.motion(), Motion::Tracking);
    assert!(scene.positions().iter().all(|position| *position == at(0.2, 0.0, 0.2)));
}

#[test]
fn the_workspace_bounds_the_arm_and_not_the_hand() {
    let mut scene = relative(&[]);
    scene.move_for(1500);
    scene.hand[0] += 0.5;
    scene.move_for(3000);
    assert_eq!(*scene.positions().last().unwrap(), at(0.3, 0.0, 0.2));
    assert!(scene.sent.last().unwrap().1.clamped);
    // Rejecting lets the hand go at the edge: from there on it is a new motion.
    let mut scene = relative(&[("workspace.policy", text("reject"))]);
    scene.move_for(1500);
    scene.hand[0] += 0.5;
    assert!(scene.try_target().is_err());
    assert_eq!(scene.motion(), Motion::Holding);
    scene.move_for(1000);
    assert_eq!(*scene.positions().last().unwrap(), at(0.2, 0.0, 0.2));
}

#[test]
fn what_the_arm_does_first_is_taken_from_where_it_is_by_then() {
    // A command is unanswered when the hand comes back; its answer tells where the arm is.
    let mut scene = relative(&[]);
    scene.move_for(1500);
    scene.answers = false;
    let first = scene.sent.len();
    scene.hand[0] += 0.05;
    scene.target();
    scene.wait(1000);
    let (_, unanswered) = scene.sent[scene.sent.len() - 1];
    let before = scene.sent.len();
    scene.target();
    assert_eq!(scene.sent.len(), before, "the arm's position is not known yet");
    for (_, planned) in &scene.sent[first..] {
        scene.teleop.handle_acknowledged(scene.now, &planned.command);
    }
    scene.answers = true;
    scene.send();
    scene.move_for(500);
    assert!(scene.sent.len() > before);
    assert!(scene.positions()[before..].iter().all(|position| *position == unanswered.command.position));
}
