//! Tests of `retarget.mode: relative`. The arm does not move when motion begins, and then follows
//! the hand's movement.

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
fn armed_arm_stays_then_moves_with_hand() {
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
fn hand_may_move_freely_during_a_hold() {
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
fn hand_that_returns_elsewhere_moves_nothing() {
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
fn workspace_limits_the_arm_but_not_the_hand() {
    let mut scene = relative(&[]);
    scene.move_for(1500);
    scene.hand[0] += 0.5;
    scene.move_for(3000);
    assert_eq!(*scene.positions().last().unwrap(), at(0.3, 0.0, 0.2));
    assert!(scene.sent.last().unwrap().1.clamped);
    // If the policy rejects a target outside, the hand is released. A later target begins a new
    // motion.
    let mut scene = relative(&[("workspace.policy", text("reject"))]);
    scene.move_for(1500);
    scene.hand[0] += 0.5;
    assert!(scene.try_target().is_err());
    assert_eq!(scene.motion(), Motion::Holding);
    scene.move_for(1000);
    assert_eq!(*scene.positions().last().unwrap(), at(0.2, 0.0, 0.2));
}

#[test]
fn first_movement_starts_at_the_current_position() {
    // The reply to a command is missing when the hand returns. This reply determines the arm's
    // position.
    let mut scene = relative(&[]);
    scene.move_for(1500);
    scene.replies = false;
    let first = scene.sent.len();
    scene.hand[0] += 0.05;
    scene.target();
    scene.wait(1000);
    let (_, unanswered) = scene.sent[scene.sent.len() - 1];
    let before = scene.sent.len();
    scene.target();
    assert_eq!(scene.sent.len(), before, "the arm's position is still unknown");
    for (_, planned) in &scene.sent[first..] {
        scene.teleop.handle_acknowledged(scene.now, &planned.command);
    }
    scene.replies = true;
    scene.send();
    scene.move_for(500);
    assert!(scene.sent.len() > before);
    assert!(scene.positions()[before..].iter().all(|position| *position == unanswered.command.position));
}
